/* "runtime", Graph Management: graphs that captures have made. A replay runs nothing. */
#include "stub.h"

#include <stdlib.h>
#include <string.h>

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
    (void)flags;
    if (!graph) return failed(cudaErrorInvalidValue);
    cudaError_t error = fault_at("instantiate");
    if (error) return failed(error);
    struct graph *copy = malloc(sizeof *copy);
    *copy = *(struct graph *)graph;
    *made = (cudaGraphExec_t)copy;
    gauges.graphs++;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(
    cudaGraphExec_t *made, cudaGraph_t graph, unsigned long long flags) {
    CALL();
    return cudaGraphInstantiateWithFlags(made, graph, flags);
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
