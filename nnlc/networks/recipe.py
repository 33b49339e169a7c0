"""How the networks of a campaign are trained: the section `[training]` of its file."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from nnlc.networks.optimizers import OPTIMIZERS

Beta = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


def _check_optimizer(name: str) -> str:
    if name not in OPTIMIZERS:
        raise ValueError(f"must be one of {', '.join(OPTIMIZERS)}")
    return name


class TrainingSection(BaseModel):
    """`[training]`: our readings where the article leaves a choice. Each changes the tables."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pixels: Literal["unit", "standardised"] = "unit"
    """unit: scaled to [0, 1] and nothing else. standardised: also mean 0 and deviation 1 for
    each channel over the training images."""
    pooling: Literal["max", "average"] = "max"
    dropout: Literal["element", "channel"] = "element"
    """What a dropout layer of the feature part drops: single values or whole channels."""
    truncate: Literal["dataset", "epoch"] = "dataset"
    """dataset: the last images that fill no batch are never seen. epoch: each epoch's
    permutation of all images is cut instead."""
    optimizer: Annotated[str, AfterValidator(_check_optimizer)] = "SGD"
    """Of all networks: SGD, SGD-Nesterov, Adam or AdamW. What it has no use for is 0 in tables:
    dampening under SGD-Nesterov, momentum and dampening under Adam and AdamW."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Of Adam and AdamW, as `eps`."""
    eps: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-8

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        known = OPTIMIZERS[self.optimizer].settings
        for name in ("betas", "eps"):
            if name not in known and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is of Adam and AdamW; {self.optimizer} has none")
        return self
