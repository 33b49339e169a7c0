"""Every kind of damage to tables is named, by the right rule and in its place; good ones pass."""

import dataclasses
import os
from pathlib import Path

import pytest
from audit_samples import (
    CIFAR,
    GOOD,
    PLACE,
    PUBLISHED,
    learning,
    table_of,
    write_published,
    write_results,
)
from damaged_folders import FOLDER_KINDS
from damaged_tables import BYTE_KINDS, field
from hypothesis import given, settings
from hypothesis import strategies as st
from table_samples import EXPECTED

import nnlc
from nnlc import NnlcError, SearchSpace, sample_network
from nnlc.auditing.audit import audit_bytes
from nnlc.auditing.curve_rules import check_curves
from nnlc.auditing.rule_list import RULES, Severity
from nnlc.networks import KNOWN_IMAGE_SETS, SVHN_TRAIN_IMAGES

REFERENCE = Path(__file__).parent.parent.parent / "shared/published/2021_02_15_13_55_26_539263.txt"


def audited(content, path=PLACE):
    """All that is found in one table."""
    table = audit_bytes(content, path)
    check_curves([table])
    return table.findings.told()


def names(findings, least=Severity.NOTE):
    return sorted({one.rule.name for one in findings if one.severity >= least})


@pytest.mark.parametrize("kind", BYTE_KINDS)
def test_damage_to_bytes_is_named_by_its_rule_with_line_and_column(kind):
    expected = BYTE_KINDS[kind]
    content = expected.damage(GOOD)
    assert content != GOOD
    found = [one for one in audited(content) if one.rule.name == expected.rule]
    assert (expected.line, expected.number) in [(one.line, one.column) for one in found], found
    for one in found:
        assert str(one).startswith(str(PLACE))
        assert len(str(one)) < 1_000
        assert str(one).isprintable()
        assert one.rule.source


def test_the_words_on_damage_to_published_tables_are_those_of_before():
    told = []
    for kind, expected in BYTE_KINDS.items():
        found = audited(expected.damage(GOOD))
        told.append(f"{kind}: {next(one for one in found if one.rule.name == expected.rule)}")
    assert told == (Path(__file__).parent / "golden" / "audit.txt").read_text().splitlines()


@pytest.mark.parametrize("kind", FOLDER_KINDS)
def test_damage_to_a_folder_is_named_by_its_rule_and_place(kind, tmp_path):
    expected = FOLDER_KINDS[kind]
    folder = tmp_path / "f"
    folder.mkdir()
    expected.make(folder)
    found = [
        f for f in nnlc.audit(folder / expected.given).findings if f.rule.name == expected.rule
    ]
    places = [(one.path, one.line, one.column) for one in found]
    assert (folder / expected.path, expected.line, expected.column) in places, found


def test_every_rule_has_a_kind_of_damage():
    kinds = [*BYTE_KINDS.values(), *FOLDER_KINDS.values()]
    assert {kind.rule for kind in kinds} == set(RULES)
    assert len(kinds) >= 40


def test_every_finding_of_a_table_is_told_not_only_the_first():
    damages = [
        *("a byte-order mark", "a stride beyond its kernel", "a padding of 6", "99 classes"),
        *("a pooling padding beyond half", "an accuracy between two counts", "a missing row"),
    ]
    content = GOOD
    for kind in reversed(damages):
        content = BYTE_KINDS[kind].damage(content)
    assert {BYTE_KINDS[kind].rule for kind in damages} <= set(names(audited(content)))


def test_damage_that_repeats_is_counted_not_listed(tmp_path):
    content = GOOD.replace(b" " * 24 + b"\n", b"\n")
    path = tmp_path / PLACE.name
    path.write_bytes(content)
    found = nnlc.audit(path).findings
    alike = [one for one in found if one.rule.name == "field-count"]
    assert len(alike) == 21
    assert "58 more" in alike[-1].found
    assert sum(one.times for one in alike) == 79


def test_a_good_table_has_no_findings_and_a_good_folder_only_notes(tmp_path):
    assert audited(GOOD) == []
    write_published(tmp_path)
    audit = nnlc.audit(tmp_path)
    assert names(audit.findings) == ["not-deterministic"]
    assert (audit.tables, audit.damaged, audit.worst) == (3, 0, Severity.NOTE)


