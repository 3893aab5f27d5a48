"""Every proposer that asks a server, against a real one on loopback, faults included."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from fake_llm import Answer, FakeLLM, error
from toy import DEVICE, OP

from discover.calls.checking import check
from discover.proposers.registry import make
from discover.protocol import (
    Context,
    Failure,
    FailureKind,
    Probed,
    ProposerOptions,
    Reply,
    Request,
)
from foundry.errors import EnvironmentUnusable, UsageError

NAMES = ("anthropic", "openai", "openai-chat")
CONTEXT = Context(OP, "float32", DEVICE, parent=None)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    return str(request.param)


def ask(
    name: str, answer: Answer | str, *, timeout_s: float = 5.0, effort: str | None = None
) -> tuple[Reply | Failure, FakeLLM, Request]:
    with FakeLLM([answer]) as server:
        url = server.anthropic_url if name == "anthropic" else server.openai_url
        options = ProposerOptions(base_url=url, max_output_tokens=900, effort=effort)
        with closing(make(f"{name}:model-x", options)) as proposer:
            request = proposer.request(CONTEXT)
            assert isinstance(request, Request)
            return proposer.send(request, timeout_s), server, request


def test_a_good_answer_comes_back_with_all_its_tokens(name: str) -> None:
    reply, server, request = ask(name, "a kernel", effort="low")
    assert isinstance(reply, Reply), reply
    assert reply.text == "a kernel"
    assert (reply.tokens.input_tokens, reply.tokens.output_tokens) == (420, 50)
    assert reply.tokens.cache_read_tokens == 300
    assert not reply.tokens.estimated
    assert reply.detail["model"] == "model-x"
    assert server.refused == []
    assert server.requests[0].body == request.body
    assert "sk-" not in str(request.body)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(429), FailureKind.RATE_LIMIT),
        (error(529), FailureKind.OVERLOADED),
        (error(503), FailureKind.OVERLOADED),
        (error(500), FailureKind.SERVER),
        (error(502), FailureKind.SERVER),
        (error(408), FailureKind.TIMEOUT),
        (error(504), FailureKind.TIMEOUT),
        (error(400), FailureKind.BAD_REQUEST),
        (error(413), FailureKind.BAD_REQUEST),
        (error(401), FailureKind.DENIED),
        (error(403), FailureKind.DENIED),
        (error(402), FailureKind.SPEND_LIMIT),
        (error(404), FailureKind.NOT_FOUND),
        (error(429, "enforced_spend_limit_reached"), FailureKind.SPEND_LIMIT),
        (error(429, "insufficient_quota"), FailureKind.SPEND_LIMIT),
        (Answer("x", cut=True), FailureKind.CONNECTION),
        (Answer("x", stop="length"), FailureKind.TRUNCATED),
        (Answer("x", stop="filter"), FailureKind.REFUSED),
        (Answer(error_body=True), FailureKind.BAD_REPLY),
        (Answer(raw="<html>Sign in to the hotel network</html>"), FailureKind.BAD_REPLY),
        (Answer(raw='{"id": "x", "content": [{"ty'), FailureKind.BAD_REPLY),
        (Answer(raw=""), FailureKind.BAD_REPLY),
        (Answer(raw="null"), FailureKind.BAD_REPLY),
        (Answer(raw="[]"), FailureKind.BAD_REPLY),
        (Answer(raw='{"content": 3, "choices": 3, "output": 3}'), FailureKind.BAD_REPLY),
        (
            Answer(raw='{"content": [1], "choices": [1], "output": [1], "usage": 5}'),
            FailureKind.BAD_REPLY,
        ),
    ],
)
def test_every_fault_becomes_data(name: str, answer: Answer, kind: FailureKind) -> None:
    failure, server, _ = ask(name, answer)
    assert isinstance(failure, Failure), failure
    assert failure.kind is kind, failure
    assert failure.message
    assert len(server.requests) == 1, "the SDK must not retry by itself"


def test_an_answer_that_breaks_off_is_no_answer(name: str) -> None:
    failure, _, _ = ask(name, Answer("half", stop=None))
    assert isinstance(failure, Failure)
    assert failure.kind in (FailureKind.CUT, FailureKind.BAD_REPLY)
    assert failure.kind.retryable
    assert failure.maybe_billed


def test_missing_usage_is_a_fault_or_an_estimate(name: str) -> None:
    found, _, request = ask(name, Answer("a" * 300, usage=False))
    if name == "openai-chat":
        assert isinstance(found, Reply)
        assert found.tokens.estimated
        assert found.tokens.output_tokens == 100
        prompt = sum(len(m["content"]) for m in request.body["messages"])
        assert found.tokens.input_tokens >= prompt / 3
    else:
        assert isinstance(found, Failure)
        assert found.kind is FailureKind.BAD_REPLY
        assert found.maybe_billed


def test_half_a_surrogate_pair_in_an_answer_can_be_stored(name: str) -> None:
    reply, _, _ = ask(name, "a kernel \ud800 of sorts")
    assert isinstance(reply, Reply), reply
    assert reply.text.encode() == b"a kernel ? of sorts"


@pytest.mark.parametrize("status", [408, 504, 524])
def test_a_gateway_that_waited_no_longer_may_have_been_billed(name: str, status: int) -> None:
    failure, _, _ = ask(name, error(status))
    assert isinstance(failure, Failure)
    assert failure.maybe_billed


def test_an_address_that_swallows_packets_costs_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swallowed(*_: Any, **__: Any) -> None:
        raise TimeoutError

    with closing(make(f"{name}:m", ProposerOptions(base_url="http://127.0.0.1:9"))) as proposer:
        request = proposer.request(CONTEXT)
        assert isinstance(request, Request)
        monkeypatch.setattr("socket.create_connection", swallowed)
        failure = proposer.send(request, 0.5)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.CONNECTION, failure
    assert not failure.maybe_billed


def test_tokens_that_are_no_numbers_are_a_fault_and_text_of_numbers_is_none(name: str) -> None:
    body = (
        '{{"id": 7, "type": "message", "role": "assistant", "model": "m", "object": "response",'
        ' "status": "completed", "stop_reason": "end_turn",'
        ' "content": [{{"type": "text", "text": "said"}}],'
        ' "output": [{{"type": "message",'
        ' "content": [{{"type": "output_text", "text": "said"}}]}}],'
        ' "choices": [{{"finish_reason": "stop", "message": {{"content": "said"}}}}],'
        ' "usage": {{"input_tokens": {0}, "output_tokens": {0}, "prompt_tokens": {0},'
        ' "completion_tokens": {0}}}}}'
    )
    for given, count in (('"812"', 812), ("-5", 0), ("90", 90)):
        reply, _, _ = ask(name, Answer(raw=body.format(given)))
        assert isinstance(reply, Reply), reply
        assert (reply.tokens.input_tokens, reply.tokens.output_tokens) == (count, count)
        assert type(reply.tokens.input_tokens) is int
        assert isinstance(reply.detail["request_id"], str)
    for given in ('"many"', "1e999", "1" * 30):
        failure, _, _ = ask(name, Answer(raw=body.format(given)))
        assert isinstance(failure, Failure), given
        assert failure.kind is FailureKind.BAD_REPLY


def test_what_a_truncated_answer_cost_is_known(name: str) -> None:
    failure, _, _ = ask(name, Answer("half a kernel", stop="length"))
    assert isinstance(failure, Failure)
    assert failure.tokens is not None
    assert failure.tokens.input_tokens + failure.tokens.output_tokens == 470
    assert failure.text == "half a kernel"
    assert not failure.kind.retryable


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7200"}, 7200.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after_ms": "250"}, 0.25),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "Fri, 01 Jan 2010 00:00:00 GMT"}, 0.0),
        ({}, None),
    ],
)
def test_the_wait_a_server_asks_for_is_read(
    name: str, headers: dict[str, str], seconds: float | None
) -> None:
    failure, _, _ = ask(name, error(429, **headers))
    assert isinstance(failure, Failure)
    assert failure.retry_after_s == seconds


def test_a_slow_server_runs_into_the_time_limit(name: str) -> None:
    failure, _, _ = ask(name, Answer("late", slow_s=2.0), timeout_s=0.2)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.TIMEOUT
    assert failure.maybe_billed


def test_a_dead_address_is_a_connection_failure_that_cost_nothing(name: str) -> None:
    with closing(make(f"{name}:m", ProposerOptions(base_url="http://127.0.0.1:9"))) as proposer:
        request = proposer.request(CONTEXT)
        assert isinstance(request, Request)
        failure = proposer.send(request, 2.0)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.CONNECTION
    assert not failure.maybe_billed


@pytest.mark.parametrize(
    ("models", "key", "kind"),
    [
        (["model-x"], True, None),
        (None, True, None),
        (["model-y"], True, FailureKind.NOT_FOUND),
        (["model-x"], "refused", FailureKind.DENIED),
    ],
)
def test_a_probe_finds_out_what_a_call_would(
    name: str, models: list[str] | None, key: bool | str, kind: FailureKind | None
) -> None:
    with FakeLLM(["x"], models=models, needs_key=key) as server:
        url = server.anthropic_url if name == "anthropic" else server.openai_url
        with closing(make(f"{name}:model-x", ProposerOptions(base_url=url))) as proposer:
            assert isinstance(proposer, Probed)
            found = proposer.probe(5.0)
        assert server.requests == [], "a probe costs nothing"
    if name == "openai-chat" and kind is FailureKind.NOT_FOUND:
        kind = None  # a server of one's own may load models that it does not list
    assert (found.kind if found else None) is kind


def test_a_server_that_is_down_at_the_start_is_exit_3(name: str) -> None:
    options = ProposerOptions(base_url="http://127.0.0.1:9")
    with (
        closing(make(f"{name}:m", options)) as proposer,
        pytest.raises(EnvironmentUnusable, match="nothing was sent or judged"),
    ):
        check([proposer])


@pytest.mark.parametrize("name", ["anthropic", "openai"])
def test_a_missing_key_stops_before_anything_is_sent(name: str) -> None:
    with pytest.raises(EnvironmentUnusable, match=r"_API_KEY .*is not set.*--llm mutate") as caught:
        make(name)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("sign", ["\u200b", "\u00e9", "\n"])
def test_a_key_with_what_no_header_holds_is_told_before_anything_is_sent(
    name: str, sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blank that nobody sees comes along from a web page."""
    for variable in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(variable, f"sk-{sign}test")
    with pytest.raises(EnvironmentUnusable, match=rf"_API_KEY holds U\+{ord(sign):04X} in place 4"):
        make(f"{name}:m", ProposerOptions(base_url="http://127.0.0.1:1/v1"))


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:1/v1", True),
        ("http://localhost:8080/v1", True),
        ("http://[::1]:8080/v1", True),
        ("https://llm.example.com/v1", False),
        ("http://192.168.1.4:8080/v1", False),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_only_a_server_on_this_machine_needs_no_key(name: str, url: str, local: bool) -> None:
    options = ProposerOptions(base_url=url)
    if local:
        assert make(f"{name}:m", options).model == "m"
    else:
        with pytest.raises(EnvironmentUnusable):
            make(f"{name}:m", options)


@pytest.mark.parametrize(
    ("spec", "options", "words"),
    [
        ("antropic", {}, "did you mean anthropic"),
        ("openai-chat", {}, "needs the address of its server"),
        ("openai-chat", {"base_url": "http://127.0.0.1:1/v1"}, "needs the model's name"),
        ("openai-chat:m", {"base_url": "localhost:8080"}, "is no address"),
        ("replay", {}, "replay needs a file"),
        ("replay:/no/such/file", {}, "cannot read replies"),
    ],
)
def test_a_wrong_proposer_says_what_to_do(spec: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make(spec, ProposerOptions(**options))


def test_the_prompt_cache_is_asked_for_the_part_that_repeats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    request = make("anthropic").request(CONTEXT)
    assert isinstance(request, Request)
    assert request.body["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert request.body["max_tokens"] < 21_334


def test_no_sdk_object_leaves_a_proposer(name: str) -> None:
    import pickle

    answers: list[Callable[[], Answer]] = [lambda: error(429), lambda: Answer("fine")]
    for answer in answers:
        found, _, _ = ask(name, answer())
        assert pickle.loads(pickle.dumps(found)) == found
