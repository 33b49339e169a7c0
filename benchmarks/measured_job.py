"""Running a job of the worker to be measured, and reading what it left."""

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

from nnlc.results.journal import read_events
from nnlc.results.paths import ResultsFolder

HERE = Path(__file__).parent


@dataclass(frozen=True)
class MeasuredJob:
    """A job that has ended well.

    Times are seconds since 1970.
    """

    results: ResultsFolder
    begin: float
    """The launcher was called."""
    end: float
    """And was back."""
    events: list[dict[str, Any]]
    """Of its journal."""
    samples: list[list[tuple[float, float]]]
    """By rank: times, and processor seconds of the rank's own until then."""
    peak_memory_bytes: list[int]
    """By rank."""

    def moments(self, kind: str) -> list[float]:
        """When events of one kind were, in order."""
        return [moment(event) for event in self.events if event["event"] == kind]

    def processor_seconds(self, rank: int, start: float, end: float) -> float:
        """Of one rank between two moments."""
        return self._until(rank, end) - self._until(rank, start)

    def _until(self, rank: int, moment: float) -> float:
        samples = self.samples[rank]
        for (t0, c0), (t1, c1) in pairwise(samples):
            if moment < t1:
                return c0 + (c1 - c0) * max(0.0, moment - t0) / (t1 - t0)
        return samples[-1][1]


def run_job(campaign: Path, folder: Path, ranks: int, kind: str) -> MeasuredJob:
    """Run a campaign with `real` or `null` trainers on so many ranks under mpirun.

    Raises:
        SystemExit: it did not end well.
    """
    results = ResultsFolder(folder / "results")
    beside = Path(sys.executable).with_name("mpirun")
    launcher = str(beside) if beside.exists() else shutil.which("mpirun")
    if launcher is None:
        sys.exit("error: no mpirun: pip install 'nnlc[mpi]'")
    words = [campaign, "--results", results.path, "--device", "cpu"]
    rank_of_it = [sys.executable, HERE / "measured_worker.py", folder, kind, *words]
    begin = time.time()
    with (folder / "log").open("wb") as log:
        status = subprocess.run(  # noqa: S603  (all of it is this file's)
            [launcher, "-np", str(ranks), *map(str, rank_of_it)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        ).returncode
    end = time.time()
    if status:
        sys.exit(f"{(folder / 'log').read_text()[-2000:]}\nerror: the job left with {status}")
    facts = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(ranks)]
    return MeasuredJob(
        results,
        begin,
        end,
        list(read_events(results.journal_folder)),
        [[(t, c) for t, c in each["samples"]] for each in facts],
        [each["peak_memory_bytes"] for each in facts],
    )


def moment(event: dict[str, Any]) -> float:
    """When an event was, in seconds since 1970."""
    return datetime.fromisoformat(event["time"]).timestamp()
