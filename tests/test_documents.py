"""README and CONTRIBUTING hold: every command and block of code in them is found and run, in its
smallest form, every option exists, and every path leads somewhere.

A command that is new in them fails here until SMALLEST says how it is run, or ELSEWHERE by which
test, or NOT_RUN why it is not.
"""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import documents
import numpy as np
import pytest
from documents import DOCUMENTS, ROOT
from image_files import OWN, npz, random_images
from limits import HANG_SECONDS
from picture_samples import write_tables
from typer.main import get_command
from typer.testing import CliRunner
from worker_jobs import command as worker_command
from worker_jobs import mpirun, write_campaign

from nnlc.analysis.predictors import FitFailure
from nnlc.analysis.predictors.interface import Prefix
from nnlc.campaign.campaign import load_campaign
from nnlc.cli import app
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal
from nnlc.schedulers.site import load_site

COMMANDS = sorted({words for each in DOCUMENTS for words in documents.commands(each)})
VERBS = get_command(app).commands

SMALLEST = {
    "nnlc campaigns": "",
    "nnlc plan paper --site summit": "",
    "nnlc audit published": "",
    "nnlc metrics published -o metrics.csv": "",
    "nnlc metrics FOLDER -o metrics.csv": "nnlc metrics results/smoke -o metrics.csv",
    "nnlc metrics results/tops -o metrics.csv": "nnlc metrics results/smoke -o metrics.csv",
    "nnlc export published -o published-parquet": "",
    "nnlc plot results/curves -o curves.svg": "",
    "nnlc plot compare.csv -o compare.svg": "",
    "nnlc report results/curves -o report.html --compare compare.csv": "",
    "nnlc compare --list": "",
    "nnlc stage fashion-mnist": "nnlc stage smoke",
    "nnlc submit paper --site summit --nodes 4 --minutes 120 --account ABC123": (
        "nnlc submit smoke --site summit --nodes 1 --minutes 120 --account ABC123 --dry-run"
        " --python {python} --results {new}"
    ),
    "nnlc status results/paper --watch": "nnlc status results/smoke",
    "nnlc status RESULTS --watch": "nnlc status results/smoke",
    "nnlc compare results/curves --methods last1,pow4,mmf4,ensemble,gp,penguin,menndl"
    " --cutoffs 4,10 -o compare.csv": (
        "nnlc compare results/curves --methods last1,pow4,menndl --cutoffs 4,10 -o compare.csv"
    ),
    ".venv/bin/nnlc show TABLE": "nnlc show {table}",
    "nnlc show TABLE": "nnlc show {table}",
    "nnlc keys site": "",
    "nnlc keys campaign": "",
    "nnlc stage CAMPAIGN": "nnlc stage smoke",
    "nnlc status results/cluster": "nnlc status results/smoke",
    "nnlc keys [campaign|site|FAMILY]": "nnlc keys campaign",
    "nnlc specs CAMPAIGN": "nnlc specs smoke",
    "nnlc specs CAMPAIGN [--csv FILE | --memory GB]": "nnlc specs smoke --csv -",
    "nnlc describe FILE.npz": "nnlc describe own.npz",
    "nnlc describe FILE.npz [--networks N] [--depths A-B] [--family FAMILY]": (
        "nnlc describe own.npz --depths 1-2"
    ),
    "nnlc sites --plan paper": "nnlc sites --plan fashion-mnist",
    "nnlc sites [--plan CAMPAIGN]": "nnlc sites",
    "nnlc plan paper --site frontier --queue batch --nodes N --elements 1": (
        "nnlc plan fashion-mnist --site frontier --queue batch --nodes 2 --elements 1"
    ),
    "nnlc plan CAMPAIGN [--site SITE | --ranks N]": "nnlc plan fashion-mnist --site frontier",
    "nnlc check-family MODULE:CLASS": "nnlc check-family residual --networks 1",
    "nnlc check-family [FAMILY] [--networks N] [--images NAME] [--campaign FILE]": (
        "nnlc check-family residual --networks 1 --images CIFAR-10"
    ),
    "nnlc doctor": "nnlc doctor smoke --device cpu",
    "nnlc doctor [CAMPAIGN] [--site SITE]": "nnlc doctor smoke --site slurm --device cpu",
    "nnlc stage CAMPAIGN [--root DIR] [--from DIR]": "nnlc stage smoke --root images --from .",
    "nnlc render CAMPAIGN --site SITE": "nnlc render smoke --site slurm",
    "nnlc lint SCRIPT --site SITE": "nnlc lint job.sh --site local",
    "nnlc submit CAMPAIGN --site SITE [--dry-run]": (
        "nnlc submit smoke --site slurm --dry-run --python {python} --results {new}"
    ),
    "nnlc cancel RESULTS": "nnlc cancel results/smoke",
    "nnlc status RESULTS [--watch]": "nnlc status results/curves",
    "nnlc spent RESULTS": "nnlc spent results/smoke",
    "nnlc upgrade RESULTS [--dry-run] [--accept-code]": "nnlc upgrade results/curves --dry-run",
    "nnlc upgrade": "nnlc upgrade results/curves --dry-run",
    "nnlc upgrade RESULTS --new-arithmetic": "nnlc upgrade results/curves --new-arithmetic",
    "nnlc notify RESULTS [--command COMMAND]": "nnlc notify results/smoke --command true",
    "nnlc notify RESULTS": "nnlc notify results/smoke --command true",
    "nnlc retry RESULTS [ID …]": "nnlc retry results/smoke {id}",
    "nnlc metrics FOLDER… [-o FILE]": "nnlc metrics published results/smoke -o m.csv",
    "nnlc importance FOLDER… [-o FILE]": "nnlc importance results/curves -o i.csv",
    "nnlc audit FOLDER… [--json] [--all]": "nnlc audit published --json --all",
    "nnlc export FOLDER… -o DIR [--format parquet|csv]": (
        "nnlc export published -o {new} --format csv"
    ),
    "nnlc import DIR -o FOLDER": "nnlc import published-parquet -o {new}",
    "nnlc import --csv CURVES.csv [--networks NETWORKS.csv] -o FOLDER": (
        "nnlc import --csv elsewhere.csv -o {new}"
    ),
    "nnlc merge FOLDER… -o DIR [--link]": "nnlc merge results/smoke -o {new} --link",
    "nnlc subset FOLDER… -o DIR [--dataset D] [--family F] [--depth A-B] [--final-accuracy A-B]"
    " [--sample N] …": (
        "nnlc subset results/smoke -o {new} --dataset F-MNIST-sample --family article --depth 1-9"
        " --final-accuracy 0-100 --sample 2"
    ),
    "nnlc predict FOLDER… [--method M] [--csv FILE]": (
        "nnlc predict results/curves --method last1 --csv p.csv"
    ),
    "nnlc predict FOLDER --method penguin": "nnlc predict results/curves --method penguin",
    "nnlc compare FOLDER… [--methods M,…] [--cutoffs E,…] [--error P] [-o FILE.csv]": (
        "nnlc compare results/curves --methods last1,menndl --cutoffs 4 -o c.csv"
    ),
    "nnlc compare results/curves --error 1": (
        "nnlc compare results/curves --methods last1,menndl --error 1"
    ),
    "nnlc plot results/curves -o fig1.pdf --preset one-column --no-caption": "",
    "nnlc plot FOLDER… -o FILE.(png|svg|pdf) [--kind K] [--dataset D] [--preset one-column]": (
        "nnlc plot results/curves -o k.png --kind depth"
    ),
    "nnlc report FOLDER -o FILE.html": "nnlc report results/smoke -o r.html",
    "nnlc rebuild TABLE [--python]": "nnlc rebuild {table} --python",
    "nnlc verify TABLE… [--half-epochs N] [--seeds K]": "nnlc verify {table} --half-epochs 1",
    "nnlc verify results/smoke": "nnlc verify {table} --half-epochs 1",
}
"""How each is run: in the folder that `place` lays out; empty: as it stands."""

