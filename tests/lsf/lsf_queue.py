"""The queue: a folder with a folder a job, and in it a small file an element.

$LSF_STANDIN/next            the ID of the next job
$LSF_STANDIN/jobs/101/       job.json, script, 1.json of element 1 (0.json: no array), and
                             requests that bkill makes of the job's daemon
"""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from lsf_options import Submission

FIRST_ID = 101
MOST_RUNNING = 4
FINISHED = ("DONE", "EXIT")


@dataclass
class Element:
    """One element of an array, or a job that is no array."""

    index: int
    stat: str = "PEND"
    exit_code: int | None = None
    reason: str = ""


class Queue:
    """All jobs, the finished ones too."""

    def __init__(self) -> None:
        self.folder = Path(os.environ["LSF_STANDIN"]).absolute()
        self.jobs_folder = self.folder / "jobs"
        self.closed = self.folder / "closed"
        self.jobs_folder.mkdir(parents=True, exist_ok=True)

    def configured(self) -> dict[str, str]:
        """What a site's lsf.conf says, if a test wrote one into the folder."""
        path = self.folder / "lsf.conf"
        lines = path.read_text().splitlines() if path.exists() else []
        return dict(line.split("=", 1) for line in lines)

    @contextmanager
    def lock(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def add(self, job: Submission, script: str) -> int:
        """Give a job its ID and its place; the caller holds the lock."""
        counter = self.folder / "next"
        job_id = int(counter.read_text()) if counter.exists() else FIRST_ID
        counter.write_text(str(job_id + 1))
        place = self.folder / f"new-{job_id}"  # nobody ever sees half a job
        place.mkdir()
        job.write(place / "job.json")
        (place / "script").write_text(script)
        for index in job.indices:
            (place / f"{index}.json").write_text(json.dumps(asdict(Element(index))))
        place.rename(self.place(job_id))
        return job_id

    def place(self, job_id: int) -> Path:
        return self.jobs_folder / str(job_id)

    def ids(self) -> list[int]:
        return sorted(int(path.name) for path in self.jobs_folder.iterdir())

    def job(self, job_id: int) -> Submission | None:
        path = self.place(job_id) / "job.json"
        return Submission.read(path) if path.exists() else None

    def elements(self, job_id: int) -> list[Element]:
        paths = [path for path in self.place(job_id).glob("*.json") if path.stem.isdigit()]
        paths.sort(key=lambda path: int(path.stem))
        return [Element(**json.loads(path.read_text())) for path in paths]

    def write(self, job_id: int, element: Element) -> None:
        """Nobody ever reads half of it."""
        path = self.place(job_id) / f"{element.index}.json"
        new = path.with_suffix(f".{secrets.token_hex(4)}")
        new.write_text(json.dumps(asdict(element)))
        new.rename(path)

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

    def request(self, job_id: int, index: int, signal: str) -> None:
        """Ask a job's daemon to send a signal; END stands for the three that bkill sends."""
        path = self.place(job_id) / f"request-{secrets.token_hex(4)}"
        new = path.with_suffix(".new")
        new.write_text(json.dumps([index, signal]))
        new.rename(path.with_suffix(".ready"))

    def requests(self, job_id: int) -> list[tuple[int, str]]:
        """What was asked for since the last look."""
        found = []
        for path in sorted(self.place(job_id).glob("request-*.ready")):
            found.append(tuple(json.loads(path.read_text())))
            path.unlink()
        return found

    def clock(self) -> float:
        """LSF's minutes, which last 60 seconds or $LSF_STANDIN_MINUTE; `pass_time` adds to them."""
        passed = self.folder / "passed"
        added = float(passed.read_text()) if passed.exists() else 0.0
        return time.monotonic() / float(os.environ.get("LSF_STANDIN_MINUTE", "60")) + added

    def pass_time(self, minutes: float) -> None:
        """Let so many minutes have passed for every job that runs."""
        passed = self.folder / "passed"
        added = float(passed.read_text()) if passed.exists() else 0.0
        new = passed.with_suffix(".new")
        new.write_text(str(added + minutes))
        new.rename(passed)
