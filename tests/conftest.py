"""A skipped test is a failure where NNLC_FORBID_SKIPS is set, as `.ci/run` does.

Only tests of reference material that is not part of the repository may be skipped there.
"""

import os
import signal
import sysconfig

import pytest
from worker_jobs import run_worker, write_campaign

OUTSIDE = "reference material outside the repository"
"""Every skip for such material says this."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if (
        report.skipped
        and os.environ.get("NNLC_FORBID_SKIPS")
        and OUTSIDE not in str(report.longrepr)
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped, which is forbidden here: {report.longrepr}"


FIRST = (
    *("test_slurm.py", "test_survival.py", "test_lsf.py", "test_harness.py"),
    *("test_worker.py", "test_worker_faults.py", "test_stopping.py", "test_verify.py"),
    *("test_worker_refusals.py", "test_stopping_jobs.py"),
)
"""Files whose tests wait for schedulers and jobs, the longest first: others fill the time, and none
of them ends the run alone."""


def pytest_configure(config):
    # Jobs call mpirun and python by name: those of the environment that runs the tests, which need
    # not be an active one.
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    # A shell that starts the tests in the background has them, and all that they start, ignore what
    # Ctrl-C sends.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config.option, "loadscopereorder"):  # pytest-xdist would put the fewest tests last
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    place = {name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path.name, len(FIRST)))


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
    """The tiny campaign, trained without any launcher."""
    folder = tmp_path_factory.mktemp("alone")
    campaign, results = write_campaign(folder), folder / "results"
    job = run_worker(campaign, "--results", results)
    assert job.returncode == 0, job.stdout + job.stderr
    return campaign, results


@pytest.fixture(scope="module")
def every_step_counts():
    """A diverged network takes all its steps too, and each step is deterministic."""
    from nnlc.environment import DETERMINISM
    from nnlc.training.determinism import make_deterministic
    from nnlc.training.loop import HalfEpochLoop

    os.environ.update(DETERMINISM)
    make_deterministic()
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
