"""Result of training a table's network again."""

from dataclasses import dataclass
from pathlib import Path

from nnlc.verification.curve_ranks import CurveRank
from nnlc.verification.differences import Change, Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Verdict on a table: one of nnlc is identical or differs, a published one has ranks."""

    path: Path
    id: str | None = None
    """ID of the network; None if the table is damaged."""
    problem: str | None = None
    """Reason why it was not trained again to the end; nothing is said of the curve then."""
    half_epochs: int = 0
    """Number of half epochs that were trained again."""
    half_epochs_of_table: int = 0
    specification: tuple[Difference, ...] = ()
    """Metadata that differ from the campaign's network."""
    is_stranger: bool = False
    """True if the campaign has no such network, or the file is named after another."""
    foreign: str = ""
    """Reason why it is not the table of the network in the file's name."""
    rows: tuple[Difference, ...] = ()
    """Fields of those half epochs that differ now, in the table's order."""
    bytes_changed: bool = False
    """True if the journal has the checksum of other bytes."""
    changes: tuple[Change, ...] = ()
    """Recorded circumstances that have changed."""
    arithmetic: str = ""
    """Arithmetic in which the network was trained again."""
    is_recorded: bool = False
    """True if a journal tells the circumstances."""
    is_assumed: bool = False
    """True if no campaign is known, so that it was trained under nnlc's own settings."""
    lacks_gpu: bool = False
    """True if it was made on a GPU, and none is here."""
    seeds: int = 0
    """Number of seeds of a published table."""
    places: tuple[CurveRank, ...] = ()
    """Ranks of a published table's values among those of the seeds."""

    @property
    def first(self) -> Difference | None:
        """Return the first field of the curve that differs now."""
        return self.rows[0] if self.rows else None

    @property
    def identical(self) -> bool:
        """True if a table of nnlc is the same as far as it was trained again."""
        return not (self.seeds or self.differs)

    @property
    def differs(self) -> bool:
        """True if anything differs; no rank of a published curve counts."""
        return bool(
            self.problem
            or self.specification
            or self.is_stranger
            or self.foreign
            or self.rows
            or self.bytes_changed
        )
