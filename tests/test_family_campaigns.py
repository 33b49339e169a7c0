"""Campaign files of other families than the article's: their settings, words for groups, growth."""

import numpy as np
import pytest
from campaign_files import refusal
from own_family import CAMPAIGN, MODULE, write_campaign, write_results
from test_family_loading import forgotten  # noqa: F401  (a fixture)
from typer.testing import CliRunner

from nnlc.campaign.campaign import load_campaign, parse_campaign
from nnlc.cli import app
from nnlc.families import loading
from nnlc.results.campaign_file import read_campaign_file
from nnlc.results.folder import ResultsFolder

GROUPS = "datasets.F-MNIST-sample"
MISTAKES = {
    "an unknown setting": ("widest = 6", "wide = 6", "space.wide", ["did you mean 'widest'"]),
    "text for a number": ("widest = 6", 'widest = "6"', "space.widest", ["whole number", '"6"']),
    "float for a number": ("widest = 6", "widest = 6.5", "space.widest", ["whole number", "6.5"]),
    "no table": ("[space]\nwidest = 6", "", "space", ["must be a table", "3"]),
    "the article's word": (
        "networks_per_group",
        "networks_per_depth",
        f"{GROUPS}.networks_per_depth",
        ["unknown key", "did you mean 'networks_per_group'? (valid: networks_per_group, groups"],
    ),
    "the article's depths": (
        "networks_per_group = 2",
        "networks_per_group = 2\ndepths = [1, 2]",
        f"{GROUPS}.depths",
        ["unknown key; valid: networks_per_group, groups"],
    ),
    "no networks": (
        "networks_per_group = 2",
        "",
        f"{GROUPS}.networks_per_group",
        ["missing; add it, such as networks_per_group = 10"],
    ),
    "one group alone": (
        "networks_per_group = 2",
        "networks_per_group = 2\ngroups = [1]",
        f"{GROUPS}.groups",
        ["must have as many values as [1, 10]; found [1]"],
    ),
    "three groups": (
        "networks_per_group = 2",
        "networks_per_group = 2\ngroups = [1, 2, 3]",
        f"{GROUPS}.groups",
        ["must have as many values as [1, 10]; found [1, 2, 3]"],
    ),
    "a group in words": (
        "networks_per_group = 2",
        'networks_per_group = 2\ngroups = ["a", 2]',
        f"{GROUPS}.groups.0",
        ["must be a whole number"],
    ),
    "groups it has not": (
        "networks_per_group = 2",
        "networks_per_group = 2\ngroups = [1, 3]",
        f"{GROUPS}.groups",
        ["[lowest, highest] within [1, 2]", "[1, 3]"],
    ),
    "groups upside down": (
        "networks_per_group = 2",
        "networks_per_group = 2\ngroups = [2, 1]",
        f"{GROUPS}.groups",
        ["[lowest, highest]"],
    ),
    "no group at all": (
        "networks_per_group = 2",
        "networks_per_group = 0",
        "",
        ["and groups must"],
    ),
    "pooling": ("[space]", '[training]\npooling = "average"\n[space]', "training.pooling", ["own"]),
    "dropout": ("[space]", '[training]\ndropout = "element"\n[space]', "training.dropout", ["own"]),
    "ways of convolutions": (
        "[space]",
        '[training]\nconvolutions = "direct"\n[space]',
        "training.convolutions",
        ["ladder:Ladder builds its own: leave it out"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_in_the_words_of_the_file(mistake, tmp_path):
    old, new, key, words = MISTAKES[mistake]
    assert old in CAMPAIGN
    text = CAMPAIGN.replace(old, new)
    path = write_campaign(tmp_path, text=text if mistake != "no table" else "space = 3\n" + text)
    message = refusal(path)
    assert (f"{path}, key {key}: " if key else f"{path}: ") in message
    assert message.startswith(str(path))
    for word in words:
        assert word in message


def test_a_setting_that_the_class_refuses_is_named_with_its_words(tmp_path):
    check = "    def __post_init__(self):\n        if self.widest == 6:\n            raise {}\n\n"
    for error, words in (
        ('ValueError("not 6")', "key space: not 6"),
        ('KeyError("five")', "key space: KeyError: 'five'"),
    ):
        loading.forget_all()
        module = MODULE.replace("    def specify", check.format(error) + "    def specify")
        assert words in refusal(write_campaign(tmp_path, module))


def test_all_settings_stand_in_campaign_toml_and_are_read_back(tmp_path):
    module = MODULE.replace(
        "widest: int = 8", "widest: int = 8\n    rates: tuple[float, ...] = (1,)"
    )
    campaign = load_campaign(write_campaign(tmp_path, module))
    assert campaign.space == {"widest": 6, "rates": [1.0]}
    results = ResultsFolder(tmp_path / "r")
    results.open(campaign)
    text = results.campaign_file.read_text()
    assert "networks_per_group = 2" in text
    assert "groups = [" in text
    for name in ("depths", "networks_per_depth", "pooling", "convolutions", "dropout"):
        assert name not in text
    assert read_campaign_file(results.campaign_file).campaign == campaign
    assert load_campaign(results.campaign_file) == campaign
    assert parse_campaign(campaign.dump("json"), tmp_path) == campaign


def test_a_file_that_extends_another_has_the_familys_settings_of_both(tmp_path):
    write_campaign(tmp_path)
    more = tmp_path / "more.toml"
    more.write_text(f'extends = "ladders.toml"\n[{GROUPS}]\ngroups = [2, 2]\n[space]\nwidest = 5\n')
    campaign = load_campaign(more)
    assert (campaign.network_count, campaign.space) == (2, {"widest": 5})
    more.write_text('extends = "ladders.toml"\n[space]\nwide = 5\n')
    assert refusal(more).startswith(f"{more}, key space.wide: ")


def test_a_campaign_grows_by_networks_of_a_group_by_groups_and_epochs(tmp_path):
    write_results(tmp_path / "r")
    before = list(ResultsFolder(tmp_path / "r").campaign().networks())
    text = CAMPAIGN.replace("epochs = 2", "epochs = 3").replace("per_group = 2", "per_group = 3")
    larger = write_campaign(tmp_path, text=text)
    done = CliRunner().invoke(app, ["grow", str(tmp_path / "r"), str(larger)])
    assert done.exit_code == 0, done.exception
    assert f"{GROUPS}.networks_per_group: 2 becomes 3" in done.output
    grown = ResultsFolder(tmp_path / "r").campaign()
    after = list(grown.networks())
    assert [n.spec for n in after[:4]] == [n.spec for n in before]
    assert len(after) == 6
    assert len({n.spec.random_seed for n in after}) == 6
    ResultsFolder(tmp_path / "r").check_same(
        load_campaign(larger).model_copy(update={"grown_from": grown.grown_from})
    )
    other = write_campaign(tmp_path, text=text.replace("widest = 6", "widest = 7"))
    told = str(CliRunner().invoke(app, ["grow", str(tmp_path / "r"), str(other)]).exception)
    assert "space.widest is 6 there and 7" in told
    assert "only epochs, networks_per_group, groups and datasets can grow" in told


def test_the_settings_of_a_family_are_explained(tmp_path, monkeypatch):
    documented = MODULE.replace("    widest: int = 8", '    widest: int = 8\n    """Most units."""')
    write_campaign(tmp_path, documented)
    monkeypatch.chdir(tmp_path)
    for name, words in (
        ("ladder:Ladder", "widest whole number; default 8 Most units."),
        ("residual", 'bottleneck "coin", "always" or "never"; default "coin"'),
        ("article", "dropout_rate [lowest, highest], numbers from 0 to 1; default [0.1, 0.7]"),
    ):
        done = CliRunner().invoke(app, ["keys", name])
        assert done.output.startswith(f"[space] of family {name}\n")
        assert words in " ".join(done.output.split())
    for name in ("campaigns", "a b"):
        assert CliRunner().invoke(app, ["keys", name]).exit_code == 1


def test_describe_prints_the_keys_of_another_family(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng, arrays = np.random.default_rng(1), {}
    for split in ("train", "validation"):
        arrays[f"{split}_images"] = rng.integers(0, 255, (40, 1, 8, 8), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(40) % 4
    np.savez("own.npz", **arrays)
    path = write_campaign(tmp_path)
    words = [
        "describe",
        "own.npz",
        "--family",
        "ladder:Ladder",
        "--groups",
        "1-2",
        "--networks",
        "3",
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.exception
    module = MODULE.replace('"batch_size": 100', '"batch_size": 10')
    loading.forget_all()
    campaign = load_campaign(write_campaign(tmp_path, module, f"{CAMPAIGN}\n{done.output}"))
    assert campaign.datasets["own"].networks_per_depth == 3
    refused = CliRunner().invoke(app, [*words[:4], "--groups", "1-9"])
    assert "must be within 1-2" in str(refused.exception)
    assert path.exists()
