"""Queues of a site: which limits hold in each, what a plan chooses, and how scripts name them."""

import subprocess

import pytest
from plan_samples import V100, forecast_of
from site_files import own_site, render
from typer.testing import CliRunner

from nnlc.cli import app
from nnlc.errors import SiteError
from nnlc.launching.limits import PlanRequest, asked_minutes
from nnlc.launching.plan_text import plan_lines
from nnlc.launching.queue_choice import plan_in_queues
from nnlc.schedulers.lint import lint_script
from nnlc.schedulers.site import load_site
from nnlc.schedulers.site_queues import in_queue

TWO = """
    extends = "slurm"
    name = "two"
    queue = "short"
    bins = [{ nodes = [1, 8], hours = 2 }, { queue = "long", nodes = [1, 4], hours = 24 }]
    max_running_jobs = 4
"""
MANY_HOURS = [3.0] * 64


def plan(site, *, any_queue=True):
    return plan_in_queues(forecast_of(site, MANY_HOURS), PlanRequest(), any_queue=any_queue)


def test_each_queue_has_the_bins_that_name_it_and_its_own_other_limits():
    frontier = load_site("frontier")
    assert (frontier.queue, frontier.longest_minutes(4), frontier.max_running_jobs) == (
        "batch",
        120,
        4,
    )
    extended = load_site("frontier", queue=["extended"])
    assert (extended.longest_minutes(4), extended.max_running_jobs) == (1440, 1)
    assert extended.max_queued_jobs == frontier.max_queued_jobs == 100
    with pytest.raises(ValueError, match=r"no bin of frontier's queue extended has 65 nodes; .*64"):
        extended.longest_minutes(65)


def test_a_bin_without_a_queue_is_for_the_file_s_queue(tmp_path):
    site = own_site(tmp_path, TWO)
    assert site.longest_minutes(4) == 120
    assert load_site(tmp_path / "site.toml", queue=["long"]).longest_minutes(4) == 1440


def test_the_plan_takes_the_queue_with_fewer_jobs_and_names_it_in_the_command(tmp_path):
    text = TWO + "[queues.long]\nmax_running_jobs = 1\n"
    site = own_site(tmp_path, text).model_copy(update={"gpu": V100})
    found = plan(site)
    assert found.forecast.site.queue == "long"
    here = plan(site, any_queue=False)
    assert found.chosen.jobs < here.chosen.jobs
    assert here.forecast.site.queue == "short"
    text = " ".join(" ".join(plan_lines(found)).split())
    assert "queue long" in text
    assert "short: " in text.partition("queues ")[2]
    assert "; this plan" in text
    new = str(tmp_path / "new")
    words = ["plan", "smoke", "--site", "frontier", "--minutes", "600", "--results", new]
    command = CliRunner().invoke(app, words).output.splitlines()[-1]
    assert "--queue extended --account YOURS" in command
    command = CliRunner().invoke(app, [*words, "--queue", "extended"]).output.splitlines()[-1]
    assert command.count("--queue extended") == 1


def test_a_file_that_has_queues_and_chooses_none_is_told_to_choose(tmp_path):
    text = TWO.replace('queue = "short"\n', "").replace("{ nodes", '{ queue = "short", nodes')
    own_site(tmp_path, text)
    words = ["plan", "smoke", "--site", str(tmp_path / "site.toml")]
    said = str(CliRunner().invoke(app, words).exception)
    assert "two has limits for short, long, and its site file names none" in said


def test_a_queue_that_is_only_there_on_request_is_shown_and_never_chosen(tmp_path):
    text = TWO + '[queues.long]\nonly_on_request = "for emergencies"\n'
    site = own_site(tmp_path, text).model_copy(update={"gpu": V100})
    found = plan(site)
    assert found.forecast.site.queue == "short"
    said = " ".join(" ".join(plan_lines(found)).split())
    assert "only with --queue: for emergencies" in said
    asked = load_site(tmp_path / "site.toml", queue=["long"]).model_copy(update={"gpu": V100})
    assert plan(asked, any_queue=False).forecast.site.queue == "long"


