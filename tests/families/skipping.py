"""A small family of a user's own: convolutions with batch normalisation and skip connections."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nnlc.families import Draws, Family, FamilySpec, ImageSet, Kind, Value

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Skipping(Family):
    """Networks with as many skip connections as their group says."""

    name: ClassVar[str] = "skipping"
    version: ClassVar[str] = "1"
    columns: ClassVar[Mapping[str, Kind]] = {"blocks": "integer", "width": "integer"}
    groups: ClassVar[tuple[int, int]] = (1, 8)

    widest: int = 32
    batch_size: int = 100

    def specify(
        self, draws: Draws, images: ImageSet, group: int, number: int
    ) -> Mapping[str, Value]:
        return {
            "blocks": group,
            "width": draws.integer(4, self.widest, "width"),
            "batch_size": self.batch_size,
            "learning_rate": draws.uniform(0.01, 0.1, "rate"),
            "momentum": 0.9,
        }

    def build(self, spec: FamilySpec, images: ImageSet) -> "nn.Module":
        from torch import Tensor, nn

        width: int = spec.width  # type: ignore[assignment]
        blocks: int = spec.blocks  # type: ignore[assignment]

        class Block(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.convolution = nn.Conv2d(width, width, 3, padding=1, bias=False)
                self.normalisation = nn.BatchNorm2d(width)

            def forward(self, images: Tensor) -> Tensor:
                return images + self.normalisation(self.convolution(images)).relu()

        return nn.Sequential(
            nn.Conv2d(images.channels, width, 3, stride=2, padding=1),
            *(Block() for _ in range(blocks)),
            nn.AvgPool2d(images.width // 2),
            nn.Flatten(),
            nn.Linear(width, images.classes),
        )