WORKER = "test_preflight.py::test_the_preflight_alone_names_every_rank_and_leaves_nothing"
PLAN_HERE = "test_machine_plan.py::test_steps_of_real_networks_are_timed_in_a_process_of_their_own"
ELSEWHERE = {
    "nnlc specs residual --costs residual.json": (
        "test_costs_files.py::test_specs_counts_what_a_file_lacks_with_torch_and_writes_it"
    ),
    "nnlc plan residual --site perlmutter --costs residual.json": (
        "test_costs_files.py::test_a_plan_reads_costs_from_its_option_or_from_the_results_folder"
    ),
    "nnlc upgrade RESULTS --accept-code": "test_changed_code.py::"
    "test_the_command_in_the_message_does_all_that_goes_on",
    "nnlc plan CAMPAIGN": PLAN_HERE,
    "nnlc calibrate RESULTS": "test_calibration.py::"
    "test_the_command_prints_errors_before_and_after_and_the_constants",
    "nnlc serve results/curves": "test_serve.py::"
    "test_the_command_prints_its_address_and_ends_cleanly_with_ctrl_c",
    "nnlc serve RESULTS [--port N]": "test_serve.py::"
    "test_the_command_prints_its_address_and_ends_cleanly_with_ctrl_c",
    "nnlc grow results/tops tops.toml": "test_growing.py::"
    "test_old_tables_stay_new_ids_come_behind_and_the_longer_tables_are_those_from_the_start",
    "nnlc grow RESULTS CAMPAIGN": "test_growing.py::"
    "test_old_tables_stay_new_ids_come_behind_and_the_longer_tables_are_those_from_the_start",
    "nnlc grow RESULTS CAMPAIGN [--dry-run] [--accept-code]": "test_growing.py::"
    "test_a_dry_run_says_what_would_happen_and_writes_nothing",
    "python tests/harness.py --short --faults 200 --seed 1": "test_harness.py::"
    "test_after_a_fault_of_each_kind_every_table_is_that_of_an_undisturbed_job",
    "mpirun -np 2 python -m nnlc.worker fashion-mnist": WORKER,
    "mpirun -np 2 python -m nnlc.worker curves": WORKER,
    "python -m nnlc.worker CAMPAIGN": WORKER,
}

