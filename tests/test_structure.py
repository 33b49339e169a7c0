"""The house: who may import whom, what an import loads, and what an installation carries."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from limits import HANG_SECONDS

import nnlc

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "nnlc"
DATA_FOLDERS = ("jobs", "launch", "site_configs")

# Each room and the rooms below it that it may import. Modules at the top of the package are rooms
# of their own.
EVERYWHERE = {"errors", "files", "textfile", "console", "wording", "formats"}
BASE = {"shipped", "environment", "tomlfile"}
MAY_IMPORT = {
    "errors": set(),
    "files": set(),
    "textfile": {"errors", "files"},
    "console": set(),
    "newfolder": {"process"},
    "shipped": set(),
    "environment": set(),
    "wording": set(),
    "formats": set(),
    "tomlfile": {"shipped"},
    "networks": set(),
    "tables": {"networks", "tomlfile"},
    "campaign": BASE | {"networks", "analysis"},
    "stopping": {"networks", "tables", "analysis"},
    "campaignfile": BASE | {"networks", "campaign"},
    "results": BASE | {"networks", "campaign", "campaignfile", "journal"},
    "journal": set(),
    "process": set(),
    "statustext": {"results", "status", "tablecheck", "launching"},
    "wire": set(),
    "openjobs": {"journal", "process"},
    "history": {"journal", "openjobs", "results", "environment", "networks"},
    "shares": {"networks", "campaign"},
    "tablecheck": {"campaign", "results", "history", "tables", "stopping"},
    "retry": {"results", "journal", "history", "tablecheck"},
    "status": {"results", "journal", "history", "openjobs", "tablecheck", "upgrading"},
    "upgrading": BASE
    | {"networks", "campaign", "campaignfile", "results", "journal", "history", "openjobs"}
    | {"tablecheck", "launching", "verification"},
    "listing": {"campaign", "networks", "tables"},
    "calibration": BASE | {"networks", "campaign", "results", "history", "journal"},
    "training": BASE | {"networks", "tables", "campaign", "results", "wire", "analysis"},
    "ranks": BASE
    | {"networks", "tables", "campaign", "results", "journal", "history", "shares", "wire"}
    | {"calibration", "tablecheck", "process", "openjobs", "upgrading"},
    "verification": BASE
    | {"networks", "tables", "campaign", "results", "history", "wire", "training", "stopping"},
    "worker": BASE | {"ranks"},
    "launching": BASE
    | {"campaign", "networks", "results", "history", "shares", "calibration", "tablecheck"}
    | {"process", "campaignfile"},
    "analysis": {"networks", "tables", "outputs"},
    "auditing": BASE
    | {"networks", "tables", "analysis", "campaign", "results", "history", "journal", "stopping"}
    | {"upgrading"},
    "collection": {"networks", "tables", "journal", "analysis", "newfolder", "outputs"},
    "exporting": {"networks", "tables", "collection", "campaign", "history", "results"}
    | {"newfolder", "upgrading"},
    "benchmark": {"networks", "tables", "collection"},
    "outputs": set(),
    "plotting": {"networks", "tables", "analysis", "outputs"},
    "reporting": {"networks", "tables", "analysis", "outputs"}
    | {"campaign", "results", "journal", "history", "calibration", "tablecheck"}
    | {"openjobs", "status", "upgrading"},
}
ALL_ROOMS = {*MAY_IMPORT, "cli"}


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    """Rooms of nnlc that a module imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {n.split(".")[1] for n in names if n.startswith("nnlc.")} & ALL_ROOMS
    return found


def _modules() -> list[Path]:
    return sorted(
        p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py" or p.parent != PACKAGE
    )


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_the_rooms_below_it(path):
    room = _room(path)
    allowed = ALL_ROOMS if room in {"cli", "__main__"} else MAY_IMPORT[room]
    everywhere = set() if room in EVERYWHERE else EVERYWHERE
    assert _imports(path) <= allowed | everywhere | {room}


