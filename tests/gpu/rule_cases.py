"""CUDA's rules, each in one function, shown on the runtime that a process finds.

`test_rules.py` runs this file with the stub: it prints, as JSON, what went wrong in each function,
or null. On a real GPU, `python tests/gpu/rule_cases.py` compares the stub's rules with CUDA's.
A class's PAGE is the page of the manual, below docs.nvidia.com/cuda.
"""

import ctypes
import json
import sys
import traceback

from cuda_runtime import SIZE, Cuda, in_a_thread

OUT_OF_MEMORY, INVALID_VALUE, ILLEGAL_STATE = 2, 1, 401
UNSUPPORTED, INVALIDATED, MERGE, UNMATCHED, UNJOINED = 900, 901, 902, 903, 904
ISOLATION, IMPLICIT, CAPTURED_EVENT, WRONG_THREAD = 905, 906, 907, 908
GLOBAL, THREAD_LOCAL, RELAXED = MODES = 0, 1, 2
BLOCKING, NON_BLOCKING = 0, 1
LEGACY = None


class Streams(Cuda):
    PAGE = "cuda-runtime-api/group__CUDART__STREAM.html"

    def the_legacy_stream_can_not_be_captured(self):
        assert self.cudaStreamBeginCapture(LEGACY, RELAXED) == UNSUPPORTED

    def a_stream_is_captured_once_at_a_time(self):
        assert self.cudaStreamBeginCapture(self.captured(), GLOBAL) == ILLEGAL_STATE

    def a_capture_that_never_began_can_not_end(self):
        assert self.end(self.stream()) == ILLEGAL_STATE

    def only_the_thread_that_began_a_capture_ends_it_unless_relaxed(self):
        for mode in MODES:
            stream = self.captured(mode)
            error = in_a_thread(lambda stream=stream: self.end(stream))
            assert error == (0 if mode == RELAXED else WRONG_THREAD)
            assert mode == RELAXED or self.end(stream) == INVALIDATED

    def to_ask_whether_the_legacy_stream_is_captured_fails_but_spoils_nothing(self):
        stream, status = self.captured(RELAXED, BLOCKING), ctypes.c_int()
        assert self.cudaStreamIsCapturing(LEGACY, ctypes.byref(status)) == IMPLICIT
        assert self.end(stream) == 0

    def memory_is_not_allocated_in_a_capture_of_the_same_thread_unless_relaxed(self):
        for mode in MODES:
            stream = self.captured(mode)
            assert self.malloc() == (0 if mode == RELAXED else UNSUPPORTED)
            assert self.end(stream) == (0 if mode == RELAXED else INVALIDATED)

    def only_a_global_capture_forbids_other_threads_to_allocate(self):
        for mode in MODES:
            stream = self.captured(mode)
            assert in_a_thread(self.malloc) == (UNSUPPORTED if mode == GLOBAL else 0)
            assert self.end(stream) == (INVALIDATED if mode == GLOBAL else 0)

    def a_relaxed_thread_may_allocate(self):
        stream = self.captured(GLOBAL)
        assert self.mode(RELAXED) == GLOBAL
        assert self.malloc() == 0
        assert self.mode(GLOBAL) == RELAXED
        assert self.end(stream) == 0

    def a_thread_in_thread_local_mode_does_not_mind_captures_of_others(self):
        stream = self.captured(GLOBAL)
        assert in_a_thread(lambda: self.mode(THREAD_LOCAL) or self.malloc()) == 0
        assert self.end(stream) == 0

    def to_query_or_wait_for_other_events_and_streams_is_unsafe_too(self):
        other = self.stream()
        event = self.event(other)
        for wait, thing in (
            (self.cudaEventQuery, event),
            (self.cudaEventSynchronize, event),
            (self.cudaStreamSynchronize, other),
        ):
            stream = self.captured(GLOBAL)
            assert wait(thing) == UNSUPPORTED
            assert self.end(stream) == INVALIDATED
            stream = self.captured(RELAXED)
            assert wait(thing) == 0
            assert self.end(stream) == 0


