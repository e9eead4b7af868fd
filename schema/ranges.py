"""The values that a config's fields may have: stated in their types, checked when a config is made.

    @dataclasses.dataclass(frozen=True)
    class Thresholds(Checked):
        accuracy: Annotated[float, Number(ge=0, le=1)] = 0.0

Every flag, file and Kubeflow parameter becomes such a dataclass, so that no way in is left unchecked. A bool and a
Literal are their own ranges. Plain data: importing this module imports nothing heavy.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
import re
import typing
from typing import Annotated, Any, Literal

_PLAIN = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", pathlib.Path: "a path"}


@dataclasses.dataclass(frozen=True)
class Number:
    """Finite numbers between bounds; at least a lower one is always named."""

    gt: float | None = None
    """Above this."""
    ge: float | None = None
    """This or above."""
    lt: float | None = None
    """Below this."""
    le: float | None = None
    """This or below."""
    multiple_of: int = 1
    """Of this whole number only."""

    def __contains__(self, value: float) -> bool:
        return (
            math.isfinite(value)
            and (self.gt is None or value > self.gt)
            and (self.ge is None or value >= self.ge)
            and (self.lt is None or value < self.lt)
            and (self.le is None or value <= self.le)
            and (self.multiple_of == 1 or value % self.multiple_of == 0)
        )

    def __str__(self) -> str:
        bounds = {"above": self.gt, "at least": self.ge, "below": self.lt, "at most": self.le}
        words = " and ".join(f"{word} {bound}" for word, bound in bounds.items() if bound is not None)
        return f"a multiple of {self.multiple_of}, {words}" if self.multiple_of > 1 else words


@dataclasses.dataclass(frozen=True)
class Text:
    """Texts of one form."""

    pattern: str
    """A regular expression of the whole text."""
    form: str
    """The same in words, for people."""

    def __contains__(self, value: str | pathlib.Path) -> bool:
        return re.fullmatch(self.pattern, str(value)) is not None

    def __str__(self) -> str:
        return self.form


LINE = Text(r"[^\x00-\x1f\x7f\ud800-\udfff]*", "one line of readable text")
"""Of names and places that somebody else judges: no control characters, no bytes that are not UTF-8."""

FOLDER = Text(
    r"[^\x00-\x1f\x7f\ud800-\udfff*?\[\]\\]*",
    r"a path without * ? [ ] \ or unreadable characters",
)
"""TFX looks for files there by patterns; with every other character it finds them (tests/pipeline/test_paths.py)."""


class Checked:
    """A dataclass with this base refuses values outside the ranges that its fields' types state."""

    def __post_init__(self) -> None:
        """Raises ValueError: the field, its value and its range, as one sentence."""
        for name, hint in hints(type(self)).items():
            check(name, getattr(self, name), hint)


def hints(config: Any) -> dict[str, Any]:
    """The types of a dataclass' fields, ranges included."""
    of = typing.get_type_hints(config, include_extras=True)
    return {field.name: of[field.name] for field in dataclasses.fields(config)}


def check(name: str, value: Any, hint: Any) -> None:
    """Raises ValueError unless `value`, called `name`, fits the type `hint` and the ranges stated in it."""
    for allowed in stated(hint):
        _check_type(name, value, hint.__origin__)
        if value not in allowed:
            raise ValueError(f"{name} is {value!r}: it must be {allowed}")
    hint = plain(hint)
    if typing.get_origin(hint) is Literal and value not in typing.get_args(hint):
        raise ValueError(f"{name} is {value!r}: it must be one of {', '.join(map(str, typing.get_args(hint)))}")
    if typing.get_origin(hint) is tuple:
        _check_type(name, value, tuple)
        for number, (element, of) in enumerate(zip(value, elements(hint, len(value)), strict=True)):
            check(f"{name}.{number}", element, of)
    elif typing.get_origin(hint) is dict:
        key_hint, value_hint = typing.get_args(hint)
        for key, element in value.items():
            check(f"a name in {name}", key, key_hint)
            check(f"{name}.{key}", element, value_hint)
    elif isinstance(hint, type):
        _check_type(name, value, hint)


def stated(hint: Any) -> tuple[Number | Text, ...]:
    """The ranges in an annotated type."""
    return tuple(extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Number | Text))


def plain(hint: Any) -> Any:
    """An annotated type without its ranges."""
    return hint.__origin__ if typing.get_origin(hint) is Annotated else hint


def elements(hint: Any, length: int) -> tuple[Any, ...]:
    """The types of a tuple's elements, for a tuple of that length."""
    of = typing.get_args(hint)
    return of[:1] * length if of[1:] == (Ellipsis,) else of


def _check_type(name: str, value: Any, expected: Any) -> None:
    if not isinstance(expected, type):
        return
    accepted = (int, float) if expected is float else (expected,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and expected is not bool):
        raise ValueError(f"{name} is {value!r}: it must be {_PLAIN.get(expected, f'a {expected.__name__}')}")
