"""How bsub, jsrun, sbatch and srun read their options: which there are, and which take a value.

From bsub(1), jsrun(1), sbatch(1) and srun(1). Nothing is expanded: a value may hold `$NAME`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_GPUS = r"(\w+:)?\d{1,9}"
_MEANINGS = (
    (
        "ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket cpus-per-gpu "
        "cpus-per-task cores-per-socket sockets-per-node threads-per-core mincpus np ppn elements "
        "element kill-on-bad-exit",
        r"\d{1,9}",
        "a number",
    ),
    (
        "nrs rs_per_host rs_per_socket tasks_per_rs cpu_per_rs gpu_per_rs memory_per_rs",
        r"\d{1,9}|ALL_\w+",
        "a number or ALL_...",
    ),
    ("gpus gpus-per-node gpus-per-task gpus-per-socket", f"{_GPUS}(,{_GPUS})*", "as 4 or a100:4"),
    ("mem", r"0+|\d{4,12}|\d{1,12}[KMGTkmgt][bB]?", "as 4000 (megabytes), 4000M, 4G or 1T"),
    ("mem-per-cpu mem-per-gpu tmp", r"0+|\d{3,12}|\d{1,12}[KMGTkmgt][bB]?", "as 400 (MB) or 4G"),
    ("open-mode", "a|append|t|truncate", "append or truncate"),
    ("trainers", "auto|[1-9]|[1-5][0-9]|6[0-4]", "a number from 1 to 64, or auto"),
    ("device", "auto|cpu|cuda", "auto, cpu or cuda"),
    ("order", "longest|shortest", "longest or shortest"),
    ("time-left", r"(?=.*[1-9])\d{1,9}(\.\d{1,9})?", "minutes, such as 120"),
    ("results images", ".+", "a folder"),
)
"""Options, the pattern of their values, and what these must be."""
_VALUES = {name: meaning for names, *meaning in _MEANINGS for name in names.split()}


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a script, without its quotes, and the line it begins on."""

    text: str
    line: int
    operator: bool = False
    """Whether it is a redirection such as `>`."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option as it was found, under its one name."""

    name: str
    value: str | None
    line: int
    known: bool = True
    dashes: str = "--"

    def __str__(self) -> str:
        return f"{self.dashes}{self.name}"

    @property
    def must_be(self) -> str | None:
        """Return what its value must be, where it is something else."""
        pattern, right = _VALUES.get(self.name, ("", ""))
        if self.value is None or not pattern or "$" in self.value:
            return None
        return None if re.fullmatch(pattern, self.value, re.ASCII) else right


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """The options of one program."""

    valued: frozenset[str]
    """Those that take a value, by their long names."""
    flags: frozenset[str]
    """Those that take none, or one only behind `=`."""
    short: dict[str, str] = field(default_factory=dict)
    """One letter, and the long name that means the same."""
    dashes: str = "--"
    """What stands before a long name: LSF's have one dash."""
    shortens: bool = False
    """Whether a long name may be cut where no other begins the same."""

    def names(self) -> list[str]:
        """Every long name, as a user writes it."""
        return sorted(self.dashes + name for name in self.valued | self.flags)

    def parse(self, words: Sequence[Word]) -> tuple[list[Option], list[Word]]:
        """The options that begin a list of words, and the words from the first other one on."""
        found: list[Option] = []
        at = 0
        while at < len(words) and words[at].text.startswith("-") and words[at].text != "-":
            word = words[at]
            at += 1
            if word.text == "--":
                break
            name, value, known = self._split(word.text)
            if known and value is None and name in self.valued:
                value = words[at].text if at < len(words) else ""
                at += 1
            found.append(Option(name, value, word.line, known, self.dashes))
        return found, list(words[at:])

    def _split(self, text: str) -> tuple[str, str | None, bool]:
        """Name, the value in the same word if there is one, and whether the name is known."""
        behind = text.removeprefix(self.dashes)
        name, equals, value = behind.partition("=") if self.dashes == "--" else (behind, "", "")
        if text.startswith(self.dashes) and (whole := self._whole(name)):
            return whole, value if equals else None, True
        letter, rest = text[1:2], text[2:]
        name = self.short.get(letter, letter if self.dashes == "-" else "")
        if not text.startswith("--") and name in self.valued | self.flags:
            return name, (rest or None) if name in self.valued else None, True
        return text.lstrip("-").partition("=")[0], None, False

    def _whole(self, name: str) -> str | None:
        """The long name that is meant, if there is one."""
        names = self.valued | self.flags
        if name in names:
            return name
        begun = [each for each in names if self.shortens and name and each.startswith(name)]
        return begun[0] if len(begun) == 1 else None


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _letters(text: str) -> dict[str, str]:
    return {pair[0]: pair[2:] for pair in text.split()}


