"""The page of a folder: what it says, what it carries, and what it never does."""

import base64
import hashlib
import json
import math
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picture_samples import few_networks, sample_tables, table_of, write_tables
from test_cli import run_nnlc
from worker_jobs import TINY, write_campaign

import nnlc
from nnlc import load_campaign, walk_network
from nnlc.errors import NnlcError, ResultsError, TableError
from nnlc.families.layouts import drawn_layers
from nnlc.reporting import report as reporting
from nnlc.reporting.campaign_folder import CampaignFolder
from nnlc.reporting.network_state import State
from nnlc.reporting.payload import encode_values, to_json, whole_payload
from nnlc.reporting.report import look_at_tables
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal, NoJournal
from nnlc.results.status import read_status

HOSTILE = "<script>alert(1)</script>'\"&\u2028<img src=x onerror=alert(2)>"


def decode(text):
    """What `page/data.js` does."""
    octets = np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, 3)
    whole = np.concatenate([octets, np.zeros((len(octets), 1), np.uint8)], axis=1)
    return whole.reshape(-1).view(">f4").astype(float)


@given(st.lists(st.floats(width=64), max_size=50))
def test_numbers_keep_four_digits_and_what_is_not_finite_stays_so(values):
    numbers = np.array(values, dtype=float)
    found = decode(encode_values(numbers))
    assert len(encode_values(numbers)) == 4 * len(values)
    for value, again in zip(values, found, strict=True):
        if math.isnan(value):
            assert math.isnan(again)
        elif math.isinf(value):
            assert again == value
        elif abs(value) > 3.3e38:
            assert again == pytest.approx(math.copysign(3.4e38, value), rel=0.01)
        elif abs(value) > 1.2e-38:
            assert abs(again - value) <= abs(value) * 2**-16
        else:
            assert abs(again) < 1.3e-38


def test_accuracies_of_tables_are_told_to_the_hundredth():
    exact = np.arange(10_001) / 100
    assert [f"{x:.2f}" for x in decode(encode_values(exact))] == [f"{x:.2f}" for x in exact]


def test_layers_are_those_of_the_walk_with_all_their_sizes():
    network = few_networks(1, "CIFAR-100")[4]
    walk = walk_network(network.spec, network.images)
    parts = drawn_layers(network.spec, network.images).split(";")
    assert len(parts) == len(walk.layers)
    for part, layer in zip(parts, walk.layers, strict=True):
        kind, *numbers = part.split(" ")
        assert layer.kind.startswith({"c": "conv", "p": "pool", "l": "lin"}.get(kind, kind))
        if kind == "c":
            sizes = (layer.kernel, layer.stride, layer.padding, *layer.output[:2])
            assert list(map(int, numbers)) == [*sizes, layer.parameters]
        if kind == "l":
            assert list(map(int, numbers)) == [*layer.output, layer.parameters]


@pytest.fixture
def results(tmp_path):
    """A campaign of six networks: two done, one under way, one failed, one damaged, one waiting."""
    folder = ResultsFolder(tmp_path / "r")
    campaign = load_campaign(write_campaign(tmp_path, TINY))
    folder.open(campaign)
    networks = list(campaign.networks())
    write_tables(folder.path, networks[:2], 2)
    damaged = folder.table_path(networks[4].images, networks[4].spec)
    damaged.write_bytes(table_of(networks[4], 2).to_bytes()[:-1])
    ids = [network.spec.id for network in networks]
    journal = Journal(folder.journal_folder)
    rank = {"rank": 0, "devices": [{"name": "A100 <i>"}]}
    journal.write("job", device="cuda", campaign="tiny", ranks=[rank])
    journal.write("finish", id=ids[0], seconds=3.5, device={"name": "A100 <i>"})
    journal.write("attempt", id=ids[3], reason="killed")
    journal.write("failure", id=ids[3], reason=HOSTILE, attempts=2)
    journal.progress({ids[2]: {"half_epochs": 1, "accuracy": 12.5}})
    folder.told = journal
    return folder


