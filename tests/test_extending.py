"""Each worked example of docs/extending.md, put into a copy of the package and used for real."""

import os
import re
from pathlib import Path

import pytest
from changed_package import ROOT, CopiedPackage
from curve_samples import loaded, table
from worker_jobs import TINY

import nnlc
from nnlc.families.article import Layer
from nnlc.families.article.layers import KINDS, check_kinds
from nnlc.networks.work import Work
from nnlc.schedulers.local import Local
from nnlc.schedulers.scheduler import Scheduler

DOCUMENT = ROOT / "docs" / "extending.md"
_HEAD = r"(?:# |\{# )In (\S+), (new|before|in place of): ?([^\n]*)\n"
_BLOCK = re.compile(rf"```(?:python|jinja)\n{_HEAD}(.*?)```", re.DOTALL)
_TOML = re.compile(r"```toml\n(.*?)```", re.DOTALL)
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", DOCUMENT.read_text(), re.M | re.S))
MOST_FILES = {
    "A layer type": 2,
    "An optimizer": 1,
    "An image set": 2,
    "A scheduler": 2,
    "A metric": 1,
    "A command": 1,
    "A predictor": 1,
}
"""Of the package that an example may touch."""


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of the package with all examples in it."""
    package = CopiedPackage(tmp_path_factory.mktemp("extended"))
    for section in SECTIONS.values():
        for name, where, line, code in _BLOCK.findall(section):
            if where == "new":
                (package.folder / name).write_text(code)
                continue
            text = (package.folder / name).read_text()
            assert text.count(f"\n{line}") == 1, line
            gap = "\n\n" if code.startswith(("class", "def")) else ""
            kept = line if where == "before" else ""
            new = f"{code}{gap}{kept}".rstrip("\n" if not kept else "")
            (package.folder / name).write_text(text.replace(f"\n{line}", f"\n{new}"))
    return package


def test_each_section_has_an_example_in_as_few_files_as_promised():
    found = {title: {name for name, *_ in _BLOCK.findall(text)} for title, text in SECTIONS.items()}
    assert {title: len(names) for title, names in found.items()} == MOST_FILES


def train(package, folder, lines):
    campaign = folder / "tiny.toml"
    campaign.write_text(
        f"{TINY.replace('networks_per_depth = 3', 'networks_per_depth = 1')}{lines}"
    )
    package.work(campaign, folder / "results")
    return sorted((folder / "results").glob("*_models/*.txt"))


def test_a_new_kind_of_layer_and_optimizer_live_their_whole_life(extended, tmp_path):
    """Sampled, trained, written, read, audited, verified, rebuilt, drawn, shown in a report.

    And what is measured, predicted and said of its tables by a new metric, predictor and command.
    """
    lines = 'blocks = [9, 11]\nmomentum = "always"\n[training]\noptimizer = "RMSprop"\n'
    paths = train(extended, tmp_path, lines)
    results = tmp_path / "results"
    assert len(paths) == 2
    for path in paths:
        assert "\tRMSprop\t" in path.read_text() or " RMSprop " in path.read_text()
    audit, verdicts, source, *others = extended.run_all(
        ["audit", results, "--all"],
        ["verify", results],
        ["rebuild", paths[0], "--python"],
        ["show", paths[0]],
        ["report", results, "-o", tmp_path / "page.html"],
        ["metrics", results],
        ["best", results],
        ["predict", results, "--method", "root2", "--target", "1"],
    )
    assert not re.search(r"^ *(warning|error) ", audit, re.MULTILINE), audit
    assert "2 of 2 identical" in verdicts
    assert "nn.BatchNorm2d(" in source
    assert "torch.optim.RMSprop(network.parameters(), lr=" in source
    exec(source, {})
    told = "".join(others)
    assert "batch norm" in told
    assert ",late_gain" in told
    assert re.search(r"^2026_\S+: [0-9.]+ %$", told, re.MULTILINE)
    assert "root2" in told
    page = (tmp_path / "page.html").read_text()
    assert "o batch_norm " in page
    assert "CrossEntropyLoss, RMSprop" in page


def test_the_predictor_that_learns_is_a_plug_in_as_it_stands(tmp_path, monkeypatch):
    [code] = re.findall(r"```python\n(import numpy.*?)```", SECTIONS["A predictor"], re.S)
    (tmp_path / "similar.py").write_text(code)
    info = tmp_path / "similar-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: similar\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nnlc.predictors]\nsimilar = similar:Similar\n")
    monkeypatch.syspath_prepend(tmp_path)
    curves = [[10.0, 20.0, 30.0, 40.0], [50.0, 60.0, 60.0, 60.0]] * 2
    tables = loaded(*(table(i, curve) for i, curve in enumerate(curves)))
    found = nnlc.predict(tables, method="similar:rate_weight=1")
    assert list(found["predicted"]) == [40, 60, 40, 60]
    alone = nnlc.predict(loaded(table(1, curves[0])), method="similar")
    assert list(alone["reason"]) == ["no finished curve to learn from"]


def test_a_new_image_set_is_planned_and_staged(extended, tmp_path):
    campaign = tmp_path / "kmnist.toml"
    campaign.write_text(TINY.replace("F-MNIST-sample", "KMNIST"))
    assert "KMNIST 21 MB" in " ".join(extended.run("plan", campaign, "--site", "summit").split())
    told = extended.run("stage", campaign, "--root", tmp_path, "--from", tmp_path, status=1)
    assert "KMNIST/raw/train-images-idx3-ubyte.gz" in told


def test_a_kind_of_layer_that_lacks_methods_is_told_of_them():
    class HalfALayer(Layer):
        kind = "half"

        def forward_work(self, batch):
            return Work()

    with pytest.raises(TypeError, match=r"^HalfALayer: .* lacks backward_work, buffers; "):
        check_kinds([*KINDS, HalfALayer])


def test_a_scheduler_that_lacks_a_part_says_which():
    class HalfAScheduler(Scheduler):
        name = "half"
        minutes = Local.minutes

    with pytest.raises(TypeError, match=r"^HalfAScheduler in .* lacks title, launcher$"):
        HalfAScheduler()


def test_jobs_of_a_new_scheduler_are_rendered_linted_submitted_shown_and_cancelled(
    extended, tmp_path, monkeypatch
):
    standins = Path(__file__).parent / "torque"
    monkeypatch.setenv("PATH", f"{standins}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PBS_O_QUEUE", "of a job around this one")
    site, campaign, results = (tmp_path / name for name in ("ours.toml", "tiny.toml", "results"))
    site.write_text(_TOML.search(SECTIONS["A scheduler"])[1])
    campaign.write_text(TINY)
    job, broken = tmp_path / "job.sh", tmp_path / "broken.sh"
    at_site = [campaign, "--site", site]
    extended.run("render", *at_site, "--elements", 2, "--nodes", 3, "-o", job)
    text = job.read_text()
    assert "#PBS -l nodes=3:gpus=4:ppn=32\n#PBS -l walltime=02:00:00\n" in text
    assert "#PBS -t 0-1\n" in text
    broken.write_text(text.replace("walltime=02:00", "walltime=01:00").replace("-j oe", "-y oe"))
    told = extended.run_all(
        *(["lint", script, "--site", site] for script in (job, broken)),
        ["submit", *at_site, "--elements", 2, "--results", results],
        ["status", results],
        ["cancel", results],
        ["status", results],
        statuses=(0, 1, 0, 0, 0, 0),
    )
    told = "".join(told)
    assert f"{job}: fine for our-cluster" in told
    found = re.findall(rf"^{broken}:\d+: (.*?);", told, re.MULTILINE)
    assert found == [
        "#PBS does not know the option 'y'",
        "--time-left counts down from 120 minutes, but line 5 gives the job 60",
    ]
    assert "job 7[].torque: 1 Q" in told
    assert "cancelled 7[].torque" in told
    assert "job 7[].torque: no longer in the queue" in told
    site.write_text(site.read_text() + 'directives = ["-r maybe"]\n')
    told = extended.run("submit", *at_site, "--results", tmp_path / "more", status=1)
    assert "qsub refused: qsub: Illegal attribute or resource value: -r maybe" in told


def test_a_scheduler_of_ones_own_that_was_called_pbs_before_nnlc_had_one_still_works(
    tmp_path, monkeypatch
):
    """The example of docs/extending.md in nnlc 0.3: it takes the place of nnlc's own."""
    old = Path(__file__).parent / "pbs"
    package = CopiedPackage(tmp_path / "package")
    (package.folder / "nnlc/schedulers/pbs.py").write_text((old / "plugin.py").read_text())
    (package.folder / "launch/pbs.sh.j2").write_text((old / "plugin.sh.j2").read_text())
    monkeypatch.setenv("PATH", f"{old}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    site, campaign, results = (tmp_path / name for name in ("pbs.toml", "tiny.toml", "results"))
    text = _TOML.search(SECTIONS["A scheduler"])[1]
    site.write_text(text.replace('"torque"', '"pbs"'))
    campaign.write_text(TINY)
    at_site, job = [campaign, "--site", site], tmp_path / "job.sh"
    *_, linted, submitted, waiting, cancelled = package.run_all(
        ["render", *at_site, "--elements", 2, "-o", job],
        ["lint", job, "--site", site],
        ["submit", *at_site, "--elements", 2, "--results", results],
        ["status", results],
        ["cancel", results],
    )
    assert "\nmpirun -np 4 </dev/null \\\n" in job.read_text()
    assert "fine for our-cluster" in linted
    assert "job 7[].pbs: " in submitted
    assert "job 7[].pbs: 1 Q" in waiting
    assert "cancelled 7[].pbs" in cancelled


@pytest.mark.parametrize(
    ("name", "entry", "words"),
    [
        (
            "families/article/layers.py",
            "Flatten, Linear)",
            "relu: a kind of layer needs an entry in",
        ),
        ("networks/image_sets.py", "", "an image set needs an entry in"),
    ],
)
def test_whoever_forgets_one_place_is_told_of_it(tmp_path, name, entry, words):
    package = CopiedPackage(tmp_path)
    if entry:
        package._replace(
            "families/article/torch_calls.py", '    "relu": lambda *_: ("ReLU", (), {}),\n', ""
        )
        name = "2026_01_02_03_04_05_000000.txt"
        folder = ROOT / "tests" / "old" / "0.2.0" / "half-done" / "F-MNIST-sample_models"
        told = package.run("rebuild", folder / name, status=1)
    else:
        package._replace("training/image_sources.py", "    SVHN.name: Source(", "    'x': Source(")
        told = package.run("stage", "smoke", status=1)
    assert words in told
