"""Families are loaded by name, from an entry point, or from a module beside a campaign file."""

import sys
from importlib.metadata import EntryPoint

import pytest
from own_family import CAMPAIGN, MODULE, write_campaign

from nnlc.campaign.campaign import load_campaign
from nnlc.errors import CampaignError, FamilyError
from nnlc.families import loading, registry
from nnlc.families.layouts import ARTICLE_NAME
from nnlc.families.reference import FamilyReference
from nnlc.system import foreign_code

DECORATED = "@dataclass(frozen=True)\nclass Ladder(Family):"
WRONG = {
    "no such class": (
        ("class Ladder(", "class Lader("),
        "has no class Ladder; did you mean 'Lader'? (valid: Lader)",
    ),
    "no class at all": ((DECORATED, "class Other:"), "has no class Ladder; nor another family"),
    "a setting without type": (
        ("widest: int = 8", "widest = 8"),
        "class Ladder: widest = 8 is no setting, as it has no type: write widest: int = …",
    ),
    "an import that raises": (("from dataclasses", "1 / 0\nfrom dataclasses"), "ZeroDivisionError"),
    "an exit": (("from dataclasses", "import sys\nsys.exit(3)\nfrom dataclasses"), "SystemExit: 3"),
    "a syntax error": ((DECORATED, "class Ladder(Family:"), "SyntaxError"),
    "an import of what is absent": (("from nnlc.f", "import absent\nfrom nnlc.f"), "'absent'"),
    "no class": ((DECORATED, "Ladder = 3\nclass Other(Family):"), "3 is no subclass of nnlc"),
    "another class": (("class Ladder(Family)", "class Ladder"), "is no subclass of nnlc.families"),
    "no method": (("def build(", "def builds("), "lacks the method build"),
    "no name": (('name = "ladder"', "pass"), "lacks name"),
    "no version": (('version = "1"', "pass"), "lacks version"),
    "no columns": (("columns = ", "column = "), "lacks columns"),
    "a name that is no text": (('name = "ladder"', "name = 3"), "must be texts"),
    "a name with a space": (('name = "ladder"', 'name = "a ladder"'), "name 'a ladder'"),
    "a version with a space": (('version = "1"', 'version = "1 b"'), "version '1 b'"),
    "a version that is no text": (('version = "1"', "version = 1"), "must be texts"),
    "the article's name": (('name = "ladder"', 'name = "article"'), "'article' is taken"),
    "the name of nnlc's": (('name = "ladder"', 'name = "residual"'), "'residual' is taken"),
    "a column every network has": (('"bias": "flag"', '"momentum": "flag"'), "'momentum' is taken"),
    "a column with a space": (('"bias": "flag"', '"a bias": "flag"'), "'a bias' is no name"),
    "an unknown kind": (('"bias": "flag"', '"bias": "bool"'), "the kind of bias is 'bool'"),
    "columns in a list": (("columns = {", "columns = [1]\n    x = {"), "must be a dictionary"),
    "groups upside down": (("groups = (1, 2)", "groups = (2, 1)"), "groups = (2, 1): must be"),
    "groups in words": (("groups = (1, 2)", 'groups = "12"'), "groups = '12': must be"),
    "too many groups": (("groups = (1, 2)", "groups = (1, 10**9)"), "whole numbers from 0 to"),
    "no dataclass": (("@dataclass(frozen=True)\n", ""), "decorated with @dataclass(frozen=True)"),
    "not frozen": (("@dataclass(frozen=True)", "@dataclass"), "decorated with @dataclass(frozen"),
    "a setting without default": (("widest: int = 8", "widest: int"), "widest has no default"),
    "a setting of no type": (("widest: int = 8", "widest: Family = None"), "settings can't be"),
    "settings that raise": (
        ("    def specify", "    def __post_init__(self):\n        1 / 0\n\n    def specify"),
        "ZeroDivisionError",
    ),
}


@pytest.fixture(autouse=True)
def forgotten(tmp_path):
    """No module of a test is found by the next."""
    yield
    loading.forget_all()
    loading._loaded.clear()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def refusal(path) -> str:
    with pytest.raises(CampaignError) as caught:
        load_campaign(path)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_of_a_family_is_one_line_with_file_and_key(mistake, tmp_path):
    (old, new), words = WRONG[mistake]
    assert old in MODULE
    path = write_campaign(tmp_path, MODULE.replace(old, new, 1))
    message = refusal(path)
    assert message.startswith(f"{path}, key family: family ladder:Ladder: ")
    assert words in message
    assert "\n" not in message


