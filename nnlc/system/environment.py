"""Environment variables of processes that train, which can change the bits of a table.

Libraries that torch uses read environment variables when they load, and some of these decide how
numbers are rounded. `VARIABLES` lists how nnlc treats each. A process that trains must be started
with `trainer_environment`: once Python runs, it is too late. Job scripts export `DETERMINISM`.
"""

from collections.abc import Container, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Literal, NamedTuple


class Variables(NamedTuple):
    """Row of `VARIABLES`: variables that are treated alike, and the reason."""

    rule: Literal["fixed", "recorded", "left", "removed"]
    """Treatment. `fixed`: trainers get `value`. `recorded`: trainers get the user's value, which
    is recorded in checkpoints and the journal and compared by `nnlc verify`. `left`: trainers get
    the user's value, which changes no bit. `removed`: trainers don't get the variable."""
    names: str
    """Names separated by spaces; `*` matches any characters."""
    why: str
    """Effect of the variables."""
    source: str
    """Documentation of that effect; "measured" if it was tried on CPUs."""
    value: str = ""
    """Value of `fixed` variables."""
    devices: tuple[str, ...] = ("cpu", "cuda")
    """Devices for which variables are `recorded`; on others they change no bit."""
    library: str = ""
    """Library of torch without which variables change no bit: mkl, mkldnn, another blas, miopen."""


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
        "sums depend on the number of threads: one thread on every node; the numbers of MKL and "
        "OpenBLAS take precedence over OpenMP's",
        "OpenMP: OMP_NUM_THREADS; oneMKL: number of threads; OpenBLAS: runtime variables",
        value="1",
    ),
    # By default, torch on ROCm has MIOpen time kernels and use the fastest, also in deterministic
    # mode, which only restricts MIOpen to deterministic kernels (PyTorch: Conv_miopen.cpp). These
    # two make the choice depend on shape, GPU and version of MIOpen alone. Not tried on a GPU yet.
    Variables(
        "fixed",
        "MIOPEN_FIND_MODE",
        "a kernel is chosen by a database or by rules, not by its speed in each process",
        "MIOpen: find modes",
        value="FAST",
        library="miopen",
    ),
    Variables(
        "fixed",
        "MIOPEN_DEBUG_DISABLE_FIND_DB",
        "kernels that other programs of a user have timed would take precedence, node by node",
        "MIOpen: using the find database",
        value="1",
        library="miopen",
    ),
    # Users need these, for the same bytes on two kinds of node or to start at all: recorded.
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
        "chooses kernels and the blocks of sums, and with FLEXIBLAS* the library; on some "
        "processors OpenBLAS doesn't start without OPENBLAS_CORETYPE",
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
        "limits memory, so that libraries choose other algorithms",
        "NVIDIA MPS: environment variables",
        devices=("cuda",),
    ),
    Variables(
        "removed",
        "ROCBLAS_TENSILE_GEMM_OVERRIDE_PATH",
        "kernels from a file, chosen by their speed",
        "rocBLAS: rocblas-gemm-tune",
    ),
    # Exceptions from the families of removed variables below: left.
    Variables(
        "left",
        "*_VERSION *_HOME *_ROOT *_PATH *_DIR",
        "says where something is; the version of what is there is recorded",
        "as containers and modules set them",
    ),
    Variables(
        "left",
        "CUDA_VISIBLE_DEVICES CUDA_MPS_ACTIVE_THREAD_PERCENTAGE",
        "chooses a GPU, whose model and multiprocessors are recorded",
        "CUDA programming guide, NVIDIA MPS: environment variables",
    ),
    Variables(
        "left",
        "OMP_* KMP_* GOMP_* MKL_DYNAMIC",
        "placement, waiting and scheduling of threads: with one thread no sum depends on them",
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
        "messages, linking, caches in memory and on disk",
        "oneMKL, MIOpen, PyTorch (CUDA): environment variables; oneDNN: verbose mode, JIT code, "
        "primitive cache; cuBLAS, cuDNN, rocBLAS, hipBLASLt: logging; measured",
    ),
    # Variables that torch's own settings replace: removed, with all others of the same prefix since
    # libraries document few of their variables.
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
        "precision, in place of torch's settings (NVIDIA's containers set the second), "
        "workspaces, heuristics, the library of matrix products, the algorithm of convolutions "
        "(CUDNN_CONV_WSCAP_DBG, CUDNN_ERRATA_JSON_FILE), and kernels compiled by the driver in "
        "place of torch's",
        "cuBLAS: TF32, floating point emulation; cuDNN, PyTorch (CUDA), CUDA programming guide: "
        "environment variables",
    ),
    Variables(
        "removed",
        "MIOPEN_* PYTORCH_MIOPEN_* ROCBLAS_* HIPBLASLT_* HIPBLAS_* TENSILE_* DISABLE_ADDMM_HIP_LT",
        "the same on AMD's GPUs, as MIOPEN_FIND_ENFORCE, which tunes kernels, "
        "MIOPEN_DEBUG_CONV_WINOGRAD, HIPBLASLT_ALLOW_TF32 and ROCBLAS_DEFAULT_ATOMICS_MODE",
        "PyTorch: HIP semantics; MIOpen, rocBLAS, hipBLASLt: environment variables",
    ),
    Variables(
        "removed",
        "PYTORCH_TUNABLEOP_* TORCH_*NATIVE_* PYTORCH_SUM_INNER_TREE",
        "other kernels for an operation, some of them chosen by their speed",
        "PyTorch: TunableOp; torch 2.14's source",
    ),
)
"""Treatment of environment variables: the first row with a variable's name applies. Variables in no
row, such as CUDA_LAUNCH_BLOCKING and PYTORCH_CUDA_ALLOC_CONF, are `left`."""


