"""Claude through the Messages API. Retries, budgets and waiting are the search's, not the SDK's."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from discover.proposers import faults, keys, probing
from discover.protocol import Context, Failure, FailureKind, ProposerOptions, Reply, Request
from foundry.prompts.build import build
from foundry.prompts.forms import FORMS
from foundry.store.records import Tokens

if TYPE_CHECKING:
    from anthropic import Anthropic
    from anthropic.types import Message

DEFAULT_MODEL = "claude-sonnet-5-5"
KEY_VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")


class AnthropicProposer:
    """Asks a Claude model for kernels."""

    name = "anthropic"
    may_repair = True
    remote = True

    def __init__(self, model: str, client: Anthropic, options: ProposerOptions) -> None:
        self.model: str | None = model
        self._client = client
        self._options = options

    def request(self, context: Context) -> Request | Failure:
        """The whole call as data."""
        prompt = build(context, FORMS[self._options.prompt])
        longest = self._options.answer_room(context.longest_answer)
        # The system part is the same for every call of a search: cached, it costs a tenth or less.
        system = {"type": "text", "text": prompt.system, "cache_control": {"type": "ephemeral"}}
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": longest,
            "system": [system],
            "messages": [{"role": "user", "content": prompt.user}],
        }
        if self._options.effort:
            body["output_config"] = {"effort": self._options.effort}
        return Request(self.name, self.model, body, longest)

    def send(self, request: Request, timeout_s: float) -> Reply | Failure:
        """One call."""
        import anthropic
        from anthropic.types import Message

        client = self._client
        # Without a time limit of its own, the SDK refuses long answers that are not streamed.
        found = faults.guard(
            anthropic,
            lambda: cast(object, client.messages.create(**request.body, timeout=timeout_s)),
        )
        if isinstance(found, Failure):
            return found
        return faults.answer(found, Message, read)

    def probe(self, timeout_s: float) -> Failure | None:
        """Why no request would be answered, or None."""
        import anthropic

        return probing.model_is_known(anthropic, self._client, self.model, timeout_s)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def read(message: Message) -> Reply | Failure:
    """A message as a reply, once it ended properly and says what it cost."""
    text = "".join(block.text for block in message.content or () if block.type == "text")
    if message.usage is None:
        return faults.bad_reply("the reply names no usage", text)
    tokens = tokens_of(message.usage)
    match message.stop_reason:
        case "end_turn" | "stop_sequence":
            detail = {"model": message.model, "request_id": str(message._request_id or message.id)}
            return Reply(text, tokens, message.stop_reason, detail)
        case "max_tokens" | "model_context_window_exceeded" as reason:
            return Failure(
                FailureKind.TRUNCATED, f"the reply stops at {reason}", tokens=tokens, text=text
            )
        case None:
            return Failure(FailureKind.CUT, "the reply breaks off", maybe_billed=True, text=text)
    return Failure(
        FailureKind.REFUSED, f"the model stopped: {message.stop_reason}", tokens=tokens, text=text
    )


def tokens_of(usage: Any) -> Tokens:
    """Anthropic counts input without its cached parts; here `input_tokens` is all of it."""
    read_tokens = faults.tokens(usage.cache_read_input_tokens)
    written = faults.tokens(usage.cache_creation_input_tokens)
    details = usage.output_tokens_details
    return Tokens(
        input_tokens=faults.tokens(usage.input_tokens) + read_tokens + written,
        output_tokens=faults.tokens(usage.output_tokens),
        cache_read_tokens=read_tokens,
        cache_write_tokens=written,
        reasoning_tokens=faults.tokens(getattr(details, "thinking_tokens", 0)),
    )


def make(model: str | None, options: ProposerOptions) -> AnthropicProposer:
    """The proposer, its key checked.

    Raises:
        EnvironmentUnusable: No key.
    """
    base_url = keys.address("anthropic", options)
    if base_url:
        keys.checked_url(base_url)
    return AnthropicProposer(model or DEFAULT_MODEL, _client(base_url), options)


def _client(base_url: str | None) -> Anthropic:
    """A client with a key from the environment, or with the SDK's own profiles."""
    import anthropic

    client = partial(anthropic.Anthropic, base_url=base_url, max_retries=0, open_telemetry=False)
    if key := keys.found(KEY_VARIABLES):  # the SDK would take it with the blanks around it
        return client(api_key=key)
    # A profile that is named but broken is the same as none: a key is the way out.
    with contextlib.suppress(anthropic.AnthropicError):
        found = client()
        if found.api_key or found.auth_token or found.credentials:
            return found
    return client(api_key=keys.need("anthropic", KEY_VARIABLES, base_url))
