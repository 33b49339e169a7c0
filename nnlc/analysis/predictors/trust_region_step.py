"""One step of the trust-region reflective method, in every lane (see `trustregion`).

Steps are found in scaled variables, parameter / √(distance to the bound ahead), in which the bounds
are far away. Shapes: P parameters, R rows, L lanes.
"""

from dataclasses import dataclass, fields

import numpy as np

from nnlc.analysis.predictors.interface import Floats, Integers, Truths

RADIUS_SLACK = 0.01
"""How far, relatively, a step's length may be from the radius."""
RADIUS_ROUNDS = 10
_EPSILON = float(np.finfo(float).eps)


def total(array: Floats, axis: int = 0) -> Floats:
    """The lanes' sums over another axis than theirs, added one after the other.

    NumPy adds so where there are several lanes, and in another order where there is one.
    """
    if array.shape[-1] == 1:
        return np.asarray(np.add.accumulate(array, axis=axis).take(-1, axis=axis))
    return np.asarray(array.sum(axis=axis))


def dot(a: Floats, b: Floats) -> Floats:
    """The lanes' inner products over the first axis."""
    return total(a * b)


def length(a: Floats) -> Floats:
    """The lanes' Euclidean lengths over the first axis."""
    return np.sqrt(dot(a, a))


def pick(array: Floats, which: Integers) -> Floats:
    """Some of the lanes, in C order: an index would leave another, and sums would follow it."""
    return np.take(array, which, axis=-1)


def _times(matrix: Floats, vector: Floats) -> Floats:
    """P × P × L times P × L."""
    return total(matrix * vector, axis=1)


@dataclass
class LocalModel:
    """The quadratic model of the cost around each lane's parameters, in scaled variables."""

    scale: Floats
    """P × L: parameters a scaled variable."""
    gradient: Floats
    """P × L."""
    root: Floats
    """P × P × L; rootᵀ root is the model's second derivative."""
    singular: Floats
    """P × L; the root's singular values."""
    right: Floats
    """P × P × L; its right singular vectors, as columns."""
    rotated: Floats
    """P × L; the residuals along its left singular vectors."""
    step_back: Floats
    """L; the share of the way to a bound that a step may go."""

    @classmethod
    def empty(cls, parameters: int, lanes: int) -> "LocalModel":
        """Room for so many."""
        vector, matrix = (parameters, lanes), (parameters, parameters, lanes)
        shapes = (vector, vector, matrix, vector, matrix, vector, (lanes,))
        return cls(*(np.zeros(shape) for shape in shapes))

    def of(self, which: Integers) -> "LocalModel":
        """Some of the lanes."""
        return LocalModel(*(pick(getattr(self, field.name), which) for field in fields(self)))

    def update(
        self,
        which: Integers,
        triangle: Floats,
        projected: Floats,
        gradient: Floats,
        scale: Floats,
        curvature: Floats,
        step_back: Floats,
    ) -> None:
        """Build the model of some lanes.

        Args:
            which: the lanes.
            triangle: P × P × their number, of the derivatives.
            projected: P × their number, the residuals in its directions.
            gradient: of the cost.
            scale: the root of the distance to the bound ahead.
            curvature: P × their number, not negative; what the scaling adds to the second
                derivative's diagonal.
            step_back: of the lanes.
        """
        parameters = len(scale)
        below = np.sqrt(curvature) * np.eye(parameters)[..., np.newaxis]
        scaled = np.ascontiguousarray((triangle * scale).transpose(1, 0, 2))
        columns = np.concatenate([scaled, below], axis=1)
        zeros = np.zeros((parameters, len(which)))
        triangle, projected = triangularise(columns, np.concatenate([projected, zeros]))
        left, singular, right = np.linalg.svd(triangle.transpose(2, 0, 1))
        self.scale[:, which] = scale
        self.gradient[:, which] = scale * gradient
        self.root[..., which] = triangle
        self.singular[:, which] = singular.T
        self.right[..., which] = right.transpose(2, 1, 0)
        directions = np.ascontiguousarray(left.transpose(1, 2, 0))
        self.rotated[:, which] = total(directions * projected[:, np.newaxis])
        self.step_back[which] = step_back

    def change(self, step: Floats) -> Floats:
        """What the model says of the cost's change by a step in scaled variables: P × L → L."""
        moved = _times(self.root, step)
        return np.asarray(0.5 * dot(moved, moved) + dot(step, self.gradient))


