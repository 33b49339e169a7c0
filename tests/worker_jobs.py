"""Starting real worker jobs from tests, alone or under a real mpirun."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

TINY = """
name = "tiny"
seed = 11
stamp = 2026-01-02T03:04:05
epochs = 1

[datasets.F-MNIST-sample]
networks_per_depth = 3
depths = [1, 2]

[space]
kernel = [2, 4]
stride = [1, 2]
padding = [0, 1]
filters = [1, 10]
pool_kernel = [1, 2]
fc_layers = [1, 2]
fc_units = [8, 16]
batch_size = [100, 250]
"""


def write_campaign(folder: Path, text: str = TINY) -> Path:
    path = folder / "tiny.toml"
    path.write_text(text)
    return path


def mpirun() -> str:
    """The MPI launcher beside this Python, or the machine's."""
    beside = Path(sys.executable).parent / "mpirun"
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    assert found, "no mpirun: pip install 'nnlc[mpi]'"
    return found


def command(*arguments: object, ranks: int | None = None) -> list[str]:
    launcher = [mpirun(), "-np", str(ranks)] if ranks else []
    return [*launcher, sys.executable, "-m", "nnlc.worker", *map(str, arguments)]


def run_worker(
    *arguments: object, ranks: int | None = None, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a job to its end; a job that hangs fails the test."""
    return subprocess.run(
        command(*arguments, ranks=ranks),
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )


def tables(results: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(results)): path.read_bytes()
        for path in sorted(results.glob("*_models/*.txt"))
    }


def events(results: Path, kind: str) -> list[dict]:
    lines = [
        json.loads(line)
        for path in sorted((results / "journal").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    return [event for event in lines if event["event"] == kind]
