"""History of a campaign's networks over all jobs so far, read from the journal."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

from nnlc.families.arithmetic import FIRST, settings_for
from nnlc.networks import ImageSet, Specification
from nnlc.networks.recipe import TrainingSection
from nnlc.results.bad_nodes import BadNode, BadNodes
from nnlc.results.job_facts import PREDICATES, SCRIPT, JobFacts, event_words, job_facts, with_job_id
from nnlc.results.journal import read_files
from nnlc.results.open_jobs import OpenJob, OpenJobs
from nnlc.results.user_events import TOLD, UntoldEvents, UserEvent
from nnlc.wording import printable

_PLAIN = str | int | float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Event of a finished network; older journals lack some fields."""

    seconds: float | None = None
    half_epoch_seconds: tuple[float, ...] = ()
    setup_seconds: float | None = None
    """Set-up time of the last attempt (`nnlc.networks.setup_time`)."""
    peak_memory_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    attempts: int | None = None
    sha256: str | None = None
    """Digest of the table."""
    device: str | None = None
    """Model of the GPU or processor."""
    multiprocessors: int | None = None
    instructions: str | None = None
    """Instruction set of the processor that was used."""
    architecture: str | None = None
    """Architecture of an AMD GPU."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions by name: arithmetic, nnlc, torch, cuda, cudnn and others."""
    settings: dict[str, str] = field(default_factory=dict)
    """Settings of the libraries by name, in JSON."""
    stop: "Stop | None" = None
    """Point where a stop rule ended the training, if one did."""

    @property
    def on_gpu(self) -> bool | None:
        """True if the network was trained on a GPU; None if not recorded."""
        return None if self.device is None else self.multiprocessors is not None

    @property
    def arithmetic(self) -> str | None:
        """Return the network's arithmetic; None if not recorded."""
        default = FIRST if "nnlc" in self.versions else None  # 0.1.0 recorded none
        return self.versions.get("arithmetic", default)

    def settings_as_trained(
        self, spec: Specification, images: ImageSet, settings: TrainingSection, device: str
    ) -> TrainingSection:
        """Return `[training]` of a campaign with the arithmetic that the network was trained in.

        Args:
            spec: the network.
            images: the images that it was trained on.
            settings: `[training]` of the campaign, which may have changed since.
            device: "cpu" or "cuda".
        """
        if (recorded := self.arithmetic) is None:
            return settings
        return settings_for(recorded, spec, images, settings, device)

    def seconds_of_all(self, half_epochs: int) -> float | None:
        """Return the seconds that all half epochs would have taken without a stop rule."""
        trained = len(self.half_epoch_seconds) or half_epochs
        return None if self.seconds is None else self.seconds * (half_epochs / trained)


@dataclass(frozen=True, slots=True)
class Stop:
    """Point where a stop rule ended a training, and the rule's prediction; None if not recorded."""

    epoch: float | None
    predicted: float | None
    """Predicted accuracy at the target, in percent."""
    target: float | None
    """Epoch that the prediction is for."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Point that the training of a network has reached."""

    half_epochs: int = 0
    """Number of half epochs that are done."""
    pace: float | None = None
    """Measured seconds of a half epoch; None if not recorded."""
    saved: bool = False
    """True if a checkpoint of this point is all that there is: the network is not in training."""

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "Reached":
        """Return the point in an event on a checkpoint, or in a record of progress."""
        half_epochs = _whole(event.get("half_epoch", event.get("half_epochs"))) or 0
        pace = as_number(event.get("seconds_a_half_epoch")) or 0.0
        return cls(max(0, half_epochs), pace if 0 < pace < inf else None)

    @property
    def words(self) -> str:
        return (
            f"at epoch {self.half_epochs / 2:g}" if self.half_epochs else "in its first half epoch"
        )


@dataclass(frozen=True, slots=True)
class History:
    """Content of a journal; the keys of each dictionary are network IDs."""

    attempts: dict[str, int] = field(default_factory=dict)
    """Failed attempts since the last finish or retry; those on retired ranks don't count."""
    failures: dict[str, str] = field(default_factory=dict)
    """Reasons why networks were given up; `nnlc retry` clears them."""
    finishes: dict[str, Finish] = field(default_factory=dict)
    saved: dict[str, Reached] = field(default_factory=dict)
    """Networks with a recorded checkpoint, whose file may be gone."""
    jobs: JobFacts = field(default_factory=JobFacts)
    trouble: str | None = None
    """Last reported trouble, with its time, unless a job began or ended later."""
    last_time: str | None = None
    """Time of the last event, as text from the journal."""
    last_event: str = ""
    """Last event in words; "" if there is none."""
    open_jobs: Sequence[OpenJob] = ()
    """Jobs without a recorded end (`nnlc.results.open_jobs`); older journals do not show them."""
    bad_nodes: Sequence[BadNode] = ()
    """Nodes that took a job down, or whose ranks were retired, the newest last."""
    untold: Sequence[UserEvent] = ()
    """Events that the notify command was to be told of, and was not, the newest last."""


