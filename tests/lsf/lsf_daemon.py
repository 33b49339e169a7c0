"""Runs one job: waits for what it depends on, starts its elements, warns and ends them.

    python lsf_daemon.py ID

bsub starts it. Where LSF has three daemons a cluster, this is one a job.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from lsf_options import RefusalError, Submission, evaluate
from lsf_queue import FINISHED, MOST_RUNNING, Element, Queue
from standin_folder import is_there, processes, send

LOOK_SECONDS = 0.05
GRACE_MINUTES = 10
"""Between SIGUSR2 at the run limit and SIGKILL."""
BETWEEN_MINUTES = 1 / 6
"""Between the signals of bkill: LSF's JOB_TERMINATE_INTERVAL, 10 seconds."""
RUNLIMIT_CODE = 128 + signal.SIGUSR2
LAUNCH_NODE = "batch1"
SLOTS = 42
"""Slots of each other node."""
LONGEST_HOSTS = 4096
"""LSF sets no LSB_HOSTS that would be longer."""


def job_environment(queue: Queue, job_id: int, job: Submission, index: int) -> dict[str, str]:
    """What a job sees: the submitter's variables and LSF's own, but never a TMPDIR."""
    name = job.name + (f"[{index}]" if index else "")
    hosts = [f"node{number:04}" for number in range(1, job.nodes + 1) for _ in range(SLOTS)]
    hosts.insert(0, LAUNCH_NODE)
    host_file = queue.place(job_id) / "hosts"
    host_file.write_text("".join(f"{host}\n" for host in hosts))
    short = " ".join(hosts)
    return {
        **{k: v for k, v in os.environ.items() if k != "TMPDIR"},
        "LSB_JOBID": str(job_id),
        "LSB_JOBINDEX": str(index),
        **({"LSB_JOBINDEX_END": str(max(job.indices)), "LSB_JOBINDEX_STEP": "1"} if index else {}),
        "LSB_JOBNAME": name,
        "LSB_QUEUE": job.queue,
        **({"LSB_HOSTS": short} if len(short) <= LONGEST_HOSTS else {}),
        "LSB_DJOB_HOSTFILE": str(host_file),
        "LSB_SUB_HOST": "login1",
        "LS_SUBCWD": job.folder,
        "LSF_STANDIN": str(queue.folder),
        "LSF_STANDIN_JOB": f"{job_id}.{index}",
    }


def is_told(words: list[bytes]) -> bool:
    """Whether LSF's signals come to a process: MPI's own launcher is no process of the job.

    With $LSF_STANDIN_REACH=launch they come to what runs on the launch node, but to no rank.
    """
    launch_only = os.environ.get("LSF_STANDIN_REACH") == "launch"
    rank = any(word.startswith(b"LSF_STANDIN_STEP=") for word in words)
    return any(word.startswith(b"LSB_JOBID=") for word in words) and not (rank and launch_only)


@dataclass
class Running:
    """An element that runs."""

    element: Element
    process: subprocess.Popen
    began_at: int
    later: list[tuple[float, str]] = field(default_factory=list)
    """Signals to come, each with the minute of it."""
    over: bool = False
    """Whether it has reached its run limit."""