def test_a_good_results_folder_has_no_findings(tmp_path, monkeypatch):
    write_results(tmp_path / "r")
    audit = nnlc.audit(tmp_path / "r")
    assert (audit.findings, audit.tables, audit.worst) == ((), 6, None)
    [folder] = audit.folders
    assert names(nnlc.audit(tmp_path).findings) == ["foreign-file"]  # the campaign file beside
    assert nnlc.audit([folder, *folder.iterdir()]).findings == ()
    monkeypatch.chdir(tmp_path)
    for paths in (["r", tmp_path / "r"], [folder, "r"], [folder / "..", "r"]):
        again = nnlc.audit(paths)
        assert (again.findings, again.tables) == ((), 6)


@pytest.mark.needs("published tables")
def test_the_published_table_is_clean_but_for_its_flag():
    audit = nnlc.audit(REFERENCE)
    assert (names(audit.findings), audit.worst) == (["not-deterministic"], Severity.NOTE)


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(KNOWN_IMAGE_SETS)),
    st.sampled_from(sorted(SVHN_TRAIN_IMAGES.values())),
    st.integers(1, 12),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_whatever_the_sampler_draws_is_legal(name, svhn_images, depth, seed, deterministic):
    images = KNOWN_IMAGE_SETS[name]
    if name == "SVHN":
        images = dataclasses.replace(images, train_images=svhn_images)
    spec = sample_network(SearchSpace(), images, depth, seed, id=PUBLISHED.id)
    spec = dataclasses.replace(spec, torch_set_deterministic=deterministic)
    content = table_of(spec, images).to_bytes()
    path = Path(f"{name}_models") / PLACE.name
    assert audited(content, path) == []


@settings(max_examples=100)
@given(st.binary(max_size=300), st.booleans())
def test_arbitrary_bytes_are_an_error_and_no_traceback(content, with_header):
    head = EXPECTED.split(b"\n")[0] + b"\n" if with_header else b""
    assert "error" in [one.severity.word for one in audited(head + content)]


def test_losses_that_are_blank_count_as_nan():
    content = field(81, "trainLoss", "")(field(81, "valLoss", "")(GOOD))
    assert [(one.rule.name, one.line) for one in audited(content)] == [("non-finite", 81)]


def test_a_path_that_is_not_there_is_a_mistake_and_no_finding(tmp_path):
    with pytest.raises(NnlcError, match="nothing of this name"):
        nnlc.audit(tmp_path / "gone")


def test_trouble_in_one_folder_leaves_the_others_audited(tmp_path, monkeypatch):
    write_published(tmp_path)
    (tmp_path / "closed").mkdir()
    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, _closed(getattr(os, name)))
    audit = nnlc.audit(tmp_path)
    assert audit.tables == 3
    assert ("unreadable", tmp_path / "closed") in [(f.rule.name, f.path) for f in audit.findings]


def _closed(real):
    """As a user without rights sees a folder; the tests may run as one who has all of them."""

    def look(path="."):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    return look


def test_names_that_hold_anything_are_told_on_one_printable_line(tmp_path):
    write_published(tmp_path)
    for name in (b"a\nb.txt", b"\x1b[2J.txt", b"\xff\xfe.txt", "ü.txt".encode()):
        (tmp_path / os.fsdecode(name)).touch()
    audit = nnlc.audit(tmp_path)
    foreign = [one for one in audit.findings if one.rule.name == "foreign-file"]
    assert len(foreign) == 4
    for one in foreign:
        assert str(one).isprintable()
        assert one.to_json()["path"].isprintable()
        one.to_json()["path"].encode()


def test_a_network_of_other_images_is_held_to_what_is_known():
    spec = dataclasses.replace(PUBLISHED, dataset="Mine", conv_strides=(2, 5, 1))
    content = table_of(spec, CIFAR).to_bytes()
    found = audited(content, Path("Mine_models") / PLACE.name)
    assert names(found) == ["conv-stride", "unknown-dataset"]


def test_tables_of_ours_may_be_of_any_space_but_published_ones_only_of_the_article_s():
    spec = dataclasses.replace(PUBLISHED, conv_paddings=(2, 0, 9), conv_filters=(40, 900, 160))
    for deterministic, expected in ((True, []), (False, ["conv-padding", "filters"])):
        kind = dataclasses.replace(spec, torch_set_deterministic=deterministic)
        content = nnlc.Table(kind, learning(kind, CIFAR)).to_bytes()
        assert names(audited(content)) == expected
