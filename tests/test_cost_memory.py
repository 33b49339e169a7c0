"""Memory is predicted from what PyTorch keeps: what can't fit is known before it is tried."""

import csv
import random
from dataclasses import replace

import pytest
import torch
from paper_networks import paper
from small_networks import SAMPLE, spec
from typer.testing import CliRunner

from nnlc.cli import app
from nnlc.families.article import walk_network
from nnlc.families.article.conditions import conditions_of
from nnlc.families.article.memory import kept_bytes, memory_bytes
from nnlc.families.article.modules.network import Network
from nnlc.networks.device_memory import image_bytes, library_bytes
from nnlc.networks.image_sets import CIFAR100
from nnlc.networks.recipe import TrainingSection

SETTINGS = TrainingSection()
SEGMENTS, GAPS = 48 << 20, 2.75
"""Bytes in gaps on a GPU: of any network, and for each byte of its largest tensor."""
LARGEST_STEP = 2e8
"""Multiply-adds of a batch, so that the networks tried here take milliseconds."""


def small_ones(count: int) -> list:
    networks = list(paper()[1])
    random.Random(5).shuffle(networks)
    small = (
        n
        for n in networks
        if n.spec.batch_size * walk_network(n.spec, n.images).multiply_adds < LARGEST_STEP
    )
    return [network for network, _ in zip(small, range(count), strict=False)]


def bytes_saved(network, walk, batch: int) -> int:
    """What PyTorch keeps of a forward pass for the backward pass, parameters left out."""
    module = Network(walk, network.spec)
    module.restart_dropout(1)
    own = {p.untyped_storage().data_ptr() for p in module.parameters()}
    saved: dict[int, tuple[int, torch.Tensor]] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    shape = (batch, *walk.layers[0].input)
    pixels = torch.rand(shape).contiguous(memory_format=torch.channels_last)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = module(pixels)
    assert scores.shape == (batch, walk.classes)
    return sum(size for size, _ in saved.values())


def test_what_a_network_keeps_for_its_backward_pass_is_what_pytorch_keeps():
    kinds = set()
    for n in small_ones(25):
        walk, batch = walk_network(n.spec, n.images), n.spec.batch_size
        kinds |= {layer.kind for layer in walk.layers}
        pixels = 4 * batch * n.images.channels * n.images.width**2
        layers = [layer.buffers(conditions_of(n.spec, SETTINGS, "cpu")) for layer in walk.layers]
        predicted = pixels + sum(kept_bytes(layers))
        # The scores of the last layer are kept by the loss, which is not computed here.
        assert bytes_saved(n, walk, batch) == pytest.approx(predicted - 4 * batch * walk.classes)
    assert kinds == {"convolution", "relu", "dropout", "pooling", "flatten", "linear"}


def own_bytes(network, images=SAMPLE, device="cuda") -> int:
    return (
        memory_bytes(network, images, SETTINGS, device)
        - library_bytes(device)
        - image_bytes(images)
    )


def bytes_of(images, **others) -> int:
    return memory_bytes(spec(), images, SETTINGS, "cuda", **others)


def test_all_images_of_the_set_and_of_others_that_stay_are_counted_once():
    assert image_bytes(SAMPLE) == 5000 * (28 * 28 + 8)
    more = replace(SAMPLE, train_images=8000)
    assert bytes_of(more) - bytes_of(SAMPLE) == 4000 * (28 * 28 + 8)
    both = bytes_of(SAMPLE, resident=[CIFAR100, SAMPLE])
    assert both == bytes_of(SAMPLE) + image_bytes(CIFAR100)


def test_momentum_is_a_further_copy_of_the_parameters():
    parameters = walk_network(spec(), SAMPLE).parameters
    without = own_bytes(spec(momentum=0))
    assert own_bytes(spec(momentum=0.5)) - without == 4 * parameters


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_activations_grow_with_the_batch_and_parameters_do_not(device):
    one, two, three = (own_bytes(spec(batch_size=b), device=device) for b in (100, 200, 300))
    walk = walk_network(spec(), SAMPLE)
    parameters = 3 * 4 * walk.parameters
    assert three - two == pytest.approx(two - one, abs=2)
    fixed = 2.6 * parameters if device == "cpu" else parameters + SEGMENTS
    of_workspaces = 2 * 4 * walk.layers[0].parameters if device == "cuda" else 0
    assert 2 * one - two == pytest.approx(fixed, abs=3 + of_workspaces)


