"""`nn.QuantizedLinear` with codes of 4 or 8 bits, by `qmm_4bit` and `qmm_8bit`."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from ..pattern import Call, ModelPattern, Serving

_OPS = {4: "qmm_4bit", 8: "qmm_8bit"}


def _swap(kind: type, call: FunctionType, serving: Serving) -> Call | None:
    if kind is not nn.QuantizedLinear:
        return None

    def linear(self: Any, x: mx.array) -> Any:
        op = _OPS.get(self.bits, "") if self.mode == "affine" else ""
        if op not in serving.functions:
            return call(self, x)
        given = (x, self["weight"], self["scales"], self["biases"])
        run = serving.kernel(op, given, {"group": self.group_size})
        if run is None:
            return call(self, x)
        out = run(*given)[0]
        return out + self["bias"] if "bias" in self else out

    return linear


PATTERN = ModelPattern("quantised_linear", "edge", ("qmm_4bit", "qmm_8bit"), _swap)
