"""Networks that are interrupted and go on from checkpoints, for the tests of these."""

import contextlib
import random

import torch
from small_networks import bundled_images, first, loop_on, spec

from nnlc.system.files import make_folder
from nnlc.training.checkpoint import Checkpoints

EPOCHS = 2
# 64 images in batches of 10: 3 steps of training a half epoch, 4 images of an epoch left over;
# and 2 of validation, 5 images left over.
IMAGES = first(bundled_images(), 64, 25)
STEPS = 2 * EPOCHS * (3 + 2)

NETWORKS: dict[str, tuple[dict, dict]] = {
    "dropout": (
        {"fc_dropout_rate": 0.3, "fc_dropout_layers": (1,), "momentum": 0.9},
        {"truncate": "epoch", "pixels": "standardised"},
    ),
    "whole channels dropped": ({"dropout_rate": 0.5}, {"dropout": "channel"}),
    "dampening": ({"momentum": 0.9, "dampening": 0.5, "layer_types": (3,)}, {}),
    "weight decay": (
        {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1, "layer_types": (3,)},
        {"pixels": "standardised", "pooling": "average"},
    ),
    "no momentum": ({"momentum": 0, "weight_decay": 0.01}, {"truncate": "epoch"}),
    "diverging": ({"learning_rate": 1e4, "momentum": 0.9, "dampening": 0.5}, {}),
}


class InterruptionError(Exception):
    pass


def network_of(name):
    changes, chosen = NETWORKS[name]
    return spec(**{"batch_size": 10} | changes), chosen


def checkpoints(folder, network, ready=make_folder, /, **changes):
    about = {"network": network.to_json(), "epochs": EPOCHS, "training": {"truncate": "dataset"}}
    about |= {"versions.torch": "2.4.0", "device.name": "one"}
    return Checkpoints(folder, network.id, about | changes, ready)


def train(name, folder, stops=()):
    """Train with interruptions after so many steps, each time from a file in a fresh loop.

    Returns the last loop, and the images that each step took, over all loops.
    """
    taken = []
    for stop in sorted(stops):
        taken += train_until(name, folder, stop - len(taken)).images.taken
    loop = train_until(name, folder, None)
    return loop, taken + loop.images.taken


def train_until(name, folder, stop):
    """Go on where the checkpoints in this folder say; save after so many steps, and leave."""
    network, chosen = network_of(name)
    kept = checkpoints(folder, network)

    def save_and_leave_there():
        if len(loop.images.taken) == stop:
            kept.save(loop.state())
            raise InterruptionError

    loop = loop_on(IMAGES, network, EPOCHS, save_and_leave_there, **chosen)
    state, wrong = kept.load()
    assert not wrong
    if state is not None:
        loop.resume(state)
    torch.manual_seed(random.randrange(2**32))
    with contextlib.suppress(InterruptionError):
        if stop == 0:
            save_and_leave_there()
        list(loop)
    return loop


NETWORK, _ = network_of("dampening")


def two_checkpoints(folder):
    """The bytes of two checkpoints, the newest first: after 7 steps, and after 4."""
    train_until("dampening", folder, 4)
    train_until("dampening", folder, 3)
    newest, before = newest_and_before(folder)
    return newest.read_bytes(), before.read_bytes()


def newest_and_before(folder):
    (before,) = folder.glob("*.before.ckpt")
    (newest,) = set(folder.glob("*.ckpt")) - {before}
    return newest, before


def lay_out(folder, interrupted):
    folder.mkdir()
    kept = checkpoints(folder, NETWORK)
    for path, content in zip((kept._newest, kept._before), interrupted, strict=True):
        path.write_bytes(content)
    return folder


def steps_of(state):
    """Done, of training and of validation."""
    return 5 * len(state["rows"]) + 3 * state["validating"] + state["step"]


def state_to_save():
    return loop_on(IMAGES, NETWORK).state()
