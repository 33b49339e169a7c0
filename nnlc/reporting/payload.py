"""Data of a page, as JSON that `page/data.js` reads."""

import base64
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlc.families.layouts import depth_of, family_name, size_of
from nnlc.networks.image_sets import shown_name
from nnlc.reporting.network_state import NetworkState, PageNetwork, PageSubject, Snapshot
from nnlc.reporting.page_layers import LayerTexts

_NUMBERS = {
    "random_seed": "seed",
    "batch_size": "batch",
    "learning_rate": "rate",
    "momentum": "momentum",
    "dampening": "dampening",
    "weight_decay": "decay",
}
"""Names on the page, by field of a specification."""
_STATE = {
    "state": "state",
    "flags": "flags",
    "reached": "half_epochs",
    "attempts": "attempts",
    "seconds": "seconds",
}
"""Fields of a network's state, by name on the page."""
_LARGEST = float(np.finfo(np.float32).max)
_LARGEST_BITS, _NAN_BITS = 0x7F7FFF00, 0x7FC00000
_HALF = 0x80


def whole_payload(subject: PageSubject, snapshot: Snapshot) -> dict[str, Any]:
    """Return all data of a page."""
    return subject_payload(subject) | snapshot_payload(snapshot)


def subject_payload(subject: PageSubject) -> dict[str, Any]:
    """Return the data that never change."""
    datasets = list(dict.fromkeys(network.dataset for network in subject.networks))
    return {
        "title": subject.title,
        "campaign": subject.campaign_text,
        "datasets": datasets,
        "networks": _networks(subject.networks, datasets),
        "comparison": None if subject.comparison is None else _comparison(subject.comparison),
    }


def snapshot_payload(snapshot: Snapshot) -> dict[str, Any]:
    """Return the data that may change."""
    states = snapshot.states
    return {
        "standings": {
            **{
                name: [_rounded(getattr(one, field)) for one in states]
                for name, field in _STATE.items()
            },
            "reasons": {i: one.reason for i, one in enumerate(states) if one.reason},
            "stops": {i: one.stop for i, one in enumerate(states) if one.stop},
            "lengths": [len(one.curve) for one in states],
            "curves": "".join(encode_values(one.curve.T) for one in states),
        },
        **_about(snapshot),
    }


def changed_payload(
    changed: Iterable[tuple[int, NetworkState]], snapshot: Snapshot
) -> dict[str, Any]:
    """Return the changed networks with their positions, and all data that are not per network."""
    return {
        "changed": [
            {
                "i": i,
                **{name: _rounded(getattr(one, field)) for name, field in _STATE.items()},
                "reason": one.reason,
                "stop": one.stop,
                "length": len(one.curve),
                "curve": encode_values(one.curve.T),
            }
            for i, one in changed
        ],
        **_about(snapshot),
    }


def to_json(payload: dict[str, Any]) -> str:
    """Return ASCII JSON for a script element: it contains nothing that ends or opens one."""
    text = json.dumps(payload, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def encode_values(values: NDArray[np.float64]) -> str:
    """Return numbers as base64 of the first three bytes of each float32: four letters per number.

    The relative error is below 2^-16, for numbers from 1e-38 to 3e38; larger ones become the
    largest. NaN and infinities are kept.
    """
    flat = values.ravel()
    finite = np.isfinite(flat)
    clipped = np.where(finite, np.clip(flat, -_LARGEST, _LARGEST), flat)
    bits = clipped.astype(np.float32).view(np.uint32)
    sign = bits & np.uint32(0x80000000)
    rounded = np.minimum((bits & np.uint32(0x7FFFFFFF)) + np.uint32(_HALF), _LARGEST_BITS)
    bits = np.where(finite, rounded | sign, np.where(np.isnan(flat), _NAN_BITS, bits))
    octets = bits.astype(">u4").view(np.uint8).reshape(-1, 4)[:, :3]
    return base64.b64encode(octets.tobytes()).decode("ascii")


def _about(snapshot: Snapshot) -> dict[str, Any]:
    progress = None
    if snapshot.datasets is not None:
        progress = {
            "datasets": list(map(asdict, snapshot.datasets)),
            "lines": list(snapshot.lines),
            "trouble": snapshot.trouble,
        }
    facts = [list(fact) for fact in snapshot.facts]
    return {"facts": facts, "notes": list(snapshot.notes), "progress": progress}


def _networks(networks: Sequence[PageNetwork], datasets: Sequence[str]) -> dict[str, Any]:
    places = {name: i for i, name in enumerate(datasets)}
    texts = LayerTexts()
    layers = [texts.text(network) for network in networks]
    sizes = [_size(network) for network in networks]
    families = [family_name(n.spec.layout, getattr(n.spec, "family", "")) for n in networks]
    known = list(dict.fromkeys(families))
    trainings = [f"{n.spec.loss_fn}, {n.spec.optimizer}" for n in networks]
    return {
        "id": [network.spec.id for network in networks],
        "dataset": [places[network.dataset] for network in networks],
        **{
            short: [_rounded(getattr(network.spec, field)) for network in networks]
            for field, short in _NUMBERS.items()
        },
        "training": {i: text for i, text in enumerate(trainings) if text != _TRAINING},
        "input": [[n.images.channels, n.images.width] if n.images else 0 for n in networks],
        "depth": [_depth(network) for network in networks],
        "families": known,
        "family": [known.index(name) for name in families],
        "layers": layers,
        "parameters": [parameters for parameters, _ in sizes],
        "multiply_adds": [multiply_adds for _, multiply_adds in sizes],
        "own": {
            i: _own_values(n)
            for i, n in enumerate(networks)
            if n.spec.layout.is_named or not layers[i]
        },
    }


_TRAINING = "CrossEntropyLoss, SGD"
"""Training of every network of the article and of nnlc."""


def _size(network: PageNetwork) -> tuple[int | None, int | None]:
    spec = network.spec
    values = {column.field: getattr(spec, column.field) for column in spec.layout.columns}
    return network.size or size_of(spec.layout, values, network.images) or (None, None)


def _depth(network: PageNetwork) -> int | None:
    spec = network.spec
    values = {column.field: getattr(spec, column.field) for column in spec.layout.columns}
    return depth_of(spec.layout, values)


def _own_values(network: PageNetwork) -> list[list[str]]:
    """Return names and values of the columns of a network's family that are not empty."""
    spec = network.spec
    found = [(c.name.partition(":")[0], c.write(getattr(spec, c.field))) for c in spec.layout.own]
    return [[name, text] for name, text in found if text]


def _comparison(found: pd.DataFrame) -> list[dict[str, Any]]:
    # Comparisons of older versions are of one dataset and don't name it.
    datasets = found["dataset"].map(shown_name) if "dataset" in found else ""
    rows = found.assign(dataset=datasets).to_dict("records")
    return [{str(key): _plain(value) for key, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    return _rounded(value) if isinstance(value, float) else value


def _rounded(value: float | None) -> float | int | None:
    """Return a value with six significant digits; None for infinity, which JSON lacks."""
    if value is None or isinstance(value, int):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None
