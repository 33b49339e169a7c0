"""A real Slurm of a few virtual nodes on this one machine, for tests; it needs root.

    python tests/slurm_cluster.py start FOLDER --nodes 4 --gpus-per-node 2 --set MaxArraySize=5
    eval "$(python tests/slurm_cluster.py env FOLDER)"     then sinfo, sbatch, srun, scontrol ...
    python tests/slurm_cluster.py stop FOLDER

    with SlurmCluster(tmp_path / "slurm", nodes=4, gpus_per_node=2, KillWait=1) as cluster:
        job = cluster.run(["sbatch", "--parsable", "job.sh"]).stdout.strip()
        assert cluster.wait_for_job(job, 60) == "COMPLETED"

`apt install slurm-wlm munge`; the services of these packages needn't run. Everything lies in the
folder: configuration, key, sockets, state, logs, a device file for each GPU (a second /dev/null).
Nothing stays when it stops, nor when the process that holds it dies: then a watcher stops it. Not
as on a real cluster: memory and cores aren't limited, `sacct` knows nothing, every node has this
machine's name, and a requeued job starts again after seconds, not after two minutes.
"""

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import needs
from limits import HANG_SECONDS, patience, wait_until

DAEMONS = {"munged", "slurmctld", "slurmscriptd", "slurmd", "slurmstepd"}
LONGEST_FOLDER = 70
"""Sockets lie in the folder, and the path of a socket has at most 107 characters."""

REQUEUE_SECONDS = 10
"""How long a requeued job waits: as long as a credential lives, on most clusters two minutes."""

PATIENCE = patience(120)
"""A job whose walltime is over and that starts again takes minutes on a quiet machine too."""

