"""An engine for tests: the body of a kernel is a word that says what happens when it runs.

Right answers come from NumPy in float32, so that judge and harness are exercised without a
compiler. Workers load it by its import path, `directive_engine:DirectiveEngine`.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.program import Arrays, BuildFailure, Device, Launch, Program
from ops import registry
from ops.dtypes import numpy_dtype

_MEMORY: dict[Any, Any] = {}
Inputs = Mapping[str, NDArray[Any]]


def softmax(x: NDArray[Any], accumulate: Any = np.float32) -> NDArray[Any]:
    wide = x.astype(accumulate)
    e = np.exp(wide - wide.max(axis=-1, keepdims=True, initial=-np.inf))
    return (e / e.sum(axis=-1, keepdims=True, dtype=accumulate)).astype(x.dtype)


class DirectiveCall:
    def __init__(
        self, launch: Launch, inputs: Inputs, poison: bool, over: DirectiveCall | None = None
    ) -> None:
        source = "ghost" if launch.source == ";" else launch.source.strip().removeprefix("//")
        self._word, _, self._argument = source.partition(" ")
        self._inputs = dict(inputs)
        spec = launch.outputs[0]
        self._out = over._out if over else np.zeros(spec.shape, numpy_dtype(spec.dtype))
        self._poison = poison
        self._fill = launch.init_value

    def __call__(self) -> None:
        if self._fill is not None:
            self._out[...] = self._fill
        elif self._poison and self._out.size:
            self._out.reshape(-1).view(np.uint8)[:] = 0xFF
        getattr(self, f"_{self._word}")()

    def inputs(self) -> Arrays:
        return dict(self._inputs)

    def outputs(self) -> Arrays:
        if self._word == "wrongshape":
            return {"out": self._out.reshape(-1)}
        if self._word == "wrongdtype":
            return {"out": self._out.astype(np.float64)}
        if self._word == "missing":
            return {}
        return {"out": self._out.copy()}

    def _right(self) -> None:
        self._out[...] = softmax(self._inputs["x"])

    _wrongshape = _wrongdtype = _missing = _right

    def _late(self) -> None:
        time.sleep(float(self._argument))
        self._right()

    def _half(self) -> None:
        self._out[...] = softmax(self._inputs["x"].astype(np.float16), np.float16)

    def _zeros(self) -> None:
        self._out[...] = 0

    def _nothing(self) -> None:
        pass

    def _lastelement(self) -> None:
        self._right()
        if self._out.size:
            self._out.reshape(-1)[-1] *= np.asarray(1.01, self._out.dtype)

    def _onenan(self) -> None:
        self._right()
        if self._out.size:
            self._out.reshape(-1)[self._out.size // 2] = np.nan

    def _smallonly(self) -> None:
        if self._out.shape[-1] <= 4096:
            self._right()

    def _recall(self, key: object) -> None:
        """Compute once per key, then give what was computed then."""
        if key not in _MEMORY:
            _MEMORY[key] = softmax(self._inputs["x"])
        self._out[...] = _MEMORY[key]

    def _bypointer(self) -> None:
        self._recall((self._inputs["x"].ctypes.data, self._out.shape))

    def _byfingerprint(self) -> None:
        x = self._inputs["x"].reshape(-1)
        self._recall((self._out.shape, bytes(x[:1]), bytes(x[-1:])))

    def _bycontent(self) -> None:
        self._recall((self._out.shape, self._inputs["x"].tobytes()))

    def _unlessdone(self) -> None:
        """Work only where the output looks as if nobody had written it."""
        if self._out.size and (np.isnan(self._out).all() or not self._out.any()):
            self._right()

    def _whenlisted(self) -> None:
        """Right at the sizes that the op lists, which anybody can read."""
        self._right()
        op = registry.get("softmax")
        cases = (*op.visible, *op.hidden, *op.bench)
        if self._out.shape not in {(c.axes["rows"], c.axes["cols"]) for c in cases}:
            self._out[...] = 0

    def _once(self) -> None:
        """Work in the first call only; the output is where it was."""
        if self not in _MEMORY:
            _MEMORY[self] = self._out
            self._right()

    def _zeroinput(self) -> None:
        self._right()
        self._inputs["x"][...] = 0

    def _aroundinput(self) -> None:
        self._right()
        x = self._inputs["x"]
        (ctypes.c_char * 8).from_address(x.ctypes.data + x.nbytes)[:] = b"overflow"

    def _race(self) -> None:
        self._right()
        if self._out.size:
            self._out.reshape(-1).view(np.uint32)[0] ^= np.uint32(os.urandom(1)[0] & 1)

    def _haunt(self) -> None:
        """Right, and it goes on writing to its output after it has returned."""
        self._right()
        _MEMORY.setdefault("haunted", []).append(self._out)

    def _ghost(self) -> None:
        for out in _MEMORY.get("haunted", []):
            if out.shape == self._out.shape:
                self._out[...] = out

    def _hang(self) -> None:
        while True:
            time.sleep(1)

    def _segv(self) -> None:
        ctypes.string_at(0)

    def _abort(self) -> None:
        os.abort()

    def _exit(self) -> None:
        os._exit(0)

    def _raise(self) -> None:
        raise RuntimeError("device lost")

    def _noise(self) -> None:
        os.write(1, b"PASS\n" * 1000)
        os.write(2, b"PASS\n" * 1000)
        self._right()

    def _forge(self) -> None:
        """Write a frame that claims success on every descriptor there is."""
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, b"MFM1" + bytes(12))
            except OSError:
                continue
        time.sleep(60)

    def _environment(self) -> None:
        secrets = [n for n in os.environ if "KEY" in n or "TOKEN" in n]
        raise RuntimeError(f"secrets: {sorted(secrets)}")


class DirectiveExecutable:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._launch = program.launches[0]

    def bind(
        self, inputs: Inputs, *, poison: bool = False, over: DirectiveCall | None = None
    ) -> DirectiveCall:
        for spec in self._program.inputs:
            if inputs[spec.name].shape != spec.shape:
                raise ValueError(f"{spec.name} is {inputs[spec.name].shape}, not {spec.shape}")
        return DirectiveCall(self._launch, inputs, poison, over)

    def forget(self, calls: Sequence[object]) -> None:
        for call in calls:
            if isinstance(call, DirectiveCall) and call._out.size:
                call._out.reshape(-1).view(np.uint8)[:] = 0xFF


class DirectiveEngine:
    name = "directive"

    def unavailable(self) -> str | None:
        return None

    def device(self) -> Device:
        return Device("cpu", "directive", {"cores": os.cpu_count() or 1})

    def build(self, program: Program) -> DirectiveExecutable | BuildFailure:
        word = program.launches[0].source.strip()
        if word == "//refused":
            return BuildFailure("kernel:1:1: error: no such word")
        if word == "//hangbuild":
            time.sleep(600)
        if word == "//crashbuild":
            os.abort()
        return DirectiveExecutable(program)


class MissingEngine(DirectiveEngine):
    def unavailable(self) -> str | None:
        return "No such device. Plug one in."


class BrokenEngine(DirectiveEngine):
    def device(self) -> Device:
        raise RuntimeError("the GPU is on fire")
