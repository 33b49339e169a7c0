"""A network obeys every rule of the article's sampling, and is the same one everywhere.

The rules are written down again here from the article's Table 3 and Figs 1 to 3; the code under
test supplies networks and nothing else.

golden/networks.csv holds every 125th network of the paper campaign. No test writes it. A change
to it renames published networks; where that is meant, it is made again by

    nnlc specs paper --csv - | awk 'NR == 1 || NR % 125 == 2' > tests/golden/networks.csv
"""

import csv
import io
import itertools
import math
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from nnlc.campaign import load_campaign
from nnlc.errors import NnlcError, SpaceError, SpecError
from nnlc.listing import write_csv
from nnlc.networks import (
    KNOWN_IMAGE_SETS,
    MAX_DEPTH,
    ImageSet,
    NetworkSpec,
    SearchSpace,
    network_id,
    sample_network,
)

GOLDEN = Path(__file__).parent / "golden" / "networks.csv"
ROOT = Path(__file__).parent.parent
ID = "2022_01_05_00_00_00_000000"
ARTICLE = SearchSpace()


@dataclass(frozen=True)
class Published:
    """What the article says of a dataset."""

    value: str
    channels: int
    width: int
    classes: int
    train: int
    validation: int


PUBLISHED = {
    "CIFAR-100": Published("CIFAR100", 3, 32, 100, 50_000, 10_000),
    "F-MNIST": Published("FashionMNIST", 1, 28, 10, 60_000, 10_000),
    "SVHN": Published("SVHN", 3, 32, 10, 373_257, 26_032),
}


def after(width, kernel, stride, padding):
    """Window positions along one side, counted one by one."""
    return sum(1 for _ in range(0, width + 2 * padding - kernel + 1, stride))


def broken_rules(spec: NetworkSpec, facts: ImageSet | Published) -> set[str]:
    """The names of the rules of Table 3 and Figs 1 to 3 that a network breaks."""
    broken = set()

    def rule(name, holds):
        if not holds:
            broken.add(name)

    def drawn(value, low, high):
        return type(value) is float and low <= value <= high

    not_drawn = "0"  # as a table writes the integer, which the float 0.0 would not be
    depth = len(spec.conv_kernels)
    pools = iter(zip(spec.pool_kernels, spec.pool_strides, spec.pool_paddings, strict=True))
    width = facts.width
    for i in range(depth):
        kernel, stride, padding = (
            spec.conv_kernels[i],
            spec.conv_strides[i],
            spec.conv_paddings[i],
        )
        rule("kernel", 1 <= kernel <= width)
        rule("stride", 1 <= stride <= kernel)
        rule("padding", 0 <= padding <= 5)
        width = after(width, kernel, stride, padding)
        rule("block", spec.layer_types[i] in (1, 2, 3, 4, 5, 6, 7))
        if spec.layer_types[i] in (2, 3, 6, 7):
            kernel, stride, padding = next(pools)
            rule("pool kernel", 1 <= kernel <= width)
            rule("pool stride", 1 <= stride <= kernel)
            rule("pool padding", 0 <= padding <= math.floor(kernel / 2))
            width = after(width, kernel, stride, padding)
    rule("a pooling entry for each pooling layer", next(pools, None) is None)
    some_dropout = any(block >= 4 for block in spec.layer_types)
    rule(
        "dropout rate",
        drawn(spec.dropout_rate, 0.1, 0.7) if some_dropout else repr(spec.dropout_rate) == "0",
    )
    rule("filters", all(facts.channels <= f <= 400 for f in spec.conv_filters[:-1]))
    rule("last filters", facts.classes <= spec.conv_filters[-1] <= 400)
    rule("fully connected layers", 1 <= len(spec.fc_filters) <= 5)
    rule("fully connected units", all(1 <= units <= 400 for units in spec.fc_filters[:-1]))
    rule("last units", spec.fc_filters[-1] == facts.classes)
    coins = spec.fc_dropout_layers
    rule("a coin for each but the last", len(coins) == len(spec.fc_filters) - 1)
    rule("coins", set(coins) <= {0, 1})
    if repr(spec.fc_dropout_rate) == not_drawn:
        rule("no coin without a rate", not any(coins))
    else:
        rule("fully connected dropout rate", drawn(spec.fc_dropout_rate, 0.1, 0.7))
    rule("learning rate", drawn(spec.learning_rate, 1e-6, 1))
    for name in ("momentum", "dampening", "weight_decay"):
        value = getattr(spec, name)
        rule(name, repr(value) == not_drawn or drawn(value, 1e-6, 1))
    rule("batch size", 25 <= spec.batch_size <= 250)
    batches = facts.train // spec.batch_size
    rule("batches", batches > 0 and batches % 2 == 0)
    rule("seed", 0 <= spec.random_seed < 2**32)
    rule("ID", re.fullmatch(r"[0-9]{4}(_[0-9]{2}){5}_[0-9]{6}", spec.id))
    rule("dataset", spec.dataset == facts.value)
    rule("loss and optimizer", (spec.loss_fn, spec.optimizer) == ("CrossEntropyLoss", "SGD"))
    rule("flags", (spec.train_gpu, spec.torch_set_deterministic) == (True, True))
    return broken


