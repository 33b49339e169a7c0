"""Mixture of arithmetics among the tables of a campaign."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nnlc.families.arithmetic import (
    FIRST,
    arithmetic_of,
    has_change,
    is_kept,
    is_known,
    numbered_changes,
)
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import Specification
from nnlc.results.history import Finish
from nnlc.wording import counted


class Trained(Protocol):
    """A network of a campaign."""

    @property
    def spec(self) -> Specification:
        """Specification of the network."""

    @property
    def images(self) -> ImageSet:
        """Image set that the network trains on."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """Number of a campaign's tables by the arithmetic that made them."""

    tables: int = 0
    """Number of tables whose arithmetic is known."""
    others: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number of tables by (recorded arithmetic, arithmetic of a new training), if these differ."""
    between: frozenset[int] = frozenset()
    """Numbers of the changes by which the arithmetics in `others` differ."""
    is_mixed: bool = False
    """True if no single nnlc gives all of these tables under one set of settings."""

    @property
    def words(self) -> str:
        """Return a line on tables whose arithmetic is not today's; "" if there are none."""
        if not self.others:
            return ""
        parts = [
            f"{counted(count, 'has', 'have')} arithmetic {then} instead of {now}"
            for (then, now), count in sorted(self.others.items())
        ]
        what = "; ".join(
            f"arithmetic {number} came with nnlc {change.release}: {change.what}"
            for number, change in numbered_changes()
            if number in self.between
        )
        known = counted(self.tables, "table")
        from_ = "two arithmetics" if self.is_mixed else "another arithmetic than today's"
        text = f"tables come from {from_}: of {known}, {', '.join(parts)}"
        return text + (f"; {what}" if what else "")


def mixture_of(
    networks: Iterable[Trained],
    settings: TrainingSection,
    finishes: Mapping[str, Finish],
    ids: Iterable[str],
) -> Mixture:
    """Count the tables whose arithmetic differs from that of a new training.

    Args:
        networks: networks of the campaign; not read if every arithmetic is the first and stays it.
        settings: training section of the campaign.
        finishes: finish events by ID.
        ids: IDs of the tables to count.
    """
    recorded = finishes.keys() & set(ids)
    known = {i: said for i in recorded if (said := finishes[i].arithmetic) is not None}
    keeps_first = all(is_kept(number, settings) for number, _ in numbered_changes())
    if keeps_first and set(known.values()) <= {FIRST}:
        return Mixture(len(known))
    others: Counter[tuple[str, str]] = Counter()
    alike = 0
    between: set[int] = set()
    having: defaultdict[int, set[bool | None]] = defaultdict(set)
    for network in networks:
        spec, images = network.spec, network.images
        then = known.get(spec.id)
        if then is None:
            continue
        device = "cuda" if finishes[spec.id].on_gpu else "cpu"
        now = arithmetic_of(spec, images, settings, device)
        for number, change in numbered_changes():
            if change.touches(spec, images, settings, device):
                having[number].add(has := has_change(then, number))
                if has != has_change(now, number):
                    between.add(number)
        if now != then:
            others[then, now] += 1
        else:
            alike += 1
    # Tables of one arithmetic are not mixed, even if only a newer nnlc knows it.
    several = alike > 0 or len({then for then, _ in others}) > 1
    is_one = all(is_known(then) for then, _ in others) and _is_one(having)
    return Mixture(len(known), others, frozenset(between), is_mixed=several and not is_one)


def _is_one(having: Mapping[int, set[bool | None]]) -> bool:
    """Return True if a single nnlc could make all tables under one set of settings.

    If a table lacks a change, all tables that the change touches must lack it; and a setting must
    keep the old arithmetic, or no table may have a later change.

    Args:
        having: for each change by number, whether the tables that it touches have it.
    """
    newest = max((number for number, found in having.items() if True in found), default=1)
    keeps = {number: change.keeps for number, change in numbered_changes()}
    return all(
        found == {False} and (keeps[number] is not None or number > newest)
        for number, found in having.items()
        if False in found
    )
