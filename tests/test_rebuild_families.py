"""Tables of other families: trained again, built again and drawn, by whatever code is there."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from limits import HANG_SECONDS
from own_family import CAMPAIGN, MODULE, changed, tables_of, train, write_campaign, write_results
from small_networks import bundled_images, spec
from test_cli import run_nnlc

import nnlc
from nnlc.errors import FamilyError, NnlcError
from nnlc.families.registry import make_family
from nnlc.networks import KNOWN_IMAGE_SETS, FamilySpec, network_id
from nnlc.results.folder import ResultsFolder
from nnlc.tables import Row, Table, read_table, write_table
from nnlc.verification.tables_to_verify import Refused, read_tables_to_verify

SAMPLE = KNOWN_IMAGE_SETS["F-MNIST-sample"]
KEPT = f'{CAMPAIGN}\n[run]\nkeep = "final"\n'
RAISES = MODULE.replace("        from torch import nn\n", "        raise ValueError('no rungs')\n")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(tmp_path_factory.mktemp("trained"), KEPT)


@pytest.fixture
def results(trained, tmp_path):
    """The results folder, to be hurt; its campaign names the same code."""
    return shutil.copytree(trained, tmp_path / "r")


@pytest.fixture
def invented(tmp_path):
    """A results folder of tables that nobody trained."""
    write_results(tmp_path / "r")
    return tmp_path / "r"


def residual(**changes):
    """A table of nnlc's own residual family."""
    from nnlc.families.reference import FamilyReference

    family = make_family(FamilyReference(name="residual"), {"width": [4, 4]})
    id_ = network_id(nnlc.load_campaign("smoke").stamp, 0)
    network = family.specification(SAMPLE, 3, 0, 5, id=id_, optimizer="SGD")
    return Table(FamilySpec.from_json(network.to_json() | changes), (Row(1.0, 1.0, 10.0),))


def alone(table, folder):
    path = folder / "alone" / table.name
    path.parent.mkdir(exist_ok=True)
    shutil.copy(table, path)
    return path


def test_a_familys_tables_are_trained_again_to_the_same_bytes_with_their_campaign(results):
    path = tables_of(results)[0]
    table = read_table(path)
    path.unlink()
    write_table(Table(changed(table.spec, kind="flat"), table.rows), path)
    done = run_nnlc("verify", results)
    assert (done.returncode, done.stderr) == (3, "")
    assert "3 of 4 identical" in done.stdout
    assert "column 21 (kind:text)" in done.stdout


def test_a_table_alone_is_not_trained_again_and_told_to_need_its_campaign(trained, tmp_path):
    table = alone(tables_of(trained)[0], tmp_path)
    done = run_nnlc("verify", table)
    assert done.returncode == 3
    assert "family ladder@1 are trained again only with their campaign.toml" in done.stdout
    done = run_nnlc("verify", table, "--campaign", trained, "--half-epochs", 1)
    assert "1 of 1 identical" in done.stdout


def test_other_code_than_the_campaigns_trains_nothing_again(tmp_path):
    write_results(tmp_path / "r")
    write_campaign(tmp_path, MODULE.replace("nn.LeakyReLU(spec.slope)", "nn.ReLU()"))
    said = {}
    for command, status in (("verify", 3), ("audit", 0)):  # of a process that loads it anew
        job = subprocess.run(
            [sys.executable, "-m", "nnlc", command, tmp_path / "r"],
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        )
        assert (job.returncode, job.stderr) == (status, "")
        said[command] = job.stdout
    assert said["verify"].count("family ladder@1: its code has changed") == 1
    assert "0 of 4 identical" in said["verify"]
    assert said["audit"].count("family ladder@1: its code has changed") == 1


@pytest.mark.parametrize("campaign_of", ["smoke", "residual-smoke"])
def test_a_campaign_of_another_family_is_refused_in_words(invented, campaign_of):
    campaign = nnlc.load_campaign(campaign_of)
    [refused, *_], _ = read_tables_to_verify([invented], campaign)
    label = campaign.network_family.label
    assert isinstance(refused, Refused)
    assert f"its table is of family ladder@1, and the code here of {label}" in refused.reason
    with pytest.raises(NnlcError, match=f"of family ladder@1, and the code here of {label}"):
        nnlc.rebuild(tables_of(invented)[0], campaign=campaign)
    with pytest.raises(NnlcError, match="of family article, and the code here of ladder@1"):
        nnlc.rebuild(Table(spec(), (Row(1.0, 1.0, 10.0),)), campaign=invented)


@pytest.mark.parametrize("plain", [True, False])
def test_kept_weights_give_the_tables_last_accuracy(trained, plain):
    path = tables_of(trained)[-1]
    network = nnlc.rebuild(path, plain=plain, weights="final")
    assert [type(layer).__name__ for layer in network][:3] == ["Flatten", "Linear", "BatchNorm1d"]
    assert network[2].num_batches_tracked == 2 * 40
    images = bundled_images()
    pixels = torch.tensor(np.asarray(images.validation_images), dtype=torch.float32) / 255
    with torch.no_grad():
        scores = network.eval()(pixels.reshape(-1, 1, 28, 28))
    right = (scores.argmax(1).numpy() == images.validation_labels).mean()
    assert 100 * right == read_table(path).rows[-1].val_accuracy_percent


def test_initial_weights_are_those_of_the_seed_and_leave_the_callers_stream_alone(invented):
    first, second, *_ = tables_of(invented)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    weights = [nnlc.rebuild(path)[1].weight for path in (first, first, second)]
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0][:2], weights[2][:2])


