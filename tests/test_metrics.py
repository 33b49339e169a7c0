"""Curves in a few numbers: as defined, for each network apart, and right about published losses."""

import csv
import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_samples import SPEC
from typer.testing import CliRunner

import nnlc
from nnlc.cli import app
from nnlc.errors import NnlcError, TableError
from nnlc.networks import KNOWN_IMAGE_SETS
from nnlc.tables import Row, Table
from nnlc.tables.frames import _tables
from nnlc.tables.record import parse_record

LOSSES = ("train_loss", "val_loss")
CURVE = (*LOSSES, "val_accuracy_percent")


def table(number, rows, **changes):
    return Table(replace(SPEC, id=f"2021_02_15_13_55_26_{number:06d}", **changes), tuple(rows))


def loaded(*tables, val_loss="as-published"):
    """The tables as `load_tables` gives them, without files."""
    records = [parse_record(one.to_bytes(), Path(f"{one.spec.id}.txt")) for one in tables]
    return _tables(records, val_loss, ())


def metrics_of(rows, **changes):
    return nnlc.metrics(loaded(table(1, rows, **changes))).iloc[0]


def learning(accuracies, train_losses=None):
    losses = train_losses or [1.0] * len(accuracies)
    return [Row(loss, 2.0, accuracy) for loss, accuracy in zip(losses, accuracies, strict=True)]


# ---- the numbers, against their definitions in plain Python


def expected(rows, first, last):
    """What `metrics` must say of a curve; None for what it doesn't yield."""
    numbers = [n for n in range(1, len(rows) + 1) if first <= n / 2 <= last]
    found = {"counted_half_epochs": len(numbers)}
    if not numbers:
        return found
    number = float("nan")
    values = {f: [number if v is None else v for v in (getattr(r, f) for r in rows)] for f in CURVE}
    for field in CURVE:
        counted = [values[field][n - 1] for n in numbers]
        finite = [v for v in counted if math.isfinite(v)]
        found[f"{field}_max"] = max(finite, default=number)
        found[f"{field}_min"] = min(finite, default=number)
        found[f"{field}_mean"] = math.fsum(finite) / len(finite) if finite else number
        found[f"{field}_final"] = counted[-1]
    accuracy = {n: values["val_accuracy_percent"][n - 1] for n in numbers}
    best = found["val_accuracy_percent_max"]
    found["best_epoch"] = next((n / 2 for n in numbers if accuracy[n] == best), number)
    found["half_epochs_to_90_percent"] = next(
        (n for n in numbers if accuracy[n] >= 0.9 * best), None
    )
    pairs = itertools.pairwise(numbers)
    found["accuracy_area"] = sum((accuracy[a] + accuracy[b]) / 2 * 0.5 for a, b in pairs)
    bends = [accuracy[n - 1] - 2 * accuracy[n] + accuracy[n + 1] for n in numbers[1:-1]]
    found["accuracy_roughness"] = (
        math.sqrt(sum(b * b for b in bends) / len(bends)) if bends else number
    )
    lost = [n / 2 for n in numbers if not all(math.isfinite(values[f][n - 1]) for f in LOSSES)]
    found["diverged"] = bool(lost)
    found["diverged_epoch"] = lost[0] if lost else number
    return found


losses = st.one_of(
    st.none(), st.just(math.nan), st.just(math.inf), st.floats(0, 10), st.floats(0, 10)
)
curves = st.lists(
    st.builds(Row, losses, losses, st.one_of(st.floats(0, 100), st.floats(0, 100), st.none())),
    min_size=1,
    max_size=9,
)


@settings(max_examples=40)
@given(
    st.lists(curves, min_size=1, max_size=4), st.sampled_from([(0, 99), (1, 2.5), (0.7, 3), (2, 2)])
)
def test_every_network_gets_its_own_numbers_whatever_stands_beside_it(several, epochs):
    tables = loaded(*(table(number, rows) for number, rows in enumerate(several)))
    wanted = [expected(rows, *epochs) for rows in several]
    if not any(w["counted_half_epochs"] for w in wanted):
        with pytest.raises(NnlcError, match="no table has a half epoch from epoch"):
            nnlc.metrics(tables, epochs=epochs)
        return
    found = nnlc.metrics(tables, epochs=epochs)
    assert list(found["id"]) == list(tables.networks["id"])
    for i, numbers in enumerate(wanted):
        for name, value in numbers.items():
            one = found[name].iloc[i]
            if value is None or value != value:
                assert pd.isna(one), name
            else:
                assert one == pytest.approx(value, rel=1e-9, abs=1e-9), name
        if len(numbers) == 1:
            assert (
                found.loc[i]
                .drop(
                    [
                        "id",
                        "dataset",
                        *nnlc.analysis.metrics.COLUMNS_OF_INTEREST,
                        "counted_half_epochs",
                        *("parameters", "multiply_adds"),
                    ]
                )
                .isna()
                .all()
            )


