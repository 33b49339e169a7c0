"""CUDA's rules, each in one function, shown on the runtime that a process finds.

`test_rules.py` runs this file with the stub: it prints, as JSON, what went wrong in each function,
or null. On a real GPU, `python tests/gpu/rule_cases.py` compares the stub's rules with CUDA's.
Pages are those of docs.nvidia.com/cuda, and guide means cuda-c-programming-guide/index.html.
"""

import ctypes
import json
import sys
import threading
import traceback
from collections.abc import Callable

STREAMS = "cuda-runtime-api/group__CUDART__STREAM.html"
EVENTS = "cuda-runtime-api/group__CUDART__EVENT.html"
MEMORY = "cuda-runtime-api/group__CUDART__MEMORY.html"
GRAPHS = "cuda-runtime-api/group__CUDART__GRAPH.html"
ERRORS = "cuda-runtime-api/group__CUDART__ERROR.html"
UNIFIED = "cuda-runtime-api/group__CUDART__UNIFIED.html"
SYNCHRONISATION = "cuda-runtime-api/api-sync-behavior.html"
PROHIBITED = "guide#prohibited-and-unhandled-operations"
INVALIDATION = "guide#invalidation"
CROSS_STREAM = "guide#cross-stream-dependencies-and-events"

OUT_OF_MEMORY, INVALID_VALUE, ILLEGAL_STATE = 2, 1, 401
UNSUPPORTED, INVALIDATED, MERGE, UNMATCHED, UNJOINED = 900, 901, 902, 903, 904
ISOLATION, IMPLICIT, CAPTURED_EVENT, WRONG_THREAD = 905, 906, 907, 908
GLOBAL, THREAD_LOCAL, RELAXED = 0, 1, 2
BLOCKING, NON_BLOCKING = 0, 1
LEGACY = None

RULES: dict[str, tuple[str, Callable[["Cuda"], None]]] = {}
"""Page and function of each rule, by the function's name."""


def rule(page: str) -> Callable[[Callable], Callable]:
    def note(function: Callable) -> Callable:
        RULES[function.__name__] = (page, function)
        return function

    return note


class Cuda:
    """The runtime's functions, which return error codes; what one case has begun."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        if not hasattr(self._library, "cudaMalloc"):  # no stub: torch brings the runtime
            import torch  # noqa: F401
        self.memory = ctypes.c_void_p()
        assert self.cudaMalloc(ctypes.byref(self.memory), ctypes.c_size_t(4096)) == 0
        self._captured: list[ctypes.c_void_p] = []

    def __getattr__(self, name: str) -> Callable[..., int]:
        return getattr(self._library, name)

    def stream(self, flags: int = NON_BLOCKING) -> ctypes.c_void_p:
        made = ctypes.c_void_p()
        assert self.cudaStreamCreateWithFlags(ctypes.byref(made), flags) == 0
        return made

    def event(self) -> ctypes.c_void_p:
        made = ctypes.c_void_p()
        assert self.cudaEventCreateWithFlags(ctypes.byref(made), 2) == 0  # without timing
        return made

    def captured(self, mode: int = GLOBAL, flags: int = NON_BLOCKING) -> ctypes.c_void_p:
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
        return self.cudaMemsetAsync(self.memory, 1, ctypes.c_size_t(64), stream)

    def malloc(self) -> int:
        return self.cudaMalloc(ctypes.byref(ctypes.c_void_p()), ctypes.c_size_t(64))

    def mode(self, mode: int) -> int:
        """Set the thread's mode; return the one before."""
        value = ctypes.c_int(mode)
        assert self.cudaThreadExchangeStreamCaptureMode(ctypes.byref(value)) == 0
        return value.value

    def leave(self) -> None:
        self.mode(GLOBAL)
        for stream in self._captured:
            self.cudaStreamEndCapture(stream, ctypes.byref(ctypes.c_void_p()))
        self.cudaGetLastError()


def in_a_thread(function: Callable[[], int]) -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


@rule(STREAMS)
def work_of_a_captured_stream_becomes_nodes_of_a_graph(cuda):
    stream, graph, count = cuda.captured(), ctypes.c_void_p(), ctypes.c_size_t()
    assert [cuda.work(stream) for _ in range(3)] == [0, 0, 0]
    assert cuda.cudaStreamEndCapture(stream, ctypes.byref(graph)) == 0
    assert cuda.cudaGraphGetNodes(graph, None, ctypes.byref(count)) == 0
    assert count.value == 3


