"""The sites that the stand-in knows: what each demands of a job, its queues and nodes.

Marks of sources, here and in the other modules:
    qsub(1B) and so on   OpenPBS' manual pages, github.com/openpbs/openpbs, doc/man1
    src/…                a file of OpenPBS' sources, from which the commercial one is built
    UG, RG n             page n of PBS Professional's User's or Reference Guide 2024.1
    ALCF                 docs.alcf.anl.gov: running-jobs, and polaris/running-jobs for queues
    NCAR                 ncar-hpc-docs.readthedocs.io: pbs/charging
    PALS                 help of `mpiexec` in HPE's craycli, cray/modules/mpiexec/cli.py
    †                    recalled, found nowhere
"""

import os
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True)
class Queue:
    """What a queue takes: nodes and hours. A routing queue has bins, of which one must take it."""

    nodes: tuple[int, int] = (1, 1_000_000)
    hours: float = 1_000_000.0
    bins: tuple[tuple[int, int, float], ...] = ()
    """Fewest nodes, most nodes, hours."""


@dataclass(frozen=True)
class Site:
    """What differs between sites; a test's site.toml in the server's folder changes fields."""

    demands: tuple[str, ...] = ()
    """Of Account_Name, walltime and filesystems."""
    filesystems: tuple[str, ...] = ()
    keep_files: str = ""
    """The only -k that the site allows; it is set where a job has none."""
    queues: dict[str, Queue] = field(default_factory=lambda: {"workq": Queue()})
    default_queue: str = "workq"
    resources: tuple[str, ...] = ()
    """Of a chunk, beside PBS' own."""
    nodes: int = 4
    ncpus: int = 64
    ngpus: int = 4
    max_array_size: int = 10_000  # pbs_server_attributes(7B)
    max_queued: int = 100
    kill_delay: int = 10  # pbs_queue_attributes(7B): 10 seconds between SIGTERM and SIGKILL
    poll_downtime: int = 300  # src/include/job.h: PBS_MAX_POLL_DOWNTIME, then the job is killed
    job_history: bool = True  # pbs_server_attributes(7B): job_history_enable
    submit_from_nodes: bool = True


SITES = {
    "pbs": Site(),
    "polaris": Site(
        demands=("Account_Name", "walltime", "filesystems"),  # ALCF: mandatory
        filesystems=("home", "eagle"),  # ALCF: valid ones
        keep_files="doe",  # ALCF: added, and another is an error
        queues={
            "debug": Queue((1, 2), 1),
            "debug-scaling": Queue((1, 10), 1),
            "prod": Queue((10, 496), 24, ((10, 24, 3), (25, 99, 6), (100, 496, 24))),
            "preemptable": Queue((1, 10), 72),
            "capacity": Queue((1, 4), 168),
        },
        default_queue="prod",  # ALCF: "a queue other than the default, which is prod"
        resources=("system", "tier0", "tier1", "gputype"),
    ),
    "derecho": Site(
        demands=("Account_Name", "walltime"),  # NCAR
        queues={
            "main": Queue((1, 2488), 12),
            "develop": Queue((1, 2), 6),
            "preempt": Queue((1, 2488), 24),
        },
        default_queue="main",
        resources=("mps", "gpu_type", "cpu_type"),
        ncpus=128,  # † its GPU nodes have 64 cores, 128 threads
    ),
}


def load_site(folder: Path) -> Site:
    """Return the site that $STANDIN_PBS_SITE names, changed by site.toml of the folder."""
    site = SITES[os.environ.get("STANDIN_PBS_SITE", "pbs")]
    path = folder / "site.toml"
    changes = tomllib.loads(path.read_text()) if path.exists() else {}
    if "queues" in changes:
        changes["queues"] = {
            name: Queue(tuple(q.get("nodes", (1, 1_000_000))), q.get("hours", 1_000_000.0))
            for name, q in changes["queues"].items()
        }
    changes = {key: tuple(v) if isinstance(v, list) else v for key, v in changes.items()}
    return replace(site, **changes)
