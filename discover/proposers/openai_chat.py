"""Any server that speaks Chat Completions: Ollama, LM Studio, mlx_lm.server, llama.cpp, vLLM.

Such servers differ in what they leave out. A reply counts with a finish reason and a text; where
usage is missing, tokens are counted from the text, on the high side, and marked as estimated.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

from discover.proposers import faults, keys, probing
from discover.protocol import Context, Failure, FailureKind, ProposerOptions, Reply, Request
from foundry.errors import UsageError
from foundry.prompts.build import build
from foundry.prompts.forms import FORMS
from foundry.store.records import Tokens

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.chat import ChatCompletion

KEY_VARIABLES = ("OPENAI_API_KEY",)
_CHARACTERS_PER_TOKEN = 3


class ChatProposer:
    """Asks a model behind a Chat Completions server for kernels."""

    name = "openai-chat"
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
            "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
            # Not `max_completion_tokens`: most servers that are not OpenAI's ignore that name.
            "max_tokens": longest,
        }
        if self._options.effort:
            body["reasoning_effort"] = self._options.effort
        return Request(self.name, self.model, body, longest)

    def send(self, request: Request, timeout_s: float) -> Reply | Failure:
        """One call."""
        import openai
        from openai.types.chat import ChatCompletion

        client = self._client
        found = faults.guard(
            openai,
            lambda: cast(object, client.chat.completions.create(**request.body, timeout=timeout_s)),
        )
        if isinstance(found, Failure):
            return found
        return faults.answer(found, ChatCompletion, lambda completion: read(completion, request))

    def probe(self, timeout_s: float) -> Failure | None:
        """Why no request would be answered, or None."""
        import openai

        return probing.server_listens(openai, self._client, timeout_s)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def read(completion: ChatCompletion, request: Request) -> Reply | Failure:
    """A completion as a reply, once it has a finish reason."""
    if not completion.choices:
        return faults.bad_reply(f"no choices: {_error_of(completion)}")
    choice = completion.choices[0]
    text = (choice.message.content if choice.message else None) or ""
    tokens = tokens_of(completion.usage) if completion.usage else estimate(request, text)
    match choice.finish_reason:
        case "stop":
            detail = {
                "model": completion.model,
                "request_id": str(completion._request_id or completion.id),
            }
            return Reply(text, tokens, "stop", detail)
        case "length":
            return Failure(
                FailureKind.TRUNCATED, "the reply stops at its length", tokens=tokens, text=text
            )
        case None:
            return Failure(FailureKind.CUT, "the reply breaks off", maybe_billed=True, text=text)
    return Failure(
        FailureKind.REFUSED, f"the model stopped: {choice.finish_reason}", tokens=tokens, text=text
    )


def tokens_of(usage: Any) -> Tokens:
    """OpenAI counts prompt tokens with their cached part, as here."""
    prompt, output = usage.prompt_tokens_details, usage.completion_tokens_details
    return Tokens(
        input_tokens=faults.tokens(usage.prompt_tokens),
        output_tokens=faults.tokens(usage.completion_tokens),
        cache_read_tokens=faults.tokens(getattr(prompt, "cached_tokens", 0)),
        cache_write_tokens=faults.tokens(getattr(prompt, "cache_write_tokens", 0)),
        reasoning_tokens=faults.tokens(getattr(output, "reasoning_tokens", 0)),
    )


def estimate(request: Request, text: str) -> Tokens:
    """Tokens of a call whose server names none."""
    prompt = sum(len(message["content"]) for message in request.body["messages"])
    return Tokens(
        input_tokens=math.ceil(prompt / _CHARACTERS_PER_TOKEN),
        output_tokens=math.ceil(len(text) / _CHARACTERS_PER_TOKEN),
        estimated=True,
    )


def make(model: str | None, options: ProposerOptions) -> ChatProposer:
    """The proposer, its address, model and key checked.

    Raises:
        UsageError: No model, or no address.
        EnvironmentUnusable: No key for a server that is not on this machine.
    """
    import openai

    base_url = keys.address("openai-chat", options)
    if base_url is None:
        raise UsageError(
            "openai-chat needs the address of its server: --base-url http://127.0.0.1:8080/v1 "
            f"or {keys.ADDRESS_VARIABLES['openai-chat']}"
        )
    if not model:
        raise UsageError("openai-chat needs the model's name: --llm openai-chat:MODEL")
    key = keys.need("openai-chat", KEY_VARIABLES, keys.checked_url(base_url))
    client = openai.OpenAI(api_key=key, base_url=base_url, max_retries=0)
    return ChatProposer(model, client, options)


def _error_of(completion: ChatCompletion) -> str:
    error = (completion.model_extra or {}).get("error")
    if isinstance(error, dict):
        return str(error.get("message") or error)
    return str(error or "an empty answer")
