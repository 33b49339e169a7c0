"""The report of networks of several families in one folder, in a real browser."""

from dataclasses import replace

import pytest
from browser import Page
from invented_families import CELLS, ROWS
from picture_samples import few_networks, write_tables

import nnlc
from nnlc.campaign.campaign import load_campaign
from nnlc.reporting.payload import whole_payload
from nnlc.reporting.report import look_at_tables
from nnlc.tables import Table

GRID = "[...document.querySelectorAll('#grid-body [role=row]')]"
HEAD = "[...document.querySelectorAll('#grid-head button')].map((one) => one.textContent)"
DETAIL = "document.getElementById('detail-body').textContent"
LAYERS = "[...document.querySelectorAll('ol.layers li')].map((one) => one.textContent)"
COUNT = "document.getElementById('count').textContent"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tables of the article, of `residual`, and of a family whose code nowhere exists."""
    root = tmp_path_factory.mktemp("several")
    write_tables(root, few_networks(1, "CIFAR-100")[:3], 6)
    residual = load_campaign("residual-smoke")
    specs = [network.spec for network in residual.networks()]
    cells = [replace(CELLS, id=f"2026_05_01_00_00_00_{i:06d}", random_seed=i) for i in range(2)]
    for number, spec in enumerate([*specs, *cells]):
        name = "F-MNIST-sample" if number < len(specs) else "CIFAR-100"
        place = root / f"{name}_models" / f"{spec.id}.txt"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(Table(spec, ROWS).to_bytes())
    return root, specs, cells


@pytest.mark.needs("Chromium")
def test_the_page_shows_columns_curves_and_layers_of_all_families(folder, tmp_path):
    root, specs, cells = folder
    nnlc.write_report(root, tmp_path / "page.html")
    page = Page(tmp_path)
    try:
        page.size(1280, 800)
        page.open((tmp_path / "page.html").as_uri())
        assert "family" in page.run(HEAD)

        def select(words):
            page.run(
                f"(() => {{ const box = document.getElementById('text'); box.value = '{words}'; "
                "box.dispatchEvent(new Event('input')); })()"
            )
            page.settle()
            page.run(f"{GRID}[0].click()")
            page.settle()
            return page.run(DETAIL)

        told = select(specs[0].id)
        assert "residual@1" in told
        assert "widths" in told
        layers = page.run(LAYERS)
        assert any(text.startswith("Conv2d") for text in layers)
        assert any("BatchNorm2d" in text for text in layers)
        told = select(cells[0].id)
        assert "cells@2.0" in told
        assert "16x32" in told
        assert "its layers are not known" in told
        assert page.run(LAYERS) == []
        told = select("article")
        assert "Values of the family" not in told
        assert any(text.startswith("convolution") for text in page.run(LAYERS))
        assert page.complaints == []
    finally:
        page.end()


def test_families_are_told_apart_and_equal_networks_drawn_once(folder):
    root, specs, cells = folder
    tables = nnlc.load_tables(root)
    payload = whole_payload(*look_at_tables(tables, root))["networks"]
    assert set(payload["families"]) == {"article", "residual@1", "cells@2.0"}
    names = [payload["families"][i] for i in payload["family"]]
    assert names.count("residual@1") == len(specs)
    assert names.count("cells@2.0") == len(cells)
    own = dict(payload["own"][names.index("cells@2.0")])
    assert own == {"slope": "0.0", "dropout_rate": "0.25", "widths": "16x32", "edges": "6"}
