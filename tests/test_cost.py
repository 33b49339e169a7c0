"""What a network asks of a machine is counted, and a machine's seconds follow from the counts."""

from dataclasses import asdict, replace
from math import inf, prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_networks import paper
from small_networks import SAMPLE, spec

from nnlc.campaign.campaign import load_campaign
from nnlc.campaign.network_list import summarise
from nnlc.families.article import walk_network
from nnlc.families.article.cost import (
    backward_work,
    forward_work,
    half_epoch_work,
    training_operations,
    training_work,
)
from nnlc.families.article.family import ARTICLE
from nnlc.networks.machine import CPU, GPU, Machine
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.work import Work

PLAIN = spec(layer_types=(1,), pool_kernels=(), pool_strides=(), pool_paddings=(), momentum=0)
SETTINGS = TrainingSection(convolutions="direct")
RATES = st.floats(1e-3, 1e15)


def works(network) -> tuple[Work, Work]:
    """Of a training step and of a validation step."""
    walk = walk_network(network, SAMPLE)
    return tuple(work(walk, network, SETTINGS, "cpu") for work in (training_work, forward_work))


def test_operations_are_two_a_multiply_add_three_passes_and_two_in_the_first_layer():
    walk = walk_network(PLAIN, SAMPLE)
    convolution, *rest = (layer.multiply_adds for layer in walk.layers)
    training, validation = works(PLAIN)
    assert validation.operations == 2 * 100 * walk.multiply_adds
    assert training.operations == 2 * 100 * (2 * convolution + 3 * sum(rest))


def test_without_padding_they_are_those_of_direct_convolutions():
    network = replace(PLAIN, conv_paddings=(0,))
    walk = walk_network(network, SAMPLE)
    found = half_epoch_work(walk, network, SAMPLE, SETTINGS, "cpu").times(2 * 7).operations
    assert found == training_operations(walk, network, SAMPLE, 7)


def test_outputs_that_see_only_padding_cost_no_operations():
    for n in paper()[1][::150]:
        walk = walk_network(n.spec, n.images)
        counted = forward_work(walk, n.spec, SETTINGS, "cpu").operations
        computed = 2 * n.spec.batch_size * sum(x.computed_multiply_adds for x in walk.layers)
        direct = 2 * n.spec.batch_size * walk.multiply_adds
        # Where little would be saved, all outputs are computed.
        assert computed <= counted <= direct
        assert counted <= computed + 64 * 2 * n.spec.batch_size * walk.activations


def test_only_training_pays_for_dropout_and_for_the_optimizer():
    training, validation = works(spec())
    made = prod(walk_network(spec(), SAMPLE).layers[0].output)
    assert training.random == 100 * made
    assert validation.random == 0
    assert works(PLAIN)[0].random == 0
    parameters = walk_network(PLAIN, SAMPLE).parameters
    plain = works(PLAIN)[0].weights
    assert works(replace(PLAIN, momentum=0.5))[0].weights == plain + 2 * parameters
    assert works(replace(PLAIN, weight_decay=0.5))[0].weights == plain + 2 * parameters


def test_a_wide_pooling_window_is_counted_by_all_values_that_it_sees():
    vectors = 10 // 8 + 10 % 8
    for kernel, stride in ((7, 1), (7, 7), (2, 2)):
        pooled = spec(pool_kernels=(kernel,), pool_strides=(stride,))
        walk = walk_network(pooled, SAMPLE)
        outputs = next(layer.output[1] for layer in walk.layers if layer.kind == "pooling")
        assert works(pooled)[1].comparisons == 100 * vectors * (kernel * outputs) ** 2


@pytest.mark.parametrize("outputs", [3, 4, 9])
def test_windows_are_gathered_where_outputs_are_few(outputs):
    kernel = 29 - outputs  # 28 wide, no padding, stride 1
    few = replace(PLAIN, conv_kernels=(kernel,), conv_strides=(1,), conv_paddings=(0,))
    training, validation = works(few)
    windows = 100 * (outputs * kernel) ** 2
    assert validation.gathered == (windows if outputs <= 3 else 0)
    assert training.gathered == validation.gathered + (windows if outputs <= 8 else 0)
    assert (validation.narrow > 0) == (outputs > 3)


