"""Second process of the check of a family: its networks' modules, training, tables and costs.

Random pixels stand in for the images, so that no files are needed. Each network trains with the
loop and the checkpoints of a job, in small batches.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten_with_path

from nnlc.families.counted_costs import Counted, cost_key, remember
from nnlc.families.purity import PURE, Place, difference
from nnlc.networks import ImageSet
from nnlc.networks.draws import training_seed
from nnlc.networks.machine import CPU, GPU
from nnlc.networks.specification import FamilySpec
from nnlc.system.toml_file import did_you_mean
from nnlc.tables import Row, Table, read_table
from nnlc.tables.table import write_table
from nnlc.training.checkpoint import Checkpoints
from nnlc.training.counting import count_network
from nnlc.training.determinism import make_deterministic
from nnlc.training.family_sample import Setting, values_of
from nnlc.training.family_verdicts import Part, Verdicts, answering
from nnlc.training.image_sources import Images
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.module_check import ModuleCheck
from nnlc.training.pixels import DeviceImages
from nnlc.wording import counted

_STEPS = 2
"""Training steps and validation steps of each network."""
_BATCH = 16
"""Most images of a step: what is checked does not depend on their number."""
_HALF_EPOCHS = 0.5
_DEVICE = torch.device("cpu")


@dataclass
class Checked:
    """A network of the sample, as far as it has been checked."""

    place: Place
    images: ImageSet
    spec: FamilySpec
    is_sound: bool = True
    costs: Counted | None = None
    rows: tuple[Row, ...] = ()


class _Stopped(Exception):  # noqa: N818  it is no error
    """End of a training whose state has been saved."""


class FamilyCheck:
    """Check of the networks of a sample.

    Args:
        setting: the family with its settings, and the training of its networks.
        networks: the networks of the sample.
        verdicts: where the verdicts go.
    """

    def __init__(self, setting: Setting, networks: list[Checked], verdicts: Verdicts) -> None:
        self._setting, self._all, self._verdicts = setting, networks, verdicts
        self._family, self._settings = setting.family, setting.training

    def run(self) -> None:
        """Check one part after another; a network with a fault is left out of later parts."""
        for name, check, text in (
            ("again", self._check_draws, "{}: the same when drawn by another process"),
            (
                "module",
                self._check_module,
                "{}: state in buffers alone, the same when built again, no random draws but "
                "dropout, deterministic on CPUs and GPUs",
            ),
            ("count", self._count, "{}: built, and the work of a step counted"),
            (
                "train",
                self._train,
                "{}: two steps made twice, once without and once with a stop in training and in "
                "validation: same bytes",
            ),
            ("table", self._check_table, "{}: written, read, and built again from the table"),
            ("check", self._check_rules, "{}: no fault found by the family's own rules"),
            ("layers", self._check_layers, "{}: listed"),
        ):
            sound = [each for each in self._all if each.is_sound]
            if not sound:
                return
            with self._verdicts.part(name) as part:
                for each in sound:
                    before = part.wrong
                    with part.judging(each.place):
                        check(part, each)
                    each.is_sound = part.wrong == before
                part.text = text.format(counted(len(sound), "network"))

    def costs(self) -> Iterator[str]:
        """Yield a table with the cost of each network that could be counted, if there are any."""
        if all(each.costs is None for each in self._all):
            return
        several = len(self._setting.images) > 1
        yield (
            f"{'group':>7} {'number':>6} {'batch':>6} {'parameters':>12} {'multiply-adds':>14} "
            f"{'GPU memory':>11} {'half epoch: CPU':>16} {'GPU':>9}{'  images' if several else ''}"
        )
        for each in self._all:
            if each.costs is None:
                continue
            spec, images, settings = each.spec, each.images, self._settings
            size = self._family.size(spec, images)
            about = spec, images, settings
            on_cpu = CPU.seconds(self._family.half_epoch_work(*about, "cpu"))
            on_gpu = GPU.seconds(self._family.half_epoch_work(*about, "cuda"))
            memory = self._family.memory_bytes(spec, images, settings, "cuda")
            yield (
                f"{each.place.group:>7} {each.place.number:>6} {spec.batch_size:>6} "
                f"{size.parameters:>12,} {size.multiply_adds:>14,} {memory / 1e9:>8.2f} GB "
                f"{on_cpu:>14.3g} s {on_gpu:>7.3g} s{f'  {images.name}' if several else ''}"
            )

    def _check_draws(self, part: Part, each: Checked) -> None:
        again = self._setting.draw(each.place)
        if text := difference(values_of(each.spec), values_of(again)):
            part.refuse(each.place, f"{text} when another process draws it: {PURE}")

    def _count(self, part: Part, each: Checked) -> None:
        each.costs, why = count_network(self._family.family, each.spec, each.images)
        remember({cost_key(each.spec): each.costs})
        if why is not None:
            part.note(
                f"{each.place}: counted on the CPU, since on torch's meta device it raised {why}"
            )

    def _check_module(self, part: Part, each: Checked) -> None:
        check = ModuleCheck(self._family, each.spec, each.images, self._settings, "cuda")
        for problem in check.problems():
            part.refuse(each.place, problem.text, problem.cause)

    def _train(self, part: Part, each: Checked) -> None:
        """Train two steps, then again with two stops, and compare all bits that result."""
        small = replace(each, spec=replace(each.spec, batch_size=min(_BATCH, each.spec.batch_size)))
        images = self._random_images(small)
        whole = self._loop(small, images)
        each.rows = tuple(whole)
        wanted = _bits(whole)
        if other := _first_difference(wanted, _bits(self._stopped_and_resumed(small, images))):
            again = self._loop(small, images)
            list(again)
            if _first_difference(wanted, _bits(again)):
                part.refuse(
                    each.place,
                    f"{other} has other bits when it is trained again: a step must depend on the "
                    "weights, buffers and images alone",
                )
            else:
                part.refuse(
                    each.place,
                    f"{other} has other bits after a stop: all that a later step depends on must "
                    "be in parameters and buffers (register_buffer)",
                )

    def _stopped_and_resumed(self, small: Checked, images: DeviceImages) -> HalfEpochLoop:
        """Return the training of a network that was stopped in training and in validation."""
        with TemporaryDirectory(prefix="nnlc-check-family-") as folder:
            checkpoints = Checkpoints(Path(folder), small.spec.id, {})
            for steps in (1, _STEPS, None):
                loop = self._loop(small, images, steps)
                state, _ = checkpoints.load()
                if state is not None:
                    loop.resume(state)
                try:
                    list(loop)
                except _Stopped:
                    checkpoints.save(loop.state())
        return loop

    def _loop(
        self, small: Checked, images: DeviceImages, steps: int | None = None
    ) -> HalfEpochLoop:
        """Return a training that stops after some steps."""
        count = itertools.count(1)

        def stop() -> None:
            if next(count) == steps:
                raise _Stopped

        about = self._family, small.spec, small.images, images, self._settings
        return HalfEpochLoop(*about, _HALF_EPOCHS, stop, campaign_epochs=self._setting.epochs)

    def _check_table(self, part: Part, each: Checked) -> None:
        with TemporaryDirectory(prefix="nnlc-check-family-") as folder:
            path = Path(folder) / f"{each.spec.id}.txt"
            write_table(Table(each.spec, each.rows), path)
            read = cast(FamilySpec, read_table(path).spec)
        if text := difference(values_of(each.spec), values_of(read)):
            part.refuse(each.place, f"{text} in its table: give values of Python's own types")
        again = replace(each, spec=read)
        if other := _first_difference(self._weights(each), self._weights(again)):
            part.refuse(
                each.place,
                f"{other} differs in the network that its table gives: let build depend on the "
                "specification, the images and torch's random stream alone",
            )
        each.spec = read

    def _weights(self, each: Checked) -> dict[str, object]:
        torch.manual_seed(training_seed(each.spec.random_seed, "init"))
        about = each.spec, each.images, self._settings
        built = self._family.trained_network(*about, _DEVICE)
        return _digests(built.module.state_dict())

    def _check_rules(self, part: Part, each: Checked) -> None:
        known = values_of(each.spec)
        for column, found, right in self._family.findings(each.spec, each.images):
            text = f"check finds {column} = {found}; right would be {right}"
            if column not in known:
                text = f"check names a column {column!r:.80}; {did_you_mean(column, known)}"
            part.refuse(each.place, text)

    def _check_layers(self, part: Part, each: Checked) -> None:
        own = self._family.family.layers(each.spec, each.images) is not None
        listed = sum(layer.parameters for layer in self._family.layers(each.spec, each.images))
        if own and each.costs is not None and listed != each.costs.parameters:
            part.refuse(
                each.place,
                f"its layers have {listed:,} parameters in sum, and the module has "
                f"{each.costs.parameters:,}",
            )

    def _random_images(self, small: Checked) -> DeviceImages:
        """Return random images for a half epoch of a few steps."""
        images, draws = small.images, np.random.default_rng(0)

        def some(batches: int) -> tuple[Any, Any]:
            count = batches * small.spec.batch_size
            shape = count, images.channels, images.width, images.width
            pixels = draws.integers(0, 256, shape, dtype=np.uint8)
            return pixels, np.arange(count, dtype=np.int64) % images.classes

        return DeviceImages(Images(*some(2 * _STEPS), *some(_STEPS)), self._settings, _DEVICE)


def _bits(loop: HalfEpochLoop) -> dict[str, object]:
    """Return digests of a training's rows and of all that its next step depends on."""
    state = loop.state()
    kept = {"network": state["network"], "optimizer": state["optimizer"]}
    return {"its table": repr(loop.rows), **_digests(kept)}


