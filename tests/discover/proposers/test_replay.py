from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from toy import DEVICE, OP

from discover.proposers.registry import make
from discover.proposers.replay import write_line
from discover.protocol import Context, Failure, FailureKind, Reply, Request
from foundry.errors import UsageError
from foundry.store.records import Tokens

CONTEXT = Context(OP, "float32", DEVICE, parent=None)


def test_replies_come_in_order_and_end(tmp_path: Path) -> None:
    script = tmp_path / "script.jsonl"
    tokens = Tokens(7, 5, cache_read_tokens=3)
    lines = [write_line("one\n\u00e9", tokens), '{"failure": "rate_limit", "message": "slow down"}']
    script.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    proposer = make(f"replay:{script}")
    found = []
    for turn in (0, 1):
        request = proposer.request(dataclasses.replace(CONTEXT, turn=turn))
        assert isinstance(request, Request)
        found.append(proposer.send(request, 1.0))
    reply, failure = found
    assert isinstance(reply, Reply)
    assert (reply.text, reply.tokens) == ("one\n\u00e9", tokens)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.RATE_LIMIT
    end = proposer.request(dataclasses.replace(CONTEXT, turn=2))
    assert isinstance(end, Failure)
    assert end.kind is FailureKind.FINISHED
    assert end.kind.fatal


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 1: not JSON"),
        ("[]", 'line 1: needs "reply" or "failure"'),
        ('{"failure": "rate_limits"}', "did you mean rate_limit"),
        ('{"reply": "x", "tokens": {"all": 3}}', "tokens holds"),
        ('{"reply": "x", "tokens": {"input_tokens": "few"}}', "line 1: tokens are numbers, not"),
        ('{"reply": "x", "tokens": {"output_tokens": 1e999}}', "line 1: tokens are numbers, not"),
        ('{"failure": ["rate_limit"]}', "line 1: unknown failure"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text(line)
    with pytest.raises(UsageError, match=words):
        make(f"replay:{script}")


def test_ends_of_lines_within_a_reply_are_no_ends_of_lines_of_a_file(tmp_path: Path) -> None:
    script = tmp_path / "script.jsonl"
    said = "one\u2028two\u2029three\u0085four\x0bfive"
    script.write_text(write_line(said, Tokens()) + "\n", encoding="utf-8")
    proposer = make(f"replay:{script}")
    request = proposer.request(CONTEXT)
    assert isinstance(request, Request)
    reply = proposer.send(request, 1.0)
    assert isinstance(reply, Reply)
    assert reply.text == said
