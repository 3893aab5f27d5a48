"""Runs a kernel on the cpu engine, in place over the caller's arrays.

What a kernel may write lies between walls while it runs and is copied back, so that a kernel that
writes outside of its buffer harms nothing of this process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from foundry.errors import LaunchFailed, UsageError
from foundry.metal.arguments import Bound
from foundry.metal.building import BuiltKernel
from foundry.metal.dispatch import DispatchSizes
from foundry.msl.frontend.signature import storage_of
from foundry.msl.run.runtime import (
    MAX_STORAGE_BYTES,
    LaunchEnded,
    Launcher,
    LoadedKernel,
    launch_limit_s,
    worker_threads,
)
from foundry.msl.run.walled import walled
from foundry.program import TensorSpec


def run(built: BuiltKernel, bound: Sequence[Bound], sizes: DispatchSizes) -> None:
    """Run a kernel once and wait.

    Raises:
        UsageError: It asks for too much threadgroup memory.
        DoesNotBuild: It does not compile for buffers that are the same memory.
        LaunchFailed: The run ended in an error.
    """
    owners = _owners(bound)
    is_shared = len(owners) > len(set(owners.values()))
    library = sized(built, built.overlapping if is_shared else built.library, sizes)
    written = {owner: bound[owner].array for owner in sorted(set(owners.values()))}
    specs = [TensorSpec("", (a.nbytes,), "uint8") for a in written.values()]
    with walled(specs) as memory:
        places = dict(zip(written, memory, strict=True))
        for owner, place in places.items():
            place[...] = _bytes(written[owner])
        addresses = [
            (places[owners[n]] if n in owners else one.array).ctypes.data
            for n, one in enumerate(bound)
        ]
        _launch(built, library, sizes, addresses)
        for owner, place in places.items():
            _bytes(written[owner])[...] = place


def sized(built: BuiltKernel, plain: LoadedKernel, sizes: DispatchSizes) -> LoadedKernel:
    """A kernel's library with memory for the threadgroup arguments of a dispatch.

    Raises:
        UsageError: It asks for too much, with what it declares itself.
    """
    arguments = {storage_of(n): size for n, size in enumerate(sizes.threadgroup_bytes)}
    library = plain.with_arguments(arguments)
    if library.storage_bytes > MAX_STORAGE_BYTES:
        raise UsageError(
            f"'{built.kernel.name}' takes {library.storage_bytes} bytes of threadgroup memory:"
            f" Metal has {MAX_STORAGE_BYTES}"
        )
    return library


def _owners(bound: Sequence[Bound]) -> dict[int, int]:
    """For every buffer that shares memory with one that may be written: the first of them."""
    first: dict[tuple[int, int], int] = {}
    writable = {_key(one.array) for one in bound if not one.parameter.is_const}
    owners = {}
    for n, one in enumerate(bound):
        if one.array.nbytes and (key := _key(one.array)) in writable:
            owners[n] = first.setdefault(key, n)
    return owners


def _key(array: NDArray[Any]) -> tuple[int, int]:
    return array.ctypes.data, array.nbytes


def _bytes(array: NDArray[Any]) -> NDArray[Any]:
    return array.reshape(-1).view("u1")


def _launch(
    built: BuiltKernel, library: LoadedKernel, sizes: DispatchSizes, addresses: Sequence[int]
) -> None:
    launcher = Launcher(library, sizes.grid, sizes.threadgroup, addresses, strict=False)
    try:
        launcher.run(worker_threads(), launch_limit_s())
    except LaunchEnded as error:
        raise LaunchFailed(
            f"kernel '{built.kernel.name}', launched with grid {sizes.grid} and threadgroup"
            f" {sizes.threadgroup}, was ended: {error}; sanitize() tells thread and line"
        ) from error
    except LaunchFailed as error:
        raise LaunchFailed(f"kernel '{built.kernel.name}': {error}") from error
