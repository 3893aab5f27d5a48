"""Whether a server would answer at all, found out at no cost before a search begins.

The server is asked about the model. Only what is certain counts against it: nobody listens, the key
is refused, or a list of models does not hold the name. Servers that know no such question, or are
busy, pass: the first call tells.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from discover.proposers import faults
from discover.protocol import Failure, FailureKind

_UNAUTHORIZED = 401


def model_is_known(
    sdk: ModuleType, client: Any, model: str | None, timeout_s: float
) -> Failure | None:
    """Why a provider would not answer for this model; None when it would, or cannot be asked."""
    found = faults.guard(sdk, lambda: client.models.retrieve(model, timeout=timeout_s))
    if not isinstance(found, Failure) or found.kind is not FailureKind.NOT_FOUND:
        return _certain(found)
    # A server without such a question answers the same as one without the model.
    listed = faults.guard(sdk, lambda: _names(client, timeout_s))
    if isinstance(listed, Failure) or not listed or model in listed:
        return None
    return Failure(FailureKind.NOT_FOUND, f"no model '{model}' at {client.base_url}")


def server_listens(sdk: ModuleType, client: Any, timeout_s: float) -> Failure | None:
    """Why a server of one's own would not answer; its list of models need not hold all names."""
    return _certain(faults.guard(sdk, lambda: client.models.list(timeout=timeout_s)))


def _names(client: Any, timeout_s: float) -> list[str]:
    return [str(entry.id) for entry in client.models.list(timeout=timeout_s).data]


def _certain(found: object) -> Failure | None:
    if not isinstance(found, Failure):
        return None
    refused = found.kind is FailureKind.DENIED and found.status == _UNAUTHORIZED
    nobody = found.kind is FailureKind.CONNECTION and not found.maybe_billed
    return found if refused or nobody else None
