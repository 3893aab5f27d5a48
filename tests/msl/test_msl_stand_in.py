"""Programs that ask for Metal and then use it run here unchanged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
import mlx.core as mx


def double(x):
    kernel = mx.fast.metal_kernel(
        name="double", input_names=["x"], output_names=["y"],
        source="uint i = thread_position_in_grid.x; y[i] = 2 * x[i];",
    )
    return kernel(
        inputs=[x], grid=(x.size, 1, 1), threadgroup=(32, 1, 1),
        output_shapes=[x.shape], output_dtypes=[x.dtype], stream=mx.gpu,
    )[0]


def test_double():
    assert mx.metal.is_available()
    assert mx.default_device() == mx.gpu
    assert mx.device_info()["architecture"].startswith("applegpu")
    mx.new_stream(mx.default_device())
    with mx.stream(mx.new_thread_local_stream(mx.default_device())):
        mx.eval(mx.ones(3) + 1)
    mx.synchronize(mx.gpu)
    mx.synchronize()
    x = mx.arange(10.0)
    assert mx.add(x, x, stream=mx.gpu)[1].item() == 2
    assert mx.linalg.norm(x, stream=mx.default_device()).item() > 0
    assert mx.zeros((2,), mx.int32, stream=mx.default_stream(mx.gpu)).shape == (2,)
    with mx.stream(mx.gpu):
        assert mx.array_equal(mx.compile(double)(x), 2 * x)


if __name__ == "__main__":
    test_double()
    print("arguments", sys.argv[1:])
"""


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "test_program.py"
    path.write_text(PROGRAM)
    return path


def test_a_script_runs_its_metal_path(program: Path) -> None:
    plain = run(program.name, folder=program.parent)
    assert plain.returncode != 0, "without the stand-in there is no Metal here"
    done = run("-m", "foundry", "msl", "run", program.name, "--size", "3", folder=program.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "arguments ['--size', '3']\n"
    assert "cpu engine" in done.stderr


def test_pytest_runs_a_package_s_metal_tests(program: Path) -> None:
    plugin = "foundry.msl.pytest_plugin"
    asks = "import mlx.core as mx\n\nassert mx.metal.is_available()\n"
    (program.parent / "conftest.py").write_text(asks)
    done = run("-m", "pytest", "-p", plugin, "-p", "no:cacheprovider", folder=program.parent)
    assert done.returncode == 0, done.stdout
    assert "cpu engine" in done.stdout
    assert "1 passed" in done.stdout


def test_a_program_ends_as_under_python(tmp_path: Path) -> None:
    package = tmp_path / "tool"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "settings.py").write_text("CODE = 3\n")
    (package / "__main__.py").write_text("from .settings import CODE\nraise SystemExit(CODE)\n")
    (tmp_path / "wrong.py").write_text("def f():\n    raise ValueError('seen')\n\nf()\n")
    command = ("-m", "foundry", "msl", "run")
    assert run(*command, "-m", "tool", folder=tmp_path).returncode == 3
    done = run(*command, "wrong.py", folder=tmp_path)
    assert done.returncode == 1
    assert 'File "wrong.py", line 4, in <module>' in done.stderr
    assert done.stderr.endswith("ValueError: seen\n")
    assert "runpy" not in done.stderr
    assert run(*command, "missing.py", folder=tmp_path).returncode == 2


def test_mlx_is_itself_again_afterwards() -> None:
    import mlx.core as mx

    from foundry.msl.stand_in.metal import metal

    before = (mx.fast.metal_kernel, mx.metal.is_available, mx.default_device, mx.stream)
    with metal():
        assert mx.metal.is_available()
    assert before == (mx.fast.metal_kernel, mx.metal.is_available, mx.default_device, mx.stream)


MAC_PACKAGE = """
import platform
import sys

if sys.platform != "darwin":
    raise ImportError(f"needs a Mac, not {sys.platform}")
assert platform.system() == "Darwin" and platform.machine() in ("arm64",)
LIBRARY = "/usr/lib/libproc.dylib" if sys.platform == "darwin" else None
assert LIBRARY is None
"""
MAC_USER = """
import os
import platform
import subprocess
import sys

truth = sys.platform
from foundry.msl.stand_in.metal import metal

with metal():
    assert platform.system() != "Darwin"
    import mlx_thing
    assert sys.platform == truth and platform.system() == "Darwin"  # it holds `mlx_thing` now
    del mlx_thing
    assert {truth: 1}[sys.platform] == 1
    import mlx.core as mx
    assert sys.platform == truth and platform.mac_ver()[0]
    subprocess.run([sys.executable, "-c", ""], check=True)
    kernel = mx.fast.metal_kernel(
        name="d", input_names=["x"], output_names=["y"], source="y[0] = 1 / x[0];"
    )
    x = mx.zeros(8, dtype=mx.int32)
    mx.eval(kernel(inputs=[x], grid=(1, 1, 1), threadgroup=(1, 1, 1), output_shapes=[(1,)],
                   output_dtypes=[mx.int32]))
    mx.eval(mx.ones(8, dtype=mx.int32) // x)
assert sys.platform == truth and platform.system() != "Darwin"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks what another system answers")
def test_packages_for_mlx_find_a_mac_and_others_do_not(tmp_path: Path) -> None:
    (tmp_path / "mlx_thing.py").write_text(MAC_PACKAGE)
    (tmp_path / "user.py").write_text(MAC_USER)
    done = run("user.py", folder=tmp_path)
    assert done.returncode == 0, done.stderr
