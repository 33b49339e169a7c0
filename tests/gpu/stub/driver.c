/* What torch asks the driver itself, libcuda.so.1, and NVML, libnvidia-ml.so.1. Both names are
 * links to this library. docs.nvidia.com/cuda/cuda-driver-api, docs.nvidia.com/deploy/nvml-api. */
#include "stub.h"

#include <dlfcn.h>
#include <stdio.h>

#define NOT_SUPPORTED 801 /* CUDA_ERROR_NOT_SUPPORTED */
#define NVML_NOT_SUPPORTED 3

static int refuse_all(void) { return NOT_SUPPORTED; }

int cuInit(unsigned flags) { return 0; }

int cuDriverGetVersion(int *version) {
    *version = settings()->driver;
    return 0;
}

int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
    *flags = 0;
    *active = has_context(device);
    return 0;
}

int cuCtxGetCurrent(void **context) {
    *context = has_context(current_device()) ? (void *)&gauges : NULL;
    return 0;
}

int cuGetErrorString(int error, const char **text) {
    *text = cudaGetErrorString((cudaError_t)error);
    return 0;
}

/* "runtime", Driver Entry Point Access: what the stub lacks is there, and refuses. */
cudaError_t cudaGetDriverEntryPointByVersion(
    const char *name, void **found, unsigned version, unsigned long long flags,
    enum cudaDriverEntryPointQueryResult *result) {
    CALL();
    *found = dlsym(RTLD_DEFAULT, name);
    if (!*found) *found = (void *)refuse_all;
    if (result) *result = cudaDriverEntryPointSuccess;
    return cudaSuccess;
}

/* NVML counts the devices that are there, whether or not CUDA can use them: it sees neither
 * CUDA_VISIBLE_DEVICES nor the versions of driver and runtime. */
int nvmlInit(void) { return 0; }
int nvmlInit_v2(void) { return 0; }

int nvmlDeviceGetCount_v2(unsigned *count) {
    *count = (unsigned)settings()->devices;
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    *device = (void *)(uintptr_t)(index + 1);
    return index < (unsigned)settings()->devices ? 0 : NVML_NOT_SUPPORTED;
}

int nvmlDeviceGetUUID(void *device, char *text, unsigned length) {
    char uuid[UUID_LENGTH];
    write_uuid((int)(uintptr_t)device - 1, uuid);
    snprintf(text, length, "%s", uuid);
    return settings()->uuids ? 0 : NVML_NOT_SUPPORTED;
}

int nvmlSystemGetCudaDriverVersion_v2(int *version) { return cuDriverGetVersion(version); }
int nvmlDeviceGetHandleByPciBusId_v2(void *bus, void **device) { return *device = bus, 0; }
int nvmlDeviceGetComputeRunningProcesses(void *device, unsigned *n) { return *n = 0; }
int nvmlDeviceGetGpuFabricInfoV(void) { return NVML_NOT_SUPPORTED; }
int nvmlDeviceGetNvLinkRemoteDeviceType(void) { return NVML_NOT_SUPPORTED; }
int nvmlDeviceGetNvLinkRemotePciInfo_v2(void) { return NVML_NOT_SUPPORTED; }
