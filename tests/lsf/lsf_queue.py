"""The queue: a folder with a folder a job, and in it a small file an element.

$LSF_STANDIN/next            the ID of the next job
$LSF_STANDIN/jobs/101/       job.json, script, 1.json of element 1 (0.json: no array), and
                             requests that bkill makes of the job's daemon
"""

import json
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lsf_options import Submission

sys.path.append(str(Path(__file__).resolve().parent.parent / "standins"))
from standin_folder import StandinFolder

MOST_RUNNING = 4
FINISHED = ("DONE", "EXIT")


@dataclass
class Element:
    """One element of an array, or a job that is no array."""

    index: int
    stat: str = "PEND"
    exit_code: int | None = None
    reason: str = ""
    submitted: float = field(default_factory=time.time)
    """Seconds since 1970."""
    began: float | None = None
    """Seconds since 1970; None before it is dispatched."""
    took: int | None = None
    """Seconds that it ran, with those that `pass_time` added; None before it ends."""


class Queue(StandinFolder):
    """All jobs, the finished ones too."""

    def __init__(self) -> None:
        super().__init__(os.environ["LSF_STANDIN"])

    def configured(self) -> dict[str, str]:
        """What a site's lsf.conf says, if a test wrote one into the folder."""
        path = self.folder / "lsf.conf"
        lines = path.read_text().splitlines() if path.exists() else []
        return dict(line.split("=", 1) for line in lines)

    def add(self, job: Submission, script: str) -> int:
        """Give a job its ID and its place; the caller holds the lock."""
        with self.new_job() as (job_id, place):
            job.write(place / "job.json")
            (place / "script").write_text(script)
            for index in job.indices:
                (place / f"{index}.json").write_text(json.dumps(asdict(Element(index))))
        return job_id

    ids = StandinFolder.numbers

    def job(self, job_id: int) -> Submission | None:
        path = self.place(job_id) / "job.json"
        return Submission.read(path) if path.exists() else None

    def elements(self, job_id: int) -> list[Element]:
        paths = [path for path in self.place(job_id).glob("*.json") if path.stem.isdigit()]
        paths.sort(key=lambda path: int(path.stem))
        return [Element(**json.loads(path.read_text())) for path in paths]

    def update(self, job_id: int, element: Element) -> None:
        self.write(self.place(job_id) / f"{element.index}.json", element)

    def unfinished(self) -> int:
        """Elements of all jobs that have not ended."""
        return sum(e.stat not in FINISHED for job in self.ids() for e in self.elements(job))

    def running(self) -> int:
        return sum(e.stat == "RUN" for job in self.ids() for e in self.elements(job))

    def holds(self, condition: str, job_id: int, index: int | None) -> bool:
        """Whether a condition on another job is fulfilled."""
        elements = [e for e in self.elements(job_id) if index is None or e.index == index]
        states = {
            "ended": FINISHED,
            "done": ("DONE",),
            "exit": ("EXIT",),
            "started": ("RUN", *FINISHED),
        }[condition]
        return bool(elements) and all(element.stat in states for element in elements)

    def seconds(self) -> int:
        """Return seconds that last a second, and that `pass_time` advances too."""
        return round(60 * self.clock("60"))

    def minutes(self) -> float:
        """LSF's minutes, which last 60 seconds or $LSF_STANDIN_MINUTE; `pass_time` adds to them."""
        return self.clock(os.environ.get("LSF_STANDIN_MINUTE", "60"))
