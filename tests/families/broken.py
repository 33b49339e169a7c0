"""Families that are broken in the ways that `nnlc check-family` must survive."""

import os
import random
import signal
import sys
from dataclasses import dataclass
from typing import ClassVar

from nnlc.families import Family, Wrong


@dataclass(frozen=True)
class Whole(Family):
    """Networks whose number the others look at; nothing is wrong with these."""

    name: ClassVar[str] = "broken"
    version: ClassVar[str] = "1"
    columns: ClassVar[dict[str, str]] = {"width": "integer", "number": "integer"}

    def specify(self, draws, images, group, number):
        return {
            "width": draws.integer(2, 6, "width"),
            "number": number,
            "batch_size": 100,
            "learning_rate": 0.1,
        }

    def build(self, spec, images):
        from torch import nn

        return nn.Sequential(
            nn.AvgPool2d(4),
            nn.Flatten(),
            nn.Linear(images.channels * (images.width // 4) ** 2, spec.width),
            self.normalisation(spec),
            nn.Linear(spec.width, images.classes),
        )

    def normalisation(self, spec):
        from torch import nn

        return nn.BatchNorm1d(spec.width)


class Bare:
    """No family."""


@dataclass(frozen=True)
class Spaced(Whole):
    columns: ClassVar[dict[str, str]] = {"two words": "integer"}


@dataclass(frozen=True)
class Unsettled(Whole):
    widest: int = 3

    def __post_init__(self):
        raise ValueError(f"widest = {self.widest} is too small")


@dataclass(frozen=True)
class Global(Whole):
    def specify(self, draws, images, group, number):
        return super().specify(draws, images, group, number) | {"width": random.randrange(9, 10**9)}


@dataclass(frozen=True)
class Leaves(Whole):
    def specify(self, draws, images, group, number):
        sys.exit("enough")


@dataclass(frozen=True)
class Vanishes(Whole):
    def specify(self, draws, images, group, number):
        if number == 1:
            os._exit(0)
        return super().specify(draws, images, group, number)


@dataclass(frozen=True)
class Listed(Whole):
    """A list of two networks."""

    def specify(self, draws, images, group, number):
        del draws
        return super().specify(Fixed(), images, group, number) | {"width": (3, 5)[number]}


class Fixed:
    """Draws that are none."""

    def integer(self, low, high, name):
        return low


@dataclass(frozen=True)
class Endless(Whole):
    def specify(self, draws, images, group, number):
        print("endless", file=sys.stderr, flush=True)
        while True:
            pass


@dataclass(frozen=True)
class Unordered(Whole):
    """Draws from a set, whose order is another one in each process."""

    def specify(self, draws, images, group, number):
        widths = {f"{width}" * 9: width for width in range(2, 999)}
        first = list(set(widths))[0]  # noqa: RUF015
        return super().specify(draws, images, group, number) | {"width": widths[first]}


@dataclass(frozen=True)
class Crashes(Whole):
    def build(self, spec, images):
        if spec.number == 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().build(spec, images)


@dataclass(frozen=True)
class Several(Whole):
    """Networks of which each is broken in another part of the check."""

    def normalisation(self, spec):
        from torch import nn

        print("hello\n{}")
        if spec.number == 1:
            return self.missing(spec)

        class Counts(nn.BatchNorm1d):
            steps = 0

            def forward(self, values):
                self.steps += spec.number == 2
                return super().forward(values)

        return Counts(spec.width)

    def check(self, spec, images):
        if spec.number == 3:
            yield Wrong("width", f"{spec.width}", "odd")

    def layers(self, spec, images):
        return ["no layer"] if spec.number == 4 else None


@dataclass(frozen=True)
class Lengthy(Whole):
    """Networks whose check finds faults without end, in a column that there is not."""

    length: int = 0

    def specify(self, draws, images, group, number):
        if number > self.length:
            raise ValueError(f"there are {self.length}")
        return super().specify(draws, images, group, number)

    def check(self, spec, images):
        while self.length:
            yield Wrong("wide", f"{spec.width}", "odd")
