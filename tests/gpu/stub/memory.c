/* "runtime", Memory Management and Unified Addressing: memory of devices, with a limit, and pinned
 * memory of the host. Pages that nobody writes to take no memory. */
#include "stub.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct range {
    char *start;
    size_t bytes;
    int device; /* -1: the host's */
};
static struct range *ranges; /* by their starts */
static size_t range_count, range_room;
static size_t used[MAX_DEVICES];

/* The number of ranges that begin at or before an address. */
static size_t ranges_before(const char *address) {
    size_t low = 0, high = range_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ranges[middle].start <= address) low = middle + 1;
        else high = middle;
    }
    return low;
}

static struct range *range_of(const void *pointer) {
    size_t before = ranges_before(pointer);
    if (!before) return NULL;
    struct range *found = &ranges[before - 1];
    return (const char *)pointer < found->start + found->bytes ? found : NULL;
}

static void add_range(void *start, size_t bytes, int device) {
    if (range_count == range_room)
        ranges = realloc(ranges, (range_room = 2 * range_room + 64) * sizeof *ranges);
    size_t place = ranges_before(start);
    memmove(ranges + place + 1, ranges + place, (range_count++ - place) * sizeof *ranges);
    ranges[place] = (struct range){start, bytes, device};
}

static void *map(size_t bytes) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    return start == MAP_FAILED ? NULL : start;
}

/* "runtime", cudaThreadExchangeStreamCaptureMode names cudaMalloc as unsafe during a capture. */
cudaError_t cudaMalloc(void **pointer, size_t bytes) {
    DEVICE_CALL();
    int device = current_device();
    cudaError_t error = refuse_unsafe();
    if (!error) error = fault_at("malloc");
    for (struct stream *each = all_streams; each && !error; each = each->next)
        if (each->capture) {
            error = fault_at("captured-malloc");
            break;
        }
    if (!error && (used[device] + bytes < bytes || used[device] + bytes > settings()->memory_bytes))
        error = cudaErrorMemoryAllocation;
    *pointer = NULL;
    if (error || !bytes) return failed(error);
    if (!(*pointer = map(bytes))) return failed(cudaErrorMemoryAllocation);
    add_range(*pointer, bytes, device);
    used[device] += bytes;
    gauges.memory += bytes;
    if (gauges.memory > gauges.peak_memory) gauges.peak_memory = gauges.memory;
    return cudaSuccess;
}

static cudaError_t give_back(void *pointer, bool of_host) {
    cudaError_t error = refuse_unsafe();
    struct range *range = range_of(pointer);
    if (!error && (!range || range->start != pointer || of_host != (range->device < 0)))
        error = cudaErrorInvalidValue;
    if (error) return failed(error);
    if (!of_host) used[range->device] -= range->bytes;
    *(of_host ? &gauges.host_memory : &gauges.memory) -= (long long)range->bytes;
    munmap(range->start, range->bytes);
    range_count--;
    memmove(range, range + 1, (size_t)(ranges + range_count - range) * sizeof *ranges);
    return cudaSuccess;
}

cudaError_t cudaFree(void *pointer) {
    DEVICE_CALL();
    return pointer ? give_back(pointer, false) : cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *unused, size_t *total) {
    DEVICE_CALL();
    *total = settings()->memory_bytes;
    *unused = *total > used[current_device()] ? *total - used[current_device()] : 0;
    return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **pointer, size_t bytes, unsigned flags) {
    DEVICE_CALL();
    cudaError_t error = refuse_unsafe();
    if (error) return failed(error);
    if (!(*pointer = map(bytes ? bytes : 1))) return failed(cudaErrorMemoryAllocation);
    add_range(*pointer, bytes ? bytes : 1, -1);
    gauges.host_memory += bytes;
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *pointer) {
    DEVICE_CALL();
    return pointer ? give_back(pointer, true) : cudaSuccess;
}

bool is_pageable(const void *pointer) { return !range_of(pointer); }

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *made, const void *pointer) {
    DEVICE_CALL();
    memset(made, 0, sizeof *made);
    struct range *range = range_of(pointer);
    made->type = !range ? cudaMemoryTypeUnregistered
                        : range->device < 0 ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
    made->device = range ? (range->device < 0 ? current_device() : range->device) : -2;
    made->devicePointer = range ? (void *)pointer : NULL;
    made->hostPointer = range && range->device >= 0 ? NULL : (void *)pointer;
    return cudaSuccess;
}
