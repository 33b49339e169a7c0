"""Methods that predict a curve's later accuracy from its first points, and say when to stop.

From the first points of a network's curve, a method predicts the accuracy at a later epoch, or
gives the reason why it can't (module `interface`). Module `registry` finds methods by name. Nothing
here imports pandas.

A method of your own is a plug-in: an entry point of the group `nnlc.predictors` with the method's
name. The entry point is a class or function. Called with the method's settings, it returns an
object with the method `predict(prefix: Prefix, epoch: float) -> Prediction | FitFailure`. If a
prediction may have `stop=True`, the object also has the attribute `decides = True`. An object with
the method `learn(context: Curves)` first gets finished curves of other networks; what `learn`
returns then predicts.
"""

from nnlc.analysis.predictors.interface import Curves, FitFailure, Prediction, Prefix

__all__ = ["Curves", "FitFailure", "Prediction", "Prefix"]
