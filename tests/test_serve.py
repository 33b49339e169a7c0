"""The live page's server: two addresses, read-only, for this machine's browsers and nobody else."""

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from http.client import HTTPConnection, HTTPResponse

import pytest
from limits import HANG_SECONDS, wait_until
from picture_samples import write_tables
from test_cli import run_nnlc
from worker_jobs import TINY, write_campaign

from nnlc import load_campaign
from nnlc.errors import NnlcError, ResultsError
from nnlc.reporting import server as serving
from nnlc.reporting.campaign_folder import CampaignFolder
from nnlc.reporting.live import LiveCampaign
from nnlc.reporting.network_state import State
from nnlc.reporting.server import PageServer
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal


@pytest.fixture
def results(tmp_path):
    folder = ResultsFolder(tmp_path / "r")
    folder.open(load_campaign(write_campaign(tmp_path, TINY)))
    write_tables(folder.path, list(folder.campaign().networks())[:2], 2)
    return folder


class Clock:
    """Stands still until it is told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server(results, clock):
    with running(PageServer(LiveCampaign(results.path, clock), 0)) as one:
        yield one


@contextlib.contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(HANG_SECONDS)
        server.server_close()


def ask(server, method="GET", path=None, **headers):
    """An answer, its body read."""
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=HANG_SECONDS)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path or f"/{server.secret}/", headers=named)
    answer = connection.getresponse()
    answer.body = answer.read()
    connection.close()
    return answer


def raw(server, content):
    """What comes back for these bytes."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=HANG_SECONDS) as link:
        link.sendall(content)
        answer = HTTPResponse(link)
        answer.begin()
        answer.body = answer.read()
        return answer


def changes(server, since):
    return json.loads(ask(server, path=f"/{server.secret}/changes?since={since}").body)


def test_the_page_is_there_with_its_policy_and_may_ask_only_its_own_server(server):
    answer = ask(server)
    assert answer.status == 200
    assert b"campaign tiny" in answer.body
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Python" not in answer.headers["Server"]
    head = ask(server, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["Content-Length"]) == len(answer.body)


def test_only_this_machine_can_reach_it(server):
    assert server.server_address[0] == "127.0.0.1"
    others = [
        found[4][0]
        for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
        if not found[4][0].startswith("127.")
    ]
    for address in others:
        with pytest.raises(OSError, match=r"refused|timed out"):
            socket.create_connection((address, server.server_port), timeout=HANG_SECONDS)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_this_machines_names_are_answered(server, name):
    assert ask(server, Host=f"{name}:{server.server_port}").status == 200


OTHERS = (
    *("evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "0.0.0.0:{port}"),
    *("localhost:{port}.evil", "127.0.0.1:{port}@evil", "[::1]:{port}", "LOCALHOST.:{port}"),
)


@pytest.mark.parametrize("host", OTHERS)
def test_other_hosts_are_refused_with_a_way_out(server, host):
    answer = ask(server, Host=host.replace("{port}", str(server.server_port)))
    assert answer.status == 403
    assert b"ssh -L" in answer.body
    assert b"campaign" not in answer.body


@pytest.mark.parametrize("hosts", [[], ["127.0.0.1:{port}"] * 2, ["127.0.0.1:{port}", "evil"]])
def test_a_request_must_name_one_host(server, hosts):
    lines = [f"Host: {host.replace('{port}', str(server.server_port))}\r\n" for host in hosts]
    request = f"GET /{server.secret}/ HTTP/1.1\r\n{''.join(lines)}\r\n"
    assert raw(server, request.encode()).status == 403


METHODS = ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "NONSENSE")


