"""Which networks each array element trains: all of them once, evenly, and always the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paper_networks import paper

from nnlc.campaign.array_split import networks_of_element, split
from nnlc.campaign.campaign import load_campaign
from nnlc.families.article.family import ARTICLE
from nnlc.networks.machine import GPU
from nnlc.networks.recipe import TrainingSection

SECONDS = st.lists(st.floats(0.001, 1e6) | st.sampled_from([1.0, 2.0]), max_size=60)
SMOKE = load_campaign("smoke")
NETWORKS = list(SMOKE.networks())


@given(SECONDS, st.integers(1, 80))
def test_every_network_is_in_exactly_one_share(seconds, elements):
    shares = split(seconds, elements)
    assert len(shares) == elements
    assert sorted(p for found in shares for p in found) == list(range(len(seconds)))


@given(SECONDS, st.integers(1, 20))
def test_no_share_is_larger_than_another_by_more_than_its_smallest_network(seconds, elements):
    sums = [sum(seconds[p] for p in found) for found in split(seconds, elements)]
    for found, total in zip(split(seconds, elements), sums, strict=True):
        if len(found) > 1:
            assert total - min(seconds[p] for p in found) <= min(sums) * (1 + 1e-9)


def test_the_longest_goes_to_whoever_has_least_and_equal_ones_go_by_index():
    assert split([9, 8, 7, 5, 4, 2], 3) == [[0, 5], [1, 4], [2, 3]]
    assert split([1, 1, 1, 1, 1], 2) == [[0, 2, 4], [1, 3]]
    assert split([1, 2], 4) == [[1], [0], [], []]


@pytest.mark.parametrize("elements", [1, 3, 8, 11])
def test_elements_share_a_campaign_by_predicted_cost(elements):
    seconds = [
        ARTICLE.predict_seconds(n.spec, n.images, SMOKE.epochs, GPU, SMOKE.training, "cuda")
        for n in NETWORKS
    ]
    expected = [[NETWORKS[p] for p in found] for found in split(seconds, elements)]
    assert [networks_of_element(SMOKE, NETWORKS, e, elements) for e in range(elements)] == expected


def test_a_share_is_the_same_however_the_networks_are_ordered():
    assert networks_of_element(SMOKE, NETWORKS[::-1], 1, 3) == networks_of_element(
        SMOKE, NETWORKS, 1, 3
    )


def test_a_share_is_the_one_that_it_was_in_an_earlier_version():
    found = [
        [n.index for n in networks_of_element(SMOKE, NETWORKS, element, 3)] for element in range(3)
    ]
    assert found == [[1, 2, 5], [3, 6, 7], [0, 4]]


def test_more_elements_than_networks_leave_some_without_work():
    shares = [networks_of_element(SMOKE, NETWORKS, element, 10) for element in range(10)]
    assert sorted(map(len, shares)) == [0] * 2 + [1] * 8


@pytest.mark.parametrize(("element", "elements"), [(-1, 2), (2, 2), (0, 0), (5, 1), (0, -1)])
def test_an_element_outside_the_array_is_an_error(element, elements):
    with pytest.raises(ValueError, match=f"element {element} of {elements}"):
        networks_of_element(SMOKE, NETWORKS, element, elements)


def test_the_papers_networks_are_shared_evenly_where_its_longest_allows():
    campaign, networks = paper()
    direct = TrainingSection(convolutions="direct")
    seconds = [
        ARTICLE.predict_seconds(n.spec, n.images, campaign.epochs, GPU, direct, "cuda")
        for n in networks
    ]
    for elements in (*range(2, 40), 60, 100):
        sums = [sum(seconds[p] for p in found) for found in split(seconds, elements)]
        even = sum(seconds) / elements
        if max(seconds) <= even:  # up to 25 elements
            assert max(sums) <= 1.0001 * even
            assert min(sums) >= 0.9999 * even
        else:
            assert max(sums) == max(seconds)
        assert elements > 25 or max(seconds) <= even
