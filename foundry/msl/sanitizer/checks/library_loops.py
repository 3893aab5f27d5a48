"""Loops of Metal's library are unrolled even where a kernel's own are left as they stand.

A kernel's own loops keep their shape, so that whatever is said of an access names its line and one
variable. Those of the prelude, over the elements of a vector or the three sides of a grid, have no
line to lose: it is compiled without debug information. Left as loops they would keep vectors in
memory and the loop over threads from becoming vector instructions.
"""

from __future__ import annotations

import re

_DISABLED = re.compile(r'^(!\d+) = !\{!"llvm\.loop\.unroll\.disable"\}$', re.MULTILINE)


def unrolled(text: str) -> str:
    """LLVM text as clang writes it, whose loops without a line may be unrolled."""
    disabled = _DISABLED.search(text)
    if disabled is None:
        return text
    without_line = rf"^(!\d+) = distinct !\{{\1, {disabled[1]}\}}$"
    return re.sub(without_line, r"\1 = distinct !{\1}", text, flags=re.MULTILINE)