UP = {"idle", "mixed", "allocated", "completing"}
ENDED = {"CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "PREEMPTED", "TIMEOUT"}

SETTINGS = {
    "ClusterName": "virtual",
    "SlurmUser": "root",
    "SlurmdParameters": "config_overrides",  # believe the nodes' lines, not the machine
    "ProctrackType": "proctrack/linuxproc",
    "TaskPlugin": "task/none",
    "SelectType": "select/cons_tres",
    "SelectTypeParameters": "CR_CPU",
    "GresTypes": "gpu",
    "JobCompType": "jobcomp/filetxt",
    "MinJobAge": 86400,  # `scontrol show job` still knows the jobs that ended
    "ReturnToService": 2,  # a node that was dead can come back
    "SlurmdTimeout": int(HANG_SECONDS),  # no node is held for dead because it is slow
    "KillWait": 5,
    "SchedulerParameters": "sched_interval=2,bf_interval=2,batch_sched_delay=0",
}
"""Lines of slurm.conf, which keyword arguments of SlurmCluster and --set change or add to."""


class SlurmCluster:
    """One cluster in one folder: nodes n1, n2, ... in the partition `batch`, and in others."""

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 4,
        cpus: int = 2,
        gpus_per_node: int = 0,
        features: str = "",
        partitions: Sequence[str] = (),
        **settings: object,
    ):
        self.folder = Path(folder).resolve()
        self.names = [f"n{number}" for number in range(1, nodes + 1)]
        self.conf, self.logs = self.folder / "slurm.conf", self.folder / "log"
        self.environment = {"SLURM_CONF": str(self.conf)}  # all that Slurm's commands need
        self._features, self._partitions = features, partitions
        self._cpus, self._gpus, self._settings = cpus, gpus_per_node, {**SETTINGS, **settings}
        self._watcher: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "SlurmCluster":
        watch = [sys.executable, __file__, "watch", str(self.folder)]
        self._watcher = subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._watcher:
            self._watcher.communicate(timeout=HANG_SECONDS)

    def start(self) -> None:
        """Start all daemons and wait until every node is up; after a failure, too, `stop` it."""
        if reason := needs.why_not("Slurm", "root"):
            raise RuntimeError(reason)
        if len(str(self.folder)) > LONGEST_FOLDER or " " in str(self.folder):
            raise ValueError(
                f"{self.folder}: Slurm wants its sockets here, and their paths are limited: choose "
                f"a folder of at most {LONGEST_FOLDER} characters, without spaces"
            )
        if self._members():
            raise RuntimeError(f"{self.folder}: a cluster runs here; stop it first")
        self._write_files()
        files = [f"--{kind}-file={self.folder}/munge.{kind}" for kind in ("key", "pid", "seed")]
        files += [f"--socket={self.folder}/munge.socket", f"--log-file={self.logs}/munged.log"]
        self._daemon("munged", "--force", *files)
        self._daemon("slurmctld")
        for name in self.names:
            self.start_node(name)
        self._wait(lambda: self.nodes_up() == self.names, lambda: f"up: {self.nodes_up()} only")

    def start_node(self, name: str) -> None:
        """Start a node's slurmd: also that of a node that was killed."""
        self._daemon("slurmd", "-N", name)

    def kill_node(self, name: str) -> None:
        """End a node's slurmd, its steps and its jobs' processes at once, as a power cut would.

        Slurm is told so: how soon it sees that a node is silent depends on the machine's load.
        """
        self._end(name)
        words = ["scontrol", "update", f"NodeName={name}", "State=DOWN", "Reason=killed"]
        self._run(words, self._whole())

    def stop(self) -> None:
        """End all daemons and all processes of jobs."""
        self._end()

    def _daemon(self, *command: str) -> None:
        """Run a daemon's command, which returns when the daemon goes on alone."""
        with (self.logs / "start.out").open("ab") as out:  # at a pipe, one would wait for ever
            status = subprocess.call(
                command, env=self._whole(), stdout=out, stderr=out, timeout=HANG_SECONDS
            )
        if status:
            raise RuntimeError(f"{shlex.join(command)}: exit status {status}{self._tails()}")

    def _end(self, node: str | None = None) -> None:
        def ended() -> bool:
            found = self._members(node)
            # All stand still before the first ends: no daemon lives to report the end of a job.
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for pid in found:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
            return not found

        self._wait(ended, lambda: f"still there: {self._members(node)}")

    def _members(self, node: str | None = None) -> set[int]:
        """Process ids of the daemons and of all they started, of one node or of all.

        A daemon has its node's log open, slurmstepd too, even after a cleaner deleted the folder;
        a job's process knows cluster and node by its environment, or is a child of one that does.
        """
        log = f"{self.logs}/{node}." if node else f"{self.logs}/"
        conf = os.fsencode(f"SLURM_CONF={self.conf}\0")
        mark = os.fsencode(f"SLURMD_NODENAME={node}\0" if node else "SLURMD_NODENAME=")
        found, parents = set(), {}
        for process in Path("/proc").glob("[0-9]*"):
            pid = int(process.name)
            with contextlib.suppress(OSError):
                name, _, rest = (process / "stat").read_text().rpartition(")")
                state, parent = rest.split()[:2]
                if state == "Z" or pid == os.getpid():
                    continue
                parents[pid] = int(parent)
                text = (process / "environ").read_bytes()
                daemon = name.partition("(")[2] in DAEMONS
                ours = conf in text and (mark in text or (daemon and not node))
                files = (str(file.resolve()) for file in (process / "fd").iterdir())
                if ours or (daemon and any(file.startswith(log) for file in files)):
                    found.add(pid)
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def run(
        self, command: Sequence[object], *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of Slurm's, or one that uses them, on this cluster.

        It meets the whole environment of who asks, as on any cluster.
        """
        return self._run(command, {**os.environ, **self.environment}, check=check)

    def _run(
        self, command: Sequence[object], env: dict[str, str], *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in command]
        job = subprocess.run(words, env=env, capture_output=True, text=True, timeout=HANG_SECONDS)
        if check and job.returncode:
            raise RuntimeError(f"{shlex.join(words)}: {job.returncode}\n{job.stdout}{job.stderr}")
        return job

    def nodes_up(self) -> list[str]:
        """The nodes that take work or do some: not those down, drained or silent."""
        asked = self._run(["sinfo", "-hN", "-o", "%N %T"], self._whole(), check=False)
        lines = asked.stdout.splitlines()
        return [name for name in self.names if any(f"{name} {state}" in lines for state in UP)]

    def jobs(self, id: object) -> list[dict[str, str]]:
        """What `scontrol show job` says: a dictionary a job, several for an array."""
        text = self._run(["scontrol", "--oneliner", "show", "job", id], self._whole()).stdout
        return [
            dict(word.split("=", 1) for word in line.split(" ") if "=" in word)
            for line in text.splitlines()
        ]

    def wait_for_job(self, id: object, states: Collection[str] = ()) -> str:
        """The state of a job that has ended, or before that come to one of these states.

        Of an array, the states of its elements, each once, with spaces.
        """
        found: set[str] = set()

        def there() -> bool:
            nonlocal found
            found = {job["JobState"] for job in self.jobs(id)}
            return found <= {*ENDED, *states}

        self._wait(there, lambda: f"job {id} is still {sorted(found)}")
        return " ".join(sorted(found))

    def _whole(self) -> dict[str, str]:
        """For daemons and the cluster's own questions: nothing of a Slurm job around this one."""
        of_slurm = ("SLURM", "SBATCH", "SINFO", "SCONTROL")
        outer = {k: v for k, v in os.environ.items() if not k.startswith(of_slurm)}
        return {**outer, **self.environment}

    def _wait(self, done: Callable[[], bool], complaint: Callable[[], str]) -> None:
        wait_until(
            done,
            lambda: f"{complaint()} after {PATIENCE:g} seconds{self._tails()}",
            seconds=PATIENCE,
            pause=0.3,  # each look is a program of Slurm's
        )

    def _tails(self) -> str:
        """The last lines of every log."""
        logs = ((log.name, log.read_text(errors="replace")) for log in sorted(self.logs.glob("*")))
        return "".join(f"\n--- {name}\n{text[-1500:]}" for name, text in logs)

    def _write_files(self) -> None:
        for name in ("state", "spool", "log", "gpus"):
            if self.conf.exists():  # of a cluster before this one
                shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir(parents=True)
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        host = socket.gethostname().partition(".")[0]
        control, *ports = _free_ports(1 + len(self.names))
        lines = {
            "SlurmctldHost": f"{host}(127.0.0.1)",
            "SlurmctldPort": control,
            "AuthInfo": f"socket={self.folder}/munge.socket,cred_expire={REQUEUE_SECONDS}",
            "FirstJobId": 1 + int.from_bytes(os.urandom(3)),  # MPICH's shared memory is named by it
            "StateSaveLocation": f"{self.folder}/state",
            "SlurmdSpoolDir": f"{self.folder}/spool/%n",
            "SlurmctldPidFile": f"{self.folder}/slurmctld.pid",
            "SlurmdPidFile": f"{self.folder}/%n.pid",
            "SlurmctldLogFile": f"{self.logs}/slurmctld.log",
            "SlurmdLogFile": f"{self.logs}/%n.log",
            "JobCompLoc": f"{self.logs}/jobs.txt",
            **self._settings,
        }
        nodes = "".join(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
            f" CPUs={self._cpus} RealMemory=512000 Gres=gpu:{self._gpus}"
            f"{f' Feature={self._features}' if self._features else ''}\n"
            for name, port in zip(self.names, ports, strict=True)
        )
        nodes += "PartitionName=batch Nodes=ALL Default=YES State=UP\n"
        nodes += "".join(f"PartitionName={name} Nodes=ALL\n" for name in self._partitions)
        self.conf.write_text("".join(f"{key}={line}\n" for key, line in lines.items()) + nodes)
        devices = [self.folder / "gpus" / f"gpu{number}" for number in range(self._gpus)]
        for device in devices:  # Slurm wants a device, not a plain file
            os.mknod(device, 0o666 | stat.S_IFCHR, Path("/dev/null").stat().st_rdev)
        gpus = [f"Name=gpu File={device} Flags=nvidia_gpu_env\n" for device in devices]
        (self.folder / "gres.conf").write_text("".join(gpus))


def _free_ports(count: int) -> list[int]:
    """Ports that no connection is given by the system, nor a cluster of another process here."""
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    port = 10_000 + 16 * os.getpid() % max(16, ephemeral - 11_000)
    while len(found) < count:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        port += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=["start", "env", "stop", "watch"])
    parser.add_argument("folder", type=Path)
    for option, number in (("--nodes", 4), ("--cpus", 2), ("--gpus-per-node", 0)):
        parser.add_argument(option, type=int, default=number)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    asked = vars(parser.parse_args())
    verb, settings = asked.pop("verb"), dict(word.split("=", 1) for word in asked.pop("settings"))
    cluster = SlurmCluster(**asked, **settings)
    if verb == "env":
        print("".join(f"export {k}={shlex.quote(v)}\n" for k, v in cluster.environment.items()))
    elif verb == "start":
        try:
            cluster.start()
        except Exception as error:
            sys.exit(str(error))
    else:
        if verb == "watch":  # until the process that holds the cluster ends, however it does
            sys.stdin.read()
        cluster.stop()


if __name__ == "__main__":
    main()
