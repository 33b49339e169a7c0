"""The learning rate of each training step, as a function of network, settings and position.

With r the network's own rate and n steps an epoch, step k of the training, from 0, in epoch
e = ⌊k / n⌋ has this rate:

| schedule | rate | after |
| --- | --- | --- |
| constant | r | |
| step | r · step_factor^⌊e / step_epochs⌋ | He et al. 2016, arXiv:1512.03385 |
| cosine | l + (r - l) · (1 + cos(π · t / T)) / 2 | Loshchilov and Hutter 2017, arXiv:1608.03983 |

Here l is `last_rate`, or r if that is lower. With w = warmup_epochs · n, t = max(0, k - w), and T
is the number of steps of all epochs less w. The first w steps have the rate times (k + 1) / w, as
in Goyal et al. 2017 (arXiv:1706.02677).

Only IEEE operations and `decimal` are used: the C library's `cos` and `pow` differ in their last
bit between machines.
"""

import math
from dataclasses import dataclass

from nnlc.networks.draws import power
from nnlc.networks.recipe import TrainingSection

_TERMS = [(-1) ** i / math.factorial(2 * i + 1) for i in range(12)]
"""Coefficients of the sine's Taylor series; the next term is below 1e-19 for π/2."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The learning rates of a network's training.

    Args:
        rate: the network's own rate.
        settings: the campaign's training settings.
        epochs: number of epochs of the whole campaign.
        steps: number of training steps of an epoch.
    """

    rate: float
    settings: TrainingSection
    epochs: float
    steps: int

    def rate_of(self, epoch: int, step: int) -> float:
        """Return the learning rate of a training step.

        Args:
            epoch: its epoch, from 0.
            step: its number within the epoch, from 0.
        """
        done = epoch * self.steps + step
        warm_up = self.settings.warmup_epochs * self.steps
        rate = self._rate_without_warm_up(epoch, done - warm_up)
        return rate * ((done + 1) / warm_up) if done < warm_up else rate

    def _rate_without_warm_up(self, epoch: int, done: int) -> float:
        settings = self.settings
        match settings.schedule:
            case "step":
                return self.rate * power(settings.step_factor, epoch // settings.step_epochs)
            case "cosine":
                last = min(settings.last_rate, self.rate)
                whole = max(1.0, (self.epochs - settings.warmup_epochs) * self.steps)
                share = min(1.0, max(0, done) / whole)
                return last + (self.rate - last) * (1 + _half_turn(share)) / 2
        return self.rate


def _half_turn(share: float) -> float:
    """Return cos(π · share) for a share from 0 to 1."""
    angle = math.pi * (0.5 - share)  # its sine is the cosine wanted
    square, found = angle * angle, 0.0
    for term in reversed(_TERMS):
        found = found * square + term
    return found * angle
