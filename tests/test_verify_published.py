"""Published tables among seeds, and the sizes of differences."""

import dataclasses
import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from image_files import no_network, write_cifar100, write_svhn  # noqa: F401  the fixture
from small_networks import CPU, spec
from test_attempt import Agent
from test_verify import run

from nnlc import verify, write_table
from nnlc.families.article.family import ARTICLE
from nnlc.results.history import read_history
from nnlc.results.journal import Journal
from nnlc.tables import Row, Table
from nnlc.training.loaded_images import load_images
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.origin import origin_of
from nnlc.training.pixels import DeviceImages
from nnlc.verification import verifying
from nnlc.verification.curve_ranks import CurveRank
from nnlc.verification.differences import (
    Difference,
    present_circumstances,
    recorded_circumstances,
    row_differences,
)
from nnlc.verification.verify_text import verdict_lines

FINITE = st.floats(allow_nan=False, allow_infinity=False)


class TrainingHere:
    """What a trainer does, in this process and without its switches: torch is here already."""

    def __init__(self, campaign, images_root, device, threads):
        self._campaign, self._root, self.device, self.closed = campaign, images_root, "cpu", False
        self.circumstances: dict[str, str] = {}

    def train(self, spec, images, half_epochs, *, graphs=True) -> Iterator[Row]:
        section, settings = self._campaign.datasets[images.name], self._campaign.training
        pixels = DeviceImages(load_images(images, section, self._root), settings, CPU)
        SEEDS.append(spec.random_seed)
        yield from HalfEpochLoop(ARTICLE, spec, images, pixels, settings, half_epochs / 2)

    def close(self) -> None:
        self.closed = True


SEEDS: list[int] = []


@pytest.fixture(autouse=True)
def _trained_here(monkeypatch):
    monkeypatch.setattr(verifying, "TrainingProcess", TrainingHere)
    SEEDS.clear()
    kept = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(kept)


def published(path, **values):
    """A table of two half epochs that calls itself published."""
    network = spec(torch_set_deterministic=False, **values)
    rows = tuple(Row(2.0 / (i + 1), 1.5 / (i + 1), 10.0 * i) for i in range(2))
    write_table(Table(network, rows), path)
    return path


def difference(found: str, expected: str) -> Difference:
    return Difference(3, 2, "trainLoss", found, expected)


def test_a_published_table_has_its_place_among_seeds_with_its_loss_corrected(tmp_path):
    path = published(tmp_path / "t.txt", batch_size=300)
    (verdict,) = verify(path, half_epochs=1, seeds=2)
    assert not verdict.differs
    assert not verdict.identical
    assert verdict.seeds == 2
    first, second, third = verdict.places
    assert [p.column for p in verdict.places] == ["trainLoss", "valLoss", "valAcc"]
    # 1,000 validation images make three batches of 300 and a part of one.
    assert (first.value, second.value, third.value) == (2.0, 1.5 * 4 / 3, 0.0)
    assert len({*first.among}) == 2
    assert spec().random_seed not in SEEDS  # it is no better guess than any other
    (again,) = verify(path, half_epochs=1, seeds=2)
    assert again.places == verdict.places  # the seeds are the same every time
    text = "\n".join(verdict_lines(verdict))
    assert "with chance 67%" in text
    assert "valLoss (corrected): within the range in" in text


def test_a_published_table_is_never_a_failure_and_one_seed_has_no_deviation(tmp_path):
    path = published(tmp_path / "t.txt")
    job = run(path, "--half-epochs", 1, "--seeds", 1)
    assert job.exit_code == 0
    assert "published, the first 1 half epoch of 2 under 1 seed\n" in job.stdout
    assert "outside the range of 1 seed" in job.stdout
    assert "deviations" not in job.stdout
    assert job.stdout.endswith("\n1 published among seeds\n")


@pytest.mark.parametrize(
    ("write", "factor"),
    # 100 images in batches of 8 are 12 and a part of one; 12 images are one and a part of one.
    [(write_cifar100, 13 / 12), (write_svhn, 2)],
)
def test_published_images_in_their_own_formats_are_trained_on(tmp_path, monkeypatch, write, factor):
    facts, _ = write(tmp_path / "images", monkeypatch)
    monkeypatch.setattr("nnlc.training.origin.image_set_of_table", lambda _: facts)
    monkeypatch.setattr("nnlc.tables.val_loss_correction.image_set_of_table", lambda _: facts)
    path = published(
        tmp_path / "t.txt",
        dataset=facts.table_name,
        batch_size=8,
        fc_filters=(20, facts.classes),
    )
    (verdict,) = verify(path, half_epochs=1, seeds=1, images=tmp_path / "images")
    assert verdict.problem is None
    assert verdict.places[1].value == 1.5 * factor
    assert all(math.isfinite(place.among[0]) for place in verdict.places)


