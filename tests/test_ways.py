"""Ways of computing convolutions: campaigns of before stay direct, light networks stay the same."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gatherer_jobs import Job
from small_networks import SAMPLE, spec

from nnlc import rebuild
from nnlc.campaign.campaign import CampaignNetwork, load_campaign
from nnlc.families import arithmetic
from nnlc.families.arithmetic import arithmetic_of, older_ways, settings_for
from nnlc.families.article import convolution_buffers, layers, walk_network
from nnlc.families.article.conditions import Conditions, conditions_of
from nnlc.families.article.convolution_plan import plan_convolution
from nnlc.families.article.family import ARTICLE, ArticleFamily
from nnlc.families.article.memory import memory_bytes
from nnlc.families.article.modules import convolution
from nnlc.families.article.modules.network import Network
from nnlc.networks.machine import CPU
from nnlc.networks.recipe import TrainingSection
from nnlc.ranks.backlog import Backlog
from nnlc.results.campaign_file import FORMAT, FORMATS
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import Finish
from nnlc.results.journal import Journal
from nnlc.system.newer_format import version_numbers
from nnlc.tables import Row, Table, write_table
from nnlc.verification.differences import Difference
from nnlc.verification.verdicts import Verdict
from nnlc.verification.verify_text import verdict_lines

OLD = Path(__file__).parent / "old"
BEFORE = ["0.1.0", "0.2.0"]
AUTO, DIRECT = TrainingSection(), TrainingSection(convolutions="direct")
LIGHT = spec(
    layer_types=(1, 1),
    conv_kernels=(3, 2),
    conv_strides=(1, 9),
    conv_paddings=(0, 0),
    conv_filters=(4, 4),
    pool_kernels=(),
    pool_strides=(),
    pool_paddings=(),
    batch_size=20,
)
HEAVY = replace(LIGHT, conv_kernels=(3, 13), conv_strides=(1, 1), conv_filters=(64, 64))


@pytest.fixture
def asked(monkeypatch):
    """Conditions under which plans of convolutions are asked."""
    found = set()

    def plan(layer, conditions):
        found.add(conditions)
        return plan_convolution(layer, conditions)

    for module in (layers, convolution_buffers, convolution):
        monkeypatch.setattr(module, "plan_convolution", plan)
    return found


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_networks_in_which_no_other_way_is_chosen_keep_arithmetic_and_plans(device):
    """A module computes what its plan says."""
    paper, light = load_campaign("paper"), 0
    few = {
        name: section.model_copy(update={"networks_per_depth": 3})
        for name, section in paper.datasets.items()
    }
    for n in paper.model_copy(update={"datasets": few}).networks():
        about = n.spec, n.images
        assert arithmetic_of(*about, DIRECT, device) == "1"
        if arithmetic_of(*about, AUTO, device) == "1":
            light += 1
            for layer in walk_network(*about).layers:
                if layer.kind == "convolution":
                    auto, direct = (
                        plan_convolution(layer, conditions_of(n.spec, settings, device))
                        for settings in (AUTO, DIRECT)
                    )
                    assert auto == direct
    assert light >= 30


def test_module_and_predictions_ask_under_the_conditions_of_the_training(asked):
    walk = walk_network(HEAVY, SAMPLE)
    for settings in (AUTO, DIRECT):
        for ask in (
            lambda chosen: Network(walk, HEAVY, chosen),
            lambda chosen: ARTICLE.predict_seconds(HEAVY, SAMPLE, 1, CPU, chosen, "cpu"),
            lambda chosen: memory_bytes(HEAVY, SAMPLE, chosen, "cpu"),
        ):
            asked.clear()
            ask(settings)
            assert asked == {Conditions(20, "cpu", settings.convolutions)}


def gradient_of(network, settings) -> torch.Tensor:
    """Return the gradient of the first convolution's weights after a step on random pixels."""
    torch.manual_seed(1)
    module = Network(walk_network(network, SAMPLE), network, settings)
    module(torch.randn(5, 1, 28, 28)).square().sum().backward()
    return module[0].weight.grad


