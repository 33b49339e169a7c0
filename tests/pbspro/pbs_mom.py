"""Runs one job: waits for what it depends on, starts its elements on free nodes, ends them.

    python pbs_mom.py NUMBER

qsub starts it. Where PBS has a server, a scheduler and a MoM a node, this is one a job.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from pbs_options import SERVER, seconds
from pbs_server import ENDED, Element, Server

LOOK_SECONDS = 0.05
KILL_WALLTIME = -29  # RG 374 and OpenPBS' test pbs_exceeded_resources_notification.py
SISTER_FAILED = -14  # RG 374: JOB_EXEC_RERUN_ON_SIS_FAIL
NODE = b"STANDIN_PBS_NODE="
SIGNALLED = 256  # src/resmom: a shell that died of signal n has exit status 256 + n


def processes(marks: tuple[str, ...]) -> dict[int, list[bytes]]:
    """Return the processes that have all these variables, with their environments."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if all(mark.encode() in words for mark in marks):
                found[int(path.parent.name)] = words
    return found


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
    later: list[tuple[float, str]] = field(default_factory=list)
    """Signals to come, each with the second of it."""
    overdue: bool = False
    deleted: bool = False
    lost: float | None = None
    """The second when one of its nodes was lost."""


class Daemon:
    """One job's."""

    def __init__(self, number: int) -> None:
        self.server, self.number = Server(), number
        self.job = self.server.job(number)
        self.running: dict[int | None, Running] = {}
        self.place = self.server.place(number)

    def run(self) -> None:
        """Until every element has ended, or the test that owns the server."""
        while self.unfinished() and self.owned():
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

    @staticmethod
    def owned() -> bool:
        owner = os.environ.get("STANDIN_PBS_OWNER")
        return owner is None or Path("/proc", owner).exists()

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
            self.server.write(self.number, element)

    def start_some(self) -> None:
        """Start what waits, where there are free nodes for all its chunks."""
        if all(e.state != "Q" for e in self.server.elements(self.number)):
            return
        with self.server.lock():
            for element in self.server.elements(self.number):
                if element.state != "Q" or len(self.running) == (self.job.at_once or -1):
                    continue
                layout = self.layout()
                free = self.server.free_nodes()
                if len(layout) > self.server.site.nodes or not all(layout):
                    self.change([element], "Q", "Can Never Run: Not enough total nodes available")
                elif len(layout) <= len(free):
                    self.start(element, dict(zip(free, layout, strict=False)))
                elif not element.comment:
                    self.change([element], "Q", "Not Running: Not enough free nodes available")

    def layout(self) -> list[list[dict[str, str]]]:
        """Return the chunks of each node. [] is a chunk that no node has room for.

        qsub(1B): with place=scatter each chunk has its own host, with pack all have one, and
        otherwise, free, they are put together where they fit.
        """
        arrangement = self.job.resources.get("place", "free").split(":")
        site, nodes = self.server.site, []
        for chunk in self.job.chunks:
            if not self.fits([chunk], site):
                return [[]]
            last = nodes[-1] if nodes else []
            alone = "scatter" in arrangement or "vscatter" in arrangement
            if last and not alone and self.fits([*last, chunk], site):
                last.append(chunk)
            elif last and "pack" in arrangement:
                return [[]]
            else:
                nodes.append([chunk])
        return nodes

    @staticmethod
    def fits(chunks: list[dict[str, str]], site: object) -> bool:
        return all(
            sum(int(chunk.get(name, 0)) for chunk in chunks) <= getattr(site, name)
            for name in ("ncpus", "ngpus")
        )

    def paths(self, element: Element) -> tuple[Path, Path, bool]:
        """Return the files of standard output and error, and whether they are written at once.

        qsub(1B) -k: "d" writes at once to the final path; "o" and "e" alone keep the file in the
        home directory; otherwise it is copied at the end. Its name is that of -o, or NAME.oNUMBER
        in the folder of submission; a subjob's has its index behind it (UG, job arrays).
        """
        found = []
        index = "" if element.index is None else str(element.index)
        for letter, given, ending in (("o", self.job.output, "OU"), ("e", self.job.error, "ER")):
            path = Path(self.job.folder, given.rpartition(":")[2].replace("^array_index^", index))
            default = f"{self.job.name}.{letter}{self.number}" + (f".{index}" if index else "")
            if not given:
                path /= default
            elif path.is_dir() or given.endswith("/"):
                path /= f"{element.id(self.number)}.{ending}"
            if letter in self.job.keep and "d" not in self.job.keep:
                path = Path(os.environ["HOME"], default)
            found.append(path)
        out, err = found
        if self.job.join != "n":
            out = err = out if self.job.join == "oe" else err
        return out, err, "d" in self.job.keep

    def spool(self, element: Element) -> tuple[Path, Path]:
        """Return where the output is written while the job runs."""
        out, err, at_once = self.paths(element)
        if at_once and out.parent.is_dir() and err.parent.is_dir():
            return out, err
        name = element.id(self.number)
        first = self.place / f"{name}.OU"
        return first, first if out == err else self.place / f"{name}.ER"

    def environment(self, element: Element, node_file: Path) -> dict[str, str]:
        """Return what a job sees: its login's variables, PBS' own and those of -v or -V.

        qsub(1B), ENVIRONMENT VARIABLES. $STANDIN_PBS_LOGIN names what the login's shell files
        would set, with the values of the shell that submitted.
        """
        login = os.environ.get("STANDIN_PBS_LOGIN", "PATH").split(":")
        kept = {"HOME", "USER", "LOGNAME", "SHELL", *login}
        submitted = ("HOME", "LANG", "LOGNAME", "PATH", "MAIL", "SHELL", "TZ")
        scratch = self.place / f"tmp-{element.id(self.number)}"
        scratch.mkdir(exist_ok=True)
        env = {k: v for k, v in os.environ.items() if k in kept or k.startswith("STANDIN_PBS")}
        array = (
            {}
            if element.index is None
            else {
                "PBS_ARRAY_INDEX": str(element.index),
                "PBS_ARRAY_ID": f"{self.number}[].{SERVER}",
            }
        )
        return (
            env
            | {f"PBS_O_{k}": os.environ[k] for k in submitted if k in os.environ}
            | {
                "PBS_ENVIRONMENT": "PBS_BATCH",
                "PBS_JOBID": element.id(self.number),
                "PBS_JOBNAME": self.job.name,
                "PBS_QUEUE": self.job.queue,
                "PBS_NODEFILE": str(node_file),
                "PBS_JOBDIR": os.environ["HOME"],
                "PBS_O_HOST": "login1",
                "PBS_O_QUEUE": self.job.queue,
                "PBS_O_SYSTEM": "Linux",
                "PBS_O_WORKDIR": self.job.folder,
                "NCPUS": self.job.chunks[0]["ncpus"],
                "TMPDIR": str(scratch),
                **dict([self.mark(element).split("=", 1)]),
                "STANDIN_PBS_NODE": element.nodes[0],
                **array,
                **self.job.variables,
            }
        )

    def mark(self, element: Element) -> str:
        """Return the variable of all processes of an element of this server."""
        return f"STANDIN_PBS_JOB={self.server.folder}:{element.id(self.number)}"

    def start(self, element: Element, nodes: dict[str, list[dict[str, str]]]) -> None:
        """Start the script on the first node, in the home directory: UG, "execution directory"."""
        element.nodes, element.run_count = list(nodes), element.run_count + 1
        # A line of the node file is an MPI process of a chunk, one where it does not say (UG).
        lines = [
            node for node in nodes for c in nodes[node] for _ in range(int(c.get("mpiprocs", 1)))
        ]
        node_file = self.place / f"nodes-{element.id(self.number)}"
        node_file.write_text("".join(f"{line}\n" for line in lines))
        element.begun, began = time.time(), self.server.clock()
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
        self.running[element.index] = Running(element, process, began, end)
        self.change([element], "R", element.comment)

    def look_at(self, running: Running) -> None:
        now = self.server.clock()
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
            self.end(running, SISTER_FAILED, now)
        elif code is not None and running.element.nodes[0] not in lost:
            self.end(running, SIGNALLED - code if code < 0 else code, now)

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
        for pid, words in processes((self.mark(running.element),)).items():
            at = {word.partition(b"=")[2].decode() for word in words if word.startswith(NODE)}
            if at & lost or running.element.nodes[0] in lost:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def obey(self, index: int | None, what: str) -> None:
        running = self.running.get(index)
        if running is not None and what == "delete":
            # qdel(1B): SIGTERM, then SIGKILL; pbs_queue_attributes(7B): kill_delay between them.
            running.deleted = True
            self.terminate(running, self.server.clock())
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
        for pid in processes((self.mark(running.element),)):
            if name == "KILL" or session(pid) == running.process.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, getattr(signal, f"SIG{name}"))

    def end(self, running: Running, code: int, now: float) -> None:
        """End a job with its script: whatever it left behind is killed, its output is copied."""
        element = running.element
        while processes((self.mark(element),)):
            self.signal(running, "KILL")
            time.sleep(LOOK_SECONDS)
        running.process.wait()
        del self.running[element.index]
        element.used += now - running.began
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

    def deliver(self, element: Element) -> None:
        """Copy the output to its final path; what can't be copied stays in the spool."""
        for spooled, final in zip(self.spool(element), self.paths(element)[:2], strict=True):
            if spooled != final and final.parent.is_dir():
                shutil.copyfile(spooled, final)


if __name__ == "__main__":
    Daemon(int(sys.argv[1])).run()
