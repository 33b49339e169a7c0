"""Reader of Parquet or HDF5 as a process: `python -m nnlc.exporting.reader_process DIR`.

A malicious file may crash the library that reads it, or make it use all memory and time. Then only
this process ends, which has limits, and the user gets one message. CSV needs no such process.
"""

import io
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from nnlc.errors import NnlcError
from nnlc.exporting.contents import MOST_HALF_EPOCHS, MOST_TABLES, Contents, Records
from nnlc.exporting.manifest import Manifest, read_manifest
from nnlc.system.extras import require_extra

_REFUSED = 3
"""Exit status of a process that has written one message to standard error."""
_BASE_BYTES, _BYTES_PER_TABLE, _BYTES_PER_HALF_EPOCH = 2 << 30, 10_000, 250
"""Limit of address space, most of which the libraries reserve but don't use."""
_BASE_SECONDS, _HALF_EPOCHS_PER_SECOND = 30, 20_000
"""Limit of processor time, many times the time needed."""
_LIBRARY_LIMITS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""Environment that keeps libraries from reserving address space for each core."""
_PACKAGES = Path(__file__).resolve().parent.parent.parent


def read_in_process(folder: Path, manifest: Manifest) -> Contents:
    """Read an export in Parquet or HDF5 in a separate process.

    Raises:
        NnlcError: the export can't be read (with file and column), or the process crashed.
        MissingExtraError: the library that reads it is not installed.
    """
    library = "h5py" if manifest.format == "hdf5" else "pyarrow"
    require_extra("export", f"{folder}: reading {manifest.format}", library)
    paths = [str(_PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        done = subprocess.run(  # noqa: S603  our own module
            # -P: import no module from the current folder, which may be the export.
            [sys.executable, "-P", "-m", __name__, folder],
            env={**os.environ, **_LIBRARY_LIMITS, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
    except OSError as problem:
        raise NnlcError(
            f"{folder}: reading {manifest.format} needs a process, which can't be started "
            f"({problem.strerror}); export the tables with --format csv, which needs none"
        ) from None
    if done.returncode == _REFUSED:
        raise NnlcError(done.stderr.decode("utf-8", "replace").rstrip("\n"))
    if done.returncode:
        raise NnlcError(
            f"{folder}: the library that reads {manifest.format} crashed on it "
            f"({_exit_reason(done.returncode)}): nnlc did not write this export"
        )
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as arrays:
        networks: Records = json.loads(arrays["networks"].tobytes())
        values, blanks = arrays["values"], arrays["blanks"]
    for part in manifest.schema.stored:
        if part.kind == "integers":
            lists = networks[part.name]
            lists[:] = [value if value is None else tuple(value) for value in lists]
    return Contents(manifest.schema, networks, values, blanks)


def _exit_reason(status: int) -> str:
    if -status == signal.SIGXCPU:
        return "it took too long"
    return f"signal {-status}" if status < 0 else f"status {status}"


def main() -> None:
    """Read the export that the command line names, and write its contents to standard output."""
    folder = Path(sys.argv[1])
    try:
        manifest = read_manifest(folder)
        _limit(min(manifest.tables, MOST_TABLES), min(manifest.half_epochs, MOST_HALF_EPOCHS))
        contents = _read(folder, manifest)
    except NnlcError as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(_REFUSED)
    except MemoryError:
        sys.stderr.write(f"{folder}: needs more memory than an export of its size\n")
        sys.exit(_REFUSED)
    networks = np.frombuffer(json.dumps(contents.networks).encode(), dtype=np.uint8)
    packed = io.BytesIO()
    np.savez(packed, networks=networks, values=contents.values, blanks=contents.blanks)
    sys.stdout.buffer.write(packed.getbuffer())


def _limit(tables: int, half_epochs: int) -> None:
    """Limit this process to the memory and time that an export of this size needs."""
    size = _BASE_BYTES + _BYTES_PER_TABLE * tables + _BYTES_PER_HALF_EPOCH * half_epochs
    limits = {
        resource.RLIMIT_AS: size,
        resource.RLIMIT_CPU: _BASE_SECONDS + half_epochs // _HALF_EPOCHS_PER_SECOND,
        resource.RLIMIT_CORE: 0,
    }
    for limit, most in limits.items():
        _, hard = resource.getrlimit(limit)
        resource.setrlimit(
            limit, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard)
        )


def _read(folder: Path, manifest: Manifest) -> Contents:
    if manifest.format == "hdf5":
        from nnlc.exporting import hdf5_import

        return hdf5_import.read(folder, manifest)
    from nnlc.exporting import parquet_export

    return parquet_export.read(folder, manifest)


if __name__ == "__main__":
    main()
