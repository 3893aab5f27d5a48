"""What a model answers for ops that it was not trained on: how much of it parses, builds, verifies.

    python tests/bench/bench_flywheel.py MODEL [--adapter DIR] [--ops softmax,topk,rope]
        [--samples 10] [--prompt compact] [--answers FILE]

MODEL is a folder that mlx-lm loads. The answers to one prompt share its prefill. They are kept in
FILE op by op, so that what was cut short goes on where it stopped; the judge scores all of them at
the end. Shares have 95 % intervals (Wilson). Run it before and after `foundry train`.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm import load
from mlx_lm.models.cache import make_prompt_cache

from foundry.judge.verdict import Status
from foundry.prompts.forms import FORMS
from foundry.reward import KernelReward, RewardOptions, tasks

HELD_OUT = ("softmax", "topk", "rope")
"""By `runs/dataset.toml`."""
_Z = 1.96
_STEPS = {
    "parses": lambda status: status is not Status.INVALID,
    "builds": lambda status: status not in (Status.INVALID, Status.BUILD_ERROR),
    "verifies": lambda status: status.passed,
}


def main() -> None:
    asked = arguments()
    answered = read(asked.answers)
    missing = [op for op in asked.ops if op not in answered]
    if missing:
        model, tokenizer = load(asked.model, adapter_path=asked.adapter)[:2]
        for (task,) in (tasks([op], prompt=asked.prompt) for op in missing):
            answered[task["op"]] = list(answers(model, tokenizer, task["prompt"], asked))
            keep(asked.answers, answered)
    show(judged(answered))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--adapter")
    parser.add_argument("--ops", type=lambda text: text.split(","), default=list(HELD_OUT))
    parser.add_argument("--prompt", choices=list(FORMS), default="compact")
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--tokens", type=int, default=500, help="of an answer at most")
    parser.add_argument("--temperature", type=float, default=0.6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--answers", type=Path, default=Path("runs/answers.json"))
    return parser.parse_args()


def answers(model: Any, tokenizer: Any, prompt: Any, asked: argparse.Namespace) -> Iterator[str]:
    """Answers to one prompt, all drawn at once."""
    tokens = tokenizer.apply_chat_template(prompt, add_generation_prompt=True)
    cache = make_prompt_cache(model)
    logits = model(mx.array(tokens)[None], cache=cache)[:, -1]
    for layer in cache:
        layer.keys = mx.repeat(layer.keys, asked.samples, axis=0)
        layer.values = mx.repeat(layer.values, asked.samples, axis=0)
    logits = mx.repeat(logits, asked.samples, axis=0)
    mx.random.seed(asked.seed)
    columns: list[list[int]] = []
    ended = [False] * asked.samples
    while len(columns) < asked.tokens and not all(ended):
        drawn = mx.random.categorical(logits / asked.temperature)
        columns.append(drawn.tolist())
        ended = [e or t in tokenizer.eos_token_ids for e, t in zip(ended, columns[-1], strict=True)]
        logits = model(drawn[:, None], cache=cache)[:, -1]
    for row in zip(*columns, strict=True):
        end = next((at for at, t in enumerate(row) if t in tokenizer.eos_token_ids), len(row))
        yield tokenizer.decode(list(row[:end]))


def read(file: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(file.read_text()) if file.is_file() else {}
    return found


def keep(file: Path, answered: dict[str, list[str]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(answered))
    part.replace(file)


def judged(answered: dict[str, list[str]]) -> dict[str, list[Status]]:
    """The judge's status of every answer, by op."""
    with KernelReward(RewardOptions(device="cpu", limit_s=3600.0)) as reward:
        return {
            op: [Status(one.status) for one in reward.scores(texts, [op] * len(texts))]
            for op, texts in answered.items()
        }


def show(found: dict[str, list[Status]]) -> None:
    every = [status for statuses in found.values() for status in statuses]
    for op, statuses in {**found, "all": every}.items():
        shares = (f"{step} {share([holds(s) for s in statuses])}" for step, holds in _STEPS.items())
        print(f"{op}: {', '.join(shares)}")


def share(held: Sequence[bool]) -> str:
    """A share with its 95 % interval."""
    count, total = sum(held), len(held)
    if not total:
        return "0 of 0"
    middle = (count + _Z**2 / 2) / (total + _Z**2)
    half = _Z / (total + _Z**2) * math.sqrt(count * (total - count) / total + _Z**2 / 4)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return f"{count} of {total} ({low:.0%} to {high:.0%})"


if __name__ == "__main__":
    main()