def test_a_corrected_module_is_read_again_in_the_same_process(tmp_path):
    path = write_campaign(tmp_path, MODULE.replace("def build(", "def builds("))
    assert "lacks the method" in refusal(path)
    (tmp_path / "ladder.py").write_text(MODULE + "\n# corrected\n")
    assert load_campaign(path).network_count == 4


def test_a_module_that_loads_torch_is_refused_each_time(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "torch.py").write_text("")  # torch itself can't be imported twice
    path = write_campaign(tmp_path, "import rungs\n" + MODULE)
    (tmp_path / "rungs.py").write_text("# deep\nimport torch\n")
    for _ in range(2):
        assert f"{tmp_path / 'rungs.py'}, line 2, imports torch" in (message := refusal(path))
        assert "within the method build" in message


def test_what_a_module_prints_goes_to_standard_error(tmp_path, capsys):
    load_campaign(write_campaign(tmp_path, 'print("hello")\n' + MODULE))
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "hello\n")


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path):
    path = write_campaign(tmp_path, text=CAMPAIGN.replace("ladder:Ladder", "residul"))
    assert "did you mean 'residual'? (valid: article, residual" in refusal(path)
    for name in ("a b", "a:b:c", ":Ladder", "3"):
        path = write_campaign(tmp_path, text=CAMPAIGN.replace("ladder:Ladder", name))
        assert f'{path}, key family: must be the name of a family, or "mod' in refusal(path)
    path = write_campaign(tmp_path, text=CAMPAIGN.replace("ladder:Ladder", "lader:Ladder"))
    absent = f"there is no module lader in {tmp_path}, and none is installed; did you mean 'ladder'"
    assert absent in refusal(path)
    (tmp_path / "ladder").mkdir()
    (tmp_path / "ladder" / "__init__.py").write_text(MODULE)
    path = write_campaign(tmp_path)
    assert f"{tmp_path} has a module ladder.py and a package ladder: rename one" in refusal(path)


