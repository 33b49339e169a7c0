"""Check of a network's module before it is trained: is its table a function of its specification?

A module of a family of the user's own may do anything. This check builds it twice, makes a few
steps with a small batch on the CPU, goes on from a saved state in the other one, and compares.
"""

import io
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnlc.errors import FamilyError
from nnlc.families.network_family import NetworkFamily, TrainedNetwork
from nnlc.families.own_code import what_was_raised
from nnlc.networks import ImageSet, Specification
from nnlc.networks.draws import training_seed
from nnlc.networks.machine import DeviceKind
from nnlc.networks.recipe import TrainingSection
from nnlc.training.attempt import failure_reason, is_out_of_memory
from nnlc.training.module_rules import BUFFER, Problem, check_scores, unfit
from nnlc.training.module_state import memory_of, state_digests, storage_of
from nnlc.training.module_watch import Watch

_BATCH = 4
"""Images of a step; modules that don't take so few get as many as their own batch has."""
_STEPS = 3
_SAVED = 1
"""Steps after which the state is saved."""
_RATE = 0.01


MOST_LINES = 12
"""Lines of a check that are shown."""


def check_sample(
    family: NetworkFamily,
    sample: Sequence[tuple[Specification, ImageSet]],
    settings: TrainingSection,
    device: DeviceKind,
) -> dict[str, list[str]]:
    """Check some networks of a campaign; return lines on networks that must not or can't train.

    If none of them can train, the whole campaign is refused. If some can't, they fail later, by
    themselves.
    """
    found = [ModuleCheck(family, *each, settings, device).problems() for each in sample]
    refused = [each.text for one in found for each in one if not each.is_failure]
    failing = [each.text for one in found for each in one if each.is_failure]
    if refused or all(found):
        return {"refused": (refused or failing)[:MOST_LINES]}
    return {"failing": failing[:MOST_LINES]}


def refuse_unsound(
    family: NetworkFamily,
    spec: Specification,
    images: ImageSet,
    settings: TrainingSection,
    device: DeviceKind,
) -> None:
    """Check a network before its training.

    Raises:
        FamilyError: its module is not sound.
        MemoryError, RuntimeError: it does not fit into memory.
    """
    for problem in ModuleCheck(family, spec, images, settings, device).problems():
        raised = problem.cause
        if raised is not None and is_out_of_memory(raised):
            raise raised
        raise FamilyError(problem.text)


