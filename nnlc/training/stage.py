"""Bring a campaign's images under one root, in torchvision's layout, each file verified.

    already there and right      nothing is done
    a folder given (--from)      taken from there, or refused
    archives in the root itself, or in a folder known to have the images    taken from there
    otherwise                    downloaded, where there is a network

A file is placed only once its content has the right checksum, and then by a rename. So a good
copy may replace a damaged file, and nothing else ever does.
"""

import gzip
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory

from nnlc.campaign.campaign import Campaign
from nnlc.console import say
from nnlc.errors import ImagesError
from nnlc.networks.image_sets import FASHION_MNIST
from nnlc.system.files import open_regular, read_regular, why_unread, write_atomically
from nnlc.training.image_files import ImageFile, Published
from nnlc.training.loaded_images import check_images, image_files
from nnlc.wording import reason_of

Report = Callable[[str], None]

KNOWN_FOLDERS = {FASHION_MNIST.name: Path("/usr/share/datasets/fashion-mnist")}
"""Where a distribution's package puts the images: Debian's dataset-fashion-mnist."""


def stage_images(
    campaign: Campaign, root: Path, source: Path | None = None, report: Report = say
) -> None:
    """Place every file that the campaign's images are read from under `root`.

    Args:
        campaign: only what its datasets need is staged.
        root: the folder to fill; created where it is missing.
        source: a folder to take the files from, in torchvision's layout or with the archives as
            published; nothing is downloaded then.
        report: is told in a line what became of each dataset.

    Raises:
        ImagesError: images that can't be had or aren't right, or a root that can't be written to.
    """
    if source is not None and not source.is_dir():
        raise ImagesError(f"{source} is no folder: give --from the folder that has the files")
    for name, facts in campaign.image_sets().items():
        files = image_files(facts, campaign.datasets[name])
        if any(file.published for file in files):
            _stage(name, files, root, source, report)
        else:
            check_images(facts, campaign.datasets[name], root)
            report(f"{name}: verified, nothing to stage")


def _stage(
    name: str, files: list[ImageFile], root: Path, source: Path | None, report: Report
) -> None:
    lacking = [file for file in files if file.problem(root)]
    if not lacking:
        report(f"{name}: already in {root}, verified")
        return
    known = [folder for folder in (root, KNOWN_FOLDERS.get(name)) if folder]
    for folder in [source] if source else known:
        tried = _take(lacking, folder, root)
        if len(tried) < len(lacking):
            taken = f"{len(lacking) - len(tried)} of {len(lacking)} files"
            report(f"{name}: {taken} taken from {folder}, verified")
        lacking = list(tried)
        if source and lacking:
            raise ImagesError(_nothing_good(name, tried, source))
    if lacking:
        _download(name, lacking, root, report)


def _take(files: Iterable[ImageFile], folder: Path, root: Path) -> dict[ImageFile, list[str]]:
    """Place what `folder` has; the files it has no good copy of, with what is wrong with each."""
    lacking: dict[ImageFile, list[str]] = {}
    for file in files:
        problems = []
        for path, read in _copies(file, folder):
            try:
                content = read()
            except OSError as problem:
                problems.append(f"{path} {why_unread(problem)}")
                continue
            except Exception as problem:  # whatever tarfile, gzip and zlib find wrong
                problems.append(f"{path} can't be read: {reason_of(problem)}")
                continue
            if wrong := file.problem_of(content):
                problems.append(f"{path} {wrong}")
                continue
            _place(file, content, root)
            break
        else:
            lacking[file] = problems
    return lacking


def _copies(file: ImageFile, folder: Path) -> Iterator[tuple[Path, Callable[[], bytes]]]:
    """Where `folder` may have the file: as it is read or as published, laid out or loose.

    A file is held in memory whole, 1.3 GB at most, so that the bytes that are verified are the
    bytes that are placed. Training on it takes more.
    """
    laid_out = folder / file.path
    for path in dict.fromkeys((laid_out, folder / laid_out.name)):
        if os.path.lexists(path) and not path.is_dir():
            yield path, partial(read_regular, path)
    if file.published is None or file.published.archive == laid_out.name:
        return
    archive = file.published.archive
    unpack = _from_tar if archive.endswith(".tar.gz") else _from_gzip
    for path in (folder / archive, laid_out.parent / archive):
        if os.path.lexists(path) and not path.is_dir():
            yield path, partial(unpack, path, file)


def _from_gzip(path: Path, wanted: ImageFile) -> bytes:
    most = -1 if wanted.size_bytes is None else wanted.size_bytes + 1
    with open_regular(path) as file, gzip.open(file) as content:
        return content.read(most)


def _from_tar(path: Path, wanted: ImageFile) -> bytes:
    # Nothing is extracted to disk, so it doesn't matter which paths the archive holds.
    with open_regular(path) as file, tarfile.open(fileobj=file) as archive:
        member = archive.getmember(wanted.path)
        content = archive.extractfile(member) if member.isreg() else None
        if content is None:
            raise KeyError(f"{wanted.path} is no file in it")
        return content.read()


def _place(file: ImageFile, content: bytes, root: Path) -> None:
    with _writing_to(root):
        target = root / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, content)


@contextmanager
def _writing_to(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise ImagesError(
            f"can't write to {root}: {problem}. Give a --root where you may write and there is room"
        ) from problem


def _download(name: str, files: list[ImageFile], root: Path, report: Report) -> None:
    with _writing_to(root):
        root.mkdir(parents=True, exist_ok=True)
        # In the root, since /tmp is often small.
        folder = TemporaryDirectory(dir=root, prefix=".download-")
    with folder:
        for number, file in enumerate(files):
            assert file.published is not None  # noqa: S101
            report(f"{name}: downloading {file.published.archive}")
            tried = _fetch(file.published, Path(folder.name))
            tried = tried or _take([file], Path(folder.name), root).get(file, [])
            if tried:
                raise ImagesError(_by_hand(name, tried, files[number:], root))
    report(f"{name}: downloaded to {root}, verified")


def _fetch(published: Published, folder: Path) -> list[str]:
    """Download an archive, unless `folder` has it; what went wrong with each address if all did."""
    from torchvision.datasets import utils

    problems = []
    for url in published.urls:
        try:
            utils.download_url(url, str(folder), published.archive, published.md5)
        except (OSError, RuntimeError, HTTPException) as problem:
            problems.append(f"{url}: {problem}")
        else:
            return []
    return problems


def _nothing_good(name: str, tried: dict[ImageFile, list[str]], source: Path) -> str:
    lines = [f"{name}: {source} lacks good copies of these files:"]
    for file, problems in tried.items():
        archive = file.published.archive if file.published else file.path
        lines += [f"  {problem}" for problem in problems] or [
            f"  neither {file.path} nor {archive} is there"
        ]
    lines.append(
        "give --from a folder that torchvision filled, or one with the archives as published"
    )
    return "\n".join(lines)


def _by_hand(name: str, tried: list[str], files: list[ImageFile], root: Path) -> str:
    archives = dict.fromkeys(file.published for file in files if file.published)
    return "\n".join(
        [
            f"{name}: the download failed:",
            *(f"  {line}" for line in tried),
            "on a machine with a network, fetch these files into a folder:",
            *(f"  {archive.archive} from {' or '.join(archive.urls)}" for archive in archives),
            f"bring the folder here and run: nnlc stage <campaign> --root {quote(str(root))} "
            "--from FOLDER",
        ]
    )
