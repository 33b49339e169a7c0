"""A stand-in for PBS Professional in a folder of the test: its commands are in tests/pbspro."""

import json
import os
import subprocess
from pathlib import Path

from limits import HANG_SECONDS, wait_until

STANDINS = Path(__file__).parent / "pbspro"
OF_A_JOB = ("PBS_", "PALS_", "PMI_")


class Pbs:
    """The stand-in's server in a folder; ends whatever runs there when the test is over."""

    def __init__(self, folder: Path, site: str = "pbs") -> None:
        self.folder, self.server, self.home = folder, folder / "pbs", folder / "home"
        for path in (self.server, self.home):
            path.mkdir(exist_ok=True)
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(OF_A_JOB)},
            "STANDIN_PBS": str(self.server),
            "STANDIN_PBS_SITE": site,
            "STANDIN_PBS_OWNER": str(os.getpid()),
            "STANDIN_PBS_SECOND": str(HANG_SECONDS),  # its clock goes on by `pass_time` alone
            "STANDIN_PBS_LOGIN": "PATH",  # what the login's shell files would set
            "PATH": f"{STANDINS}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "USER": "tester",
            "LOGNAME": "tester",
        }

    def configure(self, **changes: object) -> None:
        """Change fields of the site: tests/pbspro/pbs_site.py has them."""
        lines = [f"{key} = {json.dumps(value)}" for key, value in changes.items()]
        (self.server / "site.toml").write_text("\n".join(lines))

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
        assert done.returncode == status, f"{done.returncode}: {said}"
        return said

    def submit(self, *words: object, **environment: str) -> str:
        """The ID of a new job, such as 101.pbs-01."""
        return self.run("qsub", *words, **environment).strip()

    def jobs(self, *words: object) -> dict[str, dict]:
        """Attributes of all jobs there ever were, subjobs too, by ID."""
        return json.loads(self.run("qstat", "-x", "-t", "-f", "-F", "json", *words)).get("Jobs", {})

    def state(self, job: str) -> str:
        return self.jobs()[job]["job_state"]

    def wait(self, job: str, *states: str) -> dict:
        """A job's attributes, once it is in one of these states, by default ended."""
        wanted = states or ("F", "X")
        seen: list[tuple[str, int]] = []

        def found() -> dict:
            """Ask qstat only if something has changed: a process each time would be dear."""
            stamps = [(path.name, path.stat().st_mtime_ns) for path in self._elements()]
            if stamps == seen:
                return {}
            seen[:] = stamps
            there = self.jobs().get(job, {})
            return there if there.get("job_state") in (*wanted, "F") else {}

        there = wait_until(found, lambda: f"{job}: {self.jobs()}\n{self.logs()}")
        assert there["job_state"] in wanted, f"{there}\n{self.logs()}"
        return there

    def _elements(self) -> list[Path]:
        return sorted(self.server.glob("jobs/*/*.element"))

    def pass_time(self, seconds: float) -> None:
        """Let PBS' clock jump: jobs are that much nearer to their walltime."""
        passed = self.server / "passed"
        before = float(passed.read_text()) if passed.exists() else 0.0
        passed.with_suffix(".new").write_text(str(before + seconds))
        passed.with_suffix(".new").rename(passed)

    def lose_node(self, name: str) -> None:
        """Let a node be gone, with what runs on it; nothing starts there any more."""
        (self.server / "down").mkdir(exist_ok=True)
        (self.server / "down" / name).touch()

    def logs(self) -> str:
        paths = [path for path in self.folder.glob("*.[oe][0-9]*") if path.is_file()]
        paths += [*self.server.glob("jobs/*/daemon.err"), *self.server.glob("jobs/*/*.OU")]
        return "\n".join(f"--- {path.name}\n{path.read_text()[-2000:]}" for path in sorted(paths))

    def close(self) -> None:
        """End all jobs."""
        (self.server / "closed").touch()  # or a chain that goes on at once would never end
        left = [job for job, each in self.jobs().items() if each["job_state"] in "QHR"]
        if left:
            self.run("qdel", *left)
            self.pass_time(1e6)
        for job in left:
            self.wait(job)
