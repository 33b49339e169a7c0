"""Analysis of learning curves: metrics, predictions, comparisons, drawings as text."""
