/* cuBLAS and cuBLASLt (docs.nvidia.com/cuda/cublas), and cuDNN's Backend API (the same site,
 * deeplearning/cudnn), as far as training needs them: each product and convolution is one kernel of
 * its stream. Declared here, as NVIDIA's headers need those of a C++ library. Matrices, factors and
 * what describes a product or a convolution are not read. */
#include "stub.h"

#include <stdlib.h>
#include <string.h>

#define NOT_INITIALIZED 1
#define CUBLAS_FAILED 13
#define CUDNN_FAILED 5000

struct handle {
    cudaStream_t stream;
    size_t workspace;
    int math, pointers;
};

/* A handle takes memory of the device, which is unsafe during a capture. */
static int make_handle(struct handle **made) {
    if (use_device() || refuse_unsafe()) return NOT_INITIALIZED;
    *made = calloc(1, sizeof **made);
    return 0;
}

static int forget_handle(struct handle *handle) {
    gauges.workspaces -= (long long)handle->workspace;
    free(handle);
    return 0;
}

#define FUNCTION(name, result, ...)                                          \
    int name(__VA_ARGS__) {                                                  \
        CALL();                                                              \
        return result;                                                       \
    }
FUNCTION(cublasCreate_v2, make_handle(made), struct handle **made)
FUNCTION(cublasDestroy_v2, forget_handle(handle), struct handle *handle)
FUNCTION(cublasSetStream_v2, (handle->stream = s, 0), struct handle *handle, cudaStream_t s)
FUNCTION(cublasSetMathMode, (handle->math = mode, 0), struct handle *handle, int mode)
FUNCTION(cublasGetMathMode, (*mode = handle->math, 0), struct handle *handle, int *mode)
FUNCTION(cublasSetPointerMode_v2, (handle->pointers = mode, 0), struct handle *handle, int mode)
FUNCTION(cublasGetPointerMode_v2, (*mode = handle->pointers, 0), struct handle *handle, int *mode)
FUNCTION(cudnnCreate, make_handle(made), struct handle **made)
FUNCTION(cudnnDestroy, forget_handle(handle), struct handle *handle)
FUNCTION(cudnnSetStream, (handle->stream = s, 0), struct handle *handle, cudaStream_t s)
FUNCTION(cudnnGetStream, (*s = handle->stream, 0), struct handle *handle, cudaStream_t *s)

int cublasSetWorkspace_v2(struct handle *handle, void *workspace, size_t bytes) {
    CALL();
    gauges.workspaces += (long long)bytes - (long long)handle->workspace;
    handle->workspace = bytes;
    return 0;
}

#define PRODUCT(name) \
    FUNCTION(name, launch(handle->stream) ? CUBLAS_FAILED : 0, struct handle *handle)
PRODUCT(cublasSgemm_v2) PRODUCT(cublasDgemm_v2) PRODUCT(cublasSgemmEx) PRODUCT(cublasGemmEx)
PRODUCT(cublasSgemmStridedBatched) PRODUCT(cublasDgemmStridedBatched)
PRODUCT(cublasGemmStridedBatchedEx)
PRODUCT(cublasSgemv_v2) PRODUCT(cublasDgemv_v2) PRODUCT(cublasSdot_v2) PRODUCT(cublasDdot_v2)

#define DESCRIPTION(name)                                                    \
    FUNCTION(name##Create, (*made = calloc(1, 1), 0), void **made)           \
    FUNCTION(name##Destroy, (free(made), 0), void *made)                     \
    FUNCTION(name##SetAttribute, 0, void)
DESCRIPTION(cublasLtMatmulDesc)
DESCRIPTION(cublasLtMatrixLayout)
DESCRIPTION(cublasLtMatmulPreference)

/* cublasLtMatmulHeuristicResult_t: one algorithm, which needs no workspace. */
struct algorithm { uint64_t data[8]; size_t workspace; int status; float waves; int reserved[4]; };

int cublasLtMatmulAlgoGetHeuristic(
    void *handle, void *product, void *a, void *b, void *c, void *d, void *wanted, int most,
    struct algorithm *found, int *count) {
    CALL();
    memset(found, 0, (size_t)most * sizeof *found);
    *count = 1;
    return 0;
}

FUNCTION(cublasLtMatmul, launch(stream) ? CUBLAS_FAILED : 0, void *handle, void *product,
         void *alpha, void *a, void *a_layout, void *b, void *b_layout, void *beta, void *c,
         void *c_layout, void *d, void *d_layout, void *algorithm, void *workspace, size_t bytes,
         cudaStream_t stream)

/* torch asks before each convolution whether it may use cuDNN: only if a setting says so. */
bool _ZNK2at7Context16userEnabledCuDNNEv(void *torch) { return settings()->cudnn_bytes >= 0; }

FUNCTION(cudnnBackendCreateDescriptor, (*made = calloc(1, 1), 0), int kind, void **made)
FUNCTION(cudnnBackendDestroyDescriptor, (free(made), 0), void *made)
FUNCTION(cudnnBackendSetAttribute, 0, void)
FUNCTION(cudnnBackendFinalize, 0, void)
FUNCTION(cudnnBackendExecute, launch(handle->stream) ? CUDNN_FAILED : 0, struct handle *handle)

/* There is one engine for each convolution, without knobs and notes, so that it is deterministic;
 * its workspace has the size of the setting. Other values are those that the caller has made. */
int cudnnBackendGetAttribute(
    void *made, int name, int type, int64_t most, int64_t *count, void *values) {
    enum { RESULTS = 202, ENGINE = 300, WORKSPACE = 402, ENGINE_COUNT = 802, ENGINE_INDEX = 1301 };
    CALL();
    bool number = name == WORKSPACE || name == ENGINE_COUNT || name == ENGINE_INDEX;
    if (count) *count = number || name == RESULTS || name == ENGINE;
    if (number && values && most > 0)
        *(int64_t *)values = name == WORKSPACE ? settings()->cudnn_bytes : name == ENGINE_COUNT;
    return 0;
}
