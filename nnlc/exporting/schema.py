"""Schema of an export in all formats: the columns of a network's and of a half epoch's record."""

from dataclasses import dataclass, fields
from typing import Literal

from nnlc.families.article import NetworkSpec
from nnlc.families.layouts import article_layout

Kind = Literal["text", "integer", "flag", "number", "integers"]
_KINDS: dict[object, Kind] = {
    str: "text",
    int: "integer",
    bool: "flag",
    float: "number",
    tuple[int, ...]: "integers",
}


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


LONGEST: dict[Kind, int] = {"text": 100_000, "integers": 10_000}
"""Most characters of a text, and most entries of a list."""
_ONE_EACH = "one for each "
_DESCRIPTIONS = {
    "id": "The network's name, as in the name of its table.",
    "random_seed": "The seed from which the network was generated.",
    "train_gpu": "True if the network was trained on a GPU.",
    "torch_set_deterministic": "True if PyTorch was set to be deterministic.",
    "dataset": "The images for training and validation.",
    "batch_size": "Number of images in a batch.",
    "loss_fn": "The loss function.",
    "optimizer": "The optimizer.",
    "learning_rate": "Step size of the optimizer.",
    "momentum": "Momentum of the optimizer; 0 if it has none.",
    "dampening": "Dampening of the momentum; 0 if it has none.",
    "weight_decay": "Weight decay of the optimizer; 0 if it has none.",
    "layer_types": f"Layers after each convolution, {_ONE_EACH}convolution: a sum of 1 (ReLU), "
    "2 (pooling) and 4 (dropout).",
    "dropout_rate": "Rate of all dropout layers after convolutions; 0 if there are none.",
    "conv_kernels": f"Widths of the kernels, {_ONE_EACH}convolution.",
    "conv_strides": f"Strides, {_ONE_EACH}convolution.",
    "conv_paddings": f"Paddings, {_ONE_EACH}convolution.",
    "pool_kernels": f"Widths of the windows, {_ONE_EACH}pooling layer.",
    "pool_strides": f"Strides, {_ONE_EACH}pooling layer.",
    "pool_paddings": f"Paddings, {_ONE_EACH}pooling layer.",
    "conv_filters": f"Filters, {_ONE_EACH}convolution.",
    "fc_dropout_rate": "Rate of the dropout layers between fully connected layers; may be above 0 "
    "even if there are none.",
    "fc_dropout_layers": f"1 if a dropout layer follows, else 0, {_ONE_EACH}fully connected layer "
    "but the last.",
    "fc_filters": f"Units, {_ONE_EACH}fully connected layer; the last has one for each class.",
}
_SIZES = [f"{kind}_{of}" for kind in ("conv", "pool") for of in ("kernels", "strides", "paddings")]
_UNITS = {"batch_size": "images"} | dict.fromkeys(_SIZES, "pixels")
_TYPES = {field.name: field.type for field in fields(NetworkSpec)}

SPECIFICATION = tuple(
    Part(
        column.field,
        _KINDS[_TYPES[column.field]],
        _DESCRIPTIONS[column.field],
        _UNITS.get(column.field, ""),
        column.name,
    )
    for column in article_layout().columns
)
"""Parts for the 24 metadata columns of a table, in their order, named as in `load_tables`."""

NETWORKS = (
    *SPECIFICATION,
    Part("depth", "integer", "Number of convolutions.", derived=True),
    Part("half_epochs", "integer", "Rows of the network's curve."),
    Part(
        "published",
        "flag",
        "True if the table is from the data article's dataset, by its torch_set_deterministic: "
        "False in the article's tables, True in nnlc's.",
        derived=True,
    ),
    Part("folder", "text", "Name of the folder that contained the table."),
    Part("sha256", "text", "sha256 of the table's bytes, in hexadecimal."),
    Part(
        "float_zeros",
        "text",
        "Names of the parameters that the table writes as 0.0 and not as 0, joined by hyphens; "
        "nearly always empty.",
    ),
)

STORED = tuple(part for part in NETWORKS if not part.derived)
"""Parts from which tables are written."""

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
NUMBERS = tuple(part.name for part in SPECIFICATION if part.kind == "number")
