"""What installed packages add by name: the entry points of one group.

Nothing is loaded before its name is asked for. A package that breaks, or that takes a name of
another, is told of by its own name: whoever reads the error knows what to upgrade or uninstall.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.metadata import EntryPoint, entry_points

from ops.errors import EnvironmentUnusable


def points(group: str, kind: str, taken: Collection[str] = ()) -> Mapping[str, EntryPoint]:
    """Entry points of a group by name.

    Args:
        group: Name of the group, such as `metal_foundry.engines`.
        kind: What each of them adds, in a word: `engine`.
        taken: Names that are built in.

    Raises:
        EnvironmentUnusable: A package uses a name that is built in, or another package's.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        holder = found.get(point.name)
        # A package that lies on the path twice, as an editable install may, names the same twice.
        if holder is not None and holder.value == point.value:
            continue
        if point.name in taken or holder is not None:
            owner = f"{_package(holder)} adds as well" if holder else "is built in"
            raise EnvironmentUnusable(
                f"{_package(point)} adds the {kind} '{point.name}', which {owner}.",
                f"Rename it in {_package(point)}, or uninstall that package.",
            )
        found[point.name] = point
    return found


def packages(group: str) -> tuple[str, ...]:
    """Names of the packages that add to a group: another process must be able to import them."""
    found = (point.module.partition(".")[0] for point in entry_points(group=group))
    return tuple(dict.fromkeys(found))


def load(point: EntryPoint, kind: str) -> object:
    """What an entry point names.

    Raises:
        EnvironmentUnusable: It does not load.
    """
    try:
        return point.load()
    except Exception as error:
        raise broken(point, kind, f"does not load: {type(error).__name__}: {error}") from error


def broken(point: EntryPoint, kind: str, fault: str) -> EnvironmentUnusable:
    """The error of a package whose entry point is no good; `fault` says why, as a predicate."""
    package = _package(point)
    return EnvironmentUnusable(
        f"{package} names the {kind} '{point.value}', which {fault}.",
        f"Correct, upgrade or uninstall {package}.",
    )


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "the package"
