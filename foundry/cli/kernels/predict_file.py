"""`foundry predict FILE.metal --function NAME`: one dispatch of a function of a whole file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from foundry.cli.app import is_typed
from foundry.cli.kernels.sanitize_file import Asked, dispatch_of
from foundry.errors import DoesNotBuild, UsageError

if TYPE_CHECKING:
    from foundry.harness.file_sanitizing import FileDispatch
    from foundry.harness.measuring.profiling import Unprofiled
    from foundry.msl.gpu.profile import GpuProfile

_LIMIT_S = 120.0
"""For reading, building and running."""
_OF_OPS = ("axes", "bench", "dtype")
"""Options that say on which workload of its op a kernel file is predicted."""


def profile_of(
    paths: Sequence[str], asked: Asked, seed: int
) -> tuple[str, GpuProfile | Unprofiled]:
    """What is dispatched, in words, and what the function does there, or why nobody can say.

    Args:
        paths: Of one file, or `-`.
        asked: The function and its dispatch.
        seed: Of random values in its buffers.

    Raises:
        UsageError: Options that do not fit the function, or one another.
        EnvironmentUnusable: The compiler or the workers do not work here.
    """
    from foundry.harness.file_profiling import ProfileFile
    from foundry.harness.jobs import Crash, Timeout
    from foundry.harness.measuring.profiling import Unprofiled
    from foundry.harness.processes.pool import WorkerPool

    _check(paths)
    try:
        dispatch, arrays = dispatch_of(paths[0], asked, seed)
    except DoesNotBuild as error:
        return str(asked.function), Unprofiled(str(error), is_at_fault=True)
    with WorkerPool("cpu", workers=1) as pool, pool.lease() as lease:
        found = (lease.builder or lease.runner).ask(ProfileFile(dispatch, arrays), _LIMIT_S)
    match found:
        case Timeout():
            found = Unprofiled(f"not done after {found.limit_s:g} s")
        case Unprofiled(is_usage=True):
            raise UsageError(f"{paths[0]}: {found.reason}")
        case Crash():
            found = Unprofiled(found.reason)
    return _named(dispatch), found


def _check(paths: Sequence[str]) -> None:
    if len(paths) > 1:
        raise UsageError("--function NAME is of one file; predict one after another")
    for option in _OF_OPS:
        if is_typed(option):
            raise UsageError(f"--{option} goes with kernel files, not with --function")


def _named(dispatch: FileDispatch) -> str:
    """`f, 64 threadgroups of 256`."""
    size = " x ".join(map(str, dispatch.threadgroup))
    if dispatch.threadgroups is not None:
        return (
            f"{dispatch.function}, {' x '.join(map(str, dispatch.threadgroups))} groups of {size}"
        )
    return f"{dispatch.function}, {' x '.join(map(str, dispatch.grid or ()))} threads by {size}"
