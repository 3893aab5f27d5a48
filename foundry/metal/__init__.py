"""Whole `.metal` files: `kernel void f(device float* x [[buffer(0)]], ...)`, on any machine.

1. `includes` puts the files it includes in their places, `source` reads the text: `declarations`,
   `functions`, `parameters`, `constants`; `left_out` is what cannot run here.
2. `calling` puts a call of one kernel behind the text, in MLX's own form, so that `foundry.msl`
   builds, runs, sanitizes and counts it like any kernel; `building` does so, and keeps `facts`.
3. `library` is what users see: `arguments` and `dispatch` check what they bind, `running` runs,
   `examining` sanitizes and counts, on the lines of the files (`places`).

`pytest_plugin` has fixtures for a repository that ships `.metal` files.
"""

from __future__ import annotations

from foundry.metal.library import Library, LibraryFunction

__all__ = ["Library", "LibraryFunction"]
