"""Devices and libraries that made a campaign's tables, from the history of its networks."""

from collections import Counter
from collections.abc import Iterable

from nnlc.results.history import Finish
from nnlc.system.environment import rule_of
from nnlc.system.newer_format import version_numbers

_NAMES = {"torch": "torch", "cuda": "CUDA", "hip": "HIP", "cudnn": "cuDNN"}
"""Names, in words for users, of the libraries that a table's bits depend on."""


def makers(finishes: Iterable[Finish]) -> list[tuple[str, int]]:
    """Return the devices and libraries that made tables, in words, with the number of tables.

    Two makers are told apart if their tables could differ by a bit: tables of one maker and one
    arithmetic depend on network and campaign alone. Settings are named only if they differ; all
    versions of nnlc are named. Tables without a recorded device or version are left out.
    """
    groups: Counter[_Maker] = Counter()
    releases: dict[tuple[str, ...], set[str]] = {}
    for finish in finishes:
        maker = _maker(finish)
        groups[maker] += 1
        releases.setdefault(maker[0], set()).update(filter(None, [finish.versions.get("nnlc")]))
    values: dict[str, set[str | None]] = {}
    for each in (dict(settings) for _, settings in groups):
        for key in {key for _, settings in groups for key, _ in settings}:
            if key in each or rule_of(key) == "recorded":  # no value: not set
                values.setdefault(key, set()).add(each.get(key))
    words: Counter[str] = Counter()
    for (device_and_versions, settings), count in groups.items():
        named = [f"{key} {value}" for key, value in settings if len(values[key]) > 1]
        found = sorted(releases[device_and_versions], key=lambda v: (version_numbers(v), v))
        by = [f"nnlc {' and '.join(found)}"] if found else []
        words[", ".join([*device_and_versions, *by, *named])] += count
    words.pop("", None)
    return sorted(words.items(), key=lambda item: (-item[1], item[0]))


_Maker = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]


def _maker(finish: Finish) -> _Maker:
    """Return the device and libraries that a table's bits depend on, in words, and settings."""
    units = finish.multiprocessors
    details = [f"{units} multiprocessors"] if units is not None else []
    details += [word for word in (finish.architecture, finish.instructions) if word]
    words = [finish.device] if finish.device else ["unknown device"] if details else []
    if details:
        words = [f"{words[0]} ({', '.join(details)})"]
    names = _NAMES | ({"cudnn": "MIOpen"} if "hip" in finish.versions else {})
    for key, name in names.items():
        if version := finish.versions.get(key):
            words.append(f"{name} {_cudnn(version) if key == 'cudnn' else version}")
    return tuple(words), tuple(sorted(finish.settings.items()))


def _cudnn(version: str) -> str:
    """Return a cuDNN or MIOpen version from torch's: 9.10.2 from 91002, 3.5.1 from 3005001."""
    if version.isdecimal() and len(version) > 6:
        return f"{int(version) // 1_000_000}.{int(version) // 1000 % 1000}.{int(version) % 1000}"
    if not (version.isdecimal() and len(version) in (4, 5)):
        return version
    number, major = int(version), 10_000 if len(version) == 5 else 1000
    return f"{number // major}.{number % major // 100}.{number % 100}"
