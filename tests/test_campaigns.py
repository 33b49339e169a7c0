"""Campaign files: what is shipped loads, files extend one another, and mistakes are explained.

Every refusal names the file and the key and says what would be right.
"""

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from nnlc.campaign import find_campaign, load_campaign, parse_campaign
from nnlc.errors import CampaignError
from nnlc.networks import SearchSpace
from nnlc.shipped import shipped_names

HEAD = 'name = "mine"\nseed = 1\nstamp = 2022-01-05T00:00:00\n'
IMAGES = "[datasets.F-MNIST]\nnetworks_per_depth = 1\n"
PLAIN = HEAD + IMAGES
OWN = """
[datasets.own]
networks_per_depth = 1
depths = [1, 2]
npz = "pixels/own.npz"
sha256 = "00000000000000000000000000000000000000000000000000000000000000ff"
channels = 1
width = 8
classes = 3
train_images = 1000
validation_images = 300
"""


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="mine.toml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


def refusal(path) -> str:
    """What a user is told; never in the words of the library that checks."""
    with pytest.raises(CampaignError) as caught:
        load_campaign(path)
    message = str(caught.value)
    for word in ("pydantic", "Traceback", "ValidationError", "For further information"):
        assert word not in message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


# ---- what is shipped


def test_the_shipped_campaigns_are_these():
    assert list(shipped_names("jobs", ".toml")) == ["fashion-mnist", "paper", "smoke"]


