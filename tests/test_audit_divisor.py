"""Whether validation losses carry the published slip is told from networks that never learn."""

import dataclasses
import math
from pathlib import Path

import pytest
from audit_samples import CIFAR, PUBLISHED, SLIP_SIZES, at_chance, never_learning, others, write

import nnlc
from nnlc.auditing.divisor import _two_sided
from nnlc.auditing.rule_list import Severity
from nnlc.tables import Row, Table


def divisor(folder: Path):
    [found] = nnlc.audit(folder).divisors
    return found


@pytest.mark.parametrize("published", [True, False])
def test_folders_with_and_without_the_slip_are_told_apart(tmp_path, published):
    for part, verdict in ((0, "true mean"), (1, "slip")):
        folder = tmp_path / verdict
        at_chance(folder, part, published=published)
        found = divisor(folder)
        assert (found.verdict, found.networks) == (verdict, len(SLIP_SIZES))
        assert abs(found.estimate - part) < 4 * found.standard_error < 0.1
        ratio = found.log10_likelihood_ratio
        assert ratio > 3 if part else ratio < -3
        wrong, right = (found.p_slip, found.p_true_mean)[:: -1 if part else 1]
        assert wrong < 1e-6
        assert right > 1e-4


def test_one_network_is_not_enough_however_clear_it_seems(tmp_path):
    at_chance(tmp_path, 1, published=True, sizes=[186])
    found = divisor(tmp_path)
    assert (found.verdict, found.networks) == ("not enough networks to tell", 1)
    assert found.estimate == pytest.approx(1, abs=0.1)
    assert (found.p_slip, found.p_true_mean, found.log10_likelihood_ratio) == (None, None, None)
    assert not [f for f in nnlc.audit(tmp_path).findings if f.rule.name.startswith("slip")]


def test_noisy_networks_give_a_careful_answer(tmp_path):
    at_chance(tmp_path, 1, published=True, sizes=SLIP_SIZES[:4], noise=0.05)
    found = divisor(tmp_path)
    assert found.verdict == "not enough networks to tell"
    assert found.standard_error > 0.5
    assert abs(found.log10_likelihood_ratio) < 3


def test_networks_that_contradict_one_another_widen_the_error(tmp_path):
    for part, sizes in ((0, SLIP_SIZES[::2]), (1, SLIP_SIZES[1::2])):
        at_chance(tmp_path / f"{part}", part, published=True, sizes=sizes)
    folder = tmp_path / "both" / "CIFAR-100_models"
    folder.mkdir(parents=True)
    for number, path in enumerate(sorted(tmp_path.glob("[01]/*/*.txt"))):
        id_ = f"{path.stem[:-6]}{number:06d}"
        content = path.read_text().replace(path.stem, id_)
        (folder / f"{id_}.txt").write_text(content)
    found = divisor(tmp_path / "both")
    assert found.networks == len(SLIP_SIZES)
    assert found.verdict not in ("slip", "true mean")
    assert found.standard_error > 0.05


def test_networks_whose_batches_divide_the_images_tell_nothing(tmp_path):
    at_chance(tmp_path, 1, published=True, sizes=[25, 50, 100, 125, 250])
    found = divisor(tmp_path)
    assert (found.networks, found.estimate) == (0, None)
    assert found.verdict == "not enough networks to tell"


def test_a_network_that_learned_a_little_does_not_count(tmp_path):
    """Its losses are below ln(classes) for another reason than the slip."""
    for spec, size in zip(others(12), SLIP_SIZES, strict=True):
        sized = dataclasses.replace(spec, batch_size=size)
        rows = never_learning(sized, CIFAR, 0)
        lower = [Row(r.train_loss - 0.05, r.val_loss - 0.05, r.val_accuracy_percent) for r in rows]
        write(tmp_path, Table(sized, tuple(lower)))
    assert divisor(tmp_path).networks == 0


def test_published_tables_and_ours_in_one_folder_are_judged_apart(tmp_path):
    at_chance(tmp_path, 1, published=True, sizes=SLIP_SIZES[:6])
    for spec, size in zip(others(12)[6:], SLIP_SIZES[6:], strict=True):
        sized = dataclasses.replace(spec, batch_size=size, torch_set_deterministic=True)
        write(tmp_path, Table(sized, never_learning(sized, CIFAR, 0)))
    found = nnlc.audit(tmp_path).divisors
    assert [(one.published, one.verdict) for one in found] == [(True, "slip"), (False, "true mean")]


def test_the_corrected_losses_of_a_folder_with_the_slip_are_the_true_mean(tmp_path):
    at_chance(tmp_path, 1, published=True)
    tables = nnlc.load_tables(tmp_path, val_loss="corrected")
    assert tables.curves["val_loss"].mean() == pytest.approx(math.log(100), rel=1e-5)


def test_the_slip_is_a_note_in_published_tables_and_an_error_in_ours(tmp_path):
    for published, rule, severity in (
        (True, "slip-known", Severity.NOTE),
        (False, "slip-ours", Severity.ERROR),
    ):
        at_chance(tmp_path / rule, 1, published=published)
        [found] = [f for f in nnlc.audit(tmp_path / rule).findings if f.rule.name[:4] == "slip"]
        assert (found.rule.name, found.severity) == (rule, severity)
        assert PUBLISHED.dataset not in found.found


# Regularised incomplete beta functions with 60 digits.
P_VALUES = {
    (1, 0.5): 0.7048327646991335,
    (2, 1): 0.4226497308103742,
    (3, 12): 0.001245015800789337,
    (10, 2.7): 0.02231336516347703,
    (11, 40): 2.892540898120573e-13,
    (250, 6): 6.887649707353068e-9,
    (251, 20): 7.261034519784802e-54,
    (5999, 30): 2.30769233125129e-184,
}


@pytest.mark.parametrize(("freedom", "t"), P_VALUES)
def test_p_values_are_right_to_ten_digits_even_far_out(freedom, t):
    assert _two_sided(-t, freedom) == pytest.approx(P_VALUES[freedom, t], rel=1e-11)
