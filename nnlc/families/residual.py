"""Residual networks with batch normalisation: the second family that comes with nnlc.

After He, Zhang, Ren and Sun, Deep residual learning for image recognition (CVPR 2016). A 3×3
convolution, three stages of residual blocks, the mean over positions, a fully connected layer. The
first block of a stage has the stage's stride; where a block changes width or size, its shortcut is
a 1×1 convolution. A basic block has two 3×3 convolutions. A bottleneck has three: 1×1 to a quarter
of the channels, 3×3, 1×1. Batch normalisation follows each convolution.

This module uses the documented interface and nothing else of nnlc.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from nnlc.families import Draws, Family, FamilySpec, ImageSet, Kind, Value, Wrong

if TYPE_CHECKING:
    from torch import Tensor, nn

STAGES = 3
STEP = 4
"""All widths are multiples of this, as a bottleneck's inner width is a quarter of its own."""
MAX_STRIDE = 4

Range = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Residual(Family):
    """Residual networks; a group has all networks with as many residual blocks.

    Ranges are [lowest, highest], both included.
    """

    name: ClassVar[str] = "residual"
    version: ClassVar[str] = "1"
    columns: ClassVar[Mapping[str, Kind]] = {
        "blocks": "integers",  # residual blocks of each stage
        "widths": "integers",  # channels of each stage
        "strides": "integers",  # stride of each stage's first block
        "stem_width": "integer",  # channels of the first convolution
        "bottleneck": "flag",
    }
    groups: ClassVar[tuple[int, int]] = (3, 27)

    width: Range = (8, 32)
    """Channels of the first convolution and of the first stage. The second stage has twice as many,
    the third four times. Multiples of 4."""
    stride: Range = (1, 2)
    """Stride of a stage's first block, in pixels."""
    bottleneck: Literal["coin", "always", "never"] = "coin"
    """Option that a network's blocks are bottlenecks."""
    batch_size: Range = (32, 256)
    """Images of a batch. Only sizes that divide the training images into an even number of whole
    batches, the rest left out, are drawn."""
    learning_rate_exponent: tuple[float, float] = (-2.0, -0.3)
    """Power of ten of the learning rate: -2.0 is 0.01."""
    momentum: tuple[float, float] = (0.8, 0.98)
    weight_decay_exponent: tuple[float, float] = (-5.0, -3.0)
    """Power of ten of the weight decay."""

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "width": (STEP, 4096),
            "stride": (1, MAX_STRIDE),
            "batch_size": (2, 65_536),  # batch normalisation needs two images
            "learning_rate_exponent": (-30.0, 3.0),
            "momentum": (0.0, 1.0),
            "weight_decay_exponent": (-30.0, 3.0),
        }
        for name, (least, most) in limits.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise ValueError(
                    f"{name} = [{low}, {high}]: give the smaller end first, both within "
                    f"[{least}, {most}]"
                )
        if self.width[0] % STEP or self.width[1] % STEP:
            raise ValueError(f"width = {list(self.width)}: give multiples of {STEP}")

    def specify(
        self, draws: Draws, images: ImageSet, group: int, number: int
    ) -> Mapping[str, Value]:
        del number  # networks are drawn, not enumerated
        first = draws.integer(1, group - 1, "first_cut")
        second = draws.integer(1, group - 2, "second_cut")
        low, high = sorted((first, second + (second >= first)))  # two different cuts
        return {
            "blocks": (low, high - low, group - high),
            "widths": tuple(self._draw_width(draws, stage) for stage in range(STAGES)),
            "strides": tuple(
                draws.integer(*self.stride, f"stride{stage + 1}") for stage in range(STAGES)
            ),
            "stem_width": self._draw_width(draws, 0),
            "bottleneck": (
                draws.coin("bottleneck")
                if self.bottleneck == "coin"
                else self.bottleneck == "always"
            ),
            "batch_size": draws.choice(self._batch_sizes(images), "batch_size"),
            "learning_rate": draws.power_of_ten(*self.learning_rate_exponent, "learning_rate"),
            "momentum": draws.uniform(*self.momentum, "momentum"),
            "weight_decay": draws.power_of_ten(*self.weight_decay_exponent, "weight_decay"),
        }

    def build(self, spec: FamilySpec, images: ImageSet) -> "nn.Module":
        import torch
        from torch import nn

        def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
            layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            return [layer, nn.BatchNorm2d(outputs)]

        class Block(nn.Module):
            def __init__(self, inputs: int, outputs: int, stride: int) -> None:
                super().__init__()
                if spec.bottleneck:
                    inner = outputs // STEP
                    body = [*convolution(inputs, inner, 1), nn.ReLU()]
                    body += [*convolution(inner, inner, 3, stride), nn.ReLU()]
                    body += convolution(inner, outputs, 1)
                else:
                    body = [*convolution(inputs, outputs, 3, stride), nn.ReLU()]
                    body += convolution(outputs, outputs, 3)
                self.body = nn.Sequential(*body)
                is_same = inputs == outputs and stride == 1
                shortcut = [] if is_same else convolution(inputs, outputs, 1, stride)
                self.shortcut = nn.Sequential(*shortcut)

            def forward(self, images: "Tensor") -> "Tensor":
                return torch.relu(self.body(images) + self.shortcut(images))

        class Mean(nn.Module):
            def forward(self, images: "Tensor") -> "Tensor":
                return images.mean((2, 3))

        channels = cast(int, spec.stem_width)
        layers = [*convolution(images.channels, channels, 3), nn.ReLU()]
        stages = (cast(tuple[int, ...], v) for v in (spec.blocks, spec.widths, spec.strides))
        for blocks, width, stride in zip(*stages, strict=True):
            for block in range(blocks):
                layers.append(Block(channels, width, 1 if block else stride))
                channels = width
        return nn.Sequential(*layers, Mean(), nn.Linear(channels, images.classes))

    def check(self, spec: FamilySpec, images: ImageSet) -> Iterable[Wrong]:
        ranges: dict[str, Range] = {
            "blocks": (1, self.groups[1]),
            "widths": (STEP, 10**9),
            "strides": (1, MAX_STRIDE),
        }
        for name, (least, most) in ranges.items():
            values = cast(tuple[int, ...], getattr(spec, name))
            if len(values) != STAGES:
                yield Wrong(name, f"{len(values)} stages", f"{STAGES}")
            for value in values:
                if not least <= value <= most:
                    yield Wrong(name, f"{value}", f"from {least} to {most}")
        total = sum(cast(tuple[int, ...], spec.blocks))
        if not self.groups[0] <= total <= self.groups[1]:
            yield Wrong("blocks", f"{total} blocks", "from {} to {}".format(*self.groups))
        for width in (*cast(tuple[int, ...], spec.widths), cast(int, spec.stem_width)):
            if width % STEP or not width:
                yield Wrong("widths or stem_width", f"{width}", f"a multiple of {STEP}")
        if not _is_even(spec.batch_size, images):
            right = f"an even number of batches of {images.train_images} images"
            yield Wrong("batch_size", f"{spec.batch_size}", right)

    def _draw_width(self, draws: Draws, stage: int) -> int:
        low, high = (width * 2**stage // STEP for width in self.width)
        return STEP * draws.integer(low, high, f"width{stage + 1}")

    def _batch_sizes(self, images: ImageSet) -> list[int]:
        low, high = self.batch_size
        found = [b for b in range(low, high + 1) if _is_even(b, images)]
        if not found:
            raise ValueError(
                f"batch_size = [{low}, {high}]: none of these divides the {images.train_images} "
                f"training images of {images.name} into an even number of batches and fits its "
                f"{images.validation_images} validation images; widen the range"
            )
        return found


def _is_even(batch_size: int, images: ImageSet) -> bool:
    """Return True if half epochs have whole batches, and a validation has at least one."""
    batches = images.train_images // batch_size
    return batches > 0 and batches % 2 == 0 and batch_size <= images.validation_images
