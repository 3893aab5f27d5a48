"""`verify`, `bench`, `list`, `report`, `export`, `export-sft`, `doctor` with the real engine."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from foundry.cli.commands import application
from foundry.harness.processes.lock import DeviceLock

ROOT = Path(__file__).parents[2]
SILU = """/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [256, 1, 1]
*/
// --- body ---
uint i = thread_position_in_grid.x;
float v = float(x[i]);
out[i] = T(v / (1.0f + metal::precise::exp(-v)));
"""


@pytest.fixture(autouse=True)
def private_device_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def foundry(*args: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(application, list(args), input=stdin)


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    path = tmp_path / "k.metal"
    path.write_text(SILU)
    return path


@pytest.fixture(scope="module")
def filled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    path, database = folder / "k.metal", folder / "filled.db"
    path.write_text(SILU)
    done = foundry("bench", str(path), "--save", "--json", "--db", str(database))
    assert done.exit_code == 0, done.output
    (folder / "bench.json").write_text(done.stdout)
    path.write_text(SILU.replace("1.0f", "1.5f"))
    wrong = ("verify", str(path), "--save", "--dtype", "float32", "--db", str(database))
    assert foundry(*wrong).exit_code == 4
    return path


@pytest.fixture
def filled(filled_once: Path, tmp_path: Path) -> Path:
    """The database of this test holds a kernel that passed and one that did not, of this file."""
    shutil.copy(filled_once.with_name("filled.db"), tmp_path / "foundry.db")
    return filled_once


@pytest.mark.slow
def test_verify_proves_a_kernel_in_every_dtype(kernel: Path) -> None:
    result = foundry("verify", str(kernel))
    assert result.exit_code == 0, result.output
    for dtype in ("float32", "float16", "bfloat16"):
        assert re.search(rf"{dtype} +correct +largest error 0\.\d+ of its bound", result.stdout)


def test_verify_says_where_and_why_a_kernel_is_wrong(kernel: Path) -> None:
    result = foundry("verify", "-", "--dtype", "float32", stdin=SILU.replace("1.0f", "1.5f"))
    assert result.exit_code == 4
    assert "wrong_result" in result.stdout
    assert "output 'out' is wrong" in result.stdout


@pytest.mark.parametrize("taken", [True, False])
def test_a_command_that_must_wait_says_so(taken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeviceLock, "is_taken", lambda lock: taken)
    wrong = SILU.replace("1.0f", "1.5f")
    said = foundry("verify", "-", "--dtype", "float32", stdin=wrong).stderr
    assert said == ("waiting: another command times on this device\n" if taken else "")


def test_verify_json_is_one_document(kernel: Path) -> None:
    result = foundry("verify", str(kernel), "--dtype", "float16", "--json")
    document = json.loads(result.stdout)
    assert (document["status"], document["passed"], document["op"]) == ("correct", True, "silu")
    (evaluation,) = document["evaluations"]
    assert evaluation["kernel_hash"] == document["kernel_hash"]
    assert evaluation["device_id"] == document["device"]["id"]
    assert evaluation["timings"] == []


@pytest.mark.parametrize("command", ["verify", "bench"])
@pytest.mark.parametrize(
    ("broken", "line", "reason"),
    [
        ("nothing", 1, "no '/*kernel' line"),
        (SILU.replace("// --- body ---", ""), 1, "no '// --- body ---' line"),
        (SILU.replace("threadgroup", "threadgruop"), 4, "did you mean threadgroup?"),
        (SILU.replace('"silu"', '"sliu"'), 2, "unknown op 'sliu': did you mean silu"),
        (SILU.replace('grid = ["rows', 'grid = ["__import__(1)'), 3, "grid"),
        (SILU.replace("= [256", "= 256"), 4, "not TOML"),
    ],
)
def test_a_broken_file_is_invalid_with_file_line_and_reason(
    command: str, broken: str, line: int, reason: str, kernel: Path
) -> None:
    kernel.write_text(broken)
    result = foundry(command, str(kernel))
    assert result.exit_code == 4
    assert result.stdout.startswith(f"{kernel}:{line}: invalid: ")
    assert reason in result.stdout
    document = json.loads(foundry(command, str(kernel), "--json").stdout)
    assert document["status"] == "invalid"
    assert document["diagnostics"][0]["line"] == line


def test_a_name_that_no_axis_has_is_invalid_too(kernel: Path) -> None:
    kernel.write_text(SILU.replace("rows *", "row *"))
    result = foundry("verify", str(kernel), "--dtype", "float32")
    assert result.exit_code == 4
    assert f"{kernel}:3: unknown axis or constant 'row': did you mean rows?" in result.stdout


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        (SILU.replace("float v", "flaot v"), 8),
        (SILU.replace("// --- body", "inline flaot f() { return 1; }\n\n// --- body"), 6),
    ],
)
def test_a_compiler_error_names_the_line_of_the_file(broken: str, line: int, kernel: Path) -> None:
    kernel.write_text(broken)
    result = foundry("verify", str(kernel), "--dtype", "float32")
    assert result.exit_code == 4
    assert "build_error" in result.stdout
    assert re.search(rf"^{kernel}:{line}:\d+: error: .*flaot", result.stdout, re.MULTILINE)


def test_files_that_are_no_text_or_not_there(tmp_path: Path) -> None:
    binary = tmp_path / "b.metal"
    binary.write_bytes(b"\xff\xfe\x00\x9f")
    refused = foundry("verify", str(binary))
    assert refused.exit_code == 4
    assert "b.metal:1: invalid: " in refused.stdout
    missing = foundry("verify", str(tmp_path / "none.metal"))
    assert missing.exit_code == 2
    assert "none.metal" in missing.stderr


def test_bench_times_in_pairs_with_the_baseline(filled_once: Path) -> None:
    printed = filled_once.with_name("bench.json").read_text()
    (timing,) = json.loads(printed)["evaluations"][0]["timings"]
    assert len(timing["samples_kernel_us"]) == len(timing["samples_baseline_us"]) > 5
    assert timing["speedup_low"] <= timing["speedup"] <= timing["speedup_high"]


@pytest.mark.slow
def test_bench_says_what_its_numbers_are(kernel: Path) -> None:
    assert "lower bound of the speedup" in foundry("bench", str(kernel)).stdout


@pytest.mark.slow
def test_list_report_and_exports_tell_what_was_saved(filled: Path, tmp_path: Path) -> None:
    kernels = json.loads(foundry("list", "kernels", "--json").stdout)
    assert [k["status"] for k in kernels][0] == "wrong_result"
    assert kernels[1]["status"] in ("correct", "faster")
    assert kernels[1]["origin"] == {"kind": "file", "name": filled.name, "detail": {}}
    assert (
        len(json.loads(foundry("list", "kernels", "--status", "wrong_result", "--json").stdout))
        == 1
    )

    (entry,) = json.loads(foundry("report", "--json").stdout)
    assert entry["statuses"]["wrong_result"] == 1
    assert entry["best"][0]["kernel_hash"] == kernels[1]["kernel_hash"]
    assert "wrong_result 1" in foundry("report").stdout

    text = foundry("report", "--kernel", kernels[1]["kernel_hash"][:8]).stdout
    assert text == SILU
    assert len(json.loads(foundry("list", "runs", "--json").stdout)) == 2

    out = tmp_path / "out"
    exported = json.loads(
        foundry("export", "-o", str(out), "--format", "jsonl,parquet", "--json").stdout
    )
    assert exported["rows"] == 2
    lines = (out / "attempts.jsonl").read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines][1] == "wrong_result"
    only = foundry("export", "-o", str(out), "--status", "wrong_result", "--json")
    assert json.loads(only.stdout)["rows"] == 1

    chats = json.loads(foundry("export-sft", "-o", str(out / "sft"), "--json").stdout)
    assert chats["files"]["train.jsonl"] == 1
    (row,) = (out / "sft" / "train.jsonl").read_text().splitlines()
    assert SILU.strip() in json.loads(row)["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("report", "--kernel", "0000"), "no kernel '0000'"),
        (("report", "--kernel", "xyz"), "is not a kernel hash"),
        (("export", "--run", "77"), "no run 77"),
        (("export", "--device-id", "metal"), "no device 'metal'"),
        (("export", "--status", "fastr"), "did you mean faster"),
        (("export", "--format", "csv"), "unknown format 'csv'"),
        (("export-sft", "--valid", "elementwize"), "did you mean elementwise"),
        (("list", "kernel"), "did you mean kernels"),
    ],
)
def test_names_that_do_not_exist_are_usage_errors(
    filled: Path, args: tuple[str, ...], said: str
) -> None:
    result = foundry(*args)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_database_that_is_not_there_is_answered_with_the_way_to_fill_it() -> None:
    for command in (["report"], ["list", "kernels"], ["list", "runs"], ["export"], ["export-sft"]):
        result = foundry(*command)
        assert result.exit_code == 3, command
        assert "foundry run" in result.stderr


def test_list_needs_no_database() -> None:
    ops = json.loads(foundry("list", "--json").stdout)
    assert {"softmax", "attention"} <= {op["op"] for op in ops}
    templates = json.loads(foundry("list", "templates", "--op", "softmax", "--json").stdout)
    assert templates[0]["start"]
    assert all(t["op"] == "softmax" and t["points"] > 0 for t in templates)


def test_an_op_of_ones_own_is_listed_and_judged(tmp_path: Path) -> None:
    (tmp_path / "my_ops.py").write_text(
        "import numpy as np\n"
        "from ops import Case, Op, Tensor, axes\n"
        "SHAPE = ('rows', 'cols')\n"
        "CASES = (Case({'rows': 1, 'cols': 3}), Case({'rows': 4, 'cols': 17}))\n"
        "def oracle(inputs, workload):\n    return (inputs['x'] * 3.0,)\n"
        "TRIPLE = Op(name='triple', family='mine', formula='out = 3 x', axes=axes('rows cols'),\n"
        "    inputs=(Tensor('x', SHAPE),), outputs=(Tensor('out', SHAPE),), oracle=oracle,\n"
        "    baselines={'mx': 'x * 3'}, flops='rows * cols', visible=CASES,\n"
        "    hidden=(Case({'rows': 0, 'cols': 3}), Case({'rows': 3, 'cols': 1})),\n"
        "    bench=(Case({'rows': 8, 'cols': 64}, label='mine'),))\n"
    )
    text = SILU.replace("silu", "triple").replace(
        "v / (1.0f + metal::precise::exp(-v))", "v * 3.0f"
    )
    mine = ("--op-file", str(tmp_path / "my_ops.py"))
    assert "triple" in foundry("list", *mine).stdout
    result = foundry("bench", "-", *mine, stdin=text)
    assert result.exit_code == 0, result.output
    assert foundry("bench", "-", *mine, stdin=text.replace("3.0f", "2.0f")).exit_code == 4
    assert "unknown op" in foundry("verify", "-", stdin=text).stdout


@pytest.mark.slow
def test_the_kernels_of_the_documentation_are_right(tmp_path: Path) -> None:
    pages = [ROOT / "docs" / name for name in ("kernel-file.md", "first-search.md", "index.md")]
    blocks = [b for p in pages for b in re.findall(r"```metal\n(.*?)```", p.read_text(), re.DOTALL)]
    assert len(blocks) >= 2
    for block in blocks:
        result = foundry("verify", "-", "--dtype", "float32", stdin=block)
        assert result.exit_code == 0, result.output


def test_doctor_proves_that_this_machine_works() -> None:
    result = foundry("doctor", "--json")
    document = json.loads(result.stdout)
    assert document["usable"], document
    assert result.exit_code == 0
    states = {check["name"]: check["state"] for check in document["checks"]}
    assert states["engine cpu"] == states["kernel"] == states["mlx"] == "ok"
    assert states["compiler"] == states["sanitizer"] == "ok"
    assert "broken" not in states.values()
    assert document["device"]["kind"] == "cpu"
    assert document["proven"] == (states["clock"] == "ok")


def test_doctor_says_the_first_reason_why_nothing_is_proven() -> None:
    from foundry.cli.machine.checks import DoctorCheck
    from foundry.cli.machine.proving import conclude

    checks = [
        DoctorCheck("keys", "absent", "none set"),
        DoctorCheck("compiler", "ok", "links"),
        DoctorCheck("sanitizer", "broken", "it does not survive: Crash", "Report it."),
        DoctorCheck("kernel", "broken", "no answer"),
    ]
    found = conclude(checks, "cpu")
    assert found.state == "broken"
    assert found.found == "not proven: sanitizer: it does not survive: Crash"
    good = [DoctorCheck(name, "ok", "") for name in ("compiler", "sanitizer", "kernel", "clock")]
    assert conclude(good, "cpu").found.startswith("proven on this machine: ")
    assert conclude(good[:2], "cpu").state == "broken"


def test_doctor_names_keys_and_never_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret-123")
    from foundry.cli.machine.checks import check_keys

    assert [check.found for check in check_keys()] == ["ANTHROPIC_API_KEY"]


def test_doctor_exits_3_with_a_fix_where_something_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "other.db"
    database.write_text("no database, but a text of some length\n" * 100)
    (tmp_path / "file").touch()
    monkeypatch.setenv("FOUNDRY_CACHE_DIR", str(tmp_path / "file" / "cache"))
    result = foundry("doctor", "--db", str(database))
    assert result.exit_code == 3
    assert re.search(r"database +broken +.*not a database", result.stdout)
    assert re.search(r"build cache +broken", result.stdout)
    assert "fix:" in result.stdout
    assert "Traceback" not in result.output


def test_completion_offers_commands_and_names() -> None:
    from click.shell_completion import ShellComplete

    complete = ShellComplete(application, {}, "foundry", "_FOUNDRY_COMPLETE")
    assert [c.value for c in complete.get_completions([], "ver")] == ["verify"]
    found = complete.get_completions(["run", "--ops"], "softmax,rms")
    assert "softmax,rms_norm" in [c.value for c in found]
    assert [c.value for c in complete.get_completions(["list"], "te")] == ["templates"]


def test_listing_loads_neither_mlx_nor_the_database() -> None:
    import subprocess
    import sys

    probe = (
        "import sys; from foundry.cli.commands import application;"
        "application.main(['list'], standalone_mode=False);"
        "heavy = {'mlx', 'mlx.core', 'sqlalchemy', 'rich', 'jinja2', 'anthropic', 'openai'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
