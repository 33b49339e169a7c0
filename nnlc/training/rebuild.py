"""From a table back to the network that it tells of, as a torch module."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from nnlc.campaign.campaign import Campaign
from nnlc.errors import NnlcError
from nnlc.networks import ImageSet, NetworkSpec, Walk, walk_network
from nnlc.tables import Table, read_table
from nnlc.training.build import Network
from nnlc.training.modules import plain_module
from nnlc.training.origin import campaign_of, origin_of
from nnlc.training.seeds import training_seed


def rebuild(
    table: str | Path | Table,
    images: ImageSet | None = None,
    *,
    campaign: Campaign | str | Path | None = None,
    plain: bool = True,
) -> nn.Sequential:
    """The network of a table, ours or a published one, with the weights that it begins with.

    It takes float32 (batch, channels, width, width), with pixels as the campaign has them, from 0
    to 1 unless it says otherwise, and gives (batch, classes), unnormalised. The weights are those
    that nnlc's training begins with for the table's `random_seed`. Published tables were trained
    from others, which nobody recorded. The caller's random streams are left as they were.

    Args:
        table: the table, or its file.
        images: what its network was made for, where the table's `dataset` names neither a known
            image set nor one of the campaign.
        campaign: what it was trained under: decides the kind of pooling and of dropout, and the
            size of images of one's own. A `Campaign`, the name of a shipped one, its file or its
            results folder; by default the one of the results folder that the table stands in, and
            else nnlc's own settings.
        plain: of `torch.nn` modules only, which run on any device and in any memory format, and can
            be saved or exported without nnlc. Otherwise the very module that nnlc trains, made for
            speed on a CPU, whose bits a table depends on. Each loads the other's `state_dict`.

    Raises:
        NnlcError: a damaged table, unknown images, a campaign that is none, or a network that
            memory has no room for.
    """
    spec = (table if isinstance(table, Table) else read_table(table)).spec
    given = campaign_of(None if isinstance(table, Table) else Path(table), campaign)
    origin = origin_of(spec, given, images)
    walk, settings = walk_network(spec, origin.images), origin.settings
    with _weights_of(spec, walk):
        if plain:
            return nn.Sequential(*(plain_module(layer, settings) for layer in walk.layers))
        return Network(walk, settings)


@contextmanager
def _weights_of(spec: NetworkSpec, walk: Walk) -> Iterator[None]:
    """In here modules get the weights that training begins with, whatever the caller has set."""
    usual = torch.get_default_dtype()
    try:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.default_generator.manual_seed(training_seed(spec, "init"))
            torch.set_default_dtype(torch.float32)
            yield
    except (RuntimeError, MemoryError, OverflowError, TypeError) as problem:
        raise NnlcError(
            f"network {spec.id}: its {walk.parameters:,} parameters can't be had: "
            f"{str(problem).splitlines()[0]}"
        ) from None
    finally:
        torch.set_default_dtype(usual)
