"""docs/families.md holds: its blocks run in order in one folder, and print what it shows.

The family of the page lives outside of the package: first beside a campaign file, then as another
distribution with an entry point. Trainers take 666 of the training images.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from signal import SIGTERM

import documents
import pytest
from documents import ROOT
from limits import HANG_SECONDS, wait_until
from test_first_hour import FEWER_IMAGES, Ended, is_shown_as, run, words
from worker_jobs import events, meddling, run_worker, slow_steps, start_worker, steps_done, tables

from nnlc.campaign.family_section import _ARTICLES
from nnlc.errors import ExitStatus
from nnlc.families.class_rules import check_class
from nnlc.networks.columns import KINDS
from nnlc.networks.recipe import TrainingSection

DOCUMENT = ROOT / "docs" / "families.md"
BLOCKS = documents.fenced(DOCUMENT)
SHELL = [number for number, (language, _) in enumerate(BLOCKS) if language == "sh"]
SHOWN = [number for number, (language, _) in enumerate(BLOCKS) if language == "text"]
NAMED = {named[1]: code for _, code in BLOCKS if (named := re.match(r"# (\w+\.\w+)\n", code))}
"""Files of the page, by name."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Folder of a reader who followed the page, how each block ended, and where pip put things."""
    folder = tmp_path_factory.mktemp("reader")
    installed = folder / "installed"  # stays out of this environment
    environment = {"PIP_TARGET": str(installed), "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1"}
    environment |= {"PIP_NO_BUILD_ISOLATION": "false", "MPLBACKEND": "agg", "COLUMNS": "100"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    trainers = meddling(folder, FEWER_IMAGES)["PYTHONPATH"]
    environment["PYTHONPATH"] = f"{installed}:{trainers}"
    ended = {}
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("NNLC_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        for number, (language, code) in enumerate(BLOCKS):
            if language == "sh":
                ended[number] = followed(code, folder)
            elif named := re.match(r"# (\w+\.\w+)\n", code):
                (folder / named[1]).write_text(code)
        yield folder, ended


def followed(code: str, folder: Path) -> Ended:
    """Run the lines of a block, but for those that make and enter environment and folder."""
    lines = [line for line in code.splitlines() if not line.startswith((". ", "mkdir skips"))]
    done = [run(line, folder) for line in lines]
    status = max((each.status for each in done), default=0)
    return Ended(status, "".join(each.output for each in done))


@pytest.mark.parametrize("number", SHELL)
def test_every_block_of_commands_runs_as_it_stands(number, reader):
    _, ended = reader
    assert ended[number].status == 0, f"{BLOCKS[number][1]}\n{ended[number].output}"
    assert "Traceback" not in ended[number].output


@pytest.mark.parametrize("number", SHOWN)
def test_every_output_that_is_shown_is_printed_but_for_its_numbers(number, reader):
    _, ended = reader
    printed = [words(line) for line in ended[number - 1].output.splitlines()]
    shown = [words(line) for line in BLOCKS[number][1].splitlines() if line != "…"]
    places = [
        next((at for at, line in enumerate(printed) if is_shown_as(line, one)), None)
        for one in shown
    ]
    assert None not in places, ended[number - 1].output
    assert places == sorted(places)


def test_the_family_has_at_most_120_lines_and_imports_the_interface_alone():
    code = NAMED["skips.py"]
    assert len(code.splitlines()) <= 120
    imported = {
        getattr(node, "module", None) or node.names[0].name
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported == {"dataclasses", "typing", "nnlc.families", "torch"}


@pytest.fixture(scope="module")
def packaged(reader, tmp_path_factory):
    """Results folder of the installed family, whose job was interrupted once."""
    place = tmp_path_factory.mktemp("elsewhere")
    campaign = place / "skips.toml"
    campaign.write_text(NAMED["skips.toml"].replace('"skips:Skips"', '"skips"'))
    results = place / "r"
    held = slow_steps(place, HANG_SECONDS, when="self._steps >= 3", trainers=FEWER_IMAGES)
    job = start_worker(campaign, "--results", results, **held)
    wait_until(lambda: steps_done(place), lambda: "no step was made", process=job)
    job.send_signal(SIGTERM)
    told = job.communicate(timeout=HANG_SECONDS)[0]
    assert job.returncode == ExitStatus.UNFINISHED, told
    assert not tables(results)
    done = run_worker(campaign, "--results", results)
    assert done.returncode == 0, done.stdout + done.stderr
    assert events(results, "resume")
    return results


def nnlc(*arguments: object) -> str:
    """Run a command in a process of its own, which imports the installed family."""
    words = [sys.executable, "-m", "nnlc", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=HANG_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_installed_family_gives_the_same_tables_although_its_job_was_interrupted(
    reader, packaged
):
    there = tables(reader[0] / "results" / "skips")
    assert len(there) == 4
    assert tables(packaged) == there


def test_verify_audit_export_and_rebuild_do_with_it_what_they_do_with_the_articles(
    packaged, tmp_path
):
    assert "4 of 4 identical" in nnlc("verify", packaged)
    assert "0 errors, 0 warnings" in nnlc("audit", packaged)
    nnlc("export", packaged, "-o", tmp_path / "exported", "--format", "csv")
    nnlc("import", tmp_path / "exported", "-o", tmp_path / "imported")
    back = {path.name: path.read_bytes() for path in (tmp_path / "imported").rglob("*.txt")}
    assert {name.split("/")[1]: content for name, content in tables(packaged).items()}.items() <= (
        back.items()
    )
    table = sorted(packaged.glob("*_models/*.txt"))[-1]
    assert "BatchNorm2d" in nnlc("rebuild", table)


def test_the_list_of_networks_is_one_as_it_stands():
    [code] = [code for language, code in BLOCKS if language == "python" and "CELLS" in code]
    names: dict = {"__name__": __name__}
    exec(code, names)
    kind = check_class(names["Cells"])
    assert (kind.groups, len(kind.columns)) == ((1, 1), 6)
    cells = [kind().specify(None, None, 1, number) for number in range(15_625)]
    assert len({tuple(cell.values()) for cell in cells}) == 15_625
    assert cells[0].keys() == {*kind.columns, "batch_size", "learning_rate", "momentum"}
    assert kind(first=9000).specify(None, None, 1, 100) == cells[9100]
    with pytest.raises(ValueError, match="none has number 15625"):
        kind().specify(None, None, 1, 15_625)


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading of the page."""
    text = documents.text_of(DOCUMENT).split(f"\n## {heading}")[1].split("\n## ")[0]
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


def test_the_page_has_every_kind_of_column_and_every_setting_of_a_recipe():
    kinds = {cells[0] for cells in rows("6. ")}
    assert {f"`{kind}`" for kind in KINDS} <= kinds
    told = "".join(" ".join(cells) for cells in rows("8. "))
    settings = TrainingSection.model_fields.keys() - set(_ARTICLES)
    assert {name for name in settings if f"`{name}`" not in told} == set()


def test_the_page_explains_every_line_of_the_check(reader):
    _, ended = reader
    number = next(number for number in SHELL if "check-family" in BLOCKS[number][1])
    parts = re.findall(r"^ok +(\w+)", ended[number].output, re.MULTILINE)
    told = re.findall(r"`(\w+)`", " ".join(cells[0] for cells in rows("11. ")))
    assert parts == told
