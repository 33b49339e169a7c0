/* Failures on demand, an error that sticks, and the last error of each thread.
 *
 * NNLC_STUB_FAIL is a list such as "malloc:7,sticky-replay:3": the 7th allocation fails, and the
 * third replay leaves an error with which every later call of the process fails. A third field is
 * the code: "replay:3:2". Counts begin when the list is set.
 */
#include "stub.h"

#include <stdlib.h>
#include <string.h>
#include <stdio.h>

#define MAX_FAULTS 16

static const struct { const char *point; cudaError_t code; } POINTS[] = {
    {"init", cudaErrorInsufficientDriver},          /* from the first use of a device on */
    {"malloc", cudaErrorMemoryAllocation},          /* cudaMalloc, in captures too */
    {"captured-malloc", cudaErrorMemoryAllocation}, /* cudaMalloc while something is captured */
    {"launch", cudaErrorLaunchOutOfResources},      /* a kernel that is not captured */
    {"captured-launch", cudaErrorStreamCaptureUnsupported}, /* it spoils its capture */
    {"capture", cudaErrorStreamCaptureInvalidated}, /* a capture that ends as invalid */
    {"begin", cudaErrorStreamCaptureUnsupported},   /* cudaStreamBeginCapture */
    {"instantiate", cudaErrorMemoryAllocation},     /* an executable graph */
    {"replay", cudaErrorMemoryAllocation},          /* cudaGraphLaunch */
    {"copy", cudaErrorUnknown},                     /* cudaMemcpy, cudaMemcpyAsync */
    {"wait", cudaErrorLaunchFailure},               /* a call that waits for a device */
};

static struct fault {
    char point[32];
    long at, seen;
    cudaError_t code;
    bool sticks;
} faults[MAX_FAULTS];
static int fault_count = -1; /* not read yet */
static cudaError_t stuck;
static __thread cudaError_t last;

static bool add(const char *entry) {
    struct fault fault = {.at = 1};
    fault.sticks = !strncmp(entry, "sticky-", 7);
    if (fault.sticks) entry += 7;
    int code = 0;
    if (sscanf(entry, "%31[a-z-]:%ld:%d", fault.point, &fault.at, &code) < 1) return false;
    for (size_t i = 0; i < sizeof POINTS / sizeof *POINTS; i++)
        if (!strcmp(POINTS[i].point, fault.point) && fault_count < MAX_FAULTS) {
            fault.code = fault.sticks ? cudaErrorIllegalAddress : POINTS[i].code;
            if (code) fault.code = (cudaError_t)code;
            faults[fault_count++] = fault;
            return true;
        }
    return false;
}

/* Set the failures anew, counted from now on: also called by tests, through ctypes. */
int nnlc_stub_fail(const char *list) {
    bool known = true;
    fault_count = 0;
    char *copy = strdup(list), *rest = copy, *entry;
    while ((entry = strsep(&rest, ",")))
        if (*entry && !add(entry)) {
            fprintf(stderr, "stub driver: no failure '%s'\n", entry);
            known = false;
        }
    free(copy);
    return known;
}

/* The failure that is due at this point, or success. One that sticks comes with the next call, as
 * kernels fail after their launch has returned. */
cudaError_t fault_at(const char *point) {
    if (fault_count < 0) nnlc_stub_fail(settings()->fail);
    cudaError_t due = cudaSuccess;
    for (struct fault *fault = faults; fault < faults + fault_count; fault++)
        if (!strcmp(fault->point, point) && ++fault->seen == fault->at) {
            gauges.failures++;
            if (fault->sticks) stuck = fault->code;
            else due = fault->code;
        }
    return due;
}

/* Why no device of this process can be used, or success. */
cudaError_t init_error(void) {
    if (fault_count < 0) nnlc_stub_fail(settings()->fail);
    for (struct fault *fault = faults; fault < faults + fault_count; fault++)
        if (!strcmp(fault->point, "init"))
            return fault->at > 1 ? (cudaError_t)fault->at : fault->code;
    return cudaSuccess;
}

cudaError_t process_error(void) { return stuck; }

/* "runtime", Error Handling: a failed call also sets what cudaGetLastError returns. */
cudaError_t failed(cudaError_t error) {
    if (error) last = error;
    return error;
}

cudaError_t cudaGetLastError(void) {
    CALL();
    cudaError_t error = stuck ? stuck : last;
    last = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError(void) {
    CALL();
    return stuck ? stuck : last;
}
