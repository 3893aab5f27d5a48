"""Messages between judge and worker: a JSON header and raw bytes, with lengths in front.

`<magic u32> <header bytes u32> <payload bytes u64> header payload`. Nothing is ever unpickled, and
the reader says how many bytes it is ready to take before any are read.
"""

from __future__ import annotations

import functools
import json
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.program import Arrays
from ops.dtypes import numpy_dtype

_PREFIX = struct.Struct("<IIQ")
_MAGIC = 0x314D464D
MAX_HEADER_BYTES = 64 << 20
_AT_ONCE_BYTES = 1 << 16
"""Frames up to this size go out in one piece, so that the other side wakes up once."""
_LOOK_S, _STOOD_S = 1.0, 10.0
"""How long one wait lasts at most, and from which length on this process cannot have run in it."""


class FrameError(Exception):
    """The other side sent something that is no frame, or nothing any more."""


class Disconnected(FrameError):
    """The other side closed the connection."""


class FrameTimeout(Exception):
    """The deadline passed before the whole frame was through."""


@dataclass(frozen=True)
class Frame:
    """One message."""

    header: dict[str, Any]
    payload: memoryview


class Channel:
    """A stream socket that carries frames. Not for use by two threads at once.

    While this process is stopped (Ctrl-Z, a machine that is paused) no deadline comes nearer: the
    other side may have answered long since, and nobody was there to read it.

    Args:
        connection: The socket.
        clock: What deadlines are compared with; it may stand still.
    """

    def __init__(
        self, connection: socket.socket, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._socket = connection
        self._clock = clock
        self._stood_s = 0.0
        """How long this process was stopped since it last began to send."""

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def send(
        self,
        header: dict[str, Any],
        buffers: Sequence[NDArray[Any]] = (),
        deadline: float | None = None,
    ) -> None:
        """Write one frame; `deadline` is a moment of the clock.

        Raises:
            FrameTimeout: The other side did not take it in time.
            FrameError: The other side is gone.
        """
        self._stood_s = 0.0
        text = json.dumps(header).encode()
        views = [_bytes_of(array) for array in buffers]
        size = sum(len(view) for view in views)
        start = _PREFIX.pack(_MAGIC, len(text), size) + text
        if len(start) + size <= _AT_ONCE_BYTES:
            start, views = b"".join((start, *views)), []
        self._write(memoryview(start), deadline)
        for view in views:
            self._write(view, deadline)

    def receive(self, max_payload_bytes: int, deadline: float | None = None) -> Frame:
        """Read one frame of at most `max_payload_bytes`.

        Raises:
            FrameTimeout: It was not through by the deadline.
            FrameError: End of stream, not a frame, or larger than announced.
        """
        magic, header_size, size = _PREFIX.unpack(self._read(_PREFIX.size, deadline))
        if magic != _MAGIC or header_size > MAX_HEADER_BYTES:
            raise FrameError("the reply is not a frame")
        if size > max_payload_bytes:
            raise FrameError(f"the reply holds {size} bytes; at most {max_payload_bytes} expected")
        try:
            header = json.loads(bytes(self._read(header_size, deadline)))
        except (ValueError, RecursionError):
            raise FrameError("the header of the reply is not JSON") from None
        if not isinstance(header, dict):
            raise FrameError("the header of the reply is not an object")
        return Frame(header, self._read(size, deadline))

    def _write(self, data: memoryview, deadline: float | None) -> None:
        while data:
            data = data[self._attempt(self._socket.send, data, deadline) :]

    def _read(self, size: int, deadline: float | None) -> memoryview:
        data = memoryview(bytearray(size))
        done = 0
        while done < size:
            count = self._attempt(self._socket.recv_into, data[done:], deadline)
            if not count:
                raise Disconnected("end of stream")
            done += count
        return data

    def _attempt(
        self, transfer: Callable[[memoryview], int], data: memoryview, deadline: float | None
    ) -> int:
        """One transfer; begun again until the deadline, whose clock may stand still meanwhile."""
        while True:
            try:
                self._arm(deadline)
                before_s = time.monotonic()
                count = transfer(data)
                self._note(time.monotonic() - before_s)
                return count
            except TimeoutError:
                self._note(time.monotonic() - before_s)
            except OSError as error:
                raise Disconnected(str(error)) from None

    def _arm(self, deadline: float | None) -> None:
        if deadline is None:
            self._socket.settimeout(None)
            return
        left = deadline + self._stood_s - self._clock()
        if left <= 0:
            raise FrameTimeout
        self._socket.settimeout(min(left, _LOOK_S))

    def _note(self, waited_s: float) -> None:
        """A wait that took far longer than it may: this process did not run."""
        if waited_s > _STOOD_S:
            self._stood_s += waited_s


def describe(arrays: Arrays) -> list[list[Any]]:
    """Header entry of named arrays: name, MLX dtype and shape of each."""
    return [[name, dtype_name(a), list(a.shape)] for name, a in arrays.items()]


def take(payload: memoryview, entries: Sequence[Sequence[Any]], offset: int) -> tuple[Arrays, int]:
    """Arrays that `describe` announced, read from `payload` at `offset`; and the offset behind.

    Raises:
        FrameError: The payload is shorter than announced.
    """
    arrays: Arrays = {}
    for name, dtype, shape in entries:
        kind = numpy_dtype(dtype)
        count = int(np.prod(shape, dtype=np.int64))
        end = offset + count * kind.itemsize
        if end > len(payload):
            raise FrameError("the payload is shorter than its header says")
        arrays[name] = np.frombuffer(payload[offset:end], dtype=kind).reshape(shape)
        offset = end
    return arrays, offset


def dtype_name(array: NDArray[Any]) -> str:
    """MLX name of an array's dtype."""
    return _name_of(array.dtype)


@functools.cache
def _name_of(dtype: np.dtype[Any]) -> str:
    return {"bool": "bool_"}.get(dtype.name, dtype.name)


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
