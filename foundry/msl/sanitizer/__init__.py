"""Finds what Apple's own tools find only on a Mac, and names the line.

`sanitize(program, inputs)` runs a program on the cpu with every access checked and returns a
`Report`. Ownership: `toolchain` builds with checks, `lines` knows the lines, `arena` gives memory,
`native` mirrors the run-time part (prelude/sanitizer), `run` does the work, `wording` says it.
"""

from __future__ import annotations

from foundry.msl.sanitizer.findings import Finding, FindingKind, Report
from foundry.msl.sanitizer.run import examine, sanitize

__all__ = ["Finding", "FindingKind", "Report", "examine", "sanitize"]
