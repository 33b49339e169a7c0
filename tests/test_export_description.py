"""What an export says of itself: croissant.json for programs, datasheet.html for people."""

import json
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from export_samples import FILES, WRITTEN, sample, three_exported, three_tables, write_tables

from nnlc import NnlcError, export_tables, load_campaign, load_tables
from nnlc.exporting.datasheet import loading
from nnlc.exporting.manifest import read_manifest
from nnlc.networks import KNOWN_IMAGE_SETS
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal
from nnlc.tables import Row
from nnlc.tables.frames import RECORDED_COLUMNS

SAID = {
    "creators": ["Ada Lovelace", "Mary Somerville"],
    "license": "CC-BY-4.0",
    "url": "https://example.org/curves",
    "published": "2026-01-31",
}
UNKNOWN = "Not known from the tables."


class Page(HTMLParser):
    """A page's elements, and its text."""

    def __init__(self, export):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.text = ""
        self.feed((export / "datasheet.html").read_text())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def after(self, words):
        """The text that follows some words."""
        assert words in self.text
        return self.text.partition(words)[2]


def by_croissant(export):
    """Return what mlcroissant reads; only tests that use it load it, for a second."""
    import mlcroissant

    return mlcroissant.Dataset(jsonld=str(export / "croissant.json"))


def described(export):
    return json.loads((export / "croissant.json").read_text())


@pytest.mark.parametrize("format", WRITTEN)
def test_croissant_is_valid_and_complete_and_knows_the_files(tmp_path, format):
    export_tables(three_tables(tmp_path / "tables"), tmp_path / "export", format=format, **SAID)
    dataset = by_croissant(tmp_path / "export")
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert not issues.warnings
    found = described(tmp_path / "export")
    # All that section "Required" of the specification lists.
    for name in ("@context", "@type", "conformsTo", "description", "license", "name", "url"):
        assert found[name]
    assert found["creator"][0] == {"@type": "sc:Person", "name": "Ada Lovelace"}
    assert found["datePublished"] == "2026-01-31"
    manifest = json.loads((tmp_path / "export" / "export.json").read_text())
    for one in found["distribution"]:
        facts = manifest["files"][one["contentUrl"]]
        assert (one["contentSize"], one["sha256"]) == (f"{facts['bytes']} B", facts["sha256"])
    assert {one["contentUrl"] for one in found["distribution"]} == {*FILES[format]}
    fields = [field for records in found["recordSet"] for field in records["field"]]
    assert all(field["description"] and field["dataType"] for field in fields)
    assert any("Unit: nats." in field["description"] for field in fields)


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_croissant_loads_every_record_with_its_values(tmp_path, format):
    export = three_exported(tmp_path, format)
    tables = load_tables(tmp_path / "tables")
    dataset = by_croissant(export)
    curves = pd.DataFrame(dataset.records("curves"))
    for name in tables.curves.drop(columns=[*RECORDED_COLUMNS]):
        found, expected = curves[f"curves/{name}"], tables.curves[name]
        if expected.dtype == float:
            assert np.array_equal(found.astype(float), expected, equal_nan=True)
        else:
            assert [x.decode() if isinstance(x, bytes) else x for x in found] == list(expected)
    networks = list(dataset.records("networks"))
    assert [one["networks/id"].decode() for one in networks] == list(tables.networks["id"])
    kernels = [one["networks/conv_kernels"] for one in networks]
    assert kernels == ([[24, 2]] * 3 if format == "parquet" else [b"24-2"] * 3)


def test_what_is_the_articles_is_cited_as_such_and_its_licence_told_as_far_as_known(tmp_path):
    theirs = sample(0, torch_set_deterministic=False).to_bytes()
    write_tables(tmp_path / "in", {"CIFAR-100_models/x.txt": theirs})
    table = tmp_path / "in" / "CIFAR-100_models" / "x.txt"
    done = export_tables(table, tmp_path / "export")
    assert done.unsaid == ()
    found = described(tmp_path / "export")
    assert found["url"] == found["sameAs"] == "https://doi.org/10.7910/DVN/ZXTCGF"
    assert "10.7910/DVN/ZXTCGF" in found["citeAs"]
    assert [one["name"] for one in found["creator"]][-1] == "Michela Taufer"
    assert found["datePublished"] == "2022-01-05"
    [terms] = found["license"]
    assert terms["url"] == "https://doi.org/10.7910/DVN/ZXTCGF"
    assert "names no licence for the tables" in terms["description"]
    page = Page(tmp_path / "export")
    assert "too small by the factor" in page.text
    assert "random streams were not recorded" in page.text
    assert "PyTorch 1.3.1" in page.text
    with pytest.raises(NnlcError, match="license: applies to tables that nnlc wrote"):
        export_tables(table, tmp_path / "other", license="CC0-1.0")


