/* "runtime", Memory Management and API synchronization behavior: copies, and memory set to a value.
 * What is captured is not done; all else is done at once. */
#include "stub.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* "runtime", API synchronization behavior: a copy from or to pageable memory may wait for its
 * stream, which a captured stream does not allow. */
static cudaError_t copy(void *to, const void *from, size_t bytes, struct stream *stream) {
    cudaError_t error = fault_at("copy");
    if (!error && stream->capture && (is_pageable(to) || is_pageable(from)))
        error = refuse(stream->capture, cudaErrorStreamCaptureUnsupported);
    if (!error) error = enqueue(stream, false);
    if (!error && !stream->capture) memmove(to, from, bytes);
    return failed(error);
}

cudaError_t cudaMemcpyAsync(
    void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream) {
    DEVICE_CALL();
    return copy(to, from, bytes, stream_of(stream));
}

/* "guide", Prohibited and Unhandled Operations: cudaMemcpy uses the legacy stream and waits. */
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
    DEVICE_CALL();
    cudaError_t error = refuse_unsafe();
    return error ? failed(error) : copy(to, from, bytes, stream_of(NULL));
}

/* Whole pages that become zero are given back instead: large sums start so. */
static void set(char *start, int value, size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t before = -(uintptr_t)start & (page - 1), whole = 0;
    if (!value && bytes > before + 16 * page) {
        whole = (bytes - before) & ~(page - 1);
        madvise(start + before, whole, MADV_DONTNEED);
        memset(start, 0, before);
        start += before + whole;
        bytes -= before + whole;
    }
    memset(start, value, bytes);
}

static cudaError_t fill(void *start, int value, size_t bytes, struct stream *stream) {
    cudaError_t error = enqueue(stream, false);
    if (!error && !stream->capture) set(start, value, bytes);
    return failed(error);
}

cudaError_t cudaMemsetAsync(void *start, int value, size_t bytes, cudaStream_t stream) {
    DEVICE_CALL();
    return fill(start, value, bytes, stream_of(stream));
}

cudaError_t cudaMemset(void *start, int value, size_t bytes) {
    DEVICE_CALL();
    cudaError_t error = refuse_unsafe();
    return error ? failed(error) : fill(start, value, bytes, stream_of(NULL));
}