def fixed(libraries: Container[str] | None = None) -> dict[str, str]:
    """Return the fixed variables of trainers, or those that matter to these libraries of torch."""
    return {
        name: row.value
        for row in VARIABLES
        if row.rule == "fixed"
        and (libraries is None or not row.library or row.library in libraries)
        for name in row.names.split()
    }


DETERMINISM: dict[str, str] = fixed(())
"""Fixed variables that matter on every device; job scripts export them."""

ALLOCATION: dict[str, str] = {
    # By default glibc maps each large block anew and unmaps it when freed, so each step pays for
    # page faults on all its activations. With a heap that is kept, wide networks train up to a
    # third faster on CPUs. Other C libraries ignore this variable.
    "GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=1000000000000",
}
"""Variables that make trainers faster without changing bits; the user's values take precedence."""


HIDDEN_GPUS = dict.fromkeys(("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"), "-1")
"""Variables of trainers on CPUs: they see no GPU, and take no memory of one."""


@cache
def row_of(name: str) -> Variables | None:
    """Return the row of `VARIABLES` that applies to a variable, or None."""
    for row in VARIABLES:
        if any(fnmatchcase(name, pattern) for pattern in row.names.split()):
            return row
    return None


def rule_of(name: str) -> str:
    """Return the rule of the row that applies to a variable, or "left"."""
    row = row_of(name)
    return row.rule if row else "left"


def trainer_environment(environment: Mapping[str, str], device: str = "auto") -> dict[str, str]:
    """Return the environment with which to start a process that trains.

    Args:
        environment: variables of this process.
        device: the device that the user asked for: "auto", "cpu" or "cuda".
    """
    kept = {name: value for name, value in environment.items() if rule_of(name) != "removed"}
    return {**ALLOCATION, **kept, **fixed(), **(HIDDEN_GPUS if device == "cpu" else {})}


def overruled(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that trainers get with another value or not at all."""
    given = trainer_environment(environment)
    return {n: v for n, v in environment.items() if v and given.get(n) != v}


def recorded(
    environment: Mapping[str, str], device: str, libraries: Container[str]
) -> dict[str, str]:
    """Return the variables that trainers get and that change bits.

    Args:
        environment: variables of the process that trains.
        device: "cpu" or "cuda".
        libraries: libraries of torch, with names as in `Variables.library`.
    """
    return {
        name: value.strip()
        for name, value in environment.items()
        if value.strip() and (row := row_of(name)) and row.rule == "recorded"
        if device in row.devices and (not row.library or row.library in libraries)
    }


def in_words(variables: Mapping[str, str]) -> str:
    """Return variables and their values on one line, quoted for a shell."""
    if not variables:
        return ""
    import shlex  # agents rarely need it

    return ", ".join(f"{name}={shlex.quote(value)}" for name, value in sorted(variables.items()))