def test_a_module_beside_the_campaign_that_is_installed_too_is_used_and_told(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "ladder.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path / "site")
    path = write_campaign(tmp_path)
    assert load_campaign(path).network_count == 4
    used, other = tmp_path / "ladder.py", tmp_path / "site" / "ladder.py"
    told = f"note: {path}, key family: module ladder is {used}; {other}, which is installed, is not"
    assert told in capsys.readouterr().err


def installed(monkeypatch, **packages):
    """Let packages have entry points: values by package; two may have the same name, "ladder"."""

    class Package:
        def __init__(self, name):
            self.name = name

    entries = []
    for package, (name, value) in packages.items():
        entry = EntryPoint(name, value, loading.GROUP)
        vars(entry).update(dist=Package(package))
        entries.append(entry)
    monkeypatch.setattr(foreign_code, "entry_points", lambda group: entries)


def test_a_family_of_an_installed_package_is_found_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "rungs.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "site")
    installed(monkeypatch, rungs=("ladder", "rungs:Ladder"))
    path = write_campaign(tmp_path, "raise SystemExit", CAMPAIGN.replace(":Ladder", ""))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # as python -m does
    campaign = load_campaign(path)
    assert campaign.family.label == "ladder@1"
    assert campaign.family.folder is None
    assert [network.spec.family for network in campaign.networks()] == ["ladder@1"] * 4


@pytest.mark.parametrize(
    ("packages", "words"),
    [
        ({"a": ("ladder", "x:Ladder"), "b": ("ladder", "y:Ladder")}, "2 packages have it: a (x:"),
        ({"a": ("ladder", "absent.x:Ladder")}, "module absent.x can't be imported"),
        ({"a": ("ladder", "ladder:Ladder")}, "its name is 'rungs', but its entry point's is"),
    ],
)
def test_a_package_that_has_no_usable_family_is_named(packages, words, tmp_path, monkeypatch):
    module = MODULE.replace('name = "ladder"', 'name = "rungs"')
    path = write_campaign(tmp_path, module, CAMPAIGN.replace(":Ladder", ""))
    monkeypatch.syspath_prepend(tmp_path)
    installed(monkeypatch, **packages)
    assert words in refusal(path)


def test_a_package_that_takes_the_name_of_a_family_of_nnlcs_is_named(tmp_path, monkeypatch):
    installed(monkeypatch, mine=("residual", "mine.nets:Residual"))
    path = write_campaign(tmp_path, text=CAMPAIGN.replace("ladder:Ladder", "residual"))
    assert "taken by a family of nnlc's, and mine (mine.nets:Residual) has one" in refusal(path)


def test_a_module_may_import_others_of_its_folder_and_lie_in_a_package(tmp_path):
    (tmp_path / "nets").mkdir()
    (tmp_path / "widths.py").write_text("WIDEST = 5\n")
    helped = MODULE.replace("widest: int = 8", "widest: int = WIDEST")
    (tmp_path / "nets" / "tall.py").write_text("from widths import WIDEST\n" + helped)
    text = CAMPAIGN.replace("ladder:Ladder", "nets.tall:Ladder").replace("widest = 6", "")
    campaign = load_campaign(write_campaign(tmp_path, text=text))
    assert campaign.space == {"widest": 5}
    assert campaign.family.folder == str(tmp_path)


def test_modules_of_one_name_in_two_folders_are_not_mixed_up(tmp_path):
    """Nor are those that they import; and none is imported twice."""
    for folder, widest in (("first", 3), ("second", 4)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rungs.py").write_text(f"WIDEST = {widest}\nprint('rungs')\n")
    module = "import rungs\n" + MODULE.replace("= 8", "= rungs.WIDEST")
    text = CAMPAIGN.replace("widest = 6", "")
    paths = [write_campaign(tmp_path / folder, module, text) for folder in ("first", "second")]
    for _ in range(2):
        for path, widest in zip(paths, (3, 4), strict=True):
            campaign = load_campaign(path)
            assert campaign.space == {"widest": widest}
            family = campaign.network_family
            assert max(max(n.spec.widths) for n in campaign.networks()) <= widest
            assert load_campaign(path).network_family is family


def test_a_module_of_a_name_that_is_in_use_is_refused(tmp_path):
    """So is one that it imports."""
    path = write_campaign(tmp_path, "import csv\n" + MODULE)
    (tmp_path / "csv.py").write_text("")
    assert f"{tmp_path / 'csv.py'}: another module has the name csv already" in refusal(path)
    text = CAMPAIGN.replace("ladder:", "json:")
    path = write_campaign(tmp_path, text=text)
    (tmp_path / "json.py").write_text(MODULE)
    assert f"{tmp_path / 'json.py'}: another module has the name json already" in refusal(path)


def test_a_family_has_one_object_for_each_settings(tmp_path):
    path = write_campaign(tmp_path)
    campaign = load_campaign(path)
    assert load_campaign(path).network_family is campaign.network_family
    path.write_text(CAMPAIGN.replace("widest = 6", "widest = 7"))
    other = load_campaign(path).network_family
    assert other is not campaign.network_family
    assert type(other.space) is type(campaign.network_family.space)


def test_the_articles_name_means_the_articles_family(tmp_path):
    text = "extends = 'smoke'\n"
    for name, line in (("plain", ""), ("named", f'family = "{ARTICLE_NAME}"\n')):
        (tmp_path / f"{name}.toml").write_text(text + line)
    campaign = load_campaign(tmp_path / "named.toml")
    assert campaign == load_campaign(tmp_path / "plain.toml")
    assert campaign.family is None


def test_settings_that_a_record_has_are_checked_before_networks_are_drawn(tmp_path):
    write_campaign(tmp_path)
    reference = FamilyReference(name="ladder:Ladder", folder=str(tmp_path))
    for space, words in (({"widest": "6"}, "space.widest"), ({"wide": 3}, "space.wide")):
        with pytest.raises(FamilyError, match=f"family ladder@1: {words}"):
            registry.make_family(reference, space)


def test_a_module_that_is_not_there_leaves_no_folder_to_import_from(tmp_path):
    before = list(sys.path)
    path = write_campaign(tmp_path)
    (tmp_path / "ladder.py").unlink()
    assert "there is no module ladder" in refusal(path)
    assert sys.path == before