def test_a_queue_with_a_discount_is_the_cheaper_one(tmp_path):
    text = TWO.replace("hours = 24", "hours = 2") + "[queues.long]\ncharge_factor = 0.5\n"
    site = own_site(tmp_path, text).model_copy(update={"gpu": V100})
    found = plan(site)
    assert found.forecast.site.queue == "long"
    assert found.charge == pytest.approx(found.chosen.node_hours / 2)


def test_a_queue_that_no_site_file_knows_is_used_without_limits_and_no_plan_counts_on_it(tmp_path):
    site = load_site("frontier", account="A", queue=["secret"])
    assert "#SBATCH --partition=secret\n" in render("smoke", site, nodes=99, walltime_minutes=9999)
    words = ["plan", "smoke", "--site", "frontier", "--account", "A", "--queue", "secret"]
    job = CliRunner().invoke(app, words)
    assert isinstance(job.exception, SiteError)
    said = str(job.exception)
    assert "queue secret of frontier: no site file has its limits" in said
    assert "frontier has batch, extended" in said
    own = tmp_path / "mine.toml"
    own.write_text('extends = "frontier"\nname = "other"\nqueue = "secret"\n')
    said = str(CliRunner().invoke(app, ["plan", "smoke", "--site", str(own)]).exception)
    assert f'extends = "{own}"\n' in said


def test_a_site_file_of_before_keeps_its_limits_whatever_the_queue(tmp_path):
    text = 'extends = "slurm"\nmax_nodes = 4\nbins = [{ nodes = [1, 4], hours = 3 }]\n'
    for queue in (None, ["gpu"]):
        own_site(tmp_path, text)
        site = load_site(tmp_path / "site.toml", queue=queue)
        assert site.longest_minutes(4) == 180
        assert plan(site.model_copy(update={"gpu": V100}), any_queue=not queue).chosen


def test_bins_of_one_s_own_replace_the_queues_of_the_file_that_is_extended(tmp_path):
    text = 'extends = "frontier"\nname = "f"\nbins = [{ nodes = [1, 2], hours = 5 }]\n'
    site = own_site(tmp_path, text)
    assert (site.longest_minutes(2), list(site.queues)) == (300, ["batch"])


@pytest.mark.parametrize(
    ("directives", "kept"),
    [
        ('["--constraint=gpu", "--qos=debug"]', ("--constraint=gpu",)),
        ('["--qos debug"]', ()),
        ('["-q debug"]', ()),
        ('["--constraint=gpu --qos=debug"]', ("--constraint=gpu --qos=debug",)),
    ],
)
def test_a_directive_of_before_that_names_the_queue_is_the_queue(tmp_path, directives, kept):
    text = f'extends = "perlmutter"\naccount = "A"\nname = "mine"\ndirectives = {directives}\n'
    site = own_site(tmp_path, text)
    assert (site.queue, site.directives, site.longest_minutes(8)) == ("debug", kept, 30)
    script = render("smoke", site, walltime_minutes=30)
    assert "regular" not in script
    assert [f for f in lint_script(script, site) if not f.note] == []
    other = load_site(tmp_path / "site.toml", queue=["preempt"])
    if kept[:1] != ("--constraint=gpu --qos=debug",):
        assert script.replace("=debug", "=preempt") == render("smoke", other, walltime_minutes=30)


def test_a_qos_is_named_by_its_own_option_and_never_as_a_partition():
    script = render("smoke", load_site("perlmutter", account="A", queue=["preempt"]))
    assert "#SBATCH --qos=preempt\n" in script
    assert "--partition" not in script


