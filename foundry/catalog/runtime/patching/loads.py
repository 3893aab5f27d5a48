"""Patches every model that mlx-lm loads, for servers and programs that load models themselves."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import runpy
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .patch import patch
from .pattern import Mode

Told = Callable[[str], None]


def patch_loads(
    mode: Mode = "stable", told: Told = lambda text: print(text, file=sys.stderr)
) -> None:
    """From now on put kernels into every model that mlx-lm loads; the newest call counts.

    Modules that took `load_model` out of mlx-lm by name before, as exo does, load so too.

    Args:
        mode: As in `patch`.
        told: Takes what was done with each model, as text.

    Raises:
        ImportError: mlx-lm is not installed.
    """
    utils: Any = importlib.import_module("mlx_lm.utils")
    present = utils.load_model
    load_model = getattr(present, "_without_kernels", present)

    @functools.wraps(load_model)
    def load_and_patch(*arguments: Any, **named: Any) -> Any:
        loaded = load_model(*arguments, **named)
        told(str(patch(loaded[0], mode)))
        return loaded

    load_and_patch._without_kernels = load_model  # type: ignore[attr-defined]
    for old in (present, load_model):
        _put(load_and_patch, old)


def _put(new: Callable[..., Any], old: Callable[..., Any]) -> None:
    """A function in the place of another, by whatever name modules have it."""
    for module in tuple(sys.modules.values()):
        held = tuple(getattr(module, "__dict__", {}).items())
        for name in [name for name, value in held if value is old]:
            setattr(module, name, new)


def run(module: str, arguments: Sequence[str], mode: Mode = "stable") -> None:
    """Run a module as `python -m` does, every model that it loads patched.

    Raises:
        SystemExit: mlx-lm is not installed: 3; there is no such module: 2.
    """
    if importlib.util.find_spec("mlx_lm") is None:
        print("mlx-lm is not installed: pip install mlx-lm", file=sys.stderr)
        raise SystemExit(3)
    if not _is_there(module):
        print(f"error: there is no module {module} here; name one as python -m takes it, "
              "such as mlx_lm.server", file=sys.stderr)  # fmt: skip
        raise SystemExit(2)
    patch_loads(mode)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a folder above it is missing, or it is no name
        return False