def test_what_only_the_user_knows_is_asked_for_and_not_invented(tmp_path):
    write_tables(tmp_path / "in", {"x_models/x.txt": sample(0).to_bytes()})
    done = export_tables(tmp_path / "in" / "x_models" / "x.txt", tmp_path / "export")
    assert done.unsaid == ("license", "creators", "url", "published")
    found = described(tmp_path / "export")
    assert not {"license", "creator", "datePublished"} & found.keys()
    assert "an unknown campaign" in found["citeAs"]
    page = Page(tmp_path / "export")
    for question in ("Who made it?", "Under which licence?", "With which software and devices?"):
        assert page.after(question).strip().startswith(UNKNOWN)
    assert "article" not in page.after("Motivation").partition("Maintenance")[0].replace(
        "The article's tables among them, by their torch_set_deterministic: 0.", ""
    )


def test_campaign_devices_and_versions_come_from_what_stands_beside_the_tables(tmp_path):
    results = ResultsFolder(tmp_path / "results")
    campaign = load_campaign("smoke")
    results.open(campaign)
    images = KNOWN_IMAGE_SETS["F-MNIST-sample"]
    journal = Journal(results.journal_folder)
    for number in range(3):
        table = sample(number, dataset=images.table_name)
        write_tables(results.models_folder(images), {f"{table.spec.id}.txt": table.to_bytes()})
        digest = {} if number else {"sha256": "0" * 64}  # the first was another table
        journal.write(
            "finish",
            id=table.spec.id,
            seconds=1800,
            device={"name": "NVIDIA <V100>"},
            versions={"torch": "2.9.1"},
            **digest,
        )
    export_tables(results.path, tmp_path / "export")
    page = Page(tmp_path / "export")
    words = page.after("With which software and devices?")
    assert words.strip().startswith("NVIDIA <V100>, torch 2.9.1: 2 tables")
    assert "1 hours of training, for the 2 of 3 tables" in page.text
    assert 'the campaign "smoke" (seed ' in page.after("How was it acquired?")
    assert f"{campaign.epochs} epochs; pixels unit, max pooling" in page.text
    assert 'the campaign "smoke"' in described(tmp_path / "export")["citeAs"]
    journal.path.rename(tmp_path / "moved")
    journal.path.symlink_to(tmp_path / "moved")
    export_tables(results.path, tmp_path / "export")
    words = Page(tmp_path / "export").after("With which software and devices?")
    assert words.strip().startswith(UNKNOWN)


def test_a_campaign_is_mixed_too_where_each_of_its_folders_has_one_arithmetic(tmp_path):
    campaign = load_campaign("smoke")
    networks = list(campaign.networks())
    for number, arithmetic in enumerate(("1", "7")):
        results = ResultsFolder(tmp_path / f"results{number}")
        results.open(campaign)
        table, id_ = sample(number), networks[number].spec.id
        table = replace(table, spec=replace(table.spec, id=id_))
        write_tables(results.models_folder(networks[0].images), {f"{id_}.txt": table.to_bytes()})
        Journal(results.journal_folder).write("finish", id=id_, versions={"arithmetic": arithmetic})
        assert not export_tables(results.path, tmp_path / "export").mixed
    both = export_tables([tmp_path / "results0", tmp_path / "results1"], tmp_path / "export")
    [told] = both.mixed
    assert told.startswith('campaign "smoke": tables come from two arithmetics: of 2 tables, ')


HOSTILE = "<script>alert('1')</script><img/src=x/onerror=alert(1)>"


