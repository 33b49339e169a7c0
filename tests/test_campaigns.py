"""Campaign files: what is shipped loads, files extend one another, and mistakes are explained.

Every refusal names the file and the key and says what would be right.
"""

from datetime import datetime
from pathlib import Path

import pytest
from campaign_files import HEAD, OWN, PLAIN, refusal

from nnlc.campaign.campaign import find_campaign, load_campaign, parse_campaign
from nnlc.errors import CampaignError
from nnlc.families.article import SearchSpace
from nnlc.results.campaign_file import campaign_file
from nnlc.system.shipped import shipped_names

# ---- what is shipped


def test_the_shipped_campaigns_are_these():
    assert list(shipped_names("jobs", ".toml")) == [
        *("curves", "fashion-mnist", "paper", "residual", "residual-smoke", "smoke")
    ]


@pytest.mark.parametrize(
    ("name", "networks", "epochs", "half_epochs"),
    [
        ("curves", 80, 20, 40),
        ("fashion-mnist", 16, 10, 20),
        ("paper", 6_000, 40, 80),
        ("residual", 1_000, 60, 120),
        ("residual-smoke", 4, 4, 8),
        ("smoke", 8, 5, 10),
    ],
)
def test_a_shipped_campaign_loads_by_its_name_and_by_its_path(name, networks, epochs, half_epochs):
    campaign = load_campaign(name)
    assert campaign == load_campaign(find_campaign(name))
    assert (campaign.name, campaign.epochs, campaign.half_epochs) == (name, epochs, half_epochs)
    assert sum(1 for _ in campaign.networks()) == networks


def test_the_paper_campaign_is_the_articles():
    campaign = load_campaign("paper")
    assert campaign.space == SearchSpace()
    assert campaign.training.model_dump() == {
        "pixels": "unit",
        "pooling": "max",
        "dropout": "element",
        "truncate": "dataset",
        "convolutions": "auto",
        "optimizer": "SGD",
        "betas": (0.9, 0.999),  # of other optimizers
        "eps": 1e-8,
        "schedule": "constant",
        "step_epochs": 30,  # of other schedules, as the two below
        "step_factor": 0.1,
        "last_rate": 0.0,
        "warmup_epochs": 0,
        "label_smoothing": 0.0,
        "augmentation": (),
    }
    images = campaign.image_sets()
    assert list(images) == ["CIFAR-100", "F-MNIST", "SVHN"]
    sizes = [(i.train_images, i.validation_images) for i in images.values()]
    assert sizes == [(50_000, 10_000), (60_000, 10_000), (373_257, 26_032)]


@pytest.mark.parametrize(
    ("train", "images"),
    [("train", 73_257), ("train+extra300000", 373_257), ("train+extra", 604_388)],
)
def test_the_training_split_of_svhn_is_a_choice(write, train, images):
    text = f'extends = "paper"\n[datasets.SVHN]\ntrain = "{train}"\n'
    assert load_campaign(write(text)).image_sets()["SVHN"].train_images == images


def test_a_file_with_the_fewest_keys_gets_the_articles_defaults(write):
    campaign = load_campaign(write(PLAIN))
    assert (campaign.epochs, campaign.space) == (40, SearchSpace())
    assert campaign.datasets["F-MNIST"].depths == (1, 10)
    assert campaign.stamp == datetime(2022, 1, 5)


def test_values_of_a_results_folder_are_checked_like_a_file():
    values = {"name": "a", "seed": 1, "stamp": datetime(2022, 1, 5), "datasets": {}}
    with pytest.raises(CampaignError, match=r"record\.toml, key datasets"):
        parse_campaign(values, Path("record.toml"))
    values["datasets"] = {"SVHN": {"networks_per_depth": 2}}
    assert parse_campaign(values, Path("record.toml")).name == "a"


# ---- extends


def test_extending_by_name_replaces_what_is_said_and_keeps_the_rest(write):
    text = """
    extends = "paper"
    epochs = 3
    [datasets.SVHN]
    train = "train"
    [datasets.F-MNIST]
    networks_per_depth = 0
    [space]
    padding = [0, 1]
    [training]
    pixels = "standardised"
    """
    paper, mine = load_campaign("paper"), load_campaign(write(text))
    assert (mine.name, mine.seed, mine.stamp, mine.epochs) == ("paper", paper.seed, paper.stamp, 3)
    assert mine.datasets["SVHN"].networks_per_depth == 200
    assert mine.datasets["SVHN"].train == "train"
    assert mine.datasets["CIFAR-100"] == paper.datasets["CIFAR-100"]
    assert (mine.space.padding, mine.space.kernel) == ((0, 1), paper.space.kernel)
    assert (mine.training.pixels, mine.training.pooling) == ("standardised", "max")


def test_a_dataset_without_networks_per_depth_is_dropped(write):
    text = 'extends = "paper"\n[datasets.F-MNIST]\nnetworks_per_depth = 0\n'
    campaign = load_campaign(write(text))
    assert list(campaign.image_sets()) == ["CIFAR-100", "SVHN"]
    assert {network.images.name for network in campaign.networks()} == {"CIFAR-100", "SVHN"}


def test_a_dropped_dataset_changes_no_network_of_another_but_its_id(write):
    text = 'extends = "paper"\n[datasets.CIFAR-100]\nnetworks_per_depth = 0\n'
    kept = [n.spec.random_seed for n in load_campaign(write(text)).networks()]
    assert kept == [n.spec.random_seed for n in load_campaign("paper").networks()][2_000:]


