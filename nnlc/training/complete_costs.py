"""Completion of a file of counted costs, for `nnlc specs CAMPAIGN --costs FILE`."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.families.costs_file import COSTS_ENDINGS, COSTS_MARK, costs_content
from nnlc.results.folder_costs import (
    check_needs_costs,
    count_request,
    key_of,
    read_costs_of,
    take_counts,
    uncounted,
)
from nnlc.system.extras import require_extra
from nnlc.system.output_file import check_output, write_output
from nnlc.training.counting_process import count_costs
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
    yield f"counting the costs of {counted(len(unknown), 'network')}"
    yield from take_counts(networks, [count_costs(count_request(unknown))])
    if not any(network.family.could_count(network.spec) for network in networks):
        return
    content = costs_content(networks[0].family, before | set(map(key_of, networks)))
    write_output(file, content, mark=COSTS_MARK, endings=COSTS_ENDINGS)
    yield f"{file}: costs of {counted(len(networks), 'network')}"
