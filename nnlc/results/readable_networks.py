"""Networks of a results folder for commands that only read or tell, with or without their code.

What decides bits draws networks by `Campaign.networks`, which refuses other code than the folder's.
"""

from dataclasses import replace
from typing import NamedTuple

from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.errors import FamilyError, TableError
from nnlc.families.registry import naming_folder
from nnlc.networks.specification import FamilySpec
from nnlc.results.folder import ResultsFolder

_DRAWN_BY_CAMPAIGN = ("id", "random_seed", "dataset", "loss_fn", "optimizer")
"""Values of a network that follow from its campaign without the family's code."""


class ReadableNetworks(NamedTuple):
    """Networks of a results folder, and a line on what is not known of them."""

    networks: list[CampaignNetwork]
    warning: str | None = None


def readable_networks(results: ResultsFolder, campaign: Campaign) -> ReadableNetworks:
    """Return the networks of a folder, or what is known of them if their code can't be used.

    Networks with a table are then as their tables say, if these are of this campaign. Of all others
    only ID, seed, images and optimizer are known; their costs are not.

    Args:
        results: the folder.
        campaign: its campaign.
    """
    try:
        with naming_folder(results.path):
            return ReadableNetworks(list(campaign.networks()))
    except FamilyError as problem:
        if campaign.family is None:
            raise
        from nnlc.families.family_without_code import FamilyWithoutCode  # seldom needed

        groups = [section.depths for section in campaign.datasets.values()]
        within = min(low for low, _ in groups), max(high for _, high in groups)
        family = FamilyWithoutCode(campaign.family, within, problem)
        networks = [_as_in_table(results, n) for n in campaign.networks(family)]
        return ReadableNetworks(networks, f"networks are shown as their tables say: {problem}")


def _as_in_table(results: ResultsFolder, network: CampaignNetwork) -> CampaignNetwork:
    """Return a network with the values in its table, but for those that the campaign decides."""
    from nnlc.tables.record import read_record  # loads NumPy, which agents don't need

    known = network.spec
    try:
        path = results.table_path(network.images, known)
        found = read_record(path, follow_link=False).spec
    except TableError:
        return network
    if not isinstance(found, FamilySpec) or found.family != network.family.label:
        return network
    drawn = {name: getattr(known, name) for name in _DRAWN_BY_CAMPAIGN}
    return replace(network, spec=replace(found, **drawn))
