"""What qsub takes and what it refuses: options, directives, resources, dependencies.

A second reading of the manuals, on purpose without a line of nnlc. pbs_site.py explains the marks.
"""

import getopt
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from pbs_site import Site

SERVER = "pbs-01"
OPTIONS = "a:A:c:C:e:fhIj:J:k:l:m:M:N:o:p:P:q:r:R:S:u:v:VW:Xz"  # src/cmds/qsub.c

# src/include/pbs_error.h; a command ends with the number's last 8 bits (src/cmds/q*.c)
BADHOST, BADATVAL, BADSTATE, UNKQUE, UNKRESC = 15008, 15014, 15016, 15018, 15035
UNKJOBID, UNKSIG, EXCQRESC, ROUTEREJ, MAXQUED = 15001, 15013, 15036, 15039, 15046
MAX_ARRAY, INVALSELECT, INVALJOBRESC, PLACENOSELECT = 15107, 15108, 15109, 15111
HOOK, HISTJOBID, JOBHISTNOTSET, NOHISTSUBJOB = 15136, 15139, 15140, 15159

# src/lib/Libifl: the forms of options that are looked at when the job is sent. -N: ck_job_name.c.
FORMS = {
    "N": r"[A-Za-z0-9][\w+.-]{0,229}",
    "j": "oe|eo|n",  # qsub(1B) -j
    "k": "n|[doe]+",  # qsub(1B) -k
    "m": "n|j?[abe]+",
    "p": r"-?\d{1,4}",
}
JOB_WIDE = {"walltime", "cput", "pmem", "pvmem", "file", "nice", "software"}  # pbs_resources(7B)
OF_CHUNK = {"ncpus", "mem", "mpiprocs", "ompthreads", "ngpus", "host", "vnode", "arch", "vmem"}
SIZES = {"ncpus", "mpiprocs", "ompthreads", "ngpus"}
PLACE = r"(free|pack|scatter|vscatter)|(excl|shared|exclhost)|(group=\w+)"
AFTER = ("after", "afterok", "afternotok", "afterany")
BEFORE = ("before", "beforeok", "beforenotok", "beforeany")
JOB_ID = re.compile(rf"(\d+)(?:\[([\d,-]*)\])?(?:\.{re.escape(SERVER)})?")