INSTALLS = "it installs from the network, and .ci/run does the same; its parts are looked at here"
NOT_RUN = {
    "python3 -m venv .venv && .venv/bin/pip install -e '.[mpi]'"
    " && .venv/bin/mpirun -np 2 .venv/bin/python -m nnlc.worker": INSTALLS,
    "python3 -m venv .venv && .venv/bin/pip install -e '.[mpi,dev]'"
    " && .venv/bin/python -m pytest -n 4 --dist loadfile": INSTALLS,
    "pip install --no-binary mpi4py mpi4py": "it builds against the MPI of a cluster",
    "ssh -L 8765:127.0.0.1:8765 HOST": "it needs another machine",
    "pip install '.[bench]'": INSTALLS,
    "pip install mf-prior-bench .": INSTALLS,
    "python tests/others.py all": INSTALLS,
    "python tests/light.py": INSTALLS,
    "python tests/oldest_torch.py": "it installs from the network",
    "pip install .": INSTALLS,
    "pip install '.[export]'": INSTALLS,
    ".ci/run": "it runs these tests",
    "python -m pytest -m quick": "it runs these tests",
    "python tests/rooms.py": "it writes CONTRIBUTING, which tests/test_structure.py compares",
    "python tests/old/make.py VERSION": "it replaces what tests/test_old.py reads",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory, alone):
    """A folder as the reader has it after a while: results, published tables, an own image set."""
    place = tmp_path_factory.mktemp("reader")
    smoke = load_campaign("smoke")
    curves = load_campaign(
        write_campaign(place, 'extends = "curves"\n[datasets.F-MNIST-sample]\ndepths = [1, 2]\n')
    )
    for name, campaign in (("smoke", smoke), ("curves", curves)):
        results = ResultsFolder(place / "results" / name)
        results.open(campaign)
        networks = list(campaign.networks())[:8]
        write_tables(results.path, networks[1:], campaign.half_epochs)
        lost = networks[0].spec.id
        Journal(results.journal_folder, results.ready).write("failure", id=lost, reason="no room")
    trained = shutil.copytree(alone[1], place / "results" / "tiny")
    shutil.copytree(trained / "F-MNIST-sample_models", place / "published")
    (place / "elsewhere.csv").write_text("id,epoch,val_accuracy_percent\na,1,50\n")
    (place / "own.npz").write_bytes(npz(random_images(OWN)))
    job = ["render", "smoke", "--site", "local", "-o", str(place / "job.sh")]
    methods = ["compare", str(place / "results" / "curves"), "--methods", "last1", "--cutoffs", "4"]
    for words in (
        job,
        [*methods, "-o", str(place / "compare.csv")],
        ["export", str(place / "published"), "-o", str(place / "published-parquet")],
    ):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, (words, done.output, done.exception)
    return place


