"""The server that workers are forked from: what it refuses, and how it ends."""

from __future__ import annotations

import errno
import json
import os
import socket
from pathlib import Path

import pytest

from foundry.engines.cpu import CpuEngine
from foundry.errors import EnvironmentUnusable
from foundry.harness.processes.fork_server import Zygote
from foundry.harness.processes.pool import WorkerPool


def test_an_op_that_starts_threads_when_it_is_loaded_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Forked workers would have none of MLX's threads, and wait for them for ever."""
    mine = tmp_path / "mine.py"
    mine.write_text(
        "import mlx.core as mx\n"
        "from ops import elementwise\n"
        "mx.eval(mx.ones(2) + 1)\n"
        "mine = elementwise('mine', np=lambda x: x + 1, mlx='x + 1', metal='x + 1', flops=1)\n"
    )
    monkeypatch.setenv("FOUNDRY_OPS", str(mine))
    with (
        WorkerPool("cpu", 1, tmp_path / "locks") as made,
        pytest.raises(EnvironmentUnusable, match="starts threads when its file is loaded"),
    ):
        made.device()


def test_a_fork_server_ends_well_whose_judge_goes_before_it_is_answered() -> None:
    control, judge = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    judge.send(json.dumps({"reap": 1}).encode())
    judge.close()
    with control:
        Zygote(CpuEngine(), control).serve()


def test_a_fork_server_that_can_start_no_worker_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", fork)
    control, judge = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with control, judge, (Path(os.devnull)).open() as channel, (Path(os.devnull)).open() as errors:
        socket.send_fds(
            judge, [json.dumps({"start": True}).encode()], [channel.fileno(), errors.fileno()]
        )
        judge.shutdown(socket.SHUT_WR)
        opened = len(os.listdir("/proc/self/fd"))
        Zygote(CpuEngine(), control).serve()
        assert len(os.listdir("/proc/self/fd")) == opened
        assert "no worker can be started" in json.loads(judge.recv(1 << 16))["unusable"][0]