def test_a_network_with_another_way_has_arithmetic_2_and_other_bits_unless_it_stays_direct():
    for network, words in ((LIGHT, "1"), (HEAVY, "2")):
        before, now = gradient_of(network, DIRECT), gradient_of(network, AUTO)
        assert torch.equal(before, now) == (words == "1")
        torch.testing.assert_close(before, now)
        assert arithmetic_of(network, SAMPLE, AUTO, "cpu") == words
        assert arithmetic_of(network, SAMPLE, DIRECT, "cpu") == "1"
    assert older_ways("1", HEAVY, SAMPLE, AUTO, "cpu") == ['training.convolutions = "direct"']
    assert settings_for("1", HEAVY, SAMPLE, AUTO, "cpu") == DIRECT
    assert settings_for("2", HEAVY, SAMPLE, DIRECT, "cpu") == AUTO


@pytest.mark.parametrize("version", BEFORE)
def test_a_campaign_that_was_begun_before_stays_direct_by_itself(asked, version, tmp_path):
    results = ResultsFolder(OLD / version / "half-done")
    [copy] = results.jobs_folder.glob("*.toml")
    assert results.campaign().training == DIRECT
    for campaign in (OLD / version / "half.toml", copy, results.campaign_file):
        assert results.resolve(load_campaign(campaign)).training == DIRECT
    assert ResultsFolder(tmp_path).resolve(load_campaign(copy)).training == AUTO
    table = min(results.path.glob("*_models/*.txt"))
    rebuild(table, plain=False)
    assert {conditions.convolutions for conditions in asked} == {"direct"}


def test_a_campaign_toml_says_that_nnlc_before_its_last_new_setting_can_not_read_it():
    choosing = [change.release for change in arithmetic.CHANGES if change.keeps]
    assert version_numbers(FORMATS[FORMAT]) >= max(map(version_numbers, choosing))


def test_a_table_without_a_campaign_that_differs_may_be_an_older_ones(tmp_path):
    other = (Difference(2, 1, "valLoss", "1", "2"),)
    for rows, words, told in ((other, "2", True), (other, "1", False), ((), "2", False)):
        verdict = Verdict(
            path=tmp_path, half_epochs=1, rows=rows, arithmetic=words, is_assumed=True
        )
        assert ('its campaign, with training.convolutions = "direct"' in _text(verdict)) == told


def _text(verdict: Verdict) -> str:
    return " ".join(verdict_lines(verdict))


@pytest.mark.parametrize(("recorded", "convolutions"), [("1", "direct"), ("2", "auto")])
def test_a_table_is_rebuilt_in_the_arithmetic_that_its_journal_recorded(
    asked, tmp_path, recorded, convolutions
):
    path = tmp_path / "F-MNIST-sample_models" / f"{HEAVY.id}.txt"
    path.parent.mkdir()
    write_table(Table(HEAVY, [Row(2.0, 2.0, 10.0)]), path)
    versions = {"nnlc": "0.3.0", "arithmetic": recorded}
    (tmp_path / "journal").mkdir()
    Journal(tmp_path / "journal").write("finish", id=HEAVY.id, versions=versions)
    rebuild(path, plain=False)
    assert {conditions.convolutions for conditions in asked} == {convolutions}


def test_a_job_learns_from_earlier_networks_by_the_ways_in_which_they_were_trained(
    tmp_path, monkeypatch
):
    job, found = Job(tmp_path), []
    monkeypatch.setattr(ArticleFamily, "predict_seconds", lambda *by: found.append(by[5]) or 1)
    backlog = Backlog([], job.campaign, job.results, job.leases, CPU, "cpu")
    for recorded in ("1", "2"):
        finish = Finish(versions={"nnlc": "0.3.0", "arithmetic": recorded})
        backlog.remember(CampaignNetwork(0, SAMPLE, HEAVY, ARTICLE), finish, 1.0)
    assert found == [DIRECT, AUTO]
