"""Results folder of a campaign: opened, checked while a job runs, rewritten."""

import contextlib
import errno
import itertools
import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from nnlc.campaign.campaign import Campaign
from nnlc.errors import ResultsError
from nnlc.networks.arithmetic import arithmetic_settings, keep_choices
from nnlc.results.campaign_file import (
    Written,
    campaign_file,
    differences,
    in_words,
    read_campaign_file,
    renewed_file,
)
from nnlc.results.journal import unread_files
from nnlc.results.paths import ResultsPaths
from nnlc.system.files import (
    TEMPORARY_SUFFIX,
    make_folder,
    names_in,
    unusable_entries,
    why_unread,
    write_atomically,
)
from nnlc.tables.folder_names import CHECKPOINT, HEARTBEAT, LEASE


class ResultsFolder(ResultsPaths):
    """Results folder at a path; nothing is made until `open`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._opened: Campaign | None = None
        self._seen: tuple[int, ...] = ()

    def resolve(self, campaign: Campaign, recorded: Campaign | None = None) -> Campaign:
        """Return a campaign with the arithmetic of this folder, where its own file chooses none.

        Args:
            campaign: the one that is asked for.
            recorded: the folder's own; by default, the one in its campaign.toml.

        Raises:
            ResultsError: there is a campaign, and it can't be read.
        """
        if not self.has_campaign:
            return campaign
        training = keep_choices(campaign.training, (recorded or self.campaign()).training)
        return campaign.model_copy(update={"training": training})

    def open(self, campaign: Campaign) -> None:
        """Make the folder for a campaign, or check that it is this campaign's.

        If a user's own images have moved, the new path is written into campaign.toml.

        Args:
            campaign: the campaign, as `resolve` returns it.

        Raises:
            ResultsError: it can't be written, or belongs to something else. Nothing is changed.
        """
        try:
            # Before campaign.toml is looked for: another job may be making the folder now.
            in_use = self.path.exists() and any(
                path.suffix != TEMPORARY_SUFFIX for path in self.path.iterdir()
            )
            if self.has_campaign:
                self._renew_places(campaign, self.check_same(campaign))
            elif in_use:
                raise ResultsError(
                    f"{self.path}: there are files but no campaign.toml, so this is no results "
                    "folder; give an empty or new one with --results"
                )
            else:
                # First, so that a folder that an error left unfinished is recognised.
                self.path.mkdir(parents=True, exist_ok=True)
                write_atomically(self.campaign_file, campaign_file(campaign))
            self.remember(campaign)
            for folder in (self.journal_folder, self.checkpoints_folder, self.leases_folder):
                self.ready(folder)
            for images in campaign.image_sets().values():
                self.ready(self.models_folder(images))
            write_atomically(self._write_test, b"")
            self._write_test.unlink(missing_ok=True)  # another job may be here at the same time
        except OSError as problem:
            raise ResultsError(
                f"{problem.filename or self.path}: {why_unread(problem, 'written')}; "
                "give another folder with --results"
            ) from None

    def remember(self, campaign: Campaign) -> None:
        """Remember that the folder was this campaign's when the job began, for `check`."""
        self._opened = campaign

    def check(self) -> None:
        """Check that the folder is still at its path.

        It may have been moved away or unmounted, and another folder may be there by now. Once a job
        has begun, nothing makes the folder anew: it would be in the way when it comes back.

        Raises:
            OSError: it doesn't, or can't be looked at, with words for it.
        """
        try:
            about = self.campaign_file.stat()
            seen = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
            if self._opened is not None and seen != self._seen:
                self.check_same(self._opened)
                self._seen = seen
        except OSError as problem:
            gone = isinstance(problem, FileNotFoundError | NotADirectoryError)
            why = "gone (moved away, or not mounted?)" if gone else f"away: {problem.strerror}"
            words = f"the results folder {self.path} is {why}"
            raise OSError(problem.errno, words, str(self.path)) from None
        except ResultsError:
            words = "is not this campaign's any more (another folder, or edited?)"
            raise OSError(errno.ESTALE, f"{self.campaign_file} {words}", str(self.path)) from None

    def ready(self, folder: Path) -> None:
        """Check the results folder, and make one of its subfolders if it is missing.

        Raises:
            OSError: as from `check`, or it can't be made.
        """
        self.check()
        make_folder(folder)

    def make_mark(self, token: str) -> Path:
        """Write a file by which all nodes see that they share this folder.

        Raises:
            ResultsError: it can't be written.
        """
        mark = self._mark(token)
        try:
            write_atomically(mark, b"")
        except OSError as problem:
            raise ResultsError(f"{mark}: can't be written: {problem.strerror}") from None
        return mark

    def remove_mark(self, token: str) -> None:
        """Remove the file of `make_mark`, once all nodes have seen it."""
        with contextlib.suppress(OSError):
            self._mark(token).unlink()

    def make_aside_folder(self) -> Path:
        """Make a new folder, of a number that none had, for files that are to be kept.

        Raises:
            OSError: what the file system says.
        """
        self.aside_folder.mkdir(exist_ok=True)
        for number in itertools.count(1):
            place = self.aside_folder / str(number)
            with contextlib.suppress(FileExistsError):
                place.mkdir()
                break
        return place

    def unusable_entries(self) -> list[tuple[Path, OSError]]:
        """Return entries that block files and folders of jobs, with the reasons."""
        leases = unusable_entries(self.leases_folder, files=(HEARTBEAT,), folders=(LEASE,))
        return [*unread_files(self.journal_folder), *leases]

    def strange_checkpoints(self) -> list[tuple[Path, OSError]]:
        """Return entries that are no readable checkpoints, with the reasons."""
        return unusable_entries(self.checkpoints_folder, files=(CHECKPOINT,))

    def remove_checkpoints(self, id: str) -> None:
        """Remove the checkpoints of a network that has its table.

        Raises:
            OSError: what the file system says.
        """
        for name in os.listdir(self.checkpoints_folder):  # noqa: PTH208  names are wanted
            if name.startswith(f"{id}."):
                (self.checkpoints_folder / name).unlink(missing_ok=True)

    @property
    def has_campaign(self) -> bool:
        """True if the folder has a campaign.toml."""
        return os.path.lexists(self.campaign_file)

    def campaign(self) -> Campaign:
        """Return the campaign of this folder.

        Raises:
            ResultsError: as from `written`.
        """
        return self.written().campaign

    def written(self) -> Written:
        """Return the content of campaign.toml.

        Raises:
            ResultsError: there is none, it can't be read, a newer nnlc has written it, or it was
                edited.
        """
        if not self.has_campaign:
            raise ResultsError(f"{self.path}: no results folder (it has no campaign.toml)")
        return read_campaign_file(self.campaign_file)

    def rewrite(self, campaign: Campaign) -> None:
        """Write campaign.toml anew, in this nnlc's format.

        Raises:
            ResultsError: it can't be written; the file of before is unchanged.
        """
        try:
            write_atomically(self.campaign_file, campaign_file(campaign))
        except OSError as problem:
            raise ResultsError(f"{self.campaign_file}: {why_unread(problem, 'written')}") from None

    def check_same(self, campaign: Campaign) -> Campaign:
        """Return the campaign of this folder, if it is the one that is asked for.

        Raises:
            ResultsError: it is another, or can't be read.
        """
        recorded = self.campaign()
        if different := differences(campaign, recorded):
            raise ResultsError(
                f"{self.path}: belongs to another campaign: {in_words(different)}; give another "
                f"folder with --results{_or_upgrade(different, self.path)}"
            )
        return recorded

    def _renew_places(self, campaign: Campaign, recorded: Campaign) -> None:
        """Write the present paths of a user's own images into campaign.toml, if they have moved.

        A job that was submitted before they were moved still names the old one.
        """
        moved = {
            name: place
            for name, section in recorded.datasets.items()
            if (place := campaign.datasets[name].npz) and place != section.npz
            if os.access(place, os.R_OK)
        }
        if moved:
            write_atomically(self.campaign_file, renewed_file(self.campaign_file, moved))


def checkpoints_in(folder: Path) -> dict[str, list[str]]:
    """Return the names of the files of checkpoints in a folder, by the ID of their network."""
    found: dict[str, list[str]] = {}
    with contextlib.suppress(OSError):
        for name in names_in(folder):
            if name.endswith(CHECKPOINT):
                found.setdefault(name.split(".")[0], []).append(name)
    return found


def _or_upgrade(different: Iterable[str], path: Path) -> str:
    """Return what else helps where nothing but the choice of an old or a new way differs."""
    if not {key.removeprefix("training.") for key in different} <= arithmetic_settings():
        return ""
    command = f"nnlc upgrade {shlex.quote(str(path))} --new-arithmetic"
    return f", or have this one go on in the new way: {command}"
