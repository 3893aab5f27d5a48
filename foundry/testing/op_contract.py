"""What every op must keep, shipped so that the author of an op runs it before any kernel exists.

1. The declaration keeps the rules of `ops.declaring.validation`.
2. The oracle gives every output in its shape: float64 or the fixed dtype, finite for ordinary
   inputs, on every visible and hidden workload.
3. The first baseline agrees with the oracle there under several distributions of inputs. They are
   written apart, so a slip shows here. The others run, and give the right shapes and dtypes; those
   that MLX compiles are asked on every third workload.

From a shell: `python -m foundry.testing.op_contract NAME`. As tests: subclass `OpContract`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foundry.errors import FoundryError
from foundry.harness.measuring.baseline import BaselineCall
from foundry.judge.oracle.expecting import expected
from foundry.judge.oracle.form import form_of
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.oracle.references import output_specs
from foundry.judge.proof.compare import compare
from foundry.program import Arrays
from ops import registry
from ops.declaring import validation
from ops.spec import Op, widen
from ops.workload import Workload

DISTRIBUTIONS = ("normal", "ties", "sparse", "large", "small")


class OpContract:
    """Tests of one op: subclass it, name the class `Test...`, and set `op`."""

    op: ClassVar[Op]
    distributions: ClassVar[Sequence[str]] = DISTRIBUTIONS

    def test_the_declaration_keeps_the_rules(self) -> None:
        """Names, expressions, models and case sets."""
        found = list(validation.problems(self.op))
        assert not found, "\n".join(found)

    def test_the_oracle_and_the_baselines_agree(self) -> None:
        """On every visible and hidden workload, in every dtype."""
        for dtype in self.op.dtypes:
            found = list(disagreements(self.op, dtype, self.distributions))
            assert not found, "\n".join(found)


def disagreements(op: Op, dtype: str, distributions: Sequence[str]) -> Iterator[str]:
    """Where oracle or baselines of an op fail or part ways, each in one sentence.

    The first baseline is held to the judge's error model, which lets a baseline be inexact only
    up to a small share of the largest element.
    """
    every = (*op.workloads("visible", dtype), *op.workloads("hidden", dtype))
    for at, workload in enumerate(every):
        for distribution in distributions:
            inputs = make_inputs(op, workload, distribution, seed=0)
            names = _asked(op, at) if distribution == distributions[0] else _asked(op, at)[:1]
            for fault in _faults(op, workload, inputs, names):
                yield f"{workload.id} with {distribution} inputs: {fault}"


def _asked(op: Op, at: int) -> list[str]:
    """Names of the baselines that run on a workload, by its position.

    Those after the first are asked for their form alone; a compiled one on every third workload,
    for MLX compiles it anew for each shape, which takes a second on a CPU.
    """
    first, others = list(op.baselines)[:1], list(op.baselines)[1:]
    return first + [name for name in others if at % 3 == 0 or not op.baseline(name).compiled]


def _faults(op: Op, workload: Workload, inputs: Arrays, baselines: Sequence[str]) -> Iterator[str]:
    try:
        with np.errstate(all="ignore"):
            values = op.oracle(widen(op, workload, inputs), workload)
    except Exception as error:  # the author's code
        yield f"the oracle raises {type(error).__name__}: {error}"
        return
    broken = list(_oracle_faults(op, workload, values))
    yield from broken
    for index, name in enumerate(baselines):
        try:
            outputs = _baseline(op, workload, name, inputs)
        except Exception as error:  # the author's code, or MLX
            if index and workload.dtype != "float32" and isinstance(error, RuntimeError):
                # MLX has some operations in half precision on a GPU alone.
                continue
            yield f"baseline '{name}' raises {type(error).__name__}: {error}"
            continue
        if not broken:
            yield from _baseline_faults(op, workload, name, inputs, outputs, first=index == 0)


def _oracle_faults(op: Op, workload: Workload, values: tuple[NDArray[Any], ...]) -> Iterator[str]:
    if not isinstance(values, tuple | list) or len(values) != len(op.outputs):
        yield f"the oracle gives no tuple of {len(op.outputs)} arrays, one for each output"
        return
    for tensor, value in zip(op.outputs, values, strict=True):
        shape, wanted = form_of(tensor, workload)
        if value.shape != shape:
            yield f"the oracle gives {tensor.name} of shape {list(value.shape)}, not {list(shape)}"
        elif value.dtype != np.dtype(wanted):
            yield f"the oracle gives {tensor.name} as {value.dtype}, not {wanted}"
        elif np.isnan(value).any() or not (tensor.infinite or np.isfinite(value).all()):
            yield f"the oracle gives {tensor.name} with a value that is not finite"


def _baseline(op: Op, workload: Workload, name: str, inputs: Arrays) -> Arrays:
    call = BaselineCall(op, workload, name, {t.name: inputs[t.name] for t in op.inputs})
    call()
    return call.outputs()


def _baseline_faults(
    op: Op, workload: Workload, name: str, inputs: Arrays, outputs: Arrays, *, first: bool
) -> Iterator[str]:
    specs = output_specs(op, workload)
    odd = [s for s in specs if _form(outputs[s.name]) != (s.shape, s.dtype.rstrip("_"))]
    for spec in odd:
        shape, dtype = _form(outputs[spec.name])
        found = f"{dtype}{list(shape)}"
        yield f"baseline '{name}' gives {spec.name} as {found}, not {spec.dtype}{spec.shape}"
    if odd or not first:
        return
    wanted = expected(op, workload, inputs, outputs, np.random.default_rng(0))
    for spec, want in zip(specs, wanted, strict=True):
        if fault := compare(spec, outputs[spec.name], want).fault:
            yield f"baseline '{name}' and the oracle differ in {spec.name}: {fault}"


def _form(array: NDArray[Any]) -> tuple[tuple[int, ...], str]:
    return array.shape, array.dtype.name


def main(names: Sequence[str]) -> int:
    """Check ops by name; report on stdout; 0 if all keep the contract."""
    failed = 0
    for name in names:
        op = registry.get(name)
        faults = list(validation.problems(op))
        for dtype in op.dtypes if not faults else ():
            faults += disagreements(op, dtype, DISTRIBUTIONS)
        count = len(op.visible) + len(op.hidden)
        said = "keeps the contract" if not faults else f"breaks the contract {len(faults)} times"
        print(f"{name}: {said} ({count} workloads, {', '.join(op.dtypes)})")
        for fault in faults[:5]:
            print(f"  {fault}")
        failed += bool(faults)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except FoundryError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
