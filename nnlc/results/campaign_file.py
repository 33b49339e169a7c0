"""campaign.toml of a results folder: the full campaign with which the folder was made."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w

from nnlc import __version__
from nnlc.campaign.campaign import RECORD_KEYS, Campaign, complete_record, parse_campaign
from nnlc.errors import CampaignError, ResultsError
from nnlc.system.newer_format import install_advice, is_newer, too_new
from nnlc.system.toml_file import Values, read_toml
from nnlc.wording import counted

FORMATS = {1: "0.1.0", 2: "0.2.0", 3: "0.2.0", 4: "0.3.0", 5: "0.4.0"}
"""Oldest nnlc that can use each format.

1 has no digest and no version of nnlc, 3 is of a campaign that has grown, 4 has
`training.convolutions`, and 5 has families and the settings of recipes."""
FORMAT = 5
"""Format that is written; raised when an older nnlc could no longer use it, as for a new key."""

_HEAD = b"# The campaign of this results folder, whole. Written by nnlc; don't edit.\n"
_NOT_DECISIVE = ("npz", "largest_class")
"""Keys of a user's own images that no table depends on: path, and share of the largest class."""


class Written(NamedTuple):
    """Content of a campaign.toml."""

    campaign: Campaign
    format: int
    nnlc: str
    """Version that wrote the file."""


def read_campaign_file(path: Path) -> Written:
    """Read a campaign.toml; a setting that is newer than the file gets its former fixed value.

    Raises:
        ResultsError: the file can't be read, was written by a newer nnlc, or was edited.
    """
    values = read_toml(path, ResultsError)
    found, made_by, digest = (values.pop(key, None) for key in RECORD_KEYS)
    if newer := too_new(path, found, max(FORMATS), made_by):
        raise ResultsError(newer)
    if type(found) is not int or found < 1:
        raise ResultsError(
            f"{path}, key results_format: {found!r:.80} where this nnlc writes {FORMAT}: the "
            "file was emptied, cut off or edited, or nnlc did not write it; put the old file back"
        )
    if (found > 1 or digest is not None) and digest != _digest(values):
        raise ResultsError(
            f"{path}: was edited: its values don't match its digest, and the tables here were made "
            "with the old values; put these back, or give another campaign its own folder"
        )
    complete_record(values)
    try:
        campaign = parse_campaign(values, path)
    except CampaignError as problem:
        words = f"{install_advice(made_by)}; " if is_newer(made_by) else ""
        raise ResultsError(f"{words}{problem}") from None
    return Written(campaign, found, str(made_by or "0.1.0"))


def campaign_file(campaign: Campaign) -> bytes:
    """Return the campaign.toml of a campaign."""
    content = campaign_toml(campaign)
    digest = _digest(tomllib.loads(content.decode()))
    about = dict(zip(RECORD_KEYS, (FORMAT, __version__, digest), strict=True))
    return _HEAD + tomli_w.dumps(about).encode() + content


def renewed_file(path: Path, places: dict[str, str], folder: str | None) -> bytes:
    """Return the content of a campaign.toml with new paths of the user's own images and code.

    Args:
        path: the file; `read_campaign_file` must have accepted it.
        places: new paths of images by dataset name.
        folder: new folder of the family's module; None if it is the same.
    """
    values = read_toml(path, ResultsError)
    for name, place in places.items():
        values["datasets"][name]["npz"] = place
    if folder is not None:
        values["family"]["folder"] = folder
    return _HEAD + tomli_w.dumps(values).encode()


def campaign_toml(campaign: Campaign) -> bytes:
    """Return a campaign as TOML that extends no other file and has the paths of own images."""
    return tomli_w.dumps(campaign.dump()).encode()


def _identity(campaign: Campaign) -> dict[str, Any]:
    """Return all values that make a campaign, by dotted key; own images count by checksum.

    Version and code of a family are left out: whether they have changed is another question than
    which campaign this is (`nnlc.families.registry.check_same_code`).
    """
    values = _flatten(_decisive(campaign.dump("json")))
    left_out = ("family.code", "family.label")
    return {key: value for key, value in values.items() if key not in left_out}


def differences(asked: Campaign, recorded: Campaign) -> dict[str, tuple[Any, Any]]:
    """Return the values that differ, by key, as (value asked for, value recorded in a folder)."""
    here, there = _identity(asked), _identity(recorded)
    first = sorted(here | there, key=lambda key: (not key.startswith("family."), key))
    keys = (key for key in first if here.get(key) != there.get(key))
    return {key: (here.get(key), there.get(key)) for key in keys}


def changes_beyond_growth(asked: Campaign, recorded: Campaign) -> dict[str, tuple[Any, Any]]:
    """Return the differences that a growth does not allow; growth only adds epochs and networks."""
    different = differences(asked, recorded)
    return {key: pair for key, pair in different.items() if not _grows(key, asked, recorded)}


def why_fixed_epochs(campaign: Campaign) -> str | None:
    """Return why a campaign can't get more epochs, or None if it can."""
    if campaign.stop is not None:
        return "a stop rule predicts the last epoch"
    if campaign.training.schedule == "cosine":
        return "a cosine schedule ends with the last epoch"
    return None


def _grows(key: str, asked: Campaign, recorded: Campaign) -> bool:
    """Return True if a campaign with another value of this key may contain the recorded one."""
    if key == "epochs":
        return asked.epochs > recorded.epochs and why_fixed_epochs(recorded) is None
    if not key.startswith("datasets."):
        return key == "order of datasets"
    name, _, part = key.removeprefix("datasets.").rpartition(".")
    now, before = asked.datasets.get(name), recorded.datasets.get(name)
    if before is None or not before.networks_per_depth:
        return True
    if now is None or part not in asked.group_words:
        return False
    (low, high), (old_low, old_high) = now.depths, before.depths
    return (
        now.networks_per_depth >= before.networks_per_depth and low <= old_low <= old_high <= high
    )


def in_words(different: Mapping[str, tuple[Any, Any]]) -> str:
    """Return the first difference in words, and the number of further differences."""
    key, (here, there) = next(iter(different.items()))
    others = len(different) - 1
    more = f" (and {counted(others, 'other key differs', 'other keys differ')})" if others else ""
    before, now = ("not set" if value is None else repr(value) for value in (there, here))
    return f"{key} is {before} there and {now} in the campaign asked for{more}"


def _digest(values: Values) -> str:
    """Return a digest of the values in a campaign.toml that tables depend on.

    Only values in the file count, so that an nnlc with more settings computes the same digest.
    """
    text = json.dumps(_decisive(values), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _decisive(values: Values) -> Values:
    """Return the values that tables depend on."""
    kept = {key: value for key, value in values.items() if key != "run"}
    if isinstance(family := kept.get("family"), dict):
        kept["family"] = {key: value for key, value in family.items() if key != "folder"}
    datasets = kept.get("datasets")
    if isinstance(datasets, dict):
        kept["datasets"] = {
            name: {key: value for key, value in section.items() if key not in _NOT_DECISIVE}
            for name, section in datasets.items()
            if isinstance(section, dict)
        }
        # The IDs of networks depend on the order of the datasets that have networks.
        used = [
            n
            for n, section in kept["datasets"].items()
            if section.get("networks_per_depth", section.get("networks_per_group"))
        ]
        if len(used) > 1:
            kept["order of datasets"] = used
    return kept


def _flatten(values: Values, prefix: str = "") -> Values:
    flat: Values = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
