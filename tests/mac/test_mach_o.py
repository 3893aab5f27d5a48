"""Kernels and runtimes built for a Mac here, and what their files say."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from foundry.msl.build import macho, objects
from foundry.msl.build.compiler import CompilerFailed
from foundry.msl.build.target import BuildTarget
from foundry.msl.build.toolchain import Toolchain, find_toolchain
from foundry.msl.counters import toolchain as counters
from foundry.msl.frontend.signature import capture_launch
from foundry.msl.gpu import toolchain as gpu
from foundry.msl.run.builder import Builder, Text
from foundry.msl.sanitizer.checks import toolchain as sanitizer
from foundry.program import Launch, TensorSpec

SYSTEM = "/usr/lib/libSystem.B.dylib"
TREE = """
    threadgroup float part[32];
    uint t = thread_position_in_threadgroup.x;
    float sum = simd_sum(x[thread_position_in_grid.x]);
    if (thread_index_in_simdgroup == 0) part[simdgroup_index_in_threadgroup] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    out[thread_position_in_grid.x] = part[t % simdgroups_per_threadgroup] + exp(x[t]);"""
FLAT = "uint i = thread_position_in_grid.x; out[i] = half(x[i]) * bfloat(2) + precise::tanh(x[i]);"
KINDS = ("plain", "sanitized", "quick", "counted", "gpu")


@pytest.fixture(scope="module", params=["arm64", "x86_64"])
def mac(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    """A toolchain for a Mac with an empty cache, the module's own."""
    target = BuildTarget("darwin", request.param, is_native=False)
    return find_toolchain(tmp_path_factory.mktemp("cache"), target)


def builder(kind: str, plain: Toolchain) -> Builder:
    if kind == "plain":
        return Builder(plain)
    if kind == "counted":
        return counters.builder_on(plain)
    if kind == "gpu":
        return gpu.builder_on(plain)
    checked = sanitizer.builder_on(plain)
    return sanitizer.quick_on(checked) if kind == "quick" else checked


def build(made: Builder, body: str, target: Path, header: str = "") -> macho.Object:
    launch = Launch(
        "k", ("x",), (TensorSpec("out", (64,), "float32"),), body, (64, 1, 1), (64, 1, 1), header
    )
    captured = capture_launch(launch, [TensorSpec("x", (64,), "float32")])
    unit = made.translate(Text(captured, header, body))
    made.toolchain.compile(unit.text, "safe", target)
    return macho.read(target.read_bytes())