def test_an_alternating_loss_is_a_saw_tooth_and_a_trend_is_none():
    def tooth(losses):
        return metrics_of(learning([1.0] * len(losses), list(losses)))["saw_tooth"]

    epochs = range(1, 41)
    assert tooth([2 + 0.25 * (-1) ** n for n in epochs]) == pytest.approx(0.5)
    assert tooth([2 - 0.25 * (-1) ** n for n in epochs]) == pytest.approx(-0.5)
    assert tooth([5 - n / 10 for n in epochs]) == pytest.approx(0)
    assert tooth([5 - n / 10 + 0.25 * (-1) ** n for n in epochs]) == pytest.approx(0.5)
    assert math.isnan(tooth([1.0, 2.0, 1.0]))
    assert math.isnan(tooth([1.0, 2.0, math.inf, 2.0, math.nan]))


FALLING = (4.0, 3.0, 2.0, 1.0)
OVERFIT = {  # whole epochs of training and validation loss
    "rises and stays": (FALLING, (2.0, 1.0, 1.06, 1.2), 3.0),
    "an earlier rise came back": (FALLING * 2, (1.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.1, 1.1), 7.0),
    "comes back at the end": (FALLING, (2.0, 1.0, 1.2, 1.04), None),
    "only the last epoch": (FALLING, (2.0, 1.5, 1.0, 1.2), None),
    "by less than 5%": (FALLING, (2.0, 1.0, 1.04, 1.04), None),
    "the training loss rises too": ((4.0, 1.0, 2.0, 1.1), (2.0, 1.0, 1.2, 1.2), None),
    "diverges": (FALLING, (2.0, 1.0, 1.2, math.nan), None),
    "infinite throughout": (FALLING, (math.inf,) * 4, None),
    "too short": ((2.0, 1.0), (1.0, 2.0), None),
}


@pytest.mark.parametrize("name", OVERFIT)
def test_it_overfits_from_where_the_validation_loss_has_left_its_lowest_for_good(name):
    train, val, wanted = OVERFIT[name]
    halves = [(pair, tooth) for pair in zip(train, val, strict=True) for tooth in (-0.5, 0.5)]
    rows = [Row(t + tooth, 0.98 * (v + tooth / 2), 1.0) for (t, v), tooth in halves]
    found = nnlc.metrics(loaded(table(1, [*rows, rows[-1]])))["overfit_epoch"][0]
    assert found == wanted or (wanted is None and math.isnan(found))
    shown = nnlc.metrics(loaded(table(1, [Row(9.0, 9.0, 1.0)] * 3 + rows)), epochs=(1, 99))
    later = shown["overfit_epoch"][0]
    assert wanted is not None or math.isnan(later)


def test_a_saw_tooth_keeps_its_sign_wherever_the_range_begins():
    rows = learning([1.0] * 40, [2 + 0.25 * (-1) ** n for n in range(1, 41)])
    for first in (2, 2.5):
        found = nnlc.metrics(loaded(table(1, rows)), epochs=(first, 20))
        assert found["saw_tooth"][0] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("dataset", "accuracy", "verdict"),
    [
        ("CIFAR100", 1.0, True),
        ("CIFAR100", 1.4, True),
        ("CIFAR100", 1.6, False),
        ("FashionMNIST", 11.0, True),
        ("FashionMNIST", 12.0, False),
        ("SVHN", 19.587, True),  # every fifth house number is a 1
        ("SVHN", 21.5, False),
    ],
)
def test_who_never_learned_is_told_from_what_chance_gives(dataset, accuracy, verdict):
    found = metrics_of(learning([0.5, accuracy, 0.7]), dataset=dataset, batch_size=50)
    assert bool(found["never_learned"]) is verdict


def test_of_unknown_images_nobody_says_who_never_learned():
    assert metrics_of(learning([0.5, 0.5]), dataset="blobs")["never_learned"] is pd.NA
    assert metrics_of(learning([None, None]))["never_learned"] is pd.NA


