"""The one error tree. Failures of kernels are data (`Evaluation`), never exceptions.

* FoundryError                  exit 1
  x UsageError                  exit 2   unknown name or wrong option; carries the nearest names
  x EnvironmentUnusable         exit 3   something is missing here; carries the fix
    x NoAnswer                  exit 3   nothing says what is right on a workload here
  x InvalidKernel               exit 4   a kernel file that does not parse; carries the line
    x DoesNotBuild              exit 4   a `.metal` file that is not Metal, or cannot run here
  x LaunchFailed                exit 4   a kernel whose run ended in an error, such as a deadlock
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FoundryError(Exception):
    """Base of every error a command line turns into one clear line."""

    exit_code = 1


class UsageError(FoundryError):
    """The caller asked for something that does not exist or cannot be combined."""

    exit_code = 2


class EnvironmentUnusable(FoundryError):
    """This machine lacks something; `fix` is what to do about it."""

    exit_code = 3

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what} {fix}")
        self.what = what
        self.fix = fix


class NoAnswer(EnvironmentUnusable):
    """Nothing says here what is right on a workload: no baseline runs, or it takes too much."""


class InvalidKernel(FoundryError):
    """A kernel file that breaks the format; `line` counts from 1."""

    exit_code = 4

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(f"line {line}: {reason}")
        self.reason = reason
        self.line = line


class DoesNotBuild(InvalidKernel):
    """A `.metal` file that does not compile; the message is the compiler's, on the file's lines."""

    def __init__(self, log: str, line: int = 1) -> None:
        super().__init__(log, line)
        self.args = (log,)


class LaunchFailed(FoundryError):
    """A kernel whose run ended in an error: a barrier that not all threads reach."""

    exit_code = 4


_TOLD = 12
"""Known names in a message, where none is near what was given."""


def first_line(error: Exception) -> str:
    """The first line of what an error says; its kind where it says nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """A `UsageError` that names the nearest of the known names.

    Args:
        kind: What was asked for, in the singular: `op`, `dtype`, `knob`.
        name: The value that was given.
        known: The names that exist.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    all_names = f"known: {', '.join(names[:_TOLD])}{more}" if names else "there are none"
    hint = f"did you mean {' or '.join(near)}?" if near else all_names
    return UsageError(f"unknown {kind} '{name}': {hint}")
