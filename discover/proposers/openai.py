"""OpenAI models through the Responses API. Retries, budgets and waiting are the search's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from discover.proposers import faults, keys, probing
from discover.protocol import Context, Failure, FailureKind, ProposerOptions, Reply, Request
from foundry.prompts.build import build
from foundry.prompts.forms import FORMS
from foundry.store.records import Tokens

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.responses import Response

DEFAULT_MODEL = "gpt-6.1-sol"
KEY_VARIABLES = ("OPENAI_API_KEY",)


class OpenAIProposer:
    """Asks an OpenAI model for kernels."""

    name = "openai"
    may_repair = True
    remote = True

    def __init__(self, model: str, client: OpenAI, options: ProposerOptions) -> None:
        self.model: str | None = model
        self._client = client
        self._options = options

    def request(self, context: Context) -> Request | Failure:
        """The whole call as data."""
        prompt = build(context, FORMS[self._options.prompt])
        longest = self._options.answer_room(context.longest_answer)
        body: dict[str, Any] = {
            "model": self.model,
            "instructions": prompt.system,
            "input": prompt.user,
            "max_output_tokens": longest,
            # Prompts and kernels stay out of the provider's own history.
            "store": False,
        }
        if self._options.effort:
            body["reasoning"] = {"effort": self._options.effort}
        return Request(self.name, self.model, body, longest)

    def send(self, request: Request, timeout_s: float) -> Reply | Failure:
        """One call."""
        import openai
        from openai.types.responses import Response

        client = self._client
        found = faults.guard(
            openai,
            lambda: cast(object, client.responses.create(**request.body, timeout=timeout_s)),
        )
        if isinstance(found, Failure):
            return found
        return faults.answer(found, Response, read)

    def probe(self, timeout_s: float) -> Failure | None:
        """Why no request would be answered, or None."""
        import openai

        return probing.model_is_known(openai, self._client, self.model, timeout_s)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def read(response: Response) -> Reply | Failure:
    """A response as a reply, once it completed and says what it cost."""
    text = text_of(response)
    if response.error is not None:
        code = str(response.error.code)
        return faults.from_status(
            200, codes=frozenset({code}), message=f"{code}: {response.error.message}", headers={}
        )
    if response.status is None or response.usage is None:
        return faults.bad_reply("the reply names no status or no usage", text)
    tokens = tokens_of(response.usage)
    if response.status == "completed":
        detail = {"model": response.model, "request_id": str(response._request_id or response.id)}
        return Reply(text, tokens, "completed", detail)
    if response.status != "incomplete":
        return Failure(FailureKind.CUT, f"the reply ended as {response.status}", tokens=tokens)
    details = response.incomplete_details
    reason = details.reason if details else "unknown"
    kind = FailureKind.REFUSED if reason == "content_filter" else FailureKind.TRUNCATED
    return Failure(kind, f"the reply is incomplete: {reason}", tokens=tokens, text=text)


def text_of(response: Response) -> str:
    """The text of all messages of a response; an error body has no output at all."""
    found = []
    for item in response.output or ():
        if item.type == "message":
            found += [part.text for part in item.content if part.type == "output_text"]
    return "".join(found)


def tokens_of(usage: Any) -> Tokens:
    """OpenAI counts input with its cached parts, as here."""
    inputs, outputs = usage.input_tokens_details, usage.output_tokens_details
    return Tokens(
        input_tokens=faults.tokens(usage.input_tokens),
        output_tokens=faults.tokens(usage.output_tokens),
        cache_read_tokens=faults.tokens(getattr(inputs, "cached_tokens", 0)),
        cache_write_tokens=faults.tokens(getattr(inputs, "cache_write_tokens", 0)),
        reasoning_tokens=faults.tokens(getattr(outputs, "reasoning_tokens", 0)),
    )


def make(model: str | None, options: ProposerOptions) -> OpenAIProposer:
    """The proposer, its key checked.

    Raises:
        EnvironmentUnusable: No key.
    """
    import openai

    base_url = keys.address("openai", options)
    if base_url:
        keys.checked_url(base_url)
    key = keys.need("openai", KEY_VARIABLES, base_url)
    client = openai.OpenAI(api_key=key, base_url=base_url, max_retries=0)
    return OpenAIProposer(model or DEFAULT_MODEL, client, options)
