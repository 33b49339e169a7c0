"""What bsub takes and what it refuses, as on Summit: the options, their forms, the queue's bins.

A second reading of the manual pages, on purpose without a line of nnlc.
"""

import json
import re
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path

WITH_VALUE = {"P", "W", "nnodes", "J", "Jd", "q", "o", "oo", "e", "eo", "wa", "wt", "w"}
WITH_VALUE |= {"alloc_flags", "n", "R", "csm", "cwd", "env", "G", "u", "sp", "b"}
ALONE = {"N", "B", "x", "r", "H", "XF"}
BINS = ((1, 45, 2), (46, 91, 6), (92, 921, 12), (922, 4608, 24))
"""Fewest nodes, most nodes, hours."""
MAX_JOB_ARRAY_SIZE = 1000
MAX_QUEUED = 100
QUEUES = ("batch", "batch-hm", "debug", "killable")
SIGNALS = {"URG", "USR1", "USR2", "TERM", "INT", "HUP", "CONT", "KILL", "QUIT"}
CONDITION = re.compile(r"(ended|done|exit|started)\(\s*(\d+)(?:\[(\d+)\])?\s*\)|(\d+)")


class RefusalError(Exception):
    """bsub says this and submits nothing."""


@dataclass
class Submission:
    """A job as it stands in the queue."""

    name: str
    project: str
    queue: str
    named_queue: bool
    minutes: int
    nodes: int
    indices: list[int]
    """[0] where it is no array."""
    at_once: int | None
    warning: tuple[str, int] | None
    """Signal, and minutes before the end."""
    dependency: str | None
    description: str
    output: str | None
    error: str | None
    overwrite: bool
    alloc_flags: str
    folder: str
    shell: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> "Submission":
        return cls(**json.loads(path.read_text()))