@pytest.mark.parametrize(
    ("name", "networks", "epochs", "half_epochs"),
    [("fashion-mnist", 16, 10, 20), ("paper", 6_000, 40, 80), ("smoke", 8, 5, 10)],
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


# ---- mistakes: what is written, the key that must be named, words that say what is right


def own(old, new):
    assert old in OWN
    return HEAD + OWN.replace(old, new)


def head(old, new):
    assert old in HEAD
    return HEAD.replace(old, new) + IMAGES


def with_space(line):
    return PLAIN + f"[space]\n{line}\n"


SVHN = "[datasets.SVHN]\nnetworks_per_depth = 1\n"
MISTAKES = {
    # unknown keys, at every level
    "key of the file": (HEAD + "epoch = 3\n" + IMAGES, "epoch", ["did you mean 'epochs'"]),
    "key extends misspelt": (HEAD + 'extend = "paper"\n' + IMAGES, "extend", ["'extends'"]),
    "table of the file": (PLAIN + "[spaces]\npadding = [0, 1]\n", "spaces", ["'space'"]),
    "key of a dataset": (PLAIN + "depth = [1, 2]\n", "datasets.F-MNIST.depth", ["'depths'"]),
    "key of training": (PLAIN + '[training]\npixel = "unit"\n', "training.pixel", ["'pixels'"]),
    "key of run": (PLAIN + "[run]\nattempt = 3\n", "run.attempt", ["'attempts'"]),
    "key of the space": (with_space("kernels = [1, 3]"), "space.kernels", ["'kernel'", "stride"]),
    # missing keys
    "no name": (head('name = "mine"\n', ""), "name", ["missing"]),
    "no seed": (head("seed = 1\n", ""), "seed", ["missing"]),
    "no stamp": (head("stamp = 2022-01-05T00:00:00\n", ""), "stamp", ["missing"]),
    "no datasets": (HEAD, "datasets", ["missing"]),
    "no dataset": (HEAD + "[datasets]\n", "datasets", ["at least 1"]),
    "no networks_per_depth": (
        HEAD + "[datasets.SVHN]\n",
        "datasets.SVHN.networks_per_depth",
        ["missing"],
    ),
    # wrong types
    "text for a number": (head("seed = 1", 'seed = "1"'), "seed", ["integer", '"1"']),
    "float for a whole number": (HEAD + "epochs = 40.0\n" + IMAGES, "epochs", ["integer", "40.0"]),
    "truth for a whole number": (HEAD + "epochs = true\n" + IMAGES, "epochs", ["integer", "true"]),
    "number for text": (head('"mine"', "3"), "name", ["string", "3"]),
    "list for the datasets": (HEAD + "datasets = [1]\n", "datasets", ["[1]"]),
    "list for a table": (HEAD + 'training = ["max"]\n' + IMAGES, "training", ['["max"]']),
    "number for a table": (HEAD + "space = 3\n" + IMAGES, "space", ["3"]),
    "number for a dataset": (HEAD + "[datasets]\nSVHN = 200\n", "datasets.SVHN", ["200"]),
    "number for a range": (with_space("padding = 4"), "space.padding", ["4"]),
    "a range of three": (with_space("padding = [0, 1, 2]"), "space.padding", ["2"]),
    "a range of one": (with_space("padding = [0]"), "space.padding", []),
    "text in a range": (with_space('fc_units = ["1", 4]'), "space.fc_units", ["integer"]),
    "float in a range": (with_space("fc_units = [1, 4.5]"), "space.fc_units", ["integer"]),
    "truth in a range": (with_space("dropout_rate = [false, true]"), "space.dropout_rate", []),
    "truth for a coin": (with_space("momentum = true"), "space.momentum", ["'always'"]),
    "another word for a coin": (with_space('momentum = "maybe"'), "space.momentum", ["'never'"]),
    "extends a number": ("extends = 3\n", "extends", ["name or path", "text"]),
    "extends a list": ('extends = ["paper"]\n', "extends", ["name or path", "text"]),
    # values that make no sense
    "a range of nothing": (with_space("dropout_rate = [0.7, 0.1]"), "dropout_rate", ["smaller"]),
    "a range from nan": (with_space("dropout_rate = [nan, 0.5]"), "dropout_rate", []),
    "a range to nan": (with_space("learning_rate_exponent = [-1.0, nan]"), "learning_rate", []),
    "a range from infinity": (with_space("momentum_exponent = [-inf, 0.0]"), "momentum", ["-30"]),
    "a rate above 1": (with_space("dropout_rate = [0.1, 1.5]"), "dropout_rate", ["1.0"]),
    "a kernel of 0": (with_space("kernel = [0, 3]"), "kernel", ["[1, 1024]"]),
    "no blocks": (with_space("blocks = []"), "blocks", ["1..7"]),
    "a block of nothing": (with_space("blocks = [0]"), "blocks", ["1..7", "ReLU"]),
    "no legal batch size": (with_space("batch_size = [40000, 50000]"), "batch_size", ["even"]),
    "a batch above validation": (with_space("batch_size = [10001, 10002]"), "batch_size", ["fit"]),
    "filters below the classes": (with_space("filters = [1, 9]"), "filters", ["at least 10"]),
    "a negative seed": (head("seed = 1", "seed = -1"), "seed", ["0"]),
    "a seed beyond 63 bits": (head("seed = 1", "seed = 9223372036854775808"), "seed", ["less"]),
    "no epochs": (HEAD + "epochs = 0\n" + IMAGES, "epochs", ["1"]),
    "no attempts": (PLAIN + "[run]\nattempts = 0\n", "run.attempts", ["1"]),
    "negative networks": (
        HEAD + "[datasets.SVHN]\nnetworks_per_depth = -1\n",
        "datasets.SVHN.networks_per_depth",
        ["0"],
    ),
    "a depth of 0": (PLAIN + "depths = [0, 3]\n", "datasets.F-MNIST.depths", ["[1, 100]"]),
    "a depth of 101": (PLAIN + "depths = [1, 101]\n", "datasets.F-MNIST.depths", ["[1, 100]"]),
    "depths upside down": (PLAIN + "depths = [3, 1]\n", "datasets.F-MNIST.depths", ["fewest"]),
    # datasets
    "unknown dataset": (
        PLAIN.replace("F-MNIST", "FMNIST"),
        "datasets.FMNIST",
        ["did you mean 'F-MNIST'", "npz", "nnlc describe"],
    ),
    "a table's word for a dataset": (
        PLAIN.replace("F-MNIST", "CIFAR100"),
        "datasets.CIFAR100",
        ["'CIFAR-100'"],
    ),
    "a split of a dataset without": (
        PLAIN + 'train = "train"\n',
        "datasets.F-MNIST",
        ["train", "SVHN only"],
    ),
    "unknown split": (HEAD + SVHN + 'train = "test"\n', "datasets.SVHN.train", ["'train+extra'"]),
    "facts of a known dataset": (PLAIN + "width = 28\n", "datasets.F-MNIST", ["width", "npz"]),
    "npz without its keys": (
        HEAD + '[datasets.own]\nnetworks_per_depth = 1\nnpz = "a.npz"\nwidth = 8\n',
        "datasets.own",
        ["sha256, channels, classes, train_images, validation_images", "nnlc describe a.npz"],
    ),
    "npz without one key": (own("width = 8\n", ""), "datasets.own", ["npz needs width too"]),
    "npz under a known name": (own("own]", "SVHN]"), "datasets.SVHN", ["not taken"]),
    "npz under a table's word": (own("own]", "CIFAR100]"), "datasets.CIFAR100", ["not taken"]),
    "npz with a split": (own("npz =", 'train = "train"\nnpz ='), "datasets.own", ["train"]),
    "npz with a wrong hash": (own("00ff", "00xx"), "datasets.own.sha256", ["[0-9a-f]{64}"]),
    "npz of no width": (own("width = 8", "width = 0"), "datasets.own.width", ["1"]),
    "npz of too few images": (own("= 1000", "= 40"), "datasets.own", ["batch_size", "40"]),
    "npz at no path": (own("pixels/own.npz", ""), "datasets.own", ["npz"]),
    "npz at an impossible path": (own("pixels/", "a\\u0000"), "datasets.own", ["npz"]),
    # names that become folders
    "a dataset's name with a slash": (own("own]", '"o/w"]'), "datasets.o/w", ["letters"]),
    "a dataset's name with a space": (own("own]", '"o w"]'), "datasets.o w", ["letters"]),
    "a dataset's name with a newline": (own("own]", '"own\\n"]'), "datasets.own", ["letters"]),
    "a dataset's name of dots": (own("own]", '".."]'), "datasets...", ["letters"]),
    "a name with a slash": (head("mine", "mi/ne"), "name", ["A-Za-z0-9"]),
    "a name with a space": (head("mine", "mi ne"), "name", ["A-Za-z0-9"]),
    "a name with a newline": (head("mine", "mine\\n"), "name", ["A-Za-z0-9"]),
    "a name of dots": (head("mine", ".."), "name", ["A-Za-z0-9"]),
    "a name beyond ASCII": (head("mine", "größer"), "name", ["A-Za-z0-9"]),
    "an empty name": (head("mine", ""), "name", ["A-Za-z0-9"]),
    "a name of 65 letters": (head("mine", "m" * 65), "name", ["A-Za-z0-9"]),
    # the stamp becomes the first 19 characters of every ID
    "a stamp in words": (head("2022-01-05T00:00:00", '"yesterday"'), "stamp", ["date and time"]),
    "a stamp of seconds": (head("2022-01-05T00:00:00", "1641340800"), "stamp", ["date and time"]),
    "a stamp of seconds as text": (head("2022-01-05T00:00:00", '"1641340800"'), "stamp", []),
    "a stamp without date": (head("2022-01-05T00:00:00", "07:32:00"), "stamp", ["date and time"]),
    "a stamp without time": (head("2022-01-05T00:00:00", "2022-01-05"), "stamp", ["date and time"]),
    "a stamp whose year has no four digits": (
        head("2022-01-05T00:00:00", "0001-01-05T00:00:00"),
        "stamp",
        [],
    ),
    # how many networks
    "no networks": (
        HEAD + "[datasets.SVHN]\nnetworks_per_depth = 0\n",
        "networks_per_depth",
        ["0 networks", "between 1 and 1000000"],
    ),
    "a million and ten networks": (
        HEAD + "[datasets.SVHN]\nnetworks_per_depth = 100001\n",
        "networks_per_depth",
        ["1000010 networks", "1000000"],
    ),
    "more networks than 64 bits": (
        HEAD + f"[datasets.SVHN]\nnetworks_per_depth = {10**30}\n",
        "networks_per_depth",
        ["between 1 and 1000000"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_with_file_key_and_what_would_be_right(write, mistake):
    text, key, words = MISTAKES[mistake]
    path = write(text)
    message = refusal(path)
    assert message.startswith(str(path))
    places = (f"key {key}", f"key space.{key}", f": {key}", f"; {key}")
    assert any(place in message for place in places)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "line",
    [
        'kernel = [1, "inputs"]',
        "kernel = [1, 4.5]",
        "stride = [1, true]",
        'pool_padding = [0, "x"]',
    ],
)
def test_the_natural_bound_of_a_range_is_offered_under_the_key_that_the_file_has(write, line):
    path = write(with_space(line))
    message = refusal(path)
    name = line.split()[0]
    natural = {"kernel": "input", "stride": "kernel", "pool_padding": "half"}[name]
    assert f"key space.{name}" in message
    assert f"'{natural}'" in message or f'"{natural}"' in message
    for inner in (".int", ".literal", ".constrained"):
        assert inner not in message, "no such key stands in the file"


def test_a_million_networks_are_allowed(write):
    text = HEAD + "[datasets.SVHN]\nnetworks_per_depth = 100000\n"
    assert next(load_campaign(write(text)).networks()).index == 0


def test_every_mistake_of_a_file_is_told_at_once(write):
    text = HEAD.replace("1", '"1"', 1) + "epochs = 0\n" + IMAGES + "[run]\nattempt = 1\n"
    path = write(text)
    lines = refusal(path).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{path}, key ") for line in lines)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"epochs =\n", ["not valid TOML", "line 1"]),
        (b'name = "a"\nname = "b"\n', ["not valid TOML"]),
        (b'name = "a\n', ["not valid TOML", "line 1"]),
        (b"stamp = 2022-13-05T00:00:00\n", ["not valid TOML"]),
        (b"\x89PNG\r\n\x1a\n\x00\x00", ["not a text file", "give a .toml file"]),
        (b"name = \xff\n", ["not a text file", "byte 7"]),
        (b"\x00\x00\x00\x00", ["not valid TOML"]),
        (b"epochs = " + b"1" * 5_000, ["TOML"]),
        (b"epochs = " + b"[" * 20_000, ["TOML"]),
    ],
)
def test_a_file_that_is_no_toml_is_refused(tmp_path, content, words):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    message = refusal(path)
    for word in (str(path), *words):
        assert word in message


def test_an_empty_file_is_told_what_it_needs(write):
    message = refusal(write(""))
    for key in ("name", "seed", "stamp", "datasets"):
        assert f"key {key}: this key is missing" in message


def test_a_missing_file_is_refused(tmp_path):
    path = tmp_path / "gone.toml"
    assert refusal(path) == f"{path}: no such file"


def test_a_folder_is_refused(tmp_path):
    message = refusal(tmp_path)
    assert str(tmp_path) in message
    assert "folder" in message
    assert ".toml" in message


def test_an_unknown_name_is_answered_with_the_valid_ones():
    message = refusal("papr")
    for word in ("'papr'", "did you mean 'paper'", "fashion-mnist", "smoke", ".toml"):
        assert word in message


@pytest.mark.parametrize(
    "mistake", ["text for a number", "no networks", "filters below the classes"]
)
def test_a_user_sees_one_message_and_no_traceback(write, mistake):
    path = write(MISTAKES[mistake][0])
    code = "import sys; from nnlc.cli import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", code, "specs", str(path)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {path}")
    for word in ("Traceback", "pydantic", "ValidationError", 'File "'):
        assert word not in result.stdout + result.stderr