@rule(STREAMS)
def the_legacy_stream_can_not_be_captured(cuda):
    assert cuda.cudaStreamBeginCapture(LEGACY, RELAXED) == UNSUPPORTED


@rule(STREAMS)
def a_stream_is_captured_once_at_a_time(cuda):
    stream = cuda.captured()
    assert cuda.cudaStreamBeginCapture(stream, GLOBAL) == ILLEGAL_STATE


@rule(STREAMS)
def a_capture_that_never_began_can_not_end(cuda):
    assert cuda.end(cuda.stream()) == ILLEGAL_STATE


@rule(STREAMS)
def only_the_thread_that_began_a_capture_ends_it(cuda):
    for mode in (GLOBAL, THREAD_LOCAL):
        stream = cuda.captured(mode)
        assert in_a_thread(lambda stream=stream: cuda.end(stream)) == WRONG_THREAD
        assert cuda.end(stream) == INVALIDATED


@rule(STREAMS)
def a_relaxed_capture_may_be_ended_by_another_thread(cuda):
    stream = cuda.captured(RELAXED)
    assert in_a_thread(lambda: cuda.end(stream)) == 0


@rule(PROHIBITED)
def a_captured_stream_can_neither_be_waited_for_nor_queried_in_any_mode(cuda):
    for mode in (GLOBAL, THREAD_LOCAL, RELAXED):
        for function in (cuda.cudaStreamSynchronize, cuda.cudaStreamQuery):
            stream = cuda.captured(mode)
            assert function(stream) == UNSUPPORTED
            assert cuda.end(stream) == INVALIDATED


@rule(PROHIBITED)
def a_device_can_not_be_waited_for_while_its_stream_is_captured(cuda):
    stream = cuda.captured(RELAXED)
    assert cuda.cudaDeviceSynchronize() == UNSUPPORTED
    assert cuda.end(stream) == INVALIDATED


@rule(PROHIBITED)
def the_legacy_stream_is_not_usable_while_a_blocking_stream_is_captured(cuda):
    for use in (cuda.work, cuda.cudaStreamSynchronize, cuda.cudaStreamQuery):
        stream = cuda.captured(RELAXED, BLOCKING)
        assert use(LEGACY) == IMPLICIT
        assert cuda.end(stream) == INVALIDATED


@rule(PROHIBITED)
def the_legacy_stream_is_usable_while_another_kind_of_stream_is_captured(cuda):
    stream = cuda.captured(RELAXED, NON_BLOCKING)
    assert cuda.work(LEGACY) == 0
    assert cuda.end(stream) == 0


@rule(STREAMS)
def to_ask_whether_the_legacy_stream_is_captured_fails_but_spoils_nothing(cuda):
    stream, status = cuda.captured(RELAXED, BLOCKING), ctypes.c_int()
    assert cuda.cudaStreamIsCapturing(LEGACY, ctypes.byref(status)) == IMPLICIT
    assert cuda.end(stream) == 0


@rule(PROHIBITED)
def synchronous_copies_are_refused_while_a_blocking_stream_is_captured(cuda):
    stream, size = cuda.captured(RELAXED, BLOCKING), ctypes.c_size_t(64)
    assert cuda.cudaMemcpy(cuda.memory, cuda.memory, size, 3) == IMPLICIT
    assert cuda.end(stream) == INVALIDATED


@rule(SYNCHRONISATION)
def a_captured_copy_from_or_to_pageable_memory_is_refused(cuda):
    page, size = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
    for to, source in ((cuda.memory, page), (page, cuda.memory)):
        stream = cuda.captured(RELAXED)
        assert cuda.cudaMemcpyAsync(to, source, size, 4, stream) == UNSUPPORTED
        assert cuda.end(stream) == INVALIDATED


@rule(SYNCHRONISATION)
def a_captured_copy_from_pinned_memory_is_a_node(cuda):
    pinned = ctypes.c_void_p()
    assert cuda.cudaHostAlloc(ctypes.byref(pinned), ctypes.c_size_t(64), 0) == 0
    stream = cuda.captured()
    assert cuda.cudaMemcpyAsync(cuda.memory, pinned, ctypes.c_size_t(64), 1, stream) == 0
    assert cuda.end(stream) == 0
    assert cuda.cudaFreeHost(pinned) == 0


