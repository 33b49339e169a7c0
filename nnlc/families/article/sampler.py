"""Sampler: draws a network from a search space, for an image set, a depth and a seed.

A network is a pure function of these four; `nnlc.networks.draws` makes it the same on every
machine. If the order of the draws changes, every network changes.
"""

from numbers import Integral

from nnlc.errors import SpecError
from nnlc.families.article.layer import output_width
from nnlc.families.article.space import Coin, SearchSpace
from nnlc.families.article.spec import DROPOUT, POOLING, NetworkSpec
from nnlc.networks.draws import Draws, power_of_ten
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.optimizers import LOSSES, OPTIMIZERS

MAX_DEPTH = 100
"""Maximum number of convolutions; the article's networks have at most 10."""

Window = tuple[int, int, int]
"""Kernel, stride and padding."""


def sample_network(
    space: SearchSpace,
    images: ImageSet,
    depth: int,
    random_seed: int,
    *,
    id: str,
    train_gpu: bool = True,
    optimizer: str = "SGD",
    draws: Draws | None = None,
) -> NetworkSpec:
    """Draw one network (article, section 2.1, Table 3, Figs 1 to 3).

    Args:
        space: the search space.
        images: the image set that the network will train on.
        depth: number of convolutions, at least 1.
        random_seed: 32-bit unsigned integer.
        id: the network's ID, as `network_id` makes it; no draw depends on it.
        train_gpu: value of the `train_GPU` column; no draw depends on it.
        optimizer: name in `OPTIMIZERS`; no draw depends on it. Parameters that it does not use
            are drawn and then set to 0.
        draws: the draws, if they are not those of the seed. Each has a name: that of the option in
            `SearchSpace`, or of a value of a layer, such as "pool1_kernel", after convolution 1.

    Raises:
        SpaceError: the search space has no network for these images.
        SpecError: the depth or seed is out of range.
    """
    if not 1 <= depth <= MAX_DEPTH:
        raise SpecError(f"depth {depth} is not between 1 and {MAX_DEPTH}")
    is_integer = isinstance(random_seed, Integral) and not isinstance(random_seed, bool)
    if not is_integer or not 0 <= random_seed < 2**32:
        raise SpecError(f"random_seed {random_seed!r} is not a 32-bit unsigned integer")
    space.check_against(images)
    draws = draws or Draws(random_seed)
    filters = _draw_filters(draws, space, images, depth)
    convolutions, blocks, poolings = _draw_features(draws, space, images.width, depth)
    conv_kernels, conv_strides, conv_paddings = zip(*convolutions, strict=True)
    pool_kernels, pool_strides, pool_paddings = (
        zip(*poolings, strict=True) if poolings else [()] * 3
    )
    has_dropout = any(block & DROPOUT for block in blocks)
    dropout_rate = draws.uniform(*space.dropout_rate, "dropout_rate") if has_dropout else 0
    hidden = range(1, draws.integer(*space.fc_layers, "fc_layers"))
    units = [draws.integer(*space.fc_units, f"fc{layer}_units") for layer in hidden]
    fc_dropout = _toss(draws, "fc_dropout", space)
    return NetworkSpec(
        id=id,
        random_seed=int(random_seed),
        train_gpu=train_gpu,
        torch_set_deterministic=True,
        dataset=images.table_name,
        loss_fn=LOSSES[0],
        optimizer=optimizer,
        layer_types=tuple(blocks),
        dropout_rate=dropout_rate,
        conv_kernels=conv_kernels,
        conv_strides=conv_strides,
        conv_paddings=conv_paddings,
        pool_kernels=pool_kernels,
        pool_strides=pool_strides,
        pool_paddings=pool_paddings,
        conv_filters=tuple(filters),
        fc_dropout_rate=(
            draws.uniform(*space.fc_dropout_rate, "fc_dropout_rate") if fc_dropout else 0
        ),
        fc_dropout_layers=tuple(
            int(draws.coin(f"fc{layer}_dropout")) if fc_dropout else 0 for layer in hidden
        ),
        fc_filters=(*units, images.classes),
        learning_rate=_draw_power(draws, "learning_rate", space),
        momentum=_draw_used(draws, "momentum", space, optimizer),
        dampening=_draw_used(draws, "dampening", space, optimizer),
        weight_decay=_draw_option(draws, "weight_decay", space),
        batch_size=draws.choice(space.legal_batch_sizes(images), "batch_size"),
    )


def _toss(draws: Draws, option: str, space: SearchSpace) -> bool:
    coin: Coin = getattr(space, option)
    return draws.coin(option) if coin == "coin" else coin == "always"


def _draw_power(draws: Draws, field: str, space: SearchSpace) -> float:
    name = f"{field}_exponent"
    low, high = getattr(space, name)
    return power_of_ten(draws.uniform(low, high, name))


def _draw_option(draws: Draws, field: str, space: SearchSpace) -> float:
    return _draw_power(draws, field, space) if _toss(draws, field, space) else 0


def _draw_used(draws: Draws, field: str, space: SearchSpace, optimizer: str) -> float:
    """Return a drawn momentum or dampening, or 0 if the optimizer has none.

    The value is drawn in any case, so that later draws don't depend on the optimizer.
    """
    drawn = _draw_option(draws, field, space)
    return drawn if field in OPTIMIZERS[optimizer].uses else 0


def _draw_filters(draws: Draws, space: SearchSpace, images: ImageSet, depth: int) -> list[int]:
    """Draw the numbers of filters (article, Fig. 2). A single convolution counts as the last."""
    increasing = _toss(draws, "increasing_filters", space)
    low, high = space.filters
    filters: list[int] = []
    for layer in range(depth):
        least = filters[-1] if increasing and filters else images.channels
        if layer == depth - 1:
            least = max(images.classes, least if increasing and filters else 1)
        filters.append(draws.integer(max(low, least), high, f"conv{layer + 1}_filters"))
    return filters


def _draw_features(
    draws: Draws, space: SearchSpace, width: int, depth: int
) -> tuple[list[Window], list[int], list[Window]]:
    """Draw convolutions, blocks and pooling layers; the width of each input limits the kernel."""
    convolutions: list[Window] = []
    blocks: list[int] = []
    poolings: list[Window] = []
    for layer in range(1, depth + 1):
        kernel = _draw_capped(draws, space.kernel, width, f"conv{layer}_kernel")
        stride = _draw_capped(draws, space.stride, kernel, f"conv{layer}_stride")
        padding = draws.integer(*space.padding, f"conv{layer}_padding")
        convolutions.append((kernel, stride, padding))
        width = output_width(width, *convolutions[-1])
        blocks.append(draws.choice(space.blocks, f"conv{layer}_block"))
        if blocks[-1] & POOLING:
            kernel = _draw_capped(draws, space.pool_kernel, width, f"pool{layer}_kernel")
            stride = _draw_capped(draws, space.pool_stride, kernel, f"pool{layer}_stride")
            half, name = kernel // 2, f"pool{layer}_padding"
            poolings.append((kernel, stride, _draw_capped(draws, space.pool_padding, half, name)))
            width = output_width(width, *poolings[-1])
    return convolutions, blocks, poolings


def _draw_capped(draws: Draws, bounds: tuple[int, int | str], natural: int, name: str) -> int:
    """Draw uniformly from a range of the search space; `natural` limits both of its ends."""
    low, cap = bounds
    high = natural if isinstance(cap, str) else min(cap, natural)
    return draws.integer(min(low, high), high, name)
