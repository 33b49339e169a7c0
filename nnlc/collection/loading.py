"""Tables as data frames, with what the journals beside them record: the public `load_tables`."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnlc.collection.journals import Journals
from nnlc.errors import check_kind
from nnlc.tables.frames import Damaged, Tables, ValLoss, families_among, read_tables
from nnlc.tables.table_folders import is_imported


def load_tables(
    paths: str | Path | Iterable[str | Path],
    *,
    val_loss: ValLoss = "as-published",
    damaged: Damaged = "refuse",
    family: str | None = None,
    cache: bool = False,  # noqa: ARG001  accepted, and without effect, until 0.3.0
) -> Tables:
    """Read tables, of nnlc or published, as strictly as `read_table` and far faster.

    Training accuracy and seconds come from the journal's event "finish" with the table's sha256.
    The journal of a results folder is found only if the results folder itself was given, not a
    folder in it. Published tables have no journal. A journal that can't be read is named in
    `Tables.skipped`.

    Texts have pandas' own type: "str" since pandas 3, "object" before; `path` is always "object".
    Values and types are the same with and without pyarrow, by which pandas only stores texts.

    Args:
        paths: a table, a folder of tables, a results folder, a folder of results folders, or
            several of these; or one folder that `nnlc import --csv` wrote.
        val_loss: "corrected" multiplies published validation losses by the missing factor
            (`nnlc.tables.val_loss_correction`); tables that nnlc wrote are right and don't change.
        damaged: "refuse" raises TableError for a damaged table or a second table of the same ID;
            "skip" leaves it out and names it in `Tables.skipped`.
        family: only tables of this family are loaded, such as "article", "residual" (of all its
            versions) or "residual@1".
        cache: without effect; 0.3.0 removes it.

    Raises:
        TableError: there is nothing to read, a table is damaged (with line and column), or two
            tables have the same ID.
        NnlcError: no table is of the family.
    """
    check_kind("paths", paths, str | Path | Iterable, "a folder of tables, or a list of them")
    check_kind("family", family, str | None, 'the name of a family, such as "residual"')
    several = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    if any(map(is_imported, several)):
        from nnlc.tables.curves_from_elsewhere import read_imported  # seldom needed

        if family is not None:
            families_among(family, [])
        return Tables(*read_imported(several), ())
    journals = Journals(several)
    how: Any = {"val_loss": val_loss, "damaged": damaged, "family": family}
    tables = read_tables(several, **how, recorded=journals.recorded)
    return replace(tables, skipped=(*tables.skipped, *journals.skipped))
