"""Whether a campaign's tables come from one arithmetic."""

from dataclasses import replace

import pytest
from small_networks import SAMPLE, spec

from nnlc.campaign.campaign import CampaignNetwork, TrainingSection
from nnlc.families import arithmetic
from nnlc.families.arithmetic import Change
from nnlc.families.article.family import ARTICLE
from nnlc.results.history import Finish
from nnlc.results.mixture import mixture_of

PLAIN = spec(dropout_rate=0, layer_types=(3,))
WITH = replace(spec(), id="2026_01_01_00_00_00_000001")
NETWORKS = [CampaignNetwork(0, SAMPLE, PLAIN, ARTICLE), CampaignNetwork(1, SAMPLE, WITH, ARTICLE)]


@pytest.fixture
def changes(monkeypatch):
    """Arithmetic 2 for networks with dropout, and 3 for all that are trained on GPUs."""
    made = (
        Change("0.5", "masks", lambda spec, *_: bool(spec.dropout_rate)),
        Change("0.7", "graphs", lambda *about: about[-1] == "cuda"),
    )
    monkeypatch.setattr(arithmetic, "CHANGES", made)


def mixture(plain, with_dropout, *, gpus=False, standing=None):
    units = 108 if gpus else None
    said = {PLAIN.id: plain, WITH.id: with_dropout}
    finishes = {
        id_: Finish(device="a", multiprocessors=units, versions={"arithmetic": word})
        for id_, word in said.items()
        if word is not None
    }
    return mixture_of(NETWORKS, TrainingSection(), finishes, standing or said)


@pytest.mark.parametrize(
    ("plain", "with_dropout", "gpus", "mixed"),
    [
        ("1", "2", False, False),  # all of today
        ("1", "1", False, False),  # all of before
        ("3", "3", True, False),
        ("1", "2", True, False),  # all of arithmetic 2, which touched one of them
        ("3", "1", True, True),
        ("1", "3", True, True),
        (None, "1", False, False),
        ("1", "7", False, True),  # of an nnlc to come
        ("7", "7", False, False),
    ],
)
def test_tables_are_mixed_where_no_version_of_nnlc_makes_them_all(
    changes, plain, with_dropout, gpus, mixed
):
    assert mixture(plain, with_dropout, gpus=gpus).is_mixed is mixed


@pytest.mark.parametrize(
    ("plain", "with_dropout", "mixed"),
    [
        ("3", "3 without 2", False),
        ("3", "3", False),
        ("1", "1", False),
        ("3", "1", True),
        ("1", "3 without 2", True),
    ],
)
def test_tables_of_a_campaign_that_kept_an_old_way_are_of_one_arithmetic_when_it_is_given_up(
    monkeypatch, plain, with_dropout, mixed
):
    made = (
        Change("0.5", "masks", lambda spec, *_: bool(spec.dropout_rate), ("pooling", "average")),
        Change("0.7", "graphs", lambda *_: True),
    )
    monkeypatch.setattr(arithmetic, "CHANGES", made)
    assert mixture(plain, with_dropout).is_mixed is mixed


def test_words_say_how_many_come_from_which_and_what_has_changed(changes):
    words = mixture("3", "1", gpus=True).words
    assert words == (
        "tables come from two arithmetics: of 2 tables, 1 has arithmetic 1 instead of 3; "
        "arithmetic 2 came with nnlc 0.5: masks; arithmetic 3 came with nnlc 0.7: graphs"
    )
    assert mixture("1", "1").words.startswith("tables come from another arithmetic than today's: ")
    assert mixture("1", "2").words == ""


def test_words_name_no_change_that_does_not_touch_a_network_of_another_arithmetic(changes):
    words = mixture("1", "3", gpus=True).words
    assert "1 has arithmetic 1 instead of 3" in words
    assert "masks" not in words
    assert "graphs" in words


def test_only_tables_that_stand_count(changes):
    assert not mixture("3", "1", gpus=True, standing=[WITH.id]).is_mixed
    assert mixture("3", "1", gpus=True, standing=[WITH.id]).tables == 1


def test_where_the_first_arithmetic_is_kept_no_network_is_looked_at():
    def networks():
        raise AssertionError
        yield

    finishes = {"a": Finish(versions={"nnlc": "0.1.0"}), "b": Finish()}
    found = mixture_of(networks(), TrainingSection(convolutions="direct"), finishes, finishes)
    assert (found.tables, found.words, found.is_mixed) == (1, "", False)
