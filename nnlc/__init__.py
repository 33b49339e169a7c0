"""nnlc: learning curves of random convolutional networks, from a campaign file to tables.

Importing this package loads neither torch nor MPI; each public name is imported when it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnlc.analysis.csvfiles import aggregate_csv
    from nnlc.analysis.metrics import metrics
    from nnlc.campaign import Campaign, load_campaign
    from nnlc.errors import NnlcError
    from nnlc.networks import ImageSet, NetworkSpec, SearchSpace, sample_network, walk_network
    from nnlc.tables import Table, read_table, write_table
    from nnlc.tables.frames import Tables, load_tables

__version__ = "0.1.0"

_HOME = {
    "Campaign": "nnlc.campaign",
    "load_campaign": "nnlc.campaign",
    "NnlcError": "nnlc.errors",
    "ImageSet": "nnlc.networks",
    "NetworkSpec": "nnlc.networks",
    "SearchSpace": "nnlc.networks",
    "sample_network": "nnlc.networks",
    "walk_network": "nnlc.networks",
    "Table": "nnlc.tables",
    "Tables": "nnlc.tables.frames",
    "load_tables": "nnlc.tables.frames",
    "metrics": "nnlc.analysis.metrics",
    "aggregate_csv": "nnlc.analysis.csvfiles",
    "read_table": "nnlc.tables",
    "write_table": "nnlc.tables",
}

__all__ = [
    "Campaign",
    "ImageSet",
    "NetworkSpec",
    "NnlcError",
    "SearchSpace",
    "Table",
    "Tables",
    "__version__",
    "aggregate_csv",
    "load_campaign",
    "load_tables",
    "metrics",
    "read_table",
    "sample_network",
    "walk_network",
    "write_table",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'nnlc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
