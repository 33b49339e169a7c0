"""Measured jobs of the worker: start one, and read its journal and measurements."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import read_events

BENCHMARKS = Path(__file__).parent


@dataclass(frozen=True)
class MeasuredJob:
    """Job that ended successfully; times are seconds since 1970."""

    results: ResultsFolder
    begin: float
    """Time at which the launcher was started."""
    end: float
    """Time at which the launcher ended."""
    events: list[dict[str, Any]]
    """Events of the job's journal."""
    samples: list[list[tuple[float, float]]]
    """For each rank: times, and the agent's processor seconds up to each."""
    peak_memory_bytes: list[int]
    """Peak memory of each rank's agent."""

    def moments(self, kind: str) -> list[float]:
        """Return the times of all events of one kind, in order."""
        return [moment(event) for event in self.events if event["event"] == kind]

    def processor_seconds(self, rank: int, start: float, end: float) -> float:
        """Return the processor seconds of one rank's agent between two times."""
        return self._until(rank, end) - self._until(rank, start)

    def _until(self, rank: int, moment: float) -> float:
        samples = self.samples[rank]
        for (t0, c0), (t1, c1) in pairwise(samples):
            if moment < t1:
                return c0 + (c1 - c0) * max(0.0, moment - t0) / (t1 - t0)
        return samples[-1][1]


def run_job(campaign: Path, folder: Path, ranks: int, kind: str) -> MeasuredJob:
    """Run a campaign under mpirun, with trainers of the kind "real" or "null".

    Raises:
        SystemExit: the job failed.
    """
    results = ResultsFolder(folder / "results")
    beside = Path(sys.executable).with_name("mpirun")
    launcher = str(beside) if beside.exists() else shutil.which("mpirun")
    if launcher is None:
        sys.exit("error: no mpirun: pip install 'nnlc[mpi]'")
    words = [campaign, "--results", results.path, "--device", "cpu"]
    rank_command = [sys.executable, BENCHMARKS / "measured_worker.py", folder, kind, *words]
    begin = time.time()
    with (folder / "log").open("wb") as log:
        status = subprocess.run(  # noqa: S603  (all of it is this file's)
            [launcher, "-np", str(ranks), *map(str, rank_command)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        ).returncode
    end = time.time()
    if status:
        sys.exit(f"{(folder / 'log').read_text()[-2000:]}\nerror: the job exited with {status}")
    measured = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(ranks)]
    return MeasuredJob(
        results,
        begin,
        end,
        list(read_events(results.journal_folder)),
        [[(t, c) for t, c in each["samples"]] for each in measured],
        [each["peak_memory_bytes"] for each in measured],
    )


def moment(event: dict[str, Any]) -> float:
    """Return the time of an event, in seconds since 1970."""
    return datetime.fromisoformat(event["time"]).timestamp()
