"""What `validate` and `matrix` share: a catalog at work here, and what becomes of its results."""

from __future__ import annotations

from contextlib import ExitStack
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Self

from foundry.cli.output import note

if TYPE_CHECKING:
    from foundry.models.conditions import ValidationPlan
    from foundry.models.loading import LoadedModel
    from foundry.models.validation import ModelValidation
    from foundry.program import Device
    from foundry.store.validations import ValidationKey


class ModelBench:
    """A catalog that is imported where Metal is, or stands in; a context manager."""

    package: ModuleType
    device: Device

    def __init__(self, catalog: str, every_kernel: bool) -> None:
        """Take a catalog's name or wheel; `every_kernel`: also where a kernel was never timed."""
        self._catalog = catalog
        self._every_kernel = every_kernel
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Import it."""
        from foundry import engines
        from foundry.models.package import catalog
        from foundry.msl.stand_in.metal import announce, metal

        self.device = engines.get("auto").device()
        self._stack.enter_context(metal())
        self.package = self._stack.enter_context(catalog(self._catalog))
        if self._every_kernel:
            choice = self.package.dispatch.choice
            self._stack.callback(setattr, choice, "MODE", choice.MODE)
            choice.MODE = "all"
        note(announce())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave it."""
        self._stack.close()

    def key(self, loaded: LoadedModel, mode: str) -> ValidationKey:
        """What is validated, and where."""
        from foundry.models.package import hash_of
        from foundry.store.validations import ValidationKey

        catalog = hash_of(self.package)
        return ValidationKey(loaded.name, loaded.weights_hash, mode, catalog, self.device.id)


def validated(
    bench: ModelBench, loaded: LoadedModel, plan: ValidationPlan, db: str | None, *, save: bool
) -> ModelValidation:
    """Validate, and keep what was found where that is asked for."""
    from foundry.models.validation import validate
    from foundry.store import Store, validations

    if save:
        with Store.open(db):  # what cannot be kept is said before minutes of decoding
            pass
    found = validate(loaded, bench.package, plan)
    if save:
        with Store.open(db) as store:
            key = bench.key(loaded, plan.mode)
            number = validations.keep(store, key, bench.device, found.model_dump(mode="json"))
        note(f"kept as validation {number}; next: foundry capsule write --validation {number}")
    return found
