"""Starting real worker jobs from tests, alone or under a real mpirun."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from limits import HANG_SECONDS, wait_until

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
stride = [2, 2]
padding = [0, 1]
filters = [1, 10]
pool_kernel = [1, 2]
fc_layers = [1, 2]
fc_units = [8, 16]
batch_size = [100, 250]
"""
TWO = TINY.replace("networks_per_depth = 3", "networks_per_depth = 1")
"""A network of each depth."""
ONE = TWO.replace("depths = [1, 2]", "depths = [1, 1]")


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
        timeout=HANG_SECONDS,
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


def accounted(said: str) -> list[tuple[str, int, int, str]]:
    """Jobs with both figures of `nnlc spent`: ID, journal's seconds, scheduler's, state."""
    form = r"job (\S+), .*: ([\d,]+) s.*; accounted ([\d,]+) s on \d+ nodes?, (\w+)"
    found = re.findall(form, said)
    return [(job, int(a.replace(",", "")), int(b.replace(",", "")), s) for job, a, b, s in found]


def start_worker(
    *arguments: object, ranks: int | None = None, **environment: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments, ranks=ranks),
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(
    results: Path, kind: str, count: int = 1, process: subprocess.Popen[str] | None = None
) -> dict:
    """The first event of a kind, once there are so many of it."""

    def found() -> list[dict]:
        there = events(results, kind) if (results / "journal").is_dir() else []
        return there if len(there) >= count else []

    return wait_until(found, lambda: f"no {kind} in the journal", process=process)[0]


def processes(module: str, mark: str) -> list[int]:
    """Process ids of `python -m MODULE` that belong to the job whose environment holds `mark`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            ours = mark.encode() in (folder / "environ").read_bytes()
        except OSError:
            continue
        if ours and module.encode() in words and b"-np" not in words:
            found.append(int(folder.name))
    return found


def before_others(folder: Path) -> str:
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


MEDDLING = """
from nnlc.training import loop
def network(do):
    begin = loop.HalfEpochLoop.__iter__
    def begin_with(self):
        do(self.spec.id)
        return begin(self)
    loop.HalfEpochLoop.__iter__ = begin_with
"""


def meddling(folder: Path, code: str, agents: str = "") -> dict[str, str]:
    """An environment in which every trainer first runs `code`, and every agent `agents`.

    A trainer's code finds `loop`, the module of the half-epoch loop, and `network`, a function
    that calls another with the ID of each network that the trainer begins.
    """
    place = folder / "meddling"
    place.mkdir(exist_ok=True)
    parts = {"nnlc.training.trainer": MEDDLING + code, "nnlc.worker": agents}
    (place / "sitecustomize.py").write_text(
        "import os, sys, traceback\n"
        f"for module, code in {parts!r}.items():\n"
        "    try:\n"
        "        exec(code if module in sys.orig_argv else '', {})\n"
        "    except BaseException:\n"  # Python itself would go on without it
        "        traceback.print_exc()\n"
        "        os._exit(99)\n"
    )
    return {"PYTHONPATH": before_others(place)}


SLOW_STEPS = """
import os, time
from nnlc.training import attempt
look = attempt.Attempt._between_steps
def slowly(self):
    end = time.monotonic() + SECONDS
    if WHEN:
        with open(STEPS, "a") as steps:
            steps.write(".")
        while time.monotonic() < end and WHEN and (DEAF or not self._inbox._poller.poll(0)):
            time.sleep(0.02)
    look(self)
attempt.Attempt._between_steps = slowly
"""


PATIENT = """
from nnlc.ranks import mpi, shutdown, trainer_link
mpi.LEAVE_SECONDS = shutdown.LIMIT_SECONDS = 1e9
trainer_link.LEAVE_SECONDS = trainer_link.SAVE_SECONDS = 1e9
"""
"""Code for agents that wait for their trainers and for each other for ever."""


def slow_steps(
    folder: Path,
    seconds: float,
    *,
    when: str = "True",
    deaf: bool = False,
    agents: str = "",
    trainers: str = "",
) -> dict[str, str]:
    """An environment in which a step takes so much longer.

    It ends sooner when the trainer is told something, or as soon as `when`, an expression, is no
    longer true. No bit changes. A deaf trainer hears nothing meanwhile. Agents are patient.
    `agents` and `trainers` are more code for them.
    """
    code = SLOW_STEPS.replace("WHEN", when)
    code = _with(code, SECONDS=seconds, DEAF=deaf, STEPS=str(_steps(folder)))
    return meddling(folder, code + trainers, PATIENT + agents)


def _with(code: str, **values: object) -> str:
    """Return code with values in the place of their names."""
    for name, value in values.items():
        code = code.replace(name, repr(value))
    return code


def steps_done(folder: Path) -> int:
    """How many slow steps of all trainers have done their work, and now wait."""
    return len(_steps(folder).read_bytes()) if _steps(folder).exists() else 0


def all_at_work(folder: Path, trainers: int) -> dict[str, str]:
    """An environment in which no trainer goes on before so many have a network."""
    when = f"not os.path.exists(STEPS) or os.path.getsize(STEPS) < {trainers}"
    return slow_steps(folder, HANG_SECONDS, when=when)


def _steps(folder: Path) -> Path:
    return folder / "steps.txt"


AGENTS_CLOCK = """
import os, time
clock = time.monotonic
time.monotonic = lambda: clock() + JUMP * os.path.exists(FILE)
"""


def agents_clock(file: Path, jump: float) -> str:
    """Code for agents: once the file is there, their clock has jumped by so many seconds."""
    return _with(AGENTS_CLOCK, FILE=str(file), JUMP=jump)
