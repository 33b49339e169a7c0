"""The element of an array that a scheduler's index stands for, and indices that stand for none."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worker_jobs import run_worker

from nnlc.ranks.worker_options import parse_options
from nnlc.schedulers.scheduler_registry import element_of


def slurm(tasks: Sequence[int], index: int, step: int = 1) -> dict[str, str]:
    """What Slurm tells a task of the array of these tasks."""
    told = {"ID": index, "MIN": min(tasks), "MAX": max(tasks), "COUNT": len(tasks), "STEP": step}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in told.items()}


def lsf(tasks: Sequence[int], index: int) -> dict[str, str]:
    return {"LSB_JOBINDEX": str(index), "LSB_JOBINDEX_END": str(max(tasks))}


@given(st.integers(2, 40), st.integers(0, 50), st.integers(1, 4))
def test_the_tasks_of_a_whole_array_are_its_elements_wherever_it_begins(elements, first, step):
    tasks = range(first, first + elements * step, step)
    found = [element_of(slurm(tasks, task, step), elements) for task in tasks]
    assert found == list(range(elements))


@given(st.data(), st.integers(2, 40), st.sampled_from([0, 1]))
def test_a_part_of_an_array_trains_exactly_its_elements_or_is_refused(data, elements, first):
    whole = range(first, first + elements)
    part = sorted(data.draw(st.sets(st.sampled_from(whole), min_size=1, max_size=elements)))
    # Two beginnings explain it, or one alone.
    ambiguous = len(part) < elements and part[0] > 0 and part[-1] < elements
    for task in part:
        if ambiguous:
            with pytest.raises(ValueError, match="may have begun at 0 or at 1"):
                element_of(slurm(part, task), elements)
        else:
            assert element_of(slurm(part, task), elements) == task - first


@given(st.sets(st.integers(0, 60), min_size=1), st.integers(2, 40))
def test_no_two_tasks_of_any_array_are_one_element_and_none_is_beyond_the_last(tasks, elements):
    found = []
    for task in sorted(tasks):
        try:
            found.append(element_of(slurm(tasks, task), elements))
        except ValueError:
            continue
    assert len(found) == len(set(found))
    assert all(0 <= element < elements for element in found)


@given(st.data(), st.integers(2, 40))
def test_lsf_s_indices_begin_at_1_also_in_a_part(data, elements):
    part = data.draw(st.sets(st.integers(1, elements), min_size=1))
    assert sorted(element_of(lsf(part, task), elements) for task in part) == [
        task - 1 for task in sorted(part)
    ]


def test_an_old_slurm_that_tells_less_speaks_of_a_whole_array():
    told = {"SLURM_ARRAY_TASK_ID": "6", "SLURM_ARRAY_TASK_MIN": "5"}
    assert element_of(told, 2) == 1
    assert element_of({"SLURM_ARRAY_TASK_ID": "1"}, 2) == 1


OUTSIDE = {
    "a part, which may have begun at 0 or at 1": slurm([2, 3], 2),
    "more tasks than elements": slurm(range(5), 0),
    "an index beyond the last": slurm([0, 7], 7),
    "tasks without an order": slurm([0, 2, 5, 7], 2),
    "0 and the number of elements": slurm([0, 4], 4),
    "an index that is none": {"SLURM_ARRAY_TASK_ID": "two"},
    "an index below 0": {"SLURM_ARRAY_TASK_ID": "-1"},
    "LSF's index beyond the last": lsf([5], 5),
    "LSF's array that is longer": lsf([1, 2, 5], 1),
    "no array of LSF's": {"LSB_JOBINDEX": "0"},
    "no scheduler": {},
    "--element": ["--element", "4"],
    "--element below 0": ["--element", "-1"],
}


@pytest.mark.parametrize("told", OUTSIDE.values(), ids=OUTSIDE.keys())
def test_an_index_outside_the_array_is_refused(told, monkeypatch, capfd):
    words = told if isinstance(told, list) else []
    for name, value in ({} if words else told).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        parse_options(["smoke", "--elements", "4", *words])
    assert end.value.code == 2
    said = capfd.readouterr().err
    assert said.startswith("error: ")
    assert "--element" in said


@pytest.mark.parametrize("told", [slurm([2, 3], 2), lsf([5], 5)], ids=["Slurm", "LSF"])
def test_a_refused_index_makes_no_folder(told, tmp_path):
    job = run_worker("smoke", "--results", tmp_path / "r", "--elements", "4", **told)
    assert job.returncode == 2, job.stdout + job.stderr
    assert list(tmp_path.iterdir()) == []
