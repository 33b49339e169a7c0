"""Staging: brings a campaign's images to one root folder, in torchvision's layout.

Files that are already in the root with the right checksum stay. The others are copied from the
folder given with --from. Without --from, they are unpacked from archives in the root, or copied
from a folder of the Linux distribution, or else downloaded.

A file's checksum is verified before it is renamed into place, so that only a good copy replaces a
damaged file.
"""

import gzip
import os
import shutil
import tarfile
import urllib.request
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
_SILENCE_SECONDS = 60.0
"""Seconds without a byte after which a download has failed."""

KNOWN_FOLDERS = {FASHION_MNIST.name: Path("/usr/share/datasets/fashion-mnist")}
"""Folders where packages of Linux distributions put images: Debian's dataset-fashion-mnist."""


def stage_images(
    campaign: Campaign, root: Path, source: Path | None = None, report: Report = say
) -> None:
    """Bring every file that the campaign's images are read from to `root`.

    Args:
        campaign: the campaign; only its image sets are staged.
        root: the folder to fill; created if missing.
        source: a folder to copy the files from, in torchvision's layout or with the published
            archives; then nothing is downloaded. None to search and download.
        report: called with a line of text on each image set.

    Raises:
        ImagesError: images can't be found or are wrong, or the root can't be written to.
    """
    if source is not None and not source.is_dir():
        raise ImagesError(f"{source} is no folder: give --from the folder with the files")
    for name, image_set in campaign.image_sets().items():
        files = image_files(image_set, campaign.datasets[name])
        if any(file.published for file in files):
            _stage(name, files, root, source, report)
        else:
            check_images(image_set, campaign.datasets[name], root)
            report(f"{name}: verified, nothing to stage")


def _stage(
    name: str, files: list[ImageFile], root: Path, source: Path | None, report: Report
) -> None:
    missing = [file for file in files if file.problem(root)]
    if not missing:
        report(f"{name}: already in {root}, verified")
        return
    known = [folder for folder in (root, KNOWN_FOLDERS.get(name)) if folder]
    for folder in [source] if source else known:
        problems_of = _copy_from(missing, folder, root)
        if len(problems_of) < len(missing):
            taken = f"{len(missing) - len(problems_of)} of {len(missing)} files"
            report(f"{name}: {taken} taken from {folder}, verified")
        missing = list(problems_of)
        if source and missing:
            raise ImagesError(_lacking_text(name, problems_of, source))
    if missing:
        _download(name, missing, root, report)


def _copy_from(files: Iterable[ImageFile], folder: Path, root: Path) -> dict[ImageFile, list[str]]:
    """Copy files from `folder` to `root`; return the files without a good copy, and the reasons."""
    missing: dict[ImageFile, list[str]] = {}
    for file in files:
        problems = []
        for path, read in _candidates(file, folder):
            try:
                content = read()
            except OSError as problem:
                problems.append(f"{path} {why_unread(problem)}")
                continue
            except Exception as problem:  # tarfile, gzip and zlib raise many types
                problems.append(f"{path} can't be read: {reason_of(problem)}")
                continue
            if wrong := file.problem_of(content):
                problems.append(f"{path} {wrong}")
                continue
            _place(file, content, root)
            break
        else:
            missing[file] = problems
    return missing


def _candidates(file: ImageFile, folder: Path) -> Iterator[tuple[Path, Callable[[], bytes]]]:
    """Yield paths in `folder` that may have the file, each with a function that reads it.

    The file may be unpacked or in its published archive, in torchvision's folder or at the top. It
    is read into memory whole, 1.3 GB at most, so that the bytes that are verified are those that
    are written. Training needs more memory.
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
    # Nothing is extracted to disk, so that the archive's paths can do no harm.
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
        # In the root, as /tmp is often small.
        folder = TemporaryDirectory(dir=root, prefix=".download-")
    with folder:
        for number, file in enumerate(files):
            assert file.published is not None  # noqa: S101
            report(f"{name}: downloading {file.published.archive}")
            problems_of = _fetch(file.published, Path(folder.name))
            problems_of = problems_of or _copy_from([file], Path(folder.name), root).get(file, [])
            if problems_of:
                raise ImagesError(_manual_download_text(name, problems_of, files[number:], root))
    report(f"{name}: downloaded to {root}, verified")


def _fetch(published: Published, folder: Path) -> list[str]:
    """Download an archive unless `folder` has it; return the problems if all addresses fail."""
    path = folder / published.archive
    problems: list[str] = []
    for url in () if path.exists() else published.urls:
        request = urllib.request.Request(url, headers={"User-Agent": "nnlc"})  # noqa: S310  ours
        try:
            with (
                urllib.request.urlopen(request, timeout=_SILENCE_SECONDS) as response,  # noqa: S310
                path.open("wb") as file,
            ):
                shutil.copyfileobj(response, file)  # in parts: SVHN's largest has 1.3 GB
                whole = int(response.headers.get("Content-Length", file.tell()))
                if file.tell() < whole:
                    raise OSError(f"the download ended after {file.tell()} of {whole} bytes")
        except (OSError, HTTPException) as problem:
            path.unlink(missing_ok=True)
            problems.append(f"{url}: {problem}")
        else:
            return []
    return problems


def _lacking_text(name: str, problems_of: dict[ImageFile, list[str]], source: Path) -> str:
    lines = [f"{name}: {source} lacks good copies of these files:"]
    for file, problems in problems_of.items():
        archive = file.published.archive if file.published else file.path
        lines += [f"  {problem}" for problem in problems] or [
            f"  neither {file.path} nor {archive} is there"
        ]
    lines.append(
        "give --from a folder that torchvision filled, or one with the archives as published"
    )
    return "\n".join(lines)


def _manual_download_text(
    name: str, problems_of: list[str], files: list[ImageFile], root: Path
) -> str:
    archives = dict.fromkeys(file.published for file in files if file.published)
    return "\n".join(
        [
            f"{name}: the download failed:",
            *(f"  {line}" for line in problems_of),
            "on a machine with a network, fetch these files into a folder:",
            *(f"  {archive.archive} from {' or '.join(archive.urls)}" for archive in archives),
            f"bring the folder here and run: nnlc stage <campaign> --root {quote(str(root))} "
            "--from FOLDER",
        ]
    )
