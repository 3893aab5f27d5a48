"""Calls that take the kernel, on a machine that answers as a Mac."""

from __future__ import annotations

from pathlib import Path

import pytest
from softmax_package import ROWS, WRONG, entry, install, run, softmax_kernel

from foundry.program import Device

STAND_IN = Device("metal", "Apple M1 (foundry cpu engine)", {"cores": 7})
BEGIN = """
import mlx.core as mx
from foundry.msl.stand_in.metal import metal
with metal():
    import fast_ops
    from fast_ops import FUNCTIONS, dispatch
    choice = fast_ops.choice
    choice.MODE = "all"
    softmax = FUNCTIONS["softmax"]
    kernels = softmax.op["kernels"]
    def is_wrong(kernel):
        return "2 * total" in kernel["launches"][0]["body"]
    assert all(dispatch.verdict(softmax.op, k).passed is not is_wrong(k) for k in kernels)
    ran = []
    ready = fast_ops.launching.LaunchPlan.ready
    def seen(*given):
        made = ready(*given)
        def kernel(*arrays):
            ran.append([a.shape for a in arrays])
            return made(*arrays)
        return kernel
    fast_ops.launching.LaunchPlan.ready = seen
    plain = lambda v: mx.softmax(v, axis=-1)
    f = fast_ops.softmax
    x = mx.random.normal((2, 3, 17))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three kernels: one that is right, one that is wrong, one more that is right."""
    others = [softmax_kernel(body) for body in (WRONG, ROWS + "\n// again")]
    more = [entry(kernel, STAND_IN) for kernel in others]
    return install(tmp_path_factory.mktemp("kernel_path"), STAND_IN, *more)


