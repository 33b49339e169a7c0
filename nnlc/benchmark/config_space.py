"""A campaign's search space as a ConfigSpace, each configuration of which is a network.

Example: a random network of the article's campaign, and a network of the campaign as configuration:

    import nnlc

    space = nnlc.config_space("paper", "CIFAR-100", seed=1)
    config = space.sample_configuration()
    spec = nnlc.config_to_network(config, id="2026_01_31_12_00_00_000000", random_seed=7)
    print(config["depth"], spec.conv_kernels, spec.learning_rate)

    first = next(nnlc.load_campaign("paper").networks()).spec
    config = nnlc.network_to_config(first, space)
    assert nnlc.config_to_network(config, id=first.id, random_seed=first.random_seed) == first

The sampler makes the network, with the configuration in the place of its random numbers. So every
configuration is a network, and uniform sampling has the campaign's own distribution. Names are
those of `hyperparameters`, and of the keys of `[space]` in a campaign file:

    conv3_kernel, pool3_stride, …   kernels, strides, filters and paddings of pooling: share, from 0
                                    to 1, of the values that images and earlier layers allow
    depth, batch_size, conv3_padding, fc_layers, fc2_units, dropout_rate, fc_dropout_rate: the value
    learning_rate_exponent, …       power of ten of the value
    conv3_block                     layers after the convolution: 1 ReLU + 2 pooling + 4 dropout
    fc2_dropout                     True if a dropout layer follows
    momentum, dampening, weight_decay, fc_dropout, increasing_filters: True if the option is used,
                                    where the campaign leaves it to a coin

What a network does not have is inactive: layers above its depth, pooling without a pooling layer,
rates without dropout, exponents of unused options. What leaves no choice has no hyperparameter.

Networks are made from a configuration's exact vector. ConfigSpace rounds its values to 13 decimals:
made again from these, it may have a network with other last digits of the learning rate.
"""

from pathlib import Path
from typing import Any

from nnlc.campaign.campaign import Campaign, load_campaign
from nnlc.errors import NnlcError
from nnlc.families.article.configurations import config_to_network, make_space, network_to_config
from nnlc.networks.image_sets import shown_name
from nnlc.system.extras import require_extra

__all__ = ["config_space", "config_to_network", "network_to_config"]


def config_space(
    campaign: str | Path | Campaign, dataset: str | None = None, *, seed: int | None = None
) -> Any:
    """Return the search space of a campaign as a `ConfigSpace.ConfigurationSpace`.

    Args:
        campaign: name of a campaign, path of its file, or the campaign itself.
        dataset: name of one of its image sets; may be left out if it has only one.
        seed: seed of the space's random configurations.

    Raises:
        MissingExtraError: ConfigSpace is not installed.
        NnlcError: the campaign has a mistake, no such image set, or several and none is named.
    """
    require_extra("bench", "config_space", "ConfigSpace")
    chosen = campaign if isinstance(campaign, Campaign) else load_campaign(campaign)
    if chosen.family is not None:
        raise NnlcError(
            f"campaign {chosen.name} is of family {chosen.family.name}; only the article's "
            "networks have a ConfigSpace"
        )
    known = chosen.image_sets()
    images = known.get(next(iter(known)) if dataset is None else shown_name(str(dataset)))
    if images is None or (dataset is None and len(known) > 1):
        raise NnlcError(
            f"campaign {chosen.name} has the image sets {', '.join(known)}: "
            + ("name one" if dataset is None else f"{dataset!r} is none of them")
        )
    depths, optimizer = chosen.datasets[images.name].depths, chosen.training.optimizer
    name = f"{chosen.name}, {images.name}"
    return make_space(chosen.space, images, depths, optimizer, name=name, seed=seed)