@pytest.mark.filterwarnings("error")
def test_losses_near_the_largest_double_have_no_mean_and_no_warning():
    found = metrics_of([Row(1.7e308, 1.6e308, 10.0)] * 4)
    assert (found["train_loss_max"], found["train_loss_mean"]) == (1.7e308, math.inf)


def test_the_columns_of_interest_are_those_asked_for():
    tables = loaded(table(1, learning([1.0])), table(2, learning([2.0, 3.0])))
    assert list(nnlc.metrics(tables))[2:10] == list(nnlc.analysis.metrics.COLUMNS_OF_INTEREST)
    found = nnlc.metrics(tables, columns=["conv_kernels", "half_epochs", "id"])
    assert list(found)[:5] == [
        *("id", "dataset", "conv_kernels", "half_epochs", "counted_half_epochs"),
    ]
    assert list(found["conv_kernels"]) == [SPEC.conv_kernels] * 2
    with pytest.raises(NnlcError, match="no column 'lr'; they have id, random_seed, "):
        nnlc.metrics(tables, columns=["lr"])


def test_one_network_and_its_curve_are_one_call_each():
    tables = loaded(table(1, learning([1.0])), table(2, learning([2.0, 3.0])))
    id_ = tables.networks["id"][1]
    assert tables.network(id_)["learning_rate"] == SPEC.learning_rate
    assert list(tables.curve(id_)["val_accuracy_percent"]) == [2.0, 3.0]
    for ask in (tables.network, tables.curve):
        with pytest.raises(NnlcError, match="no network 'x' is among the 2"):
            ask("x")


def test_frames_that_were_changed_are_not_measured():
    tables = loaded(table(1, learning([1.0])), table(2, learning([2.0, 3.0])))
    for changed in (
        replace(tables, networks=tables.networks[1:]),
        replace(tables, curves=tables.curves[::-1]),
    ):
        with pytest.raises(NnlcError, match="don't match those of"):
            nnlc.metrics(changed)


def test_no_networks_have_no_metrics_but_all_columns():
    none, one = loaded(), loaded(table(1, learning([1.0])))
    assert list(nnlc.metrics(none)) == list(nnlc.metrics(one))
    assert len(nnlc.metrics(none)) == 0


# ---- the slip in published validation losses


def with_slip(name, number, batch_size, **changes):
    """A network that never learns, as the published tables tell it: its losses are ln(classes)."""
    images = KNOWN_IMAGE_SETS[name]
    batches, rest = divmod(images.validation_images, batch_size)
    true = math.log(images.classes)
    wrong = true * batches / (batches + (rest > 0))
    rows = [Row(true, wrong, 100 / images.classes)] * 4
    return table(number, rows, dataset=images.table_name, batch_size=batch_size, **changes)


PUBLISHED = [
    with_slip("CIFAR-100", 1, 49),
    with_slip("CIFAR-100", 2, 186),
    with_slip("F-MNIST", 3, 250),  # fills its batches: nothing was wrong
    with_slip("F-MNIST", 4, 249),
    with_slip("SVHN", 5, 177),
]


def test_corrected_losses_of_networks_that_never_learn_are_ln_of_the_classes():
    for val_loss, digits in (("as-published", 2), ("corrected", 9)):
        tables = loaded(*PUBLISHED, val_loss=val_loss)
        for one in PUBLISHED:
            curve = tables.curve(one.spec.id)
            right = math.log(one.spec.fc_filters[-1] if one.spec.dataset == "CIFAR100" else 10)
            assert np.allclose(curve["train_loss"], right)
            good = np.abs(curve["val_loss"] - right) < 10**-digits
            assert good.all() == (val_loss == "corrected" or one.spec.id[-1] in "3")
    as_published = loaded(PUBLISHED[0]).curves["val_loss"][0]
    assert as_published / math.log(100) == pytest.approx(204 / 205, rel=1e-12)


def test_tables_of_our_own_are_never_corrected():
    ours = with_slip("CIFAR-100", 1, 49, torch_set_deterministic=True)
    theirs = with_slip("CIFAR-100", 2, 49)
    plain, corrected = (loaded(ours, theirs, val_loss=v) for v in ("as-published", "corrected"))
    assert list(corrected.networks["published"]) == [False, True]
    same = corrected.curves["val_loss"] == plain.curves["val_loss"]
    assert list(same) == [True] * 4 + [False] * 4
    for column in set(plain.curves) - {"val_loss"}:
        pd.testing.assert_series_equal(corrected.curves[column], plain.curves[column])


