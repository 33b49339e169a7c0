"""Runs one job: waits for what it depends on, starts its elements on free nodes, ends them.

    python pbs_mom.py NUMBER

qsub starts it. Where PBS has a server, a scheduler and a MoM a node, this is one a job.
"""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field

from pbs_options import seconds
from pbs_place import JobPlace
from pbs_server import ENDED, Element
from standin_folder import is_there, processes, send

LOOK_SECONDS = 0.05
KILL_WALLTIME = -29  # RG 374 and OpenPBS' test pbs_exceeded_resources_notification.py
SISTER_FAILED = -14  # RG 374: JOB_EXEC_RERUN_ON_SIS_FAIL
NODE = b"STANDIN_PBS_NODE="
SIGNALLED = 256  # src/resmom: a shell that died of signal n has exit status 256 + n


def session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


@dataclass
class Running:
    """An element that runs."""

    element: Element
    process: subprocess.Popen
    began: float
    end: float
    began_at: float
    """The same on a clock whose seconds last a second, and that `pass_time` advances too."""
    later: list[tuple[float, str]] = field(default_factory=list)
    """Signals to come, each with the second of it."""
    overdue: bool = False
    deleted: bool = False
    lost: float | None = None
    """The second when one of its nodes was lost."""


class Daemon(JobPlace):
    """One job's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.running: dict[int | None, Running] = {}

    def run(self) -> None:
        """Until every element has ended, or the test that owns the server."""
        while self.unfinished() and is_there(os.environ.get("STANDIN_PBS_OWNER")):
            self.release()
            self.start_some()
            for index, what in self.server.requests(self.number):
                self.obey(index, what)
            for running in list(self.running.values()):
                self.look_at(running)
            time.sleep(LOOK_SECONDS)
        for running in self.running.values():
            self.signal(running, "KILL")
        # A subjob is X until its array has finished: RG 334.
        for element in self.server.elements(self.number):
            self.change([element], "F", element.comment)

    def unfinished(self) -> bool:
        return any(e.state not in ENDED for e in self.server.elements(self.number))

    def release(self) -> None:
        """Let the job go from H to Q, or delete it, as its dependencies say: src/…/req_register.c.

        A job may depend on finished ones. One that depends on none that is known, or on one that
        was deleted before it ran, is deleted: qsub(1B), afterany.
        """
        held = [e for e in self.server.elements(self.number) if e.state == "H"]
        verdicts = [self.verdict(k, i) for k, ids in self.job.depend for i in ids] if held else []
        if held and all(verdict == "go" for verdict in verdicts):
            self.change(held, "Q", "")
        elif "never" in verdicts:
            self.change(held, "F", "Job deleted as result of dependency on another")

    def verdict(self, kind: str, word: str) -> str:
        """Return go, wait or never."""
        found = self.server.find(word)
        if found is None:
            return "never"
        number, elements, _ = found
        if self.server.state(number) not in ENDED:
            begun = any(element.run_count for element in elements)
            return "go" if kind == "after" and begun else "wait"
        if not any(element.run_count for element in elements):
            return "never"
        failed = any(element.exit_status for element in elements)
        fits = {"after": True, "afterany": True, "afterok": not failed, "afternotok": failed}
        return "go" if fits[kind] else "never"

    def change(self, elements: list[Element], state: str, comment: str) -> None:
        for element in elements:
            element.state, element.comment = state, comment
            self.server.update(self.number, element)

    def start_some(self) -> None:
        """Start what waits, where there are free nodes for all its chunks."""
        if all(e.state != "Q" for e in self.server.elements(self.number)):
            return
        with self.server.lock():
            for element in self.server.elements(self.number):
                if element.state != "Q" or len(self.running) == (self.job.at_once or -1):
                    continue
                layout, free = self.layout(), self.server.free_nodes()
                never = len(layout) > self.server.site.nodes or not all(layout)
                if len(layout) <= len(free) and not never:
                    self.start(element, dict(zip(free, layout, strict=False)))
                elif not element.comment:
                    why = "Can Never Run: Not enough total" if never else "Not Running: No free"
                    self.change([element], "Q", f"{why} nodes available")

    def start(self, element: Element, nodes: dict[str, list[dict[str, str]]]) -> None:
        """Start the script on the first node, in the home directory: UG, "execution directory"."""
        element.nodes, element.run_count = list(nodes), element.run_count + 1
        # A line of the node file is an MPI process of a chunk, one where it does not say (UG).
        chunks = [(node, int(c.get("mpiprocs", 1))) for node in nodes for c in nodes[node]]
        node_file = self.place / f"nodes-{element.id(self.number)}"
        node_file.write_text("".join(f"{node}\n" * count for node, count in chunks))
        element.begun, began, began_at = time.time(), self.server.seconds(), self.server.clock("1")
        element.comment = f"Job run at {time.ctime()} on ({'+'.join(nodes)})"
        out, err = self.spool(element)
        with out.open("ab") as output, err.open("ab") as error:
            process = subprocess.Popen(
                [*self.job.shell, str(self.place / "script")],
                cwd=os.environ["HOME"],
                env=self.environment(element, node_file),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=error,
                start_new_session=True,
            )
        limit = self.job.resources.get("walltime")
        end = began + seconds(limit) if limit else float("inf")
        self.running[element.index] = Running(element, process, began, end, began_at)
        self.change([element], "R", element.comment)

    def look_at(self, running: Running) -> None:
        now = self.server.seconds()
        if now >= running.end and not running.overdue | running.deleted:
            self.over_limit(running, now)
        lost = self.server.down() & set(running.element.nodes)
        if lost and running.lost is None:
            running.lost = now
            self.lose(running, lost)
        for at, name in [each for each in running.later if each[0] <= now]:
            running.later.remove((at, name))
            self.signal(running, name)
        missed = running.lost is not None and now >= running.lost + self.server.site.poll_downtime
        code = running.process.poll()
        if missed:
            self.end(running, SISTER_FAILED)
        elif code is not None and running.element.nodes[0] not in lost:
            self.end(running, SIGNALLED - code if code < 0 else code)

    def over_limit(self, running: Running, now: float) -> None:
        """End a job at its walltime: src/resmom/mom_main.c writes this line and terminates it."""
        limit = int(running.end - running.began)
        with self.spool(running.element)[1].open("a") as error:
            print(
                f"=>> PBS: job killed: walltime {int(now - running.began)} exceeded limit {limit}",
                file=error,
            )
        running.overdue = True
        self.terminate(running, now)

    def terminate(self, running: Running, now: float) -> None:
        running.later += [(now, "TERM"), (now + self.server.site.kill_delay, "KILL")]

    def lose(self, running: Running, lost: set[str]) -> None:
        """Kill what runs on lost nodes, and all of a job whose first node is lost.

        src/resmom/mom_main.c: the MoM of the first node waits max_poll_downtime for another, then
        kills the job, unless its script has ended by then. † The server does likewise with a job
        whose first node is lost.
        """
        found = processes(self.mark(running.element)).items()
        at = {pid: [w for w in words if w.startswith(NODE)][:1] for pid, words in found}
        gone = [[NODE + node.encode()] for node in lost]
        first = running.element.nodes[0] in lost
        send("KILL", [pid for pid, node in at.items() if first or node in gone])

    def obey(self, index: int | None, what: str) -> None:
        running = self.running.get(index)
        if running is not None and what == "delete":
            # qdel(1B): SIGTERM, then SIGKILL; pbs_queue_attributes(7B): kill_delay between them.
            running.deleted = True
            self.terminate(running, self.server.seconds())
        elif running is not None:
            self.signal(running, what)
        elif what == "delete":
            waiting = [e for e in self.server.elements(self.number) if e.index == index]
            ended = "F" if index is None else "X"
            self.change([e for e in waiting if e.state in "QH"], ended, "terminated")

    def signal(self, running: Running, name: str) -> None:
        """Send a signal to the processes of the job's session: src/resmom/linux/mom_mach.c.

        What mpiexec has started is of no such session; the end of mpiexec by SIGKILL ends it too.
        """
        found = processes(self.mark(running.element))
        send(name, [p for p in found if name == "KILL" or session(p) == running.process.pid])

    def end(self, running: Running, code: int) -> None:
        """End a job with its script: whatever it left behind is killed, its output is copied."""
        element = running.element
        while processes(self.mark(element)):
            self.signal(running, "KILL")
            time.sleep(LOOK_SECONDS)
        running.process.wait()
        del self.running[element.index]
        # A run counts from zero: MoM does not get resources_used (src/…/master_job_attr_def.xml).
        element.used = self.server.clock("1") - running.began_at
        shutil.rmtree(self.place / f"tmp-{element.id(self.number)}", ignore_errors=True)
        if code == SISTER_FAILED and self.job.rerunnable and not running.deleted:
            element.nodes = []  # RG 374: "if rerunnable, requeued"
            self.change([element], "Q", "Not Running: requeued, a node was lost")
            return
        self.deliver(element)
        how = "finished" if code == 0 else "failed"
        if running.overdue:
            code, how = KILL_WALLTIME, "exceeded resource walltime"
        elif running.deleted:
            how = f"terminated by {os.environ.get('USER', 'user')}@login1"
        element.exit_status = code
        ended = "F" if element.index is None else "X"
        self.change([element], ended, f"{element.comment} and {how}")


if __name__ == "__main__":
    Daemon(int(sys.argv[1])).run()