class Prohibited(Cuda):
    PAGE = "cuda-c-programming-guide/index.html#prohibited-and-unhandled-operations"

    def a_captured_stream_can_neither_be_waited_for_nor_queried_in_any_mode(self):
        for mode in MODES:
            for function in (self.cudaStreamSynchronize, self.cudaStreamQuery):
                stream = self.captured(mode)
                assert function(stream) == UNSUPPORTED
                assert self.end(stream) == INVALIDATED

    def a_device_can_not_be_waited_for_while_its_stream_is_captured(self):
        stream = self.captured(RELAXED)
        assert self.cudaDeviceSynchronize() == UNSUPPORTED
        assert self.end(stream) == INVALIDATED

    def the_legacy_stream_is_not_usable_while_a_blocking_stream_is_captured(self):
        for use in (self.work, self.cudaStreamSynchronize, self.cudaStreamQuery):
            stream = self.captured(RELAXED, BLOCKING)
            assert use(LEGACY) == IMPLICIT
            assert self.end(stream) == INVALIDATED

    def the_legacy_stream_is_usable_while_another_kind_of_stream_is_captured(self):
        stream = self.captured(RELAXED, NON_BLOCKING)
        assert self.work(LEGACY) == 0
        assert self.end(stream) == 0

    def synchronous_copies_are_refused_while_a_blocking_stream_is_captured(self):
        stream = self.captured(RELAXED, BLOCKING)
        assert self.cudaMemcpy(self.memory, self.memory, SIZE, 3) == IMPLICIT
        assert self.end(stream) == INVALIDATED

    def a_captured_event_can_neither_be_queried_nor_waited_for_in_any_mode(self):
        for function in (self.cudaEventQuery, self.cudaEventSynchronize):
            stream = self.captured(RELAXED)
            event = self.event(stream)
            assert function(event) == CAPTURED_EVENT
            assert self.end(stream) == INVALIDATED
            assert function(event) == CAPTURED_EVENT  # until it is recorded elsewhere
            assert self.cudaEventRecord(event, self.stream()) == 0
            assert function(event) == 0

    def two_captures_are_never_merged(self):
        first, second = self.captured(), self.captured()
        assert self.cudaStreamWaitEvent(second, self.event(first), 0) == MERGE
        assert [self.end(first), self.end(second)] == [INVALIDATED, INVALIDATED]

    def a_captured_stream_waits_for_no_event_outside_its_capture_unless_external(self):
        event, stream = self.event(self.stream()), self.captured()
        assert self.cudaStreamWaitEvent(stream, event, 1) == 0  # cudaEventWaitExternal
        assert self.cudaStreamWaitEvent(stream, event, 0) == ISOLATION
        assert self.end(stream) == INVALIDATED


class Invalidation(Cuda):
    PAGE = "cuda-c-programming-guide/index.html#invalidation"

    def an_invalid_capture_takes_no_more_work_and_gives_no_graph(self):
        stream, status = self.captured(), ctypes.c_int()
        assert self.cudaStreamQuery(stream) == UNSUPPORTED
        assert self.work(stream) == INVALIDATED
        assert self.cudaStreamIsCapturing(stream, ctypes.byref(status)) == 0
        assert status.value == 2  # cudaStreamCaptureStatusInvalidated
        assert self.end(stream) == INVALIDATED
        assert self.work(stream) == 0


class CrossStream(Cuda):
    PAGE = "cuda-c-programming-guide/index.html#cross-stream-dependencies-and-events"

    def a_stream_that_waits_for_a_captured_event_is_captured_and_must_be_waited_for(self):
        stream, other = self.forked()
        assert self.cudaStreamWaitEvent(stream, self.event(other), 0) == 0
        assert self.end(stream) == 0
        assert self.cudaStreamSynchronize(other) == 0  # no longer captured

    def a_capture_with_work_that_is_not_joined_fails(self):
        stream, _ = self.forked()
        assert self.end(stream) == UNJOINED

    def work_after_the_join_is_not_joined(self):
        stream, other = self.forked()
        assert self.cudaStreamWaitEvent(stream, self.event(other), 0) == 0
        assert self.work(other) == 0
        assert self.end(stream) == UNJOINED

    def a_capture_ends_on_the_stream_on_which_it_began(self):
        stream, other = self.forked()
        assert self.end(other) == UNMATCHED
        assert self.end(stream) == INVALIDATED


