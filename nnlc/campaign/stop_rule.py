"""Stop rule of a campaign file, checked."""

from nnlc.analysis.predictors.registry import BUILT_IN, make_stop_rule, predictor_text
from nnlc.errors import NnlcError


def checked_rule(stop: str, epochs: int) -> str:
    """Return a stop rule with all its settings, so that equal rules are equal texts.

    Raises:
        ValueError: it is no stop rule, or can't stop a training of so many epochs.
    """
    try:
        rule = make_stop_rule(stop, epoch=epochs)
    except NnlcError as problem:
        raise ValueError(str(problem)) from None
    if rule.epoch > epochs:
        raise ValueError(
            f"{rule.name} predicts epoch {rule.epoch:g}, but the campaign's last is {epochs}"
        )
    if rule.earliest >= rule.last_point:
        raise ValueError(
            f"{stop} can't stop before epoch {rule.earliest / 2:g}, and its last epoch is "
            f"{rule.epoch:g}: it would never save time"
        )
    return predictor_text(rule) if rule.name in BUILT_IN else stop
