"""Verdict on a table after its network was trained again."""

from dataclasses import dataclass
from pathlib import Path

from nnlc.verification.curve_ranks import CurveRank
from nnlc.verification.differences import Change, Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Verdict on a table: nnlc's own table is identical or differs; a published table has ranks."""

    path: Path
    id: str | None = None
    """ID of the network; None if the table is damaged."""
    problem: str | None = None
    """Reason why the network was not trained to the end; the curve is not compared then."""
    half_epochs: int = 0
    """Number of half epochs that were trained again."""
    half_epochs_of_table: int = 0
    specification: tuple[Difference, ...] = ()
    """Metadata that differ from the campaign's network."""
    is_stranger: bool = False
    """True if the campaign has no such network, or the file is named after another."""
    foreign: str = ""
    """Reason why the file is not the table of the network in its name; "" if it is."""
    rows: tuple[Difference, ...] = ()
    """Fields of the curve that differ, in the table's order."""
    bytes_changed: bool = False
    """True if the journal has another checksum for the table."""
    changes: tuple[Change, ...] = ()
    """Recorded circumstances that have changed."""
    arithmetic: str = ""
    """Arithmetic in which the network was trained again."""
    is_recorded: bool = False
    """True if a journal recorded the circumstances."""
    is_assumed: bool = False
    """True if no campaign is known; the network was trained under nnlc's default settings."""
    lacks_gpu: bool = False
    """True if the table was made on a GPU and this computer has none."""
    seeds: int = 0
    """Number of seeds of a published table."""
    places: tuple[CurveRank, ...] = ()
    """Ranks of a published table's values among those of the seeds."""

    @property
    def first(self) -> Difference | None:
        """Return the first field of the curve that differs."""
        return self.rows[0] if self.rows else None

    @property
    def identical(self) -> bool:
        """True if nothing differs in the half epochs that were trained; False if published."""
        return not (self.seeds or self.differs)

    @property
    def differs(self) -> bool:
        """True if anything differs; ranks of a published curve don't count."""
        return bool(
            self.problem
            or self.specification
            or self.is_stranger
            or self.foreign
            or self.rows
            or self.bytes_changed
        )
