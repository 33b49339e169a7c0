"""The rooms of the package, defined once: what each holds, and which it may import."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTRIBUTING = ROOT / "CONTRIBUTING.md"

EVERYWHERE = {"errors", "console", "wording", "system"}
"""Rooms that every other may import."""
# Each room, what it holds, and the rooms below it that it may import. Modules at the top of the
# package are rooms of their own. `python tests/rooms.py` writes them into CONTRIBUTING.
ROOMS = {
    "errors": ("user errors and exit statuses", ""),
    "console": ("all printing to terminals and logs", ""),
    "wording": ("counts and lists for messages", ""),
    "system": (
        "files, TOML, processes, environment variables, messages between processes",
        "errors console wording",
    ),
    "networks": ("what all networks share: specification, images, recipe, work, draws", ""),
    "families": (
        "what a network is, by family: the interface, the article's, those of others",
        "networks",
    ),
    "tables": (
        "columns; read and write a table; load thousands as data frames",
        "networks families",
    ),
    "analysis": (
        "metrics of curves, text drawings, predictors, stop rules",
        "networks families tables",
    ),
    "campaign": (
        "the campaign file, its networks, the networks of an array element",
        "networks families tables analysis",
    ),
    "results": (
        "a results folder: paths, campaign.toml, journal, inventory, status",
        "networks families tables analysis campaign",
    ),
    "schedulers": ("one class for each scheduler, with its lint rules; site files", ""),
    "calibration": (
        "speed of devices, fitted to a journal; machines.toml",
        "networks families campaign results schedulers",
    ),
    "training": (
        "images, loop, checkpoints, trainer process; imports torch, like modules of families",
        "networks families tables analysis campaign results",
    ),
    "verification": (
        "train a table's network again, and compare",
        "networks families tables analysis campaign results training",
    ),
    "launching": (
        "job scripts, submission and plans; runs on login nodes",
        "networks families campaign results calibration schedulers",
    ),
    "upgrading": (
        "change a results folder for a new version of nnlc or a larger campaign",
        "networks families campaign results schedulers launching verification",
    ),
    "ranks": (
        "agent of each rank, gatherer on rank 0; the only room that imports MPI",
        "networks families tables campaign results calibration schedulers upgrading",
    ),
    "worker": ("entry point of a rank: `python -m nnlc.worker`", "ranks"),
    "collection": (
        "merge and select tables of many folders",
        "networks families tables analysis results",
    ),
    "benchmark": (
        "`nnlc.Benchmark`: query tables instead of training",
        "networks families tables analysis campaign collection",
    ),
    "exporting": (
        "export tables and import them; Croissant metadata, datasheet",
        "networks families tables campaign results collection",
    ),
    "auditing": (
        "check tables: bytes, networks, curves, folders, campaigns",
        "networks families tables analysis campaign results",
    ),
    "plotting": (
        "figures; the only room that imports matplotlib",
        "networks families tables analysis",
    ),
    "reporting": (
        "HTML page of a campaign, as a file or live",
        "networks families tables analysis campaign results calibration",
    ),
    "cli": ("the `nnlc` program: one module for each group of commands", "all"),
}


def tree() -> str:
    """Return the package as a tree, with one line for each room."""
    lines = [f"  {_name(room):<14}{holds}\n" for room, (holds, _) in ROOMS.items()]
    return "```\nnnlc/\n" + "".join(lines) + "```\n"


def table() -> str:
    """Return the allowed imports of each room as a Markdown table."""
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
