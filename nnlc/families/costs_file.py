"""Files of counted costs, which `nnlc specs CAMPAIGN --costs FILE` and jobs write.

A file is JSON: the family's name and version, the digest of its code, and the counts of each
network by its `cost_key`, in the order of the fields of `Counted`. A file of another campaign of
the same family can be read too; one of other code is refused.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from nnlc import __version__
from nnlc.errors import FamilyError
from nnlc.families.counted_costs import Counted, known_counts, remember
from nnlc.families.network_family import NetworkFamily
from nnlc.families.reference import FamilyReference
from nnlc.system.newer_format import too_new
from nnlc.system.text_file import read_text

COSTS_MARK = b'"nnlc_costs": '
"""Bytes near the start of every file of costs."""
COSTS_ENDINGS = (".json",)
_FORMAT = 1
_COUNTS = len(fields(Counted))
_MOST = 2**63
_AGAIN = "remove it, and let 'nnlc specs CAMPAIGN --costs FILE' write it again"


def costs_content(family: NetworkFamily, keys: Iterable[str]) -> bytes:
    """Return the content of a file with the costs of networks of one family that are known here.

    Args:
        family: the family.
        keys: keys of its networks.
    """
    known = {key: found for key in sorted(keys) if (found := known_counts(key)) and found.is_known}
    costs = {key: astuple(found) for key, found in known.items()}
    head = {
        "nnlc_costs": _FORMAT,
        "nnlc": __version__,
        "family": family.label,
        "code": family.reference and family.reference.code,
        "counts": [field.name for field in fields(Counted)],
    }
    text = json.dumps(head)[:-1] + ', "costs": {'
    lines = [f"\n{json.dumps(key)}: {json.dumps(values)}" for key, values in costs.items()]
    return (text + ",".join(lines) + "\n}}\n").encode()


def read_costs(path: Path, family: NetworkFamily) -> Collection[str]:
    """Read a file of costs into this process's store.

    Returns:
        The keys of its networks.

    Raises:
        FamilyError: the file can't be read, or has costs of another family or of other code.
    """
    values = _read(path)
    _check_family(path, values, family)
    found = _costs(path, values)
    remember(found)
    return found.keys()


def costs_of_family(path: Path, label: str) -> Mapping[str, Counted]:
    """Return the costs in a file by key, for readers who have no code of the family.

    Raises:
        FamilyError: the file can't be read, or has costs of another family.
    """
    values = _read(path)
    if values.get("family") != label:
        raise FamilyError(f"{path}, key family: is not {label!r}")
    return _costs(path, values)


def is_of_code(path: Path, family: FamilyReference) -> bool:
    """Return True if a file has costs that were counted with this code of a family."""
    try:
        values = _read(path)
    except FamilyError:
        return False
    return (values.get("family"), values.get("code")) == (family.label, family.code)


def _read(path: Path) -> dict[str, Any]:
    """Return the values of a file of costs of today's format."""
    try:
        values = json.loads(read_text(path, FamilyError))
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or "nnlc_costs" not in values:
        raise FamilyError(
            f"{path}: is no file of costs; 'nnlc specs CAMPAIGN --costs FILE' writes one"
        )
    if newer := too_new(path, values["nnlc_costs"], _FORMAT, values.get("nnlc")):
        raise FamilyError(newer)
    if values["nnlc_costs"] != _FORMAT or values.get("counts") != [f.name for f in fields(Counted)]:
        raise FamilyError(f"{path}, key counts: not those of format {_FORMAT}; {_AGAIN}")
    return values


def _costs(path: Path, values: dict[str, Any]) -> dict[str, Counted]:
    costs = values.get("costs")
    if not isinstance(costs, dict):
        raise FamilyError(f"{path}, key costs: must be a table; {_AGAIN}")
    return {key: _read_counts(path, key, found) for key, found in costs.items()}


def _check_family(path: Path, values: dict[str, Any], family: NetworkFamily) -> None:
    if values.get("family") != family.label:
        raise FamilyError(
            f"{path}, key family: has costs of {str(values.get('family'))[:100]!r}, and the "
            f"campaign's family is {family.label!r}; give the file of this family"
        )
    if values.get("code") != (family.reference and family.reference.code):
        raise FamilyError(
            f"{path}, key code: the code of {family.label} was other when these costs were "
            f"counted; {_AGAIN}"
        )


def _read_counts(path: Path, key: str, found: object) -> Counted:
    if (
        not isinstance(found, list)
        or len(found) != _COUNTS
        or not all(type(each) is int and 0 <= each < _MOST for each in found)
    ):
        raise FamilyError(
            f"{path}, key costs.{key[:40]!r}: must be {_COUNTS} whole numbers from 0; {_AGAIN}"
        )
    return Counted(*found)
