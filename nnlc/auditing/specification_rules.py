"""Rules on a network's metadata: those of every training, then those of its family."""

from datetime import datetime

from nnlc.auditing.audited_table import AuditedTable
from nnlc.auditing.findings import cut, quoted
from nnlc.families.table_rules import TableValues
from nnlc.networks.optimizers import LOSSES
from nnlc.networks.specification import ID_PATTERN


def check_specification(table: AuditedTable) -> None:
    """Check a network's metadata against its table's standard; absent fields are skipped."""

    def refuse(rule: str, field: str, found: str, right: str) -> None:
        table.findings.refuse(rule, field, cut(found), cut(right))

    images = table.standard.images(table.dataset)
    subject = TableValues(table.layout, table.values, images, refuse)
    _check_identity(table, subject)
    if table.standard.check is not None:
        table.standard.check(subject)


def _check_identity(table: AuditedTable, subject: TableValues) -> None:
    values = subject.values
    if "id" in values and not _is_moment(values["id"]):
        subject.refuse("id", "id", quoted(values["id"]), "YYYY_MM_DD_HH_MM_SS_ffffff")
    seed = values.get("random_seed")
    if seed is not None and not 0 <= seed < 2**32:
        subject.refuse("seed-range", "random_seed", f"{seed}", "0 to 4294967295")
    for field, known in (("loss_fn", LOSSES), ("optimizer", table.standard.optimizers)):
        if field in values and values[field] not in known:
            right = " or ".join(known)
            subject.refuse("loss-and-optimizer", field, quoted(values[field]), right)
    if not subject.images and "dataset" in values:
        subject.refuse(
            "unknown-dataset",
            "dataset",
            f"the images of {quoted(values['dataset'])} are not known, so that rules on sizes, "
            "classes and images were left out",
            "the folder of a campaign that knows them",
        )


def _is_moment(id_: str) -> bool:
    if not ID_PATTERN.fullmatch(id_):
        return False
    try:
        datetime.strptime(id_[:19], "%Y_%m_%d_%H_%M_%S")
    except ValueError:
        return False
    return True
