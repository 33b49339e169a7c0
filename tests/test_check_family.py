"""`nnlc check-family`: whatever a family does, there is a verdict, and no traceback of nnlc's."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from signal import SIGINT, SIGKILL

import numpy as np
import pytest
from limits import HANG_SECONDS
from test_cli import run_nnlc
from worker_jobs import TINY

from nnlc import NnlcError, load_campaign

FAMILIES = Path(__file__).parent / "families"


@pytest.fixture
def check(tmp_path, monkeypatch, capfd):
    """Check a family of tests/families/broken.py; return status, and all that was printed."""
    shutil.copy(FAMILIES / "broken.py", tmp_path)
    monkeypatch.chdir(tmp_path)

    def checked(family, networks=6, images="F-MNIST-sample"):
        words = ("check-family", family, "--networks", networks, "--images", images)
        done = run_nnlc(*words)
        printed = capfd.readouterr()
        assert "Traceback" not in done.stderr + printed.err
        return done.returncode, done.stdout, done.stderr + printed.err

    return checked


def parts(told: str) -> list[str]:
    """Return verdict and part of each line."""
    return [" ".join(found) for found in re.findall(r"^(ok|wrong|note) +(\w+)", told, re.MULTILINE)]


def test_a_family_without_fault_passes_every_part_and_costs_what_it_costs(check, tmp_path):
    arrays = {}
    for split, count in (("train", 400), ("validation", 100)):
        arrays[f"{split}_images"] = np.arange(count * 2 * 8 * 8, dtype=np.uint8).reshape(
            -1, 2, 8, 8
        )
        arrays[f"{split}_labels"] = np.arange(count) % 5
    np.savez(tmp_path / "own.npz", **arrays)
    status, told, _ = check("broken:Whole", 4, "own.npz")
    assert status == 0, told
    names = "class settings specify load again module count train table check layers"
    assert parts(told) == [f"ok {name}" for name in names.split()]
    pixels, classes = 2 * 2 * 2, 5
    rows = re.findall(r"^ +1 +(\d) +100 +(\S+) +(\S+) +([0-9.]+) GB +\S+ s +\S+ s$", told, re.M)
    assert [number for number, *_ in rows] == list("0123")
    for _, parameters, multiply_adds, memory in rows:
        width = (int(parameters) - classes) / (pixels + 3 + classes)
        assert width in range(2, 7)
        assert int(multiply_adds) == width * (pixels + classes)
        assert 0.3 < float(memory) < 2
    assert told.endswith("broken:Whole: fit for campaigns\n")
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix) == [
        "broken.py",
        "own.npz",
    ]


EARLY = {
    "nowhere:Whole": ("class", "there is no module nowhere in "),
    "broken:Absent": ("class", "module broken has no class Absent"),
    "broken:Bare": ("class", "is no subclass of nnlc.families.Family"),
    "broken:Spaced": ("class", "'two words' is no name of a column"),
    "broken:Unsettled": ("class", "ValueError: widest = 3 is too small"),
    "broken:Global": ("specify", "number 5 of group 1: width is "),
    "broken:Leaves": ("specify", "raised SystemExit: enough"),
    "broken:Vanishes": (
        "specify",
        "number 1 of group 1: its code ended this process with status 0",
    ),
    "nobody": ("class", "nnlc has no family of this name"),
}


@pytest.mark.parametrize("family", EARLY)
def test_a_fault_that_shows_without_torch_is_a_verdict(family, check):
    status, told, _ = check(family)
    part, text = EARLY[family]
    assert status == 1
    assert f"wrong {part}" in parts(told)
    assert text in told
    assert re.search(rf"^{family}: \d+ faults?; ", told, re.MULTILINE)


def test_faults_of_several_networks_are_found_part_by_part_and_leave_the_others_alone(check):
    status, told, printed = check("broken:Several")
    assert status == 1
    assert [part for part in parts(told) if part.startswith("wrong")] == [
        *("wrong module", "wrong module", "wrong check", "wrong layers"),
    ]
    lines = told.splitlines()
    module = next(at for at, line in enumerate(lines) if line.startswith("wrong  module"))
    assert "number 1 of group 1: " in lines[module]
    assert "AttributeError: 'Several' object has no attribute 'missing'" in lines[module]
    assert re.search(
        r"broken.py, line \d+, in normalisation: .*self.missing\(spec\)", lines[module + 2]
    )
    assert re.search(r"number 2 of group 1: .*'steps'.* in a step, and no file keeps it", told)
    assert "number 3 of group 1: check finds width = " in told
    assert re.search(r"ok +train +4 networks", told)
    assert "hello" in printed
    assert "hello" not in told


@pytest.mark.parametrize(
    ("family", "verdict"),
    {
        "broken:Unordered": r"wrong +again +number 0 of group 1: width is .* another process draws",
        "broken:Crashes": r"wrong +module +number 1 of group 1: its code ended this .* by SIGSEGV",
    }.items(),
)
def test_a_fault_that_shows_in_another_process_is_a_verdict(family, verdict, check):
    status, told, _ = check(family, 2)
    assert status == 1
    assert re.search(verdict, told), told


def test_a_family_that_lists_its_networks_is_asked_for_no_more_than_a_campaign_has(tmp_path):
    shutil.copy(FAMILIES / "broken.py", tmp_path)
    campaign = tmp_path / "listed.toml"
    text = TINY[: TINY.index("[space]")].replace("_per_depth = 3", "_per_group = {}")
    text = text.replace("depths = [1, 2]", "").replace("epochs", 'family = "broken:Listed"\nepochs')
    campaign.write_text(text.format(2))
    assert [each.spec.width for each in load_campaign(campaign).networks()] == [3, 5]
    campaign.write_text(text.format(3))
    with pytest.raises(NnlcError, match=r"number 2 of group 1 .* IndexError: .*broken.py, line"):
        list(load_campaign(campaign).networks())


@pytest.mark.parametrize("number", [SIGINT, SIGKILL])
def test_the_check_of_a_family_that_never_answers_ends_with_its_command(number, tmp_path):
    shutil.copy(FAMILIES / "broken.py", tmp_path)
    words = [sys.executable, "-m", "nnlc", "check-family", "broken:Endless"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as check:
        assert check.stderr.readline() == "endless\n"
        check.send_signal(number)
        told = check.communicate(timeout=HANG_SECONDS)[1]
    assert "Traceback" not in told
    assert check.returncode == (130 if number == SIGINT else -SIGKILL)


MISTAKES = {
    "no name of a family": ("three words here", "F-MNIST-sample", "is no family: give the name"),
    "the article's": ("article", "F-MNIST-sample", "there is nothing to check"),
    "unknown images": ("residual", "CIFAR10", "did you mean 'CIFAR-10'?"),
    "an absent file": ("residual", "no.npz", "no.npz: no such file"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_in_the_command_is_one_message(kind, check):
    family, images, text = MISTAKES[kind]
    status, told, complained = check(family, images=images)
    assert (status, told) == (1, "")
    assert complained.startswith("error: ")
    assert text in complained
