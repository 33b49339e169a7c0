/* cuBLAS and cuBLASLt (docs.nvidia.com/cuda/cublas), as far as training needs them: each product is
 * one kernel of its stream. Declared here, as NVIDIA's header needs those of a C++ library. */
#include "stub.h"

#include <stdlib.h>
#include <string.h>

#define NOT_INITIALIZED 1
#define EXECUTION_FAILED 13

struct handle {
    cudaStream_t stream;
    size_t workspace;
    int math, pointers;
};

/* A handle takes memory of the device, which is unsafe during a capture. */
int cublasCreate_v2(struct handle **made) {
    CALL();
    if (use_device() || refuse_unsafe()) return NOT_INITIALIZED;
    *made = calloc(1, sizeof **made);
    return 0;
}

int cublasDestroy_v2(struct handle *handle) {
    CALL();
    gauges.workspaces -= (long long)handle->workspace;
    free(handle);
    return 0;
}

int cublasSetWorkspace_v2(struct handle *handle, void *workspace, size_t bytes) {
    CALL();
    gauges.workspaces += (long long)bytes - (long long)handle->workspace;
    handle->workspace = workspace ? bytes : 0;
    return 0;
}

#define SETTING(kind, type, field)                                   \
    int cublasSet##kind(struct handle *handle, type value) {         \
        CALL();                                                      \
        return handle->field = value, 0;                             \
    }                                                                \
    int cublasGet##kind(struct handle *handle, type *value) {        \
        CALL();                                                      \
        return *value = handle->field, 0;                            \
    }
SETTING(Stream_v2, cudaStream_t, stream)
SETTING(MathMode, int, math)
SETTING(PointerMode_v2, int, pointers)

/* Matrices and factors follow the handle, and are not read. */
#define PRODUCT(name)                                                \
    int name(struct handle *handle) {                                \
        CALL();                                                      \
        return launch(handle->stream) ? EXECUTION_FAILED : 0;        \
    }
PRODUCT(cublasSgemm_v2)
PRODUCT(cublasDgemm_v2)
PRODUCT(cublasSgemmEx)
PRODUCT(cublasGemmEx)
PRODUCT(cublasSgemmStridedBatched)
PRODUCT(cublasDgemmStridedBatched)
PRODUCT(cublasGemmStridedBatchedEx)
PRODUCT(cublasSgemv_v2)
PRODUCT(cublasDgemv_v2)
PRODUCT(cublasSdot_v2)
PRODUCT(cublasDdot_v2)

/* What describes a product of cuBLASLt is empty, and its attributes are not read. */
#define DESCRIPTION(name)                                            \
    int name##Create(void **made) { return *made = calloc(1, 1), 0; } \
    int name##Destroy(void *made) { return free(made), 0; }          \
    int name##SetAttribute(void) { return 0; }
DESCRIPTION(cublasLtMatmulDesc)
DESCRIPTION(cublasLtMatrixLayout)
DESCRIPTION(cublasLtMatmulPreference)

/* cublasLtMatmulHeuristicResult_t: one algorithm, which needs no workspace. */
struct algorithm { uint64_t data[8]; size_t workspace; int status; float waves; int reserved[4]; };

int cublasLtMatmulAlgoGetHeuristic(
    struct handle *handle, void *product, void *a, void *b, void *c, void *d, void *wanted,
    int most, struct algorithm *found, int *count) {
    CALL();
    memset(found, 0, (size_t)most * sizeof *found);
    *count = 1;
    return 0;
}

int cublasLtMatmul(
    struct handle *handle, void *product, const void *alpha, const void *a, void *a_layout,
    const void *b, void *b_layout, const void *beta, const void *c, void *c_layout, void *d,
    void *d_layout, const void *algorithm, void *workspace, size_t bytes, cudaStream_t stream) {
    CALL();
    return launch(stream) ? EXECUTION_FAILED : 0;
}
