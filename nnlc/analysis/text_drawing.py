"""Text drawing of a table for a terminal: the network layer by layer, and its curve."""

import math
from collections.abc import Iterable, Iterator, Sequence

from nnlc.networks import Specification
from nnlc.networks.image_sets import shown_name
from nnlc.tables import Row

PLOT_HEIGHT = 8
PLOT_WIDTH = 80
_BLOCKS = " ▁▂▃▄▅▆▇█"


def draw_settings(spec: Specification) -> Iterator[str]:
    """Yield lines with the settings that the network was trained with."""
    yield f"{spec.loss_fn}, {spec.optimizer}, batch size {spec.batch_size}"
    for name in ("learning_rate", "momentum", "dampening", "weight_decay"):
        value = getattr(spec, name)
        yield f"{name.replace('_', ' ')}: {value:.4g}" if value else f"{name.replace('_', ' ')}: -"


def draw_curve(values: Sequence[float | None], title: str, unit: str = "") -> Iterator[str]:
    """Yield lines with a bar for each half epoch, up to the largest value.

    Bars begin at 0, or near the lowest value if all values lie in a narrow band.
    A value that is not finite leaves a gap. If there are more than `PLOT_WIDTH` half epochs, evenly
    spaced half epochs are drawn, including the last.
    """
    columns = _thin_out(values)
    finite = [v for v in values if v is not None and math.isfinite(v)]
    if not finite:
        yield f"{title}: no finite value"
        return
    top = max(*finite, 0.0) or 1.0
    low, high, last = min(finite), max(finite), _text(values[-1])
    base = _base(low, high)
    start = f"; bars begin at {base:.4g}{unit}" if base else ""
    yield f"{title}: last {last}{unit}, lowest {low:.4g}{unit}, highest {high:.4g}{unit}{start}"
    for line in range(PLOT_HEIGHT - 1, -1, -1):
        label = {0: f"{base:.4g}", PLOT_HEIGHT - 1: f"{top:.4g}"}.get(line, "")
        yield f"{label:>8} │{''.join(_cell(v, base, top, line) for v in columns)}"
    end = f"epoch {len(values) / 2:g}"
    yield f"{'':>8} └{'─' * len(columns)}"
    yield f"{'':>10}0.5{end:>{max(len(columns) - 3, len(end) + 1)}}"


def draw_table(spec: Specification, rows: Sequence[Row], network: Iterable[str]) -> Iterator[str]:
    """Yield lines for a whole table.

    Args:
        spec: the network.
        rows: the learning curve.
        network: lines on the network's layers.
    """
    yield f"{spec.id}  {shown_name(spec.dataset)}  seed {spec.random_seed}"
    yield ""
    yield from network
    yield ""
    yield from draw_settings(spec)
    yield ""
    yield from draw_curve([row.val_accuracy_percent for row in rows], "validation accuracy", " %")
    yield ""
    yield from draw_curve([row.val_loss for row in rows], "validation loss")


def _thin_out(values: Sequence[float | None]) -> list[float | None]:
    if len(values) <= PLOT_WIDTH:
        return list(values)
    return [values[(i + 1) * len(values) // PLOT_WIDTH - 1] for i in range(PLOT_WIDTH)]


def _text(value: float | None) -> str:
    return "blank" if value is None else f"{value:.4g}"


def _base(low: float, high: float) -> float:
    """Return the value at which bars begin: a round number below `low` if `low` is near `high`."""
    spread = high - low
    # Ends of the axis have four digits.
    if not (0 < 2 * high < 3 * low and spread > 0.002 * high):
        return 0.0
    step: float = 10.0 ** math.floor(math.log10(spread))
    return math.floor((low - step / 10) / step) * step


def _cell(value: float | None, base: float, top: float, line: int) -> str:
    if value is None or not math.isfinite(value):
        return " "
    eighths = round((value - base) / (top - base) * PLOT_HEIGHT * 8) - line * 8
    return _BLOCKS[min(max(eighths, 0), 8)]
