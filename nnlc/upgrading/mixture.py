"""Whether the tables of a campaign come from one arithmetic, or from several."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nnlc.campaign import TrainingSection
from nnlc.history import Finish
from nnlc.networks import ImageSet, NetworkSpec
from nnlc.networks.arithmetic import arithmetic_of, has_change, numbered, version
from nnlc.wording import counted

Trained = tuple[NetworkSpec, ImageSet]


@dataclass(frozen=True, slots=True)
class Mixture:
    """Tables by the arithmetic of their networks."""

    tables: int = 0
    """Whose arithmetic is known."""
    others: Counter[tuple[str, str]] | None = None
    """How many tables have the first arithmetic, where a new training would have the second."""
    is_mixed: bool = False
    """No single version of nnlc's arithmetic gives all of these tables."""

    @property
    def words(self) -> str:
        """What is to be known of it, in one line; nothing where all have today's arithmetic."""
        if not self.others:
            return ""
        pairs = sorted(self.others.items())
        parts = [f"{count:,} of arithmetic {then} (now {now})" for (then, now), count in pairs]
        what = "; ".join(_differences({pair for pair, _ in pairs}))
        known = counted(self.tables, "table")
        from_ = "two arithmetics" if self.is_mixed else "another arithmetic than today's"
        told = f"tables come from {from_}: of {known}, {', '.join(parts)}"
        return told + (f"; {what}" if what else "")


def mixture_of(
    networks: Iterable[Trained],
    settings: TrainingSection,
    finishes: Mapping[str, Finish],
    standing: Iterable[str] | None = None,
) -> Mixture:
    """Hold the arithmetic of tables to that which their networks have today.

    Args:
        networks: of one campaign, each with its images.
        settings: the campaign's.
        finishes: what the journal says of tables, by ID.
        standing: IDs of the tables that count; by default all that the journal tells of.
    """
    counted_ids = finishes.keys() if standing is None else set(standing) & finishes.keys()
    known = {i: said for i in counted_ids if (said := finishes[i].arithmetic) is not None}
    if version() == 1 and set(known.values()) <= {"1"}:
        return Mixture(len(known))
    others: Counter[tuple[str, str]] = Counter()
    alike = 0
    explaining = set(range(1, version() + 1))
    for spec, images in networks:
        then = known.get(spec.id)
        if then is None:
            continue
        device = "cuda" if finishes[spec.id].on_gpu else "cpu"
        own = {n: arithmetic_of(spec, images, settings, device, n) for n in explaining}
        explaining = {n for n, arithmetic in own.items() if arithmetic == then}
        now = arithmetic_of(spec, images, settings, device)
        if now != then:
            others[then, now] += 1
        else:
            alike += 1
    # Those of a newer nnlc, which this one can't explain, may be of one arithmetic all the same.
    several = alike > 0 or len({then for then, _ in others}) > 1
    return Mixture(len(known), others, is_mixed=several and not explaining)


def _differences(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Which changes lie between arithmetics, in words."""
    return [
        f"{number} is since nnlc {change.release}: {change.what}"
        for number, change in numbered()
        if any(has_change(then, number) != has_change(now, number) for then, now in pairs)
    ]
