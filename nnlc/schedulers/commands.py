"""Commands of schedulers, run without environment variables that override the job script.

Schedulers read many variables as options of their commands, often with precedence over the script.
Users have such variables from a profile, or from a job in which they work, not for this script.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from nnlc.errors import SchedulerError, UnansweredError
from nnlc.schedulers.scheduler import Queue
from nnlc.schedulers.scheduler_registry import queues
from nnlc.system.files import open_regular

ANSWER_SECONDS = 60.0
"""Time that a scheduler has to answer; busy schedulers take long."""


_UNKNOWN_OPTION = re.compile(r"(unrecogni[sz]ed|illegal|invalid|unknown|bad) option", re.I)


def _another_version(queue: Queue) -> str:
    """Return a hint for a command that does not know an option."""
    words = " ".join(queue.version_command)
    return (
        f"this {queue.title} lacks an option of nnlc or of the script"
        + (f"; {words} tells its version" if words else "")
        + "; its own commands show and cancel jobs"
    )


def scheduler_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the schedulers' variables, except those that locate a cluster.

    Variables of other programs stay, since the scheduler passes them to the job.
    """
    return {
        name: value
        for name, value in environment.items()
        if all(name in q.kept_variables or not q.removed_variables.match(name) for q in queues())
    }


def removed_wishes(environment: Mapping[str, str]) -> list[str]:
    """Return a note on removed variables that ask for an account, a partition or the like."""
    removed = sorted(environment.keys() - scheduler_environment(environment).keys())
    wishes = [
        f"{name}={environment[name]}"
        for name in removed
        if any(queue.wishes.match(name) for queue in queues())
    ]
    if not wishes:
        return []
    return [
        f"note: {', '.join(wishes)} in your environment has no effect: the script decides, by "
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
    """Run a scheduler's command and return its output, standard output first.

    Args:
        words: the command.
        queue: its scheduler.
        script: file to pass to the command's standard input.
        without: further variables to remove from its environment.
        gone_is_fine: error messages that only mean that a job no longer exists.

    Raises:
        SchedulerError: the command is missing, can't be started, or refuses.
        UnansweredError: the scheduler does not answer; the request may have succeeded or failed.
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
        hint = f"\n{_another_version(queue)}" if _UNKNOWN_OPTION.search(said) else ""
        raise refused(f"{words[0]} refused: {said.strip() or 'it said nothing'}{hint}")
    return said
