"""Correction of validation losses in published tables, which are slightly too small.

With N validation images in batches of b, the mean losses of the ⌊N/b⌋ full batches were summed, but
divided by all ⌈N/b⌉ batches, which include the unused partial batch. Published tables of networks
that never learn show this: at b = 49, valLoss is 0.9950 · ln 100, and 204/205 = 0.9951.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlc.errors import TableError
from nnlc.networks import image_set_of_table


def correction_factors(networks: pd.DataFrame) -> NDArray[np.float64]:
    """Return the factor that corrects each network's valLoss: ⌈N/b⌉/⌊N/b⌋ if published, else 1.

    The factor is NaN if a batch is larger than the validation set, so that nothing was validated.

    Args:
        networks: `Tables.networks`.

    Raises:
        TableError: the number of validation images of a published table is not known.
    """
    published = networks["published"].to_numpy()
    factors = np.ones(len(networks))
    for dataset in networks.loc[published, "dataset"].unique():
        rows = published & (networks["dataset"] == dataset).to_numpy()
        images = image_set_of_table(dataset)
        if images is None:
            raise TableError(
                f"the number of validation images of {dataset} is not known, so its valLoss can't "
                "be corrected; load the table as published",
                path=networks.loc[rows, "path"].iloc[0],
                line=2,
                column=9,
                column_name="dataset",
            )
        sizes = networks.loc[rows, "batch_size"].to_numpy()
        full, partial = np.divmod(images.validation_images, sizes)
        factors[rows] = (full + (partial > 0)) / np.where(full > 0, full, np.nan)
    return factors
