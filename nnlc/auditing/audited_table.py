"""Table in an audit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnlc.auditing.findings import Findings
from nnlc.auditing.standards import Standard, is_published
from nnlc.errors import TableError
from nnlc.networks import ImageSet
from nnlc.networks.columns import Layout
from nnlc.tables.fast_parsing import Curve
from nnlc.tables.record import Record


@dataclass(slots=True)
class AuditedTable:
    """Table in an audit: what could be read of it, its standard, its findings."""

    path: Path
    layout: Layout
    """Columns of metadata, as far as the header can be read."""
    values: dict[str, Any]
    """Metadata by field of the specification; fields that can't be read are absent."""
    curve: Curve | None
    half_epochs: int | None
    """Number of rows; None without lines."""
    standard: Standard
    findings: Findings
    found: Record | TableError
    """Record from the strict reading, or the error that it raised."""

    @property
    def is_whole(self) -> bool:
        """True if the strict reading succeeded: the table's bytes follow from its values."""
        return isinstance(self.found, Record)

    @property
    def id(self) -> str | None:
        return self.values.get("id")

    @property
    def dataset(self) -> str | None:
        return self.values.get("dataset")

    @property
    def is_published(self) -> bool:
        """True if its metadata say that it is the article's (`nnlc.tables.val_loss_correction`)."""
        return is_published(self.layout, self.values)

    @property
    def images(self) -> ImageSet | None:
        """Return its image set; None if unknown. SVHN's number of training images is uncertain."""
        readings = self.standard.images(self.dataset)
        return readings[0] if readings else None

    @property
    def validation_batches(self) -> tuple[int, int]:
        """Return the number of full validation batches, and of all batches; 0 if unknown."""
        size = self.values.get("batch_size") or 0
        if self.images is None or size < 1:
            return 0, 0
        full, partial = divmod(self.images.validation_images, size)
        return full, full + (partial > 0)
