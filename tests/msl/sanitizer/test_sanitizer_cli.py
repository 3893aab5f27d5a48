"""`foundry sanitize`: lines of the file, exit codes, JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from templates import registry, space
from templates.render import render

PLANTED = Path(__file__).parent / "planted"


def sanitize(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "foundry", "sanitize", "--dtype", "float32", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_fault_is_printed_as_a_compiler_would() -> None:
    path = PLANTED / "silu_one_past_the_end.metal"
    line = next(n for n, t in enumerate(path.read_text().split("\n"), 1) if "//!" in t)
    done = sanitize(str(path))
    assert done.returncode == 4
    assert f"{path}:{line}: error: out-of-bounds read" in done.stdout
    assert "x[i + 1]" in done.stdout


def test_json_has_the_place_and_the_array() -> None:
    done = sanitize("--json", str(PLANTED / "silu_one_past_the_end.metal"))
    document = json.loads(done.stdout)
    (finding,) = document["findings"]
    assert document["status"] == "sanitizer_error"
    assert (finding["kind"], finding["buffer"]) == ("out_of_bounds", "x")
    assert finding["index"] == finding["size"]


def test_a_clean_kernel_passes(tmp_path: Path) -> None:
    template = registry.for_op("silu")[0]
    path = tmp_path / "silu.metal"
    path.write_text(render(template, space.default(template)))
    done = sanitize(str(path))
    assert (done.returncode, done.stdout) == (0, "")


def test_a_file_that_is_no_kernel_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.metal"
    path.write_text(
        '/*kernel\nop = "silu"\ngrid = [1, 1, "q"]\nthreadgroup = [1, 1, 1]\n*/\n'
        "// --- body ---\nout[0] = 1;\n"
    )
    done = sanitize(str(path))
    assert done.returncode == 4
    assert done.stdout.startswith(f"{path}:3: invalid: ")


def test_a_kernel_that_ends_its_process_does_not_end_the_command(tmp_path: Path) -> None:
    path = tmp_path / "trap.metal"
    path.write_text(
        '/*kernel\nop = "silu"\ngrid = ["rows * cols", 1, 1]\nthreadgroup = [64, 1, 1]\n*/\n'
        "// --- body ---\nif (thread_position_in_grid.x == 0) __builtin_trap();\nout[0] = x[0];\n"
    )
    done = sanitize("--json", str(path))
    document = json.loads(done.stdout)
    assert (done.returncode, document["status"]) == (4, "crash")
    assert "SIGILL" in document["stopped"] or "SIGTRAP" in document["stopped"]


def test_a_language_version_is_chosen_and_one_that_does_not_exist_is_wrong_usage(
    tmp_path: Path,
) -> None:
    path = tmp_path / "silu.metal"
    path.write_text(
        '/*kernel\nop = "silu"\ngrid = ["rows * cols", 1, 1]\nthreadgroup = [64, 1, 1]\n*/\n'
        "// --- body ---\nuint i = thread_position_in_grid.x;\n"
        "if constexpr (__METAL_VERSION__ >= 400) out[i] = x[i] / T(1 + exp(-float(x[i])));\n"
    )
    assert sanitize("--language-version", "4.0", str(path)).returncode == 0
    older = sanitize("--language-version", "3.2", str(path))
    assert older.returncode == 4
    assert "unwritten output" in older.stdout  # the branch of a later version
    done = sanitize("--language-version", "3.9", str(path))
    assert done.returncode == 2
    assert "3.9" in done.stderr
    assert "did you mean" in done.stderr.lower()
