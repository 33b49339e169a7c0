"""Counted costs of a campaign's networks, in the results folder's costs.json.

Only families without a cost model of their own need them; for the article's, nothing is done here.
"""

import contextlib
import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.errors import FamilyError
from nnlc.families.counted_costs import (
    HOW_TO_COUNT,
    Counted,
    UnknownCostError,
    cost_key,
    known_counts,
    remember,
)
from nnlc.families.reference import FamilyReference
from nnlc.families.registry import family_to_json
from nnlc.networks.specification import FamilySpec
from nnlc.results.paths import ResultsPaths
from nnlc.system.files import write_atomically
from nnlc.system.messages import Message
from nnlc.wording import counted


def check_needs_costs(networks: Sequence[CampaignNetwork], file: Path) -> None:
    """Check that a file of costs, which the user names, is of any use for a campaign.

    Raises:
        FamilyError: its family has a cost model.
    """
    if networks[0].family.has_cost_model:
        raise FamilyError(
            f"--costs {file}: the costs of the article's networks follow from their specifications "
            "and are not counted; leave this option out"
        )


def read_costs_of(networks: Sequence[CampaignNetwork], file: Path) -> Collection[str]:
    """Read a file of costs that the user names; return the keys of its networks.

    Raises:
        FamilyError: the campaign needs no such file, or it can't be used.
    """
    check_needs_costs(networks, file)
    from nnlc.families.costs_file import read_costs  # jobs of the article's networks don't need it

    return read_costs(file, networks[0].family)


def read_folder_costs(results: ResultsPaths, networks: Sequence[CampaignNetwork]) -> str | None:
    """Read the costs.json of a results folder, if there is one and the networks need it.

    Returns:
        Why the file can't be used, or None.
    """
    if not uncounted(networks) or not os.path.lexists(results.costs_file):
        return None
    try:
        read_costs_of(networks, results.costs_file)
    except FamilyError as problem:
        return str(problem)
    return None


def counted_size(network: CampaignNetwork) -> tuple[int, int] | None:
    """Return a network's parameters and multiply-adds if they were counted, else None."""
    if network.family.has_cost_model or uncounted([network]):
        return None
    size = network.family.size(network.spec, network.images)
    return size.parameters, size.multiply_adds


def key_of(network: CampaignNetwork) -> str:
    """Return the key of a network's costs in files; only for families without a cost model."""
    return cost_key(cast(FamilySpec, network.spec))


def uncounted(networks: Collection[CampaignNetwork]) -> list[CampaignNetwork]:
    """Return the networks whose costs are unknown in this process."""
    return [n for n in networks if not n.family.knows_cost(n.spec)]


def check_counted(
    networks: Collection[CampaignNetwork],
    trouble: str | None = None,
    *,
    within: ResultsPaths | None = None,
) -> None:
    """Check that the costs of all networks are known in this process.

    Args:
        networks: the networks.
        trouble: why the results folder's costs.json can't be used.
        within: the results folder, for commands that read costs from there alone.

    Raises:
        UnknownCostError: they aren't; the message names the command that counts them.
    """
    if unknown := uncounted(networks):
        of, how = counted(len(networks), "network"), HOW_TO_COUNT
        if within is not None:
            words = ("nnlc", "specs", str(within.campaign_file), "--costs", str(within.costs_file))
            how = f"where torch is installed, '{shlex.join(words)}' counts all"
        raise UnknownCostError(
            f"the costs of {len(unknown):,} of {of} are unknown here; {how}"
            + (f"; {trouble}" if trouble else "")
        )


def count_request(networks: Sequence[CampaignNetwork]) -> Message:
    """Return the message that asks for the costs of networks: `nnlc.system.messages`."""
    by_key = {key_of(network): network for network in networks}
    asked = [{"key": key, **network.to_json()} for key, network in by_key.items()]
    return {"kind": "count", "family": family_to_json(networks[0].family), "networks": asked}


def take_counts(networks: Sequence[CampaignNetwork], answers: Iterable[Message]) -> Iterator[str]:
    """Take the counts of "counted" messages; yield notes on networks that cause trouble.

    Networks that could not be counted get the mean of the others; without others, zeros.

    Args:
        networks: all networks whose costs are needed.
        answers: the messages.
    """
    on_cpu, reasons = [], []
    for each in answers:
        remember({key: Counted(*values) for key, values in each["costs"].items()})
        on_cpu += each["on_cpu"]
        reasons += each["reasons"]
    costs = {key: known_counts(key) for key in map(key_of, networks)}
    missing = [key for key, cost in costs.items() if cost is None]
    if on_cpu:
        were = counted(len(on_cpu), "network was", "networks were")
        yield f"note: {were} counted on the processor, not on torch's meta device: {on_cpu[0]}"
    if missing:
        remember(dict.fromkeys(missing, Counted.mean(filter(None, costs.values()))))
        of = f"{counted(len(missing), 'network')} can't be counted"
        others = "and taken for as costly as the mean of the others"
        if len(missing) == len(costs):
            others = "so that no size or cost is known; 'nnlc check-family' shows where it fails"
        yield f"note: {of}, {others}: {'; '.join(reasons[:1])}"


def write_folder_costs(results: ResultsPaths, networks: Sequence[CampaignNetwork]) -> None:
    """Add the costs of networks, known in this process, to the results folder's costs.json.

    Raises:
        OSError: the file can't be written; an older file is intact.
    """
    from nnlc.families.costs_file import costs_content, read_costs

    family = networks[0].family
    keys = set(map(key_of, networks))
    with contextlib.suppress(FamilyError):  # another job may have written it meanwhile
        keys |= set(read_costs(results.costs_file, family))
    write_atomically(results.costs_file, costs_content(family, keys))


def remove_other_costs(results: ResultsPaths, family: FamilyReference) -> None:
    """Remove a results folder's costs.json if it can't be used with this code of the family.

    Raises:
        OSError: the file can't be removed.
    """
    from nnlc.families.costs_file import is_of_code

    if os.path.lexists(results.costs_file) and not is_of_code(results.costs_file, family):
        results.costs_file.unlink()
