"""Every kind of damage to the bytes of a table, and where an audit must find it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from article_columns import COLUMNS

Damage = Callable[[bytes], bytes]


def line(number: int, change: Damage) -> Damage:
    """A table with one line changed."""

    def damage(content: bytes) -> bytes:
        lines = content.split(b"\n")
        lines[number - 1] = change(lines[number - 1])
        return b"\n".join(lines)

    return damage


def field(number: int, name: str, value: str | bytes) -> Damage:
    """A table with one field changed."""
    column = [column.name for column in COLUMNS].index(name)

    def change(text: bytes) -> bytes:
        fields = text.split(b" ")
        fields[column] = value if isinstance(value, bytes) else value.encode()
        return b" ".join(fields)

    return line(number, change)


def several(*damages: Damage) -> Damage:
    def damage(content: bytes) -> bytes:
        for one in damages:
            content = one(content)
        return content

    return damage


def without_line(number: int) -> Damage:
    def damage(content: bytes) -> bytes:
        lines = content.split(b"\n")
        return b"\n".join(lines[: number - 1] + lines[number:])

    return damage


def everywhere(name: str, values: Sequence[str]) -> Damage:
    """A column with these values, the last one to the end."""
    return several(*(field(n + 2, name, values[min(n, len(values) - 1)]) for n in range(80)))


@dataclass(frozen=True)
class Kind:
    """Damage to the bytes of `GOOD`, and where an audit must find it."""

    rule: str
    line: int | None
    column: str | int | None
    damage: Damage

    @property
    def number(self) -> int | None:
        if isinstance(self.column, str):
            return [column.name for column in COLUMNS].index(self.column) + 1
        return self.column


def value(rule: str, column: str, text: str, line_number: int = 2) -> Kind:
    """A single field with another value."""
    return Kind(rule, line_number, column, field(line_number, column, text))


BYTE_KINDS = {
    "an empty file": Kind("empty-file", None, None, lambda c: b""),
    "a million lines": Kind("too-large", None, None, lambda c: c + b"\n" * 1_000_000),
    "a line of a mebibyte": Kind("too-large", 3, None, line(3, lambda t: t + b"1" * (1 << 20))),
    "a byte-order mark": Kind("byte-order-mark", 1, 1, lambda c: b"\xef\xbb\xbf" + c),
    "UTF-16": Kind("byte-order-mark", 1, 1, lambda c: c.decode().encode("utf-16")),
    "carriage returns": Kind("line-ends", 1, None, lambda c: c.replace(b"\n", b"\r\n")),
    "mixed line ends": Kind("line-ends", 5, None, line(5, lambda t: t + b"\r")),
    "line ends of old": Kind("line-ends", 1, None, lambda c: c.replace(b"\n", b"\r")),
    "a tab": Kind("plain-ascii", 2, 1, lambda c: c.replace(b"0.5 ", b"0.5\t", 1)),
    "a letter beyond ASCII": value("plain-ascii", "optimizer", "SGÐ"),
    "a zero byte": Kind("plain-ascii", 7, "valAcc", field(7, "valAcc", b"1\x000")),
    "a lone carriage return": value("plain-ascii", "dataset", "CIFAR\r100"),
    "no last newline": Kind("final-newline", 81, None, lambda c: c[:-1]),
    "cut in a line": Kind("field-count", 81, None, lambda c: c[:-80]),
    "another name in the header": value("header", "valAcc", "valAccuracy", 1),
    "a short header": Kind("header", 1, "FCFilters", line(1, lambda t: t[:-10])),
    "a long header": Kind("header", 1, 29, line(1, lambda t: t + b" more")),
    "no header": Kind("header", 1, "epochs", without_line(1)),
    "a row without its spaces": Kind("field-count", 9, None, line(9, lambda t: t.rstrip())),
    "metadata with a space more": Kind("field-count", 2, None, line(2, lambda t: t + b" ")),
    "an empty line at the end": Kind("field-count", 82, None, lambda c: c + b"\n"),
    "a missing row": Kind("epoch-grid", 4, "epochs", without_line(4)),
    "a row twice": Kind("epoch-grid", 4, "epochs", line(3, lambda t: t + b"\n" + t)),
    "an epoch as a whole number": value("epoch-grid", "epochs", "5", 11),
    "metadata below line 2": value("metadata-line", "batch_size", "49", 30),
    "NaN in capitals": value("curve-text", "trainLoss", "NaN", 3),
    "a digit too many": value("curve-text", "valLoss", "1.50", 81),
    "a decimal comma": value("curve-text", "valAcc", "9,68", 40),
    "a seed as pandas guesses it": value("metadata-text", "random_seed", "25.0"),
    "truth in small letters": value("metadata-text", "train_GPU", "true"),
    "a list with two hyphens": value("metadata-text", "convKernels", "8--4-3"),
    "a list in brackets": value("metadata-text", "FCFilters", "[200,50,100]"),
    "an ID of no month": value("id", "ID", "2021_13_15_12_18_09_100387"),
    "an ID with dashes": value("id", "ID", "2021-02-15-12-18-09-100387"),
    "another ID than the file's": value("id-file-name", "ID", "2021_02_15_12_18_09_100388"),
    "an ID that leaves the folder": value("id", "ID", "../../../etc/passwd"),
    "a seed of 33 bits": value("seed-range", "random_seed", "4294967296"),
    "another dataset": value("dataset-folder", "dataset", "SVHN"),
    "another optimizer": value("loss-and-optimizer", "optimizer", "Adam"),
    "another loss": value("loss-and-optimizer", "loss_fn", "NLLLoss"),
    "a stride too few": value("list-length", "convStrides", "2-1"),
    "pooling without a kernel": value("list-length", "poolKernels", ""),
    "a dropout layer too many": value("list-length", "FC_dropout_layers", "1-0-0"),
    "no convolution": value("list-length", "convKernels", ""),
    "a block of 8": value("block", "layer_types", "7-3-8"),
    "a kernel wider than its input": value("conv-kernel", "convKernels", "33-4-3"),
    "a kernel of 0": value("conv-kernel", "convKernels", "8-4-0"),
    "a stride beyond its kernel": value("conv-stride", "convStrides", "2-5-1"),
    "a padding of 6": value("conv-padding", "convPaddings", "2-0-6"),
    "a pooling kernel wider than its input": value("pool-kernel", "poolKernels", "16-2"),
    "a pooling stride beyond its kernel": value("pool-stride", "poolStrides", "2-3"),
    "a pooling padding beyond half": value("pool-padding", "poolPaddings", "1-2"),
    "an output that vanishes": value("output-width", "convKernels", "8-9-3"),
    "fewer filters than channels": value("filters", "convFilters", "2-80-160"),
    "401 filters": value("filters", "convFilters", "40-401-160"),
    "fewer last filters than classes": value("last-filters", "convFilters", "40-80-99"),
    "no rate for dropout": value("dropout-rate", "dropout_rate", "0"),
    "a dropout rate of 0.8": value("dropout-rate", "dropout_rate", "0.8"),
    "a rate without dropout": Kind(
        "dropout-rate", 2, "dropout_rate", field(2, "layer_types", "3-3-1")
    ),
    "six fully connected layers": Kind(
        "fc-layers",
        2,
        "FCFilters",
        several(field(2, "FCFilters", "9-9-9-9-9-100"), field(2, "FC_dropout_layers", "1-0-0-0-0")),
    ),
    "401 units": value("fc-units", "FCFilters", "401-50-100"),
    "no units": value("fc-units", "FCFilters", "200-0-100"),
    "99 classes": value("classes", "FCFilters", "200-50-99"),
    "a rate of 0.05 in the classification": value("fc-dropout-rate", "FC_dropout_rate", "0.05"),
    "dropout without a rate": Kind(
        "fc-dropout-layers", 2, "FC_dropout_layers", field(2, "FC_dropout_rate", "0")
    ),
    "a dropout layer of 2": value("fc-dropout-layers", "FC_dropout_layers", "2-0"),
    "a learning rate of 2": value("learning-rate", "learning_rate", "2.0"),
    "no learning rate": value("learning-rate", "learning_rate", "0"),
    "a momentum below its range": value("momentum", "momentum", "1e-07"),
    "a dampening of 0.0": value("dampening", "dampening", "0.0"),
    "a weight decay of 5": value("weight-decay", "weight_decay", "5.0"),
    "a batch of 24": value("batch-size", "batch_size", "24"),
    "a batch of 251": value("batch-size", "batch_size", "251"),
    "an odd number of batches": value("batches", "batch_size", "27"),
    "79 half epochs": Kind("half-epochs", 81, None, without_line(81)),
    "the header alone": Kind("half-epochs", 2, None, lambda c: c.split(b"\n")[0] + b"\n"),
    "81 half epochs": Kind(
        "half-epochs",
        82,
        None,
        lambda c: c + b"40.5 1.0 2.0 1.0004001600640255" + b" " * 24 + b"\n",
    ),
    "an accuracy above 100": value("accuracy-range", "valAcc", "101.0", 6),
    "an accuracy of nan": value("accuracy-range", "valAcc", "nan", 6),
    "no accuracy": value("accuracy-range", "valAcc", "", 81),
    "an accuracy between two counts": value("accuracy-step", "valAcc", "12.345", 50),
    "a negative loss": value("loss-range", "trainLoss", "-0.5", 20),
    "a loss beyond 32 bits": value("loss-range", "valLoss", "1e+39", 20),
    "a loss too small for the accuracy": value("loss-accuracy", "valLoss", "0.001", 10),
    "a loss that recovers from NaN": Kind(
        "nan-stays", 41, "trainLoss", field(40, "trainLoss", "nan")
    ),
    "an accuracy that moves after NaN": Kind(
        "nan-accuracy",
        3,
        "valAcc",
        several(everywhere("trainLoss", ["nan"]), everywhere("valLoss", ["nan"])),
    ),
    "an infinite loss": Kind("non-finite", 9, None, field(9, "trainLoss", "inf")),
    "a first loss far above": value("first-loss", "trainLoss", "123456.0"),
    "a network that never learned": Kind(
        "never-learned",
        None,
        None,
        several(everywhere("valAcc", ["1.0004001600640255"]), everywhere("valLoss", ["4.6"])),
    ),
}
"""By what was done to `GOOD`."""
