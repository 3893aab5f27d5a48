"""Puts the kernels of the package into a model, and takes them out again."""

from __future__ import annotations

from .loads import patch_loads
from .patch import patch, patched, unpatch

__all__ = ["patch", "patch_loads", "patched", "unpatch"]
