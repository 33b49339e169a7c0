"""Speed of a report in a browser: `python benchmarks/page.py [--networks N] [--rounds N]`.

Writes tables (benchmarks/reading.py) and a report of them, opens it in headless Chromium, and times
several actions until the next frame has been drawn: opening the file, filtering by a word and by a
range, sorting, selecting all networks left, and scrolling to the end. It needs Chromium and the
packages that the tests need (`tests/browser.py`).
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from reading import machine, make_tables

import nnlc

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from browser import Page

DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
TYPE = (
    "{ const field = document.querySelector('%s'); field.value = '%s'; "
    "field.dispatchEvent(new Event('input')); }"
)
STEPS = {
    "filter by a word": TYPE % ("#text", "svhn"),
    "filter by a range": TYPE % ("#range-fields input", "5"),
    "clear the filters": "document.querySelector('#reset').click();",
    "sort by accuracy": "document.querySelectorAll('#grid-head button')[4].click();",
    "select all": (
        "document.querySelector('#grid').dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'a', ctrlKey: true}));"
    ),
    "show the validation loss": "document.querySelector('input[name=value][value=\"1\"]').click();",
    "scroll to the end": "document.querySelector('#grid').scrollTop = 1e9;",
}
"""Actions of a user in order, as JavaScript."""


def measure(page: Page, address: str) -> dict[str, float]:
    """Return the milliseconds of opening the report and of each step."""
    page.ask("Page.navigate", url="about:blank")
    start = time.perf_counter()
    page.open(address)
    page.run(DRAWN)
    found = {"open": 1000 * (time.perf_counter() - start)}
    for name, step in STEPS.items():
        took = f"(async () => {{ const start = performance.now(); {step} await {DRAWN}; "
        found[name] = page.run(took + "return performance.now() - start; })()")
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--networks", type=int, default=6000, metavar="N", help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="(%(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        (top / "tables").mkdir()
        make_tables(top / "tables", arguments.networks)
        done = nnlc.write_report(top / "tables", top / "report.html")
        print(machine())
        print(f"{done.networks} networks, {done.bytes / 1e6:.1f} MB; ", end="")
        print(f"milliseconds, median and most of {arguments.rounds} rounds")
        page = Page(top / "profile")
        address = (top / "report.html").as_uri()
        rounds = [measure(page, address) for _ in range(arguments.rounds)]
        page.end()
        for step in rounds[0]:
            taken = [one[step] for one in rounds]
            print(f"{step:26} {median(taken):>7.0f} {max(taken):>7.0f}")


if __name__ == "__main__":
    main()
