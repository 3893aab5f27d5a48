"""The environment in the loop of `verifiers`: its own command against a server of answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from templates import registry, space
from templates.render import render

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
pytest.importorskip("verifiers.v1", reason="make test-trainers installs it")

from foundry.reward.asking import tasks  # noqa: E402
from foundry.reward.environment import load_environment  # noqa: E402
from foundry.reward.options import RewardOptions, Shares  # noqa: E402


def right_kernel() -> str:
    template = registry.get("silu_elements")
    return render(template, space.default(template))


def answer(request: Request) -> Response:
    """A right kernel for silu, and nothing but words for relu."""
    asked = json.loads(request.data)["messages"][-1]["content"]
    text = f"```metal\n{right_kernel()}\n```" if "silu" in asked else "I would rather not."
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    found = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
    return Response(
        json.dumps(found | {"choices": [choice], "usage": usage}), content_type="application/json"
    )


def evaluated(url: str, folder: Path, *options: str) -> list[dict[str, Any]]:
    """Traces of `vf-eval metal-foundry`."""
    command = [
        sys.executable, "-c", "from verifiers.v1.cli.eval.main import main; main()",
        "metal-foundry", "--model", "m", "--client.base-url", url, "--client.api-key-var", "NO_KEY",
        "--no-push", "--no-rich", "--output-dir", str(folder),
        "--env.taskset.task.device", "cpu", *options,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr + done.stdout
    (traces,) = folder.rglob("traces.jsonl")
    episodes = [json.loads(line) for line in traces.read_text().splitlines()]
    return [trace for episode in episodes for trace in episode["traces"]]


def test_its_own_command_gives_answers_to_the_judge(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/v1/chat/completions").respond_with_handler(answer)
    traces = evaluated(
        httpserver.url_for("/v1"), tmp_path, "--env.taskset.ops", '["silu", "relu"]', "-r", "2"
    )
    earned = sorted(
        (trace["task"]["data"]["op"], trace["rewards"]["kernel"]["score"]) for trace in traces
    )
    assert earned == [("relu", 0.0), ("relu", 0.0), ("silu", 1.0), ("silu", 1.0)]
    for trace in traces:
        assert trace["ok"]
        assert bool(trace["info"]["kernel_reason"]) == (trace["task"]["data"]["op"] == "relu")


def test_a_server_that_is_down_fails_the_rollout_and_names_it(tmp_path: Path) -> None:
    (trace,) = evaluated("http://127.0.0.1:9/v1", tmp_path, "--env.taskset.ops", '["silu"]')
    assert not trace["ok"]
    assert trace["errors"]


def test_ops_held_out_are_the_test_split_alone() -> None:
    both = ["silu", "relu", "softmax"]
    train = load_environment(both, hold_out=["softmax"])
    test = load_environment(both, hold_out=["softmax"], split="test")
    assert [task.data.op for task in train.taskset] == ["silu", "relu"]
    assert [task.data.op for task in test.taskset] == ["softmax"]
    assert not list(load_environment(both, split="test").taskset)


def test_options_arrive_whole() -> None:
    asked = RewardOptions(speed="predicted", run_limit_s=2.5, shares=Shares(right=0.5, speed=0.5))
    (task,) = load_environment(["silu"], options=asked).taskset
    assert task.config.options() == asked


def test_a_model_that_was_trained_on_short_prompts_is_asked_by_them() -> None:
    (full,) = load_environment(["silu"]).taskset
    (compact,) = load_environment(["silu"], prompt="compact").taskset
    (row,) = tasks(["silu"], prompt="compact")
    assert compact.data.system_prompt == row["prompt"][0]["content"]
    assert len(str(compact.data.system_prompt)) < len(str(full.data.system_prompt)) / 2