def test_whatever_a_table_or_user_says_is_text_on_the_page(tmp_path):
    write_tables(
        tmp_path / "in",
        {f"a{HOSTILE.replace('/', '')}/x.txt": sample(0, dataset=HOSTILE).to_bytes()},
    )
    export_tables(
        next((tmp_path / "in").glob("*/*")),
        tmp_path / "export",
        title=f"</title>{HOSTILE}",
        creators=[f"</p>{HOSTILE}"],
        url='https://x.org/"><script>',
    )
    page = Page(tmp_path / "export")
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "img", "iframe", "link", "object", "base", "form", "a"}
    assert not {key for _, attributes in page.elements for key in attributes} & {
        *("src", "href", "onerror", "onload", "action")
    }
    assert page.text.count(HOSTILE) >= 4
    policies = [a["content"] for _, a in page.elements if "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert "url(" not in (tmp_path / "export" / "datasheet.html").read_text()


@pytest.mark.parametrize("format", WRITTEN)
def test_the_lines_for_loading_load_what_load_tables_gives(tmp_path, format, monkeypatch):
    export = three_exported(tmp_path, format)
    lines = loading(read_manifest(export).schema, format)
    assert lines.count("\n") == 3
    assert lines in Page(export).text
    tables = load_tables(tmp_path / "tables")
    monkeypatch.chdir(export)
    names: dict = {}
    exec(lines, names)
    for name in ("train_loss", "val_loss", "val_accuracy_percent", "epoch", "half_epoch"):
        expected = tables.curves[name]
        assert np.array_equal(names["curves"][name], expected, equal_nan=expected.dtype == float)
    for name in ("learning_rate", "momentum", "depth", "random_seed", "published"):
        assert list(names["networks"][name]) == list(tables.networks[name])
    kernels = names["networks"]["pool_kernels"].tolist()
    if format == "csv":
        assert kernels == ["1"] * 3  # text, though each is a list of one
    else:
        assert [tuple(one) for one in kernels] == list(tables.networks["pool_kernels"])


def test_the_datasheet_counts_and_measures_what_is_there(tmp_path):
    rows = (Row(2.5, 2.0, 10.0), Row(float("nan"), 1.5, 60.0), Row(float("inf"), None, 55.5))
    tables = [
        sample(0, rows, dataset="A"),
        sample(1, (Row(1.0, 1.0, 90.0),), dataset="A"),
        sample(2, (Row(None, None, None),), dataset="B"),
    ]
    write_tables(tmp_path / "in", {f"m/{t.spec.id}.txt": t.to_bytes() for t in tables})
    export_tables(tmp_path / "in", tmp_path / "export")
    text = " ".join(Page(tmp_path / "export").text.split())
    assert "1 to 2.5 1 to 2 10 to 90 60, 75, 90 55.5, 72.75, 90" in text
    assert "B none none none none none" in text
    assert "A, half epochs in which train_loss is nan: 1; infinite: 1; blank: 0." in text
    assert "A, half epochs in which val_loss is nan: 0; infinite: 0; blank: 1." in text
    assert "A, networks with a loss that is nan or infinite: 1." in text
    assert "B, networks with" not in text
    assert "Networks: 3; 2 with 1 half epoch, 1 with 3 half epochs." in text


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"license": "my own"}, "neither an SPDX identifier"),
        ({"url": "javascript:alert(1)"}, "is no URL"),
        ({"published": "2026-02-30"}, "is no date"),
        ({"published": "20260101"}, "is no date"),
        ({"version": "1"}, "is not of the form 1.0.0"),
        ({"title": "a\nb"}, "can't be printed"),
        ({"creators": ["a\x1b[2J"]}, "can't be printed"),
        ({"creators": ["Ada", ""]}, "creators '': is empty"),
        ({"title": " "}, "title ' ': is empty"),
        ({"format": "xlsx"}, "can only be 'parquet' or 'csv'$"),
        ({"damaged": "keep"}, "can only be 'refuse' or 'skip'"),
    ],
)
def test_a_word_that_is_none_of_its_kind_is_refused(tmp_path, said, words):
    with pytest.raises(NnlcError, match=words):
        export_tables(three_tables(tmp_path / "tables"), tmp_path / "export", **said)
    assert not (tmp_path / "export").exists()
