"""Names of the files and folders in a results folder or a collection, and file name endings.

They are in this room because the search for tables must skip all that are not tables.
`nnlc.results.paths` builds paths from these names.
"""

CAMPAIGN_FILE = "campaign.toml"
MACHINES_FILE = "machines.toml"
COSTS_FILE = "costs.json"
PROVENANCE_FILE, CAMPAIGNS = "provenance.csv", "campaigns"
IMPORTED_CURVES, IMPORTED_NETWORKS = "imported_curves.csv", "imported_networks.csv"
"""Files of a folder that `nnlc import --csv` wrote; it is recognised by the first of them."""
JOURNAL, CHECKPOINTS, WEIGHTS, LEASES = "journal", "checkpoints", "weights", "leases"
JOBS, LOGS, ASIDE = "jobs", "logs", "aside"

PARTS = {
    CAMPAIGN_FILE: {
        *(CAMPAIGN_FILE, MACHINES_FILE, COSTS_FILE, JOURNAL, CHECKPOINTS, WEIGHTS, LEASES),
        *(JOBS, LOGS, ASIDE),
    },
    PROVENANCE_FILE: {PROVENANCE_FILE, CAMPAIGNS, JOURNAL, WEIGHTS},
}
"""Names of files and folders that are not tables, in a results folder and in a collection; the key
is the file by which nnlc recognises such a folder."""
PART_NAMES = frozenset().union(*PARTS.values())
"""Names that no folder of tables should have."""

TABLE = ".txt"
MODELS = "_models"
EVENTS, PROGRESS = ".jsonl", ".progress.json"
BAD_NODES = "bad_nodes"
"""File in the folder of the journal that lists the nodes that the next job leaves out."""
LEASE, HEARTBEAT = ".lease", ".job"
CHECKPOINT, SAFETENSORS = ".ckpt", ".safetensors"


def table_name(id: str) -> str:
    """Return the file name of a network's table."""
    return id + TABLE


def models_name(images: str) -> str:
    """Return the name of the folder that holds an image set's tables."""
    return images + MODELS
