"""Analysis, benchmark and figures of networks of several families side by side, without code."""

from dataclasses import replace

import numpy as np
import pytest
from invented_families import CELLS, WIDE
from paper_networks import paper

from nnlc import Benchmark, importance, load_tables, metrics, plot_tables, predict
from nnlc.benchmark.hyperparameters import hyperparameters
from nnlc.benchmark.nearest import NearestNetwork
from nnlc.families.layouts import layer_kinds
from nnlc.tables import Row, Table

EACH = 12
"""Networks of each family."""


def _rows(final):
    return tuple(Row(2.0 / k, 2.1 / k, final * k / 4) for k in range(1, 5))


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Tables of the article and of two families whose accuracy rises with an own number."""
    folder = tmp_path_factory.mktemp("several") / "CIFAR-100_models"
    folder.mkdir()
    articles = [n.spec for n in paper()[1] if n.images.name == "CIFAR-100"][::150][:EACH]
    for i in range(EACH):
        wide = replace(
            WIDE,
            id=f"2026_02_01_00_00_00_{i:06d}",
            random_seed=i,
            own=(
                ("widths", "integers", (16 + i, *range(i % 3))),
                ("depth", "integer", 4),
                ("is_split", "flag", i % 2 == 0),
                ("slope", "number", float(i)),
                ("conv_kernels", "integers", (99,)),
            ),
        )
        cells = replace(
            CELLS,
            id=f"2026_03_01_00_00_00_{i:06d}",
            random_seed=i,
            own=(*CELLS.own[:2], *CELLS.own[4:]),
        )
        article = replace(articles[i], id=f"2026_04_01_00_00_00_{i:06d}")
        for spec, final in ((wide, 40 + i), (cells, 30.0), (article, 20.0 + i % 5)):
            (folder / f"{spec.id}.txt").write_bytes(Table(spec, _rows(final)).to_bytes())
    return load_tables(folder)


def test_own_numbers_and_flags_are_settings_whose_importance_is_told(tables):
    found = importance(tables).set_index("setting")
    assert {"slope", "is_split", "edges"} <= set(found.index)
    assert found.loc["slope", "networks"] == 2 * EACH
    assert found.loc["is_split", "networks"] == EACH
    assert found.loc["largest_kernel", "networks"] == EACH, "not of a family's own conv_kernels"
    only = importance(tables.select(sorted(tables.networks["id"])[:EACH]), ["slope"])
    assert only["share"].iloc[0] > 0.8


def test_own_lists_become_a_hyperparameter_for_each_place(tables):
    found = hyperparameters(tables.networks)
    wide, article = found.iloc[0], found.iloc[-1]
    assert (wide["widths1"], wide["slope"], wide["is_split"]) == (16, 0.0, 1)
    assert wide[["widths2", "conv1_kernel", "fc_layers"]].isna().all()
    assert article[["widths1", "slope"]].isna().all()
    assert article[["conv1_kernel", "fc_layers", "batch_size"]].notna().all()


def test_the_nearest_network_is_found_by_a_familys_own_values(tables):
    wide = tables.select(sorted(tables.networks["id"])[:EACH])
    nearest = NearestNetwork(hyperparameters(wide.networks))
    assert nearest.find({"slope": 6.1, "widths1": 22}) == "2026_02_01_00_00_00_000006"


def test_kinds_of_layers_are_the_articles_and_own_flags_and_missing_elsewhere(tables):
    kinds = layer_kinds(tables.networks)
    assert list(kinds) == ["ReLU", "pooling", "dropout", "is_split"]
    assert kinds["ReLU"].notna().sum() == kinds["is_split"].notna().sum() == EACH
    assert kinds["is_split"].sum() == EACH / 2


@pytest.mark.parametrize("kind", ["curves", "layer-types", "depth", "learning-rate", "parameters"])
def test_a_figure_of_several_families_is_drawn(tables, tmp_path, kind):
    plot_tables(tables, tmp_path / "figure.png", kind=kind)
    assert (tmp_path / "figure.png").stat().st_size > 1000


@pytest.mark.parametrize("few", [slice(1), slice(EACH, EACH + 1)])
def test_few_curves_are_drawn_each_with_its_depth_if_it_has_one(tables, tmp_path, few):
    chosen = tables.select(sorted(tables.networks["id"])[few])
    plot_tables(chosen, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_metrics_predictions_and_benchmark_take_families_side_by_side(tables):
    found = metrics(tables, columns=("slope", "family"))
    assert found["val_accuracy_percent_final"].max() == 40 + EACH - 1
    assert set(found["family"]) == {"wide@1", "cells@2.0", "article"}
    predicted = predict(tables, method="last1", target=2, cutoff=1.5)
    assert len(predicted) == 3 * EACH
    benchmark = Benchmark(tables)
    assert benchmark.specification(found["id"][0]).family == "wide@1"
    assert np.isfinite(benchmark.query(found["id"][0], 2).val_accuracy_percent)