@rule(STREAMS)
def memory_is_not_allocated_during_a_capture_of_the_same_thread(cuda):
    for mode in (GLOBAL, THREAD_LOCAL):
        stream = cuda.captured(mode)
        assert cuda.malloc() == UNSUPPORTED
        assert cuda.end(stream) == INVALIDATED


@rule(STREAMS)
def a_global_capture_forbids_every_thread_to_allocate_others_only_their_own(cuda):
    for mode, error in ((GLOBAL, UNSUPPORTED), (THREAD_LOCAL, 0), (RELAXED, 0)):
        stream = cuda.captured(mode)
        assert in_a_thread(cuda.malloc) == error
        assert cuda.end(stream) == (INVALIDATED if error else 0)


@rule(STREAMS)
def a_relaxed_capture_or_thread_may_allocate(cuda):
    stream = cuda.captured(RELAXED)
    assert cuda.malloc() == 0
    assert cuda.end(stream) == 0
    stream = cuda.captured(GLOBAL)
    assert cuda.mode(RELAXED) == GLOBAL
    assert cuda.malloc() == 0
    assert cuda.mode(GLOBAL) == RELAXED
    assert cuda.end(stream) == 0


@rule(STREAMS)
def a_thread_in_thread_local_mode_does_not_mind_captures_of_others(cuda):
    stream = cuda.captured(GLOBAL)

    def allocate() -> int:
        cuda.mode(THREAD_LOCAL)
        return cuda.malloc()

    assert in_a_thread(allocate) == 0
    assert cuda.end(stream) == 0


@rule(STREAMS)
def to_query_or_wait_for_other_events_and_streams_is_unsafe_too(cuda):
    event, other = cuda.event(), cuda.stream()
    assert cuda.cudaEventRecord(event, other) == 0
    for wait, thing in (
        (cuda.cudaEventQuery, event),
        (cuda.cudaEventSynchronize, event),
        (cuda.cudaStreamSynchronize, other),
    ):
        stream = cuda.captured(GLOBAL)
        assert wait(thing) == UNSUPPORTED
        assert cuda.end(stream) == INVALIDATED
        stream = cuda.captured(RELAXED)
        assert wait(thing) == 0
        assert cuda.end(stream) == 0


@rule(PROHIBITED)
def a_captured_event_can_neither_be_queried_nor_waited_for_in_any_mode(cuda):
    for function in (cuda.cudaEventQuery, cuda.cudaEventSynchronize):
        stream, event = cuda.captured(RELAXED), cuda.event()
        assert cuda.cudaEventRecord(event, stream) == 0
        assert function(event) == CAPTURED_EVENT
        assert cuda.end(stream) == INVALIDATED
        assert function(event) == CAPTURED_EVENT  # until it is recorded elsewhere
        assert cuda.cudaEventRecord(event, cuda.stream()) == 0
        assert function(event) == 0


@rule(INVALIDATION)
def an_invalid_capture_takes_no_more_work_and_gives_no_graph(cuda):
    stream, status = cuda.captured(), ctypes.c_int()
    assert cuda.work(stream) == 0
    assert cuda.cudaStreamQuery(stream) == UNSUPPORTED
    assert cuda.work(stream) == INVALIDATED
    assert cuda.cudaStreamIsCapturing(stream, ctypes.byref(status)) == 0
    assert status.value == 2  # cudaStreamCaptureStatusInvalidated
    assert cuda.end(stream) == INVALIDATED
    assert cuda.work(stream) == 0


def forked(cuda) -> tuple[ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]:
    """Return a captured stream, another that has joined its capture, and an event."""
    stream, other, event = cuda.captured(), cuda.stream(), cuda.event()
    assert cuda.work(stream) == 0
    assert cuda.cudaEventRecord(event, stream) == 0
    assert cuda.cudaStreamWaitEvent(other, event, 0) == 0
    assert cuda.work(other) == 0
    return stream, other, event


@rule(CROSS_STREAM)
def a_stream_that_waits_for_a_captured_event_is_captured_and_must_be_waited_for(cuda):
    stream, other, event = forked(cuda)
    assert cuda.cudaEventRecord(event, other) == 0
    assert cuda.cudaStreamWaitEvent(stream, event, 0) == 0
    assert cuda.end(stream) == 0
    assert cuda.cudaStreamSynchronize(other) == 0  # no longer captured


@rule(CROSS_STREAM)
def a_capture_with_work_that_is_not_joined_fails(cuda):
    stream, _, _ = forked(cuda)
    assert cuda.end(stream) == UNJOINED


