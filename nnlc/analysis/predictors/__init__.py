"""Methods that predict a curve's later accuracy from its first points, and say when to stop.

A method takes the first points of a network's curve and gives its accuracy at a later epoch, or the
reason why it can't (`interface`). `registry` knows methods by name. Nothing here needs pandas.

A method of your own is a plug: an entry point of the group `nnlc.predictors`, whose name is the
method's. It is a class or function that is called with the settings and gives an object with
`predict(prefix: Prefix, epoch: float) -> Prediction | FitFailure`, and `decides = True` if it may
say `stop`.
"""

from nnlc.analysis.predictors.interface import FitFailure, Prediction, Prefix

__all__ = ["FitFailure", "Prediction", "Prefix"]