def is_bare(words: str) -> bool:
    """Whether it only names a program or a verb, of which the sentence then speaks."""
    return re.fullmatch(r"(nnlc|python|mpirun|pip)|nnlc [a-z]+", words) is not None


def is_benchmark(words: str) -> bool:
    return words.startswith("python benchmarks/")


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_is_known_here(words):
    ways = [words in SMALLEST, words in ELSEWHERE, words in NOT_RUN, is_benchmark(words)]
    if words.startswith("python -m nnlc.worker ["):
        ways.append(True)  # the test of the worker's options
    assert sum(ways) == 1 or (is_bare(words) and sum(ways) <= 1), (
        f"{words!r}: say in SMALLEST how this is run here, or in NOT_RUN why it is not"
    )
    if SMALLEST.get(words):
        assert SMALLEST[words].split()[1] == words.removeprefix(".venv/bin/").split()[1]


def test_no_command_is_known_here_that_no_document_has():
    assert {*SMALLEST, *ELSEWHERE, *NOT_RUN} <= {*COMMANDS}


@pytest.mark.parametrize("test", sorted(set(ELSEWHERE.values())))
def test_what_is_run_by_another_test_is_run_there(test):
    file, name = test.split("::")
    assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("form", {SMALLEST[words] or words: None for words in SMALLEST})
