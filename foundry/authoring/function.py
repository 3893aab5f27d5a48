"""An authored function: its op, its kernel, what the judge says, and how it is called.

A call runs the kernel where Metal is and the judge has proven it on this device, and the MLX
expression everywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foundry.authoring.op_text import Authored
from foundry.errors import UsageError
from foundry.judge.verdict import Evaluation
from foundry.kernel import Kernel, parse, render
from ops import registry
from ops.spec import Op

if TYPE_CHECKING:
    import mlx.core as mx

    from foundry.authoring.calling import AuthoredCalls


@dataclass(frozen=True)
class AuthoredFunction:
    """A function of arrays, made of an expression."""

    authored: Authored
    file: Path
    """The ops as Python text: the function's own, then its gradient's."""
    evaluations: dict[str, Evaluation] = field(default_factory=dict, compare=False)
    """What the judge said, by dtype."""

    def __post_init__(self) -> None:
        """Hear of transformations from now on: one may be taken before the first call."""
        from foundry.authoring.calling import listen

        listen()

    def __call__(self, *arrays: Any) -> Any:
        """Run on arrays in the order of the inputs; any number of leading dimensions.

        Arrays and numbers of a function of elements may have different shapes, as MLX broadcasts
        them. What is computed has the dtype of the first array.

        Raises:
            ValueError: Arrays that do not fit.
        """
        from foundry.authoring.calling import of_elements

        names = self.authored.names
        if len(arrays) != len(names):
            raise ValueError(f"give one array for each of {', '.join(names)}, not {len(arrays)}")
        numbers = dict(self.authored.params)
        if self.authored.kind == "elementwise":
            return of_elements(self._calls, dict(zip(names, arrays, strict=True)), numbers)
        return self._calls(arrays, numbers)

    @cached_property
    def ops(self) -> tuple[Op, ...]:
        """The op, and that of the gradient where it has one of its own; registered."""
        return registry.load_file(self.file)

    @cached_property
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernel of each op."""
        return tuple(map(_kernel_of, self.ops))

    @property
    def metal(self) -> str:
        """The kernel file."""
        return render(self.kernels[0])

    def verify(self, dtype: str | mx.Dtype = "float32", device: str = "auto") -> Evaluation:
        """Have the judge prove the kernels against the expression in float64; kept on disk.

        Args:
            dtype: Element type, by name or of MLX.
            device: Engine that runs them.

        Returns:
            The evaluation of the kernel; `status.passed` says whether it is proven. A gradient
            whose kernel is not proven is MLX's.

        Raises:
            UsageError: No such dtype or device.
        """
        from foundry.authoring.proving import proven
        from foundry.catalog.runtime.arguments import dtype_name

        if not isinstance(device, str):
            raise UsageError(f"device is {device!r}; give the name of one, as 'metal' or 'cpu'")
        dtype = dtype_name(dtype)
        for op, kernel in zip(self.ops, self.kernels, strict=True):
            self.evaluations[f"{op.name} {dtype}"] = proven(op, kernel, dtype, device, self.file)
        self.__dict__.pop("_calls", None)
        return self.evaluations[f"{self.ops[0].name} {dtype}"]

    @cached_property
    def _calls(self) -> AuthoredCalls:
        from foundry.authoring.calling import calls_of

        made = calls_of(self.ops, self.kernels, self.evaluations)
        return replace(made, has_own_rule=self.authored.is_gradient_given)


def _kernel_of(op: Op) -> Kernel:
    """The kernel of the starting template of an op's family."""
    from templates import registry as templates
    from templates.render import render as filled
    from templates.space import default

    template = templates.for_op(op.name)[0]
    return parse(filled(template, default(template)))
