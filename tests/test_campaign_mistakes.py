"""Every mistake in a campaign file is refused with file, key, and what would be right."""

import pytest
from campaign_files import HEAD, IMAGES, OWN, PLAIN, refusal
from test_cli import run_nnlc

from nnlc.campaign.campaign import load_campaign


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
    # keys in the wrong table
    "key of training above": (HEAD + 'pixels = "unit"\n' + IMAGES, "pixels", ["in [training];"]),
    "key of a dataset above": (HEAD + "depths = [1, 2]\n" + IMAGES, "depths", ["[datasets.NAME];"]),
    "key of the space in run": (PLAIN + "[run]\nkernel = [1]\n", "run.kernel", ["in [space];"]),
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
    "text for a number": (head("seed = 1", 'seed = "1"'), "seed", ["whole number", '"1"']),
    "float for a whole number": (HEAD + "epochs = 40.0\n" + IMAGES, "epochs", ["whole", "40.0"]),
    "truth for a whole number": (HEAD + "epochs = true\n" + IMAGES, "epochs", ["whole", "true"]),
    "number for text": (head('"mine"', "3"), "name", ["text in quotes", "3"]),
    "list for the datasets": (HEAD + "datasets = [1]\n", "datasets", ["[1]"]),
    "list for a table": (HEAD + 'training = ["max"]\n' + IMAGES, "training", ['["max"]']),
    "number for a table": (HEAD + "space = 3\n" + IMAGES, "space", ["3"]),
    "number for a dataset": (HEAD + "[datasets]\nSVHN = 200\n", "datasets.SVHN", ["200"]),
    "number for a range": (with_space("padding = 4"), "space.padding", ["[1, 3]", "4"]),
    "a range of three": (with_space("padding = [0, 1, 2]"), "space.padding", ["2"]),
    "a range of one": (with_space("padding = [0]"), "space.padding", []),
    "text in a range": (with_space('fc_units = ["1", 4]'), "space.fc_units", ["whole number"]),
    "float in a range": (with_space("fc_units = [1, 4.5]"), "space.fc_units", ["whole number"]),
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
    "depths upside down": (
        PLAIN + "depths = [3, 1]\n",
        "datasets.F-MNIST.depths",
        ["[lowest, highest]"],
    ),
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
    "npz under a known name": (own("own]", "SVHN]"), "datasets.SVHN", ["known image set"]),
    "npz under a table's word": (
        own("own]", "CIFAR100]"),
        "datasets.CIFAR100",
        ["known image set"],
    ),
    "npz under a late table's word": (own("own]", "CIFAR10]"), "datasets.CIFAR10", ["known"]),
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
        (b"\x89PNG\r\n\x1a\n\x00\x00", ["not a text file", "byte 0"]),
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


def test_a_user_sees_one_message_and_no_traceback(write):
    path = write(MISTAKES["text for a number"][0])
    done = run_nnlc("specs", path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {path}")
    for word in ("Traceback", "pydantic", "ValidationError", 'File "'):
        assert word not in done.stdout + done.stderr
