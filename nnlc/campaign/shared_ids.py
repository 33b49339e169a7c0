"""Note on a campaign whose IDs are those of the campaign that it extends."""

from datetime import datetime

from nnlc.campaign.campaign import Campaign, find_campaign, load_campaign
from nnlc.errors import CampaignError
from nnlc.networks.specification import network_id
from nnlc.system.toml_file import read_layers


def shared_ids(name_or_path: str, campaign: Campaign) -> list[str]:
    """Return a note if a campaign's stamp comes from a file that it extends; else nothing.

    Args:
        name_or_path: name or file of the campaign.
        campaign: the campaign as it was loaded.
    """
    own = find_campaign(name_or_path)
    layers = read_layers(own, find_campaign, CampaignError)
    extended = layers.file_of(["stamp"])
    if extended == own:
        return []
    try:
        other = load_campaign(extended).name
    except CampaignError:  # only the base of campaigns, such as one without a name
        return []
    first, last = (network_id(campaign.stamp, i) for i in (0, campaign.network_count - 1))
    now = datetime.now().replace(microsecond=0)
    seed = "" if layers.file_of(["seed"]) == own else f"seed = {now:%Y%m%d%H%M%S} and "
    return [
        f"note: {own} has the stamp of {other}, which it extends: its IDs, {first} to "
        f"{last}, are IDs of {other} too, so that tables of both can't be merged; for IDs "
        f"of its own, add {seed}stamp = {now.isoformat()}, and start it in a new folder"
    ]
