"""What a start says before it loses hours of training."""

from collections import Counter
from pathlib import Path

import pytest

from nnlc.results.mixture import Mixture
from nnlc.upgrading.outlook import Outlook, start_lines


def foreign(number, *differences, seconds=1800.0, nnlc=None):
    about = {"id": f"id{number}", "path": f"c/{number}.ckpt", "nnlc": nnlc, "seconds": seconds}
    return about | {"differences": [*differences], "older_ways": []}


TORCH = ("versions.torch", "'2.13.0'", "'2.14.1'")
ARITHMETIC = ("versions.arithmetic", "'1'", "'2'")
DEVICE = ("device.name", "'A100'", "'H100'")


def lines(*several, go_on=(), elsewhere=(), mixture=None):
    outlook = Outlook.of({"go_on": [*go_on], "foreign": [*several]})
    return start_lines(outlook, mixture, 12, Path("results/my curves"), elsewhere)


def test_nothing_is_said_where_nothing_is_lost():
    assert lines() == lines(go_on=["a", "b"]) == []


def test_three_lines_say_what_stays_what_is_lost_and_how_to_go_back():
    assert lines(foreign(1, ARITHMETIC), foreign(2, ARITHMETIC, seconds=90), go_on=["a"]) == [
        "warning: 12 tables stay valid",
        "warning: 1 network continues from checkpoints; 2 networks start again, and 0.5 h of "
        "training are lost: arithmetic was '1' and is '2'",
        "warning: to keep this training, end this job; the old checkpoints stay until their tables "
        "exist, and need nnlc 0.1.0; nnlc upgrade 'results/my curves' --dry-run says more",
    ]


def test_tables_of_another_arithmetic_are_told_with_the_tables_that_stay_or_alone():
    mixture = Mixture(12, Counter({("1", "2"): 5}))
    words = "tables come from another arithmetic than today's: of 12 tables, 5 have arithmetic 1"
    assert lines(mixture=mixture) == [f"warning: {words} instead of 2"]
    [stay, *_] = lines(foreign(1, TORCH), mixture=mixture)
    assert stay == f"warning: 12 tables stay valid; {words} instead of 2"


def test_what_another_job_has_is_not_lost_unless_that_ends_too_early():
    theirs = (
        "warning: 1 network is under way in another job; if that job ends without the tables, this "
        "job starts again, and 0.5 h of training are lost: device name was 'A100' and is 'H100'"
    )
    assert lines(foreign(1, DEVICE), elsewhere={"id1"}) == [theirs]
    both = lines(foreign(1, DEVICE), foreign(2, TORCH), elsewhere={"id1"})
    assert both == [*lines(foreign(2, TORCH)), theirs]


def test_each_reason_is_told_with_how_often_it_occurs():
    found = lines(foreign(3, DEVICE, TORCH), foreign(1, TORCH), foreign(2, TORCH))
    assert (
        "are lost: torch was '2.13.0' and is '2.14.1' (2); device name was 'A100' and is 'H100', "
        "torch was '2.13.0' and is '2.14.1' (1)"
    ) in found[1]
    assert "need device name 'A100', torch '2.13.0';" in found[2]


def test_a_short_training_is_told_in_seconds_and_a_checkpoint_that_was_renamed_as_such():
    found = lines(foreign(1, seconds=90))
    assert found[1].endswith("and 90 s of training are lost: its file has another name")
    assert "need the former name of its file;" in found[2]


def test_many_reasons_are_cut():
    several = [("settings.MKL_CBWR", f"'{number}'", "None") for number in range(5)]
    found = lines(*(foreign(i, one) for i, one in enumerate(several)))
    assert found[1].endswith("MKL_CBWR was '2' and is None (1); and 2 more reasons")
    assert "need MKL_CBWR '0', MKL_CBWR '1', MKL_CBWR '2';" in found[2]
    assert lines(foreign(1, *several))[1].endswith("MKL_CBWR was '2' and is None")


def test_what_brings_an_older_arithmetic_back_is_told_in_place_of_the_nnlc_that_had_it():
    ways = {"older_ways": ['training.masks = "first"', "nnlc before 0.6"]}
    found = lines(foreign(1, ARITHMETIC, nnlc="0.1.0") | ways)
    assert 'need training.masks = "first", nnlc before 0.6;' in found[2]


@pytest.mark.parametrize("key", ["format", "versions.arithmetic"])
def test_what_another_nnlc_alone_can_use_needs_that_one(key):
    assert "need nnlc 0.4.0;" in lines(foreign(1, (key, "'4'", "'2'"), nnlc="0.4.0"))[2]
