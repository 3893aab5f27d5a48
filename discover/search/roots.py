"""The kernels a search starts from: a user's own, templates, winners of earlier runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from discover.drafts.draft import Draft
from discover.proposers.keys import without_secrets
from discover.search.settings import SearchRequest
from foundry.errors import InvalidKernel, UsageError
from foundry.judge.options import bench_workloads
from foundry.kernel import check, parse
from foundry.program import Device
from foundry.report.predicted import MODEL
from foundry.store.records import Origin
from ops.spec import Op

if TYPE_CHECKING:
    from foundry.store import Store
    from foundry.store.records import StoredEvaluation

STORED_ROOTS = 3
"""Best kernels of earlier runs that a search starts from."""


def roots(request: SearchRequest, op: Op, store: Store, device: Device) -> Iterator[Draft]:
    """The kernels a search starts from, a user's own first, then the starting template.

    Raises:
        UsageError: The user's kernel cannot be read.
        InvalidKernel: It is no kernel of this op.
    """
    if request.kernel_file is not None:
        yield _own(request.kernel_file, op)
    yield from _templates(op)
    if not request.from_scratch:
        yield from _winners(request, op, store, device)


def _templates(op: Op) -> Iterator[Draft]:
    from templates import registry, space
    from templates.render import render

    for template in registry.for_op(op.name):
        point = space.default(template)
        yield Draft(render(template, point), Origin("template", template.name, {"knobs": point}))


def _winners(request: SearchRequest, op: Op, store: Store, device: Device) -> Iterator[Draft]:
    for stored in _best(request, op, store, device):
        # A kernel of a version whose file format differed cannot be started from any more.
        with suppress(InvalidKernel):
            parse(stored.text)
            yield Draft(stored.text, stored.origin)


def _best(
    request: SearchRequest, op: Op, store: Store, device: Device
) -> Sequence[StoredEvaluation]:
    if device.kind != MODEL:
        return store.best(op.name, device.id, request.dtype, STORED_ROOTS)
    from foundry.store.shortest import shortest

    predicted = bench_workloads(op, request.dtype, request.settings.bench)
    return shortest(store, op.name, device.id, predicted, STORED_ROOTS)


def _own(path: Path, op: Op) -> Draft:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the kernel {path}: {error}") from None
    kernel = parse(text)
    if kernel.op != op.name:
        raise InvalidKernel(f"{path} is a kernel of '{kernel.op}', not of '{op.name}'")
    check(kernel, op)
    return Draft(without_secrets(text), Origin("file", path.name))
