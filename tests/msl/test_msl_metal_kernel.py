"""`foundry.metal_kernel` takes, refuses and returns what `mx.fast.metal_kernel` does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foundry
from foundry.msl.frontend.signature import Captured, parse
from foundry.msl.stand_in.metal_kernel import _Kernel

pytestmark = pytest.mark.skipif(
    mx.metal.is_available(), reason="on a Mac it is mx.fast.metal_kernel itself"
)
DTYPES = [
    mx.bool_, mx.uint8, mx.uint16, mx.uint32, mx.uint64, mx.int8, mx.int16, mx.int32, mx.int64,
    mx.float16, mx.bfloat16, mx.float32, mx.complex64,
]  # fmt: skip


def kernel(source: str, inputs: list[str], outputs: list[str], **more: Any) -> Callable[..., Any]:
    return foundry.metal_kernel("k", inputs, outputs, source, **more)


def elementwise(source: str, *arrays: Any, **more: Any) -> Any:
    """Runs a body over the elements of the first array into an output like it."""
    call = kernel(source, [f"x{n}" for n in range(len(arrays))], ["out"])
    shaped = {"output_shapes": [arrays[0].shape], "output_dtypes": [arrays[0].dtype]}
    size = (max(arrays[0].size, 1), 1, 1)
    return call(inputs=list(arrays), **shaped, grid=size, threadgroup=(64, 1, 1), **more)[0]


I = "uint i = thread_position_in_grid.x; "  # noqa: E741


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [1, 7, 8, 1000])
def test_arrays_of_every_dtype(dtype: Any, size: int) -> None:
    x = (mx.arange(size) % 100).astype(dtype)
    got = elementwise(I + "out[i] = x0[i];", x)
    assert got.dtype == dtype
    assert mx.array_equal(got, x)


def test_scalars_and_numpy_inputs() -> None:
    source = "out[0] = a; out[1] = b; out[2] = c; out[3] = d.imag; out[4] = e[1]; out[5] = f;"
    call = kernel(source, list("abcdef"), ["out"])
    values = [3, True, 1.5, 2j, np.array([1.0, 4.0]), np.float16(0.25)]
    got = call(
        inputs=values, output_shapes=[(6,)], output_dtypes=[mx.float32],
        grid=(1, 1, 1), threadgroup=(1, 1, 1),
    )[0]  # fmt: skip
    assert got.tolist() == [3, 1, 1.5, 2, 4, 0.25]


def test_empty_arrays_and_empty_grids() -> None:
    assert elementwise(I + "out[i] = x0_shape[0];", mx.zeros((0, 3))).shape == (0, 3)
    call = kernel("out[0] = 1;", ["x"], ["out"])
    got = call(
        inputs=[mx.zeros(3)], output_shapes=[(2,)], output_dtypes=[mx.int32], grid=(0, 1, 1),
        threadgroup=(1, 1, 1), init_value=7,
    )[0]  # fmt: skip
    assert got.tolist() == [7, 7]


def test_shape_strides_and_rank_describe_what_the_kernel_reads() -> None:
    source = """
        for (int d = 0; d < x_ndim; ++d) { out[d] = x_shape[d]; out[4 + d] = x_strides[d]; }
        out[8] = x_ndim; out[9] = x[x_strides[0]];"""
    x = mx.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)
    shaped = {"output_shapes": [(10,)], "output_dtypes": [mx.int32]}
    sizes = {"grid": (1, 1, 1), "threadgroup": (1, 1, 1)}
    raw = kernel(source, ["x"], ["out"], ensure_row_contiguous=False)(inputs=[x], **shaped, **sizes)
    assert raw[0].tolist()[:3] + raw[0].tolist()[4:7] == [4, 2, 3, 1, 12, 4]
    assert raw[0].tolist()[8:] == [3, 1]
    copied = kernel(source, ["x"], ["out"])(inputs=[x], **shaped, **sizes)
    assert copied[0].tolist()[:3] + copied[0].tolist()[4:7] == [4, 2, 3, 6, 3, 1]
    assert copied[0].tolist()[9] == x[1, 0, 0].item()


@pytest.mark.parametrize("view", ["transposed", "sliced", "broadcast", "offset"])
def test_views_are_read_as_arrays_or_as_they_lie(view: str) -> None:
    x = mx.arange(60).astype(mx.float32).reshape(5, 12)
    x = {
        "transposed": x.T, "sliced": x[:, ::3], "broadcast": mx.broadcast_to(x[1:2], (5, 12)),
        "offset": x[2:],
    }[view]  # fmt: skip
    assert mx.array_equal(elementwise(I + "out[i] = x0[i];", x), x)
    source = I + "out[i] = x[elem_to_loc(i, x_shape, x_strides, x_ndim)];"
    call = kernel(source, ["x"], ["out"], ensure_row_contiguous=False)
    got = call(
        inputs=[x], output_shapes=[x.shape], output_dtypes=[x.dtype], grid=(x.size, 1, 1),
        threadgroup=(32, 1, 1),
    )[0]  # fmt: skip
    assert mx.array_equal(got, x)


def test_templates_init_value_and_several_outputs() -> None:
    source = I + "if (F) a[i] = T(x[i]) + N; if (i == 0) b[0] = N;"
    call = kernel(source, ["x"], ["a", "b"])
    a, b = call(
        inputs=[mx.arange(4)], output_shapes=[(4,), (3,)], output_dtypes=[mx.float16, mx.int32],
        grid=(4, 1, 1), threadgroup=(4, 1, 1), init_value=2.0,
        template=[("T", mx.float16), ("N", -3), ("F", True)],
    )  # fmt: skip
    assert (a.tolist(), b.tolist()) == ([-3, -2, -1, 0], [-3, 2, 2])


def test_atomic_outputs() -> None:
    source = (
        "atomic_fetch_add_explicit(&out[x[thread_position_in_grid.x]], 1.5f, memory_order_relaxed);"
    )
    x = mx.array(np.random.default_rng(0).integers(0, 5, 5000).astype(np.int32))
    got = kernel(source, ["x"], ["out"], atomic_outputs=True)(
        inputs=[x], output_shapes=[(5,)], output_dtypes=[mx.float32], grid=(5000, 1, 1),
        threadgroup=(256, 1, 1), init_value=0,
    )[0]  # fmt: skip
    assert got.tolist() == [1.5 * int((x == n).sum().item()) for n in range(5)]


@pytest.mark.parametrize("math_mode", ["safe", "relaxed", "fast"])
def test_math_modes(math_mode: str) -> None:
    options = {"math_mode": math_mode}
    call = kernel(I + "out[i] = exp(x[i]);", ["x"], ["out"], compile_options=options)
    x = mx.linspace(-5, 5, 64)
    got = call(
        inputs=[x], output_shapes=[(64,)], output_dtypes=[mx.float32], grid=(64, 1, 1),
        threadgroup=(64, 1, 1),
    )[0]  # fmt: skip
    assert mx.allclose(got, mx.exp(x), rtol=1e-5)


def test_verbose_prints_what_mlx_prints(capfd: pytest.CaptureFixture[str]) -> None:
    elementwise(I + "out[i] = x0[i];", mx.zeros(8), verbose=True)
    printed = capfd.readouterr().out
    assert printed.startswith(
        "Generated source code for `k`:\n```\n[[kernel]] void custom_kernel_k"
    )


def test_streams() -> None:
    x = mx.zeros(8)
    for stream in (None, mx.gpu):
        assert elementwise(I + "out[i] = 1;", x, stream=stream).sum().item() == 8
    for stream in (mx.cpu, mx.default_stream(mx.cpu)):
        with pytest.raises(ValueError, match=r"^\[metal_kernel\] Only supports the GPU.$"):
            elementwise(I + "out[i] = 1;", x, stream=stream)


RUN = {
    "output_shapes": [(8,)], "output_dtypes": [mx.float32], "grid": (8, 1, 1),
    "threadgroup": (8, 1, 1),
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"inputs": [1, 2]}, ValueError, "Expected `inputs` to have size 1 but got size 2."),
        ({"output_shapes": []}, ValueError, "Expected `output_shapes` to have size 1 but got"),
        ({"output_dtypes": []}, ValueError, "Expected `output_dtypes` to have size 1 but got"),
        ({"template": [("T", 1.5)]}, ValueError, "Invalid template argument. Must be"),
        ({"template": {"T": 1}}, TypeError, "incompatible function arguments"),
        ({"grid": (1.5, 1, 1)}, TypeError, "incompatible function arguments"),
        ({"grid": (1, 1)}, TypeError, "incompatible function arguments"),
        ({"inputs": [[1, 2]]}, ValueError, "Invalid type list received in array initialization"),
        ({"threadgroup": (2048, 1, 1)}, ValueError, "Thread group size (2048) is greater than  "),
        ({"unknown": 1}, TypeError, "incompatible function arguments"),
        ({"inputs": [mx.zeros(8, mx.float64)]}, ValueError, "float64 is not supported on the GPU"),
    ],
)
def test_calls_that_do_not_fit(change: dict[str, Any], kind: type, message: str) -> None:
    call = kernel("out[0] = x[0];", ["x"], ["out"])
    with pytest.raises(kind) as caught:
        call(**{"inputs": [mx.zeros(8)], **RUN, **change})
    assert message in str(caught.value)


def test_constructions_that_do_not_fit() -> None:
    for arguments in (
        {"output_names": []},
        {"compile_options": {"foo": 1}},
        {"compile_options": {"math_mode": "wild"}},
        {"compile_options": 3},
        {"source": 3},
    ):
        usual = {"name": "k", "input_names": ["x"], "output_names": ["y"], "source": ""}
        make = cast(Callable[..., Any], mx.fast.metal_kernel)
        with pytest.raises((ValueError, TypeError)) as theirs:
            make(**{**usual, **arguments})
        with pytest.raises(theirs.type) as ours:
            foundry.metal_kernel(**{**usual, **arguments})  # type: ignore[arg-type]
        if theirs.type is ValueError:
            assert str(ours.value) == str(theirs.value)


def test_kernels_that_do_not_build() -> None:
    call = kernel("out[0] = nope;", ["x"], ["out"])
    with pytest.raises(
        RuntimeError, match="Unable to build metal library from source\nsource:1:10"
    ):
        call(inputs=[mx.zeros(8)], **RUN)
    call = kernel("threadgroup float s[9000]; s[0] = 1; out[0] = s[0];", ["x"], ["out"])
    with pytest.raises(RuntimeError, match=r"size \(36000\) exceeds the maximum .* \(32768\)"):
        call(inputs=[mx.zeros(8)], **RUN)


def test_threads_that_have_returned_do_not_hold_a_barrier_up() -> None:
    source = """
        threadgroup float s[8]; uint i = thread_position_in_grid.x;
        out[i] = 0; s[i] = i;
        if (i >= 4) return;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        out[i] = s[3 - i];"""
    got = kernel(source, ["x"], ["out"])(inputs=[mx.zeros(8)], **RUN)[0]
    assert got.tolist() == [3, 2, 1, 0, 0, 0, 0, 0]


def test_inside_custom_function_under_grad() -> None:
    @mx.custom_function
    def square(x: Any) -> Any:
        return elementwise(I + "out[i] = x0[i] * x0[i];", x)

    @square.vjp
    def square_vjp(primals: Any, cotangent: Any, _: Any) -> Any:
        return elementwise(I + "out[i] = 2 * x0[i] * x1[i];", primals, cotangent)

    x = mx.arange(5).astype(mx.float32)
    value, grad = mx.value_and_grad(lambda v: square(mx.sin(v)).sum())(x)
    assert mx.allclose(value, (mx.sin(x) ** 2).sum())
    assert mx.allclose(grad, 2 * mx.sin(x) * mx.cos(x), atol=1e-6)


@pytest.mark.parametrize("transform", [mx.compile, mx.vmap])
def test_transformations_that_trace_are_refused_in_one_sentence(transform: Any) -> None:
    traced = transform(lambda x: elementwise(I + "out[i] = x0[i];", x))
    with pytest.raises(RuntimeError, match="cannot be inside mx.compile or mx.vmap"):
        traced(mx.zeros((4, 4)))


NAMES = st.lists(
    st.sampled_from(["x", "dx", "y", "w_1", "inp", "gate", "Q"]), unique=True, max_size=4
)
WORDS = st.lists(
    st.sampled_from(
        ["x_shape", "dx_shape", "y_strides", "w_1_ndim", "inp_ndim", "thread_position_in_grid",
         "threads_per_grid", "dispatch_threads_per_threadgroup", "simdgroup_index_in_threadgroup",
         "grid_origin", "out_shape", "// )  {\n", ") {\n", "T", "\n", "}"]
    ),
    max_size=8,
).map(" ".join)  # fmt: skip
HEADERS = st.sampled_from(["", "int f();\n", "// template <typename T>", "#define A\n\n"])
TEMPLATES = st.lists(
    st.tuples(
        st.sampled_from(["T", "N", "F", "D"]),
        st.sampled_from([mx.float16, mx.bool_, mx.int64, 3, -7, True, False]),
    ),
    max_size=3,
    unique_by=lambda pair: pair[0],
)
ARRAYS = st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 5), max_size=3).map(tuple))


@settings(max_examples=150, deadline=None)
@given(
    names=NAMES, outputs=st.integers(1, 3), source=WORDS, header=HEADERS, template=TEMPLATES,
    specs=st.lists(ARRAYS, min_size=4, max_size=4), atomic=st.booleans(), data=st.data(),
)  # fmt: skip
def test_the_source_is_mlxs_and_comes_apart_where_mlx_put_it_together(
    names: list[str], outputs: int, source: str, header: str, template: list[Any],
    specs: list[Any], atomic: bool, data: st.DataObject,
) -> None:  # fmt: skip
    out_names = ["out", "out1", "out2"][:outputs]
    inputs = [mx.zeros(shape, dtype) for (dtype, shape), _ in zip(specs, names, strict=False)]
    arguments = {
        "inputs": inputs,
        "output_shapes": [(3,)] * outputs,
        "output_dtypes": [data.draw(st.sampled_from(DTYPES)) for _ in out_names],
        "grid": (3, 1, 1),
        "threadgroup": (2, 1, 1),
        "template": template,
    }
    theirs: list[Any] = []
    make = cast(Callable[..., Any], mx.fast.metal_kernel)
    generator = make("k", names, out_names, source, header, True, atomic)
    cast(Any, mx.export_function)(
        theirs.append, lambda *a: generator(**{**arguments, "inputs": list(a)}), *inputs
    )
    expected = next(e["arguments"] for e in theirs if e["type"] == "primitive")
    given = (tuple(names), tuple(out_names), source, header, True, "safe")
    ours = _Kernel(generator, "k", *given)._capture(arguments)
    assert [ours.kernel, ours.source, *ours.grid, *ours.threadgroup] == expected[:8]
    shape_args = any(f"{n}_{s}" in source for n in names for s in ("shape", "strides", "ndim"))
    if outputs == 1 or not shape_args or "[[thread" in ours.source or "[[grid" in ours.source:
        assert reassembled(ours, header, source) == ours.source


def reassembled(captured: Captured, header: str, source: str) -> str:
    """The generated text put together again from what `parse` took apart."""
    parts = parse(captured, header, source)
    lines = []
    for parameter in parts.parameters:
        slot = f"buffer({parameter.buffer})" if parameter.buffer is not None else parameter.name
        lines.append(f"  {parameter.type} {parameter.name} [[{slot}]]")
    template = parts.template + "\n" if parts.template else ""
    text = f"{header}{template}[[kernel]] void {parts.kernel}(\n" + ",\n".join(lines) + ") {\n"
    text += f"{source}\n}}\n"
    if parts.arguments:
        text += (
            f'\ntemplate [[host_name("{parts.kernel}")]] [[kernel]] decltype({parts.kernel}'
            f"{parts.arguments}) {parts.kernel}{parts.arguments};\n"
        )
    return text


SQUARE = kernel(I + "y[i] = x[i] * x[i];", ["x"], ["y"])


def square(x: Any) -> Any:
    size = (x.size, 1, 1)
    shaped: Any = {"output_shapes": [x.shape], "output_dtypes": [x.dtype]}
    return SQUARE(inputs=[x], grid=size, threadgroup=size, **shaped)[0]


@pytest.mark.parametrize(
    ("transformation", "call"),
    [
        ("vjp", lambda x: mx.grad(lambda v: square(v).sum())(x)),
        ("vjp", lambda x: mx.grad(lambda v: (v * square(v)).sum())(x)),
        ("vjp", lambda x: mx.value_and_grad(lambda v: square(v + 1).sum())(x)),
        ("jvp", lambda x: mx.jvp(square, (x,), (mx.ones((2,)),))),
        ("vmap", lambda x: mx.vmap(square)(x)),
    ],
)
def test_function_transformations_raise_as_mlx_does(
    transformation: str, call: Callable[[Any], Any]
) -> None:
    message = rf"\[Primitive::{transformation}\] Not implemented for CustomKernel."
    with pytest.raises(ValueError, match=message):
        call(mx.array([1.0, 2.0]))


def test_gradients_pass_beside_a_kernel() -> None:
    x = mx.array([1.0, 2.0])
    stopped = mx.grad(lambda v: (v * mx.stop_gradient(square(v))).sum())(x)
    assert stopped.tolist() == [1, 4]
    assert mx.grad(lambda v: (v * square(x)).sum())(x).tolist() == [1, 4]
    own: Any = mx.custom_function(square)
    own.vjp(lambda primals, cotangent, output: 2 * primals * cotangent)
    assert mx.grad(lambda v: own(v).sum())(x).tolist() == [2, 4]


@pytest.mark.parametrize(
    ("value", "dtype", "held"),
    [
        (16777217, mx.int32, 16777216),
        (float("inf"), mx.int32, 2**31 - 1),
        (float("nan"), mx.int32, 0),
        (-1, mx.uint32, 0),
        (300, mx.uint8, 44),
        (-1, mx.int8, -1),
        (2.0**64, mx.uint64, 2**64 - 1),
        (1e9, mx.float16, float("inf")),
        (0.1, mx.float32, float(np.float32(0.1))),
        (2, mx.bool_, True),
    ],
)
def test_init_value_is_a_float32(value: float, dtype: Any, held: float) -> None:
    call = kernel("if (thread_position_in_grid.x == 99) out[0] = 1;", [], ["out"])
    got = call(
        inputs=[], output_shapes=[(1,)], output_dtypes=[dtype], grid=(1, 1, 1),
        threadgroup=(1, 1, 1), init_value=value,
    )  # fmt: skip
    assert got[0].item() == held
