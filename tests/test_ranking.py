"""The networks that lead by a column: which they are, and the commands that take only them."""

import csv
import math

import pytest
from curve_samples import loaded, table
from typer.testing import CliRunner

import nnlc
from nnlc.analysis.ranking import select_top
from nnlc.cli import app
from nnlc.errors import NnlcError
from nnlc.tables import write_table

ACCURACIES = {1: [20, 60], 2: [70, 30], 3: [50, 60], 4: [10, 5]}


def tables():
    made = [
        table(number, curve, learning_rate=number / 10, dataset="SVHN" if number > 2 else "F-MNIST")
        for number, curve in ACCURACIES.items()
    ]
    return [*made, table(5, [90, math.nan])]


def numbers(ids):
    return [int(id_[-1]) for id_ in ids]


@pytest.mark.parametrize(
    ("choice", "epochs", "expected"),
    [
        ({"count": 3}, (0, 9), [1, 3, 2]),  # of equal values the first ID
        ({"count": 2, "lowest": True}, (0, 9), [4, 2]),
        ({"count": 9}, (0, 9), [1, 3, 2, 4]),  # without a value nobody leads
        ({"count": 2, "by": "val_accuracy_percent_max"}, (0, 9), [5, 2]),
        ({"count": 2, "by": "val_accuracy_percent_final"}, (0, 0.5), [5, 2]),
        ({"count": 1, "by": "learning_rate", "lowest": True}, (0, 9), [1]),
        ({"count": 1, "by": "diverged", "lowest": True}, (0, 9), [1]),
    ],
)
def test_those_lead_whose_values_are_highest_or_lowest(choice, epochs, expected):
    found = select_top(loaded(*tables()), **choice, epochs=epochs)
    assert numbers(found.networks["id"]) == expected


def test_selected_tables_are_in_the_order_asked_for_with_their_curves():
    found = loaded(*tables()).select([one.spec.id for one in reversed(tables()[:3])])
    assert numbers(found.networks["id"]) == [3, 2, 1]
    assert list(found.curves["val_accuracy_percent"]) == [50, 60, 70, 30, 20, 60]
    assert list(nnlc.metrics(found)["val_accuracy_percent_final"]) == [60, 30, 60]
    assert found.curves.attrs == {"val_loss": "as-published"}
    with pytest.raises(NnlcError, match="no network 'x' is among the 5"):
        loaded(*tables()).select([tables()[0].spec.id, "x"])
    assert len(loaded(*tables()).select([])) == 0


def test_a_column_without_numbers_is_refused_with_those_that_have_some():
    for name in ("speed", "conv_kernels"):
        with pytest.raises(NnlcError, match=f"'{name}' is no column of numbers; ") as caught:
            select_top(loaded(*tables()), 1, name)
        assert "learning_rate" in str(caught.value)
        assert "val_loss_min" in str(caught.value)
    with pytest.raises(NnlcError, match="5 networks: none has a value in the column saw_tooth"):
        select_top(loaded(*tables()), 1, "saw_tooth")
    assert len(select_top(loaded(), 1)) == 0


def test_a_column_or_an_order_without_a_number_of_networks_is_refused():
    assert len(select_top(loaded(*tables()), None)) == 5
    for by, lowest, option in (("depth", False, "--by depth"), (None, True, "--lowest")):
        with pytest.raises(NnlcError, match=f"{option}: needs --top"):
            select_top(loaded(*tables()), None, by, lowest=lowest)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "t").mkdir()
    for one in tables()[:4]:
        write_table(one, tmp_path / "t" / f"{one.spec.id}.txt")
    return tmp_path / "t"


def run(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, (done.output, done.exception)
    return done


def test_the_commands_take_only_those_that_lead(folder, tmp_path):
    curves = tmp_path / "c.csv"
    asked = ("--top", 2, "--by", "val_accuracy_percent_max")
    rows = list(csv.DictReader(run("metrics", folder, *asked, "--curves", curves).output.split()))
    assert numbers(row["id"] for row in rows) == [2, 1]
    assert len(curves.read_text().splitlines()) == 5
    output, columns = tmp_path / "m.csv", "convFilters"
    said = run("metrics", folder, *asked, "--columns", columns, "-o", output).output.splitlines()
    assert said[0].split()[:4] == ["id", "dataset", "depth", "val_accuracy_percent_max"]
    assert numbers(line.split()[0] for line in said[1:-1]) == [2, 1]
    assert "conv_filters" in output.read_text().splitlines()[0]
    run("subset", folder, "-o", tmp_path / "s", "--dataset", "SVHN", "--top", 1, "--lowest")
    assert numbers(nnlc.load_tables(tmp_path / "s").networks["id"]) == [4]
    assert run("plot", folder, "-o", tmp_path / "x.png", *asked).output.startswith("2 networks")
    drawn = run("subset", folder, "-o", tmp_path / "d", "--sample", 2, "--seed", 1, "--top", 1)
    assert drawn.output.startswith("1 of 4 tables")
