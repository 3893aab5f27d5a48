"""The compiler's words about a launch, on the lines of the kernel file.

An engine compiles a launch's header and body apart and knows no file: `header:3:9: error: ...` with
the text of that line below. The author, a prompt and a dataset see the whole file.
"""

from __future__ import annotations

import re

from foundry.kernel.model import Kernel, line_in_file

_HEAD = re.compile(r"^(header|source):(\d+):")
_SHOWN = re.compile(r"^ *(\d+) \|")


def in_file(log: str, kernel: Kernel, launch: int, name: str) -> str:
    """The log with every place as `name:line:column`, and the same line beside the text shown.

    Args:
        log: Words of an engine about one launch; places that are not of it stay as they are.
        kernel: The kernel as it was read from its file; without lines the log stays as it is.
        launch: Which of its launches the launch is, from 0.
        name: Of the kernel file, or a word that stands for it.
    """
    lines: list[str] = []
    place: int | None = None
    for line in log.split("\n"):
        if head := _HEAD.match(line):
            place = line_in_file(kernel, launch, head[1], int(head[2]))
            line = line if place is None else f"{name}:{place}:{line[head.end() :]}"
        elif place is not None and (shown := _SHOWN.match(line)):
            line = f"{place:5} |{line[shown.end() :]}"
        lines.append(line)
    return "\n".join(lines)


def first_line(log: str, name: str) -> int | None:
    """The line of the first place that `in_file` named."""
    found = re.search(rf"^{re.escape(name)}:(\d+):", log, re.MULTILINE)
    return int(found[1]) if found else None
