"""Commands of schedulers, run in an environment that leaves the decisions to the job script.

Many variables count as options of these commands, often before a script's own lines. Users have
them from a profile, or from a job in which they work; none describes the job that is asked about.
"""

import os
import shutil
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from nnlc.errors import SchedulerError, UnansweredError
from nnlc.schedulers.registry import queues
from nnlc.schedulers.scheduler import Queue
from nnlc.system.files import open_regular

ANSWER_SECONDS = 60.0
"""Time for a scheduler to answer; busy ones take long."""


def scheduler_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the schedulers' variables, but for those that find a cluster.

    Everything else passes, since the scheduler hands it to the job.
    """
    return {
        name: value
        for name, value in environment.items()
        if all(name in q.kept_variables or not q.removed_variables.match(name) for q in queues())
    }


def removed_wishes(environment: Mapping[str, str]) -> list[str]:
    """Return a note on removed variables that ask for an account, a partition or their like."""
    removed = sorted(environment.keys() - scheduler_environment(environment).keys())
    wishes = [
        f"{name}={environment[name]}"
        for name in removed
        if any(queue.wishes.match(name) for queue in queues())
    ]
    if not wishes:
        return []
    return [
        f"note: {', '.join(wishes)} in your environment counts for nothing: the script decides, by "
        "--account and the site file's account, queue and directives"
    ]


def run_command(
    words: Sequence[str],
    queue: Queue,
    *,
    script: Path | None = None,
    without: Collection[str] = (),
    gone_is_fine: Iterable[str] = (),
) -> str:
    """Run a scheduler's command and return all it says, standard output first.

    Args:
        words: the command.
        queue: its scheduler.
        script: what it reads from standard input.
        without: further variables that it is not to see.
        gone_is_fine: words by which it says that a job is no longer there, which is no refusal.

    Raises:
        SchedulerError: it is absent, can't be started, or refuses.
        UnansweredError: it does not answer; nobody knows what became of the request.
    """
    environment = scheduler_environment(os.environ)
    for name in without:
        environment.pop(name, None)
    if shutil.which(words[0]) is None:
        raise SchedulerError(
            f"{words[0]}: not found on this machine; run this where {queue.title}'s commands are"
        )
    try:
        with open_regular(script) if script else nullcontext(subprocess.DEVNULL) as stdin:
            done = subprocess.run(  # noqa: S603  a list, no shell
                list(words),
                env=environment,
                stdin=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=ANSWER_SECONDS,
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise UnansweredError(f"{words[0]} did not answer within {ANSWER_SECONDS:.0f} s") from None
    except OSError as problem:
        raise SchedulerError(f"{words[0]}: can't be run: {problem.strerror}") from None
    said = f"{done.stdout}\n{done.stderr}"
    if done.returncode and not any(word in said for word in gone_is_fine):
        refused = UnansweredError if queue.no_answer.search(said) else SchedulerError
        raise refused(f"{words[0]} refused: {said.strip() or 'it said nothing'}")
    return said
