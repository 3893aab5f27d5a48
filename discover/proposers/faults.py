"""What servers and SDKs do wrong, as `Failure` data.

The SDKs let more escape than their own exceptions: HTML with status 200 comes back as `str`,
broken JSON as `JSONDecodeError`, an error body as an object without content or usage. And a spent
budget looks like a rate limit. Everything is sorted here, once for all providers.
"""

from __future__ import annotations

import email.utils
import sys
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, TypeVar

import httpx2

from discover.proposers.keys import without_secrets
from discover.protocol import Failure, FailureKind, Reply

SPEND_CODES = frozenset(
    {
        "enforced_spend_limit_reached",
        "contract_spend_limit_reached",
        "linked_organization_spend_limit_reached",
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
    }
)
"""Error codes of a money limit, Anthropic's and OpenAI's: waiting does not help."""

_BY_STATUS = {
    401: FailureKind.DENIED,
    402: FailureKind.SPEND_LIMIT,
    403: FailureKind.DENIED,
    404: FailureKind.NOT_FOUND,
    408: FailureKind.TIMEOUT,
    409: FailureKind.SERVER,
    429: FailureKind.RATE_LIMIT,
    503: FailureKind.OVERLOADED,
    504: FailureKind.TIMEOUT,
    529: FailureKind.OVERLOADED,
}
_BY_TYPE = {
    "overloaded_error": FailureKind.OVERLOADED,
    "rate_limit_error": FailureKind.RATE_LIMIT,
    "api_error": FailureKind.SERVER,
    "timeout_error": FailureKind.TIMEOUT,
}
_MAYBE_BILLED = frozenset({408, 504, 524})
"""Of gateways that waited no longer: the answer behind them may have been written."""
_SHOWN = 300
_MOST_TOKENS = 10**12
"""No answer has more, and a database holds no number that is far beyond."""
_NEVER_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout")

T = TypeVar("T")


def guard(sdk: ModuleType, call: Callable[[], T]) -> T | Failure:
    """Run one SDK call; whatever a server or network does comes back as a `Failure`.

    Args:
        sdk: The `anthropic` or `openai` module: both name their exceptions alike.
        call: The call, with the SDK's own retries off.
    """
    try:
        return call()
    except sdk.APIStatusError as error:
        return from_status(
            error.status_code,
            codes=codes_of(error),
            message=message_of(error),
            headers=error.response.headers,
        )
    except (sdk.APIConnectionError, *_of_http("HTTPError")) as error:
        return _unanswered(error.__cause__ or error)
    except sdk.APIError as error:
        return bad_reply(str(error))
    except ValueError as error:
        # Broken or empty JSON with status 200; JSONDecodeError and pydantic's error are both.
        return bad_reply(f"not JSON: {error}")
    except (AttributeError, TypeError, RecursionError) as error:
        # The SDKs go on with whatever JSON is there: a text, a null, ten thousand brackets.
        return bad_reply(f"JSON of another shape: {error}")
    except _bases(sdk) as error:
        # Of the SDK's own work before a call, as when it renews a login.
        return Failure(FailureKind.CONNECTION, _shown(f"{type(error).__name__}: {error}"))


def _bases(sdk: ModuleType) -> tuple[type[Exception], ...]:
    """What all exceptions of an SDK are."""
    names = ("AnthropicError", "OpenAIError")
    return tuple(getattr(sdk, name) for name in names if hasattr(sdk, name))


def _of_http(*names: str) -> tuple[type[Exception], ...]:
    """The exceptions of these names in the libraries below the SDKs: openai 2 stands on httpx."""
    below = (httpx2, sys.modules.get("httpx"))
    return tuple(getattr(library, name) for library in below if library for name in names)


def _unanswered(reason: BaseException) -> Failure:
    """Failure of a call to which no answer came; a time-out of the SDKs is one of these."""
    was_sent = not isinstance(reason, _of_http(*_NEVER_SENT))
    if was_sent and isinstance(reason, _of_http("TimeoutException")):
        return Failure(FailureKind.TIMEOUT, "no answer in time", maybe_billed=True)
    words = _shown(f"connection failed: {type(reason).__name__}: {reason}")
    return Failure(FailureKind.CONNECTION, words, maybe_billed=was_sent)


def _shown(text: str) -> str:
    """One line without secrets; these go before it is cut, for a cut key is no secret's value."""
    return " ".join(without_secrets(text).split())[:_SHOWN]


def from_status(
    status: int, *, codes: frozenset[str], message: str, headers: Mapping[str, str]
) -> Failure:
    """Failure of an HTTP status, or of an error event inside a stream (status 200)."""
    kind = _kind(status, codes)
    return Failure(
        kind,
        f"HTTP {status}: {_shown(message)}",
        retry_after_s=retry_after_s(headers, time.time()) if kind.retryable else None,
        maybe_billed=status < 300 or status in _MAYBE_BILLED,
        status=status,
    )


def bad_reply(message: str, text: str = "") -> Failure:
    """A success by status that is no answer."""
    return Failure(FailureKind.BAD_REPLY, _shown(message), maybe_billed=True, text=text)


def answer(found: object, wanted: type[T], read: Callable[[T], Reply | Failure]) -> Reply | Failure:
    """Read what the SDK handed back, which may be of any type and any shape.

    Args:
        found: The result of a call without an exception.
        wanted: The SDK's own reply type.
        read: Makes a reply of it. The SDKs check nothing: a field may be missing or of any type.
    """
    if isinstance(found, str):
        return bad_reply(f"text instead of JSON: {found.strip()!r}", found)
    if not isinstance(found, wanted):
        return bad_reply(f"{type(found).__name__} instead of {wanted.__name__}")
    try:
        return read(found)
    except (AttributeError, TypeError, KeyError, ValueError, OverflowError) as error:
        return bad_reply(f"JSON of another shape: {error}")


def tokens(count: Any) -> int:
    """A number of tokens as a server names it: nothing, a number, or one as text.

    Raises:
        TypeError, ValueError, OverflowError: No number, or none that an answer has.
    """
    number = int(count or 0)
    if number > _MOST_TOKENS:
        raise ValueError(f"{number:.3g} tokens")
    return max(0, number)


def codes_of(error: Any) -> frozenset[str]:
    """Every code and type an SDK error carries, wherever this provider puts them."""
    found = {getattr(error, name, None) for name in ("error_code", "code", "type")}
    body = getattr(error, "body", None)
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        if isinstance(inner, Mapping):
            found |= {inner.get("code"), inner.get("type")}
    return frozenset(code for code in found if isinstance(code, str))


def message_of(error: Any) -> str:
    """The server's own sentence, or the SDK's; one line."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    text = inner.get("message") if isinstance(inner, Mapping) else None
    return " ".join(str(text or error).split())


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Seconds a server asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date."""
    try:
        if (milliseconds := headers.get("retry-after-ms")) is not None:
            return max(0.0, float(milliseconds) / 1000)
        value = headers.get("retry-after")
        if value is None:
            return None
        try:
            return max(0.0, float(value))
        except ValueError:
            return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now_s)
    except (ValueError, TypeError, OverflowError):
        return None


def _kind(status: int, codes: frozenset[str]) -> FailureKind:
    if codes & SPEND_CODES:
        return FailureKind.SPEND_LIMIT
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return FailureKind.SERVER
    if status < 300:
        return next((_BY_TYPE[code] for code in codes if code in _BY_TYPE), FailureKind.BAD_REPLY)
    return FailureKind.BAD_REQUEST
