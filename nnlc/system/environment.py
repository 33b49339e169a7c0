"""The user's environment and the bits of a table: what a trainer process gets of it.

The libraries below torch read variables of their own when they load, and some decide how numbers
are rounded. `VARIABLES` says of each what becomes of it. Whoever starts a process that trains gives
it `trainer_environment`: once Python runs, it is too late. Job scripts export `DETERMINISM`.
"""

from collections.abc import Container, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Literal, NamedTuple


class Variables(NamedTuple):
    """A row of `VARIABLES`: variables that are treated alike, and why."""

    rule: Literal["fixed", "recorded", "left", "removed"]
    """`fixed`: every trainer has `value`. `recorded`: the user's value holds, and a checkpoint,
    the journal and `nnlc verify` compare it. `left`: passed on, as it changes no bit. `removed`:
    no trainer gets it."""
    names: str
    """Separated by spaces; a `*` stands for any letters."""
    why: str
    source: str
    """Where that is documented; "measured" where it was tried on CPUs."""
    value: str = ""
    """Of what is fixed."""
    devices: tuple[str, ...] = ("cpu", "cuda")
    """Where what is recorded decides bits; of networks that train elsewhere it is not recorded."""
    library: str = ""
    """"mkl", "mkldnn" or another "blas", as torch names it: without that nothing is recorded."""


