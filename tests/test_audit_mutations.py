"""No change to a table's bytes passes in silence: it is named, or it left a table that is legal."""

import dataclasses
import math
import random

import pytest
from audit_samples import CIFAR, GOOD, PLACE, PUBLISHED, slip_factor, write_results
from network_rules import PUBLISHED as ARTICLE
from network_rules import broken_rules

from nnlc.auditing.audit import audit_bytes
from nnlc.auditing.campaign_rules import AuditedFolder
from nnlc.auditing.curve_rules import check_curves
from nnlc.auditing.rule_list import Severity
from nnlc.results.folder import ResultsFolder
from nnlc.tables import parse_table

PIECES = [b" ", b"\n", b"-", b".", b"0", b"1", b"9", b"nan", b"inf", b"e", b"True", b"\r", b"\xff"]
CURVE = ("train_loss", "val_loss", "val_accuracy_percent")
UNDRAWN = {"random_seed"}
"""Of a network nobody can draw again: any seed is as good as another."""
RANGES = {
    *("batch_size", "learning_rate", "momentum", "dampening", "weight_decay"),
    *("layer_types", "dropout_rate", "fc_dropout_rate", "fc_dropout_layers", "fc_filters"),
    *("conv_kernels", "conv_strides", "conv_paddings", "conv_filters"),
    *("pool_kernels", "pool_strides", "pool_paddings"),
}
"""What is drawn: another value in range may have been drawn too."""


def mutated(content, generator):
    """A few bytes, or lines, replaced, put in, taken out, doubled, swapped or cut off."""
    lines = content.split(b"\n")
    first, second = generator.randrange(len(lines)), generator.randrange(len(lines))
    at = generator.randrange(len(content))
    end = min(len(content), at + generator.choice((1, 1, 1, 2, 8, 200)))
    piece = generator.choice((*PIECES, bytes([generator.randrange(256)])))
    match generator.randrange(8):
        case 0 | 1 | 2:
            return content[:at] + piece + content[at + 1 :]
        case 3:
            return content[:at] + piece + content[at:]
        case 4:
            return content[:at] + content[end:]
        case 5:
            lines[first], lines[second] = lines[second], lines[first]
        case 6:
            lines.insert(second, lines[first])
        case 7:
            return content[: generator.choice((at, content.rfind(b"\n", 0, at) + 1))]
    return b"\n".join(lines)


def found_in(content, path, home=None, drawn=None):
    table = audit_bytes(content, path, home)
    if home:
        home.check_network(table, drawn)
    check_curves([table])
    assert all(one.rule and one.found for one in table.findings.told())
    return [one for one in table.findings.told() if one.severity >= Severity.WARNING]


def curve_is_legal(table, images, half_epochs):
    """The rules of a curve, row by row and in other words than the audit's."""
    spec = table.spec
    validated = images.validation_images // spec.batch_size * spec.batch_size
    slip = 1 if spec.torch_set_deterministic else slip_factor(spec, images)
    counts = {100 * right / validated: right for right in range(validated + 1)}
    became_nan = None
    for row in table.rows:
        loss, val_loss = (math.nan if x is None else x for x in (row.train_loss, row.val_loss))
        accuracy = row.val_accuracy_percent
        near = [a for a in (accuracy, *neighbours(accuracy)) if a in counts]
        if not near or str(accuracy).startswith("-") or not (loss >= 0 or math.isnan(loss)):
            return False
        wrong = 1 - counts[near[0]] / validated
        if val_loss < 0 or val_loss < 0.9998 * slip * wrong * math.log(2):
            return False
        if became_nan is not None and not (math.isnan(loss) and accuracy == became_nan):
            return False
        if math.isnan(loss):
            became_nan = accuracy
            if not math.isnan(val_loss):
                return False
        if any(3.5e38 < x < math.inf for x in (loss, val_loss)):
            return False
    return len(table.rows) == half_epochs


def neighbours(accuracy):
    """The doubles within two roundings."""
    if accuracy is None or not math.isfinite(accuracy):
        return []
    steps = [accuracy]
    for direction in (-math.inf, math.inf):
        one = accuracy
        for _ in range(8):
            one = math.nextafter(one, direction)
            steps.append(one)
    return steps


def differences(table, original):
    """The fields in which two tables differ."""
    before, after = dataclasses.asdict(original.spec), dataclasses.asdict(table.spec)
    found = {name for name in after if repr(after[name]) != repr(before[name])}
    for one, two in zip(table.rows, original.rows, strict=False):
        found |= {name for name in CURVE if repr(getattr(one, name)) != repr(getattr(two, name))}
    return found


def silent(content, path, rounds, *home):
    """Mutations without a finding, parsed; each of them is given back byte for byte."""
    generator = random.Random(3)
    for _ in range(rounds):
        changed = mutated(content, generator)
        if changed != content and not found_in(changed, path, *home):
            table = parse_table(changed)
            assert table.to_bytes() == changed
            yield table


def test_a_change_to_a_published_table_is_named_or_leaves_a_legal_table():
    original = parse_table(GOOD)
    passed = list(silent(GOOD, PLACE, 3_000))
    assert 100 < len(passed) < 1_000
    for table in passed:
        assert broken_rules(table.spec, ARTICLE["CIFAR-100"]) <= {"flags"}
        assert curve_is_legal(table, CIFAR, 80)
        assert differences(table, original) <= {*CURVE, *UNDRAWN, *RANGES}
        assert table.spec.dataset == PUBLISHED.dataset


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "r"
    campaign = write_results(folder)
    drawn = {network.spec.id: network.spec for network in campaign.networks()}
    return (
        list(campaign.networks()),
        ResultsFolder(folder),
        (AuditedFolder(folder, campaign), drawn),
    )


def test_of_a_change_in_a_results_folder_only_values_of_the_curve_may_pass(results):
    networks, folder, home = results
    network = networks[-1]
    path = folder.table_path(network.images, network.spec)
    original = parse_table(path.read_bytes())
    passed = list(silent(path.read_bytes(), path, 7_000, *home))
    assert 100 < len(passed) < 2_000
    for table in passed:
        assert curve_is_legal(table, network.images, home[0].campaign.half_epochs)
        assert differences(table, original) <= set(CURVE)
        assert table.spec == original.spec


@pytest.mark.parametrize("change", range(1, 11))
def test_every_change_of_a_seed_is_named_in_a_results_folder(results, change):
    networks, folder, home = results
    network = networks[change % 6]
    path = folder.table_path(network.images, network.spec)
    seed = b" %d " % network.spec.random_seed
    other = b" %d " % ((network.spec.random_seed + 10**change) % 2**32)
    content = path.read_bytes().replace(seed, other, 1)
    found = found_in(content, path, *home)
    assert [one.rule.name for one in found] == ["seed-specification"]