def split_command_line(words: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Options, each with its value, and what comes after them."""
    found, at = [], 0
    while at < len(words) and words[at].startswith("-"):
        word, at = words[at], at + 1
        name = word[1:]
        if name in WITH_VALUE:
            if at == len(words):
                raise RefusalError(f"bsub: option requires an argument -- {name}")
            found.append((name, words[at]))
            at += 1
        elif name in ALONE:
            found.append((name, ""))
        elif name[:1] in WITH_VALUE and len(name) > 1 and name[0] not in "n-":
            found.append((name[0], name[1:]))
        else:
            raise RefusalError(f"bsub: illegal option -- {name}")
    return found, words[at:]


def read_script(text: str) -> list[tuple[str, str]]:
    """The options of all lines that begin with #BSUB, wherever they stand."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("#BSUB "):
            options, rest = split_command_line(shlex.split(line[6:], comments=True))
            if rest:
                raise RefusalError(f"{rest[0]}: Bad #BSUB line. Job not submitted.")
            found += options
    return found


def check(from_line: list[tuple[str, str]], from_script: list[tuple[str, str]], cwd: Path):
    """The job that these options describe; the command line wins over the script.

    IBM's bsub(1), "command": an option of the command line overrides that of a #BSUB line.

    Raises:
        RefusalError: Summit's bsub would not take it.
    """
    said = dict(from_script) | dict(from_line)
    _check_site(said, [name for name, _ in [*from_script, *from_line]])
    name, indices, at_once = _name(said.get("J", "Not_Specified"))
    minutes = _time(said["W"], "Bad RUNLIMIT specification")
    _check_bin(int(said["nnodes"]), minutes)
    queue = said.get("q", "batch")
    if queue not in QUEUES:
        raise RefusalError(f"{queue}: No such queue. Job not submitted.")
    return Submission(
        name=name,
        project=said["P"],
        queue=queue,
        named_queue="q" in said,
        minutes=minutes,
        nodes=int(said["nnodes"]),
        indices=indices,
        at_once=at_once,
        warning=_warning(said, minutes),
        dependency=said.get("w"),
        description=said.get("Jd", ""),
        output=said.get("oo") or said.get("o"),
        error=said.get("eo") or said.get("e"),
        overwrite="oo" in said,
        alloc_flags=said.get("alloc_flags", "").lower(),
        folder=str(Path(cwd, said.get("cwd", "."))),
    )


def _check_site(said: dict[str, str], names: list[str]) -> None:
    """What Summit's own filter looks at before LSF does; it tells all at once."""
    wrong = []
    if "P" not in said:
        wrong.append("10: No project was given.  Please use '-P <project>'.")
    if "W" not in said:
        wrong.append("20: No walltime was given.  Please use '-W [hours:]minutes'.")
    if "n" in said:
        wrong.append(
            "30: The '-n <slots>' flag is no longer supported.  Please use '-nnodes <node_count>' "
            "to request nodes."
        )
    elif not re.fullmatch("[1-9][0-9]*", said.get("nnodes", "")):
        wrong.append("40: No nodes were given.  Please use '-nnodes <node_count>'.")
    if "R" in said and said.get("csm") != "y":
        wrong.append("50: '-R' is not supported in easy mode.  Please use '-csm y'.")
    if names.count("alloc_flags") > 1:
        wrong.append("60: Only one '-alloc_flags' is recognized.  Please put all flags into one.")
    if wrong:
        bar = "#" * 55
        count = f"###{len(wrong):>7} ERROR(S) FOUND.  JOB NOT SUBMITTED.       ###"
        end = "Please address the given error(s) and resubmit."
        raise RefusalError("\n".join([bar, count, bar, "", *wrong, end]))


def _time(text: str, complaint: str) -> int:
    found = re.fullmatch(r"(?:(\d+):)?(\d+)", text)
    minutes = 60 * int(found[1] or 0) + int(found[2]) if found else 0
    if minutes < 1:
        raise RefusalError(f"{text}: {complaint}. Job not submitted.")
    return minutes


def _check_bin(nodes: int, minutes: int) -> None:
    for fewest, most, hours in BINS:
        if fewest <= nodes <= most:
            if minutes > 60 * hours:
                raise RefusalError(
                    f"RUNLIMIT: Cannot exceed queue's hard limit(s): {nodes} nodes may run for "
                    f"{hours} hours. Job not submitted."
                )
            return
    raise RefusalError(f"{nodes} nodes: Too many hosts requested. Job not submitted.")


def _warning(said: dict[str, str], minutes: int) -> tuple[str, int] | None:
    if ("wa" in said) != ("wt" in said):
        raise RefusalError(
            "-wa and -wt: Both must be specified for job warning. Job not submitted."
        )
    if "wa" not in said:
        return None
    signal = said["wa"].removeprefix("SIG")
    if signal not in SIGNALS:
        raise RefusalError(f"{said['wa']}: Bad job warning action. Job not submitted.")
    before = _time(said["wt"], "Bad time specification")
    if before >= minutes:
        raise RefusalError(f"{said['wt']}: Warning time exceeds the run limit. Job not submitted.")
    return signal, before


def _name(text: str) -> tuple[str, list[int], int | None]:
    """Name, indices, and how many elements may run at once."""
    found = re.fullmatch(r"([^\[\]%]*)(?:\[([^\]]*)\](?:%([1-9]\d*))?)?", text)
    if not found:
        raise RefusalError(f"{text}: Bad job name. Job not submitted.")
    if found[2] is None:
        return text, [0], None
    indices: list[int] = []
    for part in found[2].split(","):
        part_found = re.fullmatch(r"([1-9]\d*)(?:-([1-9]\d*)(?::([1-9]\d*))?)?", part.strip())
        if not part_found:
            raise RefusalError(f"{text}: Bad array index list. Job not submitted.")
        first, last = int(part_found[1]), int(part_found[2] or part_found[1])
        indices += range(first, last + 1, int(part_found[3] or 1))
    if not indices or len(set(indices)) != len(indices):
        raise RefusalError(f"{text}: Bad array index list. Job not submitted.")
    if max(indices) > MAX_JOB_ARRAY_SIZE:
        raise RefusalError(f"{text}: Job array index too large. Job not submitted.")
    return found[1], indices, int(found[3]) if found[3] else None


def evaluate(expression: str, holds) -> bool:
    """The truth of a dependency: conditions joined by &&, || and !, with parentheses.

    Args:
        expression: as -w has it.
        holds: a function of the condition's word, the job's ID and the index or None.

    Raises:
        RefusalError: it is none.
    """

    def one(found: re.Match[str]) -> str:
        word, job, index, bare = found.groups()
        truth = holds(word or "done", int(bare or job), int(index) if index else None)
        return f" {bool(truth)} "

    _value(CONDITION.sub(" True ", expression))
    return _value(CONDITION.sub(one, expression))


def _value(text: str) -> bool:
    text = text.replace("&&", " and ").replace("||", " or ").replace("!", " not ")
    words = set(text.replace("(", " ").replace(")", " ").split())
    try:
        if not words <= {"True", "False", "and", "or", "not"}:
            raise SyntaxError
        return bool(eval(text))
    except SyntaxError:
        raise RefusalError("Dependency condition syntax error. Job not submitted.") from None
