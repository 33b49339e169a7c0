"""Results folder of a campaign: open it, check it while a job runs, and rewrite campaign.toml."""

import contextlib
import errno
import itertools
import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from nnlc.campaign.campaign import Campaign
from nnlc.console import say_once
from nnlc.errors import FamilyError, ResultsError
from nnlc.families.arithmetic import arithmetic_settings, is_kept, keep_choices, numbered_changes
from nnlc.families.registry import OtherCodeError, check_same_code, naming_folder
from nnlc.results.campaign_file import (
    Written,
    campaign_file,
    changes_beyond_growth,
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
    """Results folder at a path; only `open` creates it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._opened: Campaign | None = None
        self._seen: tuple[int, ...] = ()

    def resolve(self, campaign: Campaign, recorded: Campaign | None = None) -> Campaign:
        """Return a campaign that takes from this folder the arithmetic it leaves open, and growth.

        Args:
            campaign: the campaign that is asked for.
            recorded: campaign of the folder; by default, its campaign.toml is read.

        Raises:
            ResultsError: the folder has a campaign.toml that can't be read.
        """
        if not self.has_campaign:
            return campaign
        recorded = recorded or self.campaign()
        training = keep_choices(campaign.training, recorded.training)
        update = {"training": training, "grown_from": recorded.grown_from}
        return campaign.model_copy(update=update)

    def open(self, campaign: Campaign, *, any_code: bool = False) -> None:
        """Create the folder for a campaign, or check that it belongs to this campaign.

        If the user's own images have moved, their new path is written into campaign.toml.

        Args:
            campaign: the campaign, as `resolve` returns it.
            any_code: True if the family may have other code, as for a job that trains nothing.

        Raises:
            ResultsError: the folder can't be written, or belongs to another campaign or program.
        """
        try:
            if recorded := self.check_usable(campaign, any_code=any_code):
                if any_code:  # what `check` compares with
                    campaign = campaign.model_copy(update={"family": recorded.family})
                self._renew_places(campaign, recorded)
            else:
                # campaign.toml first: after an error, the unfinished folder is still recognised.
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
            raise _unusable(self.path, problem) from None

    def check_usable(self, campaign: Campaign, *, any_code: bool = False) -> Campaign | None:
        """Return the campaign of this folder; None if the folder is new. Nothing is written.

        Raises:
            ResultsError: the folder can't be used, or belongs to another campaign or program.
        """
        try:
            # List files before looking for campaign.toml: another job may be creating the folder.
            files = self.path.iterdir() if self.path.exists() else ()
            begun = [each for each in files if each != self.costs_file]  # 'nnlc specs' writes that
            in_use = any(each.suffix != TEMPORARY_SUFFIX for each in begun)
            place = self.path.absolute()
            there = next(folder for folder in (place, *place.parents) if folder.exists())
        except OSError as problem:
            raise _unusable(self.path, problem) from None
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            raise ResultsError(
                f"{there}: no folder that can be written; give another folder with --results"
            )
        if self.has_campaign:
            return self.check_same(campaign, any_code=any_code)
        if in_use:
            raise ResultsError(
                f"{self.path}: there are files but no campaign.toml, so this is no results "
                "folder; give an empty or new one with --results"
            )
        return None

    def remember(self, campaign: Campaign) -> None:
        """Store the campaign of the folder when the job began, for `check`."""
        self._opened = campaign

    def check(self) -> None:
        """Check that this campaign's folder is still at its path.

        The folder may have been moved, unmounted or replaced by another. A running job never
        creates a missing folder again: a new folder would block the return of the old one.

        Raises:
            OSError: the folder is gone, replaced or can't be read; its text is for users.
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
        except (ResultsError, FamilyError):
            words = "is not this campaign's any more (another folder, or edited?)"
            raise OSError(errno.ESTALE, f"{self.campaign_file} {words}", str(self.path)) from None

    def ready(self, folder: Path) -> None:
        """Check the results folder, and create one of its subfolders if it is missing.

        Raises:
            OSError: as from `check`, or the subfolder can't be created.
        """
        self.check()
        make_folder(folder)

    def make_mark(self, token: str) -> Path:
        """Write a file that every node must see, which proves that all nodes share this folder.

        Raises:
            ResultsError: the file can't be written.
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
        """Create a subfolder of `aside` with the next free number.

        Raises:
            OSError: the file system refuses.
        """
        self.aside_folder.mkdir(exist_ok=True)
        for number in itertools.count(1):
            place = self.aside_folder / str(number)
            with contextlib.suppress(FileExistsError):
                place.mkdir()
                break
        return place

    def unusable_entries(self) -> list[tuple[Path, OSError]]:
        """Return unreadable entries in the journal and among the leases, with the reasons."""
        leases = unusable_entries(self.leases_folder, files=(HEARTBEAT,), folders=(LEASE,))
        return [*unread_files(self.journal_folder), *leases]

    def strange_checkpoints(self) -> list[tuple[Path, OSError]]:
        """Return entries of the checkpoints folder that can't be read, with the reasons."""
        return unusable_entries(self.checkpoints_folder, files=(CHECKPOINT,))

    def remove_checkpoints(self, id: str) -> None:
        """Remove the checkpoints of a network whose table is written.

        Raises:
            OSError: the file system refuses.
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
            ResultsError: the file is missing, can't be read, was written by a newer nnlc, or was
                edited.
        """
        if not self.has_campaign:
            raise ResultsError(f"{self.path}: no results folder (it has no campaign.toml)")
        return read_campaign_file(self.campaign_file)

    def rewrite(self, campaign: Campaign) -> None:
        """Replace campaign.toml by a file in this nnlc's format.

        Raises:
            ResultsError: the file can't be written; the old file is unchanged.
        """
        try:
            write_atomically(self.campaign_file, campaign_file(campaign))
        except OSError as problem:
            raise ResultsError(f"{self.campaign_file}: {why_unread(problem, 'written')}") from None

    def check_same(self, campaign: Campaign, *, any_code: bool = False) -> Campaign:
        """Return the campaign of this folder if it equals the campaign that is asked for.

        Args:
            campaign: the campaign.
            any_code: True to warn of other code of its family, and not to refuse it.

        Raises:
            ResultsError: the campaigns differ, or campaign.toml can't be read.
            FamilyError: the family has another version or other code.
        """
        recorded = self.campaign()
        if different := differences(campaign, recorded):
            raise ResultsError(
                f"{self.path}: belongs to another campaign: {in_words(different)}; give another "
                f"folder with --results{_or_upgrade(different, self.path, recorded)}"
                f"{self._or_grow(campaign, recorded)}"
            )
        try:
            with naming_folder(self.path):
                check_same_code(recorded.family, campaign.family)
        except FamilyError as problem:
            if not (any_code and isinstance(problem, OtherCodeError)):
                raise FamilyError(f"{self.path}: {problem}") from None
            say_once(f"warning: {self.path}: {problem}")
        return recorded

    def _or_grow(self, campaign: Campaign, recorded: Campaign) -> str:
        """Return advice on `nnlc grow` if the campaign that is asked for is larger, else ""."""
        if changes_beyond_growth(campaign, recorded):
            return ""
        return f", or let this one grow: nnlc grow {shlex.quote(str(self.path))} CAMPAIGN"

    def _renew_places(self, campaign: Campaign, recorded: Campaign) -> None:
        """Write the present paths of own images and code into campaign.toml, if they have moved.

        A job that was submitted before they moved still names the old path, which is ignored.
        """
        moved = {
            name: place
            for name, section in recorded.datasets.items()
            if (place := campaign.datasets[name].npz) and place != section.npz
            if os.access(place, os.R_OK)
        }
        folder = campaign.family.folder if campaign.family else None
        if recorded.family is None or folder == recorded.family.folder:
            folder = None
        if moved or folder:
            write_atomically(self.campaign_file, renewed_file(self.campaign_file, moved, folder))


def checkpoints_in(folder: Path) -> dict[str, list[str]]:
    """Return the names of the checkpoint files in a folder, by network ID."""
    found: dict[str, list[str]] = {}
    with contextlib.suppress(OSError):
        for name in names_in(folder):
            if name.endswith(CHECKPOINT):
                found.setdefault(name.split(".")[0], []).append(name)
    return found


def _unusable(path: Path, problem: OSError) -> ResultsError:
    return ResultsError(
        f"{problem.filename or path}: {why_unread(problem, 'written')}; "
        "give another folder with --results"
    )


def _or_upgrade(different: Iterable[str], path: Path, recorded: Campaign) -> str:
    """Return advice on `nnlc upgrade` if only old arithmetic, kept by a folder, differs; or ""."""
    old = any(is_kept(number, recorded.training) for number, _ in numbered_changes())
    names = {key.removeprefix("training.") for key in different}
    if not old or not names <= arithmetic_settings():
        return ""
    command = f"nnlc upgrade {shlex.quote(str(path))} --new-arithmetic"
    return f", or continue this campaign in the new arithmetic: {command}"
