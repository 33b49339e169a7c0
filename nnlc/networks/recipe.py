"""Settings of training: the section `[training]` of a campaign file."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from nnlc.networks.optimizers import OPTIMIZERS

Convolutions = Literal["auto", "direct"]
Beta = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


def _check_optimizer(name: str) -> str:
    if name not in OPTIMIZERS:
        raise ValueError(f"must be one of {', '.join(OPTIMIZERS)}")
    return name


class TrainingSection(BaseModel):
    """Section `[training]`: choices that the article leaves open, and ways of computing.

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

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        known = OPTIMIZERS[self.optimizer].settings
        for name in ("betas", "eps"):
            if name not in known and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is for Adam and AdamW only; {self.optimizer} has none")
        return self