def page_of(path, **options):
    """The page's text and data."""
    output = path.parent / "page.html"
    nnlc.write_report(path, output, **options)
    text = output.read_text("utf-8")
    return text, data_of(text)


def data_of(text):
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)
    return json.loads(data)


def test_checks_alone_are_no_jobs_of_a_page_and_the_last_log_is_named(results):
    old = [("job", {"device": "cpu"}), ("end", {"reason": "preflight passed: 2 ranks can begin"})]
    before = sorted(results.journal_folder.iterdir())
    check, silent = Journal(results.journal_folder), NoJournal(results.journal_folder)
    for kind, facts in old:
        silent.write(kind, **facts)
    silent.progress({})
    assert sorted(results.journal_folder.iterdir()) == before
    for kind, facts in old:
        check.write(kind, **facts)
    results.logs_folder.mkdir()
    for seconds, name in enumerate(["8.out", "7_1.out"]):
        (results.logs_folder / name).touch()
        os.utime(results.logs_folder / name, (seconds, seconds))
    facts = dict(CampaignFolder(results).look().facts)
    assert facts["jobs"].startswith("one job, began 20")
    assert "ended" not in facts["jobs"]
    assert facts["last job"] == "1 rank on A100 <i>"
    assert facts["last log"] == "logs/7_1.out"


def test_each_network_of_a_campaign_has_its_state_as_status_counts_them(results):
    _, data = page_of(results.path)
    states = data["standings"]
    assert states["state"] == [0, 0, 1, 3, 4, 2]
    assert states["lengths"] == [2, 2, 1, 0, 0, 0]
    assert states["seconds"] == [3.5, None, None, None, None, None]
    assert states["attempts"] == [0, 0, 0, 2, 0, 0]
    assert "alert(1)" in states["reasons"]["3"]
    assert "cut off" in states["reasons"]["4"]
    table = nnlc.read_table(results.table_path(*[*_first(results)]))
    expected = [[row.train_loss, row.val_loss, row.val_accuracy_percent] for row in table.rows]
    found = decode(states["curves"])
    assert pytest.approx(np.array(expected), rel=2e-5) == found[:6].reshape(3, 2).T
    assert found[-1] == 12.5  # of the one under way, the last accuracy that is known
    assert np.isnan(found[-3:-1]).all()
    [counts] = data["progress"]["datasets"]
    [status] = read_status(results).datasets.values()
    for name in ("done", "under_way", "waiting", "failed", "unusable"):
        assert counts[name] == getattr(status, name)
    facts = dict(data["facts"])
    assert facts["tables come from"] == "1 from A100 <i>"
    assert facts["last job"] == "1 rank on A100 <i>"
    assert "last log" not in facts
    assert facts["jobs"].startswith("one job, began 20")


def _first(results):
    network = next(iter(results.campaign().networks()))
    return network.images, network.spec


def test_a_campaign_that_stops_early_is_counted_as_status_counts_it(tmp_path):
    stopping = TINY.replace("epochs = 1", 'epochs = 4\nstop = "menndl:patience=1"')
    campaign = load_campaign(write_campaign(tmp_path, stopping))
    folder = ResultsFolder(tmp_path / "r")
    folder.open(campaign)
    networks = list(campaign.networks())
    write_tables(folder.path, networks[:2], 8)
    write_tables(folder.path, networks[2:3], 5)
    [counts] = CampaignFolder(folder).look().datasets
    [status] = read_status(folder).datasets.values()
    assert (counts.rows, counts.done, counts.unusable) == (16, 2, 1)  # not where the rule stops
    assert (status.rows, status.done, status.unusable) == (16, 2, 1)
    content = folder.table_path(networks[2].images, networks[2].spec).read_bytes()
    known = {"id": networks[2].spec.id, "sha256": hashlib.sha256(content).hexdigest()}
    Journal(folder.journal_folder).write("finish", **known)
    [counts] = CampaignFolder(folder).look().datasets
    [status] = read_status(folder).datasets.values()
    assert (counts.rows, counts.stopped, counts.saved) == (21, 1, 3)
    assert (status.rows, status.stopped, status.saved) == (21, 1, 3)
    stop = {"stopped": True, "epoch": 2.5, "predicted": 76.543, "target": 4.0}
    Journal(folder.journal_folder).write("finish", **known, seconds=1.0, stop=stop)
    _, data = page_of(folder.path)
    assert data["standings"]["stops"] == {"2": "at epoch 2.5; 76.54 % predicted for epoch 4"}
    odd = {"stopped": True, "epoch": "<b>", "predicted": 10**400}
    Journal(folder.journal_folder).write("finish", **known, stop=odd)
    assert page_of(folder.path)[1]["standings"]["stops"] == {}


