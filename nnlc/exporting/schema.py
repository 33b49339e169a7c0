"""Schema of an export in all formats: the columns of a network's and of a half epoch's record.

The article's tables alone give the same columns as ever. With tables of other families there are
further columns: `family`, the families' own, and `own_columns`, which says which of them each table
has. A column that not all tables have is blank for the others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nnlc.families.layouts import ARTICLE_NAME, article_layout
from nnlc.networks.columns import FAMILY_COLUMN, TRAINING_COLUMNS, Column, Kind, Layout
from nnlc.networks.specification import own_columns, own_layout


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a record, which is a column of an export."""

    name: str
    kind: Kind
    description: str
    unit: str = ""
    table_column: str = ""
    """Name of the table's column with the same value, if any."""
    derived: bool = False
    """True if the value follows from other parts: it is written for convenience, but not read."""
    blank: bool = False
    """True if fields can be blank; blank is not NaN."""
    is_wide: bool = False
    """True if whole numbers in lists may need 64 bits; the article's need 32."""


LONGEST: dict[Kind, int] = {"text": 100_000, "integers": 10_000}
"""Most characters of a text, and most entries of a list."""
_OWN = "Own column of the networks' family, named and encoded as in its tables."

_DEPTH = Part("depth", "integer", "Number of convolutions.", derived=True)
_OTHER_DEPTH = "Depth of the network: the article's convolutions, or as its family counts it."
_HALF_EPOCHS = Part("half_epochs", "integer", "Rows of the network's curve.")
_PUBLISHED = Part(
    "published",
    "flag",
    "True if the table is from the data article's dataset, by its torch_set_deterministic: "
    "False in the article's tables, True in nnlc's.",
    derived=True,
)
_LAST = (
    Part("folder", "text", "Name of the folder that contained the table."),
    Part("sha256", "text", "sha256 of the table's bytes, in hexadecimal."),
    Part(
        "float_zeros",
        "text",
        "Names of the parameters that the table writes as 0.0 and not as 0, joined by hyphens; "
        "nearly always empty.",
    ),
)
_OWN_COLUMNS = Part(
    "own_columns",
    "text",
    "Names and kinds of the own columns in the header of the network's table, in their order; "
    f'"{ARTICLE_NAME}" for the article\'s tables.',
)


@dataclass(frozen=True, slots=True)
class Schema:
    """Columns of the networks' records, which follow from the layouts of the tables."""

    layouts: Mapping[str, Layout]
    """Layouts of the tables by their text in `own_columns`, sorted, the article's first."""
    networks: tuple[Part, ...]
    """Columns of a network's record."""
    names: Mapping[tuple[str, Kind], str]
    """Name of the part for each own column, by field and kind."""

    @property
    def stored(self) -> tuple[Part, ...]:
        """Parts from which tables are written."""
        return tuple(part for part in self.networks if not part.derived)

    @property
    def has_families(self) -> bool:
        """True if there are tables of other families than the article's."""
        return any(layout.is_named for layout in self.layouts.values())

    def layout_of(self, networks: Mapping[str, list[Any]], place: int) -> Layout:
        """Return the layout of the table with a record.

        Raises:
            ValueError: its text is none of `layouts`.
        """
        text = networks[_OWN_COLUMNS.name][place] if self.has_families else ARTICLE_NAME
        if text not in self.layouts:
            raise ValueError(f"column {_OWN_COLUMNS.name}: no table has {text[:80]!r}")
        return self.layouts[text]

    def part_of(self, column: Column) -> str:
        """Return the name of the part with the values of a table's column."""
        return self.names.get((column.field, column.kind), column.field)


def schema_of(layouts: Iterable[Layout]) -> Schema:
    """Return the schema for tables of these layouts."""
    by_text = {text_of(layout): layout for layout in layouts}
    by_text = {text: by_text[text] for text in sorted(by_text, key=article_first)}
    first = tuple(_part(column) for column in TRAINING_COLUMNS)
    if by_text.keys() == {ARTICLE_NAME}:
        own = tuple(_part(column) for column in article_layout().own)
        return Schema(by_text, (*first, *own, _DEPTH, _HALF_EPOCHS, _PUBLISHED, *_LAST), {})
    having: dict[tuple[str, Kind], list[Column]] = {}
    for layout in by_text.values():
        for column in layout.own:
            having.setdefault((column.field, column.kind), []).append(column)
    depths = len(having.pop(("depth", "integer"), ()))
    names = _part_names(having)
    own = tuple(
        _part(columns[0], names[key], blank=len(columns) < len(by_text), is_wide=True)
        for key, columns in having.items()
    )
    depth = Part(
        *("depth", "integer", _OTHER_DEPTH),
        table_column="depth:integer" if depths else "",
        derived=not depths,
        blank=depths + (ARTICLE_NAME in by_text) < len(by_text),
    )
    parts = (*first, _part(FAMILY_COLUMN), *own, depth, _HALF_EPOCHS, _PUBLISHED, *_LAST)
    return Schema(by_text, (*parts, _OWN_COLUMNS), names)


def article_first(name: str) -> tuple[bool, str]:
    """Return the key by which families and layouts are sorted."""
    return name != ARTICLE_NAME, name


def text_of(layout: Layout) -> str:
    """Return the text for a layout in `own_columns`: the own columns in a header of its tables."""
    return " ".join(column.name for column in layout.own) if layout.is_named else ARTICLE_NAME


def layout_of_text(text: str) -> Layout:
    """Return the layout whose `text_of` is this text.

    Raises:
        SpecError: there is none.
    """
    if text == ARTICLE_NAME:
        return article_layout()
    return own_layout(own_columns(text.split(" ") if text else []))


def _part_names(keys: Iterable[tuple[str, Kind]]) -> dict[tuple[str, Kind], str]:
    """Return the names of own columns; with its kind if another kind has the name already."""
    found: dict[tuple[str, Kind], str] = {}
    used: set[str] = set()
    for field, kind in keys:
        found[field, kind] = f"{field}:{kind}" if field in used else field
        used.add(field)
    return found


def _part(
    column: Column, name: str | None = None, *, blank: bool = False, is_wide: bool = False
) -> Part:
    about = column.kind, column.description or _OWN, column.unit, column.name
    return Part(name or column.field, *about, blank=blank, is_wide=is_wide)


CURVES = (
    Part("id", "text", "The network, as in the other records.", table_column="ID"),
    Part("dataset", "text", "Dataset of the network.", table_column="dataset", derived=True),
    Part("half_epoch", "integer", "Number of the half epoch: 1, 2, … for each network."),
    Part(
        "epoch",
        "number",
        "Epochs of training so far: 0.5, 1.0, …",
        "epochs",
        "epochs",
        derived=True,
    ),
    Part(
        "train_loss",
        "number",
        "Mean training loss over the batches of this half epoch.",
        "nats",
        "trainLoss",
        blank=True,
    ),
    Part(
        "val_loss",
        "number",
        "Mean loss over the validation images after this half epoch. In published tables it is too "
        "small by a known factor.",
        "nats",
        "valLoss",
        blank=True,
    ),
    Part(
        "val_accuracy_percent",
        "number",
        "Percentage of validation images that are classified correctly after this half epoch.",
        "percent",
        "valAcc",
        blank=True,
    ),
)

VALUES = tuple(part for part in CURVES if part.blank)
"""Parts of which a curve consists."""
