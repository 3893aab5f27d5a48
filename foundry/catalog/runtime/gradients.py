"""Gradients by the kernels of an op that is the gradient of another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from .arguments import Record


@dataclass(frozen=True)
class Backward:
    """A gradient op, as the op that it belongs to calls it.

    Its inputs are inputs and outputs of that op and, as `dout`, the gradient of its output `out`;
    its outputs are, as `dx`, those of the inputs.
    """

    op: Record
    forward: Record
    kernel: Callable[..., Any]
    """From arrays and numbers to what runs, None where no kernel serves them."""

    def __call__(
        self,
        names: Sequence[str],
        params: Mapping[str, Any],
        inputs: Sequence[mx.array],
        outputs: Any,
        cotangents: Sequence[mx.array],
    ) -> list[mx.array] | None:
        """Gradients of the inputs, in order; None where plain MLX has to find them."""
        given = outputs if isinstance(outputs, list | tuple) else [outputs]
        known = dict(zip(names, inputs, strict=True))
        for tensor, output, dual in zip(self.forward["outputs"], given, cotangents, strict=True):
            known |= {tensor["name"]: output, f"d{tensor['name']}": dual}
        wanted = [tensor["name"] for tensor in self.op["inputs"]]
        if not set(wanted) <= set(known):
            return None
        arrays = [known[name] for name in wanted]
        run = self.kernel(arrays, {name: params[name] for name in self.op["params"]}, exactly=False)
        if run is None:
            return None
        found = {t["name"]: g for t, g in zip(self.op["outputs"], run(*arrays), strict=True)}
        # Indices and the like have no gradient.
        pairs = zip(names, inputs, strict=True)
        return [found.get(f"d{n}", mx.zeros_like(a)) for n, a in pairs]
