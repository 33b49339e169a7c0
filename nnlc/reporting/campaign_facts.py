"""Facts of a page: what was run, when, and on what."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.reporting.network_state import Fact, NetworkState, State
from nnlc.results.history import History
from nnlc.results.logs import newest_log
from nnlc.results.makers import makers
from nnlc.results.mixture import mixture_of
from nnlc.tables.frames import Tables
from nnlc.wording import counted, duration

PUBLISHED_DOI = "doi:10.7910/DVN/ZXTCGF"


def campaign_facts(
    campaign: Campaign,
    networks: Sequence[CampaignNetwork],
    states: Sequence[NetworkState],
    history: History,
) -> list[Fact]:
    """Return the facts of a campaign."""
    jobs = history.jobs
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
        facts.append(("jobs", f"{several} began {jobs.began[0]}"))
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


def log_facts(folder: Path) -> list[Fact]:
    """Return the fact that names the last log of a submitted job, if there is one."""
    newest = newest_log(folder)
    return [("last log", f"{folder.name}/{newest.name}")] if newest else []


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
        facts.append(("training", f"{duration(total)} together, as far as a journal knows"))
    return facts
