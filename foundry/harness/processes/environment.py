"""The environment a worker starts with: what engines need, and nothing that is a secret."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from foundry.errors import EnvironmentUnusable

_PASSED = (
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "LC_ALL",
    "PYTHONPATH",
    "PYTHONHOME",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "CUDA_HOME",
    "CUDA_PATH",
    "CUDA_VISIBLE_DEVICES",
    "DEVELOPER_DIR",
    "SDKROOT",
    "XDG_CACHE_HOME",
    "FOUNDRY_CACHE_DIR",
    "FOUNDRY_OPS",
    "FOUNDRY_LANGUAGE_VERSION",
)
_PATHS = ("PYTHONPATH", "XDG_CACHE_HOME", "FOUNDRY_CACHE_DIR", "FOUNDRY_OPS")
"""Of these, variables that may hold paths relative to a folder in which a worker does not run."""
_FIXED = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONSAFEPATH": "1",
    "PYTHONUNBUFFERED": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NO_COLOR": "1",
}


def clean_environment(source: Mapping[str, str] | None = None) -> dict[str, str]:
    """The few variables of `source` (default: this process's) that a worker may see."""
    source = os.environ if source is None else source
    passed = {name: source[name] for name in _PASSED if name in source}
    return passed | {name: _absolute(passed[name]) for name in _PATHS if name in passed} | _FIXED


def _absolute(paths: str) -> str:
    return os.pathsep.join(os.path.abspath(path) for path in paths.split(os.pathsep) if path)


def cache_folder() -> Path:
    """Where builds are kept; see `foundry.msl.build.cache`."""
    from foundry.msl.build.cache import default_directory

    return default_directory()


def jit_folder() -> Path:
    """Where MLX keeps what it compiles for a baseline: trusted workers fill it, others read it.

    It lies outside of the build cache, which workers that meet kernels write: what a trusted
    worker loads, no kernel can have put there.

    Raises:
        EnvironmentUnusable: The cache cannot be written.
    """
    from foundry.msl.build.cache import root_directory

    folder = root_directory() / "trusted-baselines"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentUnusable(
            f"the build cache '{root_directory()}' cannot be written: {error.strerror}.",
            "Set FOUNDRY_CACHE_DIR to a folder that can.",
        ) from error
    return folder
