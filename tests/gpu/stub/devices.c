/* "runtime", Device Management and Error Handling: devices, their properties, their first use. */
#include "stub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static __thread int current;
static bool context[MAX_DEVICES];
static bool forked; /* "runtime", Initialization: a context does not survive fork() */

void forget_contexts(void) {
    for (int device = 0; device < MAX_DEVICES; device++) forked |= context[device];
}

int current_device(void) { return current; }

bool has_context(int device) { return device >= 0 && device < MAX_DEVICES && context[device]; }

/* "guide", CUDA Compatibility: a runtime works with drivers of its major version and newer ones. */
static cudaError_t driver_error(void) {
    if (settings()->driver / 1000 < CUDART_VERSION / 1000) return cudaErrorInsufficientDriver;
    return visible_devices() ? cudaSuccess : cudaErrorNoDevice;
}

/* "guide", Compute Modes: only one process at a time has a context on a device in exclusive mode;
 * with MPS that process is the server. A socket without a file holds the device until the end. */
static cudaError_t take_exclusively(int physical) {
    const char *mode = settings()->exclusive, *pipes = getenv("CUDA_MPS_PIPE_DIRECTORY");
    if (!mode || (pipes && *pipes && !access(pipes, F_OK))) return cudaSuccess;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "nnlc-stub-%s-%d", mode, physical);
    int held = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (held < 0 || bind(held, (struct sockaddr *)&name, sizeof name)) {
        if (held >= 0) close(held);
        return cudaErrorDevicesUnavailable;
    }
    return cudaSuccess;
}

static cudaError_t make_context(int device) {
    if (forked) return cudaErrorInitializationError;
    if (process_error()) return process_error();
    if (context[device]) return cudaSuccess;
    cudaError_t error = driver_error();
    if (!error) error = init_error();
    if (!error) error = take_exclusively(physical_device(device));
    context[device] = !error;
    return error;
}

/* What a call on the current device fails with before it has done anything, or success. */
cudaError_t use_device(void) {
    if (context[current] && !forked && !process_error()) return cudaSuccess;
    return make_context(current);
}

cudaError_t cudaGetDeviceCount(int *count) {
    CALL();
    *count = 0;
    if (driver_error()) return failed(driver_error());
    *count = visible_devices();
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
    CALL();
    *device = current;
    return driver_error() ? failed(driver_error()) : cudaSuccess;
}

/* "runtime", cudaSetDevice: since CUDA 12 it makes the device's context. */
cudaError_t cudaSetDevice(int device) {
    CALL();
    if (driver_error()) return failed(driver_error());
    if (device < 0 || device >= visible_devices()) return failed(cudaErrorInvalidDevice);
    cudaError_t error = make_context(device);
    if (!error) current = device;
    return failed(error);
}

cudaError_t cudaDriverGetVersion(int *version) {
    CALL();
    *version = settings()->driver;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
    CALL();
    *version = CUDART_VERSION;
    return cudaSuccess;
}

static int multiprocessors(void) {
    int capability = 10 * settings()->major + settings()->minor;
    return capability == 90 ? 132 : capability == 80 ? 108 : capability == 70 ? 80 : 96;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *made, int device) {
    CALL();
    if (driver_error()) return failed(driver_error());
    if (device < 0 || device >= visible_devices()) return failed(cudaErrorInvalidDevice);
    const struct settings *have = settings();
    memset(made, 0, sizeof *made);
    snprintf(made->name, sizeof made->name, "%s", have->name);
    uuid_of(physical_device(device), (unsigned char *)made->uuid.bytes);
    made->pciBusID = have->pci ? 0x18 + 0x11 * physical_device(device) : 0;
    made->totalGlobalMem = have->memory_bytes;
    made->major = have->major;
    made->minor = have->minor;
    made->multiProcessorCount = multiprocessors();
    made->warpSize = 32;
    made->maxThreadsPerBlock = made->maxThreadsDim[0] = made->maxThreadsDim[1] = 1024;
    made->maxThreadsDim[2] = 64;
    made->maxGridSize[0] = 2147483647;
    made->maxGridSize[1] = made->maxGridSize[2] = 65535;
    made->maxThreadsPerMultiProcessor = 2048;
    made->maxBlocksPerMultiProcessor = 32;
    made->sharedMemPerBlock = 48 << 10;
    made->sharedMemPerBlockOptin = have->major >= 9 ? 227 << 10 : 96 << 10;
    made->sharedMemPerMultiprocessor = made->sharedMemPerBlockOptin + 1024;
    made->regsPerBlock = made->regsPerMultiprocessor = 65536;
    made->l2CacheSize = 50 << 20;
    made->concurrentKernels = made->unifiedAddressing = made->canMapHostMemory = 1;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    struct cudaDeviceProp has;
    CALL();
    cudaError_t error = cudaGetDeviceProperties(&has, device);
    if (error) return error;
    const struct { enum cudaDeviceAttr attribute; size_t value; } known[] = {
        {cudaDevAttrComputeCapabilityMajor, has.major},
        {cudaDevAttrComputeCapabilityMinor, has.minor},
        {cudaDevAttrMultiProcessorCount, has.multiProcessorCount},
        {cudaDevAttrMaxThreadsPerBlock, has.maxThreadsPerBlock},
        {cudaDevAttrMaxThreadsPerMultiProcessor, has.maxThreadsPerMultiProcessor},
        {cudaDevAttrWarpSize, has.warpSize},
        {cudaDevAttrMaxSharedMemoryPerBlock, has.sharedMemPerBlock},
        {cudaDevAttrMaxSharedMemoryPerBlockOptin, has.sharedMemPerBlockOptin},
        {cudaDevAttrMaxSharedMemoryPerMultiprocessor, has.sharedMemPerMultiprocessor},
        {cudaDevAttrMaxRegistersPerBlock, has.regsPerBlock},
        {cudaDevAttrMaxGridDimX, has.maxGridSize[0]},
    };
    *value = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].attribute == attribute) *value = (int)known[i].value;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char *text, int length, int device) {
    struct cudaDeviceProp has;
    CALL();
    cudaError_t error = cudaGetDeviceProperties(&has, device);
    if (!error) snprintf(text, length, "%04x:%02x:%02x.0", 0, has.pciBusID, 0);
    return error;
}

cudaError_t cudaDeviceCanAccessPeer(int *can, int device, int peer) {
    CALL();
    *can = 0;
    return cudaSuccess;
}
