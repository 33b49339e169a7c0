"""`nnlc.verify`: train networks again, and compare the new curves with their tables."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Self

import pandas as pd

from nnlc.campaign.campaign import Campaign, load_campaign
from nnlc.errors import DeviceError, ImagesError, NnlcError, TableError
from nnlc.families.arithmetic import arithmetic_of
from nnlc.networks import ImageSet, Specification
from nnlc.networks.draws import derive_seed
from nnlc.system.environment import in_words, overruled
from nnlc.system.shipped import shipped_names
from nnlc.tables import Row
from nnlc.tables.frames import check_choice
from nnlc.tables.table_folders import skipped_lines
from nnlc.tables.val_loss_correction import correction_factors
from nnlc.training.loaded_images import check_images
from nnlc.training.origin import Origin, campaign_of
from nnlc.verification.curve_ranks import curve_ranks
from nnlc.verification.differences import (
    changes,
    recorded_circumstances,
    row_differences,
    spec_differences,
)
from nnlc.verification.tables_to_verify import Refused, TableToVerify, read_tables_to_verify
from nnlc.verification.verdicts import Verdict
from nnlc.verification.verify_trainer import StepsUncaptured, TrainingFailed, TrainingProcess

Tell = Callable[[str], object]
MOST_HALF_EPOCHS, MOST_SEEDS, MOST_THREADS = 200_000, 1000, 1024
_TELL_SECONDS = 10.0
"""Least interval between two lines on the progress of a training."""


def verify(
    paths: str | Path | Iterable[str | Path],
    *,
    half_epochs: int | None = None,
    images: str | Path = "images",
    seeds: int = 3,
    threads: int | None = None,
    device: str | None = None,
    campaign: Campaign | str | Path | None = None,
    on_verdict: Callable[[Verdict], object] = lambda _: None,
    tell: Tell = lambda _: None,
) -> list[Verdict]:
    """Train networks again, and return for each table whether the result is the same.

    A table that nnlc wrote must be the same to the byte: its metadata are compared with the
    campaign's network, its half epochs with those that are trained now, in the same kind of process
    as in a job. The circumstances in the journal are compared with the present ones. The values of
    a published table are ranked among those of some seeds instead
    (`nnlc.verification.curve_ranks`), after its validation losses are corrected.

    Args:
        paths: a table, or a folder of tables, such as a results folder; or several.
        half_epochs: number of half epochs to train for each table; None trains all.
        images: the folder of staged images.
        seeds: number of seeds for each published table; every call uses the same seeds.
        threads: number of threads; by default the recorded number, else one.
        device: "cpu" or "cuda"; by default the kind that made the table, if available here.
        campaign: campaign of all tables: a `Campaign`, the name of a shipped campaign, its file or
            its results folder. By default, the campaign of each table's results folder or
            collection, and nnlc's default settings for a table without one.
        on_verdict: called with each verdict as soon as it is known.
        tell: called with lines on skipped files and on the progress of a training.

    Raises:
        NnlcError: there is nothing to verify, images are missing, or an argument is wrong.
    """
    if device is not None:
        check_choice("device", device, ("cpu", "cuda"))
    _check_number("half_epochs", half_epochs, MOST_HALF_EPOCHS)
    _check_number("seeds", seeds, MOST_SEEDS)
    _check_number("threads", threads, MOST_THREADS)
    several = [paths] if isinstance(paths, str | Path) else paths
    subjects, skipped = read_tables_to_verify(map(Path, several), campaign_of(None, campaign))
    for line in skipped_lines(skipped):
        tell(line)
    if variables := overruled(os.environ):
        words = in_words(variables)
        tell(f"note: trainers do not get these variables, which change tables: {words}")
    _check_images((s.origin for s in subjects if isinstance(s, TableToVerify)), Path(images))
    verdicts = []
    with _Trainings(Path(images), threads, device, tell) as trainings:
        for number, subject in enumerate(subjects, 1):
            trainings.label = f"{number}/{len(subjects)}"
            verdicts.append(_verdict(subject, trainings, half_epochs, seeds))
            on_verdict(verdicts[-1])
    return verdicts


def _verdict(
    subject: TableToVerify | Refused, trainings: "_Trainings", half_epochs: int | None, seeds: int
) -> Verdict:
    if isinstance(subject, Refused):
        return Verdict(path=subject.path, problem=subject.reason)
    length = len(subject.table.rows)
    wanted = min(half_epochs or length, length)
    verdict = Verdict(
        path=subject.path,
        id=subject.id,
        half_epochs_of_table=length,
        specification=tuple(spec_differences(subject.table.spec, subject.drawn))
        if subject.drawn
        else (),
        is_stranger=subject.is_stranger,
        foreign=subject.foreign,
        bytes_changed=subject.changed,
        is_recorded=subject.finish is not None,
        is_assumed=subject.origin.is_assumed,
    )
    try:
        if subject.is_published:
            return _ranked(verdict, subject, trainings, wanted, seeds)
        return _compared(verdict, subject, trainings, wanted)
    except (TrainingFailed, TableError) as problem:
        trainings.close()
        return replace(verdict, problem=str(problem))


def _compared(
    verdict: Verdict, subject: TableToVerify, trainings: "_Trainings", half_epochs: int
) -> Verdict:
    subject = subject.as_recorded()
    process = trainings.process_for(subject)
    spec, origin = subject.table.spec, subject.origin
    arithmetic = arithmetic_of(spec, origin.images, origin.settings, process.device)
    rows = trainings.train(subject, spec, half_epochs)
    then = recorded_circumstances(subject.finish) if subject.finish else {}
    return replace(
        verdict,
        half_epochs=half_epochs,
        rows=tuple(row_differences(subject.table.rows, rows)),
        arithmetic=arithmetic,
        changes=changes(then, {**process.circumstances, "arithmetic": arithmetic}),
        lacks_gpu=subject.on_gpu and process.device == "cpu",
    )


def _ranked(
    verdict: Verdict, subject: TableToVerify, trainings: "_Trainings", half_epochs: int, seeds: int
) -> Verdict:
    spec = subject.table.spec
    about = {"published": True, "dataset": spec.dataset, "batch_size": spec.batch_size}
    frame = pd.DataFrame([about | {"path": subject.path}])
    factor = float(correction_factors(frame)[0])
    curves = []
    for number in range(seeds):
        seed = derive_seed("verify", spec.random_seed, number, bits=32)
        again = replace(spec, random_seed=seed)
        curves.append(trainings.train(subject, again, half_epochs, f", seed {number + 1}/{seeds}"))
    return replace(
        verdict,
        half_epochs=half_epochs,
        seeds=seeds,
        places=curve_ranks(subject.table.rows, factor, curves),
    )


class _Trainings:
    """Trainer process, replaced if a table needs another campaign, device or number of threads."""

    def __init__(self, images: Path, threads: int | None, device: str | None, tell: Tell) -> None:
        self._images, self._threads, self._device, self._tell = images, threads, device, tell
        self._process: TrainingProcess | None = None
        self._key: tuple[Campaign, str, int] | None = None
        self.label = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def process_for(self, subject: TableToVerify) -> TrainingProcess:
        """Return a process that trains as the table's network was trained."""
        device = self._device or ("cuda" if subject.on_gpu else "cpu")
        key = (subject.origin.campaign, device, self._threads or _recorded_threads(subject))
        if self._process is None or self._process.closed or key != self._key:
            self.close()
            campaign, device, threads = key
            self._process = TrainingProcess(campaign, self._images, device, threads)
            self._key = key
        if self._device == "cuda" != self._process.device:
            raise DeviceError("no GPU is visible here: leave out --device, or give --device cpu")
        return self._process

    def train(
        self, subject: TableToVerify, spec: Specification, half_epochs: int, which: str = ""
    ) -> list[Row]:
        """Return the first rows of a curve, and tell the user the progress."""
        name = f"{self.label} {subject.id}{which}"
        about = spec, subject.origin.images, half_epochs
        try:
            return self._rows(self.process_for(subject).train(*about), half_epochs, name)
        except StepsUncaptured as problem:
            self.close()
            self._tell(f"{name}: again, without CUDA graphs: {problem}")
            rows = self.process_for(subject).train(*about, graphs=False)
            return self._rows(rows, half_epochs, name)

    def _rows(self, training: Iterable[Row], half_epochs: int, name: str) -> list[Row]:
        rows: list[Row] = []
        last = time.monotonic()
        for row in training:
            rows.append(row)
            if time.monotonic() - last >= _TELL_SECONDS:
                last = time.monotonic()
                self._tell(f"{name}: half epoch {len(rows)}/{half_epochs}")
        return rows


