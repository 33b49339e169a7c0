"""`datasheet.html`: description of an export for people, in one page without scripts.

The page is HTML and not Markdown, because HTML can escape any text from a table reliably. Should
escaping ever fail, the page's own policy forbids browsers to run or fetch anything.
"""

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nnlc.exporting.contents import Contents
from nnlc.exporting.croissant import dataset_name
from nnlc.exporting.datasheet_answers import answers
from nnlc.exporting.export_statistics import statistics_of
from nnlc.exporting.manifest import FileEntry, Format
from nnlc.exporting.origins import Origins, Publication
from nnlc.exporting.schema import CURVES, NETWORKS, VALUES, Kind

_LISTS = " ".join(part.name for part in NETWORKS if part.kind == "integers")
_AS_TEXT = f'dict.fromkeys("{_LISTS}".split(), str)'
LOADING: dict[Format, str] = {
    "parquet": """\
import pandas as pd
networks, curves = pd.read_parquet("networks.parquet"), pd.read_parquet("curves.parquet")
best = curves.groupby(["dataset", "id"])["val_accuracy_percent"].max()
""",
    "csv": f"""\
import pandas as pd
curves = pd.read_csv("curves.csv")
networks = pd.read_csv("networks.csv", dtype={_AS_TEXT})
""",
}
"""Python code that loads an export with pandas, run in the export's folder."""
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
    """Return the page; the same tables give the same bytes, as no clock is read.

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
    environment.filters["short"] = _short
    facts = statistics_of(contents)
    page = environment.get_template("datasheet.jinja").render(
        title=dataset_name(origins, publication),
        tables=len(contents),
        half_epochs=contents.layout.rows,
        digest=contents.digest,
        facts=facts,
        values=VALUES,
        records=[("networks", NETWORKS), ("curves", CURVES)],
        types=_TYPES[format],
        loading=LOADING[format],
        format=format,
        files=sorted(files.items()),
        sections=answers(facts, origins, publication),
    )
    return page.encode("utf-8", "replace")


def _short(value: float) -> str:
    return f"{value:.6g}"
