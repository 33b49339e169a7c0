"""Plan as text, in lines of at most 100 characters; the command that starts it is one line."""

import re
from collections.abc import Iterable, Iterator
from textwrap import wrap

from nnlc.calibration.assumed_machine import assumed_machine
from nnlc.launching.forecast import CampaignForecast, not_whole_words
from nnlc.launching.limits import SAVE_MINUTES, START_MINUTES
from nnlc.launching.plan import Option, Plan
from nnlc.launching.storage_estimate import disk, images_to_stage, too_large
from nnlc.wording import counted, some_of

_WIDTH = 100
_LABEL = 14
_NUMBER_AND_UNIT = re.compile(r"(\d) (?=(?:s|min|h|d|%|GB|MB)\b|%)")
"""Number before its unit: no line ends between the two."""
_NAMED = 3
"""Number of networks that a warning names."""


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yield the lines that `nnlc plan` prints."""
    forecast, site = plan.forecast, plan.forecast.site
    yield (
        f"campaign {forecast.campaign.name} on {site.name}: {site.gpus_per_node} x "
        f"{forecast.gpu.model} per node"
    )
    yield from labelled_lines(_facts(plan))
    if plan.others:
        yield from _comparison(plan)
    if plan.command:
        yield plan.command


def labelled_lines(facts: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield pairs of a label and a text as lines in two columns."""
    for label, text in facts:
        together = _NUMBER_AND_UNIT.sub("\\1\xa0", text)
        for number, line in enumerate(wrap(together, _WIDTH - _LABEL, break_on_hyphens=False)):
            yield f"{'' if number else label:<{_LABEL}}{line}".replace("\xa0", " ")


def _facts(plan: Plan) -> Iterator[tuple[str, str]]:
    forecast, chosen = plan.forecast, plan.chosen
    left = forecast.left
    operations = sum(f.operations for f in left)
    yield (
        "networks",
        f"{len(left):,} to train, {forecast.done:,} done, {forecast.failed:,} failed"
        f"{not_whole_words(forecast)}; "
        f"{operations:.2e} operations",
    )
    longest = plan.longest
    jobs = f"{plan.longest_jobs} jobs" if plan.longest_jobs > 1 else "1 job"
    yield (
        "GPU time",
        f"{as_time(forecast.seconds_left)}; the longest network "
        f"{as_time(longest.seconds_with_setup)}, over {jobs}: {longest.network.spec.id}",
    )
    yield "plan", _size(chosen) + (f", queue {forecast.site.queue}" if plan.queues else "")
    yield "jobs", _jobs(plan)
    yield "node-hours", f"{short_number(chosen.node_hours)}, charged {short_number(plan.charge)}"
    replay = chosen.replay
    yield (
        "of that",
        f"{100 * replay.trained_share:.1f} % training, {100 * replay.setup_share:.1f} % setting "
        f"up networks, {100 * replay.overhead_share:.1f} % starting and saving, "
        f"{100 * replay.idle_share:.1f} % idle while the last networks end",
    )
    yield "makespan", f"{as_time(3600 * chosen.makespan_hours)}, without waiting in the queue"
    for number, line in enumerate(_queues(plan)):
        yield "" if number else "queues", line
    yield from _storage_lines(plan)
    yield "based on", f"{_basis(plan)}; {forecast.setup.words}"
    if forecast.trouble:
        yield "WARNING", forecast.trouble
    yield "not counted", _not_counted(plan)


def _size(option: Option) -> str:
    length = "no walltime" if option.minutes is None else f"{option.minutes:,} min"
    ranks = option.replay.shape.ranks
    return (
        f"{counted(option.nodes, 'node')} x {length} x "
        f"{counted(option.elements, 'array element')}: {counted(ranks, 'rank')} per job"
    )


def _jobs(plan: Plan) -> str:
    chosen, site = plan.chosen, plan.forecast.site
    words = f"{chosen.jobs} in all"
    if chosen.jobs > chosen.elements:
        words += ", each element's one after the other"
    if site.max_running_jobs and chosen.elements > 1:
        words += f"; at most {site.max_running_jobs} run at a time"
    if (links := site.links_at_once) > 1:
        words += f"; {links} of each element are submitted at once"
        if chosen.jobs > links * chosen.elements:
            words += ", too few: submit again when they have ended"
    return words


def _queues(plan: Plan) -> Iterator[str]:
    """Yield a line on each queue of a site that has several."""
    site = plan.forecast.site
    for name, other in zip(site.queues, plan.queues, strict=False):
        if isinstance(other, str):
            yield f"{name}: {other.splitlines()[0]}"
            continue
        size, makespan = _size(other.chosen).partition(":")[0], other.chosen.makespan_hours
        words = (
            f"{name}: {size}, {counted(other.chosen.jobs, 'job')}, charged "
            f"{short_number(other.charge)}, makespan {as_time(3600 * makespan)}"
        )
        why = site.queues[name].only_on_request
        if name == site.queue:
            words += "; this plan"
        elif why:
            words += f"; only with --queue: {why}"
        yield words


