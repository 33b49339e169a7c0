"""Layers of networks as text that `page/layers.js` draws."""

from collections.abc import Iterable
from functools import cache

from nnlc.errors import NnlcError
from nnlc.families.interface import Layer
from nnlc.families.layouts import drawn_layers
from nnlc.families.network_family import NetworkFamily
from nnlc.families.reference import FamilyReference
from nnlc.families.registry import completed, make_family
from nnlc.networks import FamilySpec, Specification
from nnlc.reporting.network_state import PageNetwork
from nnlc.wording import printable

MOST_BUILT = 300
"""Networks whose layers are taken from their torch modules; a module takes some 30 ms."""
_LONGEST_NAME = 80
_DIMENSIONS = (1, 3)
"""Numbers of a shape that the page draws: features, or channels, height and width."""


class FoundFamilies:
    """Families of tables without a campaign: those that nnlc ships and those of packages."""

    def __init__(self) -> None:
        self._of = cache(self._find)

    def of(self, spec: Specification) -> NetworkFamily | None:
        """Return a network's family, or None if its code is not found here in this version."""
        return self._of(spec.family) if isinstance(spec, FamilySpec) else None

    def _find(self, label: str) -> NetworkFamily | None:
        try:
            reference = completed(FamilyReference(name=label.partition("@")[0]))
            return make_family(reference, None) if reference.label == label else None
        except NnlcError:
            return None


class LayerTexts:
    """Texts of the layers of a page's networks; networks with equal values share one."""

    def __init__(self) -> None:
        self._known: dict[object, str] = {}
        self._built = 0

    def text(self, network: PageNetwork) -> str:
        """Return a network's layers; "" if they can't be drawn, so that its values are told."""
        spec, images, family = network.spec, network.images, network.family
        if images is None:
            return ""
        if not spec.layout.is_named:
            return drawn_layers(spec, images) or ""
        if family is None:
            return ""
        values = (images, *(getattr(spec, column.field) for column in spec.layout.own))
        if values not in self._known:
            self._known[values] = self._own_text(network)
        return self._known[values]

    def _own_text(self, network: PageNetwork) -> str:
        family, images = network.family, network.images
        if family is None or images is None:
            return ""
        if not family.tells_layers:
            self._built += 1
            if self._built > MOST_BUILT:
                return ""
        try:
            return _encode(family.layers(network.spec, images))
        except NnlcError:  # torch is not installed, or the family can't build this network
            return ""


def _encode(layers: Iterable[Layer]) -> str:
    """Return layers, separated by semicolons: "o", name, parameters, and the output's shape."""
    texts = []
    for layer in layers:
        name = printable(str(layer.name))[:_LONGEST_NAME].replace(";", ",").replace(" ", "_")
        shape = layer.output if len(layer.output) in _DIMENSIONS else ()
        texts.append(" ".join(map(str, ("o", name or "_", layer.parameters, *shape))))
    return ";".join(texts)
