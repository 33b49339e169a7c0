"""`nnlc keys`: every key of campaign and site files, as their models have it."""

import json
import re
import tomllib

import pytest
from campaign_files import PLAIN
from typer.testing import CliRunner

from nnlc.campaign.campaign import Campaign, load_campaign
from nnlc.cli import app
from nnlc.cli.keys_text import sections_of
from nnlc.families.article import MAX_DEPTH
from nnlc.families.article.space import LIMITS, SearchSpace
from nnlc.schedulers.site import Site, load_site

FILES = {"campaign": Campaign, "site": Site}
KEYS = {
    f"{title}.{key.name}": key
    for name, model in FILES.items()
    for title, _, keys in sections_of(model, name)
    for key in keys
}


def test_every_key_has_a_meaning_in_whole_sentences():
    wrong = [name for name, key in KEYS.items() if not re.fullmatch(r"[A-Z].*\.", key.meaning)]
    assert not wrong, "write docstrings below these keys of their models"


@pytest.mark.parametrize("file", FILES)
def test_the_command_prints_every_section_key_type_and_default(file):
    done = CliRunner().invoke(app, ["keys", file])
    words = " ".join(done.stdout.split())
    for title, _, keys in sections_of(FILES[file], file.title()):
        assert title in words
        for key in keys:
            assert f" {key.name} {key.type}; {key.default} {key.meaning}" in words
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_the_defaults_of_a_campaign_that_are_shown_are_those_it_gets(tmp_path):
    lines = [PLAIN]
    for title, _, keys in sections_of(Campaign, ""):
        if title in ("[training]", "[run]", "[space]"):
            lines.append(title)
            shown = [key for key in keys if key.default.startswith("default ")]
            lines += [f"{key.name} = {key.default.removeprefix('default ')}" for key in shown]
    for name, text in (("whole", "\n".join(lines)), ("short", PLAIN)):
        (tmp_path / f"{name}.toml").write_text(text)
    assert load_campaign(tmp_path / "whole.toml") == load_campaign(tmp_path / "short.toml")


def test_the_defaults_of_a_site_that_are_shown_are_those_it_gets(tmp_path):
    shown = {
        key.name: tomllib.loads(f"x = {key.default.removeprefix('default ')}")["x"]
        for key in next(sections_of(Site, ""))[2]
        if key.default.startswith("default ")
    }
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\nscheduler = "slurm"\nsubmit = "sbatch"\n'
        "gpus_per_node = 1\ncores_per_rank = 1\n"
    )
    got = json.loads(load_site(path).model_dump_json(include=set(shown)))
    assert shown == got


def test_types_are_in_words_with_their_limits():
    for name, words in {
        "campaign.epochs": "whole number from 1 to 100,000",
        "campaign.stamp": "date and time",
        "[datasets.NAME].depths": "[lowest, highest], whole numbers",
        "[training].pooling": '"max" or "average"',
        "[training].optimizer": '"SGD", "SGD-Nesterov", "Adam" or "AdamW"',
        "[training].betas": "[first, second], numbers ≥ 0, < 1",
        "[run].attempts": "whole number ≥ 1",
        "[space].pool_padding": "[lowest, highest], whole numbers from 0 to 512; "
        'the highest may be "half"',
        "site.mps": "true or false",
        "site.trainers_per_gpu": 'whole number from 1 to 10,000,000 or "auto"',
        "site.setup": "list of texts",
        "[gpu].efficiency": "number > 0, ≤ 1",
        "[[bins]].nodes": "[lowest, highest], whole numbers from 1 to 10,000,000",
    }.items():
        assert KEYS[name].type == words
    assert f"from 1 to {MAX_DEPTH}." in KEYS["[datasets.NAME].depths"].meaning
    ranges = re.compile("from (-?[0-9,]+) to (-?[0-9,]+)")
    for name, (low, high) in LIMITS.items():
        least, most = ranges.search(KEYS[f"[space].{name}"].type).groups()
        assert [float(each.replace(",", "")) for each in (least, most)] == [low, high]
    assert KEYS.keys() >= {f"[space].{name}" for name in SearchSpace.__dataclass_fields__}


def test_a_message_on_an_unknown_key_names_the_command(tmp_path):
    path = tmp_path / "mine.toml"
    for start, command, key in (
        ("smoke", ["specs", path], "campaign"),
        ("slurm", ["render", "smoke", "--site", path], "site"),
    ):
        path.write_text(f'extends = "{start}"\nnotes = "x"\n')
        problem = str(CliRunner().invoke(app, list(map(str, command))).exception)
        assert f"'nnlc keys {key}' explains all keys" in problem


def test_keys_of_a_table_in_an_array_are_named_where_one_is_wrong(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('extends = "slurm"\n[[bins]]\nnodes = [1, 2]\nhours = 1\nhour = 3\n')
    problem = str(CliRunner().invoke(app, ["render", "smoke", "--site", str(path)]).exception)
    assert (
        "key bins.0.hour: unknown key; did you mean 'hours'? (valid: nodes, hours, queue)"
        in problem
    )
