"""Tables of nnlc without their campaign, drawn again from their own seeds."""

from collections import defaultdict
from collections.abc import Iterable

from nnlc.auditing.audited_table import AuditedTable
from nnlc.auditing.campaign_rules import compare
from nnlc.errors import NnlcError
from nnlc.families.article import NetworkSpec, SearchSpace, sample_network
from nnlc.networks import ImageSet

_STAMP = len("YYYY_MM_DD_HH_MM_SS")


def check_redraws(tables: Iterable[AuditedTable]) -> None:
    """Draw networks again in the article's space, and add findings on tables that differ.

    Tables whose IDs have the same stamp come from one campaign. If most of them are drawn the same
    again, the campaign has the article's space, or one a little narrower. Then the others get a
    finding: they may have been changed. A person must decide.
    """
    by_stamp: defaultdict[str, list[tuple[AuditedTable, list[NetworkSpec]]]] = defaultdict(list)
    for table in tables:
        if table.is_whole and table.id is not None:
            by_stamp[table.id[:_STAMP]].append((table, _draw(table)))
    for group in by_stamp.values():
        others = [(t, specs) for t, specs in group if not any(_is_same(t, s) for s in specs)]
        if 2 * len(others) >= len(group):
            continue
        for table, specs in others:
            if specs:
                compare(table, specs[0], "other-space", "as most others of its stamp are drawn")


def _draw(table: AuditedTable) -> list[NetworkSpec]:
    """Return the networks that a table's seed gives, one for each possible image set."""
    values = table.values
    readings: tuple[ImageSet, ...] = table.standard.images(table.dataset)
    found = []
    for images in readings:
        try:
            found.append(
                sample_network(
                    _ARTICLE_SPACE,
                    images,
                    len(values["conv_kernels"]),
                    values["random_seed"],
                    id=values["id"],
                    train_gpu=values["train_gpu"],
                )
            )
        except NnlcError:
            continue  # for example if no batch size in the article's range fits
    return found


def _is_same(table: AuditedTable, spec: NetworkSpec) -> bool:
    return all(getattr(spec, name) == value for name, value in table.values.items())


_ARTICLE_SPACE = SearchSpace()
