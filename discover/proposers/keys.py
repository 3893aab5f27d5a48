"""Keys and addresses of LLM servers: what must be there before anything is spent."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from discover.protocol import ProposerOptions
from foundry.errors import EnvironmentUnusable, UsageError
from foundry.logins import HIDDEN, without_logins

PLACEHOLDER = "no-key"
"""Sent to servers on this machine, which ask for none; the SDKs insist on some text."""

ADDRESS_VARIABLES = {
    "anthropic": "ANTHROPIC_BASE_URL",
    "openai": "OPENAI_BASE_URL",
    "openai-chat": "OPENAI_BASE_URL",
}
"""Where each proposer's SDK looks for the address of a server."""
_SHORTEST_SECRET = 8
"""Shorter values, such as the dummy key of a local server, would hide innocent words."""
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|CUSTOM_HEADERS", re.I)


def need(proposer: str, variables: tuple[str, ...], base_url: str | None) -> str | None:
    """The key from the environment; a placeholder for a server on this machine.

    Raises:
        EnvironmentUnusable: No key, and the server is not on this machine.
    """
    if key := found(variables):
        return key
    if base_url and is_local(base_url):
        return PLACEHOLDER
    raise missing(proposer, variables)


def found(variables: tuple[str, ...]) -> str | None:
    """The first of some variables that holds anything, without the blanks around it.

    Raises:
        EnvironmentUnusable: It holds what no key does, and no header can: copied with it, unseen.
    """
    for variable in variables:
        if key := os.environ.get(variable, "").strip():
            _check_signs(variable, key)
            return key
    return None


def _check_signs(variable: str, key: str) -> None:
    for place, sign in enumerate(key, 1):
        if not (sign.isascii() and sign.isprintable()):
            raise EnvironmentUnusable(
                f"{variable} holds U+{ord(sign):04X} in place {place}, which is in no key; "
                "nothing was sent.",
                "Copy the key once more, without what stands around it.",
            )


def missing(proposer: str, variables: tuple[str, ...]) -> EnvironmentUnusable:
    """The error of a named LLM without a key."""
    return EnvironmentUnusable(
        f"no key for proposer '{proposer}': {' or '.join(variables)} is not set; nothing was sent.",
        f"Set {variables[0]}, or use --llm mutate, which needs no key.",
    )


def address(proposer: str, options: ProposerOptions) -> str | None:
    """The server's address, as given or from the environment; None: the provider's own."""
    variable = ADDRESS_VARIABLES.get(proposer, "")
    return options.base_url or os.environ.get(variable, "").strip() or None


def is_local(base_url: str) -> bool:
    """Whether an address is on this machine."""
    host = (urlsplit(base_url).hostname or "") if _is_address(base_url) else ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_url(base_url: str) -> str:
    """The address, if it is one.

    Raises:
        UsageError: Not an http or https address.
    """
    if not _is_address(base_url):
        raise UsageError(
            f"base URL '{without_login(base_url)}' is no address; give one like "
            "http://127.0.0.1:8080/v1"
        )
    return base_url


def _is_address(base_url: str) -> bool:
    try:
        parts = urlsplit(base_url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is no number
        return False


def without_secrets(text: str) -> str:
    """A text without keys and passwords: servers echo them, and addresses may hold them.

    What stands in a variable that is named like a secret is a secret, wherever it turns up.
    """
    for secret in _secrets():
        text = text.replace(secret, HIDDEN)
    return without_logins(text)


def _secrets() -> list[str]:
    """Values of variables that hold secrets, the longest first."""
    named = (value for name, value in os.environ.items() if _SECRET_NAME.search(name))
    whole = {part for value in named for part in _parts(value)}
    return sorted({v for v in whole if len(v) >= _SHORTEST_SECRET}, key=len, reverse=True)


def _parts(value: str) -> Iterator[str]:
    """A value as it stands, without the blanks around it, and what its lines name: headers."""
    yield value
    for line in value.splitlines():
        name, colon, rest = line.partition(":")
        yield from (line.strip(), rest.strip()) if colon else (name.strip(),)


def without_login(base_url: str | None) -> str | None:
    """An address without the name and password it may hold."""
    return None if base_url is None else without_logins(base_url)
