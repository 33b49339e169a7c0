"""Configurations of the article's search space, in the place of the sampler's random numbers."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from nnlc.errors import NnlcError, check_kind
from nnlc.families.article.flat_layers import flat_layers
from nnlc.families.article.sampler import sample_network
from nnlc.families.article.space import SearchSpace
from nnlc.families.article.spec import DROPOUT, POOLING, NetworkSpec
from nnlc.networks.draws import Draws, power_of_ten
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.optimizers import OPTIMIZERS
from nnlc.system.extras import require_extra

T = TypeVar("T")
When = Sequence[tuple[str, str, Any]] | None
"""Conditions of a hyperparameter: test, name of the parent, value; None if it is never active."""

_META = "nnlc"
_UNITS = range(2**53)
"""The sampler's random numbers, times 2**53."""


def make_space(
    space: SearchSpace,
    images: ImageSet,
    depths: tuple[int, int],
    optimizer: str,
    *,
    name: str,
    seed: int | None,
) -> Any:
    """Return a search space as a `ConfigSpace.ConfigurationSpace`.

    Args:
        space: the search space.
        images: the images that its networks train on.
        depths: lowest and highest number of convolutions.
        optimizer: name of the optimizer.
        name: name of the result.
        seed: seed of its random configurations.
    """
    from ConfigSpace import ConfigurationSpace

    origin = {"space": asdict(space), "images": asdict(images), "depths": depths}
    meta = {_META: origin | {"optimizer": optimizer}}
    found = ConfigurationSpace(name=name, seed=seed, meta=meta)
    parts = _Parts(space, images, depths, optimizer)
    found.add(*parts.named.values(), *parts.conditions)
    return found


def config_to_network(
    config: Any, *, id: str, random_seed: int, train_gpu: bool = True
) -> NetworkSpec:
    """Return the network of a configuration of `config_space`.

    Args:
        config: the `ConfigSpace.Configuration`.
        id: the network's ID, of the form YYYY_MM_DD_HH_MM_SS_ffffff.
        random_seed: the network's seed, for its initial weights and the order of images.
        train_gpu: value of the `train_GPU` column.

    Raises:
        NnlcError: the configuration is not of `config_space`, or ID or seed has a wrong form.
    """
    if not hasattr(config, "config_space"):
        raise NnlcError("give a ConfigSpace.Configuration; for a dict, Configuration(space, dict)")
    return _drawn(_Answers(config), config.config_space, random_seed, id=id, train_gpu=train_gpu)


def network_to_config(spec: NetworkSpec, space: Any) -> Any:
    """Return the configuration from which `config_to_network` makes exactly this network.

    Args:
        spec: the network.
        space: the result of `config_space`.

    Returns:
        The `ConfigSpace.Configuration`. As no specification says if filters had to increase,
        `increasing_filters` is True if they do. The article's own networks come back with
        `torch_set_deterministic` True, not False.

    Raises:
        NnlcError: the network is not in this search space; the message says what is outside.
    """
    require_extra("bench", "network_to_config", "ConfigSpace")
    from ConfigSpace import Configuration, ConfigurationSpace

    check_kind("spec", spec, NetworkSpec, "a NetworkSpec, as nnlc.read_table(path).spec gives it")
    check_kind("space", space, ConfigurationSpace, "the result of nnlc.config_space")
    draws = _Wanted(spec, space)
    drawn = _drawn(draws, space, spec.random_seed, id=spec.id, train_gpu=spec.train_gpu)
    drawn = replace(drawn, torch_set_deterministic=spec.torch_set_deterministic)
    for name in (field.name for field in fields(spec)):
        if getattr(spec, name) != getattr(drawn, name):
            draws.refuse(f"{name} is {getattr(spec, name)}, not {getattr(drawn, name)}")
    return Configuration(space, vector=draws.vector)