class Daemon:
    """One job's."""

    def __init__(self, job_id: int) -> None:
        self.queue, self.id = Queue(), job_id
        self.job = self.queue.job(job_id)
        self.running: dict[int, Running] = {}

    def run(self) -> None:
        """Until every element has ended, or the test that owns the queue."""
        while self.unfinished() and is_there(os.environ.get("LSF_STANDIN_OWNER")):
            self.start_some()
            for index, signal_name in self.queue.requests(self.id):
                self.obey(index, signal_name)
            for running in list(self.running.values()):
                self.look_at(running)
            time.sleep(LOOK_SECONDS)

        for index in self.running:
            self.send(index, "KILL")

    def unfinished(self) -> bool:
        return any(element.stat not in FINISHED for element in self.queue.elements(self.id))

    def start_some(self) -> None:
        """Whatever may run now: its dependency is fulfilled, and not too much runs already."""
        if not self.ready() or all(e.stat != "PEND" for e in self.queue.elements(self.id)):
            return
        with self.queue.lock():
            free = MOST_RUNNING - self.queue.running()
            if self.job.at_once:
                free = min(free, self.job.at_once - len(self.running))
            for element in self.queue.elements(self.id):
                if free > 0 and element.stat == "PEND":
                    self.start(element)
                    free -= 1

    def ready(self) -> bool:
        try:
            return not self.job.dependency or evaluate(self.job.dependency, self.queue.holds)
        except RefusalError:
            return False

    def file(self, pattern: str | None, index: int) -> Path | None:
        if pattern is None:
            return None
        text = pattern.replace("%J", str(self.id)).replace("%I", str(index))
        return Path(self.job.folder, text)

    def start(self, element: Element) -> None:
        output = self.file(self.job.output, element.index) or self.queue.place(self.id) / "mail"
        error = self.file(self.job.error, element.index) or output
        mode = "wb" if self.job.overwrite else "ab"
        element.stat, element.began = "RUN", time.time()
        # The clock is read first: a test that hears of the job may let time pass at once.
        began_at, end = self.queue.seconds(), self.queue.minutes() + self.job.minutes
        self.queue.update(self.id, element)
        with output.open(mode) as out, error.open("ab") as err:
            process = subprocess.Popen(
                [*self.job.shell, str(self.queue.place(self.id) / "script")],
                cwd=self.job.folder,
                env=job_environment(self.queue, self.id, self.job, element.index),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        running = Running(element, process, began_at)
        if self.job.warning:
            name, before = self.job.warning
            running.later.append((end - before, name))
        running.later += [(end, "USR2"), (end + GRACE_MINUTES, "KILL")]
        self.running[element.index] = running

    def look_at(self, running: Running) -> None:
        now = self.queue.minutes()
        for at, name in [each for each in running.later if each[0] <= now]:
            running.later.remove((at, name))
            running.over |= name == "USR2"
            self.send(running.element.index, name)
        status = running.process.poll()
        if status is not None:
            self.end(running, 128 - status if status < 0 else status)

    def obey(self, index: int, name: str) -> None:
        running = self.running.get(index)
        if running is None:
            element = next(e for e in self.queue.elements(self.id) if e.index == index)
            if element.stat == "PEND":
                element.stat, element.reason = "EXIT", "TERM_OWNER: job killed by owner"
                self.queue.update(self.id, element)
        elif name == "END":
            now, wait = self.queue.minutes(), BETWEEN_MINUTES
            running.element.reason = "TERM_OWNER: job killed by owner"
            running.later += [(now + i * wait, n) for i, n in enumerate(("INT", "TERM", "KILL"))]
        else:
            self.send(index, name)

    def processes(self, index: int) -> dict[int, list[bytes]]:
        """Every process of an element of this queue, with its environment."""
        marks = f"LSF_STANDIN_JOB={self.id}.{index}", f"LSF_STANDIN={self.queue.folder}"
        return processes(*marks)

    def send(self, index: int, name: str) -> None:
        """A signal to every process of an element."""
        found = self.processes(index).items()
        send(name, [pid for pid, words in found if name == "KILL" or is_told(words)])

    def end(self, running: Running, code: int) -> None:
        """A job ends with its script; whatever it left behind is killed."""
        element = running.element
        while self.processes(element.index):
            self.send(element.index, "KILL")
            time.sleep(LOOK_SECONDS)
        if running.over:
            element.reason, code = "TERM_RUNLIMIT: job killed after its run limit", RUNLIMIT_CODE
        element.took = self.queue.seconds() - running.began_at
        self.report(element, code)
        del self.running[element.index]
        element.stat, element.exit_code = ("EXIT", code) if code else ("DONE", None)
        self.queue.update(self.id, element)

    def report(self, element: Element, code: int) -> None:
        """What LSF writes below a job's output."""
        output = self.file(self.job.output, element.index)
        if output is None:
            return
        how = f"Exited with exit code {code}." if code else "Successfully completed."
        with output.open("a") as file:
            file.write(f"\n{'-' * 60}\nSender: LSF System <lsfadmin@{LAUNCH_NODE}>\n")
            file.write(f"Subject: Job {self.id}: <{self.job.name}>\n\n")
            file.write("".join(f"{line}\n" for line in (element.reason, how) if line))


if __name__ == "__main__":
    Daemon(int(sys.argv[1])).run()