def test_the_same_folder_gives_the_same_bytes_and_a_page_replaces_only_a_page(results, tmp_path):
    first, second = tmp_path / "a.html", tmp_path / "b.html"
    for path in (first, second, second):
        done = nnlc.write_report(results.path, path)
        assert (done.networks, done.bytes) == (6, path.stat().st_size)
    assert first.read_bytes() == second.read_bytes()
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    with pytest.raises(NnlcError, match="exists, and was not written by this command"):
        nnlc.write_report(results.path, tmp_path / "mine.html")
    assert (tmp_path / "mine.html").read_text() == "<p>mine</p>"


def test_a_page_names_its_own_script_and_style_and_nothing_from_elsewhere(results):
    text, _ = page_of(results.path)
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["require-trusted-types-for"] == "'script'"
    assert "connect-src" not in directives
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        [content] = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert directives[f"{tag}-src"] == f"'sha256-{digest}'"
    assert set(re.findall(r'(?:src|href)="([^"]*)"', text)) == {"#grid", "data:,"}
    assert "@import" not in text
    assert re.findall(r"url\(|https?://(?!www\.w3\.org/2000/svg)", text) == []


def test_no_text_in_the_data_can_end_or_begin_an_element(results):
    text, _ = page_of(results.path)
    assert text.count("<script") == 2
    assert text.count("</script>") == 2
    hostile = to_json({"x": HOSTILE})
    assert not set("<>&\u2028") & set(hostile)
    assert json.loads(hostile) == {"x": HOSTILE}


def test_the_campaigns_own_name_and_file_are_told(results):
    text, data = page_of(results.path)
    assert data["title"] == "campaign tiny"
    assert "<title>campaign tiny</title>" in text
    assert data["campaign"] == results.campaign_file.read_text()


@pytest.mark.parametrize("name", ["a<b>&'\"", "ü ✓", "$(x) `y` {{z}} @@data@@"])
def test_a_folder_of_any_name_has_a_page(tmp_path, name):
    folder = tmp_path / name
    write_tables(folder, few_networks(1, "SVHN")[:2], 3)
    text, data = page_of(folder)
    assert text.count("<b>") == 0
    assert data["title"].startswith("tables of ")


def test_published_tables_say_what_they_are_and_what_their_losses_lack(tmp_path):
    networks = few_networks(1, "F-MNIST")[:3]
    write_tables(tmp_path / "t", networks[:2], 6, torch_set_deterministic=False)
    write_tables(tmp_path / "t", networks[2:], 4)
    _, data = page_of(tmp_path / "t")
    assert ["curves", "from 4 to 6 half epochs"] in data["facts"]
    words = json.dumps(data["facts"])
    assert "2 are by their metadata the article's, published at doi:10.7910/DVN/ZXTCGF" in words
    assert "1 were written by nnlc" in words
    assert "as published: too small" in words
    _, corrected = page_of(tmp_path / "t", val_loss="corrected")
    assert "corrected for the factor" in json.dumps(corrected["facts"])
    assert corrected["standings"]["curves"] != data["standings"]["curves"]


