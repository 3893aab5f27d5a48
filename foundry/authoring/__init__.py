"""From an expression to a kernel: written, proven, called and differentiated in a few lines.

mish = elementwise("x * tanh(log(1 + exp(x)))", inputs=("x",), grad=True)
mish.verify()      # the judge, on this machine's device; kept on disk
y = mish(x)        # the kernel where Metal is and it is proven, plain MLX elsewhere
"""

from __future__ import annotations

from foundry.authoring.author import elementwise, map_reduce, rowwise
from foundry.authoring.function import AuthoredFunction

__all__ = ["AuthoredFunction", "elementwise", "map_reduce", "rowwise"]