seeds = st.integers(0, 2**32 - 1)
depths = st.integers(1, 10)


@st.composite
def image_sets(draw):
    """Images of any kind for which the article's space has a network."""
    train = draw(st.integers(50, 500_000))
    validation = draw(st.integers(250, 50_000))
    assume(any((train // b) % 2 == 0 and train // b for b in range(25, 251)))
    return Published(
        "own",
        draw(st.integers(1, 4)),
        draw(st.integers(1, 70)),
        draw(st.integers(1, 400)),
        train,
        validation,
    )


def as_image_set(facts: Published) -> ImageSet:
    return ImageSet(
        name="own",
        table_name=facts.value,
        channels=facts.channels,
        width=facts.width,
        classes=facts.classes,
        train_images=facts.train,
        validation_images=facts.validation,
    )


def sample(facts: Published, depth: int, seed: int, space: SearchSpace = ARTICLE) -> NetworkSpec:
    return sample_network(space, as_image_set(facts), depth, seed, id=ID)


@pytest.fixture(scope="module")
def paper():
    return list(load_campaign("paper").networks())


# ---- the rules


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_known_image_sets_have_the_articles_sizes(name):
    known = KNOWN_IMAGE_SETS[name]
    assert (
        Published(
            known.table_name,
            known.channels,
            known.width,
            known.classes,
            known.train_images,
            known.validation_images,
        )
        == (PUBLISHED[name])
    )


@settings(deadline=None, max_examples=200)
@given(seeds, depths, st.one_of(st.sampled_from(list(PUBLISHED.values())), image_sets()))
@example(0, 1, PUBLISHED["CIFAR-100"])
@example(2**32 - 1, 10, PUBLISHED["SVHN"])
def test_every_sampled_network_obeys_every_rule(seed, depth, facts):
    spec = sample(facts, depth, seed)
    assert broken_rules(spec, facts) == set()
    assert (spec.depth, len(spec.conv_kernels), spec.random_seed) == (depth, depth, seed)


def test_every_network_of_the_paper_campaign_obeys_every_rule(paper):
    for network in paper:
        broken = broken_rules(network.spec, PUBLISHED[network.images.name])
        assert broken == set(), f"network {network.index}: {broken}"


def _with(**changes):
    """A lawful network of depth 2 with pooling and all dropouts, changed."""
    lawful = NetworkSpec(
        id=ID,
        random_seed=1,
        train_gpu=True,
        torch_set_deterministic=True,
        dataset="FashionMNIST",
        batch_size=100,
        loss_fn="CrossEntropyLoss",
        optimizer="SGD",
        learning_rate=0.5,
        momentum=0,
        dampening=0.25,
        weight_decay=1e-3,
        layer_types=(7, 1),
        dropout_rate=0.5,
        conv_kernels=(28, 3),
        conv_strides=(2, 3),
        conv_paddings=(5, 0),
        pool_kernels=(4,),
        pool_strides=(1,),
        pool_paddings=(2,),
        conv_filters=(1, 10),
        fc_dropout_rate=0.1,
        fc_dropout_layers=(0, 1),
        fc_filters=(400, 1, 10),
    )
    return replace(lawful, **changes)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("kernel", {"conv_kernels": (29, 3)}),  # fits the padded width, not the unpadded one
        ("kernel", {"conv_kernels": (28, 8)}),
        ("stride", {"conv_strides": (2, 4)}),
        ("padding", {"conv_paddings": (6, 0)}),
        ("pool kernel", {"pool_kernels": (7,)}),
        ("pool stride", {"pool_strides": (5,)}),
        ("pool padding", {"pool_paddings": (3,)}),
        ("dropout rate", {"dropout_rate": 0}),
        ("dropout rate", {"dropout_rate": 0.71}),
        ("dropout rate", {"layer_types": (3, 1)}),
        ("dropout rate", {"layer_types": (3, 1), "dropout_rate": 0.0}),
        ("filters", {"conv_filters": (401, 10)}),
        ("last filters", {"conv_filters": (1, 9)}),
        ("fully connected layers", {"fc_filters": (9,) * 5 + (10,), "fc_dropout_layers": (1,) * 5}),
        ("fully connected units", {"fc_filters": (401, 1, 10)}),
        ("last units", {"fc_filters": (400, 1, 11)}),
        ("no coin without a rate", {"fc_dropout_rate": 0}),
        ("fully connected dropout rate", {"fc_dropout_rate": 0.09}),
        ("learning rate", {"learning_rate": 1e-7}),
        ("learning rate", {"learning_rate": 0}),
        ("momentum", {"momentum": 0.0}),
        ("dampening", {"dampening": 1.5}),
        ("weight_decay", {"weight_decay": 1e-9}),
        ("batch size", {"batch_size": 24}),
        ("batches", {"batch_size": 37}),  # 1,621 of them
        ("dataset", {"dataset": "F-MNIST"}),
    ],
)
def test_the_rules_of_this_file_notice_a_network_that_breaks_one(rule, changes):
    facts = PUBLISHED["F-MNIST"]
    assert broken_rules(_with(), facts) == set()
    assert rule in broken_rules(_with(**changes), facts)


@settings(deadline=None, max_examples=60)
@given(seeds, depths, st.sampled_from(list(PUBLISHED.values())))
def test_filters_never_fall_where_they_must_increase(seed, depth, facts):
    spec = sample(facts, depth, seed, SearchSpace(increasing_filters="always"))
    assert list(spec.conv_filters) == sorted(spec.conv_filters)
    assert broken_rules(spec, facts) == set()


def test_filters_fall_somewhere_where_they_need_not_increase():
    for facts in PUBLISHED.values():
        space = SearchSpace(increasing_filters="never")
        found = [sample(facts, 10, seed, space).conv_filters for seed in range(50)]
        assert all(list(filters) != sorted(filters) for filters in found)


def test_a_single_convolution_is_the_last_one():
    facts = replace(PUBLISHED["CIFAR-100"], classes=400)
    assert all(sample(facts, 1, seed).conv_filters == (400,) for seed in range(30))
    few_classes = replace(PUBLISHED["CIFAR-100"], classes=1, channels=300)
    filters = [sample(few_classes, 1, seed).conv_filters[0] for seed in range(60)]
    assert min(filters) < 300, "the channels bound the layers before the last, not the last"


def test_a_fully_connected_dropout_rate_stays_recorded_where_no_layer_uses_it(paper):
    unused = [n.spec for n in paper if n.spec.fc_dropout_rate and not any(n.spec.fc_dropout_layers)]
    lengths = {len(spec.fc_dropout_layers) for spec in unused}
    assert {0, 1, 2} <= lengths


@pytest.mark.parametrize(
    ("field", "option"),
    [
        *itertools.product(
            ("momentum", "dampening", "weight_decay", "fc_dropout"), ("coin", "always", "never")
        )
    ],
)
def test_a_coin_falls_both_ways_and_a_setting_one_way(field, option):
    column = "fc_dropout_rate" if field == "fc_dropout" else field
    space = SearchSpace(**{field: option})
    found = {bool(getattr(sample(PUBLISHED["SVHN"], 1, s, space), column)) for s in range(60)}
    assert found == {"coin": {True, False}, "always": {True}, "never": {False}}[option]


@pytest.mark.parametrize(
    ("fields", "value", "column"),
    [
        ("kernel", (2, 3), "conv_kernels"),
        ("stride", (1, 2), "conv_strides"),
        ("padding", (1, 2), "conv_paddings"),
        ("pool_kernel", (2, 3), "pool_kernels"),
        ("pool_stride", (1, 2), "pool_strides"),
        ("pool_padding", (0, 1), "pool_paddings"),
        ("filters", (20, 30), "conv_filters"),
        ("blocks", (2, 5), "layer_types"),
        ("batch_size", (40, 48), "batch_size"),
        ("fc_units", (7, 9), "fc_filters"),
        ("dropout_rate", (0.2, 0.25), "dropout_rate"),
        ("fc_dropout_rate", (0.2, 0.25), "fc_dropout_rate"),
    ],
)
def test_a_smaller_range_of_the_space_bounds_what_is_drawn(fields, value, column):
    space = SearchSpace(kernel=(2, 6)) if fields != "kernel" else ARTICLE
    space = replace(space, **{fields: value})
    found = set()
    for seed in range(60):
        drawn = getattr(sample(PUBLISHED["F-MNIST"], 2, seed, space), column)
        drawn = drawn[:-1] if fields == "fc_units" else drawn
        found |= set(drawn) if isinstance(drawn, tuple) else {drawn}
    found -= {0} if "dropout" in fields else set()
    if fields in ("kernel", "pool_kernel"):  # but the width that reaches a layer still bounds it
        found.discard(1)
    if fields == "blocks":
        assert found == set(value)
    else:
        assert min(found) >= value[0]
        assert max(found) <= value[1]
        assert len(found) > 1


# ---- the campaign


def test_the_paper_campaign_has_200_networks_for_each_dataset_and_depth(paper):
    counts = Counter((network.images.name, network.spec.depth) for network in paper)
    expected = itertools.product(("CIFAR-100", "F-MNIST", "SVHN"), range(1, 11))
    assert counts == dict.fromkeys(expected, 200)
    assert len(paper) == 6_000


def test_seeds_and_ids_are_distinct_and_ids_carry_the_stamp_and_the_index(paper):
    assert len({network.spec.random_seed for network in paper}) == 6_000
    expected = [f"2022_01_05_00_00_00_{index:06d}" for index in range(6_000)]
    assert [network.spec.id for network in paper] == expected
    assert [network.index for network in paper] == list(range(6_000))


def test_a_seed_that_is_taken_is_drawn_again(monkeypatch):
    given_out = {draw: draw // 3 for draw in range(100)}  # each seed three times
    monkeypatch.setattr(
        "nnlc.campaign.network_seed", lambda seed, name, depth, draw: given_out[draw]
    )
    networks = list(load_campaign("smoke").networks())
    assert [network.spec.random_seed for network in networks] == list(range(8))


def test_the_paper_campaign_is_sampled_within_ten_seconds():
    campaign = load_campaign("paper")
    start = time.process_time()
    assert sum(1 for _ in campaign.networks()) == 6_000
    assert time.process_time() - start < 10


# ---- the same network everywhere


@pytest.fixture(scope="module")
def paper_csv():
    file = io.StringIO(newline="")
    write_csv(load_campaign("paper"), file)
    return file.getvalue()


def test_the_sampler_is_pinned_to_the_golden_networks(paper_csv):
    header, *lines = paper_csv.splitlines(keepends=True)
    assert len(lines) == 6_000
    chosen = "".join([header, *lines[::125]])
    assert chosen.encode() == GOLDEN.read_bytes()


def test_the_golden_networks_cover_every_dataset_and_depth():
    with GOLDEN.open(encoding="ascii", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["index"]) for row in rows] == list(range(0, 6_000, 125))
    covered = {(row["dataset"], len(row["convKernels"].split("-"))) for row in rows}
    values = [facts.value for facts in PUBLISHED.values()]
    assert covered == set(itertools.product(values, range(1, 11)))


IN_ANOTHER_PROCESS = """
import hashlib, io, itertools, locale, random
random.seed(4)
try:
    locale.setlocale(locale.LC_ALL, "")
except locale.Error:
    pass
from nnlc.campaign import load_campaign
from nnlc.listing import write_csv
file = io.StringIO(newline="")
write_csv(load_campaign("fashion-mnist"), file)
specs = [n.spec for n in itertools.islice(load_campaign("paper").networks(), 1500, 1800)]
print(hashlib.sha256((file.getvalue() + repr(specs)).encode()).hexdigest())
"""


def test_hash_seed_locale_and_time_zone_change_no_network():
    shown = set()
    for change in (
        {"PYTHONHASHSEED": "0", "LC_ALL": "C", "TZ": "UTC"},
        {"PYTHONHASHSEED": "1", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu"},
        {"PYTHONHASHSEED": "4294967295", "LC_ALL": "de_DE.UTF-8", "PYTHONUTF8": "0"},
        {"PYTHONOPTIMIZE": "2", "LC_ALL": "C.utf8", "PYTHONUTF8": "1"},
    ):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **change}
        command = [sys.executable, "-c", IN_ANOTHER_PROCESS]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, cwd="/")
        assert result.returncode == 0, result.stderr
        shown.add(result.stdout)
    assert len(shown) == 1
    assert re.fullmatch(r"[0-9a-f]{64}\n", shown.pop())


