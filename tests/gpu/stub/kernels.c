/* "runtime", Execution Control, Occupancy: kernels are counted and captured, and run nothing. */
#include "stub.h"

#include <string.h>

/* Architectures of the program's kernels, as 10 × major + minor. */
static bool built_for[256];

/* A kernel runs on devices of its major version with the same or a higher minor one ("guide",
 * Binary Compatibility). */
static bool has_image(void) {
    for (int minor = settings()->minor; minor >= 0; minor--)
        if (built_for[10 * settings()->major + minor]) return true;
    return false;
}

cudaError_t launch(cudaStream_t stream) {
    cudaError_t error = use_device();
    if (!error && !has_image()) error = cudaErrorNoKernelImageForDevice;
    return failed(error ? error : enqueue(stream_of(stream), true));
}

cudaError_t cudaLaunchKernel(
    const void *kernel, dim3 grid, dim3 block, void **arguments, size_t shared,
    cudaStream_t stream) {
    CALL();
    return launch(stream);
}

cudaError_t cudaLaunchKernelExC(
    const cudaLaunchConfig_t *how, const void *kernel, void **arguments) {
    CALL();
    return launch(how->stream);
}

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *made, const void *kernel) {
    DEVICE_CALL();
    if (!has_image()) return failed(cudaErrorNoKernelImageForDevice);
    memset(made, 0, sizeof *made);
    made->maxThreadsPerBlock = 1024;
    made->numRegs = 32;
    made->binaryVersion = made->ptxVersion = 10 * settings()->major + settings()->minor;
    return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *kernel, enum cudaFuncAttribute attribute, int value) {
    DEVICE_CALL();
    return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    int *blocks, const void *kernel, int threads, size_t shared, unsigned flags) {
    DEVICE_CALL();
    *blocks = threads > 0 && threads <= 1024 ? 2048 / threads : 1;
    return cudaSuccess;
}

/* What nvcc puts into programs: <<<…>>> pushes how a kernel is launched, its function pops it. */
static __thread struct { dim3 grid, block; size_t shared; struct CUstream_st *stream; } pushed;

unsigned __cudaPushCallConfiguration(
    dim3 grid, dim3 block, size_t shared, struct CUstream_st *stream) {
    pushed.grid = grid;
    pushed.block = block;
    pushed.shared = shared;
    pushed.stream = stream;
    return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream) {
    *grid = pushed.grid;
    *block = pushed.block;
    *shared = pushed.shared;
    *(struct CUstream_st **)stream = pushed.stream;
    return cudaSuccess;
}

cudaError_t __cudaGetKernel(void **made, const void *kernel) {
    *made = (void *)kernel;
    return cudaSuccess;
}

cudaError_t __cudaLaunchKernel(
    const void *kernel, dim3 grid, dim3 block, void **arguments, size_t shared,
    cudaStream_t stream) {
    return cudaLaunchKernel(kernel, grid, block, arguments, shared, stream);
}

/* And its kernels' images: a header, then for each image a header with the architecture, and the
 * image. NVIDIA does not document this; the layout was found in torch's libraries. */
struct images { uint32_t magic; uint16_t version, header; uint64_t bytes; };
struct image { uint16_t kind, version; uint32_t header; uint64_t bytes; uint32_t unused[3], arch; };
#define IMAGES_MAGIC 0xBA55ED50u
#define MACHINE_CODE 2

void **__cudaRegisterFatBinary(void *wrapper) {
    static void *handle;
    const struct images *images = ((struct { int m, v; const void *data; } *)wrapper)->data;
    const char *next = (const char *)images + images->header, *end = next + images->bytes;
    while (images->magic == IMAGES_MAGIC && next < end) {
        const struct image *image = (const struct image *)next;
        if (image->kind == MACHINE_CODE && image->arch < 256) built_for[image->arch] = true;
        next += image->header + image->bytes;
    }
    return &handle;
}

void __cudaRegisterFatBinaryEnd(void **handle) {}
void __cudaUnregisterFatBinary(void **handle) {}
void __cudaRegisterFunction(void) {}
void __cudaRegisterVar(void) {}
char __cudaInitModule(void **handle) { return 1; }
