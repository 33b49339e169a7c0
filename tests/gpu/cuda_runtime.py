"""The CUDA runtime that a process finds, the stub's or a real one, called through ctypes."""

import ctypes
import threading
from collections.abc import Callable

SIZE = ctypes.c_size_t(64)


class Cuda:
    """The functions of the runtime, which return error codes, and captures that have begun."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        if not hasattr(self._library, "cudaMalloc"):  # no stub: torch brings the runtime
            import torch  # noqa: F401
        self.memory = ctypes.c_void_p()
        assert self.cudaMalloc(ctypes.byref(self.memory), ctypes.c_size_t(4096)) == 0
        self._captured: list[ctypes.c_void_p] = []

    def __getattr__(self, name: str) -> Callable[..., int]:
        return getattr(self._library, name)

    def stream(self, flags: int = 1) -> ctypes.c_void_p:
        """Return a stream; by default one that does not wait for the legacy stream."""
        made = ctypes.c_void_p()
        assert self.cudaStreamCreateWithFlags(ctypes.byref(made), flags) == 0
        return made

    def event(self, recorded: ctypes.c_void_p | None = None) -> ctypes.c_void_p:
        """Return an event without timing, recorded in a stream if one is given."""
        made = ctypes.c_void_p()
        assert self.cudaEventCreateWithFlags(ctypes.byref(made), 2) == 0
        assert recorded is None or self.cudaEventRecord(made, recorded) == 0
        return made

    def captured(self, mode: int = 0, flags: int = 1) -> ctypes.c_void_p:
        """Return a stream that is being captured."""
        made = self.stream(flags)
        assert self.cudaStreamBeginCapture(made, mode) == 0
        self._captured.append(made)
        return made

    def end(self, stream: ctypes.c_void_p) -> int:
        graph = ctypes.c_void_p()
        error = self.cudaStreamEndCapture(stream, ctypes.byref(graph))
        assert bool(graph) == (error == 0)
        return error

    def work(self, stream: ctypes.c_void_p | None) -> int:
        return self.cudaMemsetAsync(self.memory, 1, SIZE, stream)

    def malloc(self) -> int:
        return self.cudaMalloc(ctypes.byref(ctypes.c_void_p()), SIZE)

    def mode(self, mode: int) -> int:
        """Set the thread's mode; return the one before."""
        value = ctypes.c_int(mode)
        assert self.cudaThreadExchangeStreamCaptureMode(ctypes.byref(value)) == 0
        return value.value

    def leave(self) -> None:
        self.mode(0)
        for stream in self._captured:
            self.cudaStreamEndCapture(stream, ctypes.byref(ctypes.c_void_p()))
        self.cudaGetLastError()

    def forked(self) -> tuple[ctypes.c_void_p, ctypes.c_void_p]:
        """Return a captured stream, and another with work in its capture."""
        stream, other = self.captured(), self.stream()
        assert self.work(stream) == 0
        assert self.cudaStreamWaitEvent(other, self.event(stream), 0) == 0
        assert self.work(other) == 0
        return stream, other


def in_a_thread(function: Callable[[], int]) -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]