@pytest.mark.parametrize("method", METHODS)
def test_other_methods_are_refused(server, method):
    answer = ask(server, method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


PATHS = (
    *("/", "//", "/changes", "/favicon.ico", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd"),
    *("/{s}", "/{s}/campaign.toml", "/{s}/../../../etc/passwd", "/{s}/..%2f..%2fetc/passwd"),
    *("/{s}/changes/", "/{s}//", "/{S}/", "/{s}/F-MNIST-sample_models/", "/x{s}/"),
    *("http://127.0.0.1/etc/passwd", "/\\..\\..", "/%00", "/{s}/%00", "*", "/{s}/page.js"),
)


@pytest.mark.parametrize("path", PATHS)
def test_no_other_path_leads_anywhere(server, path):
    path = path.replace("{s}", server.secret).replace("{S}", server.secret.swapcase())
    host = f"127.0.0.1:{server.server_port}"
    answer = raw(server, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer.status == 404
    assert answer.body.startswith(b"Nothing is here.")


@pytest.mark.parametrize(
    "content",
    [
        b"\r\n\r\n\r\n",
        b"\x00\xff\xfe\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET " + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 500 + b"\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_request_harms_nobody(server, content):
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", server.server_port), timeout=HANG_SECONDS) as link,
    ):
        link.sendall(content)
        link.shutdown(socket.SHUT_WR)
        link.recv(1000)
    assert ask(server).status == 200


def test_a_body_that_nobody_asked_for_is_no_second_request(server):
    host = f"Host: 127.0.0.1:{server.server_port}\r\n"
    second = f"GET /{server.secret}/changes HTTP/1.1\r\n{host}\r\n"
    first = f"GET /nothing HTTP/1.1\r\n{host}Content-Length: {len(second)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=HANG_SECONDS) as link:
        link.sendall((first + second).encode())
        content = b"".join(iter(lambda: link.recv(65536), b""))
    assert content.count(b"HTTP/1.1 ") == 1


def test_only_what_changed_since_a_version_is_told(server, results, clock):
    networks = list(results.campaign().networks())
    [version] = re.findall(rb'"live":\{"version":"([^"]+)"', ask(server).body)
    version = version.decode()
    assert changes(server, version)["changed"] == []
    write_tables(results.path, networks[2:3], 2)
    Journal(results.journal_folder).write("failure", id=networks[3].spec.id, reason="no memory")
    assert changes(server, version)["changed"] == []  # nobody looks that often
    clock.now += 10
    news = changes(server, version)
    assert [(one["i"], one["state"]) for one in news["changed"]] == [(2, 0), (3, 3)]
    assert news["changed"][0]["length"] == 2
    assert news["changed"][1]["reason"] == "no memory"
    [counts] = news["progress"]["datasets"]
    assert (counts["done"], counts["failed"]) == (3, 1)
    later = changes(server, news["live"]["version"])
    assert later["changed"] == []
    assert later["live"]["version"] == news["live"]["version"]
    assert len(changes(server, version)["changed"]) == 2  # for whoever has not heard of it


@pytest.mark.parametrize(
    "since", ["", "x", "0", "another.0", "{t}.x", "{t}.-1", "{t}.%C2%B2", "%ff"]
)
def test_a_version_of_another_start_is_told_everything(server, since):
    [token] = re.findall(rb'"version":"([0-9a-f]+)\.', ask(server).body)
    assert len(changes(server, since.replace("{t}", token.decode()))["changed"]) == 6


def test_a_version_that_is_to_come_is_told_nothing(server):
    [token] = re.findall(rb'"version":"([0-9a-f]+)\.', ask(server).body)
    assert changes(server, f"{token.decode()}.{'9' * 5000}")["changed"] == []


def test_nothing_is_read_while_nobody_asks_and_seldom_while_it_takes_long(results, clock):
    live = LiveCampaign(results.path, clock)
    looks = []

    def slow():
        looks.append(clock.now)
        clock.now += 3
        return moment

    moment = live._folder.look()
    live._folder.look = slow
    for _ in range(1000):
        clock.now += 1
        live.changes("")
    gaps = [after - before for before, after in itertools.pairwise(looks)]
    assert gaps
    assert min(gaps) > 55  # three seconds, a twentieth of the time
    before = len(looks)
    clock.now += 1e6
    assert len(looks) == before


def test_strangers_who_say_nothing_keep_nobody_out(server, monkeypatch):
    monkeypatch.setattr(serving, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(serving._Handler, "timeout", HANG_SECONDS)
    own = HTTPConnection("127.0.0.1", server.server_port, timeout=HANG_SECONDS)
    own.request("GET", f"/{server.secret}/")
    assert own.getresponse().read()
    silent = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(2)]
    wait_until(lambda: len(server._connections) == 3)  # both have been let in
    own.request("GET", f"/{server.secret}/changes")
    assert own.getresponse().read()
    silent += [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(2)]
    for stranger in silent[:2]:  # the owner has been heard of since
        stranger.settimeout(HANG_SECONDS)
        assert stranger.recv(1) == b""
    connected = own.sock
    own.request("GET", f"/{server.secret}/changes")
    assert own.getresponse().read()
    assert own.sock is connected
    for stranger in silent:
        stranger.close()


def test_a_folder_that_is_gone_is_trouble_and_no_campaign_that_has_not_begun(
    results, clock, server
):
    results.path.rename(results.path.with_name("away"))
    clock.now += 60
    news = json.loads(server.campaign.changes("0"))
    assert "is gone" in news["live"]["trouble"]
    assert news["progress"]["datasets"][0]["done"] == 2
    results.path.with_name("away").rename(results.path)
    clock.now += 60
    assert json.loads(server.campaign.changes("0"))["live"]["trouble"] is None


def test_a_number_that_is_none_in_a_progress_file_is_passed_over(results):
    network = list(results.campaign().networks())[3]
    entry = {"half_epochs": 1, "accuracy": 10**400}
    Journal(results.journal_folder).progress({network.spec.id: entry})
    standing = CampaignFolder(results).look().states[3]
    assert (standing.state, len(standing.curve)) == (State.UNDER_WAY, 0)


def test_a_table_of_another_length_is_damaged_where_no_rule_stops_networks(results):
    networks = list(results.campaign().networks())
    write_tables(results.path, networks[:1], 1)
    write_tables(results.path, networks[1:2], 7)
    moment = CampaignFolder(results).look()
    [counts] = moment.datasets
    assert (counts.done, counts.unusable, counts.rows, counts.stopped) == (0, 2, 0, 0)
    reasons = [one.reason for one in moment.states[:2]]
    for network, why, rows in zip(
        networks,
        reasons,
        ("ends after 1 of 2 half epochs", "has 7 half epochs where 2 are expected"),
        strict=False,
    ):
        path = results.table_path(network.images, network.spec)
        assert why.startswith(f"{path}, line ")
        assert why.endswith(f": the table {rows}")
        assert f"A table can't be used: {why}" in moment.notes


def test_a_folder_that_can_not_be_read_is_told_and_what_was_known_stays(results, clock, server):
    [folder] = [
        results.models_folder(images) for images in results.campaign().image_sets().values()
    ]
    folder.rename(results.path / "away")
    folder.write_text("no folder")
    clock.now += 10
    news = changes(server, "")
    assert "can't look at the folder" in news["live"]["trouble"]
    assert [one["state"] for one in news["changed"]] == [0, 0, 2, 2, 2, 2]
    folder.unlink()
    (results.path / "away").rename(folder)
    clock.now += 10
    assert changes(server, "")["live"]["trouble"] is None


def test_a_campaign_that_is_over_is_said_to_be_and_one_that_goes_on_is_not(results, server, clock):
    news = changes(server, "")
    assert not news["live"]["over"]
    assert "no job is running" in news["progress"]["lines"]
    write_tables(results.path, list(results.campaign().networks())[2:], 2)
    clock.now += 10
    news = changes(server, "")
    assert news["live"]["over"]
    assert news["progress"]["lines"] == ["nothing is left to train"]


def start(results, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "nnlc", "serve", str(results.path), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def test_the_command_prints_its_address_and_ends_cleanly_with_ctrl_c(results):
    before = sorted((path, path.stat().st_mtime_ns) for path in results.path.rglob("*"))
    job = start(results, "--port", "0")
    address = job.stdout.readline().split()[-1]
    port = int(address.split("/")[2].split(":")[1])
    assert address.startswith("http://127.0.0.1:")
    connection = HTTPConnection("127.0.0.1", port, timeout=HANG_SECONDS)
    connection.request("GET", f"/{address.split('/')[3]}/")  # and is left open
    assert connection.getresponse().status == 200
    job.send_signal(signal.SIGINT)
    out, err = job.communicate(timeout=HANG_SECONDS)
    assert (job.returncode, err) == (0, "")
    assert out.endswith("ended\n")
    assert sorted((path, path.stat().st_mtime_ns) for path in results.path.rglob("*")) == before


def test_a_taken_port_is_one_message_with_a_way_out(results):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        live = LiveCampaign(results.path)
        with pytest.raises(NnlcError, match=f"port {port} is taken; give another with --port N"):
            PageServer(live, port)
        for wrong in (-1, 65536, 10**30):
            with pytest.raises(NnlcError, match="a port is a number from 0 to 65535"):
                PageServer(live, wrong)


def test_what_is_no_results_folder_is_refused(tmp_path):
    with pytest.raises(ResultsError, match="no results folder"):
        LiveCampaign(tmp_path)
    job = run_nnlc("serve", tmp_path / "no")
    assert job.returncode == 1
    assert job.stderr.startswith("error: ")


def test_each_start_has_a_secret_of_its_own(results):
    live = LiveCampaign(results.path)
    secrets = set()
    for _ in range(3):
        server = PageServer(live, 0)
        secrets.add(server.secret)
        server.server_close()
    assert len(secrets) == 3
    assert min(map(len, secrets)) >= 20


def test_many_readers_at_once_get_whole_answers(server):
    answers = []

    def read():
        answers.append(json.loads(ask(server, path=f"/{server.secret}/changes").body))

    threads = [threading.Thread(target=read, daemon=True) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=HANG_SECONDS)
    assert len(answers) == 20
    assert all(answer == answers[0] for answer in answers)
