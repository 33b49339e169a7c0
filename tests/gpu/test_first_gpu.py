"""The first minutes on a GPU, on a driver that runs no kernels: every check ends with a verdict."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import stub_driver
from limits import HANG_SECONDS

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"
IN_PROCESS = ("dropout", "convolutions", "precision", "memory", "speed", "thresholds")
CHECKS = (
    *("device", "smoke", "dropout", "convolutions", "precision", "capture", "notice", "memory"),
    *("neighbours", "mps", "speed", "thresholds"),
)
"""Checks in the order of their value."""
STUB = pytest.mark.needs("stub driver")
ODD_CHECKS = """
import os, time
def hangs(here): time.sleep(HANG)
def dies(here): os.abort()
def fails(here): raise ValueError("broken")
def prints(here): print("last words"); os._exit(3)
"""
RUN_ODD_CHECKS = """
import pathlib, sys
from gpu_checks import Here, preload, run_apart
if __name__ == "__main__":
    preload(["odd_checks"])
    for name, seconds, is_last in
        found = run_apart("odd_checks", name, Here(pathlib.Path.cwd(), 1), seconds, is_last=is_last)
        print(found.verdict, found.text, *(problem.text for problem in found.problems), sep="; ")
"""


def start(folder: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )


def run(folder: Path, *words: object, **options: object) -> tuple[int, list[str], dict]:
    """Return exit status, lines and figures of the program on the stub, with few samples."""
    made = start(
        folder,
        BENCHMARKS / "first_gpu.py",
        *("--share", 0.03, *words),
        **stub_driver.environment(**options),
    )
    assert "Traceback" not in made.stderr, made.stderr
    figures = json.loads((folder / "first_gpu.json").read_text())
    return made.returncode, made.stdout.splitlines(), figures["checks"]


@STUB
def test_each_check_ends_with_a_verdict_and_one_file_has_all_figures(tmp_path):
    status, lines, found = run(tmp_path)
    assert [line.split()[0] for line in lines[:-1]] == [*CHECKS] == [*found], lines
    for line, (name, each) in zip(lines, found.items(), strict=False):
        verdict = "not possible here" if name == "mps" else "not known here"
        assert " ".join(line.split()).startswith(f"{name} {verdict} {each['text']}")
        assert each["verdict"] == verdict
    assert status == 0
    # These need no values.
    assert found["capture"]["text"].startswith("1 of 2 networks without graphs")
    assert len(found["memory"]["held"]) >= 10
    assert found["convolutions"]["missing"] == []


@STUB
def test_what_fails_on_the_device_is_reported_and_the_next_check_runs(tmp_path):
    status, lines, found = run(tmp_path, "--only", *IN_PROCESS, fail="sticky-launch:60")
    assert status == 1
    assert [*found] == ["device", *IN_PROCESS]
    assert {found[name]["verdict"] for name in IN_PROCESS} == {"WRONG"}, lines
    assert "; change the code" in lines[2]
    status, lines, found = run(tmp_path, "--only", "dropout", fail="capture:1")
    assert found["dropout"]["verdict"] == "WRONG"
    assert "can't be captured" in lines[2]


def test_a_check_that_hangs_or_dies_is_its_own_verdict(tmp_path):
    (tmp_path / "odd_checks.py").write_text(ODD_CHECKS.replace("HANG", str(HANG_SECONDS)))
    checks = [(name, HANG_SECONDS, False) for name in ("dies", "fails", "prints")]
    checks += [("hangs", 0.1, False), ("hangs", 0.1, True)]
    (tmp_path / "run.py").write_text(RUN_ODD_CHECKS.replace(" in\n", f" in {checks}:\n"))
    paths = os.pathsep.join(map(str, (tmp_path, BENCHMARKS)))
    made = start(tmp_path, "run.py", PYTHONPATH=paths)
    assert made.stdout.splitlines() == [
        "WRONG; its process was killed by SIGABRT",
        "WRONG; ValueError: broken; its traceback is in the JSON file",
        "WRONG; its process left with status 3; last words",
        "WRONG; no answer in 0 s",
        "too late; no answer in 0 s",
    ], made.stderr


FAKE_WORKER = """
import json, os, pathlib, signal, sys, time
value = sys.argv.__getitem__
results = pathlib.Path(value(sys.argv.index("--results") + 1))
plan = json.loads(os.environ["PLAN"]).get(results.name, {})
(results / "journal").mkdir(parents=True, exist_ok=True)
(results / "set_models").mkdir(exist_ok=True)
def write(event, **facts):
    with (results / "journal" / f"{os.getpid()}.jsonl").open("a") as file:
        file.write(json.dumps({"time": "2026-01-01T00:00:00+00:00", "event": event, **facts}))
        file.write(chr(10))
