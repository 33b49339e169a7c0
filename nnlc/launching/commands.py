"""Run a scheduler's commands, in an environment that leaves the job script its word.

sbatch(1), squeue(1), scancel(1) and LSF's environment variable reference name variables that count
as options, many of them before a script's own lines. Whoever submits has them from a profile, or
from a job around this one; none of them speaks of the job that is asked about here.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from nnlc.errors import SchedulerError, UnansweredError
from nnlc.system.files import open_regular

ANSWER_SECONDS = 60.0
"""For a scheduler to answer; busy ones take their time."""

_REMOVED = re.compile(
    r"(SBATCH|SQUEUE|SCANCEL|SCONTROL|SALLOC|SRUN|SINFO|_?SLURMD?|BSUB|BJOBS|BKILL|LSB|PBS)_"
    r"|LSF_(NIOS_|JOB_STARTER|INTERACTIVE_STDERR|(DEBUG|TIME)_CMD|CMD_LOG)"
)
_LOCATES = frozenset(
    [
        *("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT"),
        *("LSB_CONFDIR", "LSB_SHAREDIR"),  # all other LSF_ variables pass
        *("PBS_CONF_FILE", "PBS_DEFAULT", "PBS_EXEC", "PBS_HOME", "PBS_PRIMARY", "PBS_SECONDARY"),
        *("PBS_SERVER", "PBS_SERVER_HOST_NAME", "PBS_BATCH_SERVICE_PORT", "PBS_AUTH_METHOD"),
        *("PBS_LEAF_NAME", "PBS_LEAF_ROUTERS", "PBS_ENCRYPT_METHOD"),
    ]
)
"""What says where a cluster is, and who asks."""
_NO_ANSWER = re.compile(
    r"timed out|time out|Zero Bytes were transmitted|LSF is down|not responding", re.IGNORECASE
)
"""Refusals by which a command says that its request may have arrived."""
_WISH = re.compile(
    r"(?!SLURM_JOB_)\w+_(ACCOUNT|PARTITION|RESERVATION|QOS|WCKEY|CLUSTERS"
    r"|DEFAULT_?PROJECT|DEFAULT_?QUEUE|DEFAULT_USERGROUP)$"
)


def scheduler_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the schedulers' variables, but for those that find a cluster.

    Everything else passes, since the scheduler hands it to the job.
    """
    return {
        name: value
        for name, value in environment.items()
        if name in _LOCATES or not _REMOVED.match(name)
    }


def removed_wishes(environment: Mapping[str, str]) -> list[str]:
    """Return a note on removed variables that ask for an account, a partition or their like."""
    removed = sorted(environment.keys() - scheduler_environment(environment).keys())
    wishes = [f"{name}={environment[name]}" for name in removed if _WISH.match(name)]
    if not wishes:
        return []
    return [
        f"note: {', '.join(wishes)} in your environment counts for nothing: the script decides, by "
        "--account and the site file's account, queue and directives"
    ]


def run_command(
    words: Sequence[str],
    scheduler: str,
    *,
    script: Path | None = None,
    own_cluster: bool = False,
    gone_is_fine: Iterable[str] = (),
) -> str:
    """Run a scheduler's command and return all it says, standard output first.

    Args:
        words: the command.
        scheduler: its name, for messages.
        script: what it reads from standard input.
        own_cluster: whether it speaks to this machine's cluster, whatever SLURM_CLUSTERS names.
        gone_is_fine: words by which it says that a job is no longer there, which is no refusal.

    Raises:
        SchedulerError: it is absent, can't be started, or refuses.
        UnansweredError: it does not answer; nobody knows what became of the request.
    """
    environment = scheduler_environment(os.environ)
    if own_cluster:
        environment.pop("SLURM_CLUSTERS", None)
    if shutil.which(words[0]) is None:
        raise SchedulerError(
            f"{words[0]}: not found on this machine; run this where {scheduler}'s commands are"
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
        refused = UnansweredError if _NO_ANSWER.search(said) else SchedulerError
        raise refused(f"{words[0]} refused: {said.strip() or 'it said nothing'}")
    return said
