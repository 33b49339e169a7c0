"""Which images a table's network was made for: known ones, or those that its campaign describes.

Every reader of tables asks here. A results folder has its campaign.toml beside its tables; tables
that were taken out of it tell of images of a user's own no more than their name.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from nnlc.errors import NnlcError, SpecError
from nnlc.networks import ImageSet, image_set_of_table
from nnlc.networks.image_sets import own_image_set
from nnlc.tables.table_folders import CAMPAIGN_FILE


def image_set_of(dataset: str, table: str | Path) -> ImageSet | None:
    """Return the image set of a table, None if nothing tells of it.

    Args:
        dataset: the table's own word for it.
        table: its file.
    """
    return image_sets_of([dataset], [table])[0]


def image_sets_of(datasets: Iterable[str], tables: Iterable[str | Path]) -> list[ImageSet | None]:
    """Return the image set of each of these tables, None where nothing tells of it."""
    found: dict[tuple[str, str], ImageSet | None] = {}
    folders = map(os.path.dirname, tables)
    places = list(zip(datasets, folders, strict=True))
    for dataset, folder in dict.fromkeys(places):
        known = image_set_of_table(dataset)
        found[dataset, folder] = known or _described(dataset, Path(folder))
    return [found[place] for place in places]


def _described(dataset: str, folder: Path) -> ImageSet | None:
    """Return what the campaign beside a folder of tables says of images of a user's own."""
    from nnlc.system.toml_file import read_toml  # pydantic, which tables of known images don't need

    path = Path(os.path.abspath(folder)).parent / CAMPAIGN_FILE  # noqa: PTH100  links keep names
    try:
        sections = read_toml(path, NnlcError).get("datasets")
        section = sections.get(dataset) if isinstance(sections, dict) else None
        return own_image_set(dataset, section) if isinstance(section, dict) else None
    except (NnlcError, SpecError, OSError):
        return None