class Synchronisation(Cuda):
    PAGE = "cuda-runtime-api/api-sync-behavior.html"

    def a_captured_copy_from_or_to_pageable_memory_is_refused(self):
        page = ctypes.create_string_buffer(64)
        for to, source in ((self.memory, page), (page, self.memory)):
            stream = self.captured(RELAXED)
            assert self.cudaMemcpyAsync(to, source, SIZE, 4, stream) == UNSUPPORTED
            assert self.end(stream) == INVALIDATED

    def a_captured_copy_from_pinned_memory_is_a_node(self):
        pinned = ctypes.c_void_p()
        assert self.cudaHostAlloc(ctypes.byref(pinned), SIZE, 0) == 0
        stream = self.captured()
        assert self.cudaMemcpyAsync(self.memory, pinned, SIZE, 1, stream) == 0
        assert [self.end(stream), self.cudaFreeHost(pinned)] == [0, 0]


class Graphs(Cuda):
    PAGE = "cuda-runtime-api/group__CUDART__GRAPH.html"

    def captured_work_becomes_nodes_of_a_graph_that_is_launched_and_captured(self):
        stream, graph, exe, count = self.captured(), *(ctypes.c_void_p() for _ in range(3))
        assert [self.work(stream) for _ in range(3)] == [0, 0, 0]
        assert self.cudaStreamEndCapture(stream, ctypes.byref(graph)) == 0
        assert self.cudaGraphGetNodes(graph, None, ctypes.byref(count)) == 0
        assert count.value == 3
        make = self.cudaGraphInstantiateWithFlags
        assert make(ctypes.byref(exe), graph, ctypes.c_ulonglong(0)) == 0
        assert self.cudaGraphLaunch(exe, stream) == 0
        assert self.cudaStreamSynchronize(stream) == 0
        assert self.cudaStreamBeginCapture(stream, GLOBAL) == 0
        assert [self.cudaGraphLaunch(exe, stream), self.end(stream)] == [0, 0]
        assert [self.cudaGraphExecDestroy(exe), self.cudaGraphDestroy(graph)] == [0, 0]


class Errors(Cuda):
    PAGE = "cuda-runtime-api/group__CUDART__ERROR.html"

    def the_last_error_is_told_once(self):
        assert self.cudaStreamBeginCapture(LEGACY, GLOBAL) == UNSUPPORTED
        assert [self.cudaPeekAtLastError(), self.cudaGetLastError()] == [UNSUPPORTED, UNSUPPORTED]
        assert self.cudaGetLastError() == 0


class Memory(Cuda):
    PAGE = "cuda-runtime-api/group__CUDART__MEMORY.html"

    def what_is_allocated_lacks_in_the_rest_and_the_rest_is_a_limit(self):
        kept, rest, total, before = (ctypes.c_void_p() for _ in range(4))
        ask = self.cudaMemGetInfo
        assert ask(ctypes.byref(before), ctypes.byref(total)) == 0
        assert self.cudaMalloc(ctypes.byref(kept), ctypes.c_size_t(2**26)) == 0
        assert ask(ctypes.byref(rest), ctypes.byref(total)) == 0
        assert before.value - rest.value == 2**26
        assert self.cudaMalloc(ctypes.byref(ctypes.c_void_p()), total) == OUT_OF_MEMORY
        assert [self.cudaFree(kept), self.cudaFree(kept)] == [0, INVALID_VALUE]


class UnifiedAddressing(Cuda):
    PAGE = "cuda-runtime-api/group__CUDART__UNIFIED.html"

    def the_runtime_knows_what_memory_an_address_is_of(self):
        attributes, page = (ctypes.c_int * 64)(), ctypes.create_string_buffer(8)
        for address, kind in ((self.memory.value + 4095, 2), (ctypes.addressof(page), 0)):
            assert self.cudaPointerGetAttributes(attributes, ctypes.c_void_p(address)) == 0
            assert attributes[0] == kind


RULES = {
    name: page
    for page in Cuda.__subclasses__()
    for name, function in vars(page).items()
    if callable(function)
}
"""Class of each rule, by the function's name."""


def main() -> None:
    found = {}
    for name, page in RULES.items():
        case, found[name] = page(), None
        try:
            getattr(case, name)()
        except Exception:
            found[name] = traceback.format_exc()
        case.leave()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
