"""A package verifies itself before it is packed, as it will on its user's machine.

It runs in a Python of its own that sees the package and mlx alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foundry.errors import FoundryError

_LIMIT_S = 600.0
_MOST_TOLD = 3


def rehearse(name: str, files: Mapping[str, str | bytes]) -> None:
    """Run `python -m NAME verify` on the files of a package.

    Raises:
        FoundryError: A check fails, or it does not end; says which.
    """
    with tempfile.TemporaryDirectory(prefix="foundry-catalog-") as folder:
        for path, content in files.items():
            file = Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        try:
            done = _verify(name, folder)
        except subprocess.TimeoutExpired:
            raise FoundryError(
                f"'{name}' does not end verifying itself in {_LIMIT_S:g} s; nothing was written"
            ) from None
    if done.returncode != 0:
        raise FoundryError(f"'{name}' fails its own checks, nothing was written: {_said(done)}")


def _verify(name: str, folder: str) -> subprocess.CompletedProcess[str]:
    hidden = (f"{name.upper()}_DISPATCH", "PYTHONPATH", "PYTHONSTARTUP")
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    environment[f"{name.upper()}_CACHE_DIR"] = folder  # nothing that was learnt of this machine
    return subprocess.run(
        [sys.executable, "-m", name, "verify", "--json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )


def _said(done: subprocess.CompletedProcess[str]) -> str:
    try:
        failed: list[dict[str, Any]] = json.loads(done.stdout)["failed"]
    except (ValueError, KeyError):
        return done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
    told = [
        f"{f['op']} {f['dtype']} {f['path']} at {f['axes']}: {f['detail']}"
        for f in failed[:_MOST_TOLD]
    ]
    more = f" and {len(failed) - len(told)} more" if len(failed) > len(told) else ""
    return "; ".join(told) + more
