"""nnlc: learning curves of random convolutional networks, from a campaign file to tables.

Importing this package loads neither torch nor MPI; each public name is imported when it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnlc.analysis.comparison import compare
    from nnlc.analysis.csvfiles import aggregate_csv
    from nnlc.analysis.metrics import metrics
    from nnlc.analysis.prediction import predict
    from nnlc.analysis.stopper import Stopper
    from nnlc.auditing.audit import Audit, audit
    from nnlc.benchmark import Benchmark
    from nnlc.campaign import Campaign, load_campaign
    from nnlc.collection.merging import merge_tables, subset_tables
    from nnlc.errors import NnlcError
    from nnlc.exporting.exporting import export_tables
    from nnlc.exporting.importing import import_tables
    from nnlc.networks import ImageSet, NetworkSpec, SearchSpace, sample_network, walk_network
    from nnlc.plotting.plot import plot_comparison, plot_tables
    from nnlc.reporting.report import write_report
    from nnlc.tables import Table, read_table, write_table
    from nnlc.tables.frames import Tables, load_tables
    from nnlc.training.rebuild import rebuild
    from nnlc.verification.verifying import verify

__version__ = "0.1.0"

_HOME = {
    "Audit": "nnlc.auditing.audit",
    "audit": "nnlc.auditing.audit",
    "Benchmark": "nnlc.benchmark",
    "Campaign": "nnlc.campaign",
    "load_campaign": "nnlc.campaign",
    "NnlcError": "nnlc.errors",
    "export_tables": "nnlc.exporting.exporting",
    "import_tables": "nnlc.exporting.importing",
    "ImageSet": "nnlc.networks",
    "NetworkSpec": "nnlc.networks",
    "SearchSpace": "nnlc.networks",
    "sample_network": "nnlc.networks",
    "walk_network": "nnlc.networks",
    "Table": "nnlc.tables",
    "Tables": "nnlc.tables.frames",
    "load_tables": "nnlc.tables.frames",
    "merge_tables": "nnlc.collection.merging",
    "compare": "nnlc.analysis.comparison",
    "metrics": "nnlc.analysis.metrics",
    "predict": "nnlc.analysis.prediction",
    "Stopper": "nnlc.analysis.stopper",
    "subset_tables": "nnlc.collection.merging",
    "aggregate_csv": "nnlc.analysis.csvfiles",
    "plot_comparison": "nnlc.plotting.plot",
    "plot_tables": "nnlc.plotting.plot",
    "read_table": "nnlc.tables",
    "rebuild": "nnlc.training.rebuild",
    "verify": "nnlc.verification.verifying",
    "write_report": "nnlc.reporting.report",
    "write_table": "nnlc.tables",
}

__all__ = [
    "Audit",
    "Benchmark",
    "Campaign",
    "ImageSet",
    "NetworkSpec",
    "NnlcError",
    "SearchSpace",
    "Stopper",
    "Table",
    "Tables",
    "__version__",
    "aggregate_csv",
    "audit",
    "compare",
    "export_tables",
    "import_tables",
    "load_campaign",
    "load_tables",
    "merge_tables",
    "metrics",
    "plot_comparison",
    "plot_tables",
    "predict",
    "read_table",
    "rebuild",
    "sample_network",
    "subset_tables",
    "verify",
    "walk_network",
    "write_report",
    "write_table",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'nnlc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
