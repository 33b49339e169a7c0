"""Paths of all files and folders in a results folder.

results/<campaign>/
  campaign.toml               the campaign; another campaign is refused
  <dataset>_models/<ID>.txt   one table for each finished network
  checkpoints/                networks under way: nnlc.training.checkpoint
  weights/<ID>.safetensors    weights of a finished network: nnlc.training.kept_weights
  journal/                    events, one file for each job; bad_nodes: nnlc.results.bad_nodes
  leases/                     which job trains which network: nnlc.ranks.leases
  jobs/                       submitted scripts and campaigns, and the jobs' IDs
  logs/                       output of submitted jobs, by their IDs
  machines.toml               fitted speed of the devices: nnlc.calibration.machines
  costs.json                  counted costs of own families' networks: nnlc.families.costs_file
  aside/<number>/             damaged or foreign tables: nnlc.results.retry

Deleting anything except tables and weights loses training time, but no finished network.
"""

from pathlib import Path

from nnlc.networks import ImageSet, Specification
from nnlc.tables import folder_names as names


def results_path(given: Path | None, campaign: str) -> Path:
    """Return the path of a results folder; by default, results/<campaign>."""
    return given or Path("results") / campaign


class ResultsPaths:
    """Paths in a results folder, which need not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.campaign_file = path / names.CAMPAIGN_FILE
        self.machines_file = path / names.MACHINES_FILE
        self.costs_file = path / names.COSTS_FILE
        self.journal_folder = path / names.JOURNAL
        self.bad_nodes_file = self.journal_folder / names.BAD_NODES
        self.checkpoints_folder = path / names.CHECKPOINTS
        self.weights_folder = path / names.WEIGHTS
        self.leases_folder = path / names.LEASES
        self.jobs_folder = path / names.JOBS
        self.logs_folder = path / names.LOGS
        self.aside_folder = path / names.ASIDE

    def models_folder(self, images: ImageSet) -> Path:
        """Return the path of the folder for an image set's tables."""
        return self.path / names.models_name(images.name)

    def table_path(self, images: ImageSet, spec: Specification) -> Path:
        """Return the path of a network's table."""
        return self.models_folder(images) / names.table_name(spec.id)

    def weights_path(self, id: str) -> Path:
        """Return the path of a network's kept weights."""
        return self.weights_folder / f"{id}{names.SAFETENSORS}"

    def _mark(self, token: str) -> Path:
        return self.checkpoints_folder / f".seen-by-all.{token}"

    @property
    def _write_test(self) -> Path:
        return self.journal_folder / ".write-test"
