"""Campaign files that tests write, and what loading one of them says."""

import pytest

from nnlc.campaign.campaign import load_campaign
from nnlc.errors import CampaignError

HEAD = 'name = "mine"\nseed = 1\nstamp = 2022-01-05T00:00:00\n'
IMAGES = "[datasets.F-MNIST]\nnetworks_per_depth = 1\n"
PLAIN = HEAD + IMAGES
OWN = """
[datasets.own]
networks_per_depth = 1
depths = [1, 2]
npz = "pixels/own.npz"
sha256 = "00000000000000000000000000000000000000000000000000000000000000ff"
channels = 1
width = 8
classes = 3
train_images = 1000
validation_images = 300
"""


def refusal(path) -> str:
    """What a user is told; never in the words of the library that checks."""
    with pytest.raises(CampaignError) as caught:
        load_campaign(path)
    message = str(caught.value)
    for word in ("pydantic", "Traceback", "ValidationError", "For further information"):
        assert word not in message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message
