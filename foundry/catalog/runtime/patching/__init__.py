"""Puts the kernels of the package into a model, and takes them out again."""

from __future__ import annotations

from .patch import patch, patched, unpatch

__all__ = ["patch", "patched", "unpatch"]
