"""The server: a folder with a folder a job, and in it a small file an element.

$STANDIN_PBS/next            the number of the next job
$STANDIN_PBS/site.toml       what differs from the site that $STANDIN_PBS_SITE names
$STANDIN_PBS/down/NAME       a node that is lost
$STANDIN_PBS/jobs/101/       job.json, script, job.element (array: 4.element), nodes of each, and
                             the requests that qdel and qsig make of the job's daemon
"""

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pbs_options import JOB_ID, SERVER, Job
from pbs_site import load_site

sys.path.append(str(Path(__file__).resolve().parent.parent / "standins"))
from standin_folder import StandinFolder

ENDED = ("F", "X")


@dataclass
class Element:
    """A subjob, or a job that is no array. RG 334 has the states."""

    index: int | None
    state: str = "Q"
    exit_status: int | None = None
    comment: str = ""
    nodes: list[str] = field(default_factory=list)
    begun: float | None = None
    """Seconds since 1970."""
    used: float = 0.0
    """Seconds that its last run took, with those that `pass_time` added."""
    run_count: int = 0

    def id(self, number: int) -> str:
        """Return 123.server, or 123[4].server of a subjob: qsub(1B)."""
        return f"{number}{'' if self.index is None else f'[{self.index}]'}.{SERVER}"


class Server(StandinFolder):
    """All jobs, the finished ones too."""

    def __init__(self) -> None:
        super().__init__(os.environ["STANDIN_PBS"])
        self.site = load_site(self.folder)

    def add(self, job: Job) -> int:
        """Give a job its number and its place; the caller holds the lock."""
        with self.new_job() as (number, place):
            (place / "script").write_text(job.script)
            (place / "job.json").write_text(json.dumps(asdict(job)))
            # A job waits for its dependencies in state H: pbs_job_attributes(7B), Hold_Types "s".
            for index in job.indices or [None]:
                element = Element(index, "H" if job.depend else "Q")
                (place / self._name(element)).write_text(json.dumps(asdict(element)))
        return number

    @staticmethod
    def _name(element: Element) -> str:
        return f"{'job' if element.index is None else element.index}.element"

    def job(self, number: int) -> Job | None:
        path = self.place(number) / "job.json"
        return Job(**json.loads(path.read_text())) if path.exists() else None

    def elements(self, number: int) -> list[Element]:
        paths = self.place(number).glob("*.element")
        found = [Element(**json.loads(path.read_text())) for path in paths]
        return sorted(found, key=lambda element: element.index or 0)

    def update(self, number: int, element: Element) -> None:
        self.write(self.place(number) / self._name(element), element)

    def state(self, number: int) -> str:
        """Return the state of a whole job: an array is B once a subjob has begun (RG 359)."""
        states = [element.state for element in self.elements(number)]
        if len(states) == 1 and self.elements(number)[0].index is None:
            return states[0]
        if all(state in ENDED for state in states):
            return "F"
        return states[0] if set(states) <= {"Q"} or set(states) <= {"H"} else "B"

    def find(self, word: str) -> tuple[int, list[Element], bool] | None:
        """Return number, elements and whether it is a whole array, of an ID as a user writes it.

        ID[] is a whole array, ID[4] and ID[4-6] subjobs; an array's ID without brackets is none.
        """
        found = JOB_ID.fullmatch(word)
        elements = self.elements(int(found[1])) if found else []
        if not found or not elements or (found[2] is None) != (elements[0].index is None):
            return None
        number, inner = int(found[1]), found[2]
        if inner:
            ends = [part.split("-") for part in inner.split(",")]
            wanted = {i for end in ends for i in range(int(end[0]), int(end[-1]) + 1)}
            elements = [element for element in elements if element.index in wanted]
        return (number, elements, inner == "") if elements else None

    def unfinished(self) -> int:
        return sum(e.state not in ENDED for n in self.numbers() for e in self.elements(n))

    def free_nodes(self) -> list[str]:
        """Return nodes that are up and have no job: each job has its nodes for itself."""
        running = [e for n in self.numbers() for e in self.elements(n) if e.state in ("R", "E")]
        busy = {node for element in running for node in element.nodes} | self.down()
        names = [f"nid{number:03}" for number in range(1, self.site.nodes + 1)]
        return [name for name in names if name not in busy]

    def down(self) -> set[str]:
        return {path.name for path in (self.folder / "down").glob("*")}

    def seconds(self) -> float:
        """Return the server's seconds: each lasts $STANDIN_PBS_SECOND, `pass_time` adds some."""
        return self.clock(os.environ.get("STANDIN_PBS_SECOND", "1"))
