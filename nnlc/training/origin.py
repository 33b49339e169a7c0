"""What a table does not say of its network: the size of its images, and the campaign's settings.

Both are in the campaign, which a results folder has beside its tables. A table that stands alone
is taken for one of nnlc's own readings (README, "Where the article leaves a choice").
"""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from nnlc.campaign.campaign import Campaign, DatasetSection, load_campaign
from nnlc.errors import CampaignError
from nnlc.networks import ImageSet, NetworkSpec, image_set_of_table
from nnlc.networks.recipe import TrainingSection
from nnlc.results.paths import ResultsFolder


@dataclass(frozen=True, slots=True)
class Origin:
    """The campaign that a table is of, and the images that its network was made for."""

    campaign: Campaign
    images: ImageSet
    is_assumed: bool
    """No campaign was found or given: nnlc's own settings, and images as the article has them."""

    @property
    def settings(self) -> TrainingSection:
        return self.campaign.training


def results_of(table: Path) -> ResultsFolder | None:
    """The results folder that a table stands in, told by its campaign.toml; None if in none."""
    folder = ResultsFolder(Path(os.path.abspath(table)).parent.parent)  # noqa: PTH100  links stay
    return folder if folder.has_campaign else None


def campaign_of(table: Path | None, given: Campaign | str | Path | None = None) -> Campaign | None:
    """The campaign that is given, or else that of the results folder a table stands in, if any.

    Args:
        table: its file.
        given: a campaign, the name of a shipped one, its file, or its results folder.

    Raises:
        NnlcError: it is none of them, or wrong.
    """
    if isinstance(given, str | Path):
        folder = Path(given)
        return ResultsFolder(folder).campaign() if folder.is_dir() else load_campaign(given)
    results = results_of(table) if table and given is None else None
    return results.campaign() if results else given


def origin_of(
    spec: NetworkSpec, campaign: Campaign | None, images: ImageSet | None = None
) -> Origin:
    """The origin of a network's table.

    Args:
        spec: the network.
        campaign: the one that it is of, if that is known.
        images: those that it was made for, if neither campaign nor table say enough of them.

    Raises:
        CampaignError: the images that the table names are unknown, and what to do.
    """
    if campaign is not None:
        known = list(campaign.image_sets().values())
        found = images or next((one for one in known if one.table_name == spec.dataset), None)
        if found is None:
            raise CampaignError(
                f"network {spec.id}: its dataset {spec.dataset[:80]} is not among those of "
                f"campaign {campaign.name} ({', '.join(one.table_name for one in known)})"
            )
        return Origin(campaign, found, is_assumed=False)
    found = images or image_set_of_table(spec.dataset)
    if found is None:
        raise CampaignError(
            f"network {spec.id}: the size of {spec.dataset[:80]} images is not known; name the "
            "campaign that describes them, or its results folder, with --campaign"
        )
    section = DatasetSection(networks_per_depth=1)
    stamp = datetime(2000, 1, 1)
    assumed = Campaign(name="assumed", seed=0, stamp=stamp, datasets={found.name: section})
    return Origin(assumed, found, is_assumed=True)
