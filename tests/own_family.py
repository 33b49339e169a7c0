"""A small family that nnlc does not know, as a module beside a campaign file."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from audit_samples import learning
from limits import HANG_SECONDS

from nnlc.campaign.campaign import Campaign, load_campaign
from nnlc.networks import FamilySpec
from nnlc.results.folder import ResultsFolder
from nnlc.tables import Table

MODULE = '''
from dataclasses import dataclass
from nnlc.families import Family, Wrong

@dataclass(frozen=True)
class Ladder(Family):
    """Fully connected layers, as many as the group says, with batch normalisation."""

    name = "ladder"
    version = "1"
    columns = {"widths": "integers", "slope": "number", "bias": "flag", "kind": "text"}
    groups = (1, 2)
    widest: int = 8

    def specify(self, draws, images, group, number):
        return {
            "widths": [draws.integer(2, self.widest, f"width{i}") for i in range(group)],
            "slope": draws.uniform(0.01, 0.2, "slope"),
            "bias": draws.coin("bias"),
            "kind": "leaky",
            "batch_size": 100,
            "learning_rate": 0.05,
            "momentum": 0.5,
        }

    def build(self, spec, images):
        from torch import nn

        layers, inputs = [nn.Flatten()], images.channels * images.width**2
        for width in spec.widths:
            layers += [
                nn.Linear(inputs, width, bias=spec.bias),
                nn.BatchNorm1d(width),
                nn.LeakyReLU(spec.slope),
            ]
            inputs = width
        return nn.Sequential(*layers, nn.Linear(inputs, images.classes))

    def check(self, spec, images):
        if max(spec.widths) > self.widest:
            yield Wrong("widths", f"a width of {max(spec.widths)}", f"at most {self.widest}")
'''
CAMPAIGN = """
name = "ladders"
family = "ladder:Ladder"
seed = 3
stamp = 2026-01-31T12:00:00
epochs = 2

[datasets.F-MNIST-sample]
networks_per_group = 2

[space]
widest = 6
"""


def write_campaign(folder: Path, module: str = MODULE, text: str = CAMPAIGN) -> Path:
    """A campaign file with the family's module beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ladder.py").write_text(module)
    file = folder / "ladders.toml"
    file.write_text(text)
    return file


def write_results(folder: Path, module: str = MODULE) -> Campaign:
    """A results folder with tables of invented curves; its campaign file is in its parent."""
    campaign = load_campaign(write_campaign(folder.parent, module))
    results = ResultsFolder(folder)
    results.open(campaign)
    for network in campaign.networks():
        rows = learning(network.spec, network.images, campaign.half_epochs)
        path = results.table_path(network.images, network.spec)
        path.write_bytes(Table(network.spec, rows).to_bytes())
    return campaign


def tables_of(folder: Path) -> list[Path]:
    return sorted((folder / "F-MNIST-sample_models").glob("*.txt"))


def without_code(folder: Path) -> None:
    """Let a results folder's campaign name a place without the family's module."""
    file = folder / "campaign.toml"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join('folder = "/nowhere"\n' if "folder =" in one else one for one in lines))


def changed(spec: FamilySpec, **own: object) -> FamilySpec:
    """A network with other values of its own columns."""
    values = tuple((name, kind, own.get(name, value)) for name, kind, value in spec.own)
    return replace(spec, own=values)


def train(folder: Path, text: str = CAMPAIGN) -> Path:
    """A results folder of a real job on one rank."""
    file = write_campaign(folder, text=text)
    results = folder / "r"
    subprocess.run(
        [sys.executable, "-m", "nnlc.worker", file, "--results", results],
        check=True,
        capture_output=True,
        timeout=HANG_SECONDS,
    )
    return results