def test_a_command_runs_in_its_smallest_form(form, place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    table = sorted(place.glob("results/tiny/*_models/*.txt"))[0]
    smallest = form.format(
        table=table.relative_to(place),
        id=next(iter(load_campaign("smoke").networks())).spec.id,
        new=tmp_path / "new",
        python=sys.executable,
    )
    done = CliRunner().invoke(app, shlex.split(smallest)[1:])
    assert done.exit_code == 0, f"{smallest}\n{done.output}\n{done.exception!r}"
    assert done.output.strip()


@pytest.mark.parametrize("words", [words for words in COMMANDS if "nnlc " in words[:15]])
def test_a_verb_exists_with_every_option_that_is_shown(words):
    verb = words.removeprefix(".venv/bin/").split()[1]
    known = {option for word in VERBS[verb].params for option in word.opts}
    assert documents.options(words) <= known, verb


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_verb_that_is_spoken_of_exists(document):
    blocks = (line for block in documents.indented(document) for line in block)
    code = "\n".join([*documents.inline(document), *blocks])
    spoken = set(re.findall(r"(?<![\w/.-])nnlc ([a-z]+(?:-[a-z]+)?)", code))
    assert spoken <= VERBS.keys()


def test_the_table_of_commands_has_every_verb_once():
    table = documents.text_of(ROOT / "README.md").split("## Commands")[1].split("\n## ")[0]
    verbs = re.findall(r"^\| `nnlc ([a-z-]+)", table, re.MULTILINE)
    assert sorted(verbs) == sorted(VERBS)


def test_the_workers_options_are_those_it_has():
    [shown] = [words for words in COMMANDS if words.startswith("python -m nnlc.worker [")]
    words = worker_command("--help")
    told = subprocess.run(words, capture_output=True, text=True, timeout=HANG_SECONDS, check=True)
    had = documents.options(told.stdout) - {"--help", "-h", "-m"}
    assert documents.options(shown) - {"-m"} == had


@pytest.mark.parametrize("words", sorted(filter(is_benchmark, COMMANDS)))
def test_a_benchmark_exists_and_has_the_options(words):
    script = words.split()[1]
    source = (ROOT / script).read_text(encoding="utf-8")
    assert all(f'"{option}"' in source for option in documents.options(words))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_option_that_is_spoken_of_exists(document):
    places = [*(ROOT / "nnlc").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in places)
    code = [words for words in documents.inline(document) if not words.startswith("pip ")]
    spoken = documents.options("\n".join(words for words in code if " -m " not in words))
    absent = {
        option
        for option in spoken - {"-o"}
        if f'"{option}"' not in sources
        and not any(option in word.opts for verb in VERBS.values() for word in verb.params)
    }
    assert absent == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_path_leads_somewhere(document):
    linked = [
        link.partition("#")[0]
        for link in re.findall(r"\]\(([^)]+)\)", documents.text_of(document))
        if "://" not in link
    ]
    starts = "(nnlc|tests|benchmarks|jobs|launch|site_configs|docs|\\.ci)/"
    named = [
        words.split()[0]
        for code in documents.inline(document)
        for words in [code.removeprefix("python ")]
        if re.match(starts, words)
    ]
    absent = [path for path in linked if not (document.parent / path).exists()]
    absent += [path for path in named if not (ROOT / path).exists()]
    assert absent == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_everything_that_is_installed_can_be(document):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = re.findall(r"\.\[([\w,]+)\]", documents.text_of(document))
    assert {extra for extra in ",".join(found).split(",") if extra} <= {
        *extras["optional-dependencies"]
    }
    if document.name == "README.md":
        assert found
        assert Path(mpirun()).exists()


# ---- blocks of code


def blocks(language: str) -> list[str]:
    return [
        code
        for document in DOCUMENTS
        for its, code in documents.fenced(document)
        if its == language
        and not code.startswith("# In ")  # tests/test_extending.py
        # tests/test_first_hour.py, tests/others/, tests/test_families_page.py
        and document.name not in ("first-hour.md", "other-tools.md", "families.md")
    ]


def test_no_block_is_of_a_language_that_nothing_here_reads():
    found = {language for each in DOCUMENTS for language, _ in documents.fenced(each)}
    # Without a language: the tree of rooms.
    assert found == {"", "jinja", "python", "r", "sh", "text", "toml"}


@pytest.mark.parametrize("code", blocks("python"))
def test_a_block_of_python_runs_as_it_stands(code, place, monkeypatch):
    monkeypatch.chdir(place)
    names: dict = {}
    exec("import nnlc\n" + code, names)  # one begins where another ends
    if "Halfway" in names:
        values = np.linspace(1, 60, 8)
        method = names["Halfway"](share=0.3)
        long = Prefix(values / 2, values, values, values)
        assert method.predict(long, 20).value == pytest.approx(72)
        short = Prefix(*(each[:3] for each in (values / 2, values, values, values)))
        assert isinstance(method.predict(short, 20), FitFailure)
    if "bench" in names:
        assert len(names["bench"].ids) == 7


@pytest.mark.parametrize("code", blocks("toml"))
def test_a_block_of_toml_is_a_campaign_or_a_site(code, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(code, encoding="utf-8")
    if "[datasets." in code:
        assert next(iter(load_campaign(path).networks()))
    else:
        assert load_site(path).name
