"""The live page in a real browser: it follows the folder and loses nothing of what one does."""

import itertools
import socket

import pytest
from browser import Page
from limits import HANG_SECONDS
from picture_samples import write_tables
from test_report_page import FOCUS, PIXELS, ROWS, SELECTED, text
from test_serve import running
from worker_jobs import TINY, write_campaign

from nnlc import load_campaign
from nnlc.reporting import live as living
from nnlc.reporting.live import LiveCampaign
from nnlc.reporting.server import PageServer
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal

TOP = "document.getElementById('grid').getBoundingClientRect().top"
MANY = TINY.replace("networks_per_depth = 3", "networks_per_depth = 40")
"""Eighty networks, more than the table shows at once."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    page = Page(tmp_path_factory.mktemp("browser"))
    yield page
    page.end()


@pytest.fixture
def served(browser, tmp_path, monkeypatch):
    """The page of a campaign under way, asked for several times a second."""
    monkeypatch.setattr(living, "POLL_SECONDS", 0.6)
    monkeypatch.setattr("nnlc.results.journal.SILENT_SECONDS", HANG_SECONDS)
    results = ResultsFolder(tmp_path / "r")
    results.open(load_campaign(write_campaign(tmp_path, MANY)))
    write_tables(results.path, list(results.campaign().networks())[:3], 2)
    with running(PageServer(LiveCampaign(results.path), 0)) as server:
        browser.size(1280, 800)
        browser.open(server.address)
        yield browser, results, server


def test_what_comes_to_stand_shows_and_nothing_that_one_did_is_lost(served):
    page, results, server = served
    networks = list(results.campaign().networks())
    assert "3 of 80 done" in text(page, "#progress")
    page.click(f"{ROWS}:nth-child(2)")
    page.click("#text")
    page.type("F-MNIST")
    page.click("#grid-head button")  # sorted by name
    page.run("document.getElementById('grid').scrollTop = 600")
    page.run("document.getElementById('grid').focus({preventScroll: true})")
    page.settle()
    before, top = page.run(PIXELS), page.run(TOP)
    journal = Journal(results.journal_folder)
    write_tables(results.path, networks[3:40], 2)
    journal.write("failure", id=networks[40].spec.id, reason="<b>no memory</b>")
    journal.progress({networks[41].spec.id: {"half_epochs": 1, "accuracy": 10.5}})
    for words in ("40 of 80 done", "1 under way", "1 failed"):
        page.wait_for(f"document.getElementById('progress').innerText.includes('{words}')")
    page.settle()
    assert "1 network without a usable table" in text(page, "#failures-title")
    assert page.run("document.getElementById('text').value") == "F-MNIST"
    assert page.run("document.getElementById('grid').scrollTop") == 600
    assert abs(page.run(TOP) - top) < 1  # though more is said above it
    assert page.run(FOCUS) == "grid"
    assert text(page, "#selection") == "1 selected"
    assert text(page, "#detail .name") == networks[1].spec.id
    assert page.run(PIXELS) != before  # the median beside the selected network has moved
    chips = "[...document.querySelectorAll('#outcome-chips button')]"
    shown = page.run(f"{chips}.filter((chip) => !chip.hidden).map((chip) => chip.textContent)")
    assert {"under way", "waiting", "failed"} <= set(shown)
    page.run("document.getElementById('grid').scrollTop = 1200")
    page.settle()
    assert "epoch 0.5" in text(page, "#grid-body")
    journal.progress({networks[41].spec.id: {"half_epochs": 2, "accuracy": 30.5}})
    page.wait_for("document.getElementById('grid-body').innerText.includes('epoch 1')")
    assert "30.50" in text(page, "#grid-body")
    assert page.complaints == []
    assert page.dialogs == []
    own = f"http://127.0.0.1:{server.server_port}/{server.secret}/"
    assert all(one.startswith(("data:", own)) for one in page.requests)
    moments = page.run("performance.getEntriesByType('resource').map((one) => one.startTime)")
    assert min(later - one for one, later in itertools.pairwise(moments)) > 500


def test_news_leave_focus_and_reading_where_they_are(served):
    page, results, _ = served
    networks = list(results.campaign().networks())
    journal = Journal(results.journal_folder)
    for network in networks[4:6]:
        journal.write("failure", id=network.spec.id, reason="no memory")
    page.wait_for("document.getElementById('progress').innerText.includes('2 failed')")
    page.run("document.getElementById('chart').focus()")
    for _ in range(2):
        page.press("ArrowRight")
    page.click("#failures summary")
    page.run("document.querySelectorAll('#failures-list button')[1].focus()")
    page.run("window.facts = document.querySelector('#facts dd')")
    page.run("document.getElementById('chart').focus()")
    page.press("ArrowRight")
    write_tables(results.path, networks[6:9], 2)
    page.wait_for("document.getElementById('progress').innerText.includes('6 of 80')")
    assert not page.run("document.getElementById('tip').hidden")
    assert text(page, "#tip").startswith("epoch 0.5")
    assert page.run("window.facts.isConnected")
    page.run("document.querySelectorAll('#failures-list button')[1].focus()")
    journal.write("failure", id=networks[3].spec.id, reason="no memory")
    page.wait_for("document.getElementById('progress').innerText.includes('3 failed')")
    assert page.run("document.activeElement.textContent") == networks[5].spec.id
    write_tables(results.path, networks[3:], 2)
    page.wait_for("document.getElementById('live').innerText === 'Nothing is left to train'")


def test_a_server_that_is_gone_is_said_and_asked_again(served):
    page, results, server = served
    page.click(f"{ROWS}:nth-child(1)")
    server.shutdown()
    server.server_close()
    with socket.socket() as kept:  # or another program may be given the port
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", server.server_port))
        page.wait_for("document.getElementById('live').innerText.includes('No answer')")
        assert page.run(SELECTED) == 1
        again = PageServer(LiveCampaign(results.path), server.server_port)
    again.secret = server.secret
    with running(again):
        page.wait_for("document.getElementById('live').innerText.startsWith('Live')")
        assert page.run(SELECTED) == 1
        again.secret = "another start's"
        page.wait_for("document.getElementById('live').innerText.includes('no longer served')")


def test_a_page_that_nobody_sees_asks_for_nothing(served):
    page, _, _ = served
    page.run(
        "window.asked = 0; const own = fetch; "
        "window.fetch = (...words) => { window.asked += 1; return own(...words); }; undefined"
    )
    page.wait_for("window.asked > 0")
    page.run(
        "Object.defineProperty(document, 'hidden', {get: () => !window.seen, configurable: true})"
    )
    asked = page.run("window.asked")
    page.run("new Promise((done) => setTimeout(done, 1500))")
    assert page.run("window.asked") == asked
    page.run("window.seen = true; document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for(f"window.asked > {asked}")
