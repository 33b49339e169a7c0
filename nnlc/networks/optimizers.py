"""Optimizers and losses that nnlc trains with: parameters, memory and work of each.

A new optimizer is an entry in `OPTIMIZERS`. Then the campaign's key `training.optimizer` accepts
its name, the sampler sets to 0 the parameters that it does not use, the loop builds it, and memory,
cost, checkpoints, audit and source text follow.
"""

from dataclasses import dataclass
from typing import Any

from nnlc.errors import SpecError
from nnlc.networks.specification import Specification

LOSSES = ("CrossEntropyLoss",)
"""Names of the losses in `torch.nn` and in tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """An optimizer of `torch.optim`; this base class describes SGD.

    Args:
        name: its name in campaigns and tables.
        torch_name: name of its class in `torch.optim`.
        uses: the parameters that it has, of `momentum` and `dampening`; without it, a parameter is
            0 in tables.
        settings: keys of a campaign's `[training]` that belong to this optimizer.
        capturable: True if its class needs `capturable=True` for steps captured in CUDA graphs.
    """

    name: str
    torch_name: str = "SGD"
    uses: tuple[str, ...] = ("momentum", "dampening")
    settings: tuple[str, ...] = ()
    capturable: bool = False

    def arguments(self, spec: Specification, settings: Any) -> dict[str, Any]:
        """Return the arguments for its class in `torch.optim`.

        Args:
            spec: the network.
            settings: the campaign's section `[training]`.
        """
        del settings
        return {
            "lr": spec.learning_rate,
            "momentum": spec.momentum,
            "dampening": spec.dampening,
            "weight_decay": spec.weight_decay,
        }

    def kept_values(self, spec: Specification) -> int:
        """Return the number of values per weight that the optimizer keeps from step to step."""
        return int(bool(spec.momentum))  # PyTorch keeps no buffer for a momentum of 0

    def copied_values(self, spec: Specification) -> int:
        """Return the number of temporary values per weight within a step."""
        return int(bool(spec.weight_decay))  # gradients with the decay in them

    def passes(self, spec: Specification) -> int:
        """Return how many values a step reads or writes per weight."""
        # Read weights and gradients, write weights; read and write momenta and decayed gradients.
        return 3 + 2 * bool(spec.momentum) + 2 * bool(spec.weight_decay)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nesterov(Optimizer):
    """SGD with Nesterov momentum; plain SGD if the momentum is 0."""

    uses: tuple[str, ...] = ("momentum",)

    def arguments(self, spec: Specification, settings: Any) -> dict[str, Any]:
        # torch refuses nesterov=True without momentum. super() fails in dataclasses with slots.
        return Optimizer.arguments(self, spec, settings) | {"nesterov": bool(spec.momentum)}

    def passes(self, spec: Specification) -> int:
        return Optimizer.passes(self, spec) + 2 * bool(spec.momentum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adam(Optimizer):
    """PyTorch's Adam (Kingma and Ba 2015) or AdamW (Loshchilov and Hutter 2019).

    Args:
        decays_weights: True for AdamW, whose weight decay acts on the weights themselves, not
            through the gradients.
    """

    uses: tuple[str, ...] = ()
    settings: tuple[str, ...] = ("betas", "eps")
    capturable: bool = True  # otherwise torch counts its steps on the CPU
    decays_weights: bool = False

    def arguments(self, spec: Specification, settings: Any) -> dict[str, Any]:
        return {
            "lr": spec.learning_rate,
            "betas": tuple(settings.betas),
            "eps": settings.eps,
            "weight_decay": spec.weight_decay,
        }

    def kept_values(self, spec: Specification) -> int:
        del spec
        return 2  # means of gradients and of their squares

    def copied_values(self, spec: Specification) -> int:
        return 1 + int(bool(spec.weight_decay) and not self.decays_weights)  # roots of the means

    def passes(self, spec: Specification) -> int:
        # Counted over the operations of torch's step (lerp, mul, addcmul, sqrt, div, add, addcdiv).
        return 18 + 2 * bool(spec.weight_decay)


OPTIMIZERS: dict[str, Optimizer] = {
    each.name: each
    for each in (
        Optimizer(name="SGD"),
        Nesterov(name="SGD-Nesterov"),
        Adam(name="Adam", torch_name="Adam"),
        Adam(name="AdamW", torch_name="AdamW", decays_weights=True),
    )
}
"""Optimizers by name; the first is the article's optimizer."""


def optimizer_of(spec: Specification) -> Optimizer:
    """Return the optimizer that a network's specification names.

    Raises:
        SpecError: nnlc does not know the network's optimizer or loss, or its momentum or dampening
            is not 0 though its optimizer has none.
    """
    prefix = f"network {spec.id}: its"
    if spec.loss_fn not in LOSSES:
        raise SpecError(
            f"{prefix} loss_fn is {spec.loss_fn!r}; nnlc trains with {', '.join(LOSSES)}"
        )
    found = OPTIMIZERS.get(spec.optimizer)
    if found is None:
        known = ", ".join(OPTIMIZERS)
        raise SpecError(f"{prefix} optimizer is {spec.optimizer!r}; nnlc trains with {known}")
    for field in ("momentum", "dampening"):
        if field not in found.uses and getattr(spec, field):
            raise SpecError(
                f"{prefix} {field} is {getattr(spec, field)}, and {found.name} has none"
            )
    return found