def test_a_gpu_holds_a_captured_validation_step_beside_a_training_step():
    network = spec(layer_types=(2,))
    walk = walk_network(network, SAMPLE)
    layers = [layer.buffers(conditions_of(network, SETTINGS, "cuda")) for layer in walk.layers]
    pixels, convolution = 4 * 100 * 28 * 28, layers[0]
    kept = pixels + sum(kept_bytes(layers[:2]))
    least = kept + pixels + convolution.output
    assert own_bytes(network) >= 3 * 4 * walk.parameters + least


def test_an_input_that_only_the_next_layer_needs_is_free_when_its_own_layer_goes_back():
    """The pooling's input is the dropout's output; validation has no dropout."""
    network = spec(layer_types=(6,), momentum=0, conv_filters=(40,))
    walk = walk_network(network, SAMPLE)
    layers = [layer.buffers(conditions_of(network, SETTINGS, "cuda")) for layer in walk.layers]
    convolution, dropout, pooling, *_ = layers
    pixels, mask, indices = 4 * 100 * 28 * 28, *dropout.kept, *pooling.kept
    workspace = sum(convolution.forward)
    at_dropout = pixels + mask + 2 * dropout.output
    at_pooling = at_dropout + indices + pooling.output
    at_convolution = pixels + convolution.output + sum(convolution.backward)
    training = max(at_pooling, at_convolution)
    validation = max(
        pixels + convolution.output + workspace, convolution.output + indices + pooling.output
    )
    used = 2 * 4 * walk.parameters + training + validation
    gaps = SEGMENTS + GAPS * convolution.output
    assert own_bytes(network) == pytest.approx(used + gaps, rel=0.01)


def test_every_network_of_the_article_fits_the_gpus_that_it_was_trained_on():
    needs = [memory_bytes(n.spec, n.images, SETTINGS, "cuda") for n in paper()[1][::7]]
    assert max(needs) <= 16e9


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_other_ways_of_convolutions_need_half_as_much_memory_again_at_most(device):
    direct, networks = TrainingSection(convolutions="direct"), paper()[1]
    for n in [*networks[::20], networks[2346], networks[3122]]:  # the last two need most
        walk = walk_network(n.spec, n.images)
        need = memory_bytes(n.spec, n.images, SETTINGS, device, walk=walk)
        assert need <= 1.5 * memory_bytes(n.spec, n.images, direct, device, walk=walk)


def test_fragments_count_for_more_in_a_small_heap_on_cpus():
    sizes = (1000, 2000, 30000, 31000)
    small, less, large, most = (own_bytes(spec(batch_size=b), device="cpu") for b in sizes)
    assert (less - small) / (most - large) == pytest.approx(2.6 / 1.4)


def test_specs_names_the_networks_that_can_not_fit(tmp_path):
    job = CliRunner().invoke(app, ["specs", "smoke", "--csv", str(tmp_path / "smoke.csv")])
    assert job.exit_code == 0, job.output
    rows = list(csv.DictReader((tmp_path / "smoke.csv").open()))
    needs = {row["ID"]: int(row["predicted_gpu_memory_bytes"]) for row in rows}
    half = sorted(needs.values())[4]
    job = CliRunner().invoke(app, ["specs", "smoke", "--memory", str(half / 1e9)])
    assert job.exit_code == 0, job.output
    *_, most, count, first, second, third = job.output.splitlines()
    largest = sorted(needs, key=needs.get, reverse=True)
    assert f"network {largest[0]} needs the most" in most
    assert count.startswith("3 of 8 networks can't fit into 0.7")
    assert [line.split()[0] for line in (first, second, third)] == largest[:3]
    assert "can't fit" not in CliRunner().invoke(app, ["specs", "smoke"]).output