def test_a_half_epoch_is_half_of_the_training_steps_and_all_of_validation():
    walk = walk_network(PLAIN, SAMPLE)
    training, validation = works(PLAIN)
    expected = [20 * t + 10 * v for t, v in zip(training, validation, strict=True)]
    assert half_epoch_work(walk, PLAIN, SAMPLE, SETTINGS, "cpu") == pytest.approx(expected)
    assert ARTICLE.predict_seconds(PLAIN, SAMPLE, 3, GPU, SETTINGS, "cpu") == pytest.approx(
        6 * (20 * GPU.seconds(training) + 10 * GPU.seconds(validation))
    )
    assert ARTICLE.predict_step_seconds(PLAIN, SAMPLE, CPU, SETTINGS, "cpu") == CPU.seconds(
        training
    )
    forward, learning = (
        work(walk, PLAIN, SETTINGS, "cpu") for work in (forward_work, backward_work)
    )
    assert training == pytest.approx([f + b for f, b in zip(forward, learning, strict=True)])


@given(st.tuples(*[RATES | st.just(inf)] * 8, RATES))
def test_a_machine_is_known_by_its_prices(rates):
    names = asdict(CPU)
    machine = Machine(**dict(zip(names, rates, strict=True)))
    again = asdict(Machine.from_unit_seconds(machine.unit_seconds))
    assert again == pytest.approx(asdict(machine))


@given(st.tuples(*[st.floats(0, 1e15)] * 9), st.sampled_from(Work._fields), st.floats(1, 1e15))
def test_more_of_anything_takes_no_less_time(counts, field, more):
    work = Work(*counts)
    larger = work._replace(**{field: getattr(work, field) + more})
    for machine in (CPU, GPU):
        assert machine.seconds(larger) >= machine.seconds(work)


@settings(max_examples=30)
@given(
    st.sampled_from(["batch_size", "conv_filters", "fc_filters"]),
    st.integers(1, 30),
)
def test_a_larger_network_costs_more_operations(field, more):
    changes = {
        "batch_size": {"batch_size": 100 + more},
        "conv_filters": {"conv_filters": (10 + more,)},
        "fc_filters": {"fc_filters": (20 + more, 10)},
    }
    larger, base = works(replace(PLAIN, **changes[field])), works(PLAIN)
    assert larger[0].operations > base[0].operations
    assert larger[1].operations > base[1].operations


def test_specs_shows_the_operations_as_they_are_computed():
    campaign = load_campaign("paper")
    few = {n: s.model_copy(update={"networks_per_depth": 1}) for n, s in campaign.datasets.items()}
    campaign = campaign.model_copy(update={"datasets": few})

    def shown(convolutions: str) -> list[float]:
        training = campaign.training.model_copy(update={"convolutions": convolutions})
        lines = summarise(campaign.model_copy(update={"training": training}))
        return [float(line.split()[-1]) for line in lines if "as computed" in line]

    on_cpus, on_gpus, direct = shown("auto")
    assert max(on_cpus, on_gpus) < direct
    assert shown("direct") == [direct] * 3
    trimmed = 0
    for n in campaign.networks():
        walk = walk_network(n.spec, n.images)
        half_epoch = half_epoch_work(walk, n.spec, n.images, SETTINGS, "cpu")
        trimmed += half_epoch.times(campaign.half_epochs).operations
    assert direct == pytest.approx(trimmed, rel=0.01)


def test_a_network_s_cost_says_what_it_needs_and_takes():
    cost = ARTICLE.cost(PLAIN, SAMPLE, 2, SETTINGS)
    walk = walk_network(PLAIN, SAMPLE)
    assert cost.parameters == walk.parameters
    assert cost.forward_multiply_adds == walk.multiply_adds
    assert cost.predicted_operations == training_operations(walk, PLAIN, SAMPLE, 2)
    assert cost.predicted_gpu_seconds == round(
        ARTICLE.predict_seconds(PLAIN, SAMPLE, 2, GPU, SETTINGS, "cuda"), 3
    )
    assert cost.predicted_gpu_memory_bytes > 600e6
