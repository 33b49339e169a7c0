"""Verdicts as text for users."""

from collections.abc import Iterable, Iterator, Sequence

from nnlc.families.arithmetic import FIRST, oldest_choices
from nnlc.tables import CURVE_COLUMNS
from nnlc.verification.curve_ranks import CurveRank
from nnlc.verification.differences import Difference
from nnlc.verification.verdicts import Verdict
from nnlc.wording import counted

_FEW_STEPS = 1_000_000
_LONGEST = 100


def verdict_lines(verdict: Verdict, said: set[str] | None = None) -> Iterator[str]:
    """Yield a line with the verdict, and indented lines with the differences.

    Args:
        verdict: the verdict.
        said: problems of verdicts before it, which are not repeated; its own is added.
    """
    said = set() if said is None else said
    is_known = verdict.problem in said
    if verdict.problem:
        said.add(verdict.problem)
    headline = "not verified, for the same reason" if is_known else _headline(verdict)
    yield f"{verdict.path}: {headline}"
    yield from (f"  {line}" for line in _details(verdict))


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return a line with the number of verdicts of each kind."""
    published = sum(1 for one in verdicts if one.seeds)
    ours = [one for one in verdicts if not one.seeds]
    identical = sum(one.identical for one in ours)
    words = [f"{identical} of {len(ours)} identical"] if ours else []
    words += [f"{published} published among seeds"] if published else []
    return ", ".join(words)


def _headline(verdict: Verdict) -> str:
    if verdict.problem:
        return f"not verified: {verdict.problem}"
    trained = counted(verdict.half_epochs, "half epoch")
    if verdict.half_epochs < verdict.half_epochs_of_table:
        trained = f"the first {trained} of {verdict.half_epochs_of_table}"
    if verdict.seeds:
        return f"published, {trained} under {counted(verdict.seeds, 'seed')}"
    arithmetic = f" in arithmetic {verdict.arithmetic}" if verdict.arithmetic else ""
    if verdict.identical:
        return f"identical, {trained}{arithmetic}"
    return f"differs, {trained} trained again{arithmetic}"


def _details(verdict: Verdict) -> Iterator[str]:
    if verdict.foreign and not verdict.specification:
        yield verdict.foreign
    elif verdict.is_stranger:
        yield f"the campaign has no network {verdict.id}, or not under this name"
    if verdict.bytes_changed:
        yield "changed since it was written: the journal has the checksum of other bytes"
    for difference in verdict.specification:
        # Only train_GPU is not drawn; its expected value is from the journal.
        by = "by the journal" if difference.name == "train_GPU" else "in the campaign's draw"
        yield _field(difference, by)
    if verdict.first:
        yield f"{_field(verdict.first, 'now')}{_size(verdict.first)}"
        lines = len({difference.line for difference in verdict.rows})
        yield f"half epochs that differ: {lines} of {verdict.half_epochs}"
    elif verdict.differs and verdict.half_epochs:
        yield "no half epoch that was trained again differs"
    if verdict.seeds:
        yield from _places(verdict)
    elif verdict.half_epochs:
        yield from _circumstances(verdict)


def _circumstances(verdict: Verdict) -> Iterator[str]:
    if verdict.is_assumed:
        yield f"the table's folder has no campaign.toml: trained under {_settings(verdict)}"
    if verdict.lacks_gpu:
        yield "the table was made on a GPU, and none is here: trained on the processor"
    for change in verdict.changes:
        yield f"{change.name} was {change.then} and is {change.now}"
    if verdict.rows and not verdict.is_recorded:
        yield "no journal has the circumstances in which the table was made"
    elif verdict.rows and not verdict.changes:
        yield (
            "no recorded circumstance differs: device, arithmetic, libraries and settings are the "
            "same"
        )


def _settings(verdict: Verdict) -> str:
    """Return text on the settings that were assumed."""
    usual = "nnlc's default settings"
    if not verdict.rows or verdict.arithmetic in ("", FIRST):
        return usual
    old = " and ".join(f'training.{name} = "{value}"' for name, value in oldest_choices().items())
    return f"{usual}; if an older nnlc made it, give --campaign its campaign, with {old}"


def _field(difference: Difference, where: str) -> str:
    found, expected = _short(difference.found), _short(difference.expected)
    return (
        f"line {difference.line}, column {difference.column} ({difference.name}): "
        f"{found} in the table, {expected} {where}"
    )


def _short(text: str) -> str:
    """Return a field's text, cut if it is long."""
    return text[:_LONGEST] + "…" * (len(text) > _LONGEST) or "nothing"


def _size(difference: Difference) -> str:
    absolute, steps = difference.absolute, difference.last_places
    if absolute is None or steps is None:
        return ""
    relative = "" if difference.relative is None else f", relative {difference.relative:.2g}"
    places = f"{steps:,}" if steps < _FEW_STEPS else f"{steps:.2g}"
    return f"; {absolute:.2g} apart{relative}, units in the last place: {places}"


def _places(verdict: Verdict) -> Iterator[str]:
    chance = 200 / (verdict.seeds + 1)
    yield (
        "its random streams are not known; if it were one more seed, a value would lie outside the "
        f"range of {counted(verdict.seeds, 'seed')} with chance {chance:.0f}%"
    )
    yield f"{'epoch':>6}  {'column':<10}{'published':>11}{'lowest':>11}{'highest':>11}  place"
    for place in verdict.places:
        yield _place(place)
    for column in CURVE_COLUMNS:
        yield _sum(column.name, [one for one in verdict.places if one.column == column.name])


def _place(place: CurveRank) -> str:
    value = "blank" if place.value is None else f"{place.value:.5g}"
    start = f"{place.half_epoch / 2:>6g}  {place.column:<10}{value:>11}"
    if not place.comparable:
        among = " ".join(f"{other:.5g}" for other in place.among)
        return f"{start}  not comparable with {among}"
    low, high = min(place.among), max(place.among)
    rank = f"{place.below + 1}"
    if place.equal:
        rank += f" to {place.below + place.equal + 1}"
    words = f"{rank} of {len(place.among) + 1}"
    if place.distance is not None:
        words += f", {place.distance:+.1f} standard deviations from the mean"
    if place.outside:
        words += f", outside the range of {counted(len(place.among), 'seed')}"
    return f"{start}{low:>11.5g}{high:>11.5g}  {words}"


def _sum(name: str, among: Iterable[CurveRank]) -> str:
    compared = [place for place in among if place.comparable]
    inside = sum(not place.outside for place in compared)
    corrected = " (corrected)" if name == "valLoss" else ""
    return (
        f"{name}{corrected}: within the range in {inside} of {counted(len(compared), 'half epoch')}"
    )
