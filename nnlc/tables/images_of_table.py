"""Image sets of tables: known image sets, or the user's own, described in a campaign.

The campaign is read from campaign.toml in the results folder of the table. If a table of the user's
own images was moved to another folder, the sizes of the images are unknown.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from nnlc.errors import NnlcError, SpecError
from nnlc.networks import ImageSet, image_set_of_table
from nnlc.networks.image_sets import own_image_set
from nnlc.tables.folder_names import CAMPAIGN_FILE


def image_set_of(dataset: str, table: str | Path) -> ImageSet | None:
    """Return the image set of a table, or None if it is unknown.

    Args:
        dataset: the table's `dataset` column.
        table: the table's file.
    """
    return image_sets_of([dataset], [table])[0]


def image_sets_of(datasets: Iterable[str], tables: Iterable[str | Path]) -> list[ImageSet | None]:
    """Return the image set of each table, or None if it is unknown.

    Args:
        datasets: the tables' `dataset` columns.
        tables: the tables' files.
    """
    found: dict[tuple[str, str], ImageSet | None] = {}
    folders = map(os.path.dirname, tables)
    keys = list(zip(datasets, folders, strict=True))
    for dataset, folder in dict.fromkeys(keys):
        known = image_set_of_table(dataset)
        found[dataset, folder] = known or _described(dataset, Path(folder))
    return [found[key] for key in keys]


def _described(dataset: str, folder: Path) -> ImageSet | None:
    """Return the user's own image set from the campaign.toml beside a folder of tables, or None."""
    from nnlc.system.toml_file import read_toml  # loads pydantic, seldom needed here

    path = Path(os.path.abspath(folder)).parent / CAMPAIGN_FILE  # noqa: PTH100  links keep names
    try:
        sections = read_toml(path, NnlcError).get("datasets")
        section = sections.get(dataset) if isinstance(sections, dict) else None
        return own_image_set(dataset, section) if isinstance(section, dict) else None
    except (NnlcError, SpecError, OSError):
        return None