VARIABLES = (
    Variables(
        "fixed",
        "CUBLAS_WORKSPACE_CONFIG",
        "cuBLAS is deterministic only with a workspace of a fixed size for each stream",
        "cuBLAS: results reproducibility",
        value=":4096:8",
    ),
    Variables(
        "fixed",
        "OMP_NUM_THREADS MKL_NUM_THREADS OPENBLAS_NUM_THREADS",
        "sums over threads depend on how many there are: one thread everywhere, whatever the "
        "cores; the counts of MKL and OpenBLAS win over OpenMP's",
        "OpenMP: OMP_NUM_THREADS; oneMKL: number of threads; OpenBLAS: runtime variables",
        value="1",
    ),
    # Recorded is what people need, for the same bytes on two kinds of node or to start at all.
    Variables(
        "recorded",
        "MKL_CBWR MKL_ENABLE_INSTRUCTIONS",
        "chooses the instructions",
        "oneMKL: conditional numerical reproducibility, instruction set dispatching; measured",
        devices=("cpu",),
        library="mkl",
    ),
    Variables(
        "recorded",
        "ONEDNN_MAX_CPU_ISA DNNL_MAX_CPU_ISA ONEDNN_CPU_ISA_HINTS DNNL_CPU_ISA_HINTS",
        "chooses the instructions",
        "oneDNN: CPU dispatcher control, CPU ISA hints; measured",
        devices=("cpu",),
        library="mkldnn",
    ),
    Variables(
        "recorded",
        "OPENBLAS_CORETYPE OPENBLAS_L2_SIZE OPENBLAS_BLOCK_FACTOR NVPL_BLAS_DEBUG_CPU_TYPE "
        "BLIS_ARCH_TYPE BLIS_MODEL_TYPE AOCL_ENABLE_INSTRUCTIONS FLEXIBLAS FLEXIBLAS64",
        "chooses kernels and the blocks of sums, the last two the library; some processors don't "
        "start without the first",
        "OpenBLAS: runtime variables, and its source; NVPL: BLAS; BLIS: kernels; AOCL: dynamic "
        "dispatch; FlexiBLAS: README",
        devices=("cpu",),
        library="blas",
    ),
    Variables(
        "recorded",
        "ATEN_CPU_CAPABILITY",
        "chooses torch's own instructions; they draw the first weights for GPUs too",
        "PyTorch: torch.backends.cpu; measured",
    ),
    Variables(
        "recorded",
        "HSA_OVERRIDE_GFX_VERSION* ROCBLAS_TENSILE_LIBPATH HIPBLASLT_TENSILE_LIBPATH "
        "HIPBLASLT_EXT_OP_LIBRARY_PATH",
        "chooses an AMD GPU's kernels, and some GPUs have none without it",
        "ROCm: environment variables; rocBLAS, hipBLASLt: the same",
        devices=("cuda",),
    ),
    Variables(
        "recorded",
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT",
        "where memory is scarce other algorithms are taken",
        "NVIDIA MPS: environment variables",
        devices=("cuda",),
    ),
    Variables(
        "removed",
        "ROCBLAS_TENSILE_GEMM_OVERRIDE_PATH",
        "kernels that a file names, chosen by their speed",
        "rocBLAS: rocblas-gemm-tune",
    ),
    # Left alone is what would else belong to a family below, and all that is in no row.
    Variables(
        "left",
        "*_VERSION *_HOME *_ROOT *_PATH *_DIR",
        "says where something is; what was found there is recorded by its version",
        "as containers and modules set them",
    ),
    Variables(
        "left",
        "CUDA_VISIBLE_DEVICES CUDA_MPS_ACTIVE_THREAD_PERCENTAGE",
        "what they leave is recorded: a GPU's model and its multiprocessors",
        "CUDA programming guide, NVIDIA MPS: environment variables",
    ),
    Variables(
        "left",
        "OMP_* KMP_* GOMP_* MKL_DYNAMIC",
        "places, waiting and schedules of threads: with one thread no sum depends on them",
        "OpenMP: environment variables; libgomp and LLVM's OpenMP: the same; measured",
    ),
    Variables(
        "left",
        "MKL_VERBOSE* MKL_THREADING_LAYER MKL_INTERFACE_LAYER MKL_SERVICE_FORCE_INTEL "
        "MKL_DISABLE_FAST_MM ONEDNN_VERBOSE* DNNL_VERBOSE* ONEDNN_JIT_* DNNL_JIT_* "
        "ONEDNN_PRIMITIVE_CACHE_CAPACITY DNNL_PRIMITIVE_CACHE_CAPACITY "
        "CUBLAS*_LOG* CUBLAS*_NVTX_LEVEL CUDNN_LOG* CUDNN_NVTX_LEVEL CUDNN_FRONTEND_LOG* "
        "TORCH_CUDNN_V8_API_DEBUG TORCH_CUDNN_V8_API_LRU_CACHE_LIMIT TORCH_CUBLAS_WORKSPACE_CACHE "
        "MIOPEN_ENABLE_LOGGING* MIOPEN_LOG_LEVEL MIOPEN_CHECK_NUMERICS MIOPEN_DISABLE_CACHE "
        "MIOPEN_COMPILE_PARALLEL_LEVEL ROCBLAS_LAYER ROCBLAS_LOG_* ROCBLAS_VERBOSE* HIPBLASLT_LOG*",
        "messages, linking, and what is kept in memory or on a disk",
        "oneMKL, MIOpen, PyTorch (CUDA): environment variables; oneDNN: verbose mode, JIT code, "
        "primitive cache; cuBLAS, cuDNN, rocBLAS, hipBLASLt: logging; measured",
    ),
    # Removed is what torch's own settings are there for, with the rest of its family: libraries
    # document few of their variables.
    Variables(
        "removed",
        "MKL_* ONEDNN_* DNNL_* TORCH_MKLDNN_* BLIS_*",
        "precision, instructions and threads, as ONEDNN_DEFAULT_FPMATH_MODE, MKL_DEBUG_CPU_TYPE "
        "(older MKL), MKL_DOMAIN_NUM_THREADS and BLIS_NUM_THREADS, which wins over OpenMP's",
        "oneMKL: environment variables; oneDNN: floating-point math mode; BLIS: multithreading; "
        "PyTorch's source",
    ),
    Variables(
        "removed",
        "NVIDIA_TF32_OVERRIDE TORCH_ALLOW_TF32_CUBLAS_OVERRIDE CUBLAS_* CUBLASLT_* TORCH_CUBLAS* "
        "TORCH_BLAS_PREFER_* DISABLE_ADDMM_CUDA_LT CUDNN_* TORCH_CUDNN_* "
        "CUDA_FORCE_PTX_JIT CUDA_FORCE_JIT NVVM_OVERRIDE_OPTIONS",
        "precision, over what torch is told (NVIDIA's containers set the second), workspaces, "
        "heuristics, which library multiplies, which convolution, as CUDNN_CONV_WSCAP_DBG and "
        "CUDNN_ERRATA_JSON_FILE, and kernels compiled by the driver in place of torch's",
        "cuBLAS: TF32, floating point emulation; cuDNN, PyTorch (CUDA), CUDA programming guide: "
        "environment variables",
    ),
    Variables(
        "removed",
        "MIOPEN_* PYTORCH_MIOPEN_* ROCBLAS_* HIPBLASLT_* HIPBLAS_* TENSILE_* DISABLE_ADDMM_HIP_LT",
        "the same on AMD's GPUs, as MIOPEN_FIND_MODE, HIPBLASLT_ALLOW_TF32 and "
        "ROCBLAS_DEFAULT_ATOMICS_MODE",
        "PyTorch: HIP semantics; MIOpen, rocBLAS, hipBLASLt: environment variables",
    ),
    Variables(
        "removed",
        "PYTORCH_TUNABLEOP_* TORCH_*NATIVE_* PYTORCH_SUM_INNER_TREE",
        "other kernels for an operation, some of them chosen by their speed",
        "PyTorch: TunableOp; torch 2.14's source",
    ),
)
"""The first row that names a variable decides. One that no row names is left alone: nothing is
taken away that is not known to change bits, as CUDA_LAUNCH_BLOCKING or PYTORCH_CUDA_ALLOC_CONF."""

