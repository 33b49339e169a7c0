"""One rank of a measured job: `measured_worker.py FOLDER real|null WORKER-ARGUMENTS…`.

Runs `nnlc.worker` unchanged, with real trainers or with `null_trainer.py`, and writes
`FOLDER/RANK.json`: the agent's processor seconds over time, and its peak memory. Trainers are
separate processes and don't count. If NNLC_PROFILE is set, rank 0 runs under cProfile and writes
`FOLDER/profile`.
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
    """Record the time and this process's processor seconds every `SAMPLE_SECONDS`."""
    while not over.wait(SAMPLE_SECONDS):
        samples.append((time.time(), time.process_time()))


def peak_memory_bytes() -> int:
    """Return the peak of this process's resident memory: proc(5), VmHWM."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def main() -> int:
    """Run the rank, and return its exit status."""
    folder, kind, *arguments = sys.argv[1:]
    if kind == "null":
        trainer_link.COMMAND = NULL_TRAINER
    launched = launcher_rank(dict(os.environ))
    rank = launched[1] if launched else 0
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
