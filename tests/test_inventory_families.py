"""What stands in the place of a table of another family: one judgement, as for the article's."""

import shutil
from dataclasses import replace

import pytest
from audit_samples import GOOD, PLACE
from own_family import MODULE, changed, tables_of, write_results
from typer.testing import CliRunner

from nnlc.cli import app
from nnlc.results.folder import ResultsFolder
from nnlc.results.inventory import State, inventory
from nnlc.tables import Table, read_table, write_table

OTHER_COLUMNS = MODULE.replace('"slope": "number"', '"tilt": "number"').replace(
    '"slope": draws', '"tilt": draws'
)


@pytest.fixture
def results(tmp_path):
    write_results(tmp_path / "r")
    return tmp_path / "r"


def state_of(folder, table):
    campaign = ResultsFolder(folder).campaign()
    return inventory(ResultsFolder(folder), campaign, list(campaign.networks())).entries[table.stem]


def put(path, table):
    path.unlink()
    write_table(table, path)


def test_tables_of_the_campaigns_networks_are_whole(results):
    for path in tables_of(results):
        entry = state_of(results, path)
        assert (entry.state, entry.half_epochs, entry.reason) == (State.WHOLE, 4, "")


def test_a_short_table_is_damaged_and_a_missing_one_is_to_be_trained(results):
    first, second, *_ = tables_of(results)
    first.write_bytes(b"".join(first.read_bytes().splitlines(keepends=True)[:-1]))
    second.unlink()
    assert state_of(results, first).state is State.DAMAGED
    assert state_of(results, second).state is State.MISSING


def test_another_value_in_an_own_column_makes_a_table_foreign(results):
    path = tables_of(results)[0]
    table = read_table(path)
    put(path, Table(changed(table.spec, slope=0.5), table.rows))
    entry = state_of(results, path)
    assert entry.state is State.FOREIGN
    assert "line 2, column 19 (slope:number)" in entry.reason
    assert "'0.5' where" in entry.reason


def test_a_table_of_another_version_is_foreign_by_its_column_family(results):
    path = tables_of(results)[0]
    table = read_table(path)
    put(path, Table(replace(table.spec, family="ladder@2"), table.rows))
    entry = state_of(results, path)
    assert entry.state is State.FOREIGN
    assert "column 17 (family)" in entry.reason
    assert "'ladder@2' where 'ladder@1' belongs" in entry.reason


def test_tables_of_other_columns_or_of_the_article_are_of_another_family(results, tmp_path):
    write_results(tmp_path / "other" / "r", OTHER_COLUMNS)
    first, second, *_ = tables_of(results)
    shutil.copy(tables_of(tmp_path / "other" / "r")[0], first)
    second.write_bytes(GOOD.replace(PLACE.stem.encode(), second.stem.encode()))
    for path in (first, second):
        entry = state_of(results, path)
        assert entry.state is State.FOREIGN
        assert "line 1: is of another family than the campaign's network" in entry.reason


def test_a_foreign_table_is_moved_aside_and_its_network_is_to_be_trained(results):
    path = tables_of(results)[0]
    table = read_table(path)
    put(path, Table(replace(table.spec, family="ladder@2"), table.rows))
    done = CliRunner().invoke(app, ["retry", str(results)])
    assert done.exit_code == 0, done.output
    assert not path.exists()
    assert state_of(results, path).state is State.MISSING
