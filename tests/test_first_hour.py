"""docs/first-hour.md holds: its blocks run in order in one folder, and print what it shows.

Trainers take 666 of the training images, and the probe a fraction of its time.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import documents
import needs
import pytest
from article_columns import COLUMNS
from documents import ROOT
from limits import HANG_SECONDS
from test_cli import run_nnlc
from worker_jobs import slow_steps

from nnlc.calibration.probe import probe
from nnlc.launching import machine_plan

DOCUMENT = ROOT / "docs" / "first-hour.md"
BLOCKS = documents.fenced(DOCUMENT)
SHELL = [number for number, (language, _) in enumerate(BLOCKS) if language == "sh"]
SHOWN = [number for number, (language, _) in enumerate(BLOCKS) if language == "text"]
CTRL_C_AFTER_SOME_TABLES = """#!/bin/bash
shift 2 # --signal=INT and the seconds, on which no test depends
"$@" &
while kill -0 $! 2>/dev/null && [ "$(ls results/tops/tops_models 2>/dev/null | wc -l)" -lt 3 ]; do
    sleep 0.1
done
kill -INT $!
wait
touch interrupted
"""
"""Program in place of `timeout`."""
FEWER_IMAGES = """
from dataclasses import replace
from nnlc.training import loaded_images
load = loaded_images.load_images
def some(*arguments):
    images = load(*arguments)
    few = slice(666)
    return replace(
        images, train_images=images.train_images[few], train_labels=images.train_labels[few]
    )
loaded_images.load_images = some
"""
AFTER_SOME_TABLES = """(
    len(list(self._checkpoints._folder.parent.glob("tops_models/*.txt"))) >= 3
    and not os.path.exists("interrupted")
)"""
"""When trainers wait for Ctrl-C."""
_VERB = re.compile(r"nnlc (.*?)(?: (>>?) (\S+))?")
_NUMBER = re.compile(r"[-+]?\d[\d.,:_/e+-]*( (s|min|h)\b)?")


@dataclass(frozen=True)
class Ended:
    status: int
    output: str


@pytest.fixture(scope="module")
def hour(tmp_path_factory):
    """Folder of a reader who did all steps, and how each block of commands ended."""
    folder = tmp_path_factory.mktemp("hour")
    (folder / "nnlc").symlink_to(ROOT / "nnlc")
    (folder / ".venv").symlink_to(sys.prefix)
    programs = folder / "programs"
    programs.mkdir()
    (programs / "timeout").write_text(CTRL_C_AFTER_SOME_TABLES)
    (programs / "timeout").chmod(0o755)
    plugins = str(folder / "plugins")  # what the reader installs stays out of this environment
    held = slow_steps(folder, HANG_SECONDS, when=AFTER_SOME_TABLES, trainers=FEWER_IMAGES)
    trainers = held["PYTHONPATH"]
    environment = {"PIP_TARGET": plugins, "PYTHONPATH": f"{plugins}:{trainers}"}
    environment |= {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "false"}
    environment |= {"COLUMNS": "100", "MPLBACKEND": "agg"}
    environment["PATH"] = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    ended = {}
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("NNLC_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(machine_plan, "probe", partial(probe, seconds=0.2))
        patch.setattr("nnlc.calibration.probe.LIMIT_SECONDS", HANG_SECONDS)
        for number, (language, code) in enumerate(BLOCKS):
            if language == "sh":
                # A plug-in is found by programs that start later.
                parts = [code] if "pip install" in code else code.splitlines()
                done = [run(part, folder) for part in parts]
                ended[number] = Ended(
                    max(each.status for each in done), "".join(each.output for each in done)
                )
            elif named := re.match(r"# (\S+)\n", code):
                path = folder / named[1]
                path.parent.mkdir(exist_ok=True)
                path.write_text(code)
    return folder, ended


def run(command: str, folder: Path) -> Ended:
    """Run a verb in this process, which has loaded the libraries; others in a shell."""
    if verb := _VERB.fullmatch(command):
        words, operator, file = verb.groups()
        job = run_nnlc(*words.split(), cwd=folder)
        if operator:
            with (folder / file).open("a" if operator == ">>" else "w") as output:
                output.write(job.stdout)
        return Ended(job.returncode, job.stderr + ("" if operator else job.stdout))
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANG_SECONDS,
    )
    return Ended(done.returncode, done.stdout)


@pytest.mark.parametrize("number", SHELL)
def test_every_block_of_commands_runs_as_it_stands(number, hour):
    if "Rscript" in BLOCKS[number][1]:
        needs.require("R")
    _, ended = hour
    assert ended[number].status == 0, f"{BLOCKS[number][1]}\n{ended[number].output}"
    assert "Traceback" not in ended[number].output


@pytest.mark.parametrize("number", SHOWN)
def test_every_output_that_is_shown_is_printed_but_for_its_numbers(number, hour):
    _, ended = hour
    commands = max(shell for shell in SHELL if shell < number)
    printed = [words(line) for line in ended[commands].output.splitlines()]
    place = 0
    for part in re.split(r"^ *…\n", BLOCKS[number][1], flags=re.MULTILINE):
        lines = [words(line) for line in part.splitlines()]
        fits = (
            start
            for start in range(place, len(printed) - len(lines) + 1)
            if all(map(is_shown_as, printed[start:], lines))
        )
        start = next(fits, None)
        assert start is not None, f"{part}\nis not in\n{ended[commands].output}"
        place = start + len(lines)


def words(line: str) -> list[str]:
    return _NUMBER.sub("#", line).split()


def is_shown_as(printed: list[str], shown: list[str]) -> bool:
    """Whether a line is the shown one, which may end early with an ellipsis."""
    if shown and shown[-1] == "…":
        return printed[: len(shown) - 1] == shown[:-1]
    return printed == shown


def test_the_table_is_explained_column_by_column(hour):
    folder, _ = hour
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", documents.text_of(DOCUMENT), re.MULTILINE)
    assert [name for name, _ in rows] == [column.name for column in COLUMNS]
    [table] = folder.glob("results/smoke/*/*_000004.txt")
    values = table.read_text().splitlines()[1].split(" ")
    for (name, shown), value in list(zip(rows, values, strict=True))[4:]:
        start, _, end = shown.replace("blank", "").partition("…")
        assert value.startswith(start), name
        assert value.endswith(end), name