def test_a_table_alone_is_built_by_the_installed_family_of_its_version(tmp_path):
    write_table(residual(), tmp_path / "t.txt")
    network = nnlc.rebuild(tmp_path / "t.txt")
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    text = run_nnlc("rebuild", tmp_path / "t.txt").stdout
    assert "BatchNorm2d" in text
    assert "nnlc's defaults, as no campaign is known" in text


def test_another_version_and_other_columns_are_refused_in_words():
    with pytest.raises(FamilyError, match="of family residual@9, and residual@1 is installed"):
        nnlc.rebuild(residual(family="residual@9"))
    with pytest.raises(FamilyError, match="the columns depth:integer, but family residual@1 has"):
        nnlc.rebuild(residual(own=[["depth", "integer", 3]]))
    with pytest.raises(FamilyError, match=r"no family of this name.*or name its campaign"):
        nnlc.rebuild(residual(family="gone@1"))


def test_a_build_that_raises_is_told_in_words(tmp_path):
    write_results(tmp_path / "r", RAISES)
    with pytest.raises(FamilyError, match="build raised ValueError: no rungs"):
        nnlc.rebuild(tables_of(tmp_path / "r")[0])
    done = run_nnlc("show", tables_of(tmp_path / "r")[0])
    assert done.returncode == 0
    assert "no layers can be shown: " in done.stdout
    assert "no rungs" in done.stdout


def test_the_source_of_anothers_code_is_not_printed_but_its_class_is_named(invented):
    done = run_nnlc("rebuild", tables_of(invented)[0], "--python")
    assert (done.returncode, done.stdout) == (1, "")
    assert "class Ladder of module ladder" in done.stderr
    assert "nnlc.rebuild(TABLE)" in done.stderr


def test_layers_are_drawn_with_shapes_and_parameters_as_they_are_called(invented):
    path = tables_of(invented)[-1]
    network = nnlc.rebuild(path)
    first, second = read_table(path).spec.widths
    for command in ("show", "rebuild"):
        lines = [line.split() for line in run_nnlc(command, path).stdout.splitlines()]
        start = lines.index(["input", "1×28×28"])
        drawn = lines[start + 1 : start + 9]
        assert [words[0] for words in drawn[:-1]] == [*(type(one).__name__ for one in network[:7])]
        assert drawn[1][1:] == [f"{first}", f"{sum(p.numel() for p in network[1].parameters()):,}"]
        assert drawn[4][1] == f"{second}"
        total = next(words for words in lines if words[:1] == ["sum"])
        assert total[1] == f"{sum(one.numel() for one in network.parameters()):,}"


def test_layers_of_the_familys_own_are_drawn_and_its_mistakes_told(tmp_path):
    own = (
        MODULE
        + """
    def layers(self, spec, images):
        yield Layer("rung", (spec.widths[0],), 7)
        if spec.bias:
            yield None
"""
    )
    own = own.replace("import Family, Wrong", "import Family, Layer, Wrong")
    write_results(tmp_path / "r", own)
    by_bias = {read_table(path).spec.bias: path for path in tables_of(tmp_path / "r")}
    drawn = run_nnlc("show", by_bias[False]).stdout.splitlines()
    width = read_table(by_bias[False]).spec.widths[0]
    assert ["rung", f"{width}", "7"] in [line.split() for line in drawn]
    assert ["sum", "7"] in [line.split() for line in drawn]
    done = run_nnlc("show", by_bias[True])
    assert done.returncode == 0
    assert "no layers can be shown" in done.stdout
    assert "layers of ladder@1: TypeError" in done.stdout


def test_modules_with_windows_own_parameters_or_shared_ones_are_counted_once(tmp_path):
    own = MODULE.replace(
        "        return nn.Sequential(",
        """
        class Scaled(nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = nn.Parameter(torch.ones(1))
                self.pool = nn.MaxPool2d(2)
                self.tied = nn.Linear(14, 14, bias=False)
                self.again = nn.Linear(14, 14, bias=False)
                self.again.weight = self.tied.weight
                self.unused = nn.Identity()

            def forward(self, pixels):
                return self.again(self.tied(self.pool(self.scale * pixels)))

        layers[1] = nn.Linear(196 * images.channels, spec.widths[0])
        layers.insert(0, Scaled())
        return nn.Sequential(""",
    ).replace(
        "        from torch import nn\n", "        import torch\n        from torch import nn\n"
    )
    write_results(tmp_path / "r", own)
    path = tables_of(tmp_path / "r")[0]
    lines = run_nnlc("show", path).stdout.splitlines()
    total = sum(one.numel() for one in nnlc.rebuild(path).parameters())
    assert ["sum", f"{total:,}"] in [line.split() for line in lines]
    drawn = [line[:34].strip() for line in lines]
    assert drawn[drawn.index("MaxPool2d 2×2 stride 2") :][1:4] == ["Linear", "Linear", "Scaled"]
    assert "Identity" not in drawn


def test_without_the_code_the_tables_own_values_are_shown(invented, tmp_path):
    path = alone(tables_of(invented)[0], tmp_path)
    done = run_nnlc("show", path)
    assert done.returncode == 0
    spec = read_table(path).spec
    for line in ("family ladder@1", f"slope: {spec.slope}", "kind: leaky", f"bias: {spec.bias}"):
        assert line in done.stdout.splitlines()
    assert "no layers can be shown: family ladder: " in done.stdout
    assert "validation accuracy" in done.stdout
    assert ResultsFolder(invented).campaign().name == "ladders"
