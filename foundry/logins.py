"""Names and passwords in addresses, as `postgresql://me:secret@host/db`: no record holds them."""

from __future__ import annotations

import re

HIDDEN = "***"
_LOGIN = re.compile(r"(\w://)[^/@\s'\"]+@")


def without_logins(text: str) -> str:
    """A text with the login of each address in it hidden."""
    return _LOGIN.sub(rf"\g<1>{HIDDEN}@", text)