@rule(CROSS_STREAM)
def work_after_the_join_is_not_joined(cuda):
    stream, other, event = forked(cuda)
    assert cuda.cudaEventRecord(event, other) == 0
    assert cuda.cudaStreamWaitEvent(stream, event, 0) == 0
    assert cuda.work(other) == 0
    assert cuda.end(stream) == UNJOINED


@rule(CROSS_STREAM)
def a_capture_ends_on_the_stream_on_which_it_began(cuda):
    stream, other, _ = forked(cuda)
    assert cuda.end(other) == UNMATCHED
    assert cuda.end(stream) == INVALIDATED


@rule(PROHIBITED)
def two_captures_are_never_merged(cuda):
    first, second, event = cuda.captured(), cuda.captured(), cuda.event()
    assert cuda.cudaEventRecord(event, first) == 0
    assert cuda.cudaStreamWaitEvent(second, event, 0) == MERGE
    assert [cuda.end(first), cuda.end(second)] == [INVALIDATED, INVALIDATED]


@rule(PROHIBITED)
def a_captured_stream_waits_for_no_event_outside_its_capture_unless_external(cuda):
    event = cuda.event()
    assert cuda.cudaEventRecord(event, cuda.stream()) == 0
    stream = cuda.captured()
    assert cuda.cudaStreamWaitEvent(stream, event, 1) == 0  # cudaEventWaitExternal
    assert cuda.cudaStreamWaitEvent(stream, event, 0) == ISOLATION
    assert cuda.end(stream) == INVALIDATED


@rule(GRAPHS)
def a_graph_is_instantiated_and_launched_and_captured_as_a_node(cuda):
    stream, graph, exe = cuda.captured(), ctypes.c_void_p(), ctypes.c_void_p()
    assert cuda.work(stream) == 0
    assert cuda.cudaStreamEndCapture(stream, ctypes.byref(graph)) == 0
    make = cuda.cudaGraphInstantiateWithFlags
    assert make(ctypes.byref(exe), graph, ctypes.c_ulonglong(0)) == 0
    assert cuda.cudaGraphLaunch(exe, stream) == 0
    assert cuda.cudaStreamSynchronize(stream) == 0
    assert cuda.cudaStreamBeginCapture(stream, GLOBAL) == 0
    assert cuda.cudaGraphLaunch(exe, stream) == 0
    assert cuda.end(stream) == 0
    assert [cuda.cudaGraphExecDestroy(exe), cuda.cudaGraphDestroy(graph)] == [0, 0]


@rule(ERRORS)
def the_last_error_is_told_once(cuda):
    assert cuda.cudaStreamBeginCapture(LEGACY, GLOBAL) == UNSUPPORTED
    assert [cuda.cudaPeekAtLastError(), cuda.cudaGetLastError()] == [UNSUPPORTED, UNSUPPORTED]
    assert cuda.cudaGetLastError() == 0


@rule(MEMORY)
def what_is_allocated_lacks_in_the_rest_and_the_rest_is_a_limit(cuda):
    rest, total, kept = ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_void_p()
    assert cuda.cudaMemGetInfo(ctypes.byref(rest), ctypes.byref(total)) == 0
    before = rest.value
    assert cuda.cudaMalloc(ctypes.byref(kept), ctypes.c_size_t(2**26)) == 0
    assert cuda.cudaMemGetInfo(ctypes.byref(rest), ctypes.byref(total)) == 0
    assert before - rest.value == 2**26
    too_much = ctypes.c_size_t(total.value)
    assert cuda.cudaMalloc(ctypes.byref(ctypes.c_void_p()), too_much) == OUT_OF_MEMORY
    assert [cuda.cudaFree(kept), cuda.cudaFree(kept)] == [0, INVALID_VALUE]


@rule(UNIFIED)
def the_runtime_knows_what_memory_an_address_is_of(cuda):
    attributes = (ctypes.c_int * 16)()
    page = ctypes.create_string_buffer(8)
    for address, kind in ((cuda.memory.value + 4095, 2), (ctypes.addressof(page), 0)):
        assert cuda.cudaPointerGetAttributes(attributes, ctypes.c_void_p(address)) == 0
        assert attributes[0] == kind


def main() -> None:
    found = {}
    for name, (_, function) in RULES.items():
        cuda, found[name] = Cuda(), None
        try:
            function(cuda)
        except Exception:
            found[name] = traceback.format_exc()
        cuda.leave()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
