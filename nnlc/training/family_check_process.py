"""Start of the check of a family, in processes of their own: its code may end them."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from pydantic import ValidationError

from nnlc.campaign.campaign import find_campaign
from nnlc.campaign.family_section import given_reference
from nnlc.errors import CampaignError, FamilyError, NnlcError
from nnlc.families.layouts import ARTICLE_NAME
from nnlc.families.reference import FamilyReference
from nnlc.networks.image_sets import KNOWN_IMAGE_SETS, ImageSet, own_image_set
from nnlc.system.environment import trainer_environment
from nnlc.system.extras import require_extra
from nnlc.system.messages import Message, decode_all
from nnlc.system.toml_file import did_you_mean, read_layers
from nnlc.wording import counted

DEFAULT_IMAGES = "F-MNIST-sample"
_PROCESSES = ("nnlc.training.family_sample", "nnlc.training.family_check")


def check_family(
    name: str | None,
    images: str | None,
    count: int,
    tell: Callable[[str], None],
    campaign: str | None = None,
) -> bool:
    """Check a family on a sample of its networks; return True if nothing is wrong with it.

    Args:
        name: name of a family, or "module:Class" for a module in the working directory; None for
            that of the campaign.
        images: name of an image set that nnlc knows, or an .npz file; random pixels stand in for
            the images. None for those of the campaign, or else for F-MNIST-sample.
        count: number of networks in the sample.
        tell: prints a line.
        campaign: a campaign whose settings, images and groups the networks have.

    Raises:
        NnlcError: the name can't be one of a family, the image set is unknown, the campaign has
            another family, or torch is not installed.
    """
    require_extra("train", "nnlc check-family")
    if campaign is None:
        reference = _reference(name)
    else:
        reference = _reference_of(campaign, name)
        if images is not None:
            raise NnlcError("--images is for checks without --campaign: leave one of them out")
    request: dict[str, Any] = {
        "reference": reference.model_dump(exclude_none=True),
        "campaign": campaign,
        "image_set": asdict(_images(images or DEFAULT_IMAGES)),
        "count": count,
    }
    about = reference.name if campaign is None else f"{reference.name} of {campaign}"
    wrong = 0
    for module in _PROCESSES:
        if module == _PROCESSES[1] and not request.get("networks"):
            break
        found = _run(module, request, tell)
        wrong += found.pop("wrong")
        request |= found
    tell(
        f"{about}: {counted(wrong, 'fault')}; correct what is wrong before its first campaign"
        if wrong
        else f"{about}: fit for {'campaigns' if campaign is None else 'this campaign'}"
    )
    return not wrong


def _reference_of(campaign: str, name: str | None) -> FamilyReference:
    """Return the reference to the family of a campaign.

    Raises:
        NnlcError: the file can't be read, or has another family than the one that is named.
    """
    path = find_campaign(campaign)
    layers = read_layers(path, find_campaign, CampaignError)
    try:
        reference = given_reference(layers)
    except ValidationError:
        raise CampaignError(f'{path}, key family: must be a name, or "module:Class"') from None
    found = ARTICLE_NAME if reference is None else reference.name
    if name not in (None, found):
        raise NnlcError(f"{path}: its family is {found}, not {name}: leave one of them out")
    return reference or _reference(found)


def _reference(name: str | None) -> FamilyReference:
    """Return the reference to a family, whose module may be in the working directory.

    Raises:
        FamilyError: no family can have this name.
    """
    if name is None:
        raise FamilyError("give the name of a family, or a campaign with --campaign FILE")
    if name == ARTICLE_NAME:
        raise FamilyError("the article's family is part of nnlc: there is nothing to check")
    try:
        return FamilyReference(name=name, folder=str(Path.cwd()) if ":" in name else None)
    except ValidationError:
        raise FamilyError(
            f"{name!r} is no family: give the name of one, or MODULE:CLASS for a module in the "
            "working directory, such as mine:Mine for the class Mine of mine.py"
        ) from None


def _images(name: str) -> ImageSet:
    """Return names and sizes of an image set that nnlc knows, or of the images of a file.

    Raises:
        NnlcError: there are no such images.
    """
    if name.endswith(".npz"):
        from nnlc.training.own_images import describe_npz

        [(own, section)] = tomllib.loads(describe_npz(Path(name)))["datasets"].items()
        return own_image_set(own, section)
    if name not in KNOWN_IMAGE_SETS:
        known = did_you_mean(name, KNOWN_IMAGE_SETS)
        raise NnlcError(
            f"--images {name}: nnlc knows no such images; {known}; or give an .npz file"
        )
    return KNOWN_IMAGE_SETS[name]


def _run(module: str, request: Mapping[str, Any], tell: Callable[[str], None]) -> dict[str, Any]:
    """Run a process with a request, print its verdicts, and return its last message."""
    with TemporaryFile() as file:
        file.write(json.dumps(request).encode())
        file.seek(0)
        # Ctrl-C goes to all processes of a terminal; this one ends the other.
        kept = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process = subprocess.Popen(  # noqa: S603  (no word from a user)
                (sys.executable, "-m", "nnlc.training", module),
                stdin=file,
                stdout=subprocess.PIPE,
                env=trainer_environment(os.environ, "cpu"),
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, kept)
    with process:
        try:
            return _answer(process, tell)
        finally:
            process.kill()


def _answer(process: subprocess.Popen[bytes], tell: Callable[[str], None]) -> dict[str, Any]:
    """Print the verdicts of a process, and return its last message."""
    begun: Message = {"part": "start", "about": ""}
    wrong = 0
    for line in process.stdout or ():
        for message in decode_all([line]):
            match message["kind"]:
                case "begin":
                    begun = message
                case "verdict":
                    wrong += message["is_wrong"]
                    tell(message["text"])
                case "end":
                    return {key: message[key] for key in message.keys() - {"kind"}}
    status = process.wait()
    how = f"with status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"
    where = f"{begun['about']}: " if begun["about"] else ""
    tell(
        f"wrong  {begun['part']:<9} {where}its code ended this process {how}; let it raise an "
        "exception where something is wrong"
    )
    return {"wrong": wrong + 1}
