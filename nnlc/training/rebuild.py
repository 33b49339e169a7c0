"""Rebuilding of a table's network as a torch module."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nnlc.campaign.campaign import Campaign
from nnlc.errors import FamilyError, NnlcError
from nnlc.families.network_family import NetworkFamily
from nnlc.networks import ImageSet, Specification
from nnlc.networks.draws import training_seed
from nnlc.results.history import read_history
from nnlc.results.paths import ResultsPaths
from nnlc.system.extras import require_extra
from nnlc.tables import Table, read_table
from nnlc.training.origin import campaign_of, origin_of

if TYPE_CHECKING:
    from torch import nn


def rebuild(
    table: str | Path | Table,
    images: ImageSet | None = None,
    *,
    campaign: Campaign | str | Path | None = None,
    plain: bool = True,
    weights: str = "initial",
) -> "nn.Module":
    """Return the network of a table, of nnlc or published, with its initial or its kept weights.

    The module takes float32 (batch, channels, width, width), with pixels from 0 to 1 unless the
    campaign standardises them, and returns (batch, classes), unnormalised. The weights are those
    that nnlc's training begins with for the table's `random_seed`; the initial weights of published
    networks were not recorded. The caller's random streams do not change.

    The code of another family than the article's is that of its campaign, or else that of nnlc or
    of an installed package in the table's version, with the family's default settings.

    Args:
        table: the table, or its file.
        images: the image set, needed if the table's `dataset` is neither a known image set nor one
            of the campaign.
        campaign: the campaign, which decides the kinds of pooling and dropout and the size of the
            user's own images: a `Campaign`, the name of a shipped one, its file or its results
            folder. By default the campaign of the table's results folder or collection, or else
            nnlc's default settings.
        plain: True for modules of `torch.nn` only, or what another family builds: they run on any
            device and in any memory format, and can be saved or exported without nnlc. False for
            the module that nnlc trains on a CPU, which gives the table's bits. Each can load the
            other's `state_dict`.
        weights: "initial", or "final" or "best" for weights that the campaign has kept with
            `run.keep`; `table` must then be a file in its results folder or collection.

    Raises:
        NnlcError: the table is damaged, the images are unknown, there is no such campaign, the code
            of the network's family is missing or of another version, the
            network does not fit into memory, there are no such weights of this table, or torch or
            safetensors is not installed.
    """
    require_extra("train", "nnlc.rebuild", "torch", "safetensors")
    try:
        return _rebuilt(table, images, campaign, weights, plain=plain)
    except FamilyError as problem:  # its text says all
        raise problem.with_traceback(None) from None


def _rebuilt(
    table: str | Path | Table,
    images: ImageSet | None,
    campaign: Campaign | str | Path | None,
    weights: str,
    *,
    plain: bool,
) -> "nn.Module":
    import torch

    from nnlc.training.kept_weights import load_weights

    if weights not in ("initial", "final", "best"):
        raise NnlcError(f"weights={weights!r}: must be 'initial', 'final' or 'best'")
    whole = table if isinstance(table, Table) else read_table(table)
    spec = whole.spec
    given = campaign_of(None if isinstance(table, Table) else Path(table), campaign)
    origin = origin_of(spec, given, images)
    family, settings = origin.family, origin.settings
    results = None
    if not isinstance(table, Table):  # links keep their names
        results = ResultsPaths(Path(os.path.abspath(table)).parent.parent)  # noqa: PTH100
    if results and campaign is None and not plain:
        finish = read_history(results.journal_folder).finishes.get(spec.id)
        if finish is not None:
            device = "cuda" if finish.on_gpu else "cpu"
            settings = finish.settings_as_trained(spec, origin.images, settings, device)
    with _weights_of(spec, family, origin.images):
        if plain:
            module = family.plain_network(spec, origin.images, settings)
        else:
            cpu = torch.device("cpu")
            module = family.trained_network(spec, origin.images, settings, cpu).module
    if weights != "initial":
        if results is None:
            raise NnlcError(f"network {spec.id}: weights={weights!r} needs the table's file")
        load_weights(module, whole, results.weights_path(spec.id), weights)
    return module


@contextmanager
def _weights_of(spec: Specification, family: NetworkFamily, images: ImageSet) -> Iterator[None]:
    """Give modules that are built in this context the network's initial weights.

    The caller's default device, type and random streams have no effect.
    """
    import torch

    usual = torch.get_default_dtype()
    try:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.default_generator.manual_seed(training_seed(spec.random_seed, "init"))
            torch.set_default_dtype(torch.float32)
            yield
    except (RuntimeError, MemoryError, OverflowError, TypeError) as problem:
        raise NnlcError(
            f"network {spec.id}: its {_parameters(spec, family, images)} can't be allocated: "
            f"{str(problem).splitlines()[0]}"
        ) from None
    finally:
        torch.set_default_dtype(usual)


def _parameters(spec: Specification, family: NetworkFamily, images: ImageSet) -> str:
    try:
        return f"{family.size(spec, images).parameters:,} parameters"
    except NnlcError:  # nobody has counted them
        return "parameters"
