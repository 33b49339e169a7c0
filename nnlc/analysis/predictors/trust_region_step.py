"""One step of the trust-region reflective method in every lane (see module `trust_region`).

Steps are computed in scaled variables, parameter / √(distance to the bound downhill), in which the
bounds are far away. Array shapes: P parameters, R rows, L lanes.
"""

from dataclasses import dataclass, fields

import numpy as np

from nnlc.analysis.predictors.interface import Booleans, Floats, Integers

RADIUS_SLACK = 0.01
"""Greatest relative difference between a step's length and the radius."""
RADIUS_ROUNDS = 10
_EPSILON = float(np.finfo(float).eps)


def total(array: Floats, axis: int = 0) -> Floats:
    """Return each lane's sum over an axis, added in order.

    NumPy adds in order where there are several lanes, and in another order where there is one.
    """
    if array.shape[-1] == 1:
        return np.asarray(np.add.accumulate(array, axis=axis).take(-1, axis=axis))
    return np.asarray(array.sum(axis=axis))


def dot(a: Floats, b: Floats) -> Floats:
    """Return each lane's inner product over the first axis."""
    return total(a * b)


def length(a: Floats) -> Floats:
    """Return each lane's Euclidean length over the first axis."""
    return np.sqrt(dot(a, a))


def pick(array: Floats, which: Integers) -> Floats:
    """Return some of the lanes in C order; indexing would give another order of memory and sums."""
    return np.take(array, which, axis=-1)


def _times(matrix: Floats, vector: Floats) -> Floats:
    """Return each lane's matrix (P × P × L) times its vector (P × L)."""
    return total(matrix * vector, axis=1)


@dataclass
class LocalModel:
    """Quadratic model of the cost around each lane's parameters, in scaled variables."""

    scale: Floats
    """Change of a parameter for a unit step of its scaled variable, P × L."""
    gradient: Floats
    """Gradient of the cost, P × L."""
    root: Floats
    """Root of the model's second derivative rootᵀ root, P × P × L."""
    singular: Floats
    """Singular values of `root`, P × L."""
    right: Floats
    """Right singular vectors of `root` as columns, P × P × L."""
    rotated: Floats
    """Residuals along the left singular vectors of `root`, P × L."""
    step_back: Floats
    """Share of the way to a bound that a step may go, L."""

    @classmethod
    def empty(cls, parameters: int, lanes: int) -> "LocalModel":
        """Return a model of zeros."""
        vector, matrix = (parameters, lanes), (parameters, parameters, lanes)
        shapes = (vector, vector, matrix, vector, matrix, vector, (lanes,))
        return cls(*(np.zeros(shape) for shape in shapes))

    def select(self, which: Integers) -> "LocalModel":
        """Return the model of some lanes."""
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
            which: indices of N lanes.
            triangle: triangular factor of the derivatives, P × P × N.
            projected: residuals projected on the orthogonal factor, P × N.
            gradient: gradient of the cost by the parameters, P × N.
            scale: square root of the distance to the bound downhill, P × N.
            curvature: term that the scaling adds to the diagonal of the second derivative, at
                least 0, P × N.
            step_back: share of the way to a bound that a step may go, N.
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
        """Return the model's change of the cost for a step in scaled variables: P × L → L."""
        moved = _times(self.root, step)
        return np.asarray(0.5 * dot(moved, moved) + dot(step, self.gradient))


def triangularise(columns: Floats, vector: Floats) -> tuple[Floats, Floats]:
    """Return the triangular factor of the columns' QR decomposition, and the projected vector.

    Computed by modified Gram-Schmidt: P × R × L, R × L → P × P × L, P × L.
    """
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
    # Derivatives that overflowed become zeros: LAPACK would raise an error for all lanes.
    lost = ~np.isfinite(triangle).all(axis=(0, 1))
    triangle[..., lost] = 0.0
    return triangle, projected


def solve_radius(
    local: LocalModel, points: Integers, radius: Floats, damping: Floats
) -> tuple[Floats, Floats]:
    """Return the best step in scaled variables within the radius, by Moré's search.

    Args:
        local: the quadratic model.
        points: number of points, L; fewer than parameters don't determine the step.
        radius: greatest length of the step, L.
        damping: damping at the end of the last search, L.

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
    """Return a damped step's length minus the radius, and its derivative by the damping."""
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
    """Return the step to try: the given step, or the best step inside the bounds if it leaves them.

    Returns:
        The step in parameters (P × L), the step in scaled variables (P × L), and the fall of the
        cost that the model predicts (L).
    """
    step, scaled, promised = local.scale * inward, inward.copy(), -local.change(inward)
    there = parameters + step
    out = np.flatnonzero(~((there >= lower) & (there <= upper)).all(axis=0))
    if len(out):
        step[:, out], scaled[:, out], promised[out] = _step_inside_bounds(
            pick(parameters, out), local.select(out), pick(inward, out), radius[out], lower, upper
        )
    return step, scaled, promised


def _step_inside_bounds(
    parameters: Floats,
    local: LocalModel,
    inward: Floats,
    radius: Floats,
    lower: Floats,
    upper: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Return the best of three steps: up to the bound, reflected at it, or along the gradient."""
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
) -> tuple[Floats, Booleans]:
    """Return how many steps reach the nearest bound (L), and which parameters hit it (P × L)."""
    steps = np.maximum((lower - parameters) / step, (upper - parameters) / step)
    steps = np.where(step != 0, steps, np.inf)
    nearest = steps.min(axis=0)
    return nearest, (steps == nearest) & (step != 0)


def _to_radius(start: Floats, direction: Floats, radius: Floats) -> Floats:
    """Return the factor by which `direction` leads from `start` to the radius, L."""
    a, b = dot(direction, direction), dot(start, direction)
    c = dot(start, start) - radius**2
    q = -(b + np.copysign(np.sqrt(b * b - a * c), b))
    return np.maximum(q / a, c / q)


def _best_along(
    local: LocalModel, direction: Floats, start: Floats, shortest: Floats, longest: Floats
) -> tuple[Floats, Floats]:
    """Return the best step on a line segment, and the model's change of the cost there."""
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
