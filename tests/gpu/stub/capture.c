/* "guide", Creating a Graph Using Stream Capture; "runtime", Stream Management, Graph Management:
 * what is captured, in which thread and mode, what is refused meanwhile, and the graphs. */
#include "stub.h"

#include <stdlib.h>
#include <string.h>

static struct capture *captures; /* going on now */
static unsigned long long last_id;
static __thread enum cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

struct capture *capture_by_id(unsigned long long id) {
    struct capture *each = captures;
    while (each && each->id != id) each = each->next;
    return each;
}

/* "guide", Invalidation: an operation that is not allowed invalidates the captures it concerns. */
cudaError_t refuse(struct capture *capture, cudaError_t error) {
    if (capture) capture->invalid = true;
    gauges.refused++;
    return error;
}

/* "runtime", cudaThreadExchangeStreamCaptureMode: true if the capture forbids this thread calls
 * that are potentially unsafe. */
static bool forbids(const struct capture *capture) {
    if (thread_mode == cudaStreamCaptureModeRelaxed) return false;
    if (pthread_equal(capture->thread, pthread_self()))
        return capture->mode != cudaStreamCaptureModeRelaxed;
    return thread_mode == cudaStreamCaptureModeGlobal &&
           capture->mode == cudaStreamCaptureModeGlobal;
}

/* Refuse a call that is potentially unsafe: one that is no operation of a stream, or waits. */
cudaError_t refuse_unsafe(void) {
    cudaError_t error = cudaSuccess;
    for (struct capture *each = captures; each; each = each->next)
        if (forbids(each)) error = refuse(each, cudaErrorStreamCaptureUnsupported);
    return error;
}

/* "guide", Prohibited and Unhandled Operations: while a blocking stream is captured, the legacy
 * stream can't be used, as that would depend on the capture. */
static struct capture *capture_before(const struct stream *stream) {
    for (struct stream *each = all_streams; each && is_legacy(stream); each = each->next)
        if (each->capture && each->blocking && each->device == stream->device) return each->capture;
    return NULL;
}

static cudaError_t refuse_legacy(const struct stream *stream) {
    struct capture *capture = capture_before(stream);
    return capture ? refuse(capture, cudaErrorStreamCaptureImplicit) : cudaSuccess;
}

/* Refuse to wait for or query a captured stream ("guide", the same), in any mode. */
cudaError_t refuse_waiting(struct stream *stream) {
    cudaError_t error = refuse_legacy(stream);
    if (error) return error;
    if (stream->capture) return refuse(stream->capture, cudaErrorStreamCaptureUnsupported);
    return refuse_unsafe();
}

/* Refuse to wait for a device on which a stream is captured ("guide", the same), in any mode. */
cudaError_t refuse_waiting_for_device(int device) {
    cudaError_t error = cudaSuccess;
    for (struct stream *each = all_streams; each; each = each->next)
        if (each->capture && each->device == device)
            error = refuse(each->capture, cudaErrorStreamCaptureUnsupported);
    return error;
}

/* Take an operation into a stream, or into the graph if the stream is captured. */
cudaError_t enqueue(struct stream *stream, bool kernel) {
    struct capture *capture = stream->capture;
    cudaError_t error = refuse_legacy(stream);
    if (error || !capture) {
        if (!error && kernel) error = fault_at("launch");
        gauges.kernels += kernel && !error;
        return error;
    }
    if (!capture->invalid && kernel && (error = fault_at("captured-launch")))
        return refuse(capture, error);
    if (capture->invalid) return cudaErrorStreamCaptureInvalidated;
    capture->nodes++;
    capture->kernels += kernel;
    gauges.captured_kernels += kernel;
    stream->place++;
    stream->unjoined = stream != capture->origin;
    return cudaSuccess;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode *mode) {
    CALL();
    enum cudaStreamCaptureMode before = thread_mode;
    if (*mode > cudaStreamCaptureModeRelaxed) return failed(cudaErrorInvalidValue);
    thread_mode = *mode;
    *mode = before;
    return cudaSuccess;
}

/* "runtime", cudaStreamBeginCapture: never on the legacy stream, and once at a time. */
cudaError_t cudaStreamBeginCapture(cudaStream_t handle, enum cudaStreamCaptureMode mode) {
    DEVICE_CALL();
    struct stream *stream = stream_of(handle);
    if (is_legacy(stream)) return failed(cudaErrorStreamCaptureUnsupported);
    if (stream->capture) return failed(refuse(stream->capture, cudaErrorIllegalState));
    cudaError_t error = fault_at("begin");
    if (error) return failed(error);
    struct capture *made = calloc(1, sizeof *made);
    made->id = ++last_id;
    made->mode = mode;
    made->thread = pthread_self();
    made->origin = stream;
    made->fails = fault_at("capture");
    made->next = captures;
    captures = made;
    stream->capture = made;
    gauges.captures++;
    return cudaSuccess;
}

