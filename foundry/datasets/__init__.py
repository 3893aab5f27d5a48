"""What is exported from the store, for training and for study.

1. `attempts`: one flat row per evaluation, every status; `sft`: verified kernels as chats.
2. `teachers` says who wrote a kernel, through all its ancestors, and what that allows.
3. `duplicates` and `split` run before anything is written: families never cross a split.
4. `export` puts it together; `files` writes each file whole or not at all; `card` describes them.

`export_attempts` and `export_sft` take what `Store.evaluations` and `Store.origins` give, so the
caller filters, and nothing here knows SQL. Records carry their device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foundry.datasets.export import Exported, export_attempts, export_sft

__all__ = ["Exported", "export_attempts", "export_sft"]


def __getattr__(name: str) -> Any:
    """Import on first use."""
    if name not in __all__:
        raise AttributeError(f"module 'foundry.datasets' has no attribute '{name}'")
    from foundry.datasets import export

    return getattr(export, name)
