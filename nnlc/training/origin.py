"""Origin of a table: its campaign's settings and its images' sizes, which the table does not have.

Both are in the campaign of its results folder or collection. A table without a campaign is taken to
have nnlc's default settings (README, "Where the article leaves a choice").
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from nnlc.campaign.campaign import Campaign, load_campaign
from nnlc.campaign.dataset_section import DatasetSection
from nnlc.errors import CampaignError, FamilyError
from nnlc.families.network_family import NetworkFamily
from nnlc.families.reference import FamilyReference
from nnlc.families.registry import advising, completed
from nnlc.networks import FamilySpec, ImageSet, Specification, image_set_of_table
from nnlc.networks.image_sets import shown_name
from nnlc.networks.recipe import TrainingSection
from nnlc.results.campaign_file import read_campaign_file
from nnlc.results.folder import ResultsFolder
from nnlc.tables.campaign_files import CampaignFiles

WITH_OTHER_CODE = (
    "use the new one by naming a campaign file that has it: --campaign FILE of the command, or "
    "campaign=FILE in Python"
)
"""Advice on a table whose family's code has changed."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Campaign of a table, and image set of its network."""

    campaign: Campaign
    images: ImageSet
    is_assumed: bool
    """True if no campaign was found; nnlc's default settings and known images are assumed then, and
    the default settings of an installed family."""

    @property
    def family(self) -> NetworkFamily:
        """Family of the network.

        Raises:
            FamilyError: its code can't be loaded or has changed, or a setting is wrong.
        """
        with advising(WITH_OTHER_CODE):
            return self.campaign.network_family

    @property
    def settings(self) -> TrainingSection:
        return self.campaign.training


def campaign_of(table: Path | None, given: Campaign | str | Path | None = None) -> Campaign | None:
    """Return the given campaign, or else the table's own campaign, or None.

    Args:
        table: file of the table, or None.
        given: a campaign, the name of a shipped one, its file, its results folder, or None.

    Raises:
        NnlcError: the campaign does not exist, or has a mistake.
    """
    if isinstance(given, str | Path):
        folder = Path(given)
        return ResultsFolder(folder).campaign() if folder.is_dir() else load_campaign(given)
    file = CampaignFiles().of(table) if table and given is None else None
    return read_campaign_file(file).campaign if file else given


def origin_of(
    spec: Specification, campaign: Campaign | None, images: ImageSet | None = None
) -> Origin:
    """Return the origin of a network's table.

    Args:
        spec: the network.
        campaign: its campaign, if known.
        images: its image set, needed if neither the campaign nor nnlc knows the table's dataset.

    Raises:
        CampaignError: the image set that the table names is unknown, or its family can't be used;
            the message says what to do.
    """
    origin = _origin_of(spec, campaign, images)
    origin.family.check_spec(spec)
    return origin


def _origin_of(spec: Specification, campaign: Campaign | None, images: ImageSet | None) -> Origin:
    if campaign is not None:
        known = list(campaign.image_sets().values())
        found = images or next((one for one in known if one.table_name == spec.dataset), None)
        if found is None:
            raise CampaignError(
                f"network {spec.id}: its dataset {shown_name(spec.dataset)[:80]} is not among "
                f"those of campaign {campaign.name} ({', '.join(one.name for one in known)})"
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
    family = _installed_family(spec.family) if isinstance(spec, FamilySpec) else None
    assumed = Campaign(
        name="assumed", seed=0, stamp=stamp, datasets={found.name: section}, family=family
    )
    return Origin(assumed, found, is_assumed=True)


def _installed_family(label: str) -> FamilyReference:
    """Return the reference to a table's family that nnlc ships or a package has.

    Args:
        label: name and version in the table, such as residual@1.

    Raises:
        FamilyError: there is none of this name, or only of another version.
    """
    try:
        reference = completed(FamilyReference(name=label.partition("@")[0]))
    except FamilyError as problem:
        raise FamilyError(
            f"{problem}; keep the table in its results folder, whose campaign.toml names the code "
            f"of {label}, or name its campaign"
        ) from None
    if reference.label != label:
        raise FamilyError(
            f"the table is of family {label}, and {reference.label} is installed: install the "
            "version that made the table"
        )
    return reference
