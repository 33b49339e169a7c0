"""A family whose networks have all that nnlc allows: branches, batch normalisation, dropout."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from nnlc.families import Draws, Family, FamilySpec, ImageSet, Kind, Value


@dataclass(frozen=True)
class Sound(Family):
    name: ClassVar[str] = "sound"
    version: ClassVar[str] = "1"
    columns: ClassVar[Mapping[str, Kind]] = {"width": "integer", "dropout_rate": "number"}
    groups: ClassVar[tuple[int, int]] = (1, 2)

    widest: int = 8

    def specify(self, draws: Draws, images: ImageSet, group: int, number: int) -> dict[str, Value]:
        del group, number
        return {
            "width": draws.integer(4, self.widest, "width"),
            "dropout_rate": draws.uniform(0.1, 0.5, "dropout_rate"),
            "batch_size": draws.choice([images.train_images // 4, images.train_images // 10]),
            "learning_rate": 0.1,
            "momentum": 0.9,
        }

    def build(self, spec: FamilySpec, images: ImageSet):
        from torch import nn

        width, classes = spec.width, images.classes

        class Branches(nn.Module):
            def __init__(self):
                super().__init__()
                self.left = nn.Conv2d(images.channels, width, 3, stride=2, padding=1)
                self.right = nn.Conv2d(images.channels, width, 5, stride=2, padding=2)
                self.normal = nn.BatchNorm2d(width)
                self.drop = nn.Dropout2d(spec.dropout_rate)
                self.flat_drop = nn.Dropout(spec.dropout_rate)
                self.head = nn.Linear(width, classes)

            def forward(self, pixels):
                both = self.left(pixels) + self.right(pixels)
                return self.head(self.flat_drop(self.drop(self.normal(both)).relu().mean((2, 3))))

        return Branches()
