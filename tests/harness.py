"""A long run that hurts real jobs at random and then demands every table, byte for byte.

    python tests/harness.py --faults 200 --seed 1
    python tests/harness.py --campaign residual-smoke --faults 10

An undisturbed job trains a campaign once. Then jobs of the same campaign are hurt at random and
started again with the same command; whenever it is finished, a half or all of its tables are
deleted and go through it again. Each must come out as it did in the undisturbed job.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from random import Random
from types import FrameType

from fault_jobs import Clock, HarnessError, Job, Missed, Room, own_disk
from fault_ledger import Ledger
from faults import FAULTS, Planned, make_plan
from limits import HANG_SECONDS, patience
from worker_jobs import tables

from nnlc.errors import ExitStatus

CAMPAIGN = """
name = "faults"
seed = 5
stamp = 2026-01-02T03:04:05
epochs = {epochs}

[datasets.F-MNIST-sample]
networks_per_depth = {networks_per_depth}
depths = [1, 2]

[space]                     # momentum, its dampening, dropout and weight decay: all is state
kernel = [2, 5]
stride = [1, 2]
padding = [0, 2]
filters = [1, 16]
blocks = [4, 5, 6, 7]
pool_kernel = [1, 3]
dropout_rate = [0.1, 0.3]
fc_layers = [1, 2]
fc_units = [32, 128]
fc_dropout_rate = [0.1, 0.3]
learning_rate_exponent = [-2.0, -0.5]
momentum = "always"
momentum_exponent = [-1.0, -0.05]
weight_decay_exponent = [-6.0, -3.0]
"""
OFTEN_HURT = """
[run]
attempts = 1000             # a killed trainer is one
checkpoint_minutes = 0.005
hang_minutes = 0.1
disk_minutes = 0.5
"""
LONG = CAMPAIGN.format(epochs=12, networks_per_depth=5) + OFTEN_HURT
SHORT = CAMPAIGN.format(epochs=2, networks_per_depth=3) + OFTEN_HURT
LONG_PAUSE, SHORT_PAUSE = 4.0, 1.0
"""Seconds between a fault and the next, at most."""
DISK_MEGABYTES = 64
START_SECONDS = HANG_SECONDS
"""From the start of a job to its first network."""
INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)
MISSES = 30
"""A fault that can't be dealt in so many tries is a failure: something keeps it away."""


