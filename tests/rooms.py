"""The rooms of the package, defined once: what each holds, and which it may import."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTRIBUTING = ROOT / "CONTRIBUTING.md"

EVERYWHERE = {"errors", "console", "wording", "system"}
"""Rooms that every other may import."""
# Each room, what it holds, and the rooms below it that it may import. Modules at the top of the
# package are rooms of their own. `python tests/rooms.py` writes them into CONTRIBUTING.
ROOMS = {
    "errors": ("what can go wrong on a user's side, and the exit status that says so", ""),
    "console": ("printing: the one way from text to a terminal", ""),
    "wording": ("counts and lists in sentences", ""),
    "system": (
        "files, TOML, text, processes, their environment, and the messages between them",
        "errors console wording",
    ),
    "networks": (
        "what a network is: specification, search space, sampler, layers, optimizers, cost",
        "",
    ),
    "tables": (
        "the 28 columns, once; reading and writing a table; thousands as frames",
        "networks",
    ),
    "analysis": (
        "curves in numbers, drawn as text, and predicted; where a stop rule ends a table",
        "networks tables",
    ),
    "campaign": (
        "the campaign file, its networks, and the part of an array element",
        "networks tables analysis",
    ),
    "results": (
        "a results folder: paths, campaign.toml, journal, inventory, status",
        "networks tables analysis campaign",
    ),
    "calibration": (
        "machines fitted to a journal, and their file",
        "networks campaign results",
    ),
    "training": (
        "images, modules, the loop, checkpoints, the trainer process: the only torch",
        "networks tables analysis campaign results",
    ),
    "verification": (
        "tables held against a training done again",
        "networks tables analysis campaign results training",
    ),
    "schedulers": (
        "a class each for Slurm, LSF and no scheduler; site files; rules of `nnlc lint`",
        "",
    ),
    "launching": (
        "job scripts, submission and plans; runs on login nodes",
        "networks campaign results calibration schedulers",
    ),
    "upgrading": (
        "from one version to the next: checkpoints that go on, queued scripts",
        "networks campaign results schedulers launching verification",
    ),
    "ranks": (
        "agents with their trainers; the gatherer with backlog, leases and tables; the only MPI",
        "networks tables campaign results calibration schedulers upgrading",
    ),
    "worker": ("the entry point of a rank: `python -m nnlc.worker`", "ranks"),
    "collection": (
        "tables of many folders in one: clashes, provenance, selection",
        "networks tables analysis results",
    ),
    "benchmark": ("tables asked half epoch by half epoch", "networks tables collection"),
    "exporting": (
        "tables as Parquet or CSV, and back; Croissant and datasheet",
        "networks tables campaign results collection",
    ),
    "auditing": (
        "tables held to every rule: bytes, networks, curves, folders, campaigns",
        "networks tables analysis campaign results",
    ),
    "plotting": ("pictures: the only matplotlib", "networks tables analysis"),
    "reporting": (
        "the page, as a file and live",
        "networks tables analysis campaign results calibration",
    ),
    "cli": ("the `nnlc` command: a module a group of verbs, each verb a few lines", "all"),
}


def tree() -> str:
    """Return the package as a tree, a line a room."""
    lines = [f"  {_name(room):<14}{holds}\n" for room, (holds, _) in ROOMS.items()]
    return "```\nnnlc/\n" + "".join(lines) + "```\n"


def table() -> str:
    """Return which room may import which, as Markdown."""
    return "| room | imports |\n| --- | --- |\n" + "".join(
        f"| `nnlc/{_name(room)}` | {below.replace(' ', ', ')} |\n"
        for room, (_, below) in ROOMS.items()
    )


def _name(room: str) -> str:
    return f"{room}/" if (ROOT / "nnlc" / room).is_dir() else f"{room}.py"


def _put(text: str, heading: str, first: str, new: str) -> str:
    """Return a document with the block after a heading that begins with `first` replaced."""
    before, _, rest = text.partition(heading)
    above, _, old = rest.partition(first)
    return before + heading + above + new + old[old.index("\n\n") + 1 :]


if __name__ == "__main__":
    old = CONTRIBUTING.read_text(encoding="utf-8")
    with_tree = _put(old, "# Contributing\n", "```\nnnlc/", tree())
    CONTRIBUTING.write_text(_put(with_tree, "## The rooms\n", "| room ", table()), encoding="utf-8")