def test_the_frames_and_the_metrics_say_which_losses_they_have():
    for val_loss in ("as-published", "corrected"):
        tables = loaded(*PUBLISHED, val_loss=val_loss)
        for frame in (tables.curves, tables.networks, nnlc.metrics(tables)):
            assert frame.attrs == {"val_loss": val_loss}


def test_a_loss_that_cannot_be_corrected_is_refused_not_guessed():
    unknown = table(1, learning([1.0]), dataset="blobs")
    with pytest.raises(TableError, match=r"column 9 \(dataset\): the number of validation images"):
        loaded(unknown, val_loss="corrected")
    assert len(loaded(unknown)) == 1
    ours = table(1, learning([1.0]), dataset="blobs", torch_set_deterministic=True)
    assert loaded(ours, val_loss="corrected").curves["val_loss"][0] == 2.0
    never_validated = table(1, learning([1.0]), batch_size=10_001)
    assert loaded(never_validated, val_loss="corrected").curves["val_loss"].isna().all()


# ---- CSV


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "CIFAR-100_models"
    folder.mkdir()
    for one in (PUBLISHED[0], table(7, learning([1.5, 0.1 + 0.2], [math.nan, 1e-07]))):
        (folder / f"{one.spec.id}.txt").write_bytes(one.to_bytes())
    return folder


def test_all_curves_go_into_one_csv_without_losing_a_bit(folder, tmp_path):
    tables = nnlc.load_tables(folder)
    path = tmp_path / "curves.csv"
    nnlc.aggregate_csv(tables, path, columns=["learning_rate", "conv_kernels"])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [*tables.curves, "learning_rate", "conv_kernels"]
    assert [row["id"] for row in rows] == list(tables.curves["id"])
    for row, (_, curve) in zip(rows, tables.curves.iterrows(), strict=True):
        for name in CURVE:
            assert row[name] == ("" if math.isnan(curve[name]) else repr(float(curve[name])))
        assert (float(row["learning_rate"]), row["conv_kernels"]) == (SPEC.learning_rate, "24-2")
    nnlc.aggregate_csv(tables, path)
    assert path.read_text().splitlines()[0] == ",".join(tables.curves)
    with pytest.raises(NnlcError, match="no column 'speed'"):
        nnlc.aggregate_csv(tables, path, columns=["speed"])
    with pytest.raises(NnlcError, match=r"gone/curves\.csv: there is no folder .*; make it first"):
        nnlc.aggregate_csv(tables, tmp_path / "gone" / "curves.csv")


def run_metrics(*arguments):
    return CliRunner().invoke(app, ["metrics", *map(str, arguments)])


def test_the_command_writes_metrics_and_curves_and_names_what_it_skipped(folder, tmp_path):
    (folder / "README").write_text("hello")
    bad = folder / "2021_02_15_13_55_26_000009.txt"
    bad.write_text("nothing\n")
    job = run_metrics(folder)
    assert (job.stdout, job.exit_code) == ("", 1)
    assert isinstance(job.exception, TableError)
    out, curves = tmp_path / "m.csv", tmp_path / "c.csv"
    options = ["--damaged", "skip", "--val-loss", "corrected", "--epochs", 1, 2]
    job = run_metrics(folder, *options, "--columns", "depth", "-o", out, "--curves", curves)
    assert (job.stdout, job.exit_code) == (f"2 networks: {out}\n", 0)
    readme, damaged = job.stderr.splitlines()
    assert readme == f"skipped: {folder}/README: its name is not <ID>.txt"
    assert damaged.startswith(f"skipped: {bad}, line 1, column 1: ")
    found = pd.read_csv(out)
    assert list(found)[:4] == ["id", "dataset", "depth", "counted_half_epochs"]
    assert list(found["counted_half_epochs"]) == [3, 1]
    assert found["val_loss_final"][0] == pytest.approx(math.log(100))
    assert len(pd.read_csv(curves)) == 6


def test_the_command_writes_to_stdout_unless_a_file_is_named(folder):
    job = run_metrics(folder, "--columns", "conv_kernels")
    assert (job.stderr, job.exit_code) == ("", 0)
    rows = list(csv.DictReader(job.stdout.splitlines()))
    assert [row["conv_kernels"] for row in rows] == ["24-2", "24-2"]
    assert [row["diverged"] for row in rows] == ["False", "True"]
