"""Families that are wrong, each in its own way, and one that is not."""

import os
import random
from dataclasses import dataclass
from typing import ClassVar

from nnlc.families import Family


@dataclass(frozen=True)
class Right(Family):
    """Networks with batch normalisation and dropout, whose `body` the others replace."""

    name: ClassVar[str] = "right"
    version: ClassVar[str] = "1"
    columns: ClassVar[dict[str, str]] = {"width": "integer", "number": "integer", "colour": "text"}
    groups: ClassVar[tuple[int, int]] = (1, 2)

    def specify(self, draws, images, group, number):
        return {
            "width": draws.integer(4, 8, "width"),
            "number": group * 10 + number,
            "colour": "red",
            "batch_size": draws.choice([100, 250], "batch_size"),
            "learning_rate": draws.uniform(0.01, 0.1, "learning_rate"),
        }

    def body(self, spec):
        from torch import nn

        return nn.Identity()

    def build(self, spec, images):
        from torch import nn

        return nn.Sequential(
            nn.Conv2d(images.channels, spec.width, 5, stride=4),
            nn.BatchNorm2d(spec.width),
            self.body(spec),
            nn.Dropout(0.2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(spec.width, images.classes),
        )


@dataclass(frozen=True)
class GlobalDraw(Right):
    """Draws from a global stream."""

    def specify(self, draws, images, group, number):
        return {**super().specify(draws, images, group, number), "width": random.randrange(4, 999)}


def _counter():
    calls = []

    def count():
        calls.append(1)
        return len(calls)

    return count


_count = _counter()


@dataclass(frozen=True)
class CountedDraw(Right):
    """Keeps a state in a closure, on which its specifications depend."""

    def specify(self, draws, images, group, number):
        return {**super().specify(draws, images, group, number), "width": _count()}


@dataclass(frozen=True)
class CountedStep(Right):
    """Keeps a state in a closure, on which its networks' steps depend."""

    def body(self, spec):
        from torch import nn

        count = _counter()

        class Fades(nn.Module):
            def forward(self, values):
                return values / count()

        return Fades()


@dataclass(frozen=True)
class Unequal(Right):
    """Gives some networks other columns."""

    def specify(self, draws, images, group, number):
        values = super().specify(draws, images, group, number)
        return values if number < 2 else {**values, "depth": 3}


@dataclass(frozen=True)
class Spaced(Right):
    """Gives a network a text that no table can hold."""

    def specify(self, draws, images, group, number):
        values = super().specify(draws, images, group, number)
        return {**values, "colour": "dark red" if number == 2 else "red"}


@dataclass(frozen=True)
class Noisy(Right):
    """Draws noise in each step."""

    def body(self, spec):
        import torch
        from torch import nn

        class Noise(nn.Module):
            def forward(self, values):
                return values + torch.randn_like(values)

        return Noise()


@dataclass(frozen=True)
class Rarely(Noisy):
    """Gives three networks a body that can't be built, that no memory holds, and that draws."""

    def body(self, spec):
        from torch import nn

        if spec.number == 11:
            raise ValueError("no body for number 11")
        if spec.number == 20:
            return nn.Linear(1 << 22, 1 << 24)
        return super().body(spec) if spec.number == 22 else nn.Identity()


@dataclass(frozen=True)
class Wide(Right):
    """Returns scores of another shape."""

    def build(self, spec, images):
        from torch import nn

        return nn.Sequential(super().build(spec, images), nn.Linear(10, 11))


@dataclass(frozen=True)
class Taken(Right):
    """Has the name of a family of nnlc's."""

    name: ClassVar[str] = "residual"
    version: ClassVar[str] = "9"


_rank = os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK"))
if _rank is not None and _rank == os.environ.get("WRONG_RANK"):
    raise ImportError("libcolours.so: cannot open shared object file")