def _drawn(draws: Draws, space: Any, random_seed: int, **whose: Any) -> NetworkSpec:
    """Return the network that draws make in a space of `config_space`."""
    origin = (space.meta or {}).get(_META)
    if origin is None:
        raise NnlcError(
            "this ConfigSpace names no campaign (none does that a file has): use nnlc.config_space"
        )
    depth = draws.integer(origin["depths"][0], origin["depths"][1], "depth")
    given, images = SearchSpace(**origin["space"]), ImageSet(**origin["images"])
    whose |= {"optimizer": origin["optimizer"], "draws": draws}
    return sample_network(given, images, depth, random_seed, **whose)


class _Parts:
    """Hyperparameters of a ConfigSpace by name, and its conditions; without those of no choice."""

    def __init__(
        self, space: SearchSpace, images: ImageSet, depths: tuple[int, int], optimizer: str
    ) -> None:
        self.named: dict[str, Any] = {}
        self.conditions: list[Any] = []
        self._number("depth", depths)
        self._option("increasing_filters", space.increasing_filters)
        codes = list(dict.fromkeys(space.blocks))
        odds = [space.blocks.count(code) for code in codes]
        layers = range(1, depths[1] + 1)
        for k in layers:
            here = [("GreaterThan", "depth", k - 1)] if k > depths[0] else []
            for name in ("filters", "kernel", "stride"):
                self._share(f"conv{k}_{name}", getattr(space, name), here)
            self._number(f"conv{k}_padding", space.padding, here)
            if len(codes) > 1:
                self._add("Categorical", f"conv{k}_block", codes, codes[0], None, odds, when=here)
            pooling = _blocks_with(POOLING, codes, [k], here)
            for name in ("kernel", "stride", "padding"):
                self._share(f"pool{k}_{name}", getattr(space, f"pool_{name}"), pooling)
        dropout = _blocks_with(DROPOUT, codes, layers, ())
        self._number("dropout_rate", space.dropout_rate, dropout, "Or")
        self._fully_connected(space)
        self._number("learning_rate_exponent", space.learning_rate_exponent)
        for name in (*OPTIMIZERS[optimizer].uses, "weight_decay"):
            used = self._option(name, getattr(space, name))
            self._number(f"{name}_exponent", getattr(space, f"{name}_exponent"), used)
        sizes = space.legal_batch_sizes(images)
        if len(sizes) > 1:
            self._add("Ordinal", "batch_size", sizes)

    def _fully_connected(self, space: SearchSpace) -> None:
        fewest, most = space.fc_layers
        self._number("fc_layers", space.fc_layers)
        dropout = self._option("fc_dropout", space.fc_dropout)
        self._number("fc_dropout_rate", space.fc_dropout_rate, dropout)
        for j in range(1, most):
            here = [("GreaterThan", "fc_layers", j)] if j >= fewest else []
            self._number(f"fc{j}_units", space.fc_units, here)
            self._option(f"fc{j}_dropout", "coin", None if dropout is None else [*here, *dropout])

    def _number(
        self, name: str, bounds: tuple[float, float], when: When = (), join: str = "And"
    ) -> None:
        """Add a number of the network itself."""
        kind = "UniformFloat" if name.endswith(("_rate", "_exponent")) else "UniformInteger"
        if bounds[0] != bounds[1]:
            self._add(kind, name, *bounds, when=when, join=join)

    def _share(self, name: str, bounds: tuple[Any, Any], when: When) -> None:
        """Add the share of a range that depends on other values."""
        if bounds[0] != bounds[1]:
            self._add("UniformFloat", name, 0.0, 1.0, when=when)

    def _option(self, name: str, coin: str, when: When = ()) -> When:
        """Add an option if a coin decides it; return when the option is used."""
        if coin != "coin" or when is None:
            return when if coin == "always" else None
        self._add("Categorical", name, [False, True], when=when)
        return [("Equals", name, True)]

    def _add(self, kind: str, name: str, *values: Any, when: When = (), join: str = "And") -> None:
        import ConfigSpace

        if when is None:
            return
        own = self.named[name] = getattr(ConfigSpace, f"{kind}Hyperparameter")(name, *values)
        tests = [
            getattr(ConfigSpace, f"{test}Condition")(own, self.named[parent], value)
            for test, parent, value in when
        ]
        if len(tests) > 1:
            tests = [getattr(ConfigSpace, f"{join}Conjunction")(*tests)]
        self.conditions += tests


