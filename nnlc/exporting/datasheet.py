"""`datasheet.html`: description of an export for people, in one page without scripts.

The page is HTML and not Markdown, because HTML can escape any text from a table reliably. If
escaping fails all the same, the page's content security policy keeps browsers from running or
loading anything.

Its answers to the questions of a datasheet come from tables and journals only.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nnlc.exporting import origins as article
from nnlc.exporting.contents import Contents, Flags, Floats
from nnlc.exporting.croissant import dataset_name, kind_of_networks
from nnlc.exporting.manifest import FileEntry, Format
from nnlc.exporting.origins import Origins, Publication
from nnlc.exporting.schema import CURVES, VALUES, Schema
from nnlc.families.layouts import ARTICLE_NAME, article_remark
from nnlc.networks.columns import Kind
from nnlc.wording import counted

_ACCURACY = [part.name for part in VALUES].index("val_accuracy_percent")
_NAMED = 10
"""Most lengths of curves that are listed."""
_PARQUET_LOADING = """\
import pandas as pd
networks, curves = pd.read_parquet("networks.parquet"), pd.read_parquet("curves.parquet")
best = curves.groupby(["dataset", "id"])["val_accuracy_percent"].max()
"""
_CSV_LOADING = """\
import pandas as pd
curves = pd.read_csv("curves.csv")
networks = pd.read_csv("networks.csv", dtype=dict.fromkeys("{lists}".split(), str))
"""
_TYPES: dict[Format, dict[Kind, str]] = {
    "parquet": {
        "text": "string",
        "integer": "int64",
        "flag": "bool",
        "number": "double",
        "integers": "list of int32",
    },
    "csv": {
        "text": "text",
        "integer": "whole number",
        "flag": "True or False",
        "number": "number",
        "integers": "whole numbers, joined by -",
    },
}


def render(
    contents: Contents,
    origins: Origins,
    publication: Publication,
    format: Format,
    files: Mapping[str, FileEntry],
) -> bytes:
    """Return the page; the same tables give the same bytes, since no clock is read.

    Args:
        contents: contents of the export.
        origins: origins of the tables.
        publication: information that the user gave for publishing.
        format: format of the export.
        files: files of the export written so far, by name.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["short"] = "{:.6g}".format
    names = np.array(contents.networks["dataset"], dtype=object)
    datasets = [_statistics(contents, name, names == name) for name in sorted(set(names))]
    page = environment.get_template("datasheet.jinja").render(
        title=dataset_name(contents, origins, publication),
        networks=kind_of_networks(contents),
        families=contents.families,
        tables=len(contents),
        half_epochs=contents.layout.rows,
        lengths=_lengths(contents),
        depths=sorted({depth for depth in contents.networks["depth"] if depth is not None}),
        datasets=datasets,
        oddities=list(_oddities(contents, datasets, origins)),
        digest=contents.digest,
        values=VALUES,
        records=[("networks", contents.schema.networks), ("curves", CURVES)],
        types=_TYPES[format],
        loading=loading(contents.schema, format),
        format=format,
        files=sorted(files.items()),
        article=article,
        origins=origins,
        publication=publication,
        campaigns=[f"{which}: {what}" for which, what in origins.campaigns],
        makers="; ".join(f"{made}: {counted(count, 'table')}" for made, count in origins.makers),
    )
    return page.encode("utf-8", "replace")


def loading(schema: Schema, format: Format) -> str:
    """Return Python code that loads an export with pandas, run in the export's folder."""
    lists = " ".join(part.name for part in schema.networks if part.kind == "integers")
    return _CSV_LOADING.format(lists=lists) if format == "csv" else _PARQUET_LOADING


def _lengths(contents: Contents) -> str:
    """Return the lengths of curves, and how many curves have each."""
    numbers = sorted(Counter(contents.networks["half_epochs"]).items())
    found = [f"{count} with {counted(length, 'half epoch')}" for length, count in numbers]
    if found[_NAMED:]:
        found[_NAMED:] = [f"{len(found) - _NAMED} more lengths"]
    return ", ".join(found)


def _statistics(contents: Contents, name: str, chosen: Flags) -> dict[str, Any]:
    """Return statistics of one dataset's networks.

    Args:
        contents: contents of the export.
        name: the dataset.
        chosen: True for each network of the dataset.

    Returns:
        - `name`, `tables`; `by_depth`, `by_family`: numbers of networks by depth and family.
        - `ranges`: quartiles of the finite values for each of `VALUES`; `best`, `final`: those of
          the networks' best and last accuracies in percent. Each is None without a finite value.
        - `odd`: numbers of nan, infinite and blank fields for each of `VALUES` that has any.
        - `diverged`: number of networks with a loss that is nan or infinite.
    """
    rows = np.repeat(chosen, contents.networks["half_epochs"])
    values, blanks = contents.values[rows], contents.blanks[rows]
    lengths = np.array(contents.networks["half_epochs"])[chosen]
    ends = np.cumsum(lengths)
    finite = np.where(np.isfinite(values), values, np.nan)
    odd = np.stack([np.isnan(values) & ~blanks, np.isinf(values), blanks])
    is_wrong = odd[:2, :, :_ACCURACY].any(axis=(0, 2))
    return {
        "name": name,
        "tables": int(chosen.sum()),
        "by_depth": _count(contents.networks["depth"], chosen),
        "by_family": _count(contents.networks.get("family", []), chosen),
        "ranges": [_quantiles(column) for column in finite.T],
        "best": _quantiles(np.fmax.reduceat(finite[:, _ACCURACY], ends - lengths)),
        "final": _quantiles(finite[ends - 1, _ACCURACY]),
        "odd": {
            part.name: counts
            for part, counts in zip(VALUES, odd.sum(axis=1).T.tolist(), strict=True)
            if any(counts)
        },
        "diverged": int(np.logical_or.reduceat(is_wrong, ends - lengths).sum()),
    }


def _count(values: list[Any], chosen: Flags) -> Counter[Any]:
    return Counter(compress(values, chosen.tolist()))


def _quantiles(values: Floats) -> tuple[float, float, float] | None:
    """Return least, median and greatest of the values but NaN; None if there are none."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    return float(known.min()), float(np.median(known)), float(known.max())


def _oddities(
    contents: Contents, datasets: list[dict[str, Any]], origins: Origins
) -> Iterator[str]:
    for one in datasets:
        for name, (nans, infinities, blanks) in one["odd"].items():
            yield (
                f"{one['name']}, half epochs in which {name} is nan: {nans}; infinite: "
                f"{infinities}; blank: {blanks}."
            )
        if one["diverged"]:
            yield (
                f"{one['name']}, networks with a loss that is nan or infinite: {one['diverged']}."
            )
    if not any(one["odd"] for one in datasets):
        yield "No value is nan, infinite or blank."
    if origins.published:
        yield (
            "In the article's tables val_loss is too small by the factor ⌊N/b⌋/⌈N/b⌉, for N "
            "validation images in batches of b: mean losses of the full batches were divided by "
            "the number of all batches. It is exported as published; "
            'nnlc.load_tables(…, val_loss="corrected") undoes it.'
        )
    yield from origins.mixed
    if ARTICLE_NAME in contents.families:
        yield article_remark()
    yield (
        "Validation leaves out the last partial batch, so accuracies are multiples of "
        "100/(b·⌊N/b⌋) percent."
    )
    yield (
        "The training set is shuffled once an epoch, so the training loss of a network that "
        "overfits is lower after half epochs than after whole ones."
    )
