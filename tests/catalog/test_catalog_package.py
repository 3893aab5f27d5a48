"""A built wheel installs, imports mlx alone, and answers like the baseline."""

from __future__ import annotations

import email
import importlib
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from softmax_package import CPU, MAC, PROVEN, ROWS, entry, install, run, softmax_kernel

from foundry.catalog.build import check_licence, check_name, check_version, write_wheel
from foundry.catalog.checks import Checks
from foundry.catalog.entry import winners
from foundry.catalog.fallbacks import batch_axis
from foundry.catalog.package import op_record
from foundry.catalog.reader import read_wheel
from foundry.catalog.ship import entries, ship
from foundry.catalog.signatures import free_axes
from foundry.errors import FoundryError, UsageError
from foundry.judge.verdict import JUDGE_VERSION, TIMING_METHOD, Status
from foundry.kernel import Kernel, KernelLaunch, render
from ops import get


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("softmax"))


@pytest.fixture
def installed(once: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(once, tmp_path / "site"))


def test_the_installed_function_equals_mlx_and_imports_nothing_else(installed: Path) -> None:
    code = """
import sys
import mlx.core as mx
import fast_ops
from fast_ops import softmax
x = mx.random.normal((2, 3, 5, 17))
assert mx.allclose(softmax(x), mx.softmax(x, axis=-1)).item()
assert softmax(mx.zeros((4,))).shape == (4,)
gradient = mx.grad(lambda v: softmax(v).square().sum())(x)
reference = mx.grad(lambda v: mx.softmax(v, axis=-1).square().sum())(x)
assert mx.allclose(gradient, reference, atol=1e-6).item()
foreign = {m.split('.')[0] for m in sys.modules} & {'foundry', 'ops', 'templates', 'numpy'}
assert not foreign, foreign
row = next(r for r in fast_ops.info() if r['dtype'] == 'float32')
assert row['path'] == 'baseline' and 'Metal is not available' in row['why'], row
"""
    result = run(installed, "-c", code)
    assert result.returncode == 0, result.stderr