DETERMINISM: dict[str, str] = {
    name: row.value for row in VARIABLES if row.rule == "fixed" for name in row.names.split()
}
"""What every trainer has."""

ALLOCATION: dict[str, str] = {
    # glibc maps every large block afresh and gives it back at once, so that each step pays anew for
    # each page of its activations. From one heap that is kept, wide networks train up to a third
    # faster on CPUs. Other C libraries ignore it.
    "GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=1000000000000",
}
"""What makes trainers faster and changes nothing else; whoever sets it otherwise is left alone."""


@cache
def row_of(name: str) -> Variables | None:
    """Return the row of `VARIABLES` that decides what becomes of a variable, if there is one."""
    for row in VARIABLES:
        if any(fnmatchcase(name, pattern) for pattern in row.names.split()):
            return row
    return None


def rule_of(name: str) -> str:
    """Return what becomes of a variable: the rule of its row, or "left"."""
    row = row_of(name)
    return row.rule if row else "left"


def trainer_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a process that trains is started with, where this one has `environment`."""
    kept = {name: value for name, value in environment.items() if rule_of(name) != "removed"}
    return {**ALLOCATION, **kept, **DETERMINISM}


def overruled(environment: Mapping[str, str]) -> dict[str, str]:
    """Return those variables that a trainer has otherwise, or not at all."""
    given = trainer_environment(environment)
    return {n: v for n, v in environment.items() if v and given.get(n) != v}


def recorded(
    environment: Mapping[str, str], device: str, libraries: Container[str]
) -> dict[str, str]:
    """Return those variables that hold and decide bits.

    Args:
        environment: of the process that trains.
        device: "cpu" or "cuda".
        libraries: that torch has, as `Variables.library` names them.
    """
    return {
        name: value.strip()
        for name, value in environment.items()
        if value.strip() and (row := row_of(name)) and row.rule == "recorded"
        if device in row.devices and (not row.library or row.library in libraries)
    }


def in_words(variables: Mapping[str, str]) -> str:
    """Return variables and their values on one line, as a shell would take them."""
    if not variables:
        return ""
    import shlex  # which an agent seldom needs

    return ", ".join(f"{name}={shlex.quote(value)}" for name, value in sorted(variables.items()))
