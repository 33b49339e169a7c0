"""The tests keep their own promises: they run on any machine, beside any load, and the quick ones
reach every room."""

import ast
import re
from functools import cache
from pathlib import Path

import needs
import others
import pytest
import speed
from rooms import EVERYWHERE, ROOMS

TESTS = Path(__file__).parent
ROOT = TESTS.parent
OTHERS = sorted(f"others/{path.name}" for path in TESTS.glob("others/*.py"))
GPU = sorted(f"gpu/{path.name}" for path in TESTS.glob("gpu/*.py"))
FILES = [*sorted(path.name for path in TESTS.glob("*.py")), *OTHERS, *GPU]
DEAL_AT_SET_TIMES = {"fault_jobs.py", "faults.py", "harness.py"}
"""A program of its own, which hurts jobs at set times; its limits come from limits.py."""
CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "sleep"}


@cache
def tree_of(name: str) -> ast.Module:
    return ast.parse((TESTS / name).read_text(encoding="utf-8"))


def trees() -> dict[str, ast.Module]:
    return {name: tree_of(name) for name in FILES}


def words_of(node: ast.AST) -> str:
    return ast.unparse(node)


def calls(name: str) -> list[ast.Call]:
    return [node for node in ast.walk(tree_of(name)) if isinstance(node, ast.Call)]


def is_number(node: ast.AST | None) -> bool:
    try:
        return isinstance(ast.literal_eval(node), int | float) if node is not None else False
    except ValueError:
        return False


@pytest.mark.parametrize("name", FILES)
def test_limits_come_from_their_owner_and_no_test_looks_at_a_clock(name):
    found = []
    for call in calls(name):
        function = words_of(call.func)
        limits = [word.value for word in call.keywords if word.arg in ("timeout", "deadline")]
        if function.endswith((".settimeout", ".communicate")):
            limits += call.args[-1:]
        if re.fullmatch(r"(job|run|left|rank|again|process|thread)\.(wait|join)", function):
            limits += call.args
        if function == "slow_steps":  # a step is held until the test has seen it
            limits += call.args[1:]
        if any(is_number(limit) for limit in limits):
            found.append(f"line {call.lineno}: a limit of its own: take HANG_SECONDS")
        if (
            function in {f"time.{clock}" for clock in CLOCKS}
            and name not in DEAL_AT_SET_TIMES | {"limits.py"}
            and f"{name}:{function}" not in MAY_LOOK
        ):
            found.append(f"line {call.lineno}: {function}: wait_until or let_pass of limits.py")
    assert not found, "\n".join([name, *found])


MAY_LOOK = {
    "test_harness.py:time.monotonic": "compares the machine's clock with that of a job",
    "test_machine_plan.py:time.monotonic": "answers for a process that says when it had begun",
    "test_files.py:time.monotonic": "kills a writer at a random moment",
}


@pytest.mark.parametrize("name", FILES)
def test_only_one_module_decides_what_is_skipped(name):
    ways = re.compile(r"(pytest|mark|unittest)\.(skip\w*|importorskip)|\.skipTest")
    found = [
        f"line {node.lineno}: {words_of(node)}: name it in needs.py"
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.Attribute) and ways.fullmatch(words_of(node))
    ]
    assert name in ("needs.py", "test_suite.py") or not found, "\n".join([name, *found])


@pytest.mark.parametrize("name", needs.NEEDS)
def test_what_is_missing_is_skipped_with_what_to_install(name, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(needs, "FASHION_MNIST", tmp_path / "no")
    monkeypatch.setattr(needs, "PUBLISHED", tmp_path / "no")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    reason = needs.why_not(name)
    assert reason
    ours = {"root", "mounting", "published tables"}  # no package brings these
    assert name in ours or re.search(r"apt-get install [\w -]+$", reason), reason
    with pytest.raises(pytest.skip.Exception, match=re.escape(reason)):
        needs.require(name)


def test_ci_installs_every_package_that_a_test_may_need():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    wanted = {package for need in needs.NEEDS.values() for package in need.packages.split()}
    assert {package for package in wanted if not re.search(rf"\b{package}\b", script)} == set()


def test_every_file_of_tests_with_libraries_of_others_has_an_environment():
    assert {TESTS / name for name in OTHERS} == {others.file_of(name) for name in others.NAMES}
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "tests/others.py configspace optuna syne-tune >" in script


def test_every_name_that_is_called_slow_is_that_of_a_test():
    functions = {
        Path(name).name: {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        for name, tree in trees().items()
    }
    assert speed.SLOW_FILES | {*speed.SPREAD, *speed.SLOW_TESTS} <= functions.keys()
    for name, slow in speed.SLOW_TESTS.items():
        assert slow <= functions[name], name


def modules_of(name: str) -> set[str]:
    """Return the modules of the package that a file of tests and its helpers name."""
    found: set[str] = set()
    for node in ast.walk(tree_of(name)):
        match node:
            case ast.ImportFrom(module=str(module)):
                found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
            case ast.Import():
                found |= {alias.name for alias in node.names}
            case ast.Constant(value="nnlc.worker"):  # started as a process
                found.add("nnlc.worker")
    helpers = {f"{module}.py" for module in found} & {*FILES} - {name}
    found = {module.split(".")[1] for module in found if module.startswith("nnlc.")}
    return found.union(*(modules_of(helper) for helper in helpers if helper[:5] != "test_"))


def quick_files() -> list[str]:
    return [
        name
        for name, tree in trees().items()
        if name.startswith("test_")
        and any(
            isinstance(node, ast.FunctionDef)
            and node.name.startswith("test_")
            and not speed.is_slow(name, node.name)
            for node in ast.walk(tree)
        )
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_the_quick_tests_reach_every_room(room):
    assert room in EVERYWHERE or any(room in modules_of(name) for name in quick_files())