BSUB = Grammar(
    dashes="-",
    valued=_names(
        "a alloc_flags app b C c clusters cn_cu cn_mem core_isolation csm cwd D data datagrp E Ep "
        "e env eo eptl ext F f freq G g gpu hostfile i is J Jd jobaff jsdl jsdl_strict jsm json k "
        "L Lp ln_mem ln_slots M m mig n nnodes network notify o oo outdir P p ptl Q q R rcacct S s "
        "sla smt sp stage step_cgroup T t U u v W We w wa wt yaml Zs"
    ),
    flags=_names("ar B datachk H hl I Ip IS ISp ISs Is IX K N Ne pack r rn rnc ti tty ul V h x XF"),
)

JSRUN = Grammar(
    valued=_names(
        "allocate_only appfile bind chdir cpu_per_rs env env_eval env_no_propagate erf_input "
        "erf_output exclude_hosts exit_on_error gpu_per_rs latency_priority launch_distribution "
        "launch_node_task memory_per_rs np nrs pre_post_exec print_placement progress rs_per_host "
        "rs_per_socket save_resources smpiargs stdin_rank stdio_input stdio_mode stdio_stderr "
        "stdio_stdout tasks_per_rs use_reservation use_resources use_spindle"
    ),
    flags=_names("immediate help usage version"),
    short=_letters(
        "A:allocate_only f:appfile b:bind h:chdir c:cpu_per_rs E:env F:env_eval D:env_no_propagate "
        "x:exclude_hosts X:exit_on_error g:gpu_per_rs l:latency_priority d:launch_distribution "
        "H:launch_node_task m:memory_per_rs p:np n:nrs P:pre_post_exec Z:progress r:rs_per_host "
        "K:rs_per_socket S:save_resources M:smpiargs I:stdin_rank t:stdio_input e:stdio_mode "
        "k:stdio_stderr o:stdio_stdout a:tasks_per_rs J:use_reservation U:use_resources "
        "L:use_spindle i:immediate ?:help V:version"
    ),
)

_SLURM_VALUED = (
    "account acctg-freq batch bb bbf begin chdir cluster-constraint clusters comment constraint "
    "container core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot "
    "dependency distribution error exclude export extra-node-info gid gpu-bind gpu-freq gpus "
    "gpus-per-node gpus-per-socket gpus-per-task gres gres-flags hint input job-name licenses "
    "mail-type mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus network nodefile "
    "nodelist nodes ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket "
    "open-mode output partition power prefer priority profile qos reservation segment signal "
    "sockets-per-node switches thread-spec threads-per-core time time-min tmp tres-bind "
    "tres-per-task uid wckey "
)
_SLURM_FLAGS = (
    "contiguous exclusive help hold nice no-kill oom-kill-step overcommit oversubscribe propagate "
    "quiet reboot spread-job stepmgr test-only usage use-min-nodes verbose version "
)
_SLURM_LETTERS = (
    "A:account b:begin D:chdir M:clusters C:constraint S:core-spec c:cpus-per-task d:dependency "
    "m:distribution e:error x:exclude B:extra-node-info G:gpus H:hold i:input J:job-name "
    "L:licenses k:no-kill F:nodefile w:nodelist N:nodes n:ntasks o:output O:overcommit "
    "s:oversubscribe p:partition q:qos Q:quiet t:time v:verbose V:version "
)

SBATCH = Grammar(
    valued=_names(
        _SLURM_VALUED + "array export-file kill-on-invalid-dep wait-all-nodes wrap job-environment"
    ),
    flags=_names(_SLURM_FLAGS + "get-user-env ignore-pbs no-requeue parsable requeue wait"),
    short=_letters(_SLURM_LETTERS + "a:array W:wait h:help"),
    shortens=True,
)

SRUN = Grammar(
    valued=_names(
        _SLURM_VALUED + "accel-bind bcast-exclude cpu-bind epilog het-group jobid mpi msg-timeout "
        "prolog relative slurmd-debug task-epilog task-prolog threads wait"
    ),
    flags=_names(
        _SLURM_FLAGS + "bcast compress disable-status exact immediate kill-on-bad-exit label "
        "multi-prog no-allocate overlap preserve-env pty quit-on-interrupt resv-ports send-libs "
        "unbuffered x11"
    ),
    short=_letters(
        _SLURM_LETTERS + "X:disable-status I:immediate K:kill-on-bad-exit l:label Z:no-allocate "
        "E:preserve-env r:relative T:threads u:unbuffered W:wait h:help"
    ),
    shortens=True,
)

MPIRUN = Grammar(
    valued=_names("np n ppn f hosts bind-to map-by env genv wdir"),
    flags=_names("genvall verbose"),
    dashes="-",
)

WORKER = Grammar(
    valued=_names("results images device trainers order time-left elements element"),
    flags=_names("mps preflight help"),
    short=_letters("h:help"),
    shortens=True,
)
"""Of python -m nnlc.worker."""