CHECKS = {
    "a call folds, runs the kernel, and is ready the second time": """
    for _ in range(3):
        assert mx.allclose(f(x), plain(x)).item() and f(x).shape == x.shape
    assert set(map(tuple, ran)) == {((6, 17),)} and len(softmax.kept) == 1, ran
    f(x.astype(mx.float16)); f(x[0]); assert len(softmax.kept) == 3
""",
    "backwards takes the fallback's derivative around the kernel": """
    got = mx.grad(lambda v: f(v).square().sum())(x)
    assert ran and mx.allclose(got, mx.grad(lambda v: plain(v).square().sum())(x), atol=1e-6).item()
""",
    "forwards and over a batch MLX sees plain MLX": """
    tangent = mx.random.normal(x.shape)
    got, want = (mx.jvp(g, [x], [tangent])[1][0] for g in (f, plain))
    assert mx.allclose(got, want, atol=1e-6).item()
    assert mx.allclose(mx.vmap(f)(x), plain(x), atol=1e-6).item()
    assert mx.allclose(mx.vmap(f, in_axes=1, out_axes=1)(x), plain(x), atol=1e-6).item()
    both = mx.vmap(mx.grad(lambda v: f(v).square().sum()))(x)
    assert mx.allclose(both, mx.grad(lambda v: plain(v).square().sum())(x), atol=1e-6).item()
    assert not ran, ran
    assert f(x).shape == x.shape and ran
""",
    "exports and compilations for any shape hold plain MLX": """
    mx.export_function("f.mlxfn", f, x)
    assert mx.allclose(mx.import_function("f.mlxfn")(x)[0], plain(x), atol=1e-6).item()
    with mx.exporter("g.mlxfn", f) as exporter:
        exporter(x); exporter(x[0])
    assert mx.allclose(mx.import_function("g.mlxfn")(x[0])[0], plain(x[0]), atol=1e-6).item()
    any_shape = mx.compile(f, shapeless=True)
    for given in (x, x[:1], mx.random.normal((5, 4, 33))):
        assert mx.allclose(any_shape(given), plain(given), atol=1e-6).item()
    assert not ran, ran
""",
    "what is wrong stays one sentence, however often it is said": """
    said = ["x is int32; give float32, float16 or bfloat16", "x is None; give an array"]
    for given, words in 2 * list(zip((mx.zeros((2, 3), mx.int32), None), said)):
        try:
            softmax((given,), {})
        except ValueError as error:
            assert str(error) == f"softmax: {words}", error
        else:
            raise AssertionError("taken")
    assert f(mx.array([1, 2, 3])).tolist() == mx.softmax(mx.array([1, 2, 3])).tolist()
    assert f([1.0, 1.0]).tolist() == [0.5, 0.5]
    assert not [key for key in softmax.kept if mx.int32 in key[0]], softmax.kept
""",
    "what is kept has an end": """
    fast_ops.dispatch.MOST_KEPT = 3
    for cols in range(1, 9):
        f(mx.zeros((1, cols)))
    assert len(softmax.kept) <= 3
""",
    "outside of what was proven plain MLX answers": """
    for rows, cols in ((513, 17), (3, 4097), (512, 2048), (200, 1024)):
        assert f(mx.zeros((rows, cols))).shape == (rows, cols)
    assert not ran, ran
    said = softmax.choose(fast_ops.arguments.match(softmax.op, [mx.zeros((512, 2048))], {}))
    assert said.why == "2097152 elements are more than what was proven, 1048576", said
    f(mx.zeros((4, 4096)))
    assert ran == [[(4, 4096)]], ran
    for kernel in kernels:
        kernel["record"]["proven"] = None
    f(mx.zeros((4, 4000)))
    assert len(ran) == 1, ran
""",
    "a kernel that is wrong here is off, and the others serve": """
    kernels.sort(key=is_wrong, reverse=True)
    wrong = kernels[0]
    assert mx.allclose(f(x), plain(x)).item() and ran
    said = {row["dtype"]: row for row in fast_ops.info()}["float32"]
    assert said["path"] == "kernel" and wrong["hash"][:12] not in said["why"], said
    kernels[:] = [wrong]
    dispatch.forget()
    ran.clear()
    assert mx.allclose(f(x), plain(x)).item() and not ran
    said = {row["dtype"]: row for row in fast_ops.info()}["float32"]
    assert said["path"] == "baseline" and "is off: out: error is" in said["why"], said
""",
    "a cache with times of another op's sizes is made anew, and costs no call": """
    import json
    choice.MODE = "auto"
    file = dispatch.here().file
    document = json.loads(file.read_text())
    times = {"speedup": 2.0, "low": 1.9, "high": 2.1, "chance": 1.0,
             "same_bits": True, "baseline": "b"}
    for axes in ({"m": 6}, {"rows": 6}, {}, {"rows": 6, "cols": 17, "more": 1}):
        broken = {choice.key_of(k): [dict(times, axes=axes)] for k in kernels}
        file.write_text(json.dumps(dict(document, points=broken)))
        dispatch.forget()
        assert mx.allclose(f(x), plain(x)).item() and not ran and fast_ops.info()
        assert not dispatch.here().points
""",
    "without its checks no kernel of the package is trusted, and calls are answered": """
    file = fast_ops.device.HERE / "checks.safetensors"
    content = file.read_bytes()
    for left in (None, b"", content[:100], content[:-9], bytes(len(content))):
        file.unlink(missing_ok=True)
        if left is not None:
            file.write_bytes(left)
        fast_ops.device.cache_file().unlink(missing_ok=True)
        fast_ops.checking.arrays.cache_clear()
        dispatch.forget()
        assert mx.allclose(f(x), plain(x)).item() and not ran, left
        said = {row["dtype"]: row for row in fast_ops.info()}["float32"]
        assert said["path"] == "baseline" and "is off: not checked: " in said["why"], said
    file.write_bytes(content)
    fast_ops.device.cache_file().unlink()
""",
    "a kernel answers where it was timed to win, and nowhere else": """
    from fast_ops.learning.regions import TimedPoint
    choice.MODE = "auto"
    right = [k for k in kernels if not is_wrong(k)]
    def timed(kernel, rows, gain):
        point = TimedPoint({"rows": rows, "cols": 17}, gain, gain, gain, 1.0)
        dispatch.here().add(choice.key_of(kernel), [point])
    for kernel in kernels:
        timed(kernel, 1000, 0.5)
    for rows, gains in ((4, (1.5, 1.2)), (8, (1.5, 2.0)), (16, (0.9, 2.0))):
        for kernel, gain in zip(right, gains):
            timed(kernel, rows, gain)
    dispatch.forget_decisions()
    def chosen(rows):
        call = fast_ops.arguments.match(softmax.op, [mx.zeros((rows, 17))], {})
        return softmax.choose(call)
    assert chosen(4).kernel is right[0] and chosen(6).kernel is right[0], chosen(6)
    assert chosen(12).kernel is right[1] and "2.00x" in chosen(12).why
    assert chosen(3).kernel is None and "not known to win" in chosen(3).why
    assert chosen(17).kernel is None
    said = {row["dtype"]: row for row in fast_ops.info()}["float32"]["why"]
    assert "rows 8 to 16, cols 17 (2.00x, confidence 1.00)" in said, said
""",
    "tuning verifies, times, and keeps what it learnt": """
    import json
    from pathlib import Path
    from fast_ops.main import main
    choice.MODE = "auto"
    Path("shapes.json").write_text(json.dumps([{"op": "softmax", "rows": 3, "cols": 17}]))
    fast_ops.tuning.sizes._SWEEP = (2, 4)
    call = ["tune", "--shapes", "shapes.json", "--json"]
    fast_ops.main.TimingRules = lambda: fast_ops.tuning.timing.TimingRules(pairs=2, limit_s=0.1)
    assert main(FUNCTIONS, fast_ops.info, call) == 0
    document = json.loads(fast_ops.device.cache_file().read_text())
    assert document["identity"]["chip"] == "Apple M1 (foundry cpu engine)"
    rows = {key: {p["axes"]["rows"] for p in found} for key, found in document["points"].items()}
    keys = {choice.key_of(k): is_wrong(k) for k in kernels}
    assert rows == {key: {2, 3, 4} for key, wrong in keys.items() if not wrong}, rows
    off = {key for key, verdict in document["verdicts"].items() if not verdict["passed"]}
    assert off == {key for key, wrong in keys.items() if wrong}
    before = document["points"]
    fast_ops.tuning.sizes._SWEEP = (2, 5, 6)
    inputs = fast_ops.tuning.tune.timed_call
    def failing(op, dtype, sizes, samples):
        if sizes["axes"]["rows"] == 5:
            raise RuntimeError("too large")
        return inputs(op, dtype, sizes, samples)
    fast_ops.tuning.tune.timed_call = failing
    assert main(FUNCTIONS, fast_ops.info, call) == 0
    document = json.loads(fast_ops.device.cache_file().read_text())
    for key, found in document["points"].items():
        assert found[:3] == before[key] and [p["axes"]["rows"] for p in found[3:]] == [6], found
    assert main(FUNCTIONS, fast_ops.info, [*call, "--minutes", "0", "--anew"]) == 0
    assert json.loads(fast_ops.device.cache_file().read_text())["points"] == document["points"]
    Path("none.json").write_text("[]")
    assert main(FUNCTIONS, fast_ops.info, ["tune", "--shapes", "none.json"]) == 2
    assert main(FUNCTIONS, fast_ops.info, ["tune", "--shapes", "missing.json"]) == 2
    Path("deep.json").write_text("[" * 100_000)
    for wrong in (["--ops", "nothing"], ["--dtypes", "float8"], ["--minutes", "nan"],
                  ["--minutes=-1"], ["--shapes", "deep.json"], ["--model", "deep.json"]):
        assert main(FUNCTIONS, fast_ops.info, ["tune", *wrong]) == 2, wrong
""",
    "every kernel has a share of the time": """
    from fast_ops.tuning import tune
    import json
    here = dispatch.here()
    here.keep(), here.points.clear()  # what other checks have left on file
    here.file.write_text(json.dumps(here._document()))
    now, points = [0.0], {}
    def point(function, kernel, sizes, rules):
        now[0] += 1
        points.setdefault(choice.key_of(kernel), []).append(sizes["axes"]["rows"])
        return fast_ops.learning.regions.TimedPoint(sizes["axes"], 2.0, 1.9, 2.1, 1.0)
    tune._point = point
    fast_ops.tuning.sizes._SWEEP = (2, 4)
    rules = fast_ops.tuning.timing.TimingRules(clock=lambda: now[0])
    bases = {"softmax": [{"axes": {"rows": 3, "cols": 29}, "params": {}}]}
    found = list(tune.tune(FUNCTIONS, tune.TuneRequest(bases=bases, rules=rules, until_s=2.5)))
    assert list(points.values()) == [[2], [2, 3]], points
    assert [kernel.left for kernel in found] == [2, 0, 1], found
    del dispatch.here().verdicts[choice.key_of(kernels[0])]
    dispatch.here().add(choice.key_of(kernels[0]), [fast_ops.learning.regions.TimedPoint(
        {"rows": 9, "cols": 31}, 2.0, 1.9, 2.1, 1.0)])
    known = {key: len(found) for key, found in dispatch.here().points.items()}
    points.clear()
    anew = tune.TuneRequest(bases=bases, rules=rules, until_s=now[0] + 2.5, anew=True)
    list(tune.tune(FUNCTIONS, anew))
    assert list(points.values()) == [[2], [2, 3]], "those that are known are timed again"
    assert choice.key_of(kernels[0]) in dispatch.here().verdicts
    left = {key: len(found) for key, found in dispatch.here().points.items()}
    assert left == known, (left, known)
    points.clear()
    list(tune.tune(FUNCTIONS, tune.TuneRequest(bases=bases, rules=rules, anew=True)))
    assert sorted(points.values()) == [[2, 3, 4], [2, 3, 4, 9]], points
""",
    "what tuning did not do is said": """
    import contextlib, io, json
    from pathlib import Path
    from fast_ops.main import main
    choice.MODE = "auto"
    fast_ops.tuning.sizes._SWEEP = (2, 4)
    fast_ops.main.TimingRules = lambda: fast_ops.tuning.timing.TimingRules(pairs=2, limit_s=0.1)
    def tuned(sizes, *more):
        Path("said.json").write_text(json.dumps([{"op": "softmax", **sizes}]))
        with contextlib.redirect_stderr(io.StringIO()) as err:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                code = main(FUNCTIONS, fast_ops.info, ["tune", "--shapes", "said.json", *more])
        return code, out.getvalue() + err.getvalue()
    code, text = tuned({"rows": 3, "cols": 19}, "--minutes", "0")
    assert code == 0 and "time was up after --minutes 0: 3 kernels and 0 sizes" in text, text
    wide = {"rows": 3, "cols": 5000}
    code, text = tuned(wide)
    assert code == 0 and text.count("no size was timed: cols=5000 is outside of") == 2, text
    code, text = tuned({"rows": 3, "cols": 1 << 40})
    assert f"cols={1 << 40} has" in text and "at most 134217728 are timed" in text, text
    code, text = tuned(wide, "--dtypes", "float16")
    assert code == 2 and "no kernel of softmax is in float16; the package has" in text, text
    begun, time = [], fast_ops.tuning.tune._point
    def slow(*given):
        begun.append(given)
        return time(*given)
    fast_ops.tuning.tune._point = slow
    fast_ops.tuning.tune.TuneRequest.is_over = property(lambda self: len(begun) >= 1)
    code, text = tuned({"rows": 3, "cols": 23})
    assert "; 2 sizes are left" in text and "2 kernels and 2 sizes of others" in text, text
    def pressed(*given):
        raise KeyboardInterrupt
    fast_ops.main.tune = pressed
    code, text = tuned(wide)
    assert code == 130 and "interrupted; what was learnt is kept" in text, text
    fast_ops.main.tune = lambda *given: iter(())
    Path("a file").write_text("")
    import os
    os.environ["FAST_OPS_CACHE_DIR"] = "a file"
    dispatch.forget()
    code, text = tuned(wide)
    assert code == 1 and "not kept" in text and "cannot be written, so what was" in text, text
""",
    "a verdict of several lines is told in one": """
    import contextlib, io
    from fast_ops.main import main
    choice.MODE = "auto"
    said = "it does not build\\n  1 | int;\\n    ^"
    for kernel in kernels:
        found = fast_ops.learning.learnt.KernelVerdict(False, said)
        dispatch.here().judge(choice.key_of(kernel), found)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(FUNCTIONS, fast_ops.info, ["info"]) == 0
    lines = out.getvalue().splitlines()
    assert len(lines) == len(fast_ops.info()) and "build 1 | int; ^" in lines[0], lines
""",
    "in 16 bits an exact caller gets the baseline's bits or the baseline": """
    narrow = x.astype(mx.bfloat16)
    exact = softmax.kernel((narrow,), {}, exactly=True)
    free = softmax.kernel((narrow,), {}, exactly=False)
    assert free is None  # the kernels of this package are proven in float32
    assert softmax.kernel((x,), {}, exactly=True) is not None
    with mx.stream(mx.cpu):
        pass
    mx.set_default_device(mx.cpu)
    assert softmax.kernel((x,), {}, exactly=True) is None
    assert f(x).shape == x.shape and not ran
""",
    "a number that decides nothing is no new decision, and no array is held": """
    like = dict(softmax.op, params={"offset": 0})
    proven = {"params": {"offset": [0, 9]}}
    function = dispatch.CatalogFunction(like, softmax.fallback)
    asked = []
    serving = choice.serving
    def record(kernel):
        return dict(kernel["record"], proven={**kernel["record"]["proven"], **proven})
    def counted(*given, **named):
        asked.append(given)
        found, why = serving(*given, **named)
        return [(gain, dict(kernel, record=record(kernel))) for gain, kernel in found], why
    choice.serving = counted
    runs = [function.kernel((x,), {"offset": n}, exactly=False) for n in (0, 5, 9, 10, -1)]
    assert len(asked) == 1, asked
    assert [run is not None for run in runs] == [True, True, True, False, False]
    assert function.kernel((x,), {"offset": 5}, exactly=False) is runs[1]
    for n in (0, 5, 9, 10):
        assert function((x,), {"offset": n}).shape == x.shape
    assert len(asked) == 1, asked
    held = [value for kept in function.decided.values() for at in (kept, *kept.kernels)
            for value in vars(at).values()]
    arrays = (mx.array, fast_ops.arguments.MatchedCall)
    assert held and not any(isinstance(value, arrays) for value in held), held
    asked.clear()
    function = dispatch.CatalogFunction(dict(like, flops="offset"), softmax.fallback)
    for n in (1, 2):
        function.kernel((x,), {"offset": n}, exactly=False)
    assert len(asked) == 2, "what the work depends on decides"
""",
    "info says what the variable does": """
    choice.MODE = "off"
    assert {row["path"] for row in fast_ops.info()} == {"baseline"}
    assert "FAST_OPS_DISPATCH=off" in fast_ops.info()[0]["why"]
    choice.MODE = "auto"
    mx.set_default_device(mx.cpu)
    assert "the default device is the CPU" in fast_ops.info()[0]["why"]
""",
    "verify counts a kernel once in every dtype, and says whose gradients are kernels": """
    from fast_ops import verify
    more = dict(next(k for k in kernels if not is_wrong(k)), dtype="float16")
    kernels.append(more)
    paths = [(k["hash"][:12], k["dtype"]) for k in kernels]
    done = [verify.KernelCheck("softmax", *path, {}, True, "") for path in paths]
    told = verify.summary(done, FUNCTIONS)
    assert told["kernels"] == told["kernels_tested"] == 4, told
    assert told["not_tested"][-1] == "gradients: they come from the fallback"
    verify.gradient_of = lambda name: name
    told = verify.summary(done, FUNCTIONS)["not_tested"][-1]
    assert told == "gradients: they come from the fallback, but for softmax", told
""",
}


def test_a_module_that_is_not_there_is_named(site: Path) -> None:
    pytest.importorskip("mlx_lm")
    for module in ("nothing_here", "mlx_lm.nothing_here", "server.py"):
        found = run(site, "-m", "fast_ops", "run", module)
        assert found.returncode == 2
        assert found.stderr.startswith(f"error: there is no module {module} here;"), found.stderr


def test_a_reader_that_leaves_is_no_fault(site: Path) -> None:
    leaves = "import os, runpy, sys\nr, w = os.pipe()\nos.close(r)\nos.dup2(w, 1)\n"
    called = "sys.argv = ['fast_ops', 'info']\nrunpy.run_module('fast_ops', run_name='__main__')"
    found = run(site, "-c", leaves + called)
    assert (found.returncode, found.stderr) == (1, "")


@pytest.mark.parametrize("what", CHECKS)
def test_where_the_kernel_is_chosen(site: Path, what: str) -> None:
    found = run(site, "-c", BEGIN + CHECKS[what])
    assert found.returncode == 0, found.stderr
