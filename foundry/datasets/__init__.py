"""What is exported from the store, for training and for study.

1. `attempts`: the canonical table, one flat row per evaluation, every status.
2. `evidence` brings together what evaluations say of each kernel; `teachers` says who wrote it,
   through all its ancestors, and what that allows.
3. `pool` deals kernels out to splits (`split`), before anything is written: op families never cross
   one, nor do near `duplicates`; what a `Choice` does not keep is counted.
4. `views` make rows of a pool: one file a view. `leaks` scrubs what must not leave the house.
5. `export` puts it together; `files` writes each file whole or not at all; `card` describes them.
6. `rows` reads files back, and `verifying` has their kernels judged again.

Exports take what `Store.evaluations` and `Store.origins` give, so the caller filters, and nothing
here knows SQL. Records carry their device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foundry.datasets.export import Exported, export_attempts, export_dataset, export_sft

__all__ = ["Exported", "export_attempts", "export_dataset", "export_sft"]


def __getattr__(name: str) -> Any:
    """Import on first use."""
    if name not in __all__:
        raise AttributeError(f"module 'foundry.datasets' has no attribute '{name}'")
    from foundry.datasets import export

    return getattr(export, name)
