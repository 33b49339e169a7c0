"""The search space: ranges of the networks' parameters. The default is the article's Table 3."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from nnlc.errors import SpaceError
from nnlc.families.article.layers import ALL_BITS, BLOCK
from nnlc.networks.image_sets import ImageSet

Coin = Literal["coin", "always", "never"]


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """Ranges that networks' parameters are drawn from: [lowest, highest], both included.

    The highest value may name the natural bound of Table 3 ("input": width of the layer's input;
    "kernel": the kernel just drawn; "half": floor(kernel / 2)). A number is lowered to the natural
    bound if it is larger; so is the lowest value. A coin decides if an option is used: by chance
    ("coin"), "always" or "never".

    Raises:
        SpaceError: a range is empty or has values that PyTorch does not accept.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  (campaign files: no unknown keys)

    kernel: tuple[int, int | Literal["input"]] = (1, "input")
    """Height and width of a convolution's kernel, in pixels."""
    stride: tuple[int, int | Literal["kernel"]] = (1, "kernel")
    """Stride of a convolution, in pixels."""
    padding: tuple[int, int] = (0, 5)
    """Zeros that a convolution adds to each side of its input, in pixels."""
    filters: tuple[int, int] = (1, 400)
    """Filters of a convolution. The lowest rises to the image's channels, to the previous
    layer's filters if filters must increase, and in the last layer to the number of classes."""
    increasing_filters: Coin = "coin"
    """Option that no convolution has fewer filters than the one before."""
    blocks: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    """Layers that may follow a convolution; each entry is equally likely, and may be repeated. An
    entry is a sum: 1 ReLU, 2 pooling, 4 dropout. The article gives no weights."""
    dropout_rate: tuple[float, float] = (0.1, 0.7)
    """Dropout rate after convolutions, the same for all layers of a network."""
    pool_kernel: tuple[int, int | Literal["input"]] = (1, "input")
    """Height and width of a pooling window, in pixels."""
    pool_stride: tuple[int, int | Literal["kernel"]] = (1, "kernel")
    """Stride of a pooling layer, in pixels."""
    pool_padding: tuple[int, int | Literal["half"]] = (0, "half")
    """Padding of a pooling layer on each side, in pixels."""
    fc_layers: tuple[int, int] = (1, 5)
    """Number of fully connected layers; the last has a unit for each class."""
    fc_units: tuple[int, int] = (1, 400)
    """Units of a fully connected layer but the last. The article prints [0, 400], but 0 units make
    no layer."""
    fc_dropout: Coin = "coin"
    """Option of dropout after fully connected layers but the last; where it is used, a coin decides
    for each layer."""
    fc_dropout_rate: tuple[float, float] = (0.1, 0.7)
    """Dropout rate after fully connected layers, the same for all layers of a network."""
    learning_rate_exponent: tuple[float, float] = (-6.0, 0.0)
    """Power of ten of the learning rate: -3.0 is 0.001."""
    momentum: Coin = "coin"
    """Option of momentum; without it, or under an optimizer without momentum, it is 0."""
    momentum_exponent: tuple[float, float] = (-6.0, 0.0)
    """Power of ten of the momentum."""
    dampening: Coin = "coin"
    """Option of dampening; without it, or under an optimizer without dampening, it is 0."""
    dampening_exponent: tuple[float, float] = (-6.0, 0.0)
    """Power of ten of the dampening."""
    weight_decay: Coin = "coin"
    """Option of weight decay; without it, it is 0."""
    weight_decay_exponent: tuple[float, float] = (-6.0, 0.0)
    """Power of ten of the weight decay."""
    batch_size: tuple[int, int] = (25, 250)
    """Images of a batch. Only sizes that divide the training images into an even number of whole
    batches, the rest left out, are drawn."""

    def __post_init__(self) -> None:
        for name, (low_limit, high_limit) in LIMITS.items():
            low, high = value = getattr(self, name)
            # "not" makes the condition true for NaN too.
            if not low >= low_limit or not (isinstance(high, str) or high <= high_limit):
                raise SpaceError(
                    f"{name} = {list(value)}: must stay within [{low_limit}, {high_limit}]"
                )
            if not isinstance(high, str) and low > high:
                raise SpaceError(
                    f"{name} = {list(value)}: the range is empty; write the smaller end first"
                )
        if not self.blocks or any(block not in range(1, ALL_BITS + 1) for block in self.blocks):
            raise SpaceError(
                f"blocks = {list(self.blocks)}: give at least one of 1..{ALL_BITS}, a sum of "
                + ", ".join(sorted(f"{kind.bit} ({kind.__name__})" for kind in BLOCK))
            )

    @staticmethod
    def limits_of_keys() -> dict[str, tuple[float, float]]:
        """Return the limits of each range."""
        return LIMITS

    def likely_mistakes(self) -> Iterator[tuple[str, str]]:
        """Yield fields whose values are probably mistakes, though legal, and what they mean."""
        if len(set(self.blocks)) < len(self.blocks):  # perhaps meant as weights
            drawn = ", ".join(
                f"code {code} for {self.blocks.count(code)} of {len(self.blocks)} layers"
                for code in sorted(set(self.blocks))
            )
            yield (
                "blocks",
                f"is a list of codes to draw from, not a list of weights: {drawn}. To draw a code "
                "more often, repeat it",
            )
        for name in ("learning_rate_exponent", "weight_decay_exponent"):
            low, high = getattr(self, name)
            if low >= 0 < high:  # perhaps meant as values, not exponents
                yield name, f"are powers of ten: the values are {10**low:.4g} to {10**high:.4g}"

    def check_against(self, images: ImageSet) -> None:
        """Check that networks of this search space fit `images`.

        Raises:
            SpaceError: no batch size is legal, or filters are fewer than classes or channels.
        """
        if not self.legal_batch_sizes(images):
            low, high = self.batch_size
            raise SpaceError(
                f"batch_size = [{low}, {high}]: none of these divides the {images.train_images} "
                f"training images of {images.name} into an even number of batches and fits its "
                f"{images.validation_images} validation images; widen the range or use more images"
            )
        needed = max(images.classes, images.channels)
        if self.filters[1] < needed:
            raise SpaceError(
                f"filters = {list(self.filters)}: {images.name} needs at least {needed} in the "
                "last convolution (its classes and channels); raise the upper end"
            )

    def legal_batch_sizes(self, images: ImageSet) -> list[int]:
        """Return the batch sizes b with an even, non-zero floor(train images / b), ascending.

        The article repeats the draw until a batch size is legal (Fig. 3b), which equals a uniform
        draw from this list. No batch is larger than the validation set.
        """
        low, high = self.batch_size
        return [
            b
            for b in range(low, min(high, images.validation_images) + 1)
            if images.train_images // b >= 2 and (images.train_images // b) % 2 == 0
        ]


LIMITS: dict[str, tuple[float, float]] = {
    "kernel": (1, 1024),
    "stride": (1, 1024),
    "padding": (0, 1024),
    "filters": (1, 65_536),
    "dropout_rate": (0.0, 1.0),
    "pool_kernel": (1, 1024),
    "pool_stride": (1, 1024),
    "pool_padding": (0, 512),
    "fc_layers": (1, 64),
    "fc_units": (1, 1_048_576),
    "fc_dropout_rate": (0.0, 1.0),
    "learning_rate_exponent": (-30.0, 3.0),
    "momentum_exponent": (-30.0, 0.0),
    "dampening_exponent": (-30.0, 0.0),
    "weight_decay_exponent": (-30.0, 3.0),
    "batch_size": (1, 1_048_576),
}
"""Limits of each range; PyTorch refuses larger values, or no memory suffices for them."""
