"""The page in a real browser: it opens, filters, sorts, selects and draws, and asks for nothing."""

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from browser import Page
from picture_samples import copies, few_networks, sample_tables, table_of, write_tables
from test_plots import comparison
from worker_jobs import TINY, write_campaign

import nnlc
from nnlc import load_campaign
from nnlc.analysis.comparison_file import read_comparison
from nnlc.reporting.network_state import State
from nnlc.reporting.page import build_page
from nnlc.reporting.payload import whole_payload
from nnlc.reporting.report import look_at_tables
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal

ROWS = "#grid-body [role=row]"
SHOWN = f"[...document.querySelectorAll('{ROWS}')].map((row) => row.firstChild.title)"
PIXELS = "document.getElementById('chart').toDataURL()"
INK = (
    "(() => { const chart = document.getElementById('chart'); const {data} = "
    "chart.getContext('2d').getImageData(60, 10, chart.width - 80, chart.height - 60); "
    "let dots = 0; for (let i = 0; i < data.length; i += 4) "
    "dots += data[i + 2] - data[i] > 60 && data[i + 3] > 128; return dots; })()"
)
"""How many dots of the curves' own first colour there are, a blue."""
COUNT = "document.getElementById('count').textContent"
SELECTED = f"document.querySelectorAll('{ROWS}[aria-selected=true]').length"
FOCUS = "document.activeElement.id || document.activeElement.textContent"
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\"&\u2028"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    page = Page(tmp_path_factory.mktemp("browser"))
    yield page
    page.end()