def read_history(folder: Path) -> History:
    """Return the history in a journal folder; it is empty if the folder is missing.

    Files, lines and fields that are no events are skipped.
    """
    history = History()
    last_time = trouble = None
    open_jobs, bad_nodes, untold = OpenJobs(), BadNodes(), UntoldEvents()
    last: tuple[str, dict[str, Any]] | None = None
    starts: dict[str, dict[str, Any]] = {}
    scripts: dict[str, dict[str, Any]] = {}
    before: dict[str, tuple[str, dict[str, Any]] | None] = {}
    for name, event in read_files(folder, {*PREDICATES, TOLD, SCRIPT}):
        untold.follow(name, event)
        if event["event"] == SCRIPT:
            scripts[name] = event
        if event["event"] in (TOLD, SCRIPT):
            continue
        if event["event"] == "job":
            event = with_job_id(event, scripts.get(name))
            starts[name], before[name] = event, last
        last_time, last = _word(event["time"]), (name, event)
        ids = _ids(event)
        open_jobs.follow(name, event, set(ids))
        bad_nodes.follow(event)
        if event["event"] == "trouble":
            trouble = f"{last_time}: {_word(event.get('reason'))}"
        elif event["event"] in ("job", "end"):
            trouble = None
        # Until 0.2.0 the journal recorded preflights, which are no jobs.
        if str(event.get("reason")).startswith("preflight passed"):
            starts.pop(name, None)
            last = before.get(name)
        for id_ in ids:
            _take(history, id_, event)
    return replace(
        history,
        jobs=job_facts(list(starts.values())),
        trouble=trouble,
        last_time=last_time,
        last_event="" if last is None else event_words(last[1], (scripts | starts).get(last[0])),
        open_jobs=open_jobs.unreported(),
        bad_nodes=bad_nodes.all(),
        untold=untold.all(scripts | starts),
    )


def _take(history: History, id_: str, event: dict[str, Any]) -> None:
    """Add an event about one network to the history."""
    count = history.attempts.pop(id_, 0)
    match event["event"]:
        case "attempt":
            count += 1
        case "failure":
            count += event.get("attempts") != 0  # 0 if the network was too large for every device
            history.failures[id_] = _word(event.get("reason")) or "for no recorded reason"
        case "retire":  # attempts and failures on a faulty rank don't count
            count -= 1
            history.failures.pop(id_, None)
        case "checkpoint" | "resume":
            history.saved[id_] = Reached.from_event(event)
        case "aside":  # if an older checkpoint can be used, "resume" follows
            history.saved.pop(id_, None)
        case "finish":
            count = 0
            history.saved.pop(id_, None)
            history.failures.pop(id_, None)
            history.finishes[id_] = _finish(event)
        case "retry":
            count = 0
            history.failures.pop(id_, None)
    if count > 0:
        history.attempts[id_] = count


def _finish(event: dict[str, Any]) -> Finish:
    device, versions, settings, stop = (
        value if isinstance(value := event.get(key), dict) else {}
        for key in ("device", "versions", "settings", "stop")
    )
    return Finish(
        seconds=as_number(event.get("seconds")),
        half_epoch_seconds=_numbers(event.get("half_epoch_seconds")),
        setup_seconds=as_number(event.get("setup_seconds")),
        peak_memory_bytes=_whole(event.get("peak_memory_bytes")),
        peak_reserved_bytes=_whole(event.get("peak_reserved_bytes")),
        attempts=_whole(event.get("attempts")),
        sha256=_word(event.get("sha256")),
        device=_word(device.get("name")),
        multiprocessors=_whole(device.get("multiprocessors")),
        instructions=_word(device.get("instructions")),
        architecture=_word(device.get("architecture")),
        versions={str(_word(k)): word for k, v in versions.items() if (word := _word(v))},
        settings={
            str(_word(k)): json.dumps(v) for k, v in settings.items() if isinstance(v, _PLAIN)
        },
        stop=Stop(*(as_number(stop.get(key)) for key in ("epoch", "predicted", "target")))
        if stop.get("stopped") is True
        else None,
    )


def _ids(event: dict[str, Any]) -> list[str]:
    """Return the IDs of the networks that an event is about."""
    several = event.get("ids")
    values = several if isinstance(several, list) else [event.get("id")]
    return [value for value in values if isinstance(value, str) and value == _word(value)]


def _word(value: Any) -> str | None:
    """Return a text or number as one printable line; None if it is empty or of another type."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    return printable(" ".join(str(value).split())) or None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_number(value: Any) -> float | None:
    """Return a value of a journal as a float; None if it is not a number."""
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:
        return None


def _numbers(value: Any) -> tuple[float, ...]:
    """Return the numbers in a list; () if it is no list."""
    found = map(as_number, value) if isinstance(value, list) else ()
    return tuple(number for number in found if number is not None)