def _recorded_threads(subject: TableToVerify) -> int:
    text = subject.finish.settings.get("threads", "") if subject.finish else ""
    return int(text) if text.isdecimal() and 1 <= int(text) <= MOST_THREADS else 1


def _check_images(origins: Iterable[Origin], root: Path) -> None:
    """Check that all images are staged, before any training.

    Raises:
        ImagesError: images are missing; the text has the command that stages them.
    """
    seen: list[tuple[Campaign, ImageSet]] = []
    for origin in origins:
        if (origin.campaign, origin.images) in seen:
            continue
        seen.append((origin.campaign, origin.images))
        section = origin.campaign.datasets[origin.images.name]
        try:
            check_images(origin.images, section, root)
        except ImagesError as problem:
            # Only here is it known which shipped campaign stages these images.
            words = str(problem).replace("<campaign>", _stageable(origin.images))
            raise ImagesError(words) from None


def _stageable(images: ImageSet) -> str:
    """Return the shipped campaign with these images and the fewest others."""
    shipped = {name: load_campaign(name).image_sets() for name in shipped_names("jobs", ".toml")}
    names = [name for name, image_sets in shipped.items() if images.name in image_sets]
    return min(names, key=lambda name: len(shipped[name]), default="<campaign>")


def _check_number(name: str, value: int | None, most: int) -> None:
    if value is not None and not 1 <= value <= most:
        raise NnlcError(f"{name} is {value}, but can only be 1 to {most:,}")