def triangularise(columns: Floats, vector: Floats) -> tuple[Floats, Floats]:
    """Modified Gram-Schmidt: P × R × L → triangle P × P × L, and the vector in its directions."""
    parameters, _, lanes = columns.shape
    triangle = np.zeros((parameters, parameters, lanes))
    projected = np.zeros((parameters, lanes))
    rest = [*columns, vector]
    for i in range(parameters):
        size = length(rest[i])
        direction = rest[i] / np.where(size == 0, 1.0, size)
        triangle[i, i] = size
        for j in range(i + 1, parameters + 1):
            along = dot(direction, rest[j])
            rest[j] = rest[j] - direction * along
            if j < parameters:
                triangle[i, j] = along
            else:
                projected[i] = along
    # Lanes whose derivatives overflowed have no model; LAPACK would stop at them.
    lost = ~np.isfinite(triangle).all(axis=(0, 1))
    triangle[..., lost] = 0.0
    return triangle, projected


def solve_radius(
    local: LocalModel, points: Integers, radius: Floats, damping: Floats
) -> tuple[Floats, Floats]:
    """The step in scaled variables that is best within the radius, by Moré's search.

    Args:
        local: the model.
        points: L; fewer than parameters leave the step undetermined.
        radius: L.
        damping: L; what the search ended with the last time.

    Returns:
        The step (P × L) and the damping (L), 0 where the whole Gauss-Newton step fits.
    """
    singular, rotated = local.singular, local.rotated
    slope = singular * rotated
    full = (points >= len(singular)) & (singular[-1] > _EPSILON * points * singular[0])
    newton = -_times(local.right, rotated / singular)
    fits = full & (length(newton) <= radius)
    most = length(slope) / radius
    excess, steepness = _excess(slope, singular**2, radius)
    least = np.where(full, -excess / steepness, 0.0)
    damping = np.where(~full & (damping == 0), _guess(least, most), damping)
    searching = ~fits
    for _ in range(RADIUS_ROUNDS):
        outside = (damping < least) | (damping > most)
        tried = np.where(outside, _guess(least, most), damping)
        excess, steepness = _excess(slope, singular**2 + tried, radius)
        ratio = excess / steepness
        most = np.where(searching & (excess < 0), tried, most)
        least = np.where(searching, np.maximum(least, tried - ratio), least)
        damping = np.where(searching, tried - (excess + radius) * ratio / radius, damping)
        searching &= ~(np.abs(excess) < RADIUS_SLACK * radius)
        if not searching.any():
            break
    step = -_times(local.right, slope / (singular**2 + damping))
    step = step * (radius / length(step))
    return np.where(fits, newton, step), np.where(fits, 0.0, damping)


def _excess(slope: Floats, denominator: Floats, radius: Floats) -> tuple[Floats, Floats]:
    """By how much a damped step is longer than the radius, and the derivative by the damping."""
    size = length(slope / denominator)
    return size - radius, -total(slope**2 / denominator**3) / size


def _guess(least: Floats, most: Floats) -> Floats:
    return np.maximum(0.001 * most, np.sqrt(least * most))


def choose_step(
    parameters: Floats,
    local: LocalModel,
    inward: Floats,
    radius: Floats,
    lower: Floats,
    upper: Floats,
) -> tuple[Floats, Floats, Floats]:
    """The step to try: as it is, or where it leaves the bounds cut off, reflected or downhill.

    Returns:
        The step in parameters (P × L), in scaled variables (P × L), and the fall of the cost that
        the model promises (L).
    """
    step, scaled, promised = local.scale * inward, inward.copy(), -local.change(inward)
    there = parameters + step
    out = np.flatnonzero(~((there >= lower) & (there <= upper)).all(axis=0))
    if len(out):
        step[:, out], scaled[:, out], promised[out] = _stay_inside(
            pick(parameters, out), local.of(out), pick(inward, out), radius[out], lower, upper
        )
    return step, scaled, promised