def _storage_lines(plan: Plan) -> Iterator[tuple[str, str]]:
    if words := images_words(plan.forecast):
        yield "images", words
    needed = disk(plan)
    checkpoints = as_gigabytes(needed.checkpoints)
    weights = f", kept weights {as_gigabytes(needed.weights)}" if needed.weights else ""
    tables = as_gigabytes(needed.tables)
    yield "disk", f"tables {tables}, checkpoints at most {checkpoints}{weights}"
    found, room = too_large(plan.forecast), plan.forecast.gpu.memory_gigabytes
    most = max(plan.forecast.left, key=lambda f: f.memory_bytes)
    if not found:
        yield (
            "memory",
            f"the largest network needs about {as_gigabytes(most.memory_bytes)} of a GPU's "
            f"{room:g} GB, with images and libraries",
        )
        return
    names = some_of([f.network.spec.id for f in found], _NAMED)
    yield (
        "WARNING",
        f"{counted(len(found), 'network')} can't fit into a GPU's {room:g} GB and would fail (the "
        f"largest needs about {as_gigabytes(most.memory_bytes)}): {names}",
    )


def _basis(plan: Plan) -> str:
    forecast = plan.forecast
    gpu, measured, fitted = forecast.gpu, forecast.measured, forecast.fitted
    peak = f"{gpu.fp32_teraflops:g} TFLOP/s"
    if fitted:
        basis = (
            f"a machine fitted to {counted(fitted.networks, 'network')} on {fitted.name}, whose "
            f"predictions were off by {fitted.median_error:.0%} in the median"
        )
    else:
        basis = f"{100 * gpu.efficiency:g} % of {peak}"
        if forecast.left[0].network.family.has_cost_model:
            fourier = assumed_machine(gpu).fourier_per_second / (1e10 * gpu.fp32_teraflops)
            basis += f", {fourier:.3g} % in Fourier convolutions"
    if measured is None and fitted:
        return basis
    if measured is None:
        return (
            f"{basis}, an assumption of the site file that may be wrong by a factor of 2: the "
            "results folder's journal has no times from this GPU yet"
        )
    networks = counted(measured.networks, "network")
    return (
        f"{networks} measured on this GPU: they took {measured.ratio:.3g} times as long as with "
        f"{basis}, 80 % of them between {measured.low:.3g} and {measured.high:.3g} times; all "
        "predictions are scaled by this factor"
    )


def _not_counted(plan: Plan) -> str:
    site = plan.forecast.site
    words = "other users' jobs, crashes, work done on running networks"
    words += ", time saved by small networks that share a GPU" if site.mps else ""
    words += ", time saved by the stop rule" if plan.forecast.campaign.stop else ""
    if plan.chosen.minutes is None:
        return words
    words += (
        f". Of each walltime {START_MINUTES} minutes go into the start, {site.notice.minutes} into "
        f"the warning, {SAVE_MINUTES} into saving"
    )
    if site.longest_minutes(plan.chosen.nodes) is None:
        words += ". The site file has no longest walltime: try others with --minutes"
    return words


def _comparison(plan: Plan) -> Iterator[str]:
    heads = ("nodes", "minutes", "elements", "jobs", "node-hours", "makespan", "idle")
    yield "compare" + " " * (_LABEL - 7) + "".join(f"{head:>11}" for head in heads)
    for label, option in [("this plan", plan.chosen), *(("or", other) for other in plan.others)]:
        values = (
            f"{option.nodes:,}",
            "-" if option.minutes is None else f"{option.minutes:,}",
            f"{option.elements:,}",
            f"{option.jobs:,}",
            short_number(option.node_hours),
            as_time(3600 * option.makespan_hours),
            f"{100 * option.replay.idle_share:.0f} %",
        )
        yield f"{label:<{_LABEL}}" + "".join(f"{value:>11}" for value in values)


def short_number(value: float) -> str:
    """Return a number with three digits, since predictions are not more accurate."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def images_words(forecast: CampaignForecast) -> str:
    """Return the image sets to stage, with sizes; empty if there are none."""
    found = images_to_stage(forecast)
    sizes = ", ".join(f"{name} {as_gigabytes(1e6 * size)}" for name, size in found)
    return f"{sizes}, to be staged first" if sizes else ""


def as_time(seconds: float) -> str:
    """Return seconds as text, in hours or minutes if they are many."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{short_number(seconds / length)} {unit}"
    return f"{short_number(seconds)} s"


def as_gigabytes(size: float) -> str:
    """Return bytes as text, in gigabytes or megabytes."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size / 1e6, 1):.0f} MB"
