/* "runtime", Stream Management and Event Management: streams, events, and what waits for what. */
#include "stub.h"

#include <stdlib.h>
#include <unistd.h>

struct stream *all_streams; /* made by the program: those that are always there are in no list */
static struct stream legacy[MAX_DEVICES], per_thread[MAX_DEVICES];

struct stream *stream_of(cudaStream_t handle) {
    int device = current_device();
    struct stream *found = (struct stream *)handle;
    if (handle == cudaStreamPerThread) found = &per_thread[device];
    else if (!handle || handle == cudaStreamLegacy) found = &legacy[device];
    if (found == &legacy[device] || found == &per_thread[device]) found->device = device;
    return found;
}

bool is_legacy(const struct stream *stream) {
    return stream >= legacy && stream < legacy + MAX_DEVICES;
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *made, unsigned flags, int priority) {
    DEVICE_CALL();
    struct stream *stream = calloc(1, sizeof *stream);
    stream->device = current_device();
    stream->priority = priority;
    stream->blocking = !(flags & cudaStreamNonBlocking);
    stream->next = all_streams;
    all_streams = stream;
    gauges.streams++;
    *made = (cudaStream_t)stream;
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *made, unsigned flags) {
    CALL();
    return cudaStreamCreateWithPriority(made, flags, 0);
}

/* A capture that began on this stream can't be ended any more: it is over. */
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
    DEVICE_CALL();
    struct stream *stream = stream_of(handle), **link = &all_streams;
    if (stream->capture) return failed(refuse(stream->capture, cudaErrorStreamCaptureUnsupported));
    while (*link && *link != stream) link = &(*link)->next;
    if (!*link) return failed(cudaErrorInvalidResourceHandle);
    *link = stream->next;
    free(stream);
    gauges.streams--;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
    DEVICE_CALL();
    *least = 0;
    *greatest = -5;
    return cudaSuccess;
}

cudaError_t cudaStreamGetPriority(cudaStream_t stream, int *priority) {
    DEVICE_CALL();
    *priority = stream_of(stream)->priority;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    DEVICE_CALL();
    cudaError_t error = refuse_waiting(stream_of(stream));
    return failed(error ? error : fault_at("wait"));
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
    DEVICE_CALL();
    return failed(refuse_waiting(stream_of(stream)));
}

/* It gives up the processor, as a real one does: torch's threads release what they hold. */
cudaError_t cudaDeviceSynchronize(void) {
    DEVICE_CALL();
    usleep(1);
    cudaError_t error = refuse_waiting_for_device(current_device());
    return failed(error ? error : fault_at("wait"));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *made, unsigned flags) {
    DEVICE_CALL();
    struct event *event = calloc(1, sizeof *event);
    event->device = current_device();
    gauges.events++;
    *made = (cudaEvent_t)event;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *made) {
    CALL();
    return cudaEventCreateWithFlags(made, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    DEVICE_CALL();
    free((struct event *)event);
    gauges.events--;
    return cudaSuccess;
}

/* "runtime", cudaEventRecordWithFlags: in a captured stream the event becomes part of the capture,
 * unless it is an external one, which is a node of the graph. */
cudaError_t cudaEventRecordWithFlags(cudaEvent_t handle, cudaStream_t on, unsigned flags) {
    DEVICE_CALL();
    struct event *event = (struct event *)handle;
    struct stream *stream = stream_of(on);
    struct capture *capture = stream->capture;
    if (event->device != stream->device) return failed(cudaErrorInvalidResourceHandle);
    if (!capture || flags & cudaEventRecordExternal) {
        cudaError_t error = enqueue(stream, false);
        if (!error && !capture) *event = (struct event){.device = event->device, .recorded = true};
        return failed(error);
    }
    if (capture->invalid) return failed(cudaErrorStreamCaptureInvalidated);
    event->recorded = true;
    event->capture = capture->id;
    event->stream = stream;
    event->place = stream->place;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    CALL();
    return cudaEventRecordWithFlags(event, stream, cudaEventRecordDefault);
}

/* "guide", Cross-stream Dependencies and Events: a stream that waits for a captured event becomes
 * part of its capture, and its work must be waited for before the capture ends. */
static cudaError_t wait_for_captured(struct stream *stream, struct event *event) {
    struct capture *capture = capture_by_id(event->capture);
    if (!capture) return refuse(stream->capture, cudaErrorCapturedEvent);
    if (stream->capture && stream->capture != capture) {
        refuse(stream->capture, cudaErrorStreamCaptureMerge);
        return refuse(capture, cudaErrorStreamCaptureMerge);
    }
    if (capture->invalid) return cudaErrorStreamCaptureInvalidated;
    if (is_legacy(stream)) return refuse(capture, cudaErrorStreamCaptureImplicit);
    stream->capture = capture;
    struct stream *other = event->stream;
    if (other != stream && other->unjoined && event->place == other->place) {
        other->unjoined = false;
        stream->unjoined = stream != capture->origin;
    }
    return cudaSuccess;
}

/* "guide", Prohibited and Unhandled Operations: no dependency on anything outside the capture,
 * except on an external event. An event that was never recorded is no dependency. */
cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event_handle, unsigned flags) {
    DEVICE_CALL();
    struct event *event = (struct event *)event_handle;
    struct stream *stream = stream_of(handle);
    if (event->capture) return failed(wait_for_captured(stream, event));
    if (stream->capture && event->recorded && !(flags & cudaEventWaitExternal))
        return failed(refuse(stream->capture, cudaErrorStreamCaptureIsolation));
    return failed(enqueue(stream, false));
}

/* "runtime", cudaErrorCapturedEvent: an event of a capture stands for nothing that runs. */
static cudaError_t refuse_event(const struct event *event) {
    if (event->capture) return refuse(capture_by_id(event->capture), cudaErrorCapturedEvent);
    return refuse_unsafe();
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    DEVICE_CALL();
    return failed(refuse_event((struct event *)event));
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    DEVICE_CALL();
    cudaError_t error = refuse_event((struct event *)event);
    return failed(error ? error : fault_at("wait"));
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end) {
    DEVICE_CALL();
    struct event *first = (struct event *)start, *second = (struct event *)end;
    if (first->capture) return failed(refuse_event(first));
    if (second->capture) return failed(refuse_event(second));
    if (!first->recorded || !second->recorded) return failed(cudaErrorInvalidResourceHandle);
    *milliseconds = 0.001f;
    return cudaSuccess;
}