def _digests(state: Any) -> dict[str, object]:
    """Return a text for each tensor and value in nested dictionaries and lists, by its path."""
    leaves, _ = tree_flatten_with_path(state)
    return {
        ".".join(str(getattr(key, "key", getattr(key, "idx", key))) for key in path): _bytes_of(one)
        for path, one in leaves
    }


def _bytes_of(value: object) -> object:
    if isinstance(value, Tensor):
        whole = value.detach().contiguous()
        return str(whole.dtype), tuple(whole.shape), whole.numpy().tobytes()
    return repr(value)


def _first_difference(here: dict[str, object], there: dict[str, object]) -> str:
    return next((name for name in here | there if here.get(name) != there.get(name)), "")


def main(_arguments: list[str]) -> None:
    """Check the networks of a sample; send verdicts and costs."""
    with answering() as (request, send):
        make_deterministic()
        verdicts = Verdicts(send, request["file"])
        setting = None
        with verdicts.part("load") as part, part.judging(""):
            setting = Setting.from_json(request["setting"])
            part.text = "again in a process that has torch"
        if setting is not None:
            networks = [
                Checked(Place(*place), setting.images[place[0]], FamilySpec.from_json(spec))
                for place, spec in request["networks"]
            ]
            check = FamilyCheck(setting, networks, verdicts)
            check.run()
            for line in check.costs():
                send({"kind": "verdict", "text": line, "is_wrong": False})
        send({"kind": "end", "wrong": verdicts.wrong})
