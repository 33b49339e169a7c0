"""The 6,000 networks of the campaign `paper`, made once for all tests that need them."""

from functools import cache

from nnlc.campaign.campaign import Campaign, CampaignNetwork, load_campaign


@cache
def paper() -> tuple[Campaign, list[CampaignNetwork]]:
    campaign = load_campaign("paper")
    return campaign, list(campaign.networks())
