"""One rank of a job that is measured: `measured_worker.py FOLDER real|null WORKER-ARGUMENTS…`.

Runs `nnlc.worker` as it is, with real trainers or with those of `null_trainer.py`, and leaves
`FOLDER/RANK.json`: the rank's own processor seconds over time, and its peak memory. Trainers, which
are processes of their own, count for nothing in it. With NNLC_PROFILE set, rank 0 runs under
cProfile and leaves `FOLDER/profile`.
"""

import cProfile
import json
import os
import re
import sys
import threading
import time
from pathlib import Path

from nnlc import worker
from nnlc.ranks import trainer_link
from nnlc.ranks.mpi import launcher_rank

SAMPLE_SECONDS = 0.25
NULL_TRAINER = (sys.executable, str(Path(__file__).with_name("null_trainer.py")))


def sample(samples: list[tuple[float, float]], over: threading.Event) -> None:
    """Note the time since 1970 and this process's processor seconds now and then."""
    while not over.wait(SAMPLE_SECONDS):
        samples.append((time.time(), time.process_time()))


def peak_memory_bytes() -> int:
    """The most that was resident of this process: proc(5), VmHWM."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def main() -> int:
    """Run the rank; returns its exit status."""
    folder, kind, *arguments = sys.argv[1:]
    if kind == "null":
        trainer_link.COMMAND = NULL_TRAINER
    told = launcher_rank(dict(os.environ))
    rank = told[1] if told else 0
    samples = [(time.time(), time.process_time())]
    over = threading.Event()
    sampler = threading.Thread(target=sample, args=(samples, over), daemon=True)
    sampler.start()
    if rank == 0 and os.environ.get("NNLC_PROFILE"):
        profile = cProfile.Profile(time.thread_time)
        status = profile.runcall(worker.main, arguments)
        profile.dump_stats(Path(folder) / "profile")
    else:
        status = worker.main(arguments)
    over.set()
    samples.append((time.time(), time.process_time()))
    facts = {"samples": samples, "peak_memory_bytes": peak_memory_bytes()}
    (Path(folder) / f"{rank}.json").write_text(json.dumps(facts))
    return status


if __name__ == "__main__":
    sys.exit(main())
