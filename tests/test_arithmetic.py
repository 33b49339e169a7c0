"""The arithmetic's version: what each network's is, and that it rises when bits change."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_networks import SAMPLE, spec

from nnlc.campaign.campaign import TrainingSection
from nnlc.families import arithmetic
from nnlc.families.arithmetic import (
    Change,
    arithmetic_of,
    fingerprint,
    has_change,
    keep_choices,
    older_ways,
    oldest_choices,
    settings_for,
    version,
)

ROOT = Path(__file__).resolve().parent.parent


BEFORE = "nnlc before 0.9"


class Settings(TrainingSection):
    """As they may be one day: two choices between an old way and a new one."""

    masks: str = "second"
    convolutions: str = "auto"
    smoothing: float = 0.0
    scales: tuple[int, ...] = (1, 2)


def change(what, touches=lambda *_: True, keeps=None):
    return Change("0.9", what, touches, keeps)


@pytest.fixture
def changes(monkeypatch):
    def has_dropout(spec, *_):
        return bool(spec.dropout_rate)

    def on_gpu(_spec, _images, _settings, device):
        return device == "cuda"

    made = (
        change("masks", has_dropout, ("masks", "first")),
        change("convolutions", keeps=("convolutions", "direct")),
        change("graphs", on_gpu),
    )
    monkeypatch.setattr(arithmetic, "CHANGES", made)


def own(settings=None, device="cpu", **changes):
    return arithmetic_of(spec(**changes), SAMPLE, settings or Settings(), device)


def test_a_network_has_the_arithmetic_of_what_touches_it(changes):
    assert version() == 4
    assert own() == "3"
    assert own(device="cuda") == "4"
    plain = {"dropout_rate": 0, "layer_types": (3,)}
    assert own(Settings(convolutions="direct"), **plain) == "1"


def test_an_old_way_that_is_kept_leaves_the_arithmetic_as_it_was(changes):
    assert own(Settings(convolutions="direct")) == "2"
    assert own(Settings(convolutions="direct", masks="first")) == "1"
    assert own(Settings(masks="first")) == "3 without 2"
    both = Settings(convolutions="direct", masks="first")
    assert own(both, device="cuda") == "4 without 2 and 3"


@pytest.mark.parametrize(
    ("words", "number", "has"),
    [
        ("3", 3, True),
        ("3", 4, False),
        ("4 without 2 and 3", 2, False),
        ("4 without 2 and 3", 4, True),
        ("14 without 12", 2, True),
        ("four", 2, None),
        ("", 2, None),
    ],
)
def test_an_arithmetic_in_words_says_which_changes_it_has(words, number, has):
    assert has_change(words, number) is has


def test_a_way_that_is_older_than_the_old_one_is_kept_through_every_later_change(monkeypatch):
    made = (
        change("a", keeps=("convolutions", "direct")),
        change("b"),
        change("c", keeps=("convolutions", "blocked")),
    )
    monkeypatch.setattr(arithmetic, "CHANGES", made[:1])
    assert own(Settings(convolutions="direct")) == "1"
    monkeypatch.setattr(arithmetic, "CHANGES", made)
    assert own(Settings(convolutions="direct")) == "3 without 2"
    assert own(Settings(convolutions="blocked")) == "3"
    assert own(Settings(convolutions="auto")) == "4"
    assert oldest_choices() == {"convolutions": "direct"}


@pytest.mark.parametrize(
    ("settings", "device", "said", "ways"),
    [
        (Settings(), "cpu", "1", ['training.convolutions = "direct"', 'training.masks = "first"']),
        (Settings(), "cpu", "2", ['training.convolutions = "direct"']),
        (Settings(masks="first"), "cuda", "1", ['training.convolutions = "direct"', BEFORE]),
        (Settings(masks="first", convolutions="direct"), "cuda", "1", [BEFORE]),
        (Settings(), "cuda", "9", []),
    ],
)
def test_what_brings_an_older_arithmetic_back_are_settings_and_a_release(
    changes, settings, device, said, ways
):
    assert older_ways(said, spec(), SAMPLE, settings, device) == ways


def test_a_change_that_does_not_touch_a_network_need_not_be_undone(changes):
    plain = spec(dropout_rate=0, layer_types=(3,))
    told = older_ways("1", plain, SAMPLE, Settings(convolutions="direct"), "cuda")
    assert told == [BEFORE]


def test_settings_follow_what_an_arithmetic_of_a_later_nnlc_says_of_known_changes(changes):
    found = settings_for("9 without 2", spec(), SAMPLE, Settings(), "cpu")
    assert (found.masks, found.convolutions) == ("first", "auto")
    assert settings_for("?", spec(), SAMPLE, Settings(), "cpu") == Settings()


WAYS = st.sampled_from(["direct", "blocked", "auto"])


@given(masks=st.sampled_from(["first", "second"]), convolutions=WAYS)
def test_settings_can_be_had_for_every_arithmetic_that_they_made(masks, convolutions):
    """So that a table can be trained again in the way in which it was made."""
    patch = pytest.MonkeyPatch()
    with patch.context() as context:
        made = (
            change("a", keeps=("masks", "first")),
            change("b", keeps=("convolutions", "direct")),
            change("c"),
            change("d", keeps=("convolutions", "blocked")),
        )
        context.setattr(arithmetic, "CHANGES", made)
        wanted = Settings(masks=masks, convolutions=convolutions, pooling="average")
        said = own(wanted)
        for start in (Settings(pooling="average"), Settings(masks="first", pooling="average")):
            found = settings_for(said, spec(), SAMPLE, start, "cpu")
            assert own(found) == said
            assert found == wanted


def test_what_a_campaign_file_does_not_say_stays_as_the_results_folder_has_it(changes):
    standing = Settings(masks="first", convolutions="direct", smoothing=0.5)
    found = keep_choices(Settings(convolutions="auto"), standing)
    assert (found.masks, found.convolutions, found.smoothing) == ("first", "auto", 0.0)
    assert oldest_choices() == {"masks": "first", "convolutions": "direct"}


def test_a_campaign_older_than_two_changes_of_one_setting_has_its_oldest_way(monkeypatch):
    made = (change("a", keeps=("masks", "first")), change("b", keeps=("masks", "second")))
    monkeypatch.setattr(arithmetic, "CHANGES", made)
    assert oldest_choices() == {"masks": "first"}


def test_a_checkpoint_knows_no_setting_that_came_later_and_says_nothing(changes):
    """Those of 0.1.0 have these four, whatever settings there are by now."""
    assert fingerprint(TrainingSection()) == {
        "pixels": "unit",
        "pooling": "max",
        "dropout": "element",
        "truncate": "dataset",
    }
    assert fingerprint(Settings(masks="first")) == fingerprint(TrainingSection())
    assert fingerprint(Settings(smoothing=0.1)) == fingerprint(TrainingSection()) | {
        "smoothing": 0.1
    }


def test_each_arithmetic_has_its_line_in_the_changelog():
    text = (ROOT / "CHANGELOG.md").read_text()
    named = {int(number) for number in re.findall(r"\barithmetic ([0-9]+)\b", text, re.IGNORECASE)}
    assert named >= set(range(1, version() + 1))
    assert max(named) == version()