class ModuleCheck:
    """Check of one network's module on the CPU.

    Args:
        family: the network's family.
        spec: the network.
        images: names and sizes of its images; random pixels stand in for them.
        settings: settings of its training.
        device: "cuda" to refuse operations that GPUs do in any order.
    """

    def __init__(
        self,
        family: NetworkFamily,
        spec: Specification,
        images: ImageSet,
        settings: TrainingSection,
        device: DeviceKind,
    ) -> None:
        self._family, self._images, self._settings = family, images, settings
        self._spec, self._device = spec, device
        self._changes: list[Problem] = []
        self._batch = min(_BATCH, spec.batch_size)

    def problems(self) -> list[Problem]:
        """Return the faults of the network's module, each as one line; none if it is sound."""
        about = f"family {self._family.label}, network {self._spec.id}: "
        found: list[Problem] = []
        with _global_state_kept():
            try:
                found.extend(self._found())  # those before an exception stay
            except Exception as problem:  # whatever the family's code raises
                if not found:
                    found.append(self._failure(problem))
        return [each._replace(text=about + each.text) for each in found]

    def _failure(self, problem: Exception) -> Problem:
        reason = failure_reason(problem)
        if not isinstance(problem, FamilyError) and not is_out_of_memory(problem):
            reason = f"its module raised {what_was_raised(self._family.space, problem)}"
        return Problem(reason, is_failure=True, cause=problem)

    def _found(self) -> Iterator[Problem]:
        settings = _settings_of_torch()
        first = self._build(1)
        if faults := list(unfit(first.module)):
            yield from faults
            return
        second = self._build(2)
        yield from _compared(
            state_digests(first.module),
            state_digests(second.module),
            "{} differs when the network is built twice: let build draw from torch's global "
            "random stream alone",
        )
        self._choose_batch(self._build(1))
        watch = Watch(first.module)
        with watch.watching():
            saved, expected = self._train_watched(first)
            yield from self._changes
        yield from self._watched(watch)
        if changed := [k for k, v in _settings_of_torch().items() if settings[k] != v]:
            yield Problem(f"it changes {changed[0]}, which all networks share: leave it alone")
        self._seed_global_streams(3)
        second.module.load_state_dict(saved)
        yield from _compared(
            expected,
            self._train(second, _SAVED),
            "{} differs when training goes on from saved parameters and buffers: what it depends "
            f"on beside them, {BUFFER}",
        )

    def _build(self, number: int) -> TrainedNetwork:
        self._seed_global_streams(number)
        torch.default_generator.manual_seed(training_seed(self._spec.random_seed, "init"))
        cpu = torch.device("cpu")
        return self._family.trained_network(self._spec, self._images, self._settings, cpu)

    def _seed_global_streams(self, number: int) -> None:
        """Seed all streams that a network must not draw from, differently for each number."""
        random.seed(number)
        np.random.seed(number)
        torch.default_generator.manual_seed(number)

    def _choose_batch(self, network: TrainedNetwork) -> None:
        """Take the network's own batch size if it does not take a smaller one."""
        try:
            self._step(network, 0)
        except Exception:
            self._batch = self._spec.batch_size

    def _train_watched(self, network: TrainedNetwork) -> tuple[dict[str, Any], dict[str, object]]:
        """Make all steps; return the state saved after the first, and digests after the last."""
        module, storage = network.module, storage_of(network.module)
        self._step(network, 0)
        # What the first step made is harmless if later ones leave it alone.
        memory = memory_of(module)
        saved = _saved(module)
        self._evaluate(network)
        weights = {name: each.clone() for name, each in module.named_parameters()}
        with torch.no_grad():
            module.train()
            module(self._pixels(_STEPS))
        self._changes += [
            Problem(
                f"it changes its parameter {name!r} in forward: change weights by training alone"
            )
            for name, each in module.named_parameters()
            if not torch.equal(each, weights[name])
        ]
        module.load_state_dict(saved)
        found = self._train(network, _SAVED)
        self._changes += _changed(memory, memory_of(module), storage, storage_of(module))
        return saved, found

    def _train(self, network: TrainedNetwork, first: int) -> dict[str, object]:
        """Make the steps from `first` on, and a validation; return digests of all that results."""
        losses = [self._step(network, number) for number in range(first, _STEPS)]
        scores = self._evaluate(network)
        results = {"the loss": repr(losses), "the scores": scores.numpy().tobytes()}
        return state_digests(network.module) | results

    def _step(self, network: TrainedNetwork, number: int) -> float:
        """Make a step of plain gradient descent; return the loss."""
        module = network.module.train()
        if network.restart_masks is not None:
            network.restart_masks(training_seed(self._spec.random_seed, "dropout", number))
        module.zero_grad()
        labels = torch.arange(self._batch) % self._images.classes
        scores = module(self._pixels(number))
        check_scores(scores, self._batch, self._images.classes)
        loss = nn.functional.cross_entropy(scores, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for each in module.parameters():
                if each.grad is not None:
                    each.sub_(each.grad, alpha=_RATE)
        return float(loss.detach())

    @torch.no_grad()
    def _evaluate(self, network: TrainedNetwork) -> Tensor:
        module = network.module.eval()
        scores: Tensor = module(self._pixels(0))
        check_scores(scores, self._batch, self._images.classes)
        return scores

    def _pixels(self, number: int) -> Tensor:
        """Return random pixels: float32 (batch, channels, width, width)."""
        images, generator = self._images, torch.Generator().manual_seed(number)
        shape = self._batch, images.channels, images.width, images.width
        pixels = torch.rand(shape, generator=generator)
        return pixels.contiguous(memory_format=torch.channels_last)

    def _watched(self, watch: Watch) -> Iterator[Problem]:
        for where, what in watch.draws.items():
            yield Problem(
                f"{where} draws random numbers with {what}: in training, draw with torch.nn's "
                "dropout layers alone, whose draws nnlc seeds; draw constants in build"
            )
        for where, what in watch.unordered.items() if self._device == "cuda" else ():
            yield Problem(
                f"{where} needs torch's {what}, which has no deterministic kernel on GPUs: use "
                "another layer (PyTorch, torch.use_deterministic_algorithms, has the list)"
            )


def _changed(
    memory: dict[tuple[str, str], object],
    later_memory: dict[tuple[str, str], object],
    storage: dict[tuple[str, str], tuple[int, int]],
    later_storage: dict[tuple[str, str], tuple[int, int]],
) -> Iterator[Problem]:
    """Yield what changed in steps beside the values of parameters and buffers."""
    for key in memory | later_memory:
        if memory.get(key) != later_memory.get(key):
            where, what = key
            yield Problem(f"{where} changes {what} in a step, and no file keeps it: {BUFFER}")
    for key in storage | later_storage:
        if storage.get(key) != later_storage.get(key):
            where, name = key
            yield Problem(
                f"{where} puts another tensor in the place of {name!r} in a step: change it in "
                "place, as with copy_"
            )


def _compared(
    here: dict[str, object], there: dict[str, object], template: str
) -> Iterator[Problem]:
    """Yield a problem if two networks differ; the template has braces for what differs first."""
    for name in here | there:
        if here.get(name) != there.get(name):
            yield Problem(template.format(name if name.startswith("the ") else repr(name)))
            return


def _saved(network: nn.Module) -> dict[str, Any]:
    """Return a network's state as it comes from a file."""
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    state: dict[str, Any] = torch.load(file, weights_only=True)
    return state


def _settings_of_torch() -> dict[str, object]:
    """Return settings of torch that all networks of a process share, by what they are."""
    return {
        "torch's deterministic mode": torch.get_deterministic_debug_mode(),
        "torch.backends.cudnn.benchmark": torch.backends.cudnn.benchmark,
        "torch's number of threads": torch.get_num_threads(),
        "torch's default type": torch.get_default_dtype(),
        "torch's default device": torch.get_default_device(),
        "torch's precision of products": torch.get_float32_matmul_precision(),
        "torch's recording of gradients": torch.is_grad_enabled(),
    }


@contextmanager
def _global_state_kept() -> Iterator[None]:
    """Give all global random streams their former states after this context."""
    python, of_numpy, of_torch = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(of_numpy)
        torch.set_rng_state(of_torch)
