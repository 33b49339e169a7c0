"""Which networks of a campaign each element of a job array trains.

A pure function of (campaign, element, elements): elements need not speak with each other, and an
element that starts again has the networks that it had before. With predicted hours 9 8 7 5 4 2,
three elements get

    element 0    9 + 2
    element 1    8 + 4
    element 2    7 + 5
"""

import heapq
from collections.abc import Sequence

from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.networks.cost import GPU, predict_seconds


def share(
    campaign: Campaign, networks: Sequence[CampaignNetwork], element: int, elements: int
) -> list[CampaignNetwork]:
    """The networks of one element, in the order of their index.

    Args:
        campaign: for the length of the training.
        networks: all of the campaign's, finished ones too: what is done moves no other.
        element: counted from 0.
        elements: of the whole array.

    Raises:
        ValueError: there is no such element.
    """
    if not 0 <= element < elements:
        raise ValueError(f"element {element} of {elements}: elements count from 0")
    in_order = sorted(networks, key=lambda network: network.index)
    seconds = [predict_seconds(n.spec, n.images, campaign.epochs, GPU) for n in in_order]
    return [in_order[position] for position in share_out(seconds, elements)[element]]


def share_out(seconds: Sequence[float], elements: int) -> list[list[int]]:
    """Positions in `seconds` for each element: the longest goes to whoever has least, and so on.

    Equal ones go by their position, and of elements with equal sums the first has it. So an element
    of several networks has at most its smallest more than any other: sums are as even as can be,
    but for a network that is longer than a whole even share.
    """
    shares: list[list[int]] = [[] for _ in range(elements)]
    sums = [(0.0, element) for element in range(elements)]
    for position in sorted(range(len(seconds)), key=lambda p: (-seconds[p], p)):
        least, element = sums[0]
        shares[element].append(position)
        heapq.heapreplace(sums, (least + seconds[position], element))
    for dealt in shares:
        dealt.sort()
    return shares
