"""Facts of a page: what was run, when, and on what."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.networks.buffers import DeviceKind
from nnlc.reporting.network_state import Fact, NetworkState, State
from nnlc.results.history import History, makers
from nnlc.results.journal import read_events
from nnlc.results.mixture import mixture_of
from nnlc.tables.frames import Tables
from nnlc.wording import counted

PUBLISHED_DOI = "doi:10.7910/DVN/ZXTCGF"


@dataclass(frozen=True, slots=True)
class JobFacts:
    """Jobs of a journal."""

    began: tuple[str, ...] = ()
    """Start of each job, in words."""
    last: str = ""
    """Start or end of the last job, in words."""
    device: DeviceKind | None = None
    """Device of the last job."""
    device_names: frozenset[str] = frozenset()
    ranks: int = 0


def read_job_facts(folder: Path) -> JobFacts:
    """Read the events on jobs in a journal; values of a wrong type are skipped."""
    began: list[str] = []
    last, newest = "", {}
    for event in read_events(folder, {"job", "end"}):
        moment = _moment(event["time"])
        if event["event"] == "job":
            began.append(moment)
            last, newest = f"began {moment}", event
        else:
            last = f"ended {moment}"
    ranks = newest.get("ranks")
    ranks = [rank for rank in ranks if isinstance(rank, dict)] if isinstance(ranks, list) else []
    device = newest.get("device")
    return JobFacts(
        tuple(began),
        last,
        device if device in ("cpu", "cuda") else None,
        frozenset(name for rank in ranks for name in _names(rank)),
        len(ranks),
    )


def _names(rank: dict[str, Any]) -> list[str]:
    devices = rank.get("devices")
    found = devices if isinstance(devices, list) else []
    names = [one.get("name") for one in found if isinstance(one, dict)]
    return [name for name in names if isinstance(name, str)]


def _moment(words: Any) -> str:
    """Return a journal's time to the minute."""
    try:
        moment = datetime.fromisoformat(words)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, TypeError, OverflowError):
        return "at an unknown time"


def campaign_facts(
    campaign: Campaign,
    networks: Sequence[CampaignNetwork],
    states: Sequence[NetworkState],
    history: History,
    jobs: JobFacts,
) -> list[Fact]:
    """Return the facts of a campaign."""
    counts = Counter(network.images.name for network in networks)
    images = ", ".join(f"{count:,} on {name}" for name, count in counts.items())
    facts = [
        ("campaign", campaign.name),
        ("networks", f"{len(networks):,}: {images}" if len(counts) > 1 else images),
        ("epochs", f"{campaign.epochs:g}, {campaign.half_epochs:,} half epochs"),
        ("seed", str(campaign.seed)),
    ]
    if campaign.stop is not None:
        facts.append(("stop rule", campaign.stop))
    if jobs.began:
        several = f"{len(jobs.began):,} jobs, the first" if len(jobs.began) > 1 else "one job,"
        facts.append(("jobs", f"{several} began {jobs.began[0]}; last event: {jobs.last}"))
        ranks = counted(jobs.ranks, "rank")
        if jobs.device_names:
            facts.append(("last job", f"{ranks} on {', '.join(sorted(jobs.device_names))}"))
    pairs = zip(networks, states, strict=True)
    done = [n.spec.id for n, state in pairs if state.state == State.DONE]
    facts += _origins(done, history)
    mixture = mixture_of(networks, campaign.training, history.finishes, done)
    if mixture.is_mixed:
        facts.append(("arithmetic", mixture.words))
    if attempts := sum(history.attempts.values()):
        facts.append(("attempts that ended badly", f"{attempts:,} since the last success"))
    return facts


def tables_facts(tables: Tables, history: History) -> list[Fact]:
    """Return the facts of tables without a campaign; a collection may have a journal."""
    networks = tables.networks
    published = int(networks["published"].sum())
    shortest, longest = networks["half_epochs"].min(), networks["half_epochs"].max()
    words = f"{longest:,} half epochs"
    if shortest < longest:
        words = f"from {shortest:,} to {words}"
    facts = [("tables", f"{len(networks):,}"), ("curves", words)]
    if published:
        how = "the article's, published at " + PUBLISHED_DOI
        facts.append(("origin", f"{published:,} are by their metadata {how}"))
        losses = tables.curves.attrs["val_loss"]
        slip = {
            "as-published": "as published: too small by a known factor, which "
            "--val-loss corrected undoes",
            "corrected": "corrected for the factor by which they were published too small",
        }
        facts.append(("their validation losses", slip[losses]))
    if len(networks) > published:
        facts.append(("origin", f"{len(networks) - published:,} were written by nnlc"))
    return facts + _origins(networks["id"], history)


def seconds_of(history: History, id_: str) -> float | None:
    """Return the seconds of a network's training, if the journal knows them."""
    finish = history.finishes.get(id_)
    seconds = None if finish is None else finish.seconds
    return seconds if seconds is not None and 0 <= seconds < math.inf else None


def stop_of(history: History, id_: str) -> str:
    """Return where a stop rule ended a network, in words; "" where none did."""
    finish = history.finishes.get(id_)
    if finish is None or finish.stop is None or finish.stop.epoch is None:
        return ""
    stop = finish.stop
    words = f"at epoch {stop.epoch:g}"
    if stop.predicted is not None and stop.target is not None:
        words += f"; {stop.predicted:.2f} % predicted for epoch {stop.target:g}"
    return words


def _origins(ids: Iterable[str], history: History) -> list[Fact]:
    """Return the makers of these tables and their training time, as far as recorded."""
    known = [id_ for id_ in ids if id_ in history.finishes]
    made = makers(history.finishes[id_] for id_ in known)
    facts = [("tables come from", f"{count:,} from {words}") for words, count in made]
    if total := sum(seconds_of(history, id_) or 0 for id_ in known):
        facts.append(("training", f"{_duration(total)} together, as far as a journal knows"))
    return facts


def _duration(seconds: float) -> str:
    for least, unit, name in ((3, 86_400, "days"), (2, 3600, "hours"), (2, 60, "minutes")):
        if seconds >= least * unit:
            return f"{seconds / unit:,.1f} {name}"
    return f"{seconds:.1f} seconds"
