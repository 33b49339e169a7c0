"""The house: who may import whom, what an import loads, and what an installation carries."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from limits import HANG_SECONDS
from rooms import CONTRIBUTING, EVERYWHERE, ROOMS, table, tree

import nnlc
from nnlc.families.loading import SHIPPED
from nnlc.schedulers.scheduler_registry import SCHEDULERS
from nnlc.tables import folder_names as names

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "nnlc"
DATA_FOLDERS = ("jobs", "launch", "site_configs")

MAY_IMPORT = {room: set(below.split()) for room, (_, below) in ROOMS.items()}
MOST_MODULES_AT_THE_TOP = 10


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
        found |= {n.split(".")[1] for n in names if n.startswith("nnlc.")} & ROOMS.keys()
    return found


def _modules() -> list[Path]:
    return sorted(
        p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py" or p.parent != PACKAGE
    )


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_the_rooms_below_it(path):
    room = _room(path)
    allowed = ROOMS.keys() if room in {"cli", "__main__"} else MAY_IMPORT[room]
    everywhere = set() if room in EVERYWHERE else EVERYWHERE
    assert _imports(path) <= allowed | everywhere | {room}


def test_names_in_a_results_folder_are_written_in_one_module():
    whole = {names.CAMPAIGN_FILE, names.MACHINES_FILE, names.PROVENANCE_FILE, names.JOURNAL}
    ends = (names.MODELS, names.EVENTS, names.PROGRESS, names.LEASE, names.CHECKPOINT)
    for path in _modules():
        nodes = ast.walk(ast.parse(path.read_text())) if path.stem != "folder_names" else ()
        texts = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        assert not {t for t in texts if t in whole or (t.endswith(ends) and " " not in t)}, path


def test_rooms_stand_in_an_order_in_which_each_imports_those_before_it_only():
    before: set[str] = set()
    for room, below in MAY_IMPORT.items():
        assert below - {"all"} <= before, room
        before.add(room)


def test_contributing_has_the_rooms_as_they_are_and_few_modules_stand_at_the_top():
    contributing = CONTRIBUTING.read_text(encoding="utf-8")
    assert tree() in contributing, "run: python tests/rooms.py"
    assert table() in contributing, "run: python tests/rooms.py"
    top = {path.stem for path in PACKAGE.glob("*.py")}
    assert len(top) <= MOST_MODULES_AT_THE_TOP
    assert top - {"__init__", "__main__"} <= ROOMS.keys()
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} <= ROOMS.keys()


def _libraries(path: Path) -> set[str]:
    """Libraries that a module imports, except for types alone."""
    tree = ast.parse(path.read_text())
    typing = [n for n in ast.walk(tree) if isinstance(n, ast.If) and _name(n.test) == TYPES]
    for_types = {id(node) for block in typing for node in ast.walk(block)}
    found = set()
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found |= set() if id(node) in for_types else {name.partition(".")[0] for name in names}
    return found


def _name(node: ast.AST) -> str:
    return getattr(node, "id", getattr(node, "attr", ""))


TYPES = "TYPE_CHECKING"


def test_torch_matplotlib_and_mpi4py_are_imported_in_their_rooms_only():
    users: dict[str, set[str]] = {"torch": set(), "mpi4py": set(), "matplotlib": set()}
    for path in PACKAGE.rglob("*.py"):
        for library in _libraries(path) & users.keys():
            users[library].add(str(path.relative_to(PACKAGE)))
    assert users["mpi4py"] == {"ranks/mpi.py"}
    assert users["matplotlib"]
    assert all(user.startswith("plotting/") for user in users["matplotlib"])
    shipped = {module.partition(":")[0] for module in SHIPPED.values()}  # as a user's own families
    families = {f"{module.removeprefix('nnlc.').replace('.', '/')}.py" for module in shipped}
    assert users["torch"] >= families
    rooms = ("training/", "families/modules/", "families/article/modules/")
    assert [user for user in users["torch"] - families if not user.startswith(rooms)] == []


def test_only_the_room_of_schedulers_knows_their_names():
    names = re.compile(f'"({"|".join(SCHEDULERS)})"|scheduler [!=]=')
    for path in _modules():
        assert _room(path) == "schedulers" or not names.search(path.read_text()), path


LIGHT = (
    *("nnlc", "nnlc.tables", "nnlc.networks", "nnlc.campaign.campaign", "nnlc.worker", "nnlc.cli"),
    *("nnlc.launching.render", "nnlc.analysis.text_drawing", "nnlc.analysis.stopper"),
    *("nnlc.benchmark", "nnlc.benchmark.config_space", "nnlc.collection.merging"),
    "nnlc.results.status",
    *("nnlc.training.loaded_images", "nnlc.training.stage", "nnlc.training.network_text"),
    *("nnlc.auditing.audit", "nnlc.calibration.calibrate", "nnlc.launching.machine_plan"),
    *("nnlc.exporting.exporting", "nnlc.exporting.importing"),
)


def test_importing_loads_neither_torch_nor_mpi_nor_scipy():
    code = (
        f"import sys, {', '.join(LIGHT)}; "
        "loaded = {'torch', 'torchvision', 'mpi4py', 'scipy', 'h5py'} & sys.modules.keys(); "
        "sys.exit(', '.join(loaded) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG_SECONDS)


def test_the_public_names_are_these_and_each_can_be_had():
    assert sorted(nnlc.__all__) == [
        *("Audit", "Benchmark", "Campaign", "ImageSet", "NetworkSpec", "NnlcError"),
        *("SearchSpace", "Stopper", "Table", "Tables", "__version__", "aggregate_csv", "audit"),
        *("compare", "config_space", "config_to_network", "export_tables", "import_tables"),
        *("importance", "load_campaign", "load_tables", "merge_tables", "metrics"),
        *("network_to_config", "plot_comparison", "plot_tables", "predict"),
        *(
            "read_table",
            "rebuild",
            "sample_network",
            "savings",
            "subset_tables",
            "verify",
            "walk_network",
        ),
        *("write_report", "write_table"),
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
    "import nnlc, nnlc.system.shipped as s; "
    "print(nnlc.__file__); print(*s.shipped_names('jobs', '.toml'))"
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
    extras = project["optional-dependencies"]
    assert {"numpy", "pandas", "jinja2"} <= _names(project["dependencies"])
    assert "torch" in _names(extras["train"])
    assert "torchvision" in _names(extras["dev"])  # only tests and a benchmark use it
    assert {"mpi4py", "nnlc[train]"} <= _names(extras["mpi"])  # so `.[mpi]` goes on bringing all


def _names(requirements: list[str]) -> set[str]:
    return {re.split("[<>=~ ;]", requirement)[0] for requirement in requirements}
