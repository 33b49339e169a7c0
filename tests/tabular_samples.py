"""Results folders of a few drawn networks with recorded seconds, for benchmarks of other tools."""

import hashlib
import re
from pathlib import Path

from nnlc.families.article import SearchSpace, sample_network
from nnlc.networks import KNOWN_IMAGE_SETS
from nnlc.results.journal import Journal
from nnlc.tables import Row, Table

PAGE = Path(__file__).parent.parent / "docs" / "other-tools.md"


def programs_of(tool: str) -> list[str]:
    """Return the Python programs of a tool's section in docs/other-tools.md."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {tool}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def write_networks(
    folder: Path,
    count: int = 12,
    half_epochs: int = 8,
    *,
    first: int = 0,
    dataset: str = "SVHN",
    seconds: bool = True,
) -> Path:
    """Write networks of depths 1 to 3; better ones take longer, and are behind at first."""
    (folder / "journal").mkdir(parents=True, exist_ok=True)
    (folder / f"{dataset}_models").mkdir(exist_ok=True)
    journal = Journal(folder / "journal")
    for number in range(first, first + count):
        id_ = f"2026_11_30_00_00_00_{number:06d}"
        spec = sample_network(
            SearchSpace(), KNOWN_IMAGE_SETS[dataset], 1 + number % 3, number, id=id_
        )
        top = 30 + 60 * (number * 7 % count) / count
        rows = [
            Row(2 / row, 2.5 / row, top * row / (row + top / 30))
            for row in range(1, half_epochs + 1)
        ]
        path = folder / f"{dataset}_models" / f"{id_}.txt"
        path.write_bytes(Table(spec, tuple(rows)).to_bytes())
        if seconds:
            journal.write(
                "finish",
                id=id_,
                seconds=top * half_epochs / 64,
                half_epoch_seconds=[top / 64] * half_epochs,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                device={"name": "a GPU"},
            )
    return folder
