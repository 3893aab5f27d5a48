"""What Metal forbids about a kernel's parameters, which MLX does not check (MSL 5.2)."""

from __future__ import annotations

from foundry.msl.frontend.refusals.refusal import Refused
from foundry.msl.frontend.signature import Signature

BUFFERS = 31
_ONE_MEANING = (("thread_execution_width", "threads_per_simdgroup"),)
"""Names of one value, an older and a newer one, of which a kernel may take either."""


def check(signature: Signature) -> None:
    """Refuse attributes that exclude one another, and more buffers than there are places.

    Raises:
        Refused: at the start of the body, from which MLX made the parameters.
    """
    for pair in _ONE_MEANING:
        if set(pair) <= signature.attributes:
            reason = (
                f"kernel function cannot have input declarations with {pair[0]} and {pair[1]}"
                " attributes"
            )
            raise Refused("source", 1, reason)
    buffers = sum(1 for p in signature.parameters if p.buffer is not None)
    if buffers > BUFFERS:
        reason = (
            f"'buffer' attribute parameter is out of bounds: must be between 0 and {BUFFERS - 1},"
            f" and the arrays of this kernel, with the shapes, strides and ranks that it names,"
            f" take {buffers}"
        )
        raise Refused("source", 1, reason)
