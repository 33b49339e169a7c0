"""A stand-in for Summit's LSF in a folder of the test, and sites and programs to use with it."""

import os
import subprocess
from pathlib import Path

from limits import HANG_SECONDS, wait_until

from nnlc.launching.render import Request, render_script
from nnlc.schedulers.site import Site, load_site

STANDINS = Path(__file__).parent / "lsf"

SITE = """
extends = "summit"
name = "summit-here"
account = "ABC123"
device = "cpu"
gpus_per_node = {ranks}
cores_per_rank = 2
local_disk = "{folder}/node's own"

[notice]
minutes = 10
"""

# Stands where Python would: tells what it was given, and ends with $STATUS when it is warned, or
# at once.
RECORDER = """#!/usr/bin/env python3
import json, os, pathlib, signal, sys, time
place = [os.environ[name] for name in ("LSB_JOBID", "LSB_JOBINDEX", "PMI_RANK")]
told = pathlib.Path(os.environ["RECORD"], ".".join([*place, "json"]))
heard = []
for name in ("URG", "TERM", "USR2"):
    signal.signal(getattr(signal, "SIG" + name), lambda number, frame: heard.append(number))
def tell():
    words = {"argv": sys.argv[1:], "env": dict(os.environ), "heard": heard}
    told.with_suffix(".new").write_text(json.dumps(words))
    told.with_suffix(".new").rename(told)
tell()
while not heard and "STATUS" not in os.environ:
    time.sleep(0.02)
time.sleep(0.2)
tell()
sys.exit(int(os.environ.get("STATUS", "75")))
"""


class Lsf:
    """The stand-ins' queue in a folder; ends whatever runs there when the test is over."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.queue = folder, folder / "lsf"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("LSB_", "LSF_", "PMI_"))},
            "LSF_STANDIN": str(self.queue),
            "LSF_STANDIN_OWNER": str(os.getpid()),
            "LSF_STANDIN_MINUTE": str(HANG_SECONDS),  # its clock goes on by `pass_time` alone
            "PATH": f"{STANDINS}{os.pathsep}{os.environ['PATH']}",
            "USER": "tester",
            "TMPDIR": str(folder),
        }

    def run(
        self, *words: object, status: int = 0, text: str | None = None, **environment: str
    ) -> str:
        """What a command says; another status fails the test."""
        done = subprocess.run(
            [str(word) for word in words],
            cwd=self.folder,
            env={**self.environment, **environment},
            input=text or "",
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        )
        said = done.stdout + done.stderr
        assert done.returncode == status, said
        return said

    def submit(self, *words: object, **environment: str) -> str:
        """The ID of a new job."""
        said = self.run("bsub", *words, **environment)
        assert said.startswith("Job <"), said
        return said.partition("<")[2].partition(">")[0]

    def jobs(self) -> list[tuple[str, str, str, str]]:
        """ID, index, state and exit code of everything there ever was."""
        form = "jobid jobindex stat exit_code delimiter=','"
        lines = self.run("bjobs", "-a", "-noheader", "-o", form).splitlines()
        return [tuple(line.split(",")) for line in lines if "," in line]

    def states(self, job: str) -> list[str]:
        return [stat for number, _, stat, _ in self.jobs() if number == job]

    def wait(self, job: str, *states: str) -> None:
        """Until all elements of a job are in one of these states, by default ended."""
        ended = {"DONE", "EXIT"}
        wanted = set(states) or ended

        def found() -> set[str]:
            there = set(self.states(job))
            return there if there <= wanted or there <= ended else set()

        def complaint() -> str:
            return f"{self.jobs()}\n{self.logs()}"

        # Each look is a process.
        assert wait_until(found, complaint, pause=0.5) <= wanted, complaint()

    def pass_time(self, minutes: float) -> None:
        """Let LSF's clock jump: jobs are that much nearer to their end."""
        passed = self.queue / "passed"
        before = float(passed.read_text()) if passed.exists() else 0.0
        passed.with_suffix(".new").write_text(str(before + minutes))
        passed.with_suffix(".new").rename(passed)

    def logs(self) -> str:
        paths = [*self.folder.glob("*.out"), *self.folder.glob("*.err")]
        paths += self.queue.glob("jobs/*/daemon.err")
        return "\n".join(f"--- {path.name}\n{path.read_text()[-2000:]}" for path in sorted(paths))

    def close(self) -> None:
        if list(self.queue.glob("jobs/*")):
            (self.queue / "closed").touch()  # or a chain that goes on at once would never end
            self.run("bkill", "-s", "KILL", 0)
            for job in {number for number, *_ in self.jobs()}:
                self.wait(job)

    def site(self, ranks: int = 2) -> Site:
        path = self.folder / "site.toml"
        path.write_text(SITE.format(ranks=ranks, folder=self.folder))
        return load_site(path)

    def render(self, campaign: object, ranks: int = 2, **words: object) -> Path:
        """A job script for the stand-in, with its ranks a node."""
        path = self.folder / "the job.sh"
        request = Request(campaign=str(campaign), script=str(path), **words)
        path.write_text(render_script(request, self.site(ranks)))
        return path

    def recorder(self) -> dict[str, str]:
        """A program that stands where Python would, and the folder where it tells of itself."""
        program, record = self.folder / "python-recorder", self.folder / "record"
        program.write_text(RECORDER)
        program.chmod(0o755)
        record.mkdir(exist_ok=True)
        return {"RECORD": str(record)}