def test_torch_is_imported_in_training_matplotlib_in_plotting_and_mpi4py_in_one_file_only():
    users: dict[str, set[str]] = {"torch": set(), "mpi4py": set(), "matplotlib": set()}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                top = name.split(".")[0]
                if top in users:
                    users[top].add(str(path.relative_to(PACKAGE)))
    assert users["mpi4py"] == {"ranks/mpi.py"}
    assert users["torch"]
    assert all(user.startswith("training/") for user in users["torch"])
    assert users["matplotlib"]
    assert all(user.startswith("plotting/") for user in users["matplotlib"])


@pytest.mark.parametrize(
    "module",
    [
        "nnlc",
        "nnlc.tables",
        "nnlc.networks",
        "nnlc.campaign",
        "nnlc.worker",
        "nnlc.cli",
        "nnlc.launching.render",
        "nnlc.analysis.drawing",
        "nnlc.analysis.stopper",
        "nnlc.benchmark",
        "nnlc.collection.merging",
        "nnlc.status",
    ],
)
def test_importing_loads_neither_torch_nor_mpi(module):
    code = (
        f"import sys, {module}; "
        "loaded = {'torch', 'torchvision', 'mpi4py'} & sys.modules.keys(); "
        "sys.exit(', '.join(loaded) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG_SECONDS)


def test_the_public_names_are_these_and_each_can_be_had():
    assert sorted(nnlc.__all__) == [
        "Audit",
        "Benchmark",
        "Campaign",
        "ImageSet",
        "NetworkSpec",
        "NnlcError",
        "SearchSpace",
        "Stopper",
        "Table",
        "Tables",
        "__version__",
        "aggregate_csv",
        "audit",
        "compare",
        "export_tables",
        "import_tables",
        "load_campaign",
        "load_tables",
        "merge_tables",
        "metrics",
        "plot_comparison",
        "plot_tables",
        "predict",
        "read_table",
        "rebuild",
        "sample_network",
        "subset_tables",
        "verify",
        "walk_network",
        "write_report",
        "write_table",
    ]
    for name in nnlc.__all__:
        assert getattr(nnlc, name) is not None
    with pytest.raises(AttributeError):
        _ = nnlc.no_such_name


def test_the_worker_reads_like_prose_and_no_module_is_a_warehouse():
    assert len((PACKAGE / "worker.py").read_text().splitlines()) < 80
    for path in PACKAGE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 320, path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
        timeout=HANG_SECONDS,
    )
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_every_data_file_byte_for_byte(wheel):
    with zipfile.ZipFile(wheel) as archive:
        for folder in DATA_FOLDERS:
            here = {p.name: p.read_bytes() for p in (ROOT / folder).iterdir() if p.is_file()}
            there = {
                name.removeprefix(f"nnlc/{folder}/"): archive.read(name)
                for name in archive.namelist()
                if name.startswith(f"nnlc/{folder}/")
            }
            assert here
            assert here == there
        assert "nnlc/training/sample/fashion_mnist_sample.npz" in archive.namelist()
        assert "nnlc/training/sample/LICENSE.fashion-mnist" in archive.namelist()
        assert "nnlc/py.typed" in archive.namelist()
        page = sorted((PACKAGE / "reporting" / "page").iterdir())
        assert page
        for part in page:
            assert archive.read(f"nnlc/reporting/page/{part.name}") == part.read_bytes()


LIST = (
    "import nnlc, nnlc.shipped as s; print(nnlc.__file__); print(*s.shipped_names('jobs', '.toml'))"
)


def test_shipped_data_is_found_from_a_wheel_and_from_a_bare_checkout(wheel, tmp_path):
    target = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    expected = " ".join(sorted(p.stem for p in (ROOT / "jobs").glob("*.toml")))
    for place in (target, ROOT):
        job = subprocess.run(
            [sys.executable, "-c", LIST],
            env={"PYTHONPATH": str(place)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=HANG_SECONDS,
        )
        where, names = job.stdout.splitlines()
        assert where.startswith(str(place))
        assert names == expected


def test_the_changelog_knows_this_version():
    assert f"## {nnlc.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_every_dependency_of_the_users_six_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = " ".join(project["dependencies"] + project["optional-dependencies"]["mpi"])
    for name in ("torch", "torchvision", "mpi4py", "numpy", "pandas", "jinja2"):
        assert name in declared
