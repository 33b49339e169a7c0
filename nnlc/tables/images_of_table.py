"""Image sets of tables: known image sets, or the user's own, described in a campaign.

The campaign is found by `nnlc.tables.campaign_files`. If a table of the user's own images was moved
to another folder by other programs, the sizes of the images are unknown.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from nnlc.errors import NnlcError, SpecError
from nnlc.networks import ImageSet, image_set_of_table
from nnlc.networks.image_sets import own_image_set
from nnlc.tables.campaign_files import CampaignFiles


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
    known, files = cache(image_set_of_table), CampaignFiles()
    described = cache(_described)
    return [
        known(dataset) or described(dataset, files.of(table))
        for dataset, table in zip(datasets, tables, strict=True)
    ]


def _described(dataset: str, file: Path | None) -> ImageSet | None:
    """Return the user's own image set that a campaign file describes, or None."""
    if file is None:
        return None
    from nnlc.system.toml_file import read_toml  # loads pydantic, seldom needed here

    try:
        sections = read_toml(file, NnlcError).get("datasets")
        section = sections.get(dataset) if isinstance(sections, dict) else None
        return own_image_set(dataset, section) if isinstance(section, dict) else None
    except (NnlcError, SpecError, OSError):
        return None
