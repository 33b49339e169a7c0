"""Which networks of a campaign have their tables: each that stands is read whole."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from nnlc.campaign import CampaignNetwork
from nnlc.errors import ResultsError, TableError
from nnlc.history import Finish
from nnlc.results import ResultsFolder
from nnlc.tables import Table, read_table

_AT_ONCE = 500
"""So many tables are shown to a stop rule together."""


class Standing:
    """Looks for tables, and sees that they are the campaign's own and end where they should.

    Where the campaign has a stop rule, it is asked of each table whose checksum the journal does
    not know.

    Args:
        results: where they stand.
        half_epochs: of a network that is not stopped.
        stop: the campaign's stop rule.
        finishes: what the journal says of finished networks, by ID.
    """

    def __init__(
        self,
        results: ResultsFolder,
        half_epochs: int,
        stop: str | None = None,
        finishes: Mapping[str, Finish] | None = None,
    ) -> None:
        self._results, self._half_epochs, self._stop = results, half_epochs, stop
        self._finishes = finishes or {}

    def missing(self, networks: Sequence[CampaignNetwork]) -> list[CampaignNetwork]:
        """Those without a table.

        Raises:
            ResultsError: a table is damaged, another network's, ends where it should not, or is
                behind a disk in trouble.
        """
        missing: list[CampaignNetwork] = []
        unknown: list[tuple[CampaignNetwork, Table]] = []
        for network in networks:
            table = self._read(network)
            if table is None:
                missing.append(network)
            elif self._stop is not None and not self._is_known(table):
                unknown.append((network, table))
            if len(unknown) == _AT_ONCE:
                self._check_ends(unknown)
                unknown = []
        self._check_ends(unknown)
        return missing

    def has_table(self, network: CampaignNetwork) -> bool:
        """Whether the table of this network stands.

        Raises:
            ResultsError: as `missing`.
        """
        return not self.missing([network])

    def _read(self, network: CampaignNetwork) -> Table | None:
        path = self._results.table_path(network.images, network.spec)
        try:
            if not path.exists():
                return None
        except OSError as problem:
            raise ResultsError(f"{path}: can't be looked for: {problem.strerror}") from None
        try:
            table = read_table(path, half_epochs=None if self._stop else self._half_epochs)
        except TableError as problem:
            raise _refusal(problem) from None
        if replace(table.spec, train_gpu=network.spec.train_gpu) != network.spec:
            raise ResultsError(
                f"{path}: this table describes another network than the campaign's "
                f"{network.spec.id}; move it away to have the campaign's own trained"
            )
        return table

    def _is_known(self, table: Table) -> bool:
        finish = self._finishes.get(table.spec.id)
        if finish is None or finish.sha256 is None:
            return False
        return finish.sha256 == hashlib.sha256(table.to_bytes()).hexdigest()

    def _check_ends(self, found: Sequence[tuple[CampaignNetwork, Table]]) -> None:
        if not found or self._stop is None:
            return
        from nnlc.stopping import curve_of, wrong_ends  # NumPy, which else no agent needs

        curves = [curve_of(table) for _, table in found]
        ends = wrong_ends(curves, self._half_epochs, self._stop)
        for (network, _), wrong in zip(found, ends, strict=True):
            if wrong is not None:
                path = self._results.table_path(network.images, network.spec)
                raise _refusal(TableError(wrong.problem, path=path, line=wrong.line))


def _refusal(problem: TableError) -> ResultsError:
    return ResultsError(f"{problem}; move this table away to have its network trained again")
