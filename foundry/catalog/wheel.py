"""A pure-Python wheel from a mapping of paths to text. No build back end, no network."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping

_EPOCH = (2020, 1, 1, 0, 0, 0)


def normalised(name: str) -> str:
    """Distribution name as it stands in a wheel's file name (PEP 427)."""
    return re.sub(r"[-_.]+", "_", name).lower()


def wheel_name(name: str, version: str) -> str:
    """File name of the wheel."""
    return f"{normalised(name)}-{version}-py3-none-any.whl"


def wheel_bytes(
    name: str, version: str, summary: str, requires: str, files: Mapping[str, str | bytes]
) -> bytes:
    """Contents of the wheel; equal input gives equal bytes.

    Args:
        name: Distribution name.
        version: PEP 440 version.
        summary: One line for the metadata.
        requires: The one requirement, such as `mlx>=0.32`.
        files: Text or bytes by path inside the wheel.
    """
    info = f"{normalised(name)}-{version}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        f"Summary: {summary}",
        "Requires-Python: >=3.11",
        f"Requires-Dist: {requires}",
    ]
    tag = ["Wheel-Version: 1.0", "Generator: metal-foundry", "Root-Is-Purelib: true"]
    contents = {
        **files,
        f"{info}/METADATA": "\n".join(metadata) + "\n",
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
