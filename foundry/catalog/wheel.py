"""A pure-Python wheel from a mapping of paths to text. No build back end, no network."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

_EPOCH = (2020, 1, 1, 0, 0, 0)


def normalised(name: str) -> str:
    """Distribution name as it stands in a wheel's file name (PEP 427)."""
    return re.sub(r"[-_.]+", "_", name).lower()


def wheel_name(name: str, version: str) -> str:
    """File name of the wheel."""
    return f"{normalised(name)}-{version}-py3-none-any.whl"


@dataclass(frozen=True)
class WheelMetadata:
    """What the index and installers are told of a wheel."""

    name: str
    version: str
    """PEP 440."""
    summary: str
    """One line."""
    requires: str
    """The one requirement, such as `mlx>=0.32`."""
    licence: str
    """SPDX expression."""
    description: str
    """Markdown."""

    @property
    def text(self) -> str:
        """The file METADATA."""
        lines = [
            "Metadata-Version: 2.4",
            f"Name: {self.name}",
            f"Version: {self.version}",
            f"Summary: {self.summary}",
            f"License-Expression: {self.licence}",
            "Keywords: mlx,metal,kernels",
            *(f"Classifier: {classifier}" for classifier in _CLASSIFIERS),
            "Requires-Python: >=3.11",
            f"Requires-Dist: {self.requires}",
            "Description-Content-Type: text/markdown",
        ]
        return "\n".join(lines) + f"\n\n{self.description}\n"


_CLASSIFIERS = (
    "Operating System :: MacOS :: MacOS X",
    "Programming Language :: Python :: 3",
    "Topic :: Scientific/Engineering :: Artificial Intelligence",
    "Typing :: Typed",
)


def wheel_bytes(about: WheelMetadata, files: Mapping[str, str | bytes]) -> bytes:
    """Contents of the wheel, from text or bytes by path; equal input gives equal bytes."""
    info = f"{normalised(about.name)}-{about.version}.dist-info"
    tag = ["Wheel-Version: 1.0", "Generator: metal-foundry", "Root-Is-Purelib: true"]
    contents = {
        **files,
        f"{info}/METADATA": about.text,
        f"{info}/WHEEL": "\n".join([*tag, "Tag: py3-none-any"]) + "\n",
    }
    data = {p: c.encode() if isinstance(c, str) else c for p, c in contents.items()}
    rows = [_record(path, content) for path, content in data.items()]
    data[f"{info}/RECORD"] = ("\n".join([*rows, f"{info}/RECORD,,"]) + "\n").encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in data.items():
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()


def _record(path: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}"