def _stay_inside(
    parameters: Floats,
    local: LocalModel,
    inward: Floats,
    radius: Floats,
    lower: Floats,
    upper: Floats,
) -> tuple[Floats, Floats, Floats]:
    """The best of three: up to just before the bound, reflected by it, along the gradient."""
    scale, theta = local.scale, local.step_back
    stride, hits = _to_bound(parameters, scale * inward, lower, upper)
    at_bound = inward * stride

    mirrored = np.where(hits, -inward, inward)
    to_radius = _to_radius(at_bound, mirrored, radius)
    to_bound, _ = _to_bound(parameters + scale * at_bound, scale * mirrored, lower, upper)
    furthest = np.minimum(to_bound, to_radius)
    shortest = np.where(furthest > 0, (1 - theta) * stride / furthest, 0.0)
    longest = np.where(furthest == to_bound, theta * to_bound, to_radius)
    longest = np.where(furthest > 0, longest, -1.0)
    reflected, reflected_change = _best_along(local, mirrored, at_bound, shortest, longest)
    reflected_change = np.where(shortest <= longest, reflected_change, np.inf)

    cut = at_bound * theta
    cut_change = local.change(cut)

    downhill = -local.gradient
    to_radius = radius / length(downhill)
    to_bound, _ = _to_bound(parameters, scale * downhill, lower, upper)
    longest = np.where(to_bound < to_radius, theta * to_bound, to_radius)
    zeros = np.zeros_like(longest)
    down, down_change = _best_along(local, downhill, np.zeros_like(downhill), zeros, longest)

    use_cut = (cut_change < reflected_change) & (cut_change < down_change)
    use_reflected = (reflected_change < cut_change) & (reflected_change < down_change)
    scaled = np.where(use_cut, cut, np.where(use_reflected, reflected, down))
    change = np.where(use_cut, cut_change, np.where(use_reflected, reflected_change, down_change))
    return scale * scaled, scaled, -change


def _to_bound(
    parameters: Floats, step: Floats, lower: Floats, upper: Floats
) -> tuple[Floats, Truths]:
    """How many steps it is to the first bound (L), and which parameters reach it (P × L)."""
    steps = np.maximum((lower - parameters) / step, (upper - parameters) / step)
    steps = np.where(step != 0, steps, np.inf)
    nearest = steps.min(axis=0)
    return nearest, (steps == nearest) & (step != 0)


def _to_radius(start: Floats, direction: Floats, radius: Floats) -> Floats:
    """How many directions it is from a place within the radius to it."""
    a, b = dot(direction, direction), dot(start, direction)
    c = dot(start, start) - radius**2
    q = -(b + np.copysign(np.sqrt(b * b - a * c), b))
    return np.maximum(q / a, c / q)


def _best_along(
    local: LocalModel, direction: Floats, start: Floats, shortest: Floats, longest: Floats
) -> tuple[Floats, Floats]:
    """The best place on a stretch of a line, and the model's change there."""
    ahead, here = _times(local.root, direction), _times(local.root, start)
    a = 0.5 * dot(ahead, ahead)
    b = dot(local.gradient, direction) + dot(here, ahead)
    c = 0.5 * dot(here, here) + dot(local.gradient, start)
    lowest = -0.5 * b / a
    lowest = np.where((a != 0) & (shortest < lowest) & (lowest < longest), lowest, shortest)
    strides = np.stack([shortest, longest, lowest])
    changes = strides * (a * strides + b) + c
    best = changes.argmin(axis=0)[np.newaxis]
    stride = np.take_along_axis(strides, best, axis=0)[0]
    return direction * stride + start, np.take_along_axis(changes, best, axis=0)[0]
