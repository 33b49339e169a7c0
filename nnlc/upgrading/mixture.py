"""Whether the tables of a campaign come from one arithmetic, or from several."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nnlc.campaign import CampaignNetwork, TrainingSection
from nnlc.history import Finish
from nnlc.networks.arithmetic import FIRST, arithmetic_of, has_change, numbered, version
from nnlc.wording import counted


@dataclass(frozen=True, slots=True)
class Mixture:
    """The tables of a campaign, counted by the arithmetic of their networks."""

    tables: int = 0
    """How many have a known arithmetic."""
    others: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many another arithmetic has made: by that one, and the one of a new training."""
    is_mixed: bool = False
    """True if no single version of nnlc's arithmetic gives all of these tables."""

    @property
    def words(self) -> str:
        """Return a line on tables of other arithmetics than today's; "" where there are none."""
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
    networks: Iterable[CampaignNetwork],
    settings: TrainingSection,
    finishes: Mapping[str, Finish],
    standing: Iterable[str],
) -> Mixture:
    """Count tables by the arithmetic that made them, where a new training would have another.

    Args:
        networks: the campaign's; not read where every arithmetic is the first.
        settings: the campaign's, of training.
        finishes: what the journal says of tables, by ID.
        standing: IDs of the tables to count.
    """
    recorded = finishes.keys() & set(standing)
    known = {i: said for i in recorded if (said := finishes[i].arithmetic) is not None}
    if version() == 1 and set(known.values()) <= {FIRST}:
        return Mixture(len(known))
    others: Counter[tuple[str, str]] = Counter()
    alike = 0
    explaining = set(range(1, version() + 1))
    for network in networks:
        spec, images = network.spec, network.images
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
    # Tables that only a newer nnlc can explain are not mixed if all say the same arithmetic.
    several = alike > 0 or len({then for then, _ in others}) > 1
    return Mixture(len(known), others, is_mixed=several and not explaining)


def _differences(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return the changes that one arithmetic of a pair has and the other has not, in words."""
    return [
        f"{number} is since nnlc {change.release}: {change.what}"
        for number, change in numbered()
        if any(has_change(then, number) != has_change(now, number) for then, now in pairs)
    ]
