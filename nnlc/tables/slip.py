"""The published tables' validation loss is too small by a known factor; this undoes it.

With N validation images in batches of b, the mean losses of the ⌊N/b⌋ full batches were summed and
then divided by all ⌈N/b⌉ batches, the dropped partial one included. Measured on published tables of
networks that never learn: at b = 49, valLoss is 0.9950 of ln 100, where 204/205 = 0.9951.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlc.errors import TableError
from nnlc.networks import image_set_of_table


def is_published(networks: pd.DataFrame) -> "pd.Series[bool]":
    """Which tables are the article's, by their own word: torch_set_deterministic is False.

    nnlc trains deterministically only, and writes True. The article's networks were trained with
    PyTorch 1.3.1, which had no such switch yet.
    """
    return ~networks["torch_set_deterministic"]


def correction_factors(networks: pd.DataFrame) -> NDArray[np.float64]:
    """What each network's valLoss has to be multiplied with: ⌈N/b⌉/⌊N/b⌋ if published, else 1.

    NaN for batches larger than the validation set, in which nothing was validated.

    Args:
        networks: one row each, with the columns that `load_tables` gives.

    Raises:
        TableError: a published table of images whose number is not known.
    """
    published = is_published(networks).to_numpy()
    factors = np.ones(len(networks))
    for dataset in networks.loc[published, "dataset"].unique():
        rows = published & (networks["dataset"] == dataset).to_numpy()
        images = image_set_of_table(dataset)
        if images is None:
            raise TableError(
                f"how many validation images {dataset} has is not known, so its valLoss can't be "
                "corrected; load the table as published",
                path=networks.loc[rows, "path"].iloc[0],
                line=2,
                column=9,
                column_name="dataset",
            )
        sizes = networks.loc[rows, "batch_size"].to_numpy()
        full, partial = np.divmod(images.validation_images, sizes)
        factors[rows] = (full + (partial > 0)) / np.where(full > 0, full, np.nan)
    return factors