def test_images_of_unknown_size_have_no_layers_but_what_the_table_says(tmp_path):
    networks = few_networks(1, "F-MNIST")[:1]
    write_tables(tmp_path / "t", networks, 6, dataset="<svg/onload=alert(1)>")
    _, data = page_of(tmp_path / "t")
    assert data["networks"]["layers"] == [""]
    assert data["networks"]["parameters"] == [None]
    assert ["FCFilters", "-".join(map(str, networks[0].spec.fc_filters))] in data["networks"][
        "own"
    ]["0"]
    assert data["standings"]["flags"] == [4]


def test_a_network_that_contradicts_itself_is_shown_as_its_table_says(tmp_path):
    tables = sample_tables(few_networks(1, "F-MNIST")[:1], 4)
    tables.networks.at[0, "conv_kernels"] = (99,)
    payload = whole_payload(*look_at_tables(tables, Path("x")))
    assert payload["networks"]["layers"] == [""]
    assert ["convKernels", "99"] in payload["networks"]["own"][0]


def test_what_is_passed_over_is_told(tmp_path, results):
    write_tables(tmp_path / "t", few_networks(1, "F-MNIST")[:2], 3)
    (tmp_path / "t" / "F-MNIST_models" / "notes<b>.txt").touch()
    _, data = page_of(tmp_path / "t")
    assert "notes<b>.txt: its name is not <ID>.txt" in data["notes"][0]
    images, spec = _first(results)
    write_tables(results.path, [replace_id(results, "2030_01_01_00_00_00_000000")], 2)
    link = results.models_folder(images) / "2031_01_01_00_00_00_000000.txt"
    link.symlink_to(results.table_path(images, spec))
    _, data = page_of(results.path)
    assert all(note.startswith("A table can't be used: ") for note in data["notes"][:2])
    assert f"{link}: is a symbolic link where a file is expected" in data["notes"][1]
    assert data["notes"][2].startswith("2 tables are of no network of this campaign")


def replace_id(results, id_):
    network = next(iter(results.campaign().networks()))
    return replace(network, spec=replace(network.spec, id=id_))


def test_a_table_under_anothers_name_is_damaged_and_never_taken_for_it(results):
    images, spec = _first(results)
    networks = list(results.campaign().networks())
    path = results.table_path(images, networks[5].spec)
    path.write_bytes(results.table_path(images, spec).read_bytes())
    _, data = page_of(results.path)
    assert data["standings"]["state"][5] == 4
    words = f"is of another network than the campaign's {networks[5].spec.id}: '{spec.id}' where"
    assert words in data["standings"]["reasons"]["5"]


def test_only_what_changed_is_read_again(results, monkeypatch):
    from nnlc.reporting import campaign_folder

    folder = CampaignFolder(results)
    first = folder.look()
    read, journals = [], []
    monkeypatch.setattr(campaign_folder, "read_records", spy(campaign_folder.read_records, read))
    monkeypatch.setattr(
        campaign_folder, "read_history", spy(campaign_folder.read_history, journals)
    )
    second = folder.look()
    assert read == journals == []
    pairs = zip(first.states, second.states, strict=True)
    assert all(new.same_as(old) for old, new in pairs)
    networks = list(results.campaign().networks())
    write_tables(results.path, networks[5:], 2)
    third = folder.look()
    assert [files.names for (files,) in read] == [(f"{networks[5].spec.id}.txt",)]
    changed = [i for i in range(6) if not third.states[i].same_as(first.states[i])]
    assert changed == [5]
    assert third.states[5].state == State.DONE
    results.table_path(networks[5].images, networks[5].spec).unlink()
    assert folder.look().states[5].state == State.WAITING


def spy(function, calls):
    def called(*arguments, **named):
        calls.append(arguments)
        return function(*arguments, **named)

    return called


