"""Kept weights of finished networks: weights/<ID>.safetensors, as the campaign's `run.keep` says.

The file has the network's weights under their names in its `state_dict`. With "final" it also has
the rest of the training's state, under names that begin with "training.", and the origin, as a
checkpoint has it: the training goes on from there if the campaign has got more epochs. The metadata
names the half epoch, and the digest of the table that the weights belong to.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn, uint8

from nnlc import __version__
from nnlc.errors import NnlcError
from nnlc.networks import Specification
from nnlc.results.weights_header import FORMAT, kept_half_epochs
from nnlc.system.files import (
    PrepareFolder,
    read_regular,
    temporaries_of,
    why_unread,
    write_atomically,
)
from nnlc.tables import Row, Table
from nnlc.training.checkpoint import Checkpoints
from nnlc.training.loop import HalfEpochLoop, State

_STATE = "training."
"""Beginning of the names of tensors that are no weights."""


class KeptWeightsError(NnlcError):
    """Kept weights can't be used; the text says why."""


class KeptWeights:
    """Kept weights of one network while it trains.

    Args:
        path: file of the weights.
        keep: `run.keep` of the campaign.
        checkpoints: the network's checkpoints, which know its origin.
        spec: the network.
        ready: makes the file's folder ready to be written to.
    """

    def __init__(
        self,
        path: Path,
        keep: str,
        checkpoints: Checkpoints,
        spec: Specification,
        ready: PrepareFolder,
    ) -> None:
        self.path, self.keep = path, keep
        self._checkpoints, self._spec, self._ready = checkpoints, spec, ready
        self._best: dict[str, Any] | None = None

    def load(self, half_epochs: int, most: int) -> tuple[State | None, str]:
        """Return the state from which training can go on, or None, and why a file can't be used.

        Args:
            half_epochs: number of half epochs that a checkpoint has.
            most: number of half epochs of the whole training.
        """
        if not half_epochs < kept_half_epochs(self.path) <= most:
            return None, ""
        try:
            tensors, facts = read_weights(self.path)
            content = {"about": json.loads(facts["about"])}
        except KeptWeightsError as problem:
            return None, str(problem).removeprefix(f"{self.path}: ")
        if other := self._checkpoints.why_other(content):
            return None, other
        weights = {name: t for name, t in tensors.items() if not name.startswith(_STATE)}
        return {**_unpacked(json.loads(facts["state"]), tensors), "network": weights}, ""

    def resume(self, state: State) -> None:
        """Take the best weights so far from the state of a checkpoint."""
        self._best = state.get("best")

    def state(self, state: State) -> State:
        """Return the loop's state with the best weights so far, for a checkpoint."""
        return state if self._best is None else {**state, "best": self._best}

    def add_row(self, loop: HalfEpochLoop) -> None:
        """Copy the weights after a half epoch whose accuracy is better than all before."""
        if self.keep == "best" and _best_half_epoch(loop.rows) == len(loop.rows):
            weights = {
                name: tensor.detach().to("cpu", copy=True)
                for name, tensor in loop.network.state_dict().items()
            }
            self._best = {"half_epoch": len(loop.rows), "network": weights}

    def write(self, loop: HalfEpochLoop, *, is_cut: bool = False) -> None:
        """Write the weights of a finished training.

        Args:
            loop: the training.
            is_cut: True if it had gone on for longer than its rows say.

        Raises:
            OSError: the file can't be written.
            KeptWeightsError: the weights were not kept when the training reached them.
        """
        facts = {"half_epoch": str(len(loop.rows))}
        if self.keep == "best":
            wanted = _best_half_epoch(loop.rows)
            if self._best is None or self._best["half_epoch"] != wanted:
                when = f"epoch {wanted / 2:g}"
                raise KeptWeightsError(f"the best were those of {when}, and not kept at that time")
            tensors = {name: _on_cpu(one) for name, one in self._best["network"].items()}
            facts["half_epoch"] = str(wanted)
        elif is_cut:
            raise KeptWeightsError("the stop rule ends this network before its last checkpoint")
        else:
            state = loop.state() | {"seconds": 0.0}
            tensors = {name: _on_cpu(one) for name, one in state.pop("network").items()}
            facts["state"] = json.dumps(_packed(state, _STATE.rstrip("."), tensors))
        facts |= {
            "format": FORMAT,
            "nnlc": __version__,
            "id": self._spec.id,
            "about": json.dumps(self._checkpoints.about),
            "table": _digest_of(Table(self._spec, tuple(loop.rows))),
        }
        from safetensors.torch import save  # only campaigns that keep weights need it

        tensors = _unshared(tensors)
        facts["sha256"] = _digest(tensors, facts)
        self._ready(self.path.parent)
        for left_over in temporaries_of(self.path):  # of a write that was interrupted
            left_over.unlink(missing_ok=True)
        write_atomically(self.path, save(tensors, facts))


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a file of kept weights.

    Raises:
        KeptWeightsError: the file is missing or damaged, or nnlc did not write it.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        content = read_regular(path)
        size = int.from_bytes(content[:8], "little")
        tensors = load(content)
        facts = json.loads(content[8 : 8 + size])["__metadata__"]
        if facts.get("format") != FORMAT:
            raise KeptWeightsError(f"{path}: no weights that nnlc {__version__} has kept or knows")
        if facts.get("sha256") != _digest(tensors, facts):
            raise KeptWeightsError(f"{path}: damaged: its checksum is not that of its content")
    except FileNotFoundError:
        hint = 'a campaign keeps them with keep = "final" or "best" in [run]'
        raise KeptWeightsError(f"{path}: there are no such weights; {hint}") from None
    except OSError as problem:
        raise KeptWeightsError(f"{path}: {why_unread(problem)}") from None
    except (SafetensorError, ValueError, KeyError, AttributeError) as problem:
        raise KeptWeightsError(f"{path}: damaged: {problem}") from None
    return tensors, facts