def test_sampling_needs_neither_torch_nor_numpy():
    code = (
        "import sys; from nnlc.networks import *; "
        "sample_network(SearchSpace(), KNOWN_IMAGE_SETS['SVHN'], 3, 5, "
        "id='2022_01_05_00_00_00_000000'); "
        "print(sorted({'torch', 'numpy', 'scipy', 'pandas', 'pydantic'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert result.stdout == b"[]\n"


@settings(deadline=None, max_examples=40)
@given(seeds, depths)
def test_a_network_neither_reads_nor_moves_the_global_random_stream(seed, depth):
    random.seed(seed)
    first, state = sample(PUBLISHED["SVHN"], depth, seed), random.getstate()
    random.seed(seed + 1)
    assert sample(PUBLISHED["SVHN"], depth, seed) == first
    random.seed(seed)
    assert random.getstate() == state


def test_each_seed_is_another_network():
    found = [sample(PUBLISHED["CIFAR-100"], 4, seed) for seed in range(300)]
    for column in ("learning_rate", "conv_filters", "conv_kernels"):
        assert len({getattr(spec, column) for spec in found}) > 270


def test_no_draw_depends_on_the_id_or_on_the_processor():
    images = KNOWN_IMAGE_SETS["SVHN"]
    one = sample_network(ARTICLE, images, 3, 5, id=ID)
    two = sample_network(ARTICLE, images, 3, 5, id="2000_12_31_23_59_59_999999", train_gpu=False)
    assert replace(two, id=ID, train_gpu=True) == one
    assert (two.id, two.train_gpu) == ("2000_12_31_23_59_59_999999", False)


# ---- what is refused


def test_an_id_has_six_digits_of_index():
    stamp = load_campaign("paper").stamp
    assert network_id(stamp, 999_999) == "2022_01_05_00_00_00_999999"
    for index in (-1, 1_000_000):
        with pytest.raises(SpecError, match="six digits"):
            network_id(stamp, index)


@pytest.mark.parametrize("depth", [0, -1, MAX_DEPTH + 1])
def test_a_depth_out_of_range_is_refused(depth):
    with pytest.raises(SpecError, match="depth"):
        sample(PUBLISHED["SVHN"], depth, 1)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_is_no_32_bit_number_is_refused(seed):
    with pytest.raises(SpecError, match="32-bit"):
        sample(PUBLISHED["SVHN"], 1, seed)


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        (replace(PUBLISHED["SVHN"], classes=401), "filters"),
        (replace(PUBLISHED["SVHN"], channels=401), "filters"),
        (replace(PUBLISHED["SVHN"], train=49), "batch_size"),
        (replace(PUBLISHED["SVHN"], validation=24), "batch_size"),
    ],
)
def test_images_for_which_the_space_has_no_network_are_refused(facts, word):
    with pytest.raises(SpaceError, match=word):
        sample(facts, 2, 1)


def test_nan_is_no_end_of_a_range():
    nan = float("nan")
    for name in ("dropout_rate", "fc_dropout_rate", "learning_rate_exponent"):
        for value in ((nan, 0.0), (0.0, nan), (nan, nan)):
            with pytest.raises(SpaceError, match=name):
                SearchSpace(**{name: value})


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 600),
    st.integers(1, 300),
    st.integers(0, 300),
    st.integers(1, 300),
)
def test_legal_batch_sizes_are_those_with_an_even_number_of_batches(train, low, more, validation):
    images = as_image_set(Published("own", 1, 8, 2, train, validation))
    space = SearchSpace(batch_size=(low, low + more))
    legal = []
    for b in range(low, low + more + 1):
        batches = len(range(0, train - b + 1, b))
        if batches in range(2, train + 1, 2) and b <= validation:
            legal.append(b)
    assert space.legal_batch_sizes(images) == legal


def test_what_is_refused_is_the_users_to_mend():
    assert issubclass(SpaceError, NnlcError)
    assert issubclass(SpecError, NnlcError)
