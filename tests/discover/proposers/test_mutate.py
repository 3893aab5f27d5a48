from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from toy import DEVICE, passed
from toy import OP as TOY

from discover.drafts.novelty import Novelty
from discover.proposers.registry import make
from discover.proposers.rewrites import Variant
from discover.protocol import Context, Failure, FailureKind, Reply, Request
from foundry.errors import InvalidKernel
from foundry.kernel import Kernel, check, parse, render
from foundry.prompts.assignment import Attempt
from ops import registry as ops
from ops.spec import Op
from templates import registry, space
from templates.render import render as fill

OP = ops.get("softmax")
START = registry.for_op("softmax")[0]
PARENT = Attempt(
    fill(START, space.default(START)),
    passed(),
    {"template": START.name, "knobs": dict(space.default(START))},
)


def propose(
    seed: int,
    *,
    parent: Attempt | None = PARENT,
    seen: Callable[[Kernel], bool] = lambda kernel: False,
) -> Request | Failure:
    return make("mutate").request(Context(OP, "float32", DEVICE, parent, seed=seed, seen=seen))


def detail(request: Request | Failure) -> dict[str, Any]:
    assert isinstance(request, Request)
    return dict(request.body["detail"])


def test_equal_seeds_give_equal_proposals() -> None:
    first = [propose(seed) for seed in range(30)]
    assert first == [propose(seed) for seed in range(30)]
    assert len({r.body["kernel"] for r in first if isinstance(r, Request)}) > 15


def test_every_kind_of_move_is_made_and_every_kernel_is_of_the_op() -> None:
    moves = set()
    for seed in range(60):
        request = propose(seed)
        assert isinstance(request, Request)
        check(parse(request.body["kernel"]), OP)
        moves.add(detail(request)["move"])
        reply = make("mutate").send(request, 1.0)
        assert isinstance(reply, Reply)
        assert reply.text == request.body["kernel"]
        assert reply.tokens.input_tokens == 0
    assert moves == {"knob", "jump", "template", "rewrite"}


def test_a_walk_never_proposes_what_was_seen_and_ends() -> None:
    seen: set[str] = {parse(PARENT.text).hash}
    for seed in range(100_000):
        request = propose(seed, seen=lambda kernel: kernel.hash in seen)
        if isinstance(request, Failure):
            assert request.kind is FailureKind.EXHAUSTED
            break
        found = parse(request.body["kernel"]).hash
        assert found not in seen
        seen.add(found)
        if len(seen) > 150:
            break
    assert len(seen) > 50


def test_an_exhausted_parent_says_so() -> None:
    failure = propose(1, seen=lambda kernel: True)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.EXHAUSTED
    assert not failure.kind.fatal


def test_a_rewritten_kernel_keeps_its_lineage_and_is_rewritten_further() -> None:
    request = next(r for r in map(propose, range(99)) if detail(r)["move"] == "rewrite")
    first = detail(request)
    assert first["template"] == START.name
    assert len(first["rewrites"]) == 1
    assert isinstance(request, Request)
    child = Attempt(request.body["kernel"], passed(), first)
    moves = [detail(propose(seed, parent=child)) for seed in range(40)]
    assert {m["move"] for m in moves} == {"knob", "jump", "template", "rewrite"}
    longer = next(m for m in moves if m["move"] == "rewrite")
    assert longer["rewrites"][0] == first["rewrites"][0]
    assert len(longer["rewrites"]) == 2


def test_another_point_keeps_the_rewrites_that_apply_there() -> None:
    request = next(
        r for r in map(propose, range(99)) if "math_mode" in str(detail(r).get("rewrites"))
    )
    assert isinstance(request, Request)
    child = Attempt(request.body["kernel"], passed(), detail(request))
    for seed in range(40):
        moved = propose(seed, parent=child)
        found = detail(moved)
        assert isinstance(moved, Request)
        if found["move"] in ("knob", "jump"):
            assert found["rewrites"] == detail(request)["rewrites"]
            assert found["knobs"] != detail(request)["knobs"]
            (launch,) = parse(moved.body["kernel"]).launches
            assert launch.math_mode == parse(child.text).launches[0].math_mode
            bare = registry.get(found["template"])
            assert fill(bare, found["knobs"]) != moved.body["kernel"]


def test_a_kernel_from_outside_is_rewritten_though_no_template_made_it() -> None:
    rng = random.Random(0)
    outside = Attempt(PARENT.text, passed(), {"model": "claude"})
    moves = {detail(propose(rng.randrange(999), parent=outside))["move"] for _ in range(40)}
    assert moves == {"template", "rewrite"}


def test_a_rewrite_whose_text_does_not_read_back_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(kernel: Kernel, op: Op) -> Iterator[Variant]:
        yield Variant("broken", replace(kernel, header="/*kernel\ngrid = 1\n*/"))

    monkeypatch.setattr("discover.proposers.mutate.all_rewrites", lambda: {"broken": broken})
    with pytest.raises(InvalidKernel):
        parse(render(next(broken(parse(PARENT.text), OP)).kernel))
    met = Novelty()
    moves = {
        detail(propose(seed, seen=lambda kernel: met.first(kernel) is not None))["move"]
        for seed in range(40)
    }
    assert moves == {"knob", "jump", "template"}


def test_an_op_without_template_and_parent_ends_the_proposer() -> None:
    failure = make("mutate").request(Context(TOY, "float32", DEVICE, parent=None))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.FINISHED
    assert "--llm" in failure.message
    alone = make("mutate").request(Context(OP, "float32", DEVICE, parent=None))
    assert detail(alone)["move"] == "template"
