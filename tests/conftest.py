"""What every test meets: environment, signals, order, what may be skipped; and shared fixtures."""

import fcntl
import gc
import os
import shutil
import signal
import sys
import sysconfig
from pathlib import Path

import needs
import pytest
import speed
from hypothesis import HealthCheck, settings
from worker_jobs import run_worker, write_campaign

from nnlc.ranks.notices import NOTICES
from nnlc.schedulers.commands import scheduler_environment

settings.register_profile(
    "nnlc",
    settings(),
    max_examples=50,  # where a test gives no number of its own
    deadline=None,  # no test depends on speed
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("NNLC_FORBID_SKIPS")),  # nor does a verdict on chance
)
settings.load_profile("nnlc")

collect_ignore = ["others"]  # tests/others.py runs these, in environments of their own


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Have a skipped test fail where NNLC_FORBID_SKIPS is set, as `.ci/run` does.

    Only tests of reference material that is not part of the repository may be skipped there.
    """
    report = (yield).get_result()
    if (
        report.skipped
        and os.environ.get("NNLC_FORBID_SKIPS")
        and needs.OUTSIDE not in str(report.longrepr)
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped, which is forbidden here: {report.longrepr}"


def pytest_runtest_setup(item):
    for mark in item.iter_markers("needs"):
        needs.require(*mark.args)


def pytest_configure(config):
    gc.disable()  # until all is collected: what imports leave is no garbage
    # Whatever the shell says, no process compiles again what another has compiled.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Jobs call mpirun and python by name: those of the environment that runs the tests, which need
    # not be an active one.
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    # No test reads or writes the machines that 'nnlc calibrate' keeps for the user.
    os.environ["XDG_DATA_HOME"] = os.devnull
    # What a job around the tests or the shell has for schedulers' commands; a test sets its own.
    for name in os.environ.keys() - scheduler_environment(os.environ).keys():
        del os.environ[name]
    # A shell that starts the tests in the background has them, and all that they start, ignore what
    # a terminal's keys send; nohup does so with its end. Bash can't trap what was ignored before.
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGQUIT, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    if hasattr(config.option, "loadscopereorder"):  # pytest-xdist would put the fewest tests last
        config.option.loadscopereorder = False


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Have signals mean what they meant before: `nnlc doctor` in a test would leave them ignored,
    and what later tests start in this process inherits that."""
    before = {number: signal.getsignal(number) for number in NOTICES}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks
def pytest_cmdline_main(config):
    """Share the quick tests among the cores, unless -n says among how many."""
    if hasattr(config, "workerinput"):  # a worker, which would begin workers of its own, and so on
        return
    option = config.option
    if option.markexpr == "quick" and getattr(option, "numprocesses", 0) is None:
        option.numprocesses = min(4, len(os.sched_getaffinity(0)))
        option.dist = "loadfile"


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    for item in items:
        if not speed.is_slow(item.path.name, getattr(item, "originalname", item.name)):
            item.add_marker("quick")
    place = {name: number for number, name in enumerate([*speed.FIRST, *speed.SPREAD])}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


def pytest_collection_finish():
    """Have the garbage collector pass over modules and tests, and torch use one thread."""
    gc.freeze()
    gc.enable()
    if "torch" in sys.modules:  # as in a trainer; threads of several processes would wait
        sys.modules["torch"].set_num_threads(1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep a file's tests on one worker, which shares its fixtures, but for those of SPREAD."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return nodeid if file.rpartition("/")[2] in speed.SPREAD else file

    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="mine.toml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


@pytest.fixture(scope="session")
def alone(tmp_path_factory):
    """The tiny campaign, trained without any launcher; what it said stands beside the results.

    Workers of pytest-xdist train it once for all, and each has a copy.
    """
    base = tmp_path_factory.getbasetemp()
    trained = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "trained"
    trained.mkdir(exist_ok=True)
    with (trained / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (trained / "log").exists():
            job = run_worker(write_campaign(trained), "--results", trained / "results")
            assert job.returncode == 0, job.stdout + job.stderr
            (trained / "log").write_text(job.stdout)
    folder = Path(shutil.copytree(trained, base / "alone"))
    return folder / "tiny.toml", folder / "results"


@pytest.fixture(scope="module")
def no_syncs():
    """Do without waiting for the disk: no power is cut here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def deterministic():
    """Have torch train here as it does in a trainer."""
    from nnlc.system.environment import DETERMINISM
    from nnlc.training.determinism import make_deterministic

    os.environ.update(DETERMINISM)
    make_deterministic()


@pytest.fixture(scope="module")
def every_step_counts(deterministic):
    """A diverged network takes all its steps too, and each step is deterministic."""
    from nnlc.training.loop import HalfEpochLoop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HalfEpochLoop, "_has_diverged", lambda _: False)
        yield


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory, every_step_counts):
    """The bytes of two checkpoints of one network, the newest first."""
    from checkpoint_cases import two_checkpoints

    return two_checkpoints(tmp_path_factory.mktemp("interrupted"))


@pytest.fixture
def two(tmp_path, interrupted):
    """A folder with the two checkpoints."""
    from checkpoint_cases import lay_out

    return lay_out(tmp_path / "checkpoints", interrupted)