def load_weights(module: nn.Module, table: Table, path: Path, which: str) -> None:
    """Load kept weights into the network of a table.

    Args:
        module: the network.
        table: the table.
        path: file of the weights.
        which: "final" or "best".

    Raises:
        KeptWeightsError: there are no such weights, they are damaged, or of another table.
    """
    tensors, facts = read_weights(path)
    if facts["id"] != table.spec.id or facts["table"] != _digest_of(table):
        whose = f"of network {facts['id']}, or of a longer, shorter or changed table"
        raise KeptWeightsError(f"{path}: does not belong to this table: its weights are {whose}")
    wanted = len(table.rows) if which == "final" else _best_half_epoch(table.rows)
    if facts["half_epoch"] != str(wanted):
        raise KeptWeightsError(
            f"{path}: has the weights of epoch {int(facts['half_epoch']) / 2:g}; the {which} ones, "
            f'of epoch {wanted / 2:g}, were not kept: that needs run.keep = "{which}"'
        )
    try:
        module.load_state_dict({k: t for k, t in tensors.items() if not k.startswith(_STATE)})
    except RuntimeError as problem:
        raise KeptWeightsError(f"{path}: does not fit this table's network: {problem}") from None


def _best_half_epoch(rows: Sequence[Row]) -> int:
    """Return the number of the first half epoch with the best validation accuracy."""
    accuracies = [row.val_accuracy_percent or 0.0 for row in rows]
    return 1 + accuracies.index(max(accuracies))


def _digest_of(table: Table) -> str:
    return hashlib.sha256(table.to_bytes()).hexdigest()


def _digest(tensors: dict[str, Tensor], facts: dict[str, str]) -> str:
    """Return the digest of tensors and of all facts but the digest."""
    described = {key: value for key, value in facts.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(uint8).numpy().data)
    return digest.hexdigest()


def _on_cpu(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu").contiguous()


def _unshared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors that share no memory, as the file format demands: weights may be tied."""
    seen: set[int] = set()
    found = {}
    for name, tensor in tensors.items():
        address = tensor.untyped_storage().data_ptr()
        found[name] = tensor.clone() if address in seen else tensor
        seen.add(address)
    return found


def _packed(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Return a state as values of JSON, and add its tensors to `tensors`."""
    if isinstance(value, Tensor):
        tensors[name] = _on_cpu(value)
        return {"tensor": name}
    if isinstance(value, dict):
        return {str(key): _packed(one, f"{name}.{key}", tensors) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(one, f"{name}.{i}", tensors) for i, one in enumerate(value)]
    return value


def _unpacked(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return the state that `_packed` has packed."""
    if isinstance(value, list):
        return [_unpacked(one, tensors) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"tensor"}:
        return tensors[value["tensor"]]
    return {
        int(key) if key.isdecimal() else key: _unpacked(one, tensors) for key, one in value.items()
    }
