from __future__ import annotations

import dataclasses
import math
import pathlib
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest

from pipeline.configs import Config
from pipeline.kubeflow import commands
from schema import ranges
from schema.dataset_spec import DatasetSpec
from trainer_module.config import TrainerConfig


def _dataclasses(config: Any) -> Iterator[Any]:
    """A dataclass and all that its fields hold."""
    if typing.get_origin(config) is not None:
        for of in typing.get_args(config):
            yield from _dataclasses(of)
    elif isinstance(config, type) and dataclasses.is_dataclass(config) and config is not DatasetSpec:
        yield config
        for hint in ranges.hints(config).values():
            yield from _dataclasses(hint)


ROOTS = (Config, TrainerConfig, *commands.COMMANDS.values())
CLASSES = sorted({of for root in ROOTS for of in _dataclasses(root)}, key=lambda of: of.__name__)
FIELDS = [(of, name, hint) for of in CLASSES for name, hint in ranges.hints(of).items()]


def _unstated(hint: Any) -> list[Any]:
    """The parts of a type that have no range."""
    if ranges.stated(hint):
        return []
    plain = ranges.plain(hint)
    if typing.get_origin(plain) in (tuple, dict):
        return [part for of in typing.get_args(plain) if of is not Ellipsis for part in _unstated(of)]
    # A description checks itself: tests/schema/test_dataset_spec.py.
    if plain is bool or typing.get_origin(plain) is Literal or issubclass(plain, ranges.Checked | DatasetSpec):
        return []
    return [plain]


def test_every_config_is_walked() -> None:
    names = {of.__name__ for of in CLASSES}
    assert names >= {"Augmentation", "Beam", "Compile", "Config", "Data", "Deployment", "Phase", "Recipe", "Resources"}
    assert names >= {"Schedule", "Server", "Submit", "Thresholds", "TrainerConfig", "Wait"}
    assert all(issubclass(of, ranges.Checked) for of in CLASSES)


@pytest.mark.parametrize(("config", "name", "hint"), FIELDS, ids=[f"{of.__name__}.{name}" for of, name, _ in FIELDS])
def test_every_field_of_every_config_has_a_stated_range(config: Any, name: str, hint: Any) -> None:
    assert not _unstated(hint)


NUMBERS = [(of, name, hint) for of, name, hint in FIELDS if ranges.plain(hint) in (int, float)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -7.0, "1", True, None])
@pytest.mark.parametrize(("config", "name", "hint"), NUMBERS, ids=[f"{of.__name__}.{name}" for of, name, _ in NUMBERS])
def test_no_number_takes_what_is_none_or_lies_below_all_ranges(config: Any, name: str, hint: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} is .*: it must be"):
        ranges.check(name, value, hint)


@pytest.mark.parametrize(
    ("hint", "good", "bad", "message"),
    [
        (Annotated[float, ranges.Number(ge=0, le=1)], (0, 1, 0.5), (-0.1, 1.1), "at least 0 and at most 1"),
        (Annotated[float, ranges.Number(gt=0, lt=1)], (1e-9, 0.999), (0, 1), "above 0 and below 1"),
        (Annotated[int, ranges.Number(ge=0, le=96, multiple_of=32)], (0, 32), (33, 128), "a multiple of 32, at least"),
        (Annotated[int, ranges.Number(ge=1)], (1,), (1.5, 2.0), "a whole number"),
        (Annotated[str, ranges.Text("a+", "some a")], ("aa",), ("", "ab", 3), "some a|a text"),
        (Annotated[pathlib.Path, ranges.LINE], (pathlib.Path("a b"),), (pathlib.Path("a\nb"),), "one line"),
        (Literal["x", "y"], ("x",), ("z",), "one of x, y"),
        (tuple[Annotated[int, ranges.Number(ge=1)], ...], ((), (1, 2)), ((1, 0),), r"field\.1 is 0"),
        (dict[str, Annotated[int, ranges.Number(ge=1)]], ({"a": 1},), ({"a": 0},), r"field\.a is 0"),
        (bool, (True,), (1, "yes"), "true or false"),
    ],
)
def test_what_each_kind_of_range_takes(hint: Any, good: tuple[Any, ...], bad: tuple[Any, ...], message: str) -> None:
    for value in good:
        ranges.check("field", value, hint)
    for value in bad:
        with pytest.raises(ValueError, match=message):
            ranges.check("field", value, hint)