def test_a_long_journal_is_read_again_only_now_and_then(results, monkeypatch):
    from nnlc.reporting import campaign_folder

    now = [0.0]
    folder = CampaignFolder(results, lambda: now[0])

    def slow(path):
        now[0] += 2
        return read(path)

    read = campaign_folder.read_history
    monkeypatch.setattr(campaign_folder, "read_history", slow)
    folder.look()
    ids = [network.spec.id for network in results.campaign().networks()]
    Journal(results.journal_folder).write("failure", id=ids[5], reason="late")
    now[0] += 39
    assert folder.look().states[5].state == State.WAITING
    now[0] += 2
    assert folder.look().states[5].state == State.FAILED


def test_accuracies_of_a_network_under_way_are_remembered_as_long_as_they_hold(results):
    folder = CampaignFolder(results)
    id_ = list(results.campaign().networks())[2].spec.id

    def look(half_epochs, accuracy):
        results.told.progress({id_: {"half_epochs": half_epochs, "accuracy": accuracy}})
        return folder.look().states[2].curve[:, 2].tolist()

    assert look(1, 10.0) == [10.0]
    assert look(2, 20.0) == [10.0, 20.0]
    assert look(1, 11.0) == [11.0]  # it went on from a checkpoint
    assert look(0, None) == []
    assert look(10**9, 20.0) == []
    assert look(1, "<b>") == []


def test_more_networks_than_a_browser_bears_are_refused_with_a_way_out(results, monkeypatch):
    monkeypatch.setattr(reporting, "MOST_NETWORKS", 5)
    with pytest.raises(NnlcError, match=r"6 networks are too many for one page.*nnlc subset"):
        nnlc.write_report(results.path, results.path.parent / "x.html")


def test_a_collection_tells_what_its_journal_knows(results, tmp_path):
    nnlc.merge_tables([results.path], tmp_path / "merged", damaged="skip")
    _, data = page_of(tmp_path / "merged")
    assert ["tables come from", "1 from A100 <i>"] in data["facts"]
    assert ["training", "3.5 seconds together, as far as a journal knows"] in data["facts"]
    assert data["standings"]["seconds"] == [3.5, None]


@pytest.mark.parametrize("kind", ["pipe", "link"])
@pytest.mark.parametrize("name", ["x.jsonl", "x.progress.json"])
def test_a_file_of_the_journal_that_would_hold_up_its_reader_is_named_and_passed_over(
    results, kind, name
):
    if kind == "pipe":
        os.mkfifo(results.journal_folder / name)
    else:
        (results.journal_folder / name).symlink_to("/dev/zero")
    _, data = page_of(results.path)
    what = "is a named pipe" if kind == "pipe" else "is a symbolic link"
    assert f"{name}: {what} where a file is expected; it is ignored" in data["notes"][0]
    assert data["standings"]["state"] == [0, 0, 1, 3, 4, 2]


def test_a_folder_without_tables_or_rights_is_an_error_of_one_line(tmp_path, results):
    (tmp_path / "empty").mkdir()
    with pytest.raises(TableError, match="no table is in this folder"):
        nnlc.write_report(tmp_path / "empty", tmp_path / "x.html")
    images, _ = _first(results)
    folder = results.models_folder(images)
    folder.rename(tmp_path / "elsewhere")
    folder.write_text("no folder")
    with pytest.raises(ResultsError, match="is a file where a folder is expected"):
        nnlc.write_report(results.path, tmp_path / "x.html")
    folder.unlink()
    folder.symlink_to("nowhere")
    with pytest.raises(ResultsError, match="is a symbolic link that leads nowhere"):
        nnlc.write_report(results.path, tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_the_command_writes_a_page_with_a_comparison(results, tmp_path):
    from test_plots import comparison

    path = comparison(tmp_path / "c.csv")
    job = run_nnlc("report", "r", "-o", "x.html", "--compare", path, cwd=tmp_path)
    assert job.returncode == 0
    [note] = job.stderr.splitlines()
    assert note.startswith("note: A table can't be used: r/F-MNIST-sample_models/")
    assert job.stdout == "6 networks, 0.1 MB: x.html\n"
    data = data_of((tmp_path / "x.html").read_text("utf-8"))
    assert data["comparison"][4]["method"] == "penguin"
    assert data["comparison"][0]["not_converged"] is None