/* Take every stream out of a capture. True if one has work that the first one does not wait for. */
static bool release_streams(struct capture *capture) {
    bool unjoined = false;
    for (struct stream *each = all_streams; each; each = each->next)
        if (each->capture == capture) {
            unjoined |= each->unjoined;
            each->unjoined = false;
            each->capture = NULL;
        }
    return unjoined;
}

/* "runtime", cudaStreamEndCapture; "guide", Cross-stream Dependencies and Events. */
cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *graph) {
    DEVICE_CALL();
    struct capture *capture = stream_of(handle)->capture;
    *graph = NULL;
    if (!capture) return failed(cudaErrorIllegalState);
    if (capture->origin != stream_of(handle))
        return failed(refuse(capture, cudaErrorStreamCaptureUnmatched));
    if (capture->mode != cudaStreamCaptureModeRelaxed &&
        !pthread_equal(capture->thread, pthread_self()))
        return failed(refuse(capture, cudaErrorStreamCaptureWrongThread));
    bool unjoined = release_streams(capture), invalid = capture->invalid || capture->fails;
    struct capture **link = &captures;
    while (*link != capture) link = &(*link)->next;
    *link = capture->next;
    if (!invalid && !unjoined) {
        struct graph *made = malloc(sizeof *made);
        *made = (struct graph){capture->nodes, capture->kernels};
        *graph = (cudaGraph_t)made;
    }
    free(capture);
    if (invalid) return failed(cudaErrorStreamCaptureInvalidated);
    return unjoined ? failed(refuse(NULL, cudaErrorStreamCaptureUnjoined)) : cudaSuccess;
}

/* "runtime", cudaStreamIsCapturing: an error on the legacy stream, which invalidates nothing. */
static cudaError_t status(struct stream *stream, enum cudaStreamCaptureStatus *found) {
    if (capture_before(stream)) return failed(cudaErrorStreamCaptureImplicit);
    *found = cudaStreamCaptureStatusNone;
    if (stream->capture) *found = cudaStreamCaptureStatusActive;
    if (stream->capture && stream->capture->invalid) *found = cudaStreamCaptureStatusInvalidated;
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *found) {
    DEVICE_CALL();
    return status(stream_of(stream), found);
}

#if CUDART_VERSION >= 13000
cudaError_t cudaStreamGetCaptureInfo(
    cudaStream_t handle, enum cudaStreamCaptureStatus *found, unsigned long long *id,
    cudaGraph_t *graph, const cudaGraphNode_t **nodes, const cudaGraphEdgeData **edges,
    size_t *count) {
    if (edges) *edges = NULL;
#else
cudaError_t cudaStreamGetCaptureInfo(
    cudaStream_t handle, enum cudaStreamCaptureStatus *found, unsigned long long *id,
    cudaGraph_t *graph, const cudaGraphNode_t **nodes, size_t *count) {
#endif
    DEVICE_CALL();
    struct stream *stream = stream_of(handle);
    if (id) *id = stream->capture ? stream->capture->id : 0;
    if (graph) *graph = (cudaGraph_t)stream->capture;
    if (nodes) *nodes = NULL;
    if (count) *count = 0;
    return status(stream, found);
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count) {
    DEVICE_CALL();
    if (!graph) return failed(cudaErrorInvalidValue);
    if (nodes) memset(nodes, 0, *count * sizeof *nodes);
    *count = ((struct graph *)graph)->nodes;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(
    cudaGraphExec_t *made, cudaGraph_t graph, unsigned long long flags) {
    DEVICE_CALL();
    if (!graph) return failed(cudaErrorInvalidValue);
    cudaError_t error = fault_at("instantiate");
    if (error) return failed(error);
    struct graph *copy = malloc(sizeof *copy);
    *copy = *(struct graph *)graph;
    *made = (cudaGraphExec_t)copy;
    gauges.graphs++;
    return cudaSuccess;
}

/* In a captured stream a graph becomes a node of the other one. */
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t handle) {
    DEVICE_CALL();
    struct stream *stream = stream_of(handle);
    cudaError_t error = stream->capture ? cudaSuccess : fault_at("replay");
    if (!error) error = enqueue(stream, false);
    if (!error && !stream->capture)
        gauges.replayed_kernels += (long long)((struct graph *)graph)->kernels;
    return failed(error);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    DEVICE_CALL();
    free((struct graph *)graph);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    DEVICE_CALL();
    free((struct graph *)graph);
    gauges.graphs--;
    return cudaSuccess;
}
