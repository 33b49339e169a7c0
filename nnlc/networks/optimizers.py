"""What trains a network: the optimizers and losses that nnlc knows, with all that is asked of them.

A new one is an entry in `OPTIMIZERS`: the campaign's key `training.optimizer` accepts its name, the
sampler draws what it uses, the loop builds it, and memory, costs, checkpoints, audit and source
text follow.
"""

from dataclasses import dataclass
from typing import Any

from nnlc.errors import SpecError
from nnlc.networks.spec import NetworkSpec

LOSSES = ("CrossEntropyLoss",)
"""By their names in `torch.nn`, which tables have too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """One optimizer; this class itself is PyTorch's SGD.

    Args:
        name: as campaigns and tables have it.
        torch_name: of its class in `torch.optim`.
        uses: what of `momentum` and `dampening` it has; the other is 0 in every table.
    """

    name: str
    torch_name: str = "SGD"
    uses: tuple[str, ...] = ("momentum", "dampening")

    @property
    def settings(self) -> tuple[str, ...]:
        """Keys of `[training]` that it alone reads."""
        return ()

    @property
    def capturable(self) -> bool:
        """Whether torch must be told that its steps are captured on a GPU."""
        return False

    def arguments(self, spec: NetworkSpec, settings: Any) -> dict[str, Any]:
        """Return the arguments of its class in `torch.optim`.

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

    def kept_values(self, spec: NetworkSpec) -> int:
        """Return how many values it keeps for each weight from step to step."""
        return int(bool(spec.momentum))  # PyTorch keeps no momentum where that is 0

    def copied_values(self, spec: NetworkSpec) -> int:
        """Return how many values for each weight it makes and drops within a step."""
        return int(bool(spec.weight_decay))  # gradients with the decay in them

    def passes(self, spec: NetworkSpec) -> int:
        """Return how often a step reads or writes all weights, or as many values."""
        # Weights, gradients and new weights; momenta and decayed gradients go there and back.
        return 3 + 2 * bool(spec.momentum) + 2 * bool(spec.weight_decay)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nesterov(Optimizer):
    """SGD that looks ahead by its momentum: without momentum it is plain SGD."""

    uses: tuple[str, ...] = ("momentum",)

    def arguments(self, spec: NetworkSpec, settings: Any) -> dict[str, Any]:
        """Return the arguments; torch refuses to look ahead by nothing."""
        # Not super(): dataclasses with slots are made anew, and lose what it refers to.
        return Optimizer.arguments(self, spec, settings) | {"nesterov": bool(spec.momentum)}

    def passes(self, spec: NetworkSpec) -> int:
        """Return how often a step reads or writes all weights, or as many values."""
        return Optimizer.passes(self, spec) + 2 * bool(spec.momentum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), or AdamW (Loshchilov and Hutter 2019), as PyTorch has them.

    Args:
        decays_weights: whether weight decay acts on weights, not through gradients: AdamW.
    """

    uses: tuple[str, ...] = ()
    decays_weights: bool = False

    @property
    def settings(self) -> tuple[str, ...]:
        """Keys of `[training]` that it alone reads."""
        return ("betas", "eps")

    @property
    def capturable(self) -> bool:
        """Whether torch must be told that its steps are captured on a GPU."""
        return True  # else it counts steps on the processor

    def arguments(self, spec: NetworkSpec, settings: Any) -> dict[str, Any]:
        """Return the arguments of its class in `torch.optim`."""
        return {
            "lr": spec.learning_rate,
            "betas": tuple(settings.betas),
            "eps": settings.eps,
            "weight_decay": spec.weight_decay,
        }

    def kept_values(self, spec: NetworkSpec) -> int:
        """Return how many values it keeps for each weight from step to step."""
        del spec
        return 2  # means of gradients and of their squares

    def copied_values(self, spec: NetworkSpec) -> int:
        """Return how many values for each weight it makes and drops within a step."""
        return 1 + int(bool(spec.weight_decay) and not self.decays_weights)  # roots of the means

    def passes(self, spec: NetworkSpec) -> int:
        """Return how often a step reads or writes all weights, or as many values."""
        # Counted in torch's own steps (lerp, mul, addcmul, sqrt, div, add, addcdiv).
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
"""By name; the first is the article's."""


def optimizer_of(spec: NetworkSpec) -> Optimizer:
    """Return what trains a network.

    Raises:
        SpecError: its optimizer or its loss is not known, so that nothing can train it; or it has
            a momentum or dampening that its optimizer does not.
    """
    its = f"network {spec.id}: its"
    if spec.loss_fn not in LOSSES:
        raise SpecError(f"{its} loss_fn is {spec.loss_fn!r}; nnlc trains with {', '.join(LOSSES)}")
    found = OPTIMIZERS.get(spec.optimizer)
    if found is None:
        known = ", ".join(OPTIMIZERS)
        raise SpecError(f"{its} optimizer is {spec.optimizer!r}; nnlc trains with {known}")
    for field in ("momentum", "dampening"):
        if field not in found.uses and getattr(spec, field):
            raise SpecError(f"{its} {field} is {getattr(spec, field)}, and {found.name} has none")
    return found