ids = ("a", "b")
again = bool(list((results / "journal").iterdir()))
for id in ids:
    write("start", id=id)
if again:
    write("resume", id="b", half_epoch=7)
elif plan.get("waits"):
    signal.signal(signal.SIGUSR2, lambda *_: os._exit(plan["waits"]))
    time.sleep(HANG)
for id in ids:
    write("finish", id=id, seconds=0, **plan.get("finish", {}))
    (results / "set_models" / f"{id}.txt").write_text(plan.get("table", f"{id} 70.0"))
write("end", status="DONE")
sys.exit(plan.get("status", 0))
"""
"""A worker that trains nothing; PLAN says by results folder what is odd about its jobs."""
EAGER = {"finish": {"eager_because": "it is refused"}}
WRONG_JOBS = [
    ("smoke", {}, None),
    ("smoke", {"smoke-2": {"table": "a 80.0"}}, "smoke-2 has other bytes in a.txt, b.txt"),
    ("smoke", {"smoke-2": {"status": 1}}, "smoke-2 has exit status 1, not 0: no output"),
    ("smoke", {"smoke-1": EAGER}, "a without graphs: it is refused"),
    ("smoke", {n: {"table": "a 10.0"} for n in ("smoke-1", "smoke-2")}, "no network learns"),
    ("capture", {}, "0 networks were trained without graphs, not 1"),
    ("notice", {"notice": {"waits": 75}}, None),
    ("notice", {"notice": {"waits": 1}}, "notice has exit status 1, not 75"),
    ("neighbours", {}, None),
    ("neighbours", {"trainers-2": {"table": "a 1.0"}}, "trainers-2 has other bytes in a.txt"),
]


@pytest.mark.parametrize(("name", "plan", "problem"), WRONG_JOBS)
def test_what_is_wrong_with_a_job_is_named(name, plan, problem, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    checks, jobs = map(importlib.import_module, ("gpu_checks", "gpu_jobs"))
    worker = tmp_path / "worker.py"
    worker.write_text(FAKE_WORKER.replace("HANG", str(HANG_SECONDS)))
    for kind in ("WORKER", "FAILING"):
        monkeypatch.setattr(jobs, kind, (str(worker),))
    monkeypatch.setenv("PLAN", json.dumps(plan))
    found = getattr(jobs, name)(checks.Here(tmp_path, 1.0))
    assert found.verdict == ("WRONG" if problem else "right"), found
    assert not problem or found.problems[0].text.startswith(problem)
    assert all(each.change.startswith("the code") for each in found.problems)


def test_a_run_without_a_gpu_or_without_time_says_so(tmp_path):
    program = BENCHMARKS / "first_gpu.py"
    for words, told in (
        (["--seconds", 1e-9], "device too late the 0 s are over"),
        ([], "device not possible here torch sees no GPU"),
    ):
        made = start(tmp_path, program, *words, CUDA_VISIBLE_DEVICES="")
        assert made.returncode == 1
        assert " ".join(made.stdout.split()).startswith(told), made.stderr
        assert [*json.loads((tmp_path / "first_gpu.json").read_text())["checks"]] == ["device"]
