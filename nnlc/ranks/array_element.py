"""Which element of a job array this job is, by what Slurm or LSF tells it."""

from collections.abc import Mapping

_BY_HAND = (
    'say --element, such as --element "$SLURM_ARRAY_TASK_ID" of an array that began at 0, or '
    '--element "$((SLURM_ARRAY_TASK_ID - 1))" of one that began at 1'
)


def element_of(environment: Mapping[str, str], elements: int) -> int:
    """Return the element that the scheduler's index stands for, from 0.

    An array of as many tasks as there are elements is the whole one: its first task is element 0,
    wherever it begins. Of one with fewer tasks, submitted again by hand, Slurm tells nothing about
    the array before, which began at 0 or at 1; where the indices leave only one of the two, that
    one counts. LSF's arrays begin at 1.

    | tasks with --elements 4       | element of a task        |
    | ---                           | ---                      |
    | 0-3, 1-4, 5-8, 0-6:2          | by its place: 0, 1, 2, 3 |
    | 0,2 (0 is no index from 1)    | its index                |
    | 3,4 (4 is no element from 0)  | its index less 1         |
    | 2,3 or 0,4 or 0-4             | refused                  |

    Args:
        environment: sbatch(1) names Slurm's variables, "environment variables set for job
            execution" LSF's.
        elements: of the whole array.

    Raises:
        ValueError: no scheduler tells it, or what it tells leaves more than one element, or none.
    """
    if "SLURM_ARRAY_TASK_ID" in environment:
        return _slurm(environment, elements)
    index = _number(environment, "LSB_JOBINDEX", 0)
    if index < 1:  # a job outside any array
        raise ValueError("--elements needs --element I where no scheduler tells it")
    last = max(index, _number(environment, "LSB_JOBINDEX_END", index))
    if last > elements:
        raise ValueError(
            f"this array has an index {last}, and --elements says {elements}: give the same number"
        )
    return index - 1


def _slurm(environment: Mapping[str, str], elements: int) -> int:
    index = _number(environment, "SLURM_ARRAY_TASK_ID")
    # What an old Slurm leaves out is that of a whole array.
    first = _number(environment, "SLURM_ARRAY_TASK_MIN", 0)
    last = _number(environment, "SLURM_ARRAY_TASK_MAX", first + elements - 1)
    count = _number(environment, "SLURM_ARRAY_TASK_COUNT", elements)
    step = _number(environment, "SLURM_ARRAY_TASK_STEP", 1)
    inside = first <= index <= last and step > 0 and (index - first) % step == 0
    if inside and count == elements and last - first == (elements - 1) * step:
        return (index - first) // step
    from_0, from_1 = last < elements, first >= 1 and last <= elements
    if not inside or count >= elements or not (from_0 or from_1):
        raise ValueError(
            f"task {index} of {count} tasks from {first} to {last} is none of --elements "
            f"{elements}: give the number of tasks of the whole array"
        )
    if from_0 and from_1:
        raise ValueError(
            f"tasks from {first} to {last} are a part of an array of --elements {elements}, which "
            f"may have begun at 0 or at 1: {_BY_HAND}"
        )
    return index if from_0 else index - 1


def _number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environment.get(name, "" if default is None else str(default))
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{name} is {text!r} and no index: say --element")
    return int(text)
