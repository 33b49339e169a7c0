"""Settings of training: the section `[training]` of a campaign file."""

import re
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from nnlc.networks.image_sets import ImageSet
from nnlc.networks.optimizers import OPTIMIZERS
from nnlc.system.toml_keys import wrong_keys

Convolutions = Literal["auto", "direct"]
Beta = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


def _check_optimizer(name: str) -> str:
    if name not in OPTIMIZERS:
        raise ValueError(f"must be one of {', '.join(OPTIMIZERS)}")
    return name


class Change(NamedTuple):
    """A random change of training images."""

    kind: str
    """"crop", "flip" or "cutout"."""
    pixels: int
    """Padding of a crop, side of a cutout's square; 0 for a flip."""


_CHANGES = ("crop", "flip", "cutout")
"""Kinds of changes, in the order in which they are made."""
_CHANGE = re.compile(r"(crop|cutout):([1-9][0-9]{0,3})|flip")


def read_change(text: str) -> Change:
    """Return a change of training images, such as "crop:4".

    Raises:
        ValueError: the text is none.
    """
    if (found := _CHANGE.fullmatch(text)) is None:
        raise ValueError('must be "crop:4", "flip" or "cutout:8"; the numbers are pixels, above 0')
    return Change(found[1] or "flip", int(found[2] or 0))


def _check_change(text: str) -> str:
    read_change(text)
    return text


def _in_order(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return changes in the order in which they are made, each kind at most once."""
    found = {read_change(text).kind: text for text in texts}
    if len(found) < len(texts):
        raise ValueError("has the same kind of change twice")
    return tuple(found[kind] for kind in _CHANGES if kind in found)


_SCHEDULE_OF = {"step_epochs": "step", "step_factor": "step", "last_rate": "cosine"}
"""The only schedule that has a setting, by setting."""


class TrainingSection(BaseModel):
    """Section `[training]`: the recipe of all networks, and ways of computing.

    Each changes the tables.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pixels: Literal["unit", "standardised"] = "unit"
    """Scale of pixels. unit: from 0 to 1. standardised: each channel shifted and scaled to mean 0
    and standard deviation 1 over the training images."""
    pooling: Literal["max", "average"] = "max"
    """Kind of the pooling layers: the largest value of each window, or the average."""
    dropout: Literal["element", "channel"] = "element"
    """Units that dropout after convolutions sets to 0: single values or whole channels."""
    truncate: Literal["dataset", "epoch"] = "dataset"
    """Choice of the images that are left out because they fill no batch. dataset: the last images
    of the file, in every epoch. epoch: the last images of each epoch's random order."""
    convolutions: Convolutions = "auto"
    """Ways of computing convolutions. auto: for each layer the one that is expected to be fastest,
    by its shape, the batch size and the kind of device. direct: as nnlc did before 0.3.0."""
    optimizer: Annotated[
        str,
        AfterValidator(_check_optimizer),
        Field(json_schema_extra={"enum": [*OPTIMIZERS]}),
    ] = "SGD"
    """Optimizer of all networks. In tables, parameters that it
    does not have are 0: dampening for SGD-Nesterov, momentum and dampening for Adam and AdamW."""
    betas: Annotated[tuple[Beta, Beta], Field(title="[first, second]")] = (0.9, 0.999)
    """Decay rates of the means of gradients and of their squares; only for Adam and AdamW."""
    eps: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-8
    """Term added to the denominator of a step; only for Adam and AdamW."""

    schedule: Literal["constant", "step", "cosine"] = "constant"
    """Learning rate over the epochs, from the network's own rate. constant: always the same. step:
    times step_factor after each step_epochs. cosine: falls to last_rate along half a cosine, step
    by step."""
    step_epochs: Annotated[int, Field(ge=1, le=100_000)] = 30
    """Epochs between two falls of the learning rate; only for schedule = "step"."""
    step_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Factor of the learning rate at each fall; only for schedule = "step"."""
    last_rate: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Learning rate at the end of all epochs; a network whose own rate is lower keeps that. Only
    for schedule = "cosine"."""
    warmup_epochs: Annotated[int, Field(ge=0, le=100_000)] = 0
    """First epochs, in which the learning rate rises from near 0 in equal steps; cosine falls in
    the epochs after them."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each label that is spread evenly over all classes, in the loss of training alone."""
    augmentation: Annotated[
        tuple[Annotated[str, AfterValidator(_check_change)], ...], AfterValidator(_in_order)
    ] = ()
    """Random changes of training images, made in this order: "crop:N" moves an image by up to N
    pixels, with black beside it; "flip" mirrors it or not; "cutout:N" sets a square of N×N pixels
    to 0 after scaling, fewer at the edges."""

    @field_validator(*_SCHEDULE_OF)
    @classmethod
    def _check_schedule(cls, value: Any, info: ValidationInfo) -> Any:
        name = str(info.field_name)
        own, chosen = _SCHEDULE_OF[name], info.data.get("schedule", _SCHEDULE_OF[name])
        if chosen != own and value != cls.model_fields[name].default:
            raise ValueError(f'is for schedule = "{own}" only, and the schedule is "{chosen}"')
        return value

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        known = OPTIMIZERS[self.optimizer].settings
        wrong = [
            ((name,), given, f"is for Adam and AdamW only; {self.optimizer} has none")
            for name in ("betas", "eps")
            if name not in known
            and (given := getattr(self, name)) != type(self).model_fields[name].default
        ]
        if wrong:
            raise wrong_keys(wrong)
        return self

    @property
    def changes_rate(self) -> bool:
        """True if the learning rate differs from step to step or epoch to epoch."""
        return self.schedule != "constant" or self.warmup_epochs > 0

    def check_epochs(self, epochs: int) -> None:
        """Raise ValidationError if the schedule does not fit a campaign's number of epochs."""
        right = f"must be below the campaign's number of epochs, which is {epochs}"
        wrong = [
            (("training", name), getattr(self, name), right)
            for name, used in (
                ("warmup_epochs", self.warmup_epochs > 0),
                ("step_epochs", self.schedule == "step"),
            )
            if used and getattr(self, name) >= epochs
        ]
        if wrong:
            raise wrong_keys(wrong)

    def check_images(self, images: ImageSet) -> None:
        """Raise ValueError if a change of training images does not fit their size."""
        for kind, pixels in map(read_change, self.augmentation):
            most = images.width - (kind == "crop")
            if pixels > most:
                raise ValueError(
                    f'augmentation "{kind}:{pixels}" is too large for images of {images.name}, '
                    f"{images.width} pixels wide; at most {most}"
                )
