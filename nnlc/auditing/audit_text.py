"""Text of an audit."""

import re
from collections.abc import Iterator
from itertools import groupby

import orjson

from nnlc.auditing.audit import Audit
from nnlc.auditing.divisor import Divisor
from nnlc.auditing.findings import shown
from nnlc.auditing.rule_list import RULES, Severity
from nnlc.wording import counted

_MANY_DIGITS = re.compile(r"\d+\.\d{3,}(?= %)")
"""A percentage with more digits than a reader needs; JSON has them all."""
FEW = 3
"""Number of findings listed for each rule, unless the user asks for all."""


def audit_lines(audit: Audit, *, show_all: bool = False) -> Iterator[str]:
    """Yield lines: numbers of tables and findings, first findings of each rule, divisors."""
    counts = ", ".join(counted(audit.count(one), one.word) for one in reversed(Severity))
    damaged = f", {audit.damaged} of them damaged," if audit.damaged else ""
    folders = counted(len(audit.folders), "folder")
    yield f"{counted(audit.tables, 'table')}{damaged} in {folders}: {counts}"
    ranks = {name: rank for rank, name in enumerate(audit.by_rule())}
    ordered = sorted(audit.findings, key=lambda one: ranks[one.rule.name])
    for rule, group in groupby(ordered, key=lambda one: one.rule):
        findings = list(group)
        total = sum(one.times for one in findings)
        yield f"{rule.severity.word:<8} {rule.name:<20} {total:>6}  {rule.says}"
        chosen = findings if show_all else findings[:FEW]
        yield from (f"    {_MANY_DIGITS.sub(_rounded, str(one))}" for one in chosen)
        if rest := total - sum(one.times for one in chosen):
            yield f"    … and {rest} more; --all shows them"
    yield from map(_divisor_line, audit.divisors)


def audit_json(audit: Audit) -> str:
    """Return `Audit.to_json` as text."""
    return orjson.dumps(audit.to_json(), option=orjson.OPT_INDENT_2).decode()


def rule_lines() -> Iterator[str]:
    """Yield a line for each rule: severity, name, text and source."""
    for rule in sorted(RULES.values(), key=lambda rule: -rule.severity):
        yield f"{rule.severity.word:<8} {rule.name:<20} {rule.says} ({rule.source})"


def _rounded(percentage: re.Match[str]) -> str:
    return f"{float(percentage[0]):.2f}"


def _divisor_line(divisor: Divisor) -> str:
    kind = "published tables" if divisor.published else "nnlc's tables"
    head = f"valLoss of {kind} in {shown(divisor.path)}: {divisor.verdict}"
    networks = counted(divisor.networks, "usable never-learning network")
    if divisor.estimate is None or divisor.log10_likelihood_ratio is None:
        return f"{head} ({networks})"
    error, ratio = divisor.standard_error, divisor.log10_likelihood_ratio
    return (
        f"{head} ({networks}: {divisor.estimate:.3f} ± {error:.3f}, where 0 is the true mean and "
        f"1 the slip; log10 of their likelihoods, slip over mean: {ratio:.1f})"
    )