class RefusalError(Exception):
    """A command says this and ends with the code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code & 0xFF


@dataclass
class Job:
    """A job as the server keeps it."""

    name: str
    queue: str
    account: str
    resources: dict[str, str]
    """As asked for: select, place, walltime and others."""
    chunks: list[dict[str, str]]
    indices: list[int]
    """[] where it is no array."""
    at_once: int | None
    depend: list[tuple[str, list[str]]]
    variables: dict[str, str]
    output: str
    error: str
    join: str
    keep: str
    rerunnable: bool
    folder: str
    shell: list[str]
    arguments: list[str]
    queued: float = 0.0
    script: str = ""


def parse(words: list[str], where: str = "") -> tuple[list[tuple[str, str]], list[str]]:
    """Return options with their values, and what follows them.

    Raises:
        RefusalError: an option is unknown or lacks its value.
    """
    try:
        found, rest = getopt.getopt(words, OPTIONS)
    except getopt.GetoptError as problem:
        letter = problem.opt
        what = "option requires an argument" if "requires" in problem.msg else "invalid option"
        raise RefusalError(f"qsub: {what} -- '{letter}'{where}", 1 if where else 2) from None
    return [(name[1:], value) for name, value in found], rest


def directives(text: str) -> list[tuple[str, str]]:
    """Return the options of the directives: those before the first executable line count.

    src/lib/Libcmds/check_job_script.c: a line is executable if its first character that is no
    space is no "#", unless it begins with ":". There are no comments behind a directive.
    qsub(1B): PBS_DPREFIX.
    """
    prefix = os.environ.get("PBS_DPREFIX", "#PBS")
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        bare = line.strip()
        if bare and not line.startswith(":") and not bare.startswith("#"):
            break
        if not bare.startswith(prefix):
            continue
        try:
            words = shlex.split(bare[len(prefix) :])
        except ValueError as problem:
            raise RefusalError(f"qsub: unmatched quotation ({problem})", 1) from None
        wrong = f"\nqsub: directive error: {' '.join(words)} "
        options, rest = parse(words, wrong)
        if rest:
            raise RefusalError(wrong.strip("\n"), 1)
        for name, value in options:
            if problem := early(name, value, [*found, *options]):
                raise RefusalError(problem + wrong, 1)
        found += options
    return found


def early(name: str, value: str, options: list[tuple[str, str]]) -> str:
    """Return what src/cmds/qsub.c itself says of an option, before anything is sent."""
    letters = [letter for letter, _ in options]
    if name == "r" and value not in ("y", "n"):
        return "qsub: illegal -r value"
    if name in "rJ" and "J" in letters and ("r", "n") in options:
        return "qsub:  cannot submit non-rerunable Array Job"
    if name in "IJ" and {"I", "J"} <= set(letters):
        return "qsub: interactive and array job submission cannot be used together"
    if name == "l" and not all(re.fullmatch(r"\s*\w+=[^\s]+", part) for part in value.split(",")):
        return "qsub: illegal -l value"
    if name == "W" and not re.fullmatch(r"\w+=.+", value):
        return "qsub: illegal -W value"
    return ""


def check(given: list[tuple[str, str]], text: str, name: str, site: Site) -> Job:
    """Return the job that a command line and a script describe; the line wins over the script.

    Raises:
        RefusalError: qsub, the server or the site's hook would not take it.
    """
    for option, value in given:
        if problem := early(option, value, given):
            raise RefusalError(f"{problem}\nusage: qsub [-a date_time] ...", 2)
    inside = directives(text)
    options = dict(inside) | dict(given)
    if "r" in options and "J" in options and options["r"] == "n":
        raise RefusalError("qsub:  cannot submit non-rerunable Array Job", 2)
    for letter, form in FORMS.items():
        value = options.get(letter, name if letter == "N" else None)
        if value is not None and not re.fullmatch(form, value):
            raise RefusalError(f"qsub: illegal -{letter} value", 2)
    indices, at_once = array(options["J"]) if "J" in options else ([], None)
    said = [v for o, v in [*inside, *given] if o == "W" and v.startswith("depend=")]
    depend = dependencies(said[-1]) if said else []
    resources = resource_list([v for o, v in inside if o == "l"], [v for o, v in given if o == "l"])
    chunks = select(resources, site)
    hook(options, resources, site)
    queue = options.get("q", site.default_queue).partition("@")[0] or site.default_queue
    limits(queue, len(chunks), resources, site)
    if len(indices) > site.max_array_size:
        raise RefusalError("qsub: Array job exceeds server or queue size limit", MAX_ARRAY)
    first = text.splitlines()[0] if text else ""
    return Job(
        name=options.get("N", name),
        queue=queue,
        account=options.get("A", ""),
        resources=resources,
        chunks=chunks,
        indices=indices,
        at_once=at_once,
        depend=depend,
        variables=variable_list(options),
        output=options.get("o", ""),
        error=options.get("e", ""),
        join=options.get("j", "n"),
        keep=options.get("k") or site.keep_files or "n",
        rerunnable=options.get("r", "y") == "y",  # qsub(1B) -r: the default is y
        folder=str(Path.cwd()),
        shell=[options["S"]] if "S" in options else first[2:].split() or ["/bin/bash"],
        arguments=[word for option in given for word in (f"-{option[0]}", option[1]) if word],
        script=text,
    )


def array(value: str) -> tuple[list[int], int | None]:
    """Return indices of X-Y[:Z][%N]. src/lib/Libcmds/chk_Jrange.c: Y > X, so never one alone."""
    found = re.fullmatch(r"(\d+)-(\d+)(?::(\d+))?(?:%(\d+))?", value)
    if not found or int(found[2]) <= int(found[1]) or int(found[3] or 1) < 1:
        raise RefusalError("qsub: illegal -J value", 2)
    indices = list(range(int(found[1]), int(found[2]) + 1, int(found[3] or 1)))
    return indices, int(found[4]) if found[4] else None


def dependencies(attributes: str) -> list[tuple[str, list[str]]]:
    """Return the dependencies of -W depend=TYPE:ID[:ID...][,TYPE:...]: src/…/parse_depend.c."""
    text = attributes.partition("=")[2]
    found = []
    for part in text.strip("'\"").split(","):
        kind, *ids = part.strip().split(":")
        if kind not in (*AFTER, *BEFORE, "on", "runone") or not ids or not all(ids):
            raise RefusalError("qsub: illegal -W value", 2)
        for one in ids if kind != "on" else []:
            name = JOB_ID.fullmatch(one)
            if name and name[2]:  # an array ID[] may be named, its subjobs may not
                raise RefusalError(
                    "cannot have dependancy on subjob or range\nqsub: illegal -W value", 2
                )
            if not name:
                raise RefusalError("qsub: illegal -W value", 2)
        if kind not in AFTER:
            raise RefusalError(f"the stand-in has no dependency '{kind}'", 2)
        found.append((kind, ids))
    return found


def resource_list(script: list[str], line: list[str]) -> dict[str, str]:
    """Return the resources by name; those on the command line win, each by itself.

    qsub(1B), "Setting attributes", and src/lib/Libcmds/set_resource.c: one of a directive is added
    only if its name is not there yet.
    """
    parts = [part.strip() for value in [*script, *line] for part in value.split(",")]
    resources = dict(part.split("=", 1) for part in parts)
    walltime = resources.get("walltime")
    if walltime is not None and seconds(walltime) < 1:
        raise bad("walltime")
    if "place" in resources and "select" not in resources:
        raise RefusalError('qsub: Cannot have "place" without "select"', PLACENOSELECT)
    if "place" in resources:
        parts = resources["place"].split(":")
        found = [re.fullmatch(PLACE, part) for part in parts]
        if not all(found) or any(sum(bool(f[i]) for f in found if f) > 1 for i in (1, 2, 3)):
            raise bad("place")
    for name in sorted(resources.keys() & (OF_CHUNK | {"nodes"})):
        if "select" not in resources:
            raise RefusalError(f"the stand-in has no old syntax: -l {name} without select", 2)
        message = f'"-lresource=" cannot be used with "select" or "place", resource is: {name}'
        raise RefusalError(f"qsub: {message}", INVALJOBRESC)
    return resources


def bad(resource: str) -> RefusalError:
    return RefusalError(
        f"qsub: Illegal attribute or resource value Resource_List.{resource}", BADATVAL
    )


def seconds(text: str) -> int:
    """Return the seconds of [[hours:]minutes:]seconds[.milliseconds], 0 of anything else."""
    found = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+)(?:\.\d+)?", text)
    return sum(int(found[i] or 0) * 60 ** (3 - i) for i in (1, 2, 3)) if found else 0


def select(resources: dict[str, str], site: Site) -> list[dict[str, str]]:
    """Return the chunks of select=[N:]resource=value[:...][+...], of qsub(1B)."""
    chunks: list[dict[str, str]] = []
    for text in resources.setdefault("select", "1:ncpus=1").split("+"):
        parts = text.split(":")
        count = parts.pop(0) if parts[0].isdigit() else "1"
        if not all(re.fullmatch(r"\w+=[^=]+", part) for part in parts) or int(count) < 1:
            raise bad("select")
        chunk = {"ncpus": "1"} | dict(part.split("=") for part in parts)
        if len({part.split("=")[0] for part in parts}) < len(parts):
            raise bad("select")  # † duplicated resource
        for name, value in chunk.items():
            if name in JOB_WIDE:
                message = f'qsub: Resource invalid in "select" specification: {name}'
                raise RefusalError(message, INVALSELECT)
            if name not in OF_CHUNK and name not in site.resources:
                raise RefusalError(f"qsub: Unknown resource: {name}", UNKRESC)
            if name in SIZES and not value.isdigit():
                raise bad("select")
            if name == "mem" and not re.fullmatch(r"\d+([kmgt]?[bw])?", value.lower()):
                raise bad("select")
        chunks += [chunk] * int(count)
    for name in resources.keys() - JOB_WIDE - {"select", "place", "nodes", "filesystems"}:
        if name not in site.resources and name != "job_priority":
            raise RefusalError(f"qsub: Unknown resource Resource_List.{name}", UNKRESC)
    return chunks


def hook(options: dict[str, str], resources: dict[str, str], site: Site) -> None:
    """Refuse what the site's own hook refuses; the words are ALCF's where not marked."""
    if "Account_Name" in site.demands and not options.get("A"):
        raise RefusalError("qsub: Account_Name is required to be set.", HOOK)
    for name in ("walltime", "filesystems"):
        if name in site.demands and name not in resources:
            raise RefusalError(f"qsub: Resource: {name} is required to be set.", HOOK)
    named = resources.get("filesystems", "").split(":") if site.filesystems else []
    if wrong := [name for name in named if name not in site.filesystems and name]:
        raise RefusalError(f"qsub: Resource: filesystems: unknown {wrong[0]}", HOOK)  # †
    if "filesystems" in resources and not site.filesystems:
        raise RefusalError("qsub: Unknown resource Resource_List.filesystems", UNKRESC)
    if site.keep_files and options.get("k", site.keep_files) != site.keep_files:
        raise RefusalError(f"qsub: Keep_Files must be {site.keep_files}", HOOK)  # †


def limits(queue: str, nodes: int, resources: dict[str, str], site: Site) -> None:
    """Refuse what the queue has no room for."""
    if queue not in site.queues:
        raise RefusalError("qsub: Unknown queue", UNKQUE)
    found = site.queues[queue]
    hours = seconds(resources.get("walltime", "0")) / 3600
    if found.bins:  # ALCF, "Troubleshooting": a routing queue says this
        if not any(low <= nodes <= high and hours <= most for low, high, most in found.bins):
            raise RefusalError("qsub: Job rejected by all possible destinations", ROUTEREJ)
    elif not found.nodes[0] <= nodes <= found.nodes[1] or hours > found.hours:
        message = "qsub: Job violates queue and/or server resource limits"
        raise RefusalError(message, EXCQRESC)


def variable_list(options: dict[str, str]) -> dict[str, str]:
    """Return -v and -V's variables. qsub(1B): without them a job gets none of the submitter's."""
    found = dict(os.environ) if "V" in options else {}
    parts = re.findall(r"(?:[^,'\"]|'[^']*'|\"[^\"]*\")+", options.get("v", ""))
    for part in parts:
        name, equals, value = part.strip().partition("=")
        if not equals and name not in os.environ:
            raise RefusalError("qsub: cannot send environment with the job", 1)
        found[name] = value.strip("'\"") if equals else os.environ[name]
    return {k: v for k, v in found.items() if not k.startswith(("PBS_O_", "STANDIN_PBS_JOB"))}
