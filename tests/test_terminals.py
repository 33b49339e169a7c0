"""What a terminal can't show, and what looks like markup: no verb ends otherwise for it."""

import io
import os
import re

import numpy as np
import pytest
from export_samples import three_exported, three_tables
from test_cli import run_nnlc
from typer.main import get_command

from nnlc.campaign.campaign import load_campaign
from nnlc.cli import app
from nnlc.launching.render import Request, render_script
from nnlc.ranks.live_display import LiveDisplay
from nnlc.ranks.progress import Progress
from nnlc.results.folder import ResultsFolder
from nnlc.schedulers.site import load_site
from nnlc.tables import Row

NASTY = os.fsdecode("ü[old] [/x]\n:smile: $x$ \x1b[31m".encode() + b"\xff")
"""Beyond ASCII, markup, a new line, a terminal's command, and a byte that is no letter."""

VERBS = {
    "campaigns": "campaigns",
    "keys": "keys|keys site",
    "specs": "specs {campaign}|specs {campaign} --csv -|specs {campaign} --csv {new}",
    "stage": "stage {campaign} --root {new}",
    "describe": "describe {images}",
    "check-family": "check-family {campaign} --images {images}",
    "status": "status {results}",
    "upgrade": "upgrade {results}",
    "retry": "retry {results}",
    "spent": "spent {results}",
    "notify": "notify {results} --command true",
    "grow": "grow {results} {campaign} --dry-run",
    "show": "show {table}",
    "plan": "plan {campaign} --site summit --results {new}",
    "calibrate": "calibrate {results}",
    "render": "render {campaign} --site local --nodes 1 --results {new}",
    "submit": "submit {campaign} --site slurm --results {new} --dry-run",
    "cancel": "cancel {results}",
    "sites": "sites|sites --plan {campaign} --results {new}",
    "doctor": "doctor {absent}",
    "lint": "lint {script} --site slurm",
    "metrics": "metrics {tables}|metrics {tables} --columns path|metrics {tables} -o {new}",
    "importance": "importance {tables}",
    "audit": "audit {tables}|audit {tables} --json --all",
    "rebuild": "rebuild {table}|rebuild {table} --python",
    "verify": "verify {absent}",
    "merge": "merge {tables} -o {new}",
    "subset": "subset {tables} -o {new} --depth 1-",
    "export": "export {tables} -o {new} --format csv",
    "import": "import {export} -o {new}",
    "predict": "predict {tables} --method last1 --target 1|predict {tables} --list",
    "compare": "compare {tables} --methods last1 --target 1 --cutoffs 0.5 -o {new}",
    "plot": "plot {tables} -o {new}.svg",
    "report": "report {tables} -o {new}",
    "serve": "serve {results} --port 70000",
}
"""What each verb is asked for; several are parted by |."""
REFUSED = (
    "calibrate",
    "check-family",
    "describe",
    "doctor",
    "grow",
    "render",
    "serve",
    "submit",
    "verify",
)
STATUSES = dict.fromkeys(REFUSED, 1) | {"audit": 4}
"""A setting of a script is one line, a port is below 65536, and so on."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("terminals") / NASTY
    found.mkdir(parents=True)
    (found / "my.toml").write_text('extends = "smoke"\nname = "mine"\n')
    three_tables(found / "tables")
    (found / "before").mkdir()
    three_exported(found / "before", "csv")
    np.savez(found / "images.npz", x_train=np.zeros(3))
    ResultsFolder(found / "results").open(load_campaign(str(found / "my.toml")))
    request = Request(campaign="smoke", nodes=1)
    (found / "job.sh").write_text(render_script(request, load_site("slurm")))
    return found


def paths(folder, new):
    return {
        "campaign": folder / "my.toml",
        "images": folder / "images.npz",
        "results": folder / "results",
        "tables": folder / "tables",
        "table": next((folder / "tables").rglob("*.txt")),
        "export": folder / "before" / "export",
        "script": folder / "job.sh",
        "absent": folder / "absent",
        "new": new,
    }


def run(words, encoding):
    """Run the command in this process as in a terminal of this encoding: status and all it said."""
    done = run_nnlc(*words, encoding=encoding)
    return done.returncode, done.stdout + done.stderr


def check(words_of):
    """See that a command ends alike in every encoding.

    Args:
        words_of: gives the command's words for a name of the encoding.
    """
    said = {}
    for encoding in ("utf-8", "ascii"):
        said[encoding] = run(words_of(encoding), encoding)
        assert "Traceback" not in said[encoding][1]
        if "path" not in words_of(encoding):  # a CSV file has what is so
            assert "\x1b" not in said[encoding][1]
    statuses = {encoding: status for encoding, (status, _) in said.items()}
    assert len(set(statuses.values())) == 1, said
    counts = {encoding: text.count("[old]") for encoding, (_, text) in said.items()}
    assert len(set(counts.values())) == 1, said
    assert "ü" not in said["ascii"][1]
    return said["ascii"]


def test_every_verb_is_tried():
    assert VERBS.keys() == get_command(app).commands.keys()


@pytest.mark.parametrize("command", [c for verb in VERBS.values() for c in verb.split("|")])
def test_no_letter_changes_how_a_verb_ends(folder, tmp_path, command):
    def words(encoding):
        known = paths(folder, tmp_path / NASTY / encoding)
        known["new"].parent.mkdir(parents=True, exist_ok=True)
        return [word.format(**known) for word in command.split()]

    status, text = check(words)
    assert status == STATUSES.get(command.split()[0], 0), text


@pytest.mark.parametrize("verb", VERBS)
def test_no_letter_changes_how_a_verb_refuses(folder, tmp_path, verb):
    command = VERBS[verb].split("|")[0]
    if "{" in command:
        missing = dict.fromkeys(paths(folder, tmp_path), folder / "absent" / "deep")
        words = [word.format(**missing) for word in command.split()]
        status, text = check(lambda _: words)
        assert status == 1
        assert re.search(r"\?*\[old\] \[/x\]", text), text
    status, text = check(lambda _: [verb, f"--{NASTY}"])
    assert status == 2
    assert "[old]" in text
    status, text = check(lambda _: [NASTY, verb])
    assert status == 2
    assert "[old]" in text


def test_letters_that_latin_1_has_are_shown_in_it(folder):
    words = ["show", str(paths(folder, folder)["table"])]
    status, text = run(words, "latin-1")
    assert status == 0
    assert "?" in text  # the curve is drawn in dots that it lacks
    status, text = run(["show", str(folder / "absent")], "latin-1")
    assert "ü[old] [/x]" in text


FOR_PROGRAMS = (
    "render smoke --site local --nodes 1 --results ü",
    "describe ü/ü.npz",
    "metrics ü --columns path",
    "audit ü --json",
)


@pytest.mark.parametrize("command", FOR_PROGRAMS)
def test_what_is_meant_for_a_program_tells_of_letters_that_are_lost(monkeypatch, tmp_path, command):
    monkeypatch.chdir(tmp_path)
    three_tables(tmp_path / "ü" / "tables")
    pixels, labels = np.arange(8 * 64, dtype="uint8").reshape(8, 1, 8, 8), np.arange(8) % 3
    arrays = {"train_images": pixels, "train_labels": labels}
    arrays |= {"validation_images": pixels, "validation_labels": labels}
    np.savez(tmp_path / "ü" / "ü.npz", **arrays)
    words = command.split()
    status, text = run(words, "ascii")
    assert status in (0, STATUSES["audit"])
    assert "note: question marks replace characters that ascii lacks" in text
    status, text = run(words, "utf-8")
    assert "question marks" not in text


def test_no_character_of_a_file_commands_a_terminal(tmp_path):
    (tmp_path / "c.toml").write_text('extends = "smoke"\n"a\\u001b[2Jb\\u0007\\u202ec" = 1\n')
    status, text = run(["specs", str(tmp_path / "c.toml")], "utf-8")
    assert status == 1
    assert "a?[2Jb??c" in text
    (tmp_path / "export.json").write_text('{"nnlc_export": "\\u009b2J"}')
    status, text = run(["import", str(tmp_path), "-o", str(tmp_path / "x")], "utf-8")
    assert status == 1
    assert "\x9b" not in text
    assert "an export of version '\\x9b2J'" in text


@pytest.mark.parametrize("live", [False, True])
def test_no_line_of_a_job_commands_a_terminal(monkeypatch, live):
    shown = io.StringIO()
    monkeypatch.setattr("sys.stdout", shown)
    Progress("tiny", 10, shown, live=live).message(f"error: {NASTY}: no such folder")
    assert "[old] [/x]" in shown.getvalue()
    assert "\x1b" not in shown.getvalue()


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_a_narrow_terminal_or_log_hides_no_part_of_a_status(folder, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    status, text = run(["status", str(folder / "results")], "utf-8")
    assert status == 0
    assert "…" not in text


def test_a_live_display_of_80_columns_shows_whole_ids(monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr("sys.stdout", shown)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as for a terminal
    network = next(load_campaign("smoke").networks())
    display = LiveDisplay(80)
    display.start()
    display.show("0 of 2 networks done", [(network, 79, Row(1.0, 1.0, 99.9))])
    display.end()
    assert network.spec.id in shown.getvalue()
    assert "accuracy 99.9 %" in shown.getvalue()
    assert "…" not in shown.getvalue()
