"""A network is the same one on every machine, in every process and after any other.

golden/networks.csv holds every 125th network of the paper campaign. No test writes it. A change
to it renames published networks; where that is meant, it is made again from `direct.toml`, which
extends `paper` with `training.convolutions = "direct"`, so that predictions stay:

    nnlc specs direct.toml --csv - | awk 'NR == 1 || NR % 125 == 2' > tests/golden/networks.csv
"""

import csv
import io
import itertools
import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network_rules import ARTICLE, ID, PUBLISHED, sample

from nnlc.campaign.campaign import TrainingSection, load_campaign
from nnlc.campaign.network_list import write_csv
from nnlc.families.article import sample_network
from nnlc.networks import KNOWN_IMAGE_SETS

GOLDEN = Path(__file__).parent / "golden" / "networks.csv"
ROOT = Path(__file__).parent.parent

seeds = st.integers(0, 2**32 - 1)
depths = st.integers(1, 10)


@pytest.fixture(scope="module")
def paper_csv():
    file = io.StringIO(newline="")
    direct = {"training": TrainingSection(convolutions="direct")}
    write_csv(load_campaign("paper").model_copy(update=direct), file)
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
from nnlc.campaign.campaign import TrainingSection, load_campaign
from nnlc.campaign.network_list import write_csv
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
        "import sys; from nnlc.networks import *; from nnlc.families.article import *; "
        "sample_network(SearchSpace(), KNOWN_IMAGE_SETS['SVHN'], 3, 5, "
        "id='2022_01_05_00_00_00_000000'); "
        "print(sorted({'torch', 'numpy', 'scipy', 'pandas', 'pydantic'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert result.stdout == b"[]\n"


@settings(max_examples=40)
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