@pytest.mark.parametrize("body", [TREE, FLAT], ids=["tree", "flat"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_flavour_links_for_a_mac(
    kind: str, body: str, mac: Toolchain, tmp_path: Path
) -> None:
    made = builder(kind, mac)
    found = build(made, body, tmp_path / "kernel.so")
    runtime = made.toolchain.runtime
    path = runtime() if callable(runtime) else runtime
    assert found.libraries == [str(path), SYSTEM]
    assert found.signature_bytes > 0 or mac.target.machine == "x86_64"
    assert objects.fault_of(tmp_path / "kernel.so") is None
    assert {s.library for s in found.symbols if s.library} <= {str(path), SYSTEM}
    loaded = macho.read(path.read_bytes())
    assert loaded.install_name == str(path)
    assert loaded.libraries == [SYSTEM]
    offered = {s.name for s in loaded.symbols if s.section}
    assert {s.name for s in found.symbols if s.library == str(path)} <= offered


@pytest.mark.parametrize("kind", ["plain", "gpu"])
def test_tables_between_bounds_of_a_section_are_read_only(
    kind: str, mac: Toolchain, tmp_path: Path
) -> None:
    found = build(builder(kind, mac), TREE, tmp_path / "kernel.so")
    (table,) = (s for s in found.sections if s.name == "mf_storage")
    assert (table.segment, table.is_writable, table.size) == ("__DATA_CONST", False, 16)


def test_the_sanitizer_gives_its_handlers_stack_back(mac: Toolchain) -> None:
    """By a call of the system, without which a second overflow would find no stack."""
    path = sanitizer.builder_on(mac).toolchain.runtime
    used = {s.name for s in macho.read(path.read_bytes()).symbols if s.library == SYSTEM}
    assert {"___sigreturn", "_sigaltstack", "_sigaction"} <= used


KEEPS = {
    "global": 'static unsigned calls; extern "C" unsigned f() { return ++calls; }',
    "initialised": 'static unsigned calls = 7; extern "C" unsigned f() { return ++calls; }',
    "table": 'float calls[4096]; extern "C" float f(int i) { return calls[i] += 1; }',
    "local": 'extern "C" unsigned f() { static unsigned calls; return ++calls; }',
    "member": 'struct S { static inline unsigned calls; }; extern "C" unsigned f() '
    "{ return S::calls++; }",
    "template": "template <typename U> struct S { static inline U calls; }; "
    'extern "C" unsigned f() { return S<unsigned>::calls++; }',
}
"""The front end refuses them on their line; what slips past it is seen in the file."""


@pytest.mark.parametrize("how", KEEPS)
def test_variables_that_outlive_a_launch_are_refused(
    how: str, mac: Toolchain, tmp_path: Path
) -> None:
    fault = object_of(mac, KEEPS[how], tmp_path / "library.so")
    assert fault is not None
    assert fault.variable == "calls"
    assert "'calls' would keep a value from one launch to the next" in fault.reason


def object_of(mac: Toolchain, text: str, target: Path) -> objects.Fault | None:
    """What is wrong with a library of this C++ text."""
    made = target.with_suffix(".o")
    command = ["clang", "-x", "c++", *mac.target.flags, "-O1", "-c", "-", "-o", str(made)]
    mac.run(command, text)
    mac.link(made, target, [str(mac.runtime())])
    return objects.fault_of(target)


FAULTS = {
    "early": (
        "volatile int x; __attribute__((constructor)) void b() { x = 4; }",
        "runs before the kernel",
    ),
    "thread": (
        'thread_local int calls = 1; extern "C" int f() { return calls++; }',
        "would keep",
    ),
    "library": (
        'extern "C" { int system(const char*); int f() { return system("ls"); } }',
        "'system' is no function of Metal",
    ),
}


@pytest.mark.parametrize("how", FAULTS)
def test_other_things_a_kernel_must_not_have_are_refused(
    how: str, mac: Toolchain, tmp_path: Path
) -> None:
    text, said = FAULTS[how]
    fault = object_of(mac, text, tmp_path / "library.so")
    assert fault is not None
    assert said in fault.reason


def test_what_the_compiler_calls_on_its_own_is_no_fault(mac: Toolchain, tmp_path: Path) -> None:
    text = (
        "struct S { char c[9000]; }; extern \"C\" void f(S* a, S* b, int* n) { *a = S{}; *b = *a;"
        " for (int i = 0; i < 5000; ++i) n[i] = 7; }"
    )  # fmt: skip
    assert object_of(mac, text, tmp_path / "library.so") is None


def test_a_name_that_nobody_has_does_not_link(mac: Toolchain, tmp_path: Path) -> None:
    text = 'extern "C" int nobody(); extern "C" int f() { return nobody(); }'
    with pytest.raises(CompilerFailed, match="nobody"):
        object_of(mac, text, tmp_path / "library.so")


@pytest.mark.parametrize("bytes_", [80_000, 400_000])
def test_a_large_frame_touches_every_page(bytes_: int, mac: Toolchain) -> None:
    text = f"void use(char*); void f() {{ char frame[{bytes_}]; use(frame); }}"
    command = ["clang", "-x", "c++", "-O3", "-S", "-", "-o", "-"]
    probed = mac.run([*command, *mac.target.flags], text)
    bare = mac.run([*command, *mac.target.machine_flags], text)
    assert probes(probed) > probes(bare) == 0


def probes(assembly: str) -> int:
    """Stores at the bottom of the stack that only touch it."""
    touches: Callable[[str], bool] = lambda line: line.split() in (  # noqa: E731
        ["str", "xzr,", "[sp]"], ["movq", "$0,", "(%rsp)"],
    )  # fmt: skip
    return sum(map(touches, assembly.replace("\t", " ").splitlines()))


def test_the_first_link_meets_the_limits_of_a_worker(tmp_path: Path) -> None:
    """With nothing cached, under the file limit of a process that runs kernels."""
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from foundry.harness.sandbox import limits\n"
        "from foundry.msl.build.target import BuildTarget\n"
        "from foundry.msl.build.toolchain import find_toolchain\n"
        "limits.apply(None)\n"
        "target = BuildTarget('darwin', 'arm64', is_native=False)\n"
        "print(find_toolchain(Path(sys.argv[1]), target).runtime())\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=120)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 20
