"""The torch module of a network of a family that is written against the documented interface."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parameter import is_lazy

from nnlc.console import printing_aside
from nnlc.errors import FamilyError
from nnlc.families.interface import Family, FamilySpec, ImageSet, Layer
from nnlc.families.network_family import TrainedNetwork
from nnlc.families.own_code import what_was_raised


def trained_network(
    family: Family, spec: FamilySpec, images: ImageSet, device: torch.device
) -> TrainedNetwork:
    """Return a network as trainers train it.

    Raises:
        FamilyError: the family's code fails, or returns no module.
        MemoryError, RuntimeError: the network does not fit into memory.
    """
    module = built(family, spec, images)
    tensors = (*module.parameters(), *module.buffers())
    if device.type == "cpu" and all(each.dim() != 5 for each in tensors):  # torch refuses 5
        module = module.to(memory_format=torch.channels_last)
    has_dropout = any(isinstance(each, _DropoutNd) for each in module.modules())
    return TrainedNetwork(module.to(device), _restart_masks(device) if has_dropout else None)


def built(family: Family, spec: FamilySpec, images: ImageSet) -> nn.Module:
    """Return the module that a family builds.

    Raises:
        FamilyError: the family's code fails, or returns no module.
        MemoryError, RuntimeError: the network does not fit into memory.
    """
    try:
        with printing_aside():
            module: object = family.build(spec, images)
    except MemoryError:
        raise
    except (Exception, SystemExit) as problem:
        if "can't allocate memory" in str(problem):
            raise
        raise FamilyError(f"build raised {what_was_raised(family, problem)}") from problem
    if not isinstance(module, nn.Module):
        raise FamilyError(f"build returned {type(module).__name__}, not a torch.nn.Module")
    for path, each in module.named_modules():
        if any(map(is_lazy, each.parameters(recurse=False))):
            raise FamilyError(
                f"{shown(path, each)} is lazy: give its sizes, so that build makes its weights"
            )
    return module


def shown(path: str, module: nn.Module) -> str:
    """Return a module's path and class for a message."""
    return f"{path or 'the network itself'} ({type(module).__name__})"


def is_of_torch(module: nn.Module) -> bool:
    """Return True if torch defines a module's class."""
    return type(module).__module__.split(".")[0] == "torch"


def _restart_masks(device: torch.device) -> Callable[[int], None]:
    """Return the function that seeds the stream from which torch's dropout layers draw."""

    def restart(seed: int) -> None:
        if device.type == "cpu":  # torch.manual_seed takes 0.5 ms, as it asks for devices
            torch.default_generator.manual_seed(seed)
        else:
            torch.cuda.manual_seed(seed)

    return restart


def module_layers(family: Family, spec: FamilySpec, images: ImageSet) -> Iterator[Layer]:
    """Yield the layers of a network in the order in which they are called.

    Layers are modules without others within them, or with parameters beside these. Outputs have no
    shape if the network can't be called on torch's meta device.
    """
    with torch.device("meta"):
        module = built(family, spec, images)
        pixels = torch.zeros(2, images.channels, images.width, images.width)
    shapes: dict[nn.Module, tuple[int, ...]] = {}

    def note(layer: nn.Module, _: object, output: object) -> None:
        shapes.setdefault(layer, tuple(output.shape[1:]) if isinstance(output, Tensor) else ())

    own = {each: list(each.parameters(recurse=False)) for each in module.modules()}
    layers = [each for each in own if own[each] or not list(each.children())]
    for each in layers:
        each.register_forward_hook(note)
    with suppress(Exception), torch.no_grad():  # whatever a module does without its values
        module(pixels)
    counted: set[nn.Parameter] = set()
    for each in dict.fromkeys([*shapes, *layers]):
        new = {*own[each]} - counted  # layers may share parameters
        counted |= new
        if each in shapes or own[each] or not shapes:
            yield Layer(_name(each), shapes.get(each, ()), sum(one.numel() for one in new))


def _name(layer: nn.Module) -> str:
    """Return the class of a layer, and the sizes of its window if it has one."""
    kernel, stride = (getattr(layer, name, None) for name in ("kernel_size", "stride"))
    if not isinstance(kernel, tuple | int):
        return type(layer).__name__
    sizes = (kernel, kernel) if isinstance(kernel, int) else kernel
    steps = {*stride} if isinstance(stride, tuple) else {stride or kernel}
    window, step = ("×".join(map(str, each)) for each in (sizes, sorted(steps)))
    return f"{type(layer).__name__} {window} stride {step}"
