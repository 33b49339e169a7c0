"""Whatever is wrong with a campaign, a site or its template, a user gets a message."""

import pytest
from hostile import check_message, damaged, quickly
from hypothesis import given
from hypothesis import strategies as st

from nnlc.calibration.machines import fitted_machines
from nnlc.campaign.campaign import load_campaign
from nnlc.errors import CampaignError, ResultsError, SiteError
from nnlc.launching.render import Request, render_script
from nnlc.results.folder import ResultsFolder
from nnlc.schedulers.site import load_site
from nnlc.system.shipped import shipped_names
from nnlc.tables.images_of_table import image_set_of

CAMPAIGN = b"""extends = "smoke"
name = "mine"
epochs = 3
stop = "menndl:patience=5"
[datasets.F-MNIST-sample]
networks_per_depth = 2
depths = [1, 3]
[datasets.mine]
networks_per_depth = 1
npz = "mine.npz"
classes = 3
[space]
learning_rate_exponent = [-4.0, -1.0]
[run]
attempts = 1
"""
KEPT = b"""results_format = 1
name = "own"
seed = 1
stamp = 2026-02-01 00:00:00
epochs = 1
[datasets.good]
networks_per_depth = 1
depths = [1, 2]
npz = "/nowhere/good.npz"
sha256 = "db744492b1ece27aa6c651b0c24fb7fb849f114873b315d654365cc487f463d0"
channels = 1
width = 12
classes = 10
train_images = 200
validation_images = 50
[datasets.SVHN]
networks_per_depth = 0
train = "train"
[space]
batch_size = [5, 20]
filters = [1, 16]
"""
SITE = b"""extends = "slurm"
name = "mine"
gpus_per_node = 4
walltime_minutes = 60
queue_option = "qos"
queue = "a"
bins = [{ nodes = [1, 4], hours = 2 }, { queue = "b", nodes = [1, 2], hours = 0.5 }]
links_at_once = 1
container = "apptainer exec --nv 'the image.sif'"
notify = "mail -s done me"
rank_setup = ['export ROCR_VISIBLE_DEVICES="$SLURM_LOCALID"']
directives = ["--constraint=gpu"]
tried = "never run"
[queues.b]
max_running_jobs = 2
only_on_request = "for tests"
"""
WORDS = st.sampled_from(
    [
        *("a", '"b"', "name", "datasets", "1", "-0", "0x" + "f" * 3000, "1e999", "nan", "["),
        *("]", "{", "}", "=", ".", ",", "\n", '"', "'", "2026-01-31T12:00:00", "true", "[["),
        *("]]", "extends", '"""'),
    ]
)


@given(
    st.one_of(damaged(CAMPAIGN), st.lists(WORDS, max_size=30).map(lambda w: " ".join(w).encode()))
)
@quickly
def test_a_damaged_campaign_is_one_message(tmp_path, content):
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    check_message(path, CampaignError, lambda: load_campaign(path))
    results = ResultsFolder(tmp_path)
    results.machines_file.write_bytes(content)
    fitted_machines(results)


@given(damaged(KEPT))
@quickly
def test_a_damaged_campaign_of_a_results_folder_is_one_message(tmp_path, content):
    results = ResultsFolder(tmp_path)
    results.campaign_file.write_bytes(content)

    def use():
        next(results.campaign().networks())

    check_message(tmp_path, ResultsError, use)
    image_set_of("good", tmp_path / "good_models" / "a.txt")


@given(
    st.one_of(
        damaged(SITE),
        *(damaged(p.read_bytes()) for p in shipped_names("site_configs", ".toml").values()),
    )
)
@quickly
def test_a_damaged_site_is_one_message(tmp_path, content):
    path = tmp_path / "s.toml"
    path.write_bytes(content)
    check_message(path, SiteError, lambda: load_site(str(path)))


TOO_MUCH = {
    "dotted keys": ".".join(["a"] * 5000) + " = 1",
    "nested arrays": "a = " + "[" * 200 + "]" * 200,
    "nested beyond the stack": "a = " + "[" * 100_000,
    "nested tables": "a = " + "{a = " * 60 + "1" + "}" * 60,
    "dotted table": "[" + ".".join(["a"] * 5000) + "]",
    "a number of many digits": "a = " + "9" * 5000,
    "a hexadecimal number": "seed = 0x" + "f" * 5000,
    "many wrong keys": "\n".join(f"wrong_{i} = 1" for i in range(5_000)),
    "many datasets": "\n".join(f"[datasets.d{i}]\nnetworks_per_depth = 1" for i in range(5_000)),
    "a long key": "a" * 1_000_000 + " = 1",
    "a long value": 'seed = "' + "a" * 1_000_000 + '"',
    "a long extends": 'extends = "' + "a/" * 100_000 + '"',
}


@pytest.mark.parametrize("what", TOO_MUCH)
@pytest.mark.parametrize(
    ("load", "error"), [(load_campaign, CampaignError), (load_site, SiteError)]
)
def test_too_much_of_anything_in_a_toml_file_is_one_short_message(tmp_path, load, error, what):
    path = tmp_path / "c.toml"
    path.write_text(TOO_MUCH[what])
    with pytest.raises(error) as caught:
        load(str(path))
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 4000
    assert len(str(caught.value).splitlines()) <= 11


OWN_TEMPLATE = '{% extends "slurm.sh.j2" %}\n'


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe{\x00",
        b"name: \xe4",
        b"{{ 1 / 0 }}",
        b"{{ [].append.x.y }}",
        b"{% include 'a.j2' %}",
        b"{{ '9' ~ ('9' * 5000) | int }}{{ 10 ** 5000 }}",
        b"{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        b"{{ " + b"(" * 3000 + b")" * 3000 + b" }}",
        b"{% if %}",
    ],
)
def test_a_wrong_template_is_one_message(tmp_path, content):
    (tmp_path / "s.toml").write_bytes(b'template = "a.j2"\n' + SITE)
    (tmp_path / "a.j2").write_bytes(content)
    with pytest.raises(SiteError, match=r"job-script template .*a\.j2: ") as caught:
        render_script(Request(campaign="smoke"), load_site(str(tmp_path / "s.toml")))
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 1000


def test_a_template_may_begin_with_a_mark_and_have_any_line_ends(tmp_path):
    (tmp_path / "s.toml").write_text('extends = "slurm"\nname = "s"\ntemplate = "a.j2"\n')
    scripts = []
    for content in (OWN_TEMPLATE, "\ufeff" + OWN_TEMPLATE.replace("\n", "\r\n")):
        (tmp_path / "a.j2").write_bytes(content.encode())
        scripts.append(
            render_script(Request(campaign="smoke"), load_site(str(tmp_path / "s.toml")))
        )
    assert scripts[0] == scripts[1]
