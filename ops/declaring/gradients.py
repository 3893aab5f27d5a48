"""Gradients: what ties a backward op to its forward one.

The backward op of `y = f(x, w)` is named by `gradient_of="f"`. It may read the inputs and outputs
of `f` under their own names and the gradient of an output `y` as `dy`; it gives the gradient of an
input `x` as `dx`. So whoever holds what `f` took and gave can call it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ops.errors import UsageError
from ops.spec import Op
from ops.workload import Tensor

_PREFIX = "d"


def check(ops: Mapping[str, Op]) -> None:
    """Hold every backward op to its forward one.

    Raises:
        UsageError: The first rule that is broken.
    """
    backward = [op for op in ops.values() if op.gradient_of]
    for op in backward:
        for problem in problems(op, ops):
            raise UsageError(f"op '{op.name}': {problem}")
    taken: dict[str, str] = {}
    for op in backward:
        if (other := taken.setdefault(op.gradient_of, op.name)) != op.name:
            raise UsageError(f"'{op.name}' and '{other}' are both gradient_of '{op.gradient_of}'")


def problems(backward: Op, ops: Mapping[str, Op]) -> Iterator[str]:
    """Every broken rule of one backward op, in words."""
    forward = ops.get(backward.gradient_of)
    if forward is None:
        yield f"gradient_of names '{backward.gradient_of}', which is no op"
        return
    known = {t.name: t for t in (*forward.inputs, *forward.outputs)}
    gradients = {_PREFIX + name: tensor for name, tensor in known.items()}
    cotangents = {n: t for n, t in gradients.items() if t in forward.outputs and _is_real(t)}
    wanted = {n: t for n, t in gradients.items() if t in forward.inputs and _is_real(t)}
    yield from _sizes(backward, forward)
    yield from _like(backward.inputs, {**known, **cotangents}, "input", forward)
    yield from _like(backward.outputs, wanted, "output", forward)
    for name in sorted(cotangents.keys() - {t.name for t in backward.inputs}):
        yield f"no input '{name}': {forward.name} has the output '{name[len(_PREFIX) :]}'"
    for name in sorted(wanted.keys() - {t.name for t in backward.outputs}):
        yield f"no output '{name}': {forward.name} has the input '{name[len(_PREFIX) :]}'"


def _is_real(tensor: Tensor) -> bool:
    return not tensor.is_whole


def _sizes(backward: Op, forward: Op) -> Iterator[str]:
    for name in backward.axis_names:
        if name not in forward.axis_names:
            yield f"axis '{name}' is no axis of {forward.name}"
    for name, value in backward.params.items():
        if type(forward.params.get(name)) is not type(value):
            yield f"parameter '{name}' is no such parameter of {forward.name}"


def _like(
    tensors: Iterable[Tensor], models: Mapping[str, Tensor], kind: str, forward: Op
) -> Iterator[str]:
    for tensor in tensors:
        model = models.get(tensor.name)
        if model is None:
            names = ", ".join(models)
            yield f"{kind} '{tensor.name}' is unknown to {forward.name}; {kind}s are among {names}"
        elif (tensor.shape, tensor.dtype) != (model.shape, model.dtype):
            yield (
                f"{kind} '{tensor.name}' is {tensor.dtype}{list(tensor.shape)}; {model.name} of "
                f"{forward.name} is {model.dtype}{list(model.shape)}"
            )
