"""A stub of NVIDIA's driver, for processes of tests: CUDA's rules without a GPU.

    environment = {**os.environ, **stub_driver.environment(gpus=2, fail="capture:2")}
    subprocess.run([sys.executable, "-m", "nnlc.worker", "--device", "cuda"], env=environment)

Torch's CUDA build then finds two GPUs, with memory, streams, events, captures and graphs, and its
own allocator, graphs and generators run for real. Kernels run nothing, so values mean nothing: new
memory reads as zeros. `stub/stub.h` says what the library is; `test_rules.py` shows each rule.

It shows neither values, bits nor times. An operation is complete as soon as it is queued, so that
errors of ordering don't show. cuDNN is off unless `cudnn_megabytes` is given; then it has an engine
for each convolution, and what it chooses and which kernels it lacks stay unseen. Of cuBLAS there is
what training uses; any other function of it ends the process. A process that ends by itself right
after a backward pass may abort: call torch.cuda.synchronize() before, or os._exit as trainers do.
"""

import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError, files, version
from importlib.util import find_spec
from pathlib import Path

SOURCES = Path(__file__).parent / "stub"
LIBRARY = "libstub.so"
CUDA_BUILD = "libtorch_cuda.so"
NAMES = ("libcuda.so.1", "libnvidia-ml.so.1")
"""Names by which programs open the driver and NVML: links to the library."""
HEADERS = {
    "cuda_runtime_api.h": ("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12"),
    "crt/host_defines.h": ("nvidia-cuda-crt",),
}
"""NVIDIA's headers, and the packages that bring them: what torch needs, and one of the extra."""


def missing() -> str | None:
    """Return what a build of the stub lacks here beside a C compiler, or None."""
    torch = find_spec("torch")
    if torch is None or not Path(str(torch.origin)).with_name("lib").joinpath(CUDA_BUILD).exists():
        return "no CUDA build of torch here (pip install torch)"
    absent = [name for name in HEADERS if _include(name) is None]
    return f"no {' and no '.join(absent)} here (pip install nvidia-cuda-crt)" if absent else None


def _include(header: str) -> Path | None:
    """Return the folder from which a header is included, of an installed package."""
    for package in HEADERS[header]:
        try:
            for file in files(package) or ():
                if file.as_posix().endswith(f"include/{header}"):
                    return Path(str(file.locate())).parents[header.count("/")]
        except PackageNotFoundError:
            continue
    return None


@cache
def folder() -> Path:
    """Return the folder with the libraries, after building them if no process has done so."""
    if lacking := missing():
        raise RuntimeError(lacking)
    includes = [f"-I{_include(header)}" for header in HEADERS]
    sources = sorted(SOURCES.iterdir())
    known = hashlib.sha256("\0".join([version("torch"), *includes]).encode())
    for source in sources:
        known.update(source.read_bytes())
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    made = kept / "nnlc" / f"stub-driver-{known.hexdigest()[:16]}"
    if made.exists():
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=made.parent))
    words = ["cc", "-O1", "-Wall", "-fPIC", "-shared", "-pthread", "-o", building / LIBRARY]
    code = [source for source in sources if source.suffix == ".c"]
    subprocess.run([*words, *includes, *code, "-ldl"], check=True)
    for name in NAMES:
        (building / name).symlink_to(LIBRARY)
    try:
        building.rename(made)
    except OSError:  # another process was faster
        shutil.rmtree(building)
    return made


def environment(
    *,
    gpus: int = 1,
    memory_gigabytes: float = 16,
    name: str = "NVIDIA Stub",
    capability: tuple[int, int] = (9, 0),
    uuids: bool = True,
    pci: bool = True,
    driver: int = 13000,
    exclusive: bool = False,
    cudnn_megabytes: float | None = None,
    fail: str = "",
    counters: Path | None = None,
) -> dict[str, str]:
    """Return the variables of a process that finds the stub's GPUs.

    Args:
        gpus: number of GPUs; CUDA_VISIBLE_DEVICES chooses among them.
        memory_gigabytes: memory of each, in units of 1024³ bytes, for each process.
        name: name of each.
        capability: compute capability; kernels that torch lacks for it can't be launched.
        uuids: False for UUIDs that are all zeros.
        pci: False for PCI bus IDs that are all zeros.
        driver: CUDA version of the driver; one of an older major version than torch's is too old.
        exclusive: True for compute mode "exclusive process": of the processes with these very
            variables, one at a time can use a GPU.
        cudnn_megabytes: workspace of each convolution by cuDNN, in units of 1024² bytes; more than
            there is memory stands for an engine that cuDNN lacks. None for no cuDNN.
        fail: failures on demand, separated by commas: POINT:N or POINT:N:CODE for the N-th time
            in a process; `sticky-POINT:N` for an error with which all later calls fail (700, an
            illegal address); `init` or `init:CODE` for GPUs that are counted but can't be used
            (35, a driver too old). `stub/faults.c` lists the points.
        counters: file to which each process that calls the runtime adds a line of JSON at its end.
            Within a process, `ctypes.CDLL("libstub.so").nnlc_stub_counter(b"kernels")` is one of
            them; `stub/counters.c` lists them.
    """
    libraries = folder()
    return {
        "LD_PRELOAD": str(libraries / LIBRARY),
        "LD_LIBRARY_PATH": os.pathsep.join(
            filter(None, [str(libraries), os.environ.get("LD_LIBRARY_PATH")])
        ),
        "NNLC_STUB_GPUS": str(gpus),
        "NNLC_STUB_MEMORY_BYTES": str(int(memory_gigabytes * 2**30)),
        "NNLC_STUB_NAME": name,
        "NNLC_STUB_CAPABILITY": "{}.{}".format(*capability),
        "NNLC_STUB_UUIDS": str(int(uuids)),
        "NNLC_STUB_PCI": str(int(pci)),
        "NNLC_STUB_DRIVER": str(driver),
        "NNLC_STUB_EXCLUSIVE": secrets.token_hex(8) if exclusive else "",
        "NNLC_STUB_CUDNN_BYTES": str(
            -1 if cudnn_megabytes is None else int(cudnn_megabytes * 2**20)
        ),
        "NNLC_STUB_FAIL": fail,
        "NNLC_STUB_COUNTERS": str(counters or ""),
    }