def page_of(count, folder):
    """Write a page of so many networks on three datasets, with a comparison."""
    tables = sample_tables(few_networks(4, "CIFAR-100", "F-MNIST", "SVHN"))
    subject, moment = look_at_tables(copies(tables, count), folder / "many")
    found = read_comparison(comparison(folder / "c.csv"))
    subject = replace(subject, comparison=pd.concat([found, found.assign(dataset="mine")]))
    path = folder / "many.html"
    path.write_bytes(build_page(whole_payload(subject, moment)))
    return path


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A page of 1,200 networks."""
    return page_of(1200, tmp_path_factory.mktemp("many"))


@pytest.fixture
def page(browser, many):
    """The 1,200, opened anew, which must have gone without a word."""
    browser.media()
    browser.size(1280, 800)
    browser.open(many.as_uri())
    yield browser
    assert browser.complaints == []
    assert browser.dialogs == []
    assert [address for address in browser.requests if not address.startswith("data:")] == [
        many.as_uri()
    ]


def opened(browser, path, output, **options):
    nnlc.write_report(path, output, **options)
    browser.size(1280, 800)
    browser.open(output.as_uri())
    assert browser.complaints == []
    return browser


def cells(column):
    """What stands in the rows that can be seen."""
    rows = f"[...document.querySelectorAll('{ROWS}')]"
    return f"{rows}.map((row) => row.children[{column - 1}].textContent)"


def text(page, selector):
    return page.run(f"document.querySelector({selector!r}).innerText")


def test_six_thousand_networks_are_few_elements_and_less_than_ten_megabytes(browser, tmp_path):
    many, page = page_of(6000, tmp_path), browser
    page.size(1280, 800)
    page.open(many.as_uri())
    assert text(page, "#count") == "all 6,000 networks"
    assert page.run(f"document.querySelectorAll('{ROWS}').length") < 60
    assert page.run("document.querySelectorAll('*').length") < 3000
    assert many.stat().st_size < 10_000_000
    assert page.run("document.getElementById('grid').getAttribute('aria-rowcount')") == "6001"
    page.run("document.getElementById('grid').scrollTop = 1e9")
    page.settle()
    assert page.run(SHOWN)[-1] == "2022_01_05_00_00_00_005999"
    assert page.run(f"document.querySelectorAll('{ROWS}').length") < 60
    assert page.complaints == []


def test_words_chips_and_ranges_leave_only_what_has_all_of_them(page):
    before = page.run(PIXELS)
    page.click("#text")
    page.type("_0011")
    assert text(page, "#count") == "100 of 1,200 networks"
    page.click("#dataset-chips button:nth-child(2)")
    left = page.run(SHOWN)
    assert set(page.run(cells(2))) == {"F-MNIST"}
    assert all("_0011" in id_ for id_ in left)
    page.click("#ranges summary")
    page.click("#range-fields input")
    page.type("3")
    depths = page.run(cells(3))
    assert depths
    assert min(map(int, depths)) >= 3
    assert page.run(PIXELS) != before
    page.click("#outcome-chips button:nth-child(3)")  # diverged
    assert page.run(COUNT).endswith("of 1,200 networks")
    page.click("#reset")
    assert page.run(COUNT) == "all 1,200 networks"
    assert page.run(PIXELS) == before
    page.type("no such network")


def test_a_range_has_the_numbers_that_are_shown(browser, tmp_path):
    path = small(tmp_path, done=6, curve=(nnlc.tables.Row(1.0, 1.0, 99.95),) * 2)
    page = opened(browser, path, tmp_path / "x.html")
    assert page.run(cells(5))[0] == "99.95"
    page.click("#ranges summary")
    for field, left in (("least", 6), ("most", 6)):
        page.click(f"[aria-label='last accuracy (%), {field}']")
        page.type("99.95")
        assert page.run(COUNT) == f"{left} of 6 networks"


def test_nothing_left_is_said(page):
    page.click("#text")
    page.type("no such network")
    assert page.run(COUNT) == "0 of 1,200 networks"
    assert page.run("document.getElementById('grid-empty').checkVisibility()")
    assert page.run(SHOWN) == []


@pytest.mark.parametrize("column", [5, 7])
def test_a_click_on_a_heading_sorts_and_another_turns_it_around(page, column):
    heading = f"#grid-head [role=columnheader]:nth-child({column})"
    page.click(f"{heading} button")
    found = list(map(float, page.run(cells(column))))
    assert found == sorted(found, reverse=True)
    assert page.run(f"document.querySelector({heading!r}).ariaSort") == "descending"
    page.click(f"{heading} button")
    found = list(map(float, page.run(cells(column))))
    assert found == sorted(found)
    assert page.run(f"document.querySelector({heading!r}).ariaSort") == "ascending"


def test_a_selected_network_is_drawn_and_told_layer_by_layer(page):
    before = page.run(PIXELS)
    page.click(f"{ROWS}:nth-child(2)")
    assert page.run(PIXELS) != before
    assert text(page, "#detail .name") == "2022_01_05_00_00_00_000001"
    network = few_networks(4, "CIFAR-100", "F-MNIST", "SVHN")[1]
    walk = nnlc.walk_network(network.spec, network.images)
    layers = page.run("[...document.querySelectorAll('.layers li')].map((li) => li.innerText)")
    assert len(layers) == len(walk.layers) + 1
    first = walk.layers[0]
    assert f"{first.kernel}×{first.kernel}, stride {first.stride}, padding" in layers[1]
    assert f"{first.output[0]} filters, {first.output[1]} × {first.output[1]}" in layers[1]
    assert f"{first.parameters:,} parameters" in layers[1]
    assert f"{walk.parameters:,}" in text(page, "#detail dl")
    legend = text(page, "#legend")
    page.click(f"{ROWS}:nth-child(4)", control=True)
    assert page.run(SELECTED) == 2
    assert len(text(page, "#legend")) > len(legend)
    page.press("Escape")
    assert page.run(SELECTED) == 0
    assert page.run(PIXELS) == before
    assert "Select a network" in text(page, "#detail-body")


def test_a_redraw_between_press_and_release_loses_no_click_and_is_made_up_for(page):
    grid = "document.getElementById('grid')"
    page.click(f"{ROWS}:nth-child(3)", between=f"{grid}.dispatchEvent(new Event('scroll'))")
    assert page.run(SELECTED) == 1
    page.click(f"{ROWS}:nth-child(3)", between=f"{grid}.scrollTop = 3000")  # released elsewhere
    page.wait_for("parseInt(document.querySelector('#grid-body [role=row]').style.top) > 2000")


def test_medians_of_several_datasets_are_told_apart_and_count_curves_only(page):
    page.click(f"{ROWS}:nth-child(1)")
    page.click("#text")
    page.type("SVHN")
    page.click(f"{ROWS}:nth-child(1)", control=True)
    page.click("#reset")
    dashes = "[...document.querySelectorAll('#legend line')].map((one) => one.outerHTML)"
    found = page.run(dashes)
    assert len(found) == len(set(found)) == 4
    assert text(page, "#legend").count("median of 400 networks on") == 2


def test_all_that_is_selected_becomes_bands(page):
    page.click("#text")
    page.type("_00119")
    page.click("#grid")
    page.press("a", control=True)
    assert text(page, "#selection") == "10 selected"
    assert "10 selected networks; lines are medians" in text(page, "#chart-words")


def test_the_switch_changes_the_curves_and_a_pointer_reads_their_values(page):
    pictures = {page.run(PIXELS)}
    for value in (1, 0):
        page.click(f"input[name=value][value='{value}']")
        pictures.add(page.run(PIXELS))
    assert len(pictures) == 3
    page.run("document.getElementById('chart').scrollIntoView({block: 'center'})")
    page.settle()
    box = page.run(
        "(({x, y, width, height}) => [x + width / 2, y + height / 2])"
        "(document.getElementById('chart').getBoundingClientRect())"
    )
    page.hover(*box)
    tip = text(page, "#tip").split("\n")
    assert tip[0].startswith("epoch ")
    assert len([line for line in tip if "CIFAR-100" in line]) == 1
    page.hover(0, 0)
    assert page.run("document.getElementById('tip').hidden")


def test_the_keyboard_alone_reaches_and_does_everything(page):
    seen = []
    for _ in range(60):
        page.press("Tab")
        seen.append(page.run(FOCUS))
        outline = page.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", seen
        if seen[-1] == "grid":
            break
    for wanted in ("Skip to the table of networks", "text", "CIFAR-100", "learned", "chart"):
        assert wanted in seen
    page.press("ArrowDown")
    page.press("ArrowDown")
    page.press("Enter")
    active = page.run("document.getElementById('grid').getAttribute('aria-activedescendant')")
    assert active == "row-2"
    assert page.run(SELECTED) == 1
    page.press("ArrowDown", shift=True)
    assert page.run(SELECTED) == 2
    page.press(" ")
    assert page.run(SELECTED) == 1
    page.press("End")
    assert page.run(SHOWN)[-1] == "2022_01_05_00_00_00_001199"
    page.press("PageUp")
    page.press("Home")
    assert page.run(SHOWN)[0] == "2022_01_05_00_00_00_000000"
    page.press("Escape")
    assert page.run("document.querySelectorAll('[aria-selected=true]').length") == 0
    for _ in range(3):
        page.press("Tab", shift=True)
    page.run("document.getElementById('chart').focus()")
    page.press("ArrowRight")
    assert text(page, "#chart-point").startswith("epoch 0.5 ; CIFAR-100 ")
    page.press("End")
    assert text(page, "#chart-point").startswith("epoch 40 ; ")


def test_everything_has_a_name_for_those_who_listen(page):
    page.click(f"{ROWS}:nth-child(2)")
    tree = page.ask("Accessibility.getFullAXTree")["nodes"]
    nameless = [
        (node["role"]["value"], node.get("name", {}).get("value"))
        for node in tree
        if not node.get("ignored")
        and node.get("role", {}).get("value")
        in ("button", "textbox", "searchbox", "radio", "spinbutton", "grid", "image", "checkbox")
        and not node.get("name", {}).get("value")
    ]
    assert nameless == []
    roles = {node["role"]["value"] for node in tree if not node.get("ignored")}
    assert {"grid", "row", "gridcell", "columnheader", "main", "search", "banner"} <= roles


@pytest.mark.parametrize("width", [360, 390, 800, 1280])
def test_no_width_makes_the_page_scroll_sideways(page, width):
    page.click(f"{ROWS}:nth-child(2)")
    page.size(width, 800)
    page.settle()
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run(SELECTED) == 1


def test_light_dark_narrow_and_paper_each_have_a_picture(page, tmp_path):
    page.click(f"{ROWS}:nth-child(2)")
    desktop = page.picture(tmp_path / "desktop.png")
    page.media(dark=True)
    dark = page.picture(tmp_path / "dark.png")
    page.media(print_=True)
    paper = page.picture(tmp_path / "paper.png", whole=True)
    page.media()
    page.size(390, 844)
    narrow = page.picture(tmp_path / "narrow.png", whole=True)
    pictures = {desktop, dark, paper, narrow}
    assert len(pictures) == 4
    assert min(map(len, pictures)) > 20_000


def test_paper_has_the_first_hundred_rows_and_no_controls(page):
    page.media(print_=True)
    page.run("dispatchEvent(new Event('beforeprint'))")
    page.settle()
    assert page.run(f"document.querySelectorAll('{ROWS}').length") == 100
    assert text(page, "#printed") == "The first 100 of 1,200 networks."
    assert not page.run("document.getElementById('filters').checkVisibility()")
    page.media()
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.run(f"document.querySelectorAll('{ROWS}').length") < 60


def test_a_comparison_is_a_picture_and_a_table_for_each_dataset(page):
    assert page.run("document.querySelectorAll('#comparison tbody').length") == 2
    assert page.run("document.querySelectorAll('#comparison tbody tr').length") == 10
    assert "F-MNIST: accuracy at epoch 20 predicted for 9 networks." in text(page, "#comparison")
    assert "mine: accuracy at epoch 20" in text(page, "#comparison")
    assert "pow3:$x" in text(page, "#comparison .legend")
    assert page.run("document.querySelectorAll('#comparison polyline').length") == 4
    assert page.run("document.querySelectorAll('#comparison circle').length") == 8


def test_hostile_words_stay_words(browser, tmp_path):
    campaign = load_campaign(write_campaign(tmp_path, TINY))
    results = ResultsFolder(tmp_path / "r")
    results.open(campaign)
    networks = list(campaign.networks())
    journal = Journal(results.journal_folder)
    ranks = [{"devices": [{"name": HOSTILE}]}]
    journal.write("job", device="cpu", ranks=ranks)
    journal.write("failure", id=networks[0].spec.id, reason=HOSTILE)
    write_tables(results.path, networks[1:2], 2)
    journal.write("finish", id=networks[1].spec.id, device={"name": HOSTILE})
    journal.write("trouble", reason=HOSTILE)
    journal.progress({networks[2].spec.id: {"half_epochs": 1, "accuracy": 3}})
    text_ = results.campaign_file.read_text()
    results.campaign_file.write_text(text_.replace("# The", f"# {HOSTILE[:-1]}\n# The"))
    found = read_comparison(comparison(tmp_path / "c.csv"))
    found["method"] = found["dataset"] = HOSTILE
    page = opened(browser, results.path, tmp_path / "x.html", comparison=found)
    check_harmless(page)
    assert "alert(1)" in text(page, "#trouble")
    assert "alert(1)" in text(page, "#facts")
    page.click("#failures summary")
    assert "<script>alert(1)</script>" in text(page, "#failures-list")
    page.click("#failures-list button")
    assert "<img src=x onerror=alert(2)>" in text(page, "#detail")
    check_harmless(page)


def test_a_hostile_dataset_stays_a_word(browser, tmp_path):
    name = "</script><script>alert(1)</script><img/src=x/onerror=alert(2)>&amp;\\u003cb>"
    folder = tmp_path / "<b>t</b>"[:4]
    folder.mkdir()
    write_tables(folder, few_networks(1, "F-MNIST")[:3], 4, dataset=name)
    page = opened(browser, folder, tmp_path / "x.html")
    page.click(f"{ROWS}:nth-child(1)")
    check_harmless(page)
    assert name in text(page, "#detail")
    assert "tables of <b>t" in page.run("document.title")
    assert "how" not in text(page, "#detail h3")


def check_harmless(page):
    assert page.run("document.querySelectorAll('script').length") == 1
    assert page.run("document.querySelectorAll('img, iframe, b b').length") == 0
    assert page.dialogs == []
    assert page.complaints == []
    assert len([one for one in page.requests if not one.startswith("data:")]) == 1


def test_a_policy_stops_what_would_have_come_in_as_markup(page):
    blocked = page.run(
        "(() => { try { document.body.innerHTML = '<b>x</b>'; return false; } "
        "catch (problem) { return problem instanceof TypeError; } })()"
    )
    assert blocked
    asked = page.run("fetch('https://example.org/').then(() => 'went', () => 'stopped')")
    assert asked == "stopped"
    page.complaints.clear()
    page.requests[1:] = []


def small(tmp_path, *, done=0, failed=0, curve=None):
    campaign = load_campaign(write_campaign(tmp_path, TINY))
    results = ResultsFolder(tmp_path / "r")
    results.open(campaign)
    networks = list(campaign.networks())
    for network in networks[:done]:
        table = table_of(network, 2)
        if curve is not None:
            table = replace(table, rows=curve)
        results.table_path(network.images, network.spec).write_bytes(table.to_bytes())
    journal = Journal(results.journal_folder)
    for network in networks[6 - failed :]:
        journal.write("failure", id=network.spec.id, reason="out of memory")
    return results.path


def test_a_campaign_that_has_not_begun_says_so(browser, tmp_path):
    page = opened(browser, small(tmp_path), tmp_path / "x.html")
    assert text(page, "#summary") == "6 networks on F-MNIST-sample, 0 with a table"
    assert "6 without a curve yet" in text(page, "#chart-words")
    assert "0 of 6 done, 6 waiting" in text(page, "#progress")
    assert text(page, "#progress-lines") == "no job is running"
    page.click(f"{ROWS}:nth-child(1)")
    assert page.complaints == []


def test_failures_only_are_listed_and_lead_to_their_networks(browser, tmp_path):
    page = opened(browser, small(tmp_path, failed=6), tmp_path / "x.html")
    assert "6 networks without a usable table" in text(page, "#failures-title")
    page.click("#failures summary")
    page.click("#text")
    page.type("nothing like it")
    page.click("#failures-list li:nth-child(2) button")
    assert page.run(SELECTED) == 1
    assert page.run(FOCUS) == "grid"
    assert "out of memory" in text(page, "#detail")
    assert page.complaints == []


def test_networks_that_all_diverged_have_an_empty_chart_that_says_why(browser, tmp_path):
    nothing = (nnlc.tables.Row(float("nan"), float("inf"), None),) * 2
    page = opened(browser, small(tmp_path, done=6, curve=nothing), tmp_path / "x.html")
    assert "6 diverged: what is not finite is left out" in text(page, "#chart-words")
    before = page.run(PIXELS)
    page.click(f"{ROWS}:nth-child(1)")
    assert "diverged" in text(page, "#detail")
    assert page.run(PIXELS) == before
    assert page.complaints == []


def test_the_last_accuracy_of_a_network_under_way_is_told(browser, tmp_path):
    results = ResultsFolder(small(tmp_path))
    networks = list(results.campaign().networks())
    journal = Journal(results.journal_folder)
    journal.progress({networks[0].spec.id: {"half_epochs": 1, "accuracy": 40.0}})
    page = opened(browser, results.path, tmp_path / "x.html")
    assert "1 under way" in text(page, "#progress")
    page.click(f"{ROWS}:nth-child(1)")
    assert "last accuracy\n40.00 %" in text(page, "#detail dl")
    assert "reached\nepoch 0.5" in text(page, "#detail dl")
    assert "best accuracy" not in text(page, "#detail dl")
    assert page.run(cells(5))[0] == "40.00"
    assert page.run(cells(6))[0] == "\u2013"


def test_unknown_accuracies_of_a_network_under_way_are_bridged_and_infinite_ones_not(
    browser, tmp_path
):
    tables = sample_tables(few_networks(1, "SVHN")[:1], 9)
    subject, moment = look_at_tables(tables, tmp_path)
    curve = np.full((9, 3), np.nan)
    curve[[1, 8], 2] = 10, 80
    pictures = []
    for state in (State.UNDER_WAY, State.DONE):
        standing = replace(moment.states[0], state=state, curve=curve)
        payload = whole_payload(subject, replace(moment, states=[standing]))
        (tmp_path / "x.html").write_bytes(build_page(payload))
        browser.open((tmp_path / "x.html").as_uri())
        browser.click(f"{ROWS}:nth-child(1)")
        pictures.append(browser.run(INK))
    assert pictures[0] > 3 * pictures[1] > 0


def test_curves_that_end_early_are_counted_and_a_stop_is_told(browser, tmp_path):
    stopping = TINY.replace("epochs = 1", 'epochs = 4\nstop = "menndl:patience=1"')
    results = ResultsFolder(tmp_path / "r")
    results.open(load_campaign(write_campaign(tmp_path, stopping)))
    networks = list(results.campaign().networks())
    write_tables(results.path, networks[:2], 8)
    write_tables(results.path, networks[2:3], 5)
    stop = {"stopped": True, "epoch": 2.5, "predicted": 76.543, "target": 4.0}
    content = results.table_path(networks[2].images, networks[2].spec).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    Journal(results.journal_folder).write(
        "finish", id=networks[2].spec.id, stop=stop, sha256=digest
    )
    page = opened(browser, results.path, tmp_path / "x.html")
    assert "1 curve shorter than 4 epochs" in text(page, "#chart-words")
    page.click(f"{ROWS}:nth-child(3)")
    assert "stopped\nat epoch 2.5; 76.54 % predicted for epoch 4" in text(page, "#detail dl")


def test_of_long_curves_the_arrows_reach_what_was_looked_at(browser, tmp_path):
    write_tables(tmp_path / "t", few_networks(1, "SVHN")[:3], 400)
    page = opened(browser, tmp_path / "t", tmp_path / "x.html")
    page.run("document.getElementById('chart').focus()")
    read = []
    for _ in range(3):
        page.press("ArrowRight")
        read.append(text(page, "#chart-point"))
    assert [words.split(" ;")[0] for words in read] == ["epoch 0.5", "epoch 1.5", "epoch 2.5"]
    assert not any("\u2013" in words for words in read)


def test_one_network_is_a_whole_page(browser, tmp_path):
    write_tables(tmp_path / "t", few_networks(1, "SVHN")[:1], 1)
    page = opened(browser, tmp_path / "t", tmp_path / "x.html")
    assert text(page, "#count") == "all 1 network"
    page.click(f"{ROWS}:nth-child(1)")
    assert page.run("document.querySelectorAll('.layers li').length") > 3
    assert page.complaints == []
