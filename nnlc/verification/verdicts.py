"""What came of training a table's network again."""

from dataclasses import dataclass
from pathlib import Path

from nnlc.verification.curve_ranks import Place
from nnlc.verification.differences import Change, Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One table's. A table of ours is identical or differs; a published one has its places."""

    path: Path
    id: str | None = None
    """None where the table is damaged."""
    problem: str | None = None
    """Why it was not trained again, or not to the end; nothing of a curve is said then."""
    half_epochs: int = 0
    """So many were trained."""
    half_epochs_of_table: int = 0
    specification: tuple[Difference, ...] = ()
    """Metadata that are not those of the campaign's network."""
    is_stranger: bool = False
    """The campaign has no such network, or the file has another one's name."""
    foreign: str = ""
    """Why it is not the table of the campaign's network that it is named after."""
    rows: tuple[Difference, ...] = ()
    """All fields of those half epochs that are others now, in the table's order."""
    bytes_changed: bool = False
    """The journal has the checksum of other bytes."""
    changes: tuple[Change, ...] = ()
    """Recorded circumstances that are others now."""
    arithmetic: str = ""
    """The network's own, as it was trained again."""
    is_recorded: bool = False
    """A journal tells of the circumstances."""
    is_assumed: bool = False
    """No campaign is known: it was trained under nnlc's own settings."""
    lacks_gpu: bool = False
    """It was made on a GPU, and none is here."""
    seeds: int = 0
    """So many were tried for a published table."""
    places: tuple[Place, ...] = ()
    """Of a published table: each value of its curve among the seeds'."""

    @property
    def first(self) -> Difference | None:
        """The first field of the curve that is another one now."""
        return self.rows[0] if self.rows else None

    @property
    def identical(self) -> bool:
        """Whether a table of ours is the same as far as it was trained again."""
        return not (self.seeds or self.differs)

    @property
    def differs(self) -> bool:
        """Whether anything is not as it should be; no place of a published curve is a fault."""
        return bool(
            self.problem
            or self.specification
            or self.is_stranger
            or self.foreign
            or self.rows
            or self.bytes_changed
        )