def _blocks_with(bit: int, codes: list[int], layers: Iterable[int], always: When) -> When:
    """Return when a block of these convolutions has a kind of layer."""
    having = [code for code in codes if code & bit]
    if len(having) == len(codes):
        return always
    return [("In", f"conv{k}_block", having) for k in layers] if having else None


class _Answers(Draws):
    """Draws that a configuration decides; what it does not have leaves no choice."""

    def __init__(self, config: Any) -> None:
        self._config = config

    def unit(self, name: str) -> float:
        if name not in self._config:
            return 0.0
        entry = self._config.get_array()[self._config.config_space.index_of[name]]
        return min(int(float(entry) * len(_UNITS)), _UNITS[-1]) / len(_UNITS)

    def integer(self, low: int, high: int, name: str = "") -> int:
        value = self._config.get(name)
        return value if isinstance(value, int) else super().integer(low, high, name)

    def coin(self, name: str = "") -> bool:
        return bool(self._config.get(name))

    def choice(self, options: Sequence[T], name: str = "") -> T:
        return options[options.index(self._config.get(name, options[0]))]


class _Wanted(Draws):
    """Draws that make a given network, and the vector of its configuration."""

    def __init__(self, spec: NetworkSpec, space: Any) -> None:
        self.vector = np.full(len(space), np.nan)
        self._id, self._space, self._unit = spec.id, space, 0.0
        layers = {name: column[0] for name, column in flat_layers(pd.DataFrame([spec.to_json()]))}
        flat = spec.to_json() | {"depth": spec.depth} | layers
        filters, options = spec.conv_filters, ("momentum", "dampening", "weight_decay")
        self._wanted: dict[Any, Any] = {
            **flat,
            **{f"{name}_exponent": flat[name] for name in ("learning_rate", *options)},
            **{name: isinstance(getattr(spec, name), float) for name in options},
            "fc_dropout": isinstance(spec.fc_dropout_rate, float),
            "increasing_filters": len(filters) > 1 and list(filters) == sorted(filters),
        }

    def refuse(self, problem: str) -> None:
        raise NnlcError(f"network {self._id} is not in this search space: {problem}")

    def _record(self, name: str, value: T, unit: float = 0.0) -> T:
        if (entry := self._space.get(name)) is not None:
            place = self._space.index_of[name]
            self.vector[place] = unit if np.isinf(entry.size) else entry.to_vector(value)
        return value

    def unit(self, name: str) -> float:
        del name
        return self._unit

    def integer(self, low: int, high: int, name: str = "") -> int:
        value = int(self._wanted[name])
        if not low <= value <= high:
            self.refuse(f"{name} is {value}, not from {low} to {high}")
        return self._record(name, value, (value - low + 0.5) / (high - low + 1))

    def uniform(self, low: float, high: float, name: str = "") -> float:
        value, is_power = self._wanted[name], name.endswith("_exponent")

        def draw(number: int) -> Any:
            self._unit = number / len(_UNITS)
            drawn = super(_Wanted, self).uniform(low, high)
            return power_of_ten(drawn) if is_power else drawn

        draw(bisect_left(_UNITS[:-1], value, key=draw))
        return self._record(name, super().uniform(low, high), self._unit)

    def coin(self, name: str = "") -> bool:
        return self._record(name, bool(self._wanted[name]))

    def choice(self, options: Sequence[T], name: str = "") -> T:
        if self._wanted[name] not in options:
            self.refuse(f"{name} is {self._wanted[name]}")
        return self._record(name, options[options.index(self._wanted[name])])
