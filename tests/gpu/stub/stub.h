/* A stub of NVIDIA's driver and CUDA runtime: what its files share.
 *
 * The library is loaded before torch's CUDA build and answers the runtime's calls in its place. It
 * keeps devices, memory, streams, events, captures and graphs, and runs no kernel: every operation
 * is complete as soon as it is queued. It refuses what CUDA's manual refuses:
 *   "runtime"  docs.nvidia.com/cuda/cuda-runtime-api, by the name of its section
 *   "guide"    docs.nvidia.com/cuda/cuda-c-programming-guide, by the name of its section
 */
#pragma once

#define _GNU_SOURCE
#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define MAX_DEVICES 16

/* counters.c: every function of the runtime counts its calls, and some things are counted too. */
struct counter {
    const char *name;
    long long value;
} __attribute__((aligned(32))); /* of the size that the compiler sets them apart by */

struct gauges {
    long long memory, peak_memory, host_memory, workspaces, streams, events, graphs, captures;
    long long refused, kernels, captured_kernels, replayed_kernels, failures;
};
extern struct gauges gauges;

/* How a function of the runtime begins: it counts its call and holds the lock until its end. */
bool take_lock(void);
void give_back_lock(bool *held);
#define CALL()                                                                  \
    static struct counter counter __attribute__((section("counters"), used)) =  \
        {__func__, 0};                                                          \
    bool held __attribute__((cleanup(give_back_lock), unused)) = take_lock();   \
    counter.value++

/* And one that works on the current device: it also fails as the device or an earlier error has
 * it ("runtime": Error Handling; cudaErrorIllegalAddress). */
#define DEVICE_CALL()                                                           \
    CALL();                                                                     \
    do {                                                                        \
        cudaError_t unusable = use_device();                                    \
        if (unusable) return failed(unusable);                                  \
    } while (0)

/* settings.c: the devices, as the variables NNLC_STUB_… have them. */
struct settings {
    int devices, major, minor, driver;
    size_t memory_bytes; /* of each device */
    bool uuids, pci;     /* false: all zeros */
    long cudnn_bytes;    /* bytes of each workspace of cuDNN; -1: no cuDNN */
    const char *name, *exclusive, *fail, *counters;
};
const struct settings *settings(void);
int visible_devices(void);
int physical_device(int device);
void uuid_of(int physical, unsigned char bytes[16]);
#define UUID_LENGTH 41
void write_uuid(int physical, char text[UUID_LENGTH]);

/* faults.c: failures on demand, and the errors of this thread and process. */
cudaError_t failed(cudaError_t error);
cudaError_t fault_at(const char *point);
cudaError_t process_error(void);
cudaError_t init_error(void);

/* devices.c */
int current_device(void);
bool has_context(int device);
cudaError_t use_device(void);
void forget_contexts(void);

/* memory.c */
bool is_pageable(const void *pointer);

/* capture.c: one capture, from cudaStreamBeginCapture to cudaStreamEndCapture. */
struct capture {
    struct capture *next;
    unsigned long long id;
    enum cudaStreamCaptureMode mode;
    pthread_t thread;
    struct stream *origin;
    bool invalid, fails;
    size_t nodes, kernels;
};
struct stream {
    struct stream *next;
    int device, priority;
    bool blocking;           /* it waits for the legacy stream, and that one for it */
    struct capture *capture; /* NULL unless it is being captured */
    bool unjoined;           /* it has captured work that no other stream has waited for */
    unsigned long long place; /* rises with each captured operation */
};
struct event {
    int device;
    bool recorded;
    unsigned long long capture; /* of the capture in which it was last recorded, or 0 */
    struct stream *stream;
    unsigned long long place;
};
struct graph { size_t nodes, kernels; };
extern struct stream *all_streams;
struct stream *stream_of(cudaStream_t handle);
bool is_legacy(const struct stream *stream);
struct capture *capture_by_id(unsigned long long id);
cudaError_t refuse(struct capture *capture, cudaError_t error);
cudaError_t refuse_unsafe(void);
cudaError_t refuse_waiting(struct stream *stream);
cudaError_t refuse_waiting_for_device(int device);
cudaError_t enqueue(struct stream *stream, bool kernel);

/* kernels.c */
cudaError_t launch(cudaStream_t stream);