def test_verify_says_what_it_could_not_test(installed: Path) -> None:
    result = run(installed, "-m", "fast_ops", "verify", "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["failed"] == []
    assert report["checks"] > 15
    assert report["kernels_tested"] == 0
    assert "Metal is not available" in report["not_tested"][0]


@pytest.mark.parametrize("wrong", ["mx.softmax(x, axis=0)", "mx.softmax(x * 1.01, axis=-1)"])
def test_verify_holds_the_fallback_to_the_formula(installed: Path, wrong: str) -> None:
    """Not to itself: a fallback that is wrong is found."""
    module = installed / "fast_ops" / "fallbacks.py"
    module.write_text(module.read_text().replace("mx.softmax(x, axis=-1, precise=True)", wrong))
    result = run(installed, "-m", "fast_ops", "verify", "--json")
    assert result.returncode == 1
    assert any("times its bound" in f["detail"] for f in json.loads(result.stdout)["failed"])


def test_a_kernel_that_was_timed_at_sizes_of_a_model_wins_there_and_nowhere_else() -> None:
    chosen = entry(softmax_kernel(), MAC)
    (timed,) = chosen.evaluation.timings
    workload = "softmax[rows=3,cols=77]float32"
    timings = tuple(
        timed.model_copy(update={"workload": name, "speedup": speedup, "speedup_low": speedup})
        for name, speedup in ((workload, 1.5), (f"{workload}s", 1.4), (timed.workload, 0.9))
    )
    evaluation = chosen.evaluation.model_copy(update={"timings": timings})
    record = op_record(chosen.op, [replace(chosen, evaluation=evaluation)], Checks([], {}))
    (kernel,) = record["kernels"]
    assert kernel["record"]["regions"] == [{"axes": {"rows": 3, "cols": 77}, "speedup": 1.5}]
    assert len(kernel["record"]["timings"]) == 3


def test_a_package_that_fails_its_own_checks_is_not_written(tmp_path: Path) -> None:
    wrong = replace(get("softmax"), baselines={"wrong": "mx.softmax(x, axis=0)"})
    broken = replace(entry(softmax_kernel(), MAC), op=wrong)
    with pytest.raises(FoundryError, match=r"fails its own checks.*softmax float32 fallback at"):
        write_wheel(tmp_path, "fast_ops", "0.1.0", [broken])
    assert not list(tmp_path.glob("*.whl"))


def test_info_is_readable(installed: Path) -> None:
    result = run(installed, "-m", "fast_ops", "info")
    assert result.returncode == 0
    assert "softmax" in result.stdout


def test_equal_winners_give_equal_bytes_and_read_back(tmp_path: Path) -> None:
    chosen = [entry(softmax_kernel(), MAC)]
    one = write_wheel(tmp_path / "a", "fast_ops", "0.1.0", chosen)
    two = write_wheel(tmp_path / "b", "fast_ops", "0.1.0", chosen)
    assert one.read_bytes() == two.read_bytes()
    shipped = read_wheel(one)
    assert [s.kernel for s in shipped] == [softmax_kernel()]
    assert shipped[0].record["device_name"] == "Apple M4 Max"


def test_the_metadata_is_what_an_index_wants(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, "fast_ops", "0.1.0", [entry(softmax_kernel(), MAC)], "Apache-2.0")
    with zipfile.ZipFile(wheel) as archive:
        found = email.message_from_bytes(archive.read("fast_ops-0.1.0.dist-info/METADATA"))
    assert found["License-Expression"] == "Apache-2.0"
    assert found["Requires-Dist"] == "mlx>=0.32.4"
    assert "| `softmax` | float32 |" in found.get_payload()
    assert found["Description-Content-Type"] == "text/markdown"


def test_a_kernel_that_wins_at_another_size_is_shipped_beside_the_best() -> None:
    best = entry(softmax_kernel(), MAC, low=1.5)
    other = entry(softmax_kernel(ROWS + "\n// other"), MAC, low=1.2)
    (timing,) = other.evaluation.timings
    elsewhere = timing.model_copy(
        update={"workload": get("softmax").workloads("bench", "float32")[1].id}
    )
    evaluation = other.evaluation.model_copy(update={"timings": (elsewhere,)})
    moved = replace(other, evaluation=evaluation)
    assert winners([moved, best]) == (best, moved)
    assert winners([other, best]) == (best,)


def test_of_a_kernel_that_was_timed_several_times_the_last_time_counts() -> None:
    lucky, sober = (entry(softmax_kernel(), MAC, low=low) for low in (1.3, 0.98))
    slower = sober.evaluation.model_copy(update={"status": Status.CORRECT})
    sober = replace(sober, evaluation=slower)
    assert winners([lucky, sober]) == (sober,)
    assert winners([sober, lucky]) == (lucky,)


def test_times_of_another_method_are_none(tmp_path: Path) -> None:
    timed = entry(softmax_kernel(), MAC)
    kinds = {}
    for method in (TIMING_METHOD - 1, TIMING_METHOD):
        timings = tuple(t.model_copy(update={"method": method}) for t in timed.evaluation.timings)
        evaluation = timed.evaluation.model_copy(update={"timings": timings})
        row = SimpleNamespace(text=render(timed.kernel), evaluation=evaluation, device=MAC)
        (found,) = entries([row], {"softmax": timed.op})  # type: ignore[list-item]
        kinds[method] = found.evaluation.status, len(found.evaluation.timings)
    assert kinds == {
        TIMING_METHOD - 1: (Status.CORRECT, 0),
        TIMING_METHOD: (Status.FASTER, 1),
    }


def test_a_kernel_is_recorded_as_this_judge_proved_it(tmp_path: Path) -> None:
    old = entry(softmax_kernel(), MAC)
    timings = tuple(t.model_copy(update={"method": TIMING_METHOD}) for t in old.evaluation.timings)
    before = old.evaluation.model_copy(
        update={"judge_version": JUDGE_VERSION - 1, "timings": timings}
    )
    now = PROVEN.model_copy(update={"axes": {"rows": (1, 5), "cols": (1, 7)}})
    verdict = before.model_copy(update={"judge_version": JUDGE_VERSION, "proven": now})
    row = SimpleNamespace(text=render(old.kernel), evaluation=before, device=MAC)
    known = {"softmax": old.op}
    done = ship([row], known, lambda _: verdict, tmp_path, device_id=MAC.id, name="fast_ops")  # type: ignore[list-item]
    (shipped,) = read_wheel(done.wheel)
    assert shipped.record["judge_version"] == JUDGE_VERSION
    assert shipped.record["proven"]["axes"] == {"rows": [1, 5], "cols": [1, 7]}
    assert shipped.record["timings"]


def test_the_best_of_each_device_wins_and_failures_never_do() -> None:
    slow = entry(softmax_kernel(), MAC, low=1.1)
    fast = entry(
        Kernel("softmax", (KernelLaunch(ROWS + "\n// 2", ("rows", 1, 1), (64, 1, 1)),)),
        MAC,
        low=1.5,
    )
    proven = entry(softmax_kernel(), CPU, low=2.0, status=Status.CORRECT)
    assert winners([slow, fast, proven]) == (proven, fast)


def test_axes_are_told_apart() -> None:
    assert batch_axis(get("rms_norm")) == "rows"
    assert batch_axis(get("attention")) == "batch"
    assert free_axes(get("topk")) == ("k",)
    assert free_axes(get("swiglu_packed")) == (), "2 * cols shows cols"


@pytest.mark.parametrize(
    "name", ["mlx", "my-kernels", "class", "Über", "1a", "_a", "a_", "kérnels"]
)
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)


@pytest.mark.parametrize("name", ["json", "numpy", "mlx_lm", "pytest", "click", "foundry"])
def test_a_name_that_would_hide_another_package_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"named '{name}' would hide the package of that name"):
        check_name(name)


def test_the_name_of_an_installed_catalog_may_be_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "a_folder").mkdir()
    package = tmp_path / "a_catalog_of_old"
    package.mkdir()
    (package / "__init__.py").write_text("")
    importlib.invalidate_caches()
    with pytest.raises(UsageError, match="would hide"):
        check_name("a_catalog_of_old")
    (package / "catalog.json").write_text("{}")
    assert check_name("a_catalog_of_old")
    assert check_name("a_folder"), "a folder without code hides nothing"


@pytest.mark.parametrize("licence", ["", " ", "MIT\nName: x", "see LICENSE!", "MIT,BSD"])
def test_a_licence_that_no_index_takes_is_refused(licence: str) -> None:
    with pytest.raises(UsageError, match="is no licence; write it as SPDX does"):
        check_licence(licence)
    for good in ("MIT", "Apache-2.0 OR MIT", "GPL-2.0-or-later WITH Bison-exception-2.2",
                 "(MIT OR ISC) AND BSD-3-Clause"):  # fmt: skip
        assert check_licence(good) == good


def test_bad_version_and_empty_catalog_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no version"):
        check_version("one")
    with pytest.raises(UsageError, match="discover search"):
        write_wheel(tmp_path, "fast_ops", "0.1.0", [])
    (tmp_path / "not.whl").write_text("hello")
    with pytest.raises(UsageError, match="not a catalog wheel"):
        read_wheel(tmp_path / "not.whl")
