"""The first minutes on a GPU: `python benchmarks/first_gpu.py [--seconds N] [--json FILE]`.

Checks in at most five minutes what can't be known without a GPU, most valuable first. Each line is
printed as soon as it is known: a check, its verdict, its figures. Below a line WRONG, a line for
each problem says what to change. The JSON file has all figures so far. Images are the bundled
sample. Torch 2.9 or later is needed, and no MPI.

    device        the first kernel runs; driver, architectures of torch, MIG, GPUs of the node
    smoke         two jobs: the same bytes, no network without CUDA graphs, and accuracies rise
    dropout       networks with and without graphs: the same bits, so the same masks, learning rates
                  and changes of images
    convolutions  wide kernels, and others, by cuDNN and by Fourier transforms, twice: the same
                  bits, and no pass for which cuDNN has no engine
    precision     convolutions and matrix products against float64: TF32 is off
    capture       a capture that fails: its network is trained without graphs, others with them
    notice        SIGUSR2 in the middle, and a second start: the same bytes
    memory        reserved against predicted memory of large networks, with cuDNN's workspaces; what
                  stays after many small ones; what CUDA and its libraries take
    neighbours    two trainers on the GPU, of which one is killed: the same bytes
    mps           the same under MPS with 1, 2 and 4 trainers
    speed         half epochs by nnlc, PyTorch's modules and the usual loop; set-up; host time
    thresholds    from which size Fourier transforms are faster; shares of the peak of direct and
                  Fourier convolutions, and time of a launch, by which plans and GPU packing go

Verdicts: right; WRONG; not known here, about values of a stand-in for a driver, which runs no
kernels and has "Stub" in its name; not possible here; too late.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

BENCHMARKS = Path(__file__).parent


class Step(NamedTuple):
    """A check: the module of its function, and its limits."""

    module: str
    drawing_seconds: float
    """Time after which it draws no more samples."""
    seconds: float
    """Time after which it counts as hanging."""


STEPS = {
    "device": Step("gpu_values", 10, 60),
    "smoke": Step("gpu_jobs", 30, 90),
    "dropout": Step("gpu_values", 15, 60),
    "convolutions": Step("gpu_values", 45, 75),
    "precision": Step("gpu_values", 5, 30),
    "capture": Step("gpu_jobs", 20, 60),
    "notice": Step("gpu_jobs", 30, 75),
    "memory": Step("gpu_memory", 35, 60),
    "neighbours": Step("gpu_jobs", 15, 45),
    "mps": Step("gpu_jobs", 40, 75),
    "speed": Step("gpu_speeds", 20, 60),
    "thresholds": Step("gpu_speeds", 25, 60),
}


def main() -> int:
    """Run the checks; return 1 if one is wrong or if no GPU can be used."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--seconds", type=_above_0, default=300.0, metavar="N", help="time in all (%(default).0f)"
    )
    parser.add_argument(
        "--share", type=_above_0, default=1.0, metavar="X", help="share of all samples (1)"
    )
    parser.add_argument(
        "--json", type=Path, default=Path("first_gpu.json"), metavar="FILE",
        help="file for all figures (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--only", nargs="+", choices=STEPS, default=[*STEPS], metavar="CHECK",
        help="checks after that of the device: " + ", ".join(list(STEPS)[1:]),
    )  # fmt: skip
    options = parser.parse_args()
    try:
        options.json.write_text("{}")
    except OSError as problem:
        parser.error(f"argument --json: {options.json}: {problem.strerror}")
    end, status = time.monotonic() + options.seconds, 130  # as of a program that SIGINT ends
    _prepare()
    with (
        contextlib.suppress(KeyboardInterrupt),
        tempfile.TemporaryDirectory(prefix="nnlc-first-gpu-", ignore_cleanup_errors=True) as path,
    ):
        status = _run(options, end, Path(path))
    print(f"all figures are in {options.json}")
    return status


def _above_0(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (number := float(text)) < float("inf"):
            return number
    raise argparse.ArgumentTypeError(f"{text} is no number above 0")


def _prepare() -> None:
    """Give all processes that follow the environment of a trainer, and this clone of nnlc."""
    sys.path.insert(0, str(BENCHMARKS.parent))
    from gpu_checks import preload

    from nnlc.system.environment import trainer_environment

    ours = trainer_environment(os.environ)
    paths = [str(BENCHMARKS), str(BENCHMARKS.parent), ours.get("PYTHONPATH")]
    os.environ.clear()
    os.environ.update(ours, PYTHONPATH=os.pathsep.join(filter(None, paths)))
    preload({step.module for step in STEPS.values()})


def _run(options: argparse.Namespace, end: float, folder: Path) -> int:
    """Run the checks, print their lines and write their figures; return the exit status."""
    from gpu_checks import Found, Here, Verdict, run_apart

    from nnlc.system.files import write_atomically

    here, written = Here(folder, options.share), dict[str, dict]()
    for name, step in STEPS.items():
        if name not in ("device", *options.only):
            continue
        start = time.monotonic()
        seconds = min(step.seconds, end - start)
        found = Found(Verdict.LATE, f"the {options.seconds:.0f} s are over")
        if seconds > 0:
            here = replace(here, end=start + min(step.drawing_seconds, 0.7 * (end - start)))
            found = run_apart(step.module, name, here, seconds, is_last=seconds < step.seconds)
        taken = time.monotonic() - start
        print(f"{name:12}  {found.verdict:17} {found.text} [{taken:.1f} s]")
        for problem in found.problems:
            print(f"{'':12}  {problem.text}; change {problem.change}")
        sys.stdout.flush()
        problems = [problem._asdict() for problem in found.problems]
        words = {"verdict": found.verdict, "text": found.text, "problems": problems}
        written[name] = {"seconds": taken, **words, **found.figures}
        content = json.dumps({"share": options.share, "checks": written}, indent=1, default=str)
        write_atomically(options.json.absolute(), content.encode())
        if name == "device":
            if found.verdict not in (Verdict.RIGHT, Verdict.UNKNOWN):
                return 1
            here = replace(here, is_judged=found.verdict == Verdict.RIGHT)
    return int(any(each["verdict"] == Verdict.WRONG for each in written.values()))


if __name__ == "__main__":
    sys.exit(main())
