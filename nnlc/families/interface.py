"""The interface of a family: what its author writes.

A family is a class. nnlc asks it what a network is; all else (recipe, loop, checkpoints, tables,
plan) nnlc does itself. docs/families.md has a whole family, and the reason of each rule.

| method or attribute | asked by |
| --- | --- |
| `name`, `version`, `columns` | campaign, tables, audit, export |
| `groups`, `specify` | campaign, worker, verify |
| `build` | trainers, verify, rebuild, costs |
| `check` | audit |
| `layers` | show, report |
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from nnlc.networks.columns import Kind
from nnlc.networks.draws import Draws
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.specification import FamilySpec, Value

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Draws", "Family", "FamilySpec", "ImageSet", "Kind", "Layer", "Value", "Wrong"]


class Wrong(NamedTuple):
    """A value in a table that no network of the family has."""

    column: str
    """Name of the column."""
    found: str
    """The value, or what is wrong with it, in a few words."""
    right: str
    """The right value, in a few words."""


class Layer(NamedTuple):
    """A layer of a network as `nnlc show` and the report draw it."""

    name: str
    """Kind of the layer and its settings, such as "Conv2d 3×3"."""
    output: tuple[int, ...]
    """Shape of its output without the batch, such as (16, 32, 32)."""
    parameters: int


class Family(ABC):
    """A family of networks; subclass it and decorate the subclass with `@dataclass(frozen=True)`.

    Fields of the dataclass, each with a default, are settings: a campaign gives them in `[space]`.

    Don't import torch with the module that defines the class, but within `build`: ranks and login
    nodes draw networks without torch.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  (campaign files: no unknown keys)

    name: ClassVar[str]
    """Name of the family: letters, digits, dashes, underscores, dots; first a letter."""
    version: ClassVar[str]
    """Version, a text such as "1". Raise it when the same specification becomes another network."""
    columns: ClassVar[Mapping[str, Kind]]
    """Kind of each own column of the family's tables, by its name, in their order.

    Names are lowercase letters, digits and underscores. Kinds are "text" (printable ASCII without
    spaces), "integer" (from 0), "integers" (a list of them), "flag" (True or False) and "number" (a
    float, or 0 for one that was not drawn).
    """
    groups: ClassVar[tuple[int, int]] = (1, 1)
    """First and last group of networks, such as numbers of layers; a campaign draws the same number
    of networks in each of its groups."""

    @abstractmethod
    def specify(
        self, draws: Draws, images: ImageSet, group: int, number: int
    ) -> Mapping[str, Value]:
        """Return the values of a network: each own column, `batch_size` and `learning_rate`.

        `momentum`, `dampening` and `weight_decay` may be among them, and are 0 otherwise.
        `batch_size` cuts the training images into an even number of whole batches, what is left
        over aside, and is at most the number of validation images. All values must follow from the
        arguments alone. To enumerate networks, use `number` and leave `draws` alone; raise
        ValueError if there are fewer networks.

        Args:
            draws: random draws of the network's seed, the same on every machine.
            images: names and sizes of the images that the network is for.
            group: one of `groups`.
            number: number of the network among those of its group and images, from 0.
        """

    @abstractmethod
    def build(self, spec: FamilySpec, images: ImageSet) -> "nn.Module":
        """Return a network with its initial weights, drawn from torch's global random stream.

        Before the call, nnlc seeds that stream with the network's seed. The module takes float32
        (batch, channels, width, width) and returns float32 (batch, classes), unnormalised. All that
        a training step changes must be in parameters and buffers, and only torch's dropout layers
        may draw random numbers in a step.

        Args:
            spec: the network; its values are attributes, such as `spec.batch_size`, and
                `spec.widths` for a column `widths`, whose "integers" are a tuple.
            images: names and sizes of its images.
        """

    def check(self, spec: FamilySpec, images: ImageSet) -> Iterable[Wrong]:
        """Return the values in a table that no network of the family has; default: none.

        `nnlc audit` calls it for each table. Networks of `specify` must pass.
        """
        del spec, images
        return ()

    def layers(self, spec: FamilySpec, images: ImageSet) -> Iterable[Layer] | None:
        """Return the layers of a network, or None, the default: nnlc takes the module's own."""
        del spec, images
        return None