def test_a_size_that_only_another_queue_allows_is_refused_with_its_name():
    site = load_site("frontier", account="A")
    with pytest.raises(SiteError, match=r"queue batch may last 120; queue extended allows it"):
        render("smoke", site, nodes=4, walltime_minutes=600)
    with pytest.raises(SiteError, match=r"extended has 70 nodes; .*; queue batch allows it"):
        render("smoke", load_site("frontier", account="A", queue=["extended"]), nodes=70)


def test_lint_holds_a_script_against_the_limits_of_the_queue_that_it_names():
    extended = load_site("frontier", account="A", queue=["extended"])
    script = render("smoke", extended, nodes=4, walltime_minutes=600)
    site = load_site("frontier")
    assert lint_script(script, site) == []
    [finding] = lint_script(script.replace("=extended", "=batch"), site)
    assert "frontier's queue batch allows 4 nodes 120 minutes" in finding.problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('bins = [{ queue = "a b", nodes = [1, 2], hours = 1 }]', r"key bins\.0\.queue: a direct"),
        ('[queues."x;y"]\nmax_running_jobs = 1', r"key queues\.x;y.*: a directive takes letters"),
        ("[queues.batsch]\nmax_running_jobs = 1", r"key queues\.batsch: no bin is for this queue"),
        ("[queues.batch]\nmax_running = 1", r"key queues\.batch\.max_running: unknown key"),
        (
            '[queues.batch]\nonly_on_request = "a\\nb"',
            r"key queues\.batch\.only_on_request: must be one",
        ),
        ('queue_option = "$(x)"', r"key queue_option: a directive takes"),
        ('queue_option = "reservation"', r"key queue_option: must be partition or qos"),
        ('rank_setup = ["a\\nb"]', r"key rank_setup\.0: must be one line"),
        ('tried = ""', r"key tried: must not be empty"),
    ],
)
def test_a_wrong_value_of_a_key_for_queues_is_refused_by_file_and_key(tmp_path, text, message):
    with pytest.raises(SiteError, match=rf"site\.toml, {message}"):
        own_site(tmp_path, f'extends = "frontier"\naccount = "A"\n{text}\n')


def test_bins_with_and_without_a_queue_need_a_queue_for_the_others(tmp_path):
    bins = '[{ nodes = [1, 2], hours = 1 }, { queue = "a", nodes = [1, 2], hours = 2 }]'
    with pytest.raises(SiteError, match=r"key bins: some name a queue, others don't"):
        own_site(tmp_path, f'extends = "slurm"\nbins = {bins}\n')


def test_a_local_site_has_no_queues(tmp_path):
    with pytest.raises(SiteError, match=r"key queues: means nothing on a local site"):
        own_site(tmp_path, 'extends = "local"\n[queues.a]\nmax_running_jobs = 1\n')


# What each rank runs first


LINES = ['export SEEN="$SLURM_LOCALID" # its own', 'OTHER="it\'s $((6 * 7))"', "export OTHER"]


