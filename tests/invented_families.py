"""Tables of two invented families, whose code nowhere exists, and any tables of any family."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from export_samples import id_of, numbers, values, words
from hypothesis import strategies as st

from nnlc.networks.columns import KINDS
from nnlc.networks.specification import COLUMN_PATTERN, TAKEN_COLUMNS, FamilySpec
from nnlc.tables import Row, Table

WIDE = FamilySpec(
    id=id_of(100),
    random_seed=7,
    train_gpu=True,
    torch_set_deterministic=True,
    dataset="CIFAR100",
    batch_size=50,
    loss_fn="CrossEntropyLoss",
    optimizer="SGD",
    learning_rate=0.1,
    momentum=0.9,
    dampening=0,
    weight_decay=0.0,
    family="wide@1",
    own=(
        ("widths", "integers", (16, 3_000_000_000)),
        ("depth", "integer", 4),
        ("is_split", "flag", True),
        ("stem", "text", "=3x3"),
        ("slope", "number", 0.0),
    ),
)
CELLS = replace(
    WIDE,
    id=id_of(200),
    family="cells@2.0",
    own=(
        ("slope", "number", 0),
        ("dropout_rate", "number", 0.25),
        ("widths", "text", "16x32"),
        ("cell", "integers", ()),
        ("edges", "integer", 6),
    ),
)
ROWS = (Row(2.5, 2.25, 10.0), Row(float("nan"), None, 12.5), Row(1.5, float("inf"), 1e-05))
WIDE_BYTES = (
    b"epochs trainLoss valLoss valAcc ID random_seed train_GPU torch_set_deterministic dataset"
    b" batch_size loss_fn optimizer learning_rate momentum dampening weight_decay family"
    b" widths:integers depth:integer is_split:flag stem:text slope:number\n"
    b"0.5 2.5 2.25 10.0 2026_01_01_00_00_00_000100 7 True True CIFAR100 50 CrossEntropyLoss SGD"
    b" 0.1 0.9 0 0.0 wide@1 16-3000000000 4 True =3x3 0.0\n"
    b"1.0 nan  12.5                  \n"
    b"1.5 1.5 inf 1e-05                  \n"
)
"""The table of `WIDE` and `ROWS`, written by hand."""


def write_families(root: Path) -> Path:
    """Write two tables of each invented family into a results folder of its own."""
    for spec, name in ((WIDE, "wide"), (CELLS, "cells")):
        folder = root / name / "CIFAR-100_models"
        folder.mkdir(parents=True)
        for number in range(2):
            one = replace(spec, id=f"{spec.id[:-1]}{number}", random_seed=number)
            (folder / f"{one.id}.txt").write_bytes(Table(one, ROWS).to_bytes())
    return root


names = st.one_of(
    st.from_regex(COLUMN_PATTERN, fullmatch=True).filter(lambda n: n not in TAKEN_COLUMNS),
    st.sampled_from(["conv_kernels", "dropout_rate", "widths", "x", "name", "kind", "values"]),
)
_whole = st.one_of(st.integers(0, 9), st.integers(0, 10**18 - 1))
_OWN: dict[str, st.SearchStrategy] = {
    "text": words,
    "integer": _whole,
    "flag": st.booleans(),
    "number": st.one_of(numbers, st.floats(allow_nan=False)),
    "integers": st.lists(_whole, max_size=3).map(tuple),
}
families = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,5}@[A-Za-z0-9_.-]{1,4}", fullmatch=True)
own_values = st.lists(
    st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(names, st.just(kind), _OWN[kind])),
    unique_by=lambda one: one[0],
    max_size=5,
).map(tuple)


@st.composite
def family_specs(draw: Callable, id_: str = WIDE.id, columns: tuple | None = None) -> FamilySpec:
    """Specifications of any family; with `columns`, of these names and kinds."""
    if columns is None:
        own = draw(own_values)
    else:
        own = tuple((name, kind, draw(_OWN[kind])) for name, kind in columns)
    return replace(
        WIDE,
        id=id_,
        random_seed=draw(st.integers(0, 2**32 - 1)),
        dataset=draw(words),
        learning_rate=draw(numbers),
        weight_decay=draw(numbers),
        family=draw(families),
        own=own,
    )


curves = st.lists(st.builds(Row, values, values, values), min_size=1, max_size=4).map(tuple)