def test_extending_by_a_path_is_relative_to_the_file_that_says_it(write, monkeypatch):
    write(PLAIN + "[space]\npadding = [1, 2]\nkernel = [1, 3]\n", "base/root.toml")
    write('extends = "../base/root.toml"\nepochs = 7\n[space]\nkernel = [2, 4]\n', "mid/mid.toml")
    path = write('extends = "mid/mid.toml"\nseed = 9\n', "top.toml")
    monkeypatch.chdir("/")
    campaign = load_campaign(path)
    assert (campaign.name, campaign.seed, campaign.epochs) == ("mine", 9, 7)
    assert (campaign.space.kernel, campaign.space.padding) == ((2, 4), (1, 2))


def test_a_list_is_replaced_whole(write):
    write(PLAIN + "[space]\nblocks = [1, 2, 3]\n", "base.toml")
    path = write('extends = "base.toml"\n[space]\nblocks = [4]\n')
    assert load_campaign(path).space.blocks == (4,)


def test_repeated_blocks_that_may_be_meant_as_weights_are_told_once(write, capsys):
    path = write(PLAIN + "[space]\nblocks = [2, 1, 1, 1, 1, 1, 1]\n")
    load_campaign(path)
    words = capsys.readouterr().err
    assert f"{path}: space.blocks = [2, 1, 1, 1, 1, 1, 1] is a list of codes" in words
    assert "code 1 for 6 of 7 layers, code 2 for 1 of 7 layers" in words
    load_campaign(path)
    load_campaign(write(PLAIN + "[space]\nblocks = [7, 1, 2, 3, 4, 5, 6]\n", "other.toml"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["learning_rate_exponent", "weight_decay_exponent"])
def test_exponents_that_may_be_meant_as_the_values_themselves_are_told(write, capsys, name):
    path = write(PLAIN + f"[space]\n{name} = [0.001, 0.1]\n")
    load_campaign(path)
    words = f"{path}: space.{name} = [0.001, 0.1] are powers of ten: the values are 1.002 to 1.259"
    assert words in capsys.readouterr().err
    load_campaign(write(PLAIN + f"[space]\n{name} = [-3.0, 0.5]\n", "other.toml"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_circle_is_refused(write, length):
    for i in range(length):
        path = write(f'extends = "c{(i + 1) % length}.toml"\n', f"c{i}.toml")
    text = refusal(path)
    assert "extends itself" in text
    assert path.name in text


def test_a_circle_through_another_spelling_of_the_path_is_refused(write):
    path = write('extends = "../mine/mine.toml"\n', "mine/mine.toml")
    assert "extends itself" in refusal(path)


def test_a_mistake_is_blamed_on_the_file_that_says_it(write):
    base = write(PLAIN + '[training]\npooling = "median"\n', "base.toml")
    top = write('extends = "base.toml"\nepochs = "many"\n', "top.toml")
    lines = refusal(top).splitlines()
    assert len(lines) == 2
    assert any(line.startswith(f"{top}, key epochs: ") for line in lines)
    assert any(line.startswith(f"{base}, key training.pooling: ") for line in lines)


@pytest.mark.parametrize("space", ["batch_size = [40000, 50000]", "filters = [1, 99]"])
def test_a_space_that_does_not_fit_an_inherited_dataset_is_blamed_on_its_own_file(write, space):
    path = write(f'extends = "paper"\n[space]\n{space}\n')
    assert str(path) in refusal(path)


@pytest.mark.parametrize(
    "parent", ["gone.toml", "papper", "folder", "", "a\\u0000.toml", "x" * 300]
)
def test_an_extended_file_that_is_not_there_is_blamed_on_the_file_that_wants_it(write, parent):
    path = write(f'extends = "{parent}"\n')
    (path.parent / "folder").mkdir()
    text = refusal(path)
    assert f"{path}, key extends" in text


# ---- images of one's own


def test_npz_is_relative_to_the_file_that_says_it(write, monkeypatch):
    base = write(HEAD + OWN, "base/base.toml")
    top = write('extends = "base/base.toml"\n', "top.toml")
    monkeypatch.chdir("/")
    expected = str(base.parent.resolve() / "pixels" / "own.npz")
    assert load_campaign(base).datasets["own"].npz == expected
    assert load_campaign(top).datasets["own"].npz == expected


def test_an_absolute_npz_stays_as_it_is(write):
    path = write(HEAD + OWN.replace("pixels/own.npz", "/somewhere/own.npz"))
    assert load_campaign(path).datasets["own"].npz == "/somewhere/own.npz"


def test_networks_fit_the_images_that_npz_promises(write):
    networks = list(load_campaign(write(HEAD + OWN)).networks())
    assert len(networks) == 2
    for network in networks:
        assert (network.images.width, network.images.train_images) == (8, 1_000)
        assert network.spec.dataset == "own"
        assert network.spec.fc_filters[-1] == 3
        assert network.spec.conv_kernels[0] <= 8


def test_a_results_folders_campaign_toml_is_a_campaign_file_and_others_extend_it(
    tmp_path, monkeypatch
):
    recorded = tmp_path / "campaign.toml"
    recorded.write_bytes(campaign_file(load_campaign("curves")))
    assert load_campaign(recorded) == load_campaign("curves")
    (tmp_path / "longer.toml").write_text('extends = "campaign.toml"\nepochs = 30\n')
    assert load_campaign(tmp_path / "longer.toml").epochs == 30
    # A record of an older version lacks newer settings: they get their former values.
    lines = [line for line in recorded.read_text().splitlines() if not line.startswith("pooling")]
    recorded.write_text("\n".join(lines))
    monkeypatch.setattr("nnlc.campaign.campaign.oldest_choices", lambda: {"pooling": "average"})
    assert load_campaign(recorded).training.pooling == "average"
