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
from own_families import IMAGES, family_of, network_of
from test_cli import run_nnlc
from worker_jobs import TINY

from nnlc import NnlcError, load_campaign
from nnlc.errors import SpecError
from nnlc.families.purity import Place
from nnlc.networks.recipe import TrainingSection
from nnlc.training.family_sample import Setting, _specified, numbers
from nnlc.training.family_verdicts import Verdicts

FAMILIES = Path(__file__).parent / "families"


@pytest.fixture
def check(tmp_path, monkeypatch, capfd):
    """Check a family of tests/families/broken.py; return status, and all that was printed."""
    shutil.copy(FAMILIES / "broken.py", tmp_path)
    monkeypatch.chdir(tmp_path)

    def checked(family, networks=6, images="F-MNIST-sample", campaign=None):
        words = ("check-family", *([family] if family else []), "--networks", networks)
        words += ("--images", images) if images else ()
        words += ("--campaign", campaign) if campaign else ()
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
    rows = re.findall(r"^ +1 +(\d+) +100 +(\S+) +(\S+) +([0-9.]+) GB +\S+ s +\S+ s$", told, re.M)
    assert [number for number, *_ in rows] == ["0", "1", "1414", "999999"]
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
    "broken:Global": ("specify", "number 0 of group 1 for F-MNIST-sample: width is "),
    "broken:Leaves": ("specify", "raised SystemExit: enough"),
    "broken:Vanishes": (
        "specify",
        "number 1 of group 1 for F-MNIST-sample: its code ended this process with status 0",
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
    status, told, printed = check("broken:Several", 10)
    assert status == 1
    assert [part for part in parts(told) if part.startswith("wrong")] == [
        *("wrong module", "wrong module", "wrong check", "wrong layers"),
    ]
    lines = told.splitlines()
    module = next(at for at, line in enumerate(lines) if line.startswith("wrong  module"))
    assert "number 1 of group 1 for F-MNIST-sample: " in lines[module]
    assert "AttributeError: 'Several' object has no attribute 'missing'" in lines[module]
    assert re.search(
        r"broken.py, line \d+, in normalisation: .*self.missing\(spec\)", lines[module + 2]
    )
    assert re.search(
        r"number 2 of group 1 for F-MNIST-sample: .*'steps'.* in a step, and no file keeps it", told
    )
    assert "number 3 of group 1 for F-MNIST-sample: check finds width = " in told
    assert re.search(r"ok +train +8 networks", told)
    assert "hello" in printed
    assert "hello" not in told


@pytest.mark.parametrize(
    ("family", "verdict"),
    {
        "broken:Unordered": r"wrong +again +number 0 of group 1 .*: width is .* another process",
        "broken:Crashes": r"wrong +module +number 1 of group 1 .*: its code ended .* by SIGSEGV",
    }.items(),
)
def test_a_fault_that_shows_in_another_process_is_a_verdict(family, verdict, check):
    status, told, _ = check(family, 3)
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


CAMPAIGN = """
name = "mine"
family = "broken:Lengthy"
seed = 5
stamp = 2026-01-02T03:04:05
epochs = 3
[datasets.F-MNIST-sample]
networks_per_group = 3
[datasets.CIFAR-10]
networks_per_group = 1
[space]
length = 2
[training]
optimizer = "Adam"
schedule = "cosine"
warmup_epochs = 2
augmentation = ["flip"]
"""


def test_a_campaigns_networks_are_checked_with_its_settings_images_and_recipe(check, tmp_path):
    """The class's check never ends, and with the default length there is one network."""
    (tmp_path / "mine.toml").write_text(CAMPAIGN)
    status, told, _ = check(None, 6, None, "mine.toml")
    assert re.search(r"ok +settings +length = 2$", told, re.MULTILINE), told
    assert re.search(r"ok +train +4 networks", told)
    rows = re.findall(r"^ +1 +(\d) .*  (\S+)$", told, re.MULTILINE)
    assert rows == [*(("0123"[n], "F-MNIST-sample") for n in range(3)), ("0", "CIFAR-10")]
    fault = (
        "number 0 of group 1 for F-MNIST-sample: check names a column 'wide'; did you mean 'width'"
    )
    assert fault in told
    assert (status, told.splitlines()[-1].partition(";")[0]) == (
        1,
        "broken:Lengthy of mine.toml: 4,000 faults",
    )


@pytest.mark.parametrize(
    ("family", "images", "words"),
    [
        ("broken:Whole", None, "mine.toml: its family is broken:Lengthy, not broken:Whole"),
        (None, "MNIST", "--images is for checks without --campaign"),
    ],
)
def test_a_campaign_and_what_contradicts_it_are_refused(family, images, words, check, tmp_path):
    (tmp_path / "mine.toml").write_text(CAMPAIGN)
    status, told, complained = check(family, 1, images, "mine.toml")
    assert (status, told) == (1, "")
    assert words in complained


def test_numbers_of_a_sample_are_the_lowest_and_some_up_to_the_last():
    assert numbers(5, 3) == [0, 1, 2]
    assert numbers(4, 4) == [0, 1, 2, 3]
    assert numbers(4, 5) == [0, 1, 3, 4]
    assert numbers(1, 9) == [0]
    assert numbers(6, 15_625) == [0, 1, 2, 52, 901, 15_624]
    for count in range(1, 60):
        for most in range(1, 70):
            found = numbers(count, most)
            assert len(found) == min(count, most)
            assert found == sorted(set(found))
            assert found[0] == 0
            assert (found[-1] < most) if count == 1 else (found[-1] == most - 1 or count > most)


def drawn(specify, places, *, may_end=True):
    """Numbers of the networks that are right, and all verdicts."""
    family = family_of(lambda spec, images: None)
    object.__setattr__(family.family, "specify", specify)
    setting = Setting(family, {IMAGES.name: IMAGES}, TrainingSection(), 1, 0)
    said = []
    found = _specified(setting, places, Verdicts(said.append), may_end=may_end)
    numbers = [place.number for place, _ in found]
    return numbers, [each["text"] for each in said if each["kind"] == "verdict"]


def test_a_family_that_has_no_high_numbers_is_right_unless_a_campaign_asks_for_them():
    def fails(*wrong):
        def specify(draws, images, group, number):
            if number in wrong:
                raise ValueError(f"none has number {number}")
            return {"width": number, "batch_size": 20, "learning_rate": 0.1}

        return specify

    places = [Place(IMAGES.name, 1, number) for number in (0, 1, 5, 80)]
    found, said = drawn(fails(5, 80), places)
    assert found == [0, 1]
    assert said[0] == "note   specify   there is no number 5 of group 1 for few: none has number 5"
    assert said[1].startswith("ok     specify   2 networks for few, groups 1 to 1: ")
    for wrong, may_end, words in (
        ((5,), True, "none has number 5 (…); but there is a number 80 of group 1 for few"),
        ((0, 1, 5, 80), True, "number 0 of group 1 for few: specify raised ValueError: none"),
        ((80,), False, "number 80 of group 1 for few: specify raised ValueError: none has"),
    ):
        _, said = drawn(fails(*wrong), places, may_end=may_end)
        assert said[0].startswith("wrong  specify   number ")
        assert words in re.sub(r"\(\S+, line \d+\)", "(…)", said[0])
        assert sum(each.startswith("wrong") for each in said) == 1


def test_values_of_the_training_that_train_nothing_are_refused():
    for name, value, words in (
        ("learning_rate", 0.0, "above 0"),
        ("learning_rate", -0.1, "above 0"),
        ("learning_rate", float("inf"), "above 0"),
        ("momentum", 1.0, "from 0 and below 1"),
        ("dampening", 1.5, "from 0 to 1"),
        ("weight_decay", -0.1, "from 0, "),
        ("batch_size", 15, "number of whole batches: 13 and 17 would fit"),
        ("batch_size", 41, "between 1 and 40, the number of validation images of few: 40 would"),
        ("batch_size", 0, "number of validation images of few: 1 would fit"),
    ):
        with pytest.raises(SpecError, match=f"number 0 of group 1 for few.: {name}.*{words}"):
            network_of(lambda spec, images: None, **{name: value})


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
    "no family at all": (None, "F-MNIST-sample", "give the name of a family, or a campaign"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_in_the_command_is_one_message(kind, check):
    family, images, text = MISTAKES[kind]
    status, told, complained = check(family, images=images)
    assert (status, told) == (1, "")
    assert complained.startswith("error: ")
    assert text in complained
