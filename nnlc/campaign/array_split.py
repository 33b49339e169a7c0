"""Split of a campaign's networks among the elements of a job array.

The split is a pure function of the campaign and the number of elements. So elements need not
communicate, and an element that starts again has the same networks. For example, networks of 9, 8,
7, 5, 4 and 2 predicted hours are split among three elements as

    element 0    9 + 2
    element 1    8 + 4
    element 2    7 + 5

Counted costs are no part of a campaign: their file may appear between the starts of two elements.
So networks of families without a cost model are dealt out in turn, as if all took as long.
"""

import heapq
from collections.abc import Sequence

from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.networks.machine import GPU

SECONDS_WITHOUT_MODEL = 1.0
"""Seconds by which networks are split whose costs are counted."""


def networks_of_element(
    campaign: Campaign, networks: Sequence[CampaignNetwork], element: int, elements: int
) -> list[CampaignNetwork]:
    """Return the networks of one element of a job array, by ascending index.

    Args:
        campaign: the campaign, for its number of epochs and its settings of training.
        networks: all networks of the campaign. Finished networks must be included: otherwise the
            others would move between elements.
        element: number of the element, from 0.
        elements: number of elements of the whole array.

    Raises:
        ValueError: the array has no such element.
    """
    if not 0 <= element < elements:
        raise ValueError(f"there is no element {element} of {elements}: elements count from 0")
    in_order = sorted(networks, key=lambda network: network.index)
    seconds = [
        n.family.predict_seconds(n.spec, n.images, campaign.epochs, GPU, campaign.training, "cuda")
        if n.family.has_cost_model
        else SECONDS_WITHOUT_MODEL
        for n in in_order
    ]
    return [in_order[position] for position in split(seconds, elements)[element]]


def split(seconds: Sequence[float], elements: int) -> list[list[int]]:
    """Return the indices into `seconds` for each element.

    Networks are taken from the longest to the shortest. Each goes to the element with the smallest
    sum so far; ties go to the smaller index and to the first element. So the sum of an element with
    several networks exceeds any other sum by at most its shortest network.
    """
    parts: list[list[int]] = [[] for _ in range(elements)]
    sums = [(0.0, element) for element in range(elements)]
    for index in sorted(range(len(seconds)), key=lambda i: (-seconds[i], i)):
        least, element = sums[0]
        parts[element].append(index)
        heapq.heapreplace(sums, (least + seconds[index], element))
    for part in parts:
        part.sort()
    return parts
