"""nnlc: learning curves of random convolutional networks, from a campaign file to tables.

Importing this package loads neither torch nor MPI; a public name is imported at its first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnlc.analysis.aggregate_csv import aggregate_csv
    from nnlc.analysis.comparison import compare
    from nnlc.analysis.importance import importance
    from nnlc.analysis.metrics import metrics
    from nnlc.analysis.prediction import predict
    from nnlc.analysis.savings import savings
    from nnlc.analysis.stopper import Stopper
    from nnlc.auditing.audit import Audit, audit
    from nnlc.benchmark import Benchmark
    from nnlc.benchmark.config_space import config_space, config_to_network, network_to_config
    from nnlc.campaign.campaign import Campaign, load_campaign
    from nnlc.collection.loading import load_tables
    from nnlc.collection.merging import merge_tables, subset_tables
    from nnlc.errors import NnlcError
    from nnlc.exporting.exporting import export_tables
    from nnlc.exporting.importing import import_tables
    from nnlc.families.article import NetworkSpec, SearchSpace, sample_network, walk_network
    from nnlc.networks import ImageSet
    from nnlc.plotting.plot import plot_comparison, plot_tables
    from nnlc.reporting.report import write_report
    from nnlc.tables import Table, read_table, write_table
    from nnlc.tables.frames import Tables
    from nnlc.training.rebuild import rebuild
    from nnlc.verification.verifying import verify

__version__ = "0.4.0"

_NAMES = {
    "analysis.comparison": "compare",
    "analysis.aggregate_csv": "aggregate_csv",
    "analysis.importance": "importance",
    "analysis.metrics": "metrics",
    "analysis.prediction": "predict",
    "analysis.savings": "savings",
    "analysis.stopper": "Stopper",
    "auditing.audit": "Audit audit",
    "benchmark": "Benchmark",
    "benchmark.config_space": "config_space config_to_network network_to_config",
    "campaign.campaign": "Campaign load_campaign",
    "collection.loading": "load_tables",
    "collection.merging": "merge_tables subset_tables",
    "errors": "NnlcError",
    "exporting.exporting": "export_tables",
    "exporting.importing": "import_tables",
    "families.article": "NetworkSpec SearchSpace sample_network walk_network",
    "networks": "ImageSet",
    "plotting.plot": "plot_comparison plot_tables",
    "reporting.report": "write_report",
    "tables": "Table read_table write_table",
    "tables.frames": "Tables",
    "training.rebuild": "rebuild",
    "verification.verifying": "verify",
}
_HOME = {name: f"nnlc.{module}" for module, names in _NAMES.items() for name in names.split()}

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
    "config_space",
    "config_to_network",
    "export_tables",
    "import_tables",
    "importance",
    "load_campaign",
    "load_tables",
    "merge_tables",
    "metrics",
    "network_to_config",
    "plot_comparison",
    "plot_tables",
    "predict",
    "read_table",
    "rebuild",
    "sample_network",
    "savings",
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
