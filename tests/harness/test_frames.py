from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import ml_dtypes
import numpy as np
import pytest

from foundry.harness import frames
from foundry.harness.frames import Channel, FrameError, FrameTimeout


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    a, b = socket.socketpair()
    with a, b:
        yield Channel(a), Channel(b)


def test_arrays_of_every_dtype_cross_unchanged(ends: tuple[Channel, Channel]) -> None:
    arrays = {
        "f": np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::-1],
        "h": np.array(1.5, np.float16),
        "b": np.array([1, 2], ml_dtypes.bfloat16),
        "i": np.zeros((0, 4), np.int64),
        "z": np.array([True, False]),
    }
    sender = threading.Thread(
        target=ends[0].send, args=({"arrays": frames.describe(arrays)}, list(arrays.values()))
    )
    sender.start()
    frame = ends[1].receive(1 << 20)
    sender.join()
    found, end = frames.take(frame.payload, frame.header["arrays"], 0)
    assert end == len(frame.payload)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def test_a_reply_larger_than_expected_is_refused(ends: tuple[Channel, Channel]) -> None:
    ends[0].send({}, [np.zeros(100, np.uint8)])
    with pytest.raises(FrameError, match="100 bytes; at most 99"):
        ends[1].receive(99)


def test_what_is_no_frame_is_refused() -> None:
    for garbage in (b"PASS\n" * 10, b"MFM1" + b"\xff" * 12, b"MFM1\x02\0\0\0" + bytes(8) + b"[]"):
        a, b = socket.socketpair()
        with a, b:
            a.sendall(garbage)
            with pytest.raises(FrameError):
                Channel(b).receive(10, time.monotonic() + 1)


STOPPED = """
import socket, sys, time
from foundry.harness import frames
frames._LOOK_S, frames._STOOD_S = 0.1, 0.6
ours = frames.Channel(socket.socket(fileno=int(sys.argv[1])))
ours.send({"now": "stop me"})
print(ours.receive(0, time.monotonic() + 1.0).header["said"])
"""


def test_an_answer_to_a_process_that_was_stopped_is_not_late() -> None:
    """Ctrl-Z and `fg`: the worker answered, and nobody read it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        number = theirs.fileno()
        command = [sys.executable, "-c", STOPPED, str(number)]
        with subprocess.Popen(command, pass_fds=[number], stdout=-1, text=True) as stopped:
            channel = Channel(ours)
            channel.receive(0)
            time.sleep(0.3)  # it waits by now
            stopped.send_signal(signal.SIGSTOP)
            time.sleep(2.0)
            channel.send({"said": "here it is"})
            stopped.send_signal(signal.SIGCONT)
            assert stopped.communicate(timeout=20)[0] == "here it is\n"


def test_deadlines_end_reading_and_writing(ends: tuple[Channel, Channel]) -> None:
    with pytest.raises(FrameTimeout):
        ends[1].receive(10, time.monotonic() + 0.02)
    with pytest.raises(FrameTimeout):
        ends[0].send({}, [np.zeros(64 << 20, np.uint8)], time.monotonic() + 0.05)


def test_a_closed_end_is_an_error(ends: tuple[Channel, Channel]) -> None:
    ends[0].close()
    with pytest.raises(FrameError):
        ends[1].receive(10, time.monotonic() + 1)


def test_a_payload_shorter_than_its_header_says_is_refused() -> None:
    with pytest.raises(FrameError, match="shorter"):
        frames.take(memoryview(bytes(7)), [["x", "float32", [2]]], 0)