class Run:
    """Deals the faults of a plan to jobs, and starts them again until all is done."""

    def __init__(self, room: Room, plan: list[Planned], ledger: Ledger, seed: int) -> None:
        self.room, self.ledger, self._seed = room, ledger, seed
        self._waiting = deque(plan)
        self._random = Random(f"tables {seed}")
        self._start_time = time.monotonic()
        self._misses = self._late = 0
        self._last = "before the first fault"
        self.dealt: Counter[str] = Counter()
        self.restarts = 0
        self._done = False

    def run(self) -> None:
        """Go through the plan and then to the end.

        Raises:
            HarnessError: a job broke a promise.
        """
        try:
            self._deal_all()
        except HarnessError as problem:
            raise HarnessError(f"seed {self._seed}, {self._last}: {problem}") from None

    def _deal_all(self) -> None:
        job = None
        while self._waiting:
            job = job or self._start()
            # A second longer each time that it was missed: it may have come too early; and half as
            # long each time that the job was over before.
            pause = (self._waiting[0].pause_seconds + self._misses) / 2**self._late
            if job.goes_on_for(pause):
                self._deal(job)
            else:
                self._late += 1
                job.insist(self._late < MISSES, f"{MISSES} jobs were over before the fault")
            if job.status is not None or job.must_end_in is not None:
                self._end(job, job.must_end_in or 0.0)
                job = None
        while not self._done:
            self._end(job or self._start(), self.room.patience_seconds)
            job = None

    def _start(self) -> Job:
        """Start a job and wait for its first network, or its end where none is left."""
        journal = self.room.results / "journal"
        before = set(journal.glob("*.jsonl"))
        self.restarts += bool(self.room.jobs) and not self._done
        self._done = False
        job = self.room.start()
        deadline = time.monotonic() + START_SECONDS
        while job.goes_on_for(0.05):
            new = set(journal.glob("*.jsonl")) - before
            if any(b'"event": "start"' in path.read_bytes() for path in new):
                break
            job.insist(time.monotonic() < deadline, f"no network in {START_SECONDS:.0f} s")
        job.note_shared_memory()
        return job

    def _deal(self, job: Job) -> None:
        fault = self._waiting[0]
        self._last = f"fault {fault.number} ({fault.kind})"
        try:
            whom = FAULTS[fault.kind](self.room, job, Random(fault.seed))
        except Missed:
            self._misses += 1
            job.insist(self._misses < MISSES, f"the fault could not be dealt in {MISSES} tries")
            return
        self._waiting.popleft()
        self._misses = self._late = 0
        self.dealt[fault.kind] += 1
        self._say(f"{fault.number:3} {job.log.stem} {fault.kind}: {whom}")
        self.ledger.look(self.room.results)

    def _end(self, job: Job, seconds: float) -> None:
        status = job.end(seconds)
        self._say(f"    {job.log.stem} ended with status {status}")
        self.ledger.look(self.room.results)
        aside = {path.name for path in self.room.results.glob("checkpoints/aside/*")}
        unhurt = {name for name in aside if name.split(".")[0] not in self.room.corrupted}
        job.insist(not unhurt, f"checkpoints that nobody hurt were put aside: {sorted(unhurt)}")
        self._done = status == ExitStatus.DONE
        if self._done:
            names = sorted(self.ledger.expected)
            half = self._random.sample(names, len(names) // 2)
            again = self._random.choice([half, names]) if self._waiting else None
            self.ledger.settle(self.room.results, again)

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._start_time:7.1f} s  {text}", flush=True)

    def report(self) -> str:
        faults = sum(self.dealt.values())
        journals = self.room.results.glob("journal/*.jsonl")
        resumes = sum(path.read_bytes().count(b'"event": "resume"') for path in journals)
        return "\n".join(
            [f"{count:5} {kind}" for kind, count in sorted(self.dealt.items())]
            + [f"{resumes} times a network went on from a checkpoint"]
            + [
                f"{faults} faults in {len(self.room.jobs)} jobs, {self.restarts} restarts: "
                f"{self.ledger.verdict}"
            ]
        )


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 only if every fault was dealt and every table came out right."""
    options = _parse(arguments)
    if "full-disk" in options.kinds:
        _become_root(arguments)
    for number in INTERRUPTIONS:
        signal.signal(number, _leave)
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        room = _furnish(folder.resolve(), options, stack)
        if not options.kinds:
            print("failed: no kind of fault is left", flush=True)
            return 1
        try:
            ledger = Ledger(_undisturbed(room), folder / "different")
            pause = options.pause or (SHORT_PAUSE if options.short else LONG_PAUSE)
            plan = make_plan(options.seed, options.faults, options.kinds, pause)
            run = Run(room, plan, ledger, options.seed)
            run.run()
        except HarnessError as problem:
            print(f"failed: {problem}", flush=True)
            return 1
        print(run.report(), flush=True)
        return 0 if ledger.all_right else 1


def _leave(number: int, _frame: FrameType | None) -> None:
    """End, but not before all jobs are killed and the disk is unmounted."""
    for each in INTERRUPTIONS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--faults", type=int, default=200, metavar="N", help="default 200")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the plan; default 1")
    parser.add_argument("--kinds", default=",".join(FAULTS), help="default %(default)s")
    parser.add_argument("--ranks", type=int, default=2, metavar="N", help="default 2")
    parser.add_argument("--trainers", type=int, default=1, metavar="N", help="a rank; default 1")
    parser.add_argument("--short", action="store_true", help="smaller networks, shorter pauses")
    parser.add_argument("--campaign", metavar="NAME", help="another, by its name or file")
    parser.add_argument(
        "--pause", type=float, metavar="S", help="between faults, at most; default 4"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave all files in a new folder")
    options = parser.parse_args(arguments)
    options.kinds = options.kinds.split(",")
    if unknown := [kind for kind in options.kinds if kind not in FAULTS]:
        parser.error(f"unknown kind {unknown[0]!r}: there are {', '.join(FAULTS)}")
    if options.keep and options.keep.exists():
        parser.error(f"{options.keep} exists: name a new folder")
    return options


def _become_root(arguments: list[str] | None) -> None:
    """Start this command again in a namespace where it may mount, if it may not as it is."""
    inside = ["unshare", "--user", "--map-root-user", "--mount"]
    if os.geteuid() and not subprocess.run([*inside, "true"], capture_output=True).returncode:
        words = sys.argv[1:] if arguments is None else arguments
        os.execvp(inside[0], [*inside, sys.executable, __file__, *words])


def _furnish(folder: Path, options: argparse.Namespace, stack: ExitStack) -> Room:
    """A room with what the kinds need; those that can't be had are taken out of the options."""
    hurt, disk = folder / "hurt", folder / "hurt" / "disk"
    disk.mkdir(parents=True)
    campaign = folder / "faults.toml"
    text = SHORT if options.short else LONG
    if options.campaign:
        text = f"extends = {json.dumps(options.campaign)}\n{OFTEN_HURT}"
    campaign.write_text(text)
    room = Room(hurt, campaign, disk / "results", options.ranks, options.trainers, HANG_SECONDS)
    try:
        if "full-disk" in options.kinds:
            stack.enter_context(own_disk(disk, DISK_MEGABYTES))
            room.disk = disk
            if options.keep:
                stack.callback(_keep, room.results, hurt / "results")
    except (OSError, subprocess.CalledProcessError) as problem:
        _leave_out("full-disk", "no file system can be mounted here", problem, options)
    try:
        if "clock-jump" in options.kinds:
            room.clock = Clock(hurt)
    except (OSError, subprocess.CalledProcessError) as problem:
        _leave_out("clock-jump", "there is no C compiler", problem, options)
    stack.callback(room.kill)
    return room


def _keep(results: Path, copy: Path) -> None:
    """Out of the memory that is about to be unmounted."""
    if results.exists():
        shutil.copytree(results, copy)


def _leave_out(kind: str, reason: str, problem: Exception, options: argparse.Namespace) -> None:
    print(f"left out: {kind}: {reason} ({problem})", flush=True)
    options.kinds.remove(kind)


def _undisturbed(room: Room) -> dict[str, bytes]:
    """The tables that must come out. How long they take says how patient to be with the others."""
    folder = room.folder.parent / "undisturbed"
    folder.mkdir()
    calm = replace(room, folder=folder, results=folder / "results", clock=None, jobs=[])
    start = time.monotonic()
    try:
        calm.start().end(calm.patience_seconds)
    finally:
        calm.kill()
    seconds = time.monotonic() - start
    room.patience_seconds = patience(seconds)
    found = tables(calm.results)
    print(f"undisturbed: {len(found)} tables in {seconds:.1f} s", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
