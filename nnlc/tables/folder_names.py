"""Names of all that stands in a results folder or a collection: files, folders, endings.

They are in this room because the search for tables must know what stands beside them;
`nnlc.results.paths` makes paths of them.
"""

CAMPAIGN_FILE = "campaign.toml"
MACHINES_FILE = "machines.toml"
PROVENANCE_FILE = "provenance.csv"
JOURNAL, CHECKPOINTS, LEASES, JOBS, ASIDE = "journal", "checkpoints", "leases", "jobs", "aside"

PARTS = {
    CAMPAIGN_FILE: {CAMPAIGN_FILE, MACHINES_FILE, JOURNAL, CHECKPOINTS, LEASES, JOBS, ASIDE},
    PROVENANCE_FILE: {PROVENANCE_FILE, JOURNAL},
}
"""Names of the other files and folders beside tables, by the file by which the folder is recognised
as a results folder or a collection."""
PART_NAMES = frozenset().union(*PARTS.values())
"""Names that no folder of tables should have."""

TABLE = ".txt"
MODELS = "_models"
EVENTS, PROGRESS = ".jsonl", ".progress.json"
LEASE, HEARTBEAT = ".lease", ".job"
CHECKPOINT = ".ckpt"


def table_name(id: str) -> str:
    """Return the name of a network's table."""
    return id + TABLE


def models_name(images: str) -> str:
    """Return the name of the folder of tables of an image set."""
    return images + MODELS
