"""Images of one's own: every mistake in an .npz is named, with what would be right."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from image_files import (
    OWN,
    Arrays,
    Bomb,
    assert_same,
    no_network,  # noqa: F401
    npz,
    own,
    random_images,
)
from typer.testing import CliRunner

from nnlc.campaign.campaign import load_campaign
from nnlc.cli import app
from nnlc.errors import ImagesError
from nnlc.networks import ImageSet
from nnlc.training import image_sources
from nnlc.training.loaded_images import check_images, load_images
from nnlc.training.own_images import describe_npz


def test_an_npz_of_one_s_own_loads_to_its_arrays(tmp_path):
    arrays = random_images(OWN)
    given = arrays | {
        "train_images": np.asfortranarray(arrays["train_images"]),
        "train_labels": arrays["train_labels"].astype(np.uint8),
    }
    section = own(tmp_path / "mine.npz", given)
    assert_same(load_images(OWN, section, tmp_path / "no root"), arrays)


@pytest.mark.parametrize("use", [load_images, check_images])
def test_an_npz_that_is_not_the_campaign_s_is_refused_before_it_is_parsed(
    use, tmp_path, monkeypatch
):
    path = tmp_path / "mine.npz"
    section = own(path, random_images(OWN))
    use(OWN, section, tmp_path)
    path.write_bytes(npz(random_images(OWN, seed=5)))
    monkeypatch.setattr(image_sources, "read_npz", lambda *_: pytest.fail("parsed before verified"))
    with pytest.raises(ImagesError, match=r"mine\.npz .*checksum differs") as caught:
        use(OWN, section, tmp_path)
    assert f"nnlc describe {path}" in str(caught.value)
    path.unlink()
    with pytest.raises(ImagesError, match=r"mine\.npz is missing"):
        use(OWN, section, tmp_path)


def _without_validation_labels(arrays: Arrays) -> Arrays:
    return {key: array for key, array in arrays.items() if key != "validation_labels"}


WRONG = {
    "no array": (_without_validation_labels, "no array validation_labels; it needs train_images"),
    "pickle": (
        lambda a: a | {"train_labels": np.array([Bomb()] * 9, dtype=object)},
        "array train_labels can't be read .*plain array of integers",
    ),
    "floats": (
        lambda a: a | {"train_images": a["train_images"] / 255},
        "array train_images has dtype float64; it must be uint8",
    ),
    "signed": (
        lambda a: a | {"validation_images": a["validation_images"].astype(np.int8)},
        "array validation_images has dtype int8; it must be uint8",
    ),
    "flat": (
        lambda a: a | {"train_images": a["train_images"][:, 0]},
        r"array train_images has shape \(9, 5, 5\); it must be \(images, channels, width, width\)",
    ),
    "empty": (
        lambda a: a | {"validation_images": a["validation_images"][:0]},
        r"array validation_images has shape \(0, 2, 5, 5\); it must be .* none of them 0",
    ),
    "not square": (
        lambda a: a | {"train_images": a["train_images"][..., :4]},
        "array train_images has shape .* 5 by 4 pixels; they must be square",
    ),
    "channels last": (
        lambda a: a | {"train_images": a["train_images"].transpose(0, 2, 3, 1)},
        "array train_images has shape .* Channels come before the pixels",
    ),
    "float labels": (
        lambda a: a | {"train_labels": a["train_labels"].astype(float)},
        "array train_labels has dtype float64; it must be of integers",
    ),
    "one-hot labels": (
        lambda a: a | {"train_labels": np.eye(3, dtype=np.int64)[a["train_labels"]]},
        r"array train_labels has shape \(9, 3\); it must be \(images,\)",
    ),
    "negative label": (
        lambda a: a | {"validation_labels": a["validation_labels"] - 1},
        r"array validation_labels has labels from -1 to 1; they must be 0 \.\. classes - 1",
    ),
    "label that would wrap around": (
        lambda a: a | {"train_labels": a["train_labels"].astype(np.uint64) + np.uint64(2**64 - 3)},
        "array train_labels has labels from 18446744073709551613",
    ),
    "too few labels": (
        lambda a: a | {"train_labels": a["train_labels"][:-1]},
        "array train_labels has 8 labels for 9 images in train_images",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_array_is_named_with_what_would_be_right(mistake, tmp_path):
    change, message = WRONG[mistake]
    path = tmp_path / "mine.npz"
    section = own(path, change(random_images(OWN)))
    for use in (lambda: load_images(OWN, section, tmp_path), lambda: describe_npz(path)):
        with pytest.raises(ImagesError, match=message) as caught:
            use()
        assert str(path) in str(caught.value)


NO_NPZ = {
    "text": b"train_images",
    "nothing": b"",
    "a pickle": pickle.dumps(Bomb()),
    "truncated": npz(random_images(OWN))[:-100],
    "a folder": None,
}


@pytest.mark.parametrize("content", NO_NPZ)
def test_a_file_that_is_no_npz_is_an_images_error(content, tmp_path):
    path = tmp_path / "mine.npz"
    if NO_NPZ[content] is None:
        path.mkdir()
    else:
        path.write_bytes(NO_NPZ[content])
    with pytest.raises(ImagesError, match=r"mine\.npz: not a readable \.npz file"):
        describe_npz(path)


def test_a_single_array_is_no_npz(tmp_path):
    np.save(tmp_path / "mine.npy", np.zeros((3, 1, 2, 2), np.uint8))
    with pytest.raises(ImagesError, match=r"not a readable \.npz file \(it is a single array\)"):
        describe_npz(tmp_path / "mine.npy")


def test_a_damaged_member_of_an_npz_is_named(tmp_path):
    arrays = random_images(OWN)
    content = bytearray(npz(arrays))
    content[content.index(b"train_labels.npy") + 60] ^= 0xFF
    (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(ImagesError, match=r"mine\.npz: array train_labels can't be read"):
        describe_npz(tmp_path / "mine.npz")


def test_describing_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(ImagesError, match=r"mine\.npz: no such file"):
        describe_npz(tmp_path / "mine.npz")


@pytest.mark.parametrize(
    ("fact", "value", "message"),
    [
        ("channels", 3, r"train_images has shape \(9, 2, 5, 5\), .* means \(9, 3, 5, 5\)"),
        ("width", 4, r"train_images has shape \(9, 2, 5, 5\), .* means \(9, 2, 4, 4\)"),
        ("train_images", 8, r"train_images has shape .* means \(8, 2, 5, 5\)"),
        ("validation_images", 7, r"validation_images has shape .* means \(7, 2, 5, 5\)"),
        ("classes", 2, "train_labels has labels from 0 to 2, but with 2 classes .* 0 to 1"),
    ],
)
def test_images_that_contradict_the_campaign_are_refused(fact, value, message, tmp_path):
    section = own(tmp_path / "mine.npz", random_images(OWN))
    fields = {key: getattr(OWN, key) for key in ImageSet.__slots__}
    for use in (load_images, *([check_images] if fact != "classes" else [])):
        with pytest.raises(ImagesError, match=message) as caught:
            use(ImageSet(**fields | {fact: value}), section, tmp_path)
    assert "mine.npz" in str(caught.value)
    assert "[datasets.mine]" in str(caught.value)


@pytest.mark.parametrize("command", ["specs", "plan"])
def test_specs_and_plan_warn_of_a_missing_file_and_of_a_wrong_width(command, tmp_path, monkeypatch):
    monkeypatch.setattr("nnlc.launching.machine_plan.plan_machine", lambda *_, **__: None)
    monkeypatch.setattr("nnlc.launching.machine_plan.machine_plan_lines", lambda _: ())
    path, file = tmp_path / "mine.npz", tmp_path / "campaign.toml"
    path.write_bytes(npz(random_images(OWN, train=60, validation=30)))
    head = 'name = "mine"\nseed = 1\nstamp = 2024-01-01T00:00:00\n'
    words = head + describe_npz(path).replace("width = 5", "width = 6")
    file.write_text(
        words.replace("networks_per_depth = 1", "networks_per_depth = 1\ndepths = [1, 1]")
    )
    shape = r"warning: .*mine\.npz: array train_images has shape \(60, 2, 5, 5\)"
    assert re.search(shape, CliRunner().invoke(app, [command, str(file)]).output)
    path.unlink()
    said = CliRunner().invoke(app, [command, str(file)]).output
    assert f"warning: {path} is missing" in said


def test_what_describe_prints_makes_a_campaign_that_loads(tmp_path):
    arrays = random_images(OWN, train=60, validation=30)
    path = tmp_path / 'my "own" images.npz'
    path.write_bytes(npz(arrays))
    file = tmp_path / "campaign.toml"
    head = 'name = "mine"\nseed = 1\nstamp = 2024-01-01T00:00:00\n'
    file.write_text(head + describe_npz(path, {"networks_per_depth": 4, "depths": (2, 3)}))
    assert "depths = [2, 3]" in file.read_text()
    own_campaign = load_campaign(file)
    ((name, facts),) = own_campaign.image_sets().items()
    assert (facts.channels, facts.width, facts.classes) == (2, 5, 3)
    chosen = own_campaign.datasets[name]
    assert (chosen.networks_per_depth, chosen.depths) == (4, (2, 3))
    for wrong in ("0-3", "3-", "5-200"):
        refused = CliRunner().invoke(app, ["describe", str(path), "--depths", wrong])
        assert "must be within 1-100" in str(refused.exception)
    assert_same(load_images(facts, own_campaign.datasets[name], tmp_path), arrays)


def test_images_of_one_s_own_keep_a_name_that_nnlc_learned_later(tmp_path):
    own(tmp_path / "mine.npz", random_images(OWN))
    block = describe_npz(tmp_path / "mine.npz").replace("[datasets.mine]", "[datasets.CIFAR-10]")
    head = 'name = "x"\nseed = 1\nstamp = 2026-01-01T00:00:00\n'
    (tmp_path / "c.toml").write_text(f"{head}{block}\n[space]\nbatch_size = [2, 4]\n")
    images = load_campaign(tmp_path / "c.toml").image_sets()["CIFAR-10"]
    assert (images.width, images.train_images) == (OWN.width, OWN.train_images)


@pytest.mark.parametrize(
    ("stem", "name"),
    [("flowers-2", "flowers-2"), ("SVHN", "my-images"), ("CIFAR100", "my-images")],
)
def test_describe_names_the_dataset_by_its_file_unless_that_is_taken(stem, name, tmp_path):
    path = tmp_path / f"{stem}.npz"
    path.write_bytes(npz(random_images(OWN)))
    assert describe_npz(path).splitlines()[0] == f"[datasets.{name}]"


def test_describe_refuses_splits_that_disagree_and_a_single_class(tmp_path):
    path = tmp_path / "mine.npz"
    arrays = random_images(OWN)
    path.write_bytes(npz(arrays | {"validation_images": arrays["validation_images"][:, :1]}))
    with pytest.raises(ImagesError, match="must agree in channels and width"):
        describe_npz(path)
    zeros = {key: np.zeros_like(arrays[key]) for key in ("train_labels", "validation_labels")}
    path.write_bytes(npz(arrays | zeros))
    with pytest.raises(ImagesError, match="at least 2 classes"):
        describe_npz(path)


def _described(tmp_path: Path, **changes: object) -> str:
    path = tmp_path / "mine.npz"
    path.write_bytes(npz(random_images(OWN, train=60, validation=30) | changes))
    return describe_npz(path)


def test_describe_has_no_doubts_about_images_as_they_should_be(tmp_path):
    assert _described(tmp_path).startswith("[datasets.mine]")


NUMBERS = np.arange(60)
DOUBTS = {
    "from 1": (
        {"train_labels": 1 + NUMBERS % 3, "validation_labels": 1 + NUMBERS[:30] % 3},
        "no training image has label 0, so 1 of the 4 classes can't be learned",
    ),
    "gaps": (
        {"train_labels": NUMBERS % 2 * 255, "validation_labels": NUMBERS[:30] % 2 * 255},
        "no training image has labels 1 to 254, so 254 of the 256 classes",
    ),
    "huge gaps": (
        {"train_labels": NUMBERS * 30_000_000, "validation_labels": NUMBERS[:30] * 30_000_000},
        "labels 1 to 29999999, 30000001 to 59999999",
    ),
    "never trained": (
        {"train_labels": NUMBERS % 2, "validation_labels": NUMBERS[:30] % 4},
        "validation images have 2 labels that no training image has",
    ),
    "never validated": (
        {"train_labels": NUMBERS % 3, "validation_labels": NUMBERS[:30] % 2},
        "training images have 1 label that no validation image has",
    ),
    "divided": (
        {"train_images": (random_images(OWN, train=60)["train_images"] > 99).astype(np.uint8)},
        "no pixel is above 1, where 0 to 255 is expected",
    ),
    "one split divided": (
        {"validation_images": (random_images(OWN, train=30)["train_images"] > 99).astype(np.uint8)},
        "in validation_images no pixel is above 1",
    ),
    "sorted": (
        {"train_labels": np.sort(NUMBERS % 3)},
        "training images are sorted by label, so those that fill no batch, all of label 2,",
    ),
    "sorted in another order": (
        {"validation_labels": (NUMBERS[:30] // 10 + 2) % 3},
        "validation images are sorted by label, so those that fill no batch, all of label 1,",
    ),
    "two labels of an image to validate with": (
        {
            "validation_images": np.repeat(random_images(OWN, train=15)["train_images"], 2, axis=0),
            "validation_labels": NUMBERS[:30] % 3,
        },
        "equal validation images have different labels, 15 times",
    ),
    "two labels of an image": (
        {
            "train_images": np.repeat(random_images(OWN, train=30)["train_images"], 2, axis=0),
            "train_labels": NUMBERS % 4 // 3 + NUMBERS % 2,
        },
        "equal training images have different labels, 30 times",
    ),
    "nothing to see": (
        {"validation_images": np.full_like(random_images(OWN, train=30)["train_images"], 7)},
        "every pixel in validation_images is 7",
    ),
    "the same images": (
        {
            "validation_images": random_images(OWN, train=60)["train_images"][:30],
            "validation_labels": NUMBERS[:30] % 3,
        },
        "30 of 30 validation images are also training images",
    ),
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_describe_tells_beside_the_block_what_is_legal_and_hardly_meant(doubt, tmp_path):
    changes, words = DOUBTS[doubt]
    lines = _described(tmp_path, **changes).splitlines()
    (note,) = [line for line in lines if words in line]
    assert note.startswith("# note: ")
    assert len(note) < 400
    file = tmp_path / "campaign.toml"
    if doubt != "huge gaps":  # more classes than any network may have
        head = 'name = "mine"\nseed = 1\nstamp = 2024-01-01T00:00:00\n'
        file.write_text(head + "\n".join(lines))
        load_campaign(file)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_labels": np.full(60, 3)}, "every label in train_labels is 3; at least 2 classes"),
        (
            {"train_images": np.full((60, 2, 5, 5), 7, np.uint8)},
            "every pixel in train_images is 7",
        ),
    ],
)
def test_describe_refuses_what_nothing_can_be_learned_from(tmp_path, changes, words):
    with pytest.raises(ImagesError, match=words):
        _described(tmp_path, **changes)