def test_each_rank_runs_its_lines_before_python_and_keeps_its_arguments(tmp_path):
    site = load_site("slurm").model_copy(update={"rank_setup": tuple(LINES)})
    script = render("smoke", site, results="a  b'$(touch x)")
    launch = script[script.index("\nsrun ") : script.index("launcher=$!")]
    python = '/bin/sh -c \'printf "%s|" "$SEEN" "$OTHER" "$@"\' sh '
    run = launch.replace("python -m nnlc.worker", python + "python -m nnlc.worker").rstrip(" &\n")
    job = 'srun() { while [ "$1" != bash ]; do shift; done; "$@"; }\n' + run
    environment = {"PATH": "/usr/bin:/bin", "SLURM_LOCALID": "5", "walltime_minutes": "9"}
    done = subprocess.run(
        ["bash", "-c", job], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr == ""
    seen, other, *words = done.stdout.split("|")
    assert (seen, other) == ("5", "it's 42")
    assert words[:3] == ["python", "-m", "nnlc.worker"]
    assert "a  b'$(touch x)" in words
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_fails_ends_the_rank():
    site = load_site("slurm").model_copy(update={"rank_setup": ("false", "echo on")})
    script = render("smoke", site)
    launch = script[script.index("\nsrun ") : script.index("launcher=$!")].rstrip(" &\n")
    job = 'srun() { while [ "$1" != bash ]; do shift; done; "$@"; }\n' + launch
    done = subprocess.run(["bash", "-c", job], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")


def test_ranks_of_lumi_see_the_gpu_of_their_number_and_srun_binds_none():
    script = render("smoke", load_site("lumi", account="A"))
    assert 'export ROCR_VISIBLE_DEVICES="$SLURM_LOCALID"' in script
    assert "--gpus-per-task" not in script
    assert "#SBATCH --gpus-per-node=8\n" in script
    assert "--gpus-per-task=1" in render("smoke", load_site("frontier", account="A"))


def test_gpus_are_left_to_ranks_only_where_the_launcher_can(tmp_path):
    with pytest.raises(SiteError, match=r"key binds_gpus: nnlc has no such choice with LSF"):
        own_site(tmp_path, 'extends = "lsf"\nbinds_gpus = false\n')


def test_hours_of_a_bin_are_the_whole_minutes_that_they_mean(tmp_path):
    site = own_site(tmp_path, TWO.replace("hours = 24", "hours = 4.1"))
    assert in_queue(site, "long").longest_minutes(4) == 246 == asked_minutes(None, 4.1)


def test_fewer_jobs_are_not_waited_for_longer_than_twice_the_shortest_makespan(tmp_path):
    """One job after the other in the long queue, or four at a time in the short one."""
    text = TWO.replace("nodes = [1, 4], hours = 24", "nodes = [1, 1], hours = 240")
    text = text.replace("hours = 2 ", "hours = 24 ")
    site = own_site(tmp_path, text + "[queues.long]\nmax_running_jobs = 1\n")
    site = site.model_copy(update={"gpu": V100})
    here, long = plan(site, any_queue=False), plan(in_queue(site, "long"), any_queue=False)
    assert long.chosen.jobs < here.chosen.jobs
    assert long.chosen.makespan_hours > 2 * here.chosen.makespan_hours
    assert here.charge <= long.charge * 1.02
    assert plan(site).forecast.site.queue == "short"


def test_bins_above_the_most_nodes_are_named_as_the_reason(tmp_path):
    text = 'extends = "polaris"\nname = "c"\naccount = "x"\nmax_nodes = 5\n'
    site = own_site(tmp_path, text)
    with pytest.raises(SiteError, match=r"max_nodes = 5 is less than any of its bins has"):
        plan(site, any_queue=False)
    with pytest.raises(SiteError, match=r"queue preemptable takes it on request: --queue pree"):
        plan_in_queues(forecast_of(site, MANY_HOURS), PlanRequest(nodes=5))


def test_a_chain_that_the_queue_has_no_room_for_is_refused(tmp_path):
    text = TWO.replace("slurm", "pbs") + "links_at_once = 3\n[queues.long]\nmax_queued_jobs = 2\n"
    with pytest.raises(SiteError, match=r"site\.toml, key links_at_once: a chain has 3 jobs"):
        own_site(tmp_path, text)


def test_a_place_of_the_site_s_own_takes_that_of_nnlc(tmp_path):
    text = 'extends = "pbs"\nname = "p"\ndirectives = ["-l place=scatter:excl"]\n'
    script = render("smoke", own_site(tmp_path, text))
    assert script.count("place=") == 1
    assert "#PBS -l place=scatter:excl\n" in script


def test_a_results_folder_of_no_plan_is_refused():
    done = CliRunner().invoke(app, ["sites", "--results", "r"])
    assert done.exit_code == 1
    assert "--results is for --plan" in str(done.exception) + done.output
