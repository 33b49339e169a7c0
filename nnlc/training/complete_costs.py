"""Completion of a file of counted costs, for `nnlc specs CAMPAIGN --costs FILE`."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.families.costs_file import COSTS_ENDINGS, COSTS_MARK, costs_content
from nnlc.families.counted_costs import remember
from nnlc.families.own_family import OwnFamily
from nnlc.networks.specification import FamilySpec
from nnlc.results.folder_costs import check_needs_costs, give_mean, key_of, read_costs_of, uncounted
from nnlc.system.extras import require_extra
from nnlc.system.output_file import check_output, write_output
from nnlc.wording import counted


def complete_costs(file: Path, networks: Sequence[CampaignNetwork]) -> Iterator[str]:
    """Read a file of costs, count those that it lacks, and write it again; yield notes.

    Args:
        file: the file, which may be missing.
        networks: networks of a campaign.

    Raises:
        NnlcError: the family has a cost model, or the file can't be used or written.
        MissingExtraError: costs must be counted, and torch is not installed.
    """
    check_needs_costs(networks, file)
    before: set[str] = set()
    if os.path.lexists(file):
        before = set(read_costs_of(networks, file))
    if not (unknown := uncounted(networks)):
        return
    check_output(file, mark=COSTS_MARK, endings=COSTS_ENDINGS)
    require_extra("train", "counting costs", "torch")
    from nnlc.training.counting import count_network, in_one_line

    family, reasons, on_cpu = cast(OwnFamily, networks[0].family), [], []
    by_key = {key_of(network): network for network in unknown}
    yield f"counting the costs of {counted(len(by_key), 'network')}"
    for key, network in by_key.items():
        try:
            found = count_network(family.family, cast(FamilySpec, network.spec), network.images)
        except Exception as problem:
            reasons.append(in_one_line(problem))
            continue
        remember({key: found.counted})
        if found.on_cpu:
            on_cpu.append(f"{network.spec.id}: {found.on_cpu}")
    if on_cpu:
        yield (
            f"note: {counted(len(on_cpu), 'network')} can't be built or run on torch's meta device "
            f"and {'was' if len(on_cpu) == 1 else 'were'} counted on the processor, with few "
            f"images; the first is {on_cpu[0]}"
        )
    yield from give_mean(networks, *reasons[:1])
    content = costs_content(family, before | set(map(key_of, networks)))
    write_output(file, content, mark=COSTS_MARK, endings=COSTS_ENDINGS)
    yield f"{file}: costs of {counted(len(networks), 'network')}"
