"""Configurations composed by Hydra, once for each distinct choice of groups."""

from collections.abc import Sequence
from typing import Any

from hydra import compose
from omegaconf import DictConfig, OmegaConf

from actbench.experiment.overrides import Choice


class Trees:
    """A cache of composed trees by the choices that are not scalars; Hydra takes 0.07 s for each."""

    def __init__(self) -> None:
        self._composed: dict[tuple[Choice, ...], DictConfig] = {}
        self._resolved: dict[tuple[Choice, ...], dict[str, Any]] = {}
        self._separable: dict[tuple[Choice, ...], bool] = {}  # whether a tree differs from the first in one group
        self._changed: dict[tuple[int, str, int], dict[str, Any]] = {}  # groups with a scalar set

    def point(self, choice: Sequence[Choice]) -> dict[str, Any]:
        """The resolved mapping of one grid point: scalars are set on a copy of its composed tree."""
        structure = tuple(item for item in choice if not item.scalar)
        scalars = [item for item in choice if item.scalar]
        if structure not in self._resolved:
            tree = self._tree(structure, [line for item in scalars for line in item.lines])
            mapping: Any = OmegaConf.to_container(tree, resolve=True, throw_on_missing=True)
            self._resolved[structure] = {str(key): value for key, value in mapping.items() if key != "hydra"}
        point = dict(self._resolved[structure])
        for item in scalars:
            group, _, key = item.scalar.partition(".")
            point[group] = self._with(point[group], key, item) if key else item.value
        return point

    def _with(self, group: dict[str, Any], key: str, item: Choice) -> dict[str, Any]:
        """The group with the key set to the item's value: the same object each time, so that it is validated once."""
        place = (id(group), key, id(item))  # the trees and the axes of the grid keep both alive
        if place not in self._changed:
            self._changed[place] = {**group, key: item.value}
        return self._changed[place]

    def _tree(self, structure: tuple[Choice, ...], scalar_lines: list[str]) -> DictConfig:
        """Returns a tree composed by Hydra, or merged from trees that differ from the first in one choice."""
        if structure not in self._composed:
            merged = self._merged(structure, scalar_lines) if self._composed else None
            # The scalars of the first point are composed too, so that Hydra checks their keys.
            lines = [line for item in structure for line in item.lines] + scalar_lines
            self._composed[structure] = compose("config", lines) if merged is None else merged
        return self._composed[structure]

    def _merged(self, structure: tuple[Choice, ...], scalar_lines: list[str]) -> DictConfig | None:
        """Returns None if only one choice differs, or if one changes more than its own group."""
        base = next(iter(self._composed))
        differing = [place for place, item in enumerate(structure) if item != base[place]]
        if len(differing) < 2:
            return None
        tree = self._composed[base].copy()
        for place in differing:
            choice = (*base[:place], structure[place], *base[place + 1 :])
            variant, group = self._tree(choice, scalar_lines), structure[place].group
            if choice not in self._separable:
                changed = [key for key in variant if variant[key] != self._composed[base][key]]
                self._separable[choice] = changed in ([], [group])
            if not self._separable[choice]:
                return None
            tree[group] = variant[group]
        return tree
