"""Costs of networks whose family has no model of them: they follow from counts."""

from collections.abc import Collection
from dataclasses import replace
from typing import cast

from nnlc.families.counted_costs import cost_key, counted_of, known_counts, remember
from nnlc.families.network_family import NetworkFamily, NetworkSize
from nnlc.networks.device_memory import (
    LARGEST_TENSORS,
    SEGMENT_BYTES,
    VALUE_BYTES,
    heap_bytes,
    image_bytes,
    library_bytes,
)
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.machine import DeviceKind
from nnlc.networks.optimizers import optimizer_of
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import FamilySpec, Specification
from nnlc.networks.work import Work

_STEP_KERNELS = 8
"""Kernels of any step outside the network and its loss: select a batch, make it floats, sums."""
_LIBRARY_TENSORS = 1
"""Copies of the largest tensor that libraries make at a time, in another order of values."""
_CHECK_BYTES: dict[DeviceKind, int] = {"cuda": 0, "cpu": 100_000_000}
"""Bytes that checks of modules leave in a trainer's heap; measured with residual networks."""
_MIB = 2**20
_GAP_SHARE = 0.1
"""Bytes in further gaps on a GPU, for each byte that lives at a time, however tensors fit into
segments; measured on a stub GPU: `python tests/gpu/reserved_memory.py --campaign residual`."""
_VALIDATION = 3
"""Largest tensors that live at a time in a validation step, whose captured steps keep memory."""


class CountedFamily(NetworkFamily):
    """Family whose costs are counted; none of the methods here needs its code."""

    def knows_cost(self, spec: Specification) -> bool:
        return known_counts(cost_key(cast(FamilySpec, spec))) is not None

    def could_count(self, spec: Specification) -> bool:
        return counted_of(cast(FamilySpec, spec)).is_known

    def with_batch_size(self, spec: Specification, batch_size: int) -> FamilySpec:
        old = cast(FamilySpec, spec)
        new = replace(old, batch_size=batch_size)
        if not self.knows_cost(new):
            remember({cost_key(new): counted_of(old).scaled(batch_size / old.batch_size)})
        return new

    def size(self, spec: Specification, images: ImageSet) -> NetworkSize:
        del images  # counts are those of the network's own images
        counted = counted_of(cast(FamilySpec, spec))
        return NetworkSize(counted.parameters, counted.multiply_adds)

    def forward_work(
        self, spec: Specification, images: ImageSet, settings: TrainingSection, device: DeviceKind
    ) -> Work:
        counted = counted_of(cast(FamilySpec, spec))
        pixels = spec.batch_size * images.channels * images.width**2
        return Work(
            operations=counted.forward_operations,
            values=3 * pixels + counted.forward_values,
            narrow=counted.narrow_operations,
            weights=counted.parameters,
            kernels=_STEP_KERNELS + counted.forward_kernels,
        )

    def backward_work(
        self, spec: Specification, images: ImageSet, settings: TrainingSection, device: DeviceKind
    ) -> Work:
        counted = counted_of(cast(FamilySpec, spec))
        passes = optimizer_of(spec).passes(spec)
        return Work(
            operations=counted.backward_operations,
            values=counted.backward_values,
            narrow=counted.narrow_operations,
            weights=(2 + passes) * counted.parameters,
            kernels=counted.backward_kernels + counted.parameter_tensors,
        )

    def training_operations(self, spec: Specification, images: ImageSet, epochs: int) -> int:
        counted = counted_of(cast(FamilySpec, spec))
        train = images.train_images // spec.batch_size * epochs
        validation = images.validation_images // spec.batch_size * 2 * epochs
        step = counted.forward_operations + counted.backward_operations
        return train * step + validation * counted.forward_operations

    def memory_bytes(
        self,
        spec: Specification,
        images: ImageSet,
        settings: TrainingSection,
        device: DeviceKind,
        *,
        resident: Collection[ImageSet] = (),
    ) -> int:
        counted, optimizer = counted_of(cast(FamilySpec, spec)), optimizer_of(spec)
        parameters = VALUE_BYTES * counted.parameters
        # Gradients are among what lives in a step; the optimizer's copies live after it.
        step = max(counted.peak_bytes, (1 + optimizer.copied_values(spec)) * parameters)
        used = (1 + optimizer.kept_values(spec)) * parameters + counted.buffer_bytes + step
        used += _LIBRARY_TENSORS * counted.largest_bytes
        if device == "cuda":
            used += SEGMENT_BYTES + int(_gap_share(counted.largest_bytes) * counted.peak_bytes)
            used += int((LARGEST_TENSORS + _VALIDATION) * counted.largest_bytes)
        held = sum(map(image_bytes, {images, *resident}))
        held += _CHECK_BYTES[device]
        return library_bytes(device) + held + heap_bytes(used, device)

    def convolutions(self, spec: Specification, images: ImageSet) -> int:
        return counted_of(cast(FamilySpec, spec)).convolutions


def _gap_share(largest_bytes: int) -> float:
    """Return the bytes in gaps of a GPU's segments for each byte of tensors as large as these.

    Segments are those of `SEGMENT_BYTES`; a tensor never lies in two.
    """
    segment = 2 * _MIB if largest_bytes <= _MIB else 20 * _MIB
    if largest_bytes >= 10 * _MIB:
        segment = -(-largest_bytes // (2 * _MIB)) * 2 * _MIB
    tensor = max(1, largest_bytes)
    return max(_GAP_SHARE, segment / (segment // tensor * tensor) - 1)