def test_places_are_ranks_ranges_and_deviations_by_hand():
    place = CurveRank(1, "valAcc", 3.0, (1.0, 2.0, 3.0, 6.0))
    assert (place.below, place.equal, place.percentile, place.outside) == (2, 1, 62.5, False)
    assert place.distance == pytest.approx(0.0)
    assert CurveRank(1, "valAcc", 7.0, (1.0, 2.0)).outside
    assert CurveRank(1, "valAcc", 7.0, (1.0, 2.0)).distance == pytest.approx(5.5 / math.sqrt(0.5))
    assert CurveRank(1, "valAcc", 7.0, (1.0,)).distance is None
    assert CurveRank(1, "valAcc", 7.0, (1.0, 1.0)).distance is None  # no seed differs from another


@given(value=FINITE, among=st.lists(FINITE, min_size=1, max_size=8))
def test_a_place_is_consistent_with_its_own_range(value, among):
    place = CurveRank(1, "trainLoss", value, tuple(among))
    assert place.outside == (value < min(among) or value > max(among))
    assert 0 <= place.percentile <= 100
    assert place.below + place.equal <= len(among)
    assert place.distance is None or not math.isnan(place.distance)
    if place.outside:
        assert place.percentile in (0, 100)


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_not_finite_has_no_place(value):
    for place in (
        CurveRank(1, "trainLoss", value, (1.0, 2.0)),
        CurveRank(1, "trainLoss", 1.0, (math.nan,)),
    ):
        assert not place.comparable
        assert (place.percentile, place.outside, place.distance) == (None, None, None)


def test_rows_are_compared_as_a_table_writes_them():
    ours = [Row(math.nan, 1.0, 2.0), Row(1.0, None, -0.0)]
    assert list(row_differences(ours, [Row(math.nan, 1.0, 2.0)])) == []
    found = list(row_differences(ours, [Row(math.nan, 1.0, 2.5), Row(1.0, math.nan, 0.0)]))
    assert [(d.line, d.column, d.name, d.found, d.expected) for d in found] == [
        (2, 4, "valAcc", "2.0", "2.5"),
        (3, 3, "valLoss", "", "nan"),
        (3, 4, "valAcc", "-0.0", "0.0"),
    ]
    assert [d.absolute for d in found] == [0.5, None, 0.0]
    assert [d.last_places for d in found][1:] == [None, 0]


def test_the_size_of_a_difference_by_hand():
    one = difference("1.0", repr(math.nextafter(math.nextafter(1.0, 2), 2)))
    assert one.last_places == 2
    assert one.absolute == 2 * 2.0**-52
    assert difference("2.0", "1.0").relative == 0.5
    assert difference("0.0", "0.0").relative is None
    assert difference("-5e-324", "5e-324").last_places == 2
    assert difference("inf", "1.0").absolute is None
    assert difference("1.7e308", "-1.7e308").relative == 2.0


@given(first=FINITE, second=FINITE)
def test_steps_between_two_numbers_are_counted_over_all_numbers(first, second):
    steps = difference(repr(first), repr(second)).last_places
    assert (steps == 0) == (first == second)
    assert steps == difference(repr(second), repr(first)).last_places
    up = math.nextafter(first, math.inf)
    if up != math.inf:
        assert difference(repr(first), repr(up)).last_places == 1


def test_a_trainer_takes_threads_tells_its_circumstances_and_stops_at_a_half_epoch(tmp_path):
    network = spec(batch_size=200)
    origin = origin_of(network, None)
    configure = {
        "kind": "configure",
        "campaign": origin.campaign.model_dump(mode="json"),
        "images": "unused",
        "checkpoints": str(tmp_path),
        "device": "cpu",
    }
    agent = Agent(
        {**configure, "threads": 2},
        {"kind": "circumstances"},
        {**configure, "threads": 1},
        {
            "kind": "train",
            "index": 0,
            "spec": network.to_json(),
            "image_set": dataclasses.asdict(origin.images),
            "epochs": 0.5,
        },
        then_save=False,
    )
    (made,) = agent.of("circumstances")
    assert made["settings"]["threads"] == 2
    assert present_circumstances(made)["threads"] == "2"
    assert [row["half_epoch"] for row in agent.of("row")] == [1]
    assert agent.received[-1]["kind"] == "finished"
    finish = next(iter(read_history(_journal(tmp_path, network.id, made)).finishes.values()))
    # What is recorded of a table reads as what is asked of a trainer, name for name.
    assert recorded_circumstances(finish) == present_circumstances(made) | {"arithmetic": "1"}


def _journal(folder, id, made):
    journal = Journal(folder)
    journal.write("finish", **{**made, "id": id})
    return folder
