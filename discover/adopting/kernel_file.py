"""The kernel file of an adopted call: its source as it stands, with sizes as expressions."""

from __future__ import annotations

from discover.adopting.call import AdoptedCall
from foundry.kernel import Kernel, KernelLaunch, render


def kernel_text(call: AdoptedCall) -> str:
    """The file."""
    launch = KernelLaunch(
        body=call.source.strip("\n"),
        grid=call.grid,
        threadgroup=call.threadgroup,
        constants=tuple(call.constants.items()),
        math_mode=call.math_mode,
        init_value=call.init_value,
        atomic_outputs=call.atomic_outputs,
    )
    return render(Kernel(call.name, (launch,), header=call.header.strip("\n")))
