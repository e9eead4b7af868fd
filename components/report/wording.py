"""How the report and the model card write figures and names."""

from __future__ import annotations

from collections.abc import Callable

from components.metrics.results import Interval

DASH = "\N{EN DASH}"
"""Between the ends of an interval, and for a figure that there is not."""


def percent(value: float | None, digits: int = 1) -> str:
    """`93.4` of 0.934."""
    return DASH if value is None else f"{100 * value:.{digits}f}"


def signed(value: float) -> str:
    """`+1.2` of 0.012, a difference in points of a percentage."""
    return f"{100 * value:+.1f}"


def duration(seconds: float) -> str:
    """`1 h 02 min`, `3 min 20 s` or `4.2 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def megabytes(size: float) -> str:
    return f"{size / 1e6:.1f}"


def readable(name: str) -> str:
    """`great pyrenees` of `great_pyrenees`, in one line, for the card's tables have one a row."""
    return " ".join(name.replace("_", " ").splitlines())


def titled(text: str) -> str:
    """`Mask F1` of `mask F1`, and `JPEG` as it is."""
    return text[:1].upper() + text[1:]


def bounds(figure: Interval, show: Callable[[float], str] = percent) -> str:
    """Both ends of the interval; nothing without one."""
    if figure.lower is None or figure.upper is None:
        return ""
    return f"{show(figure.lower)}{DASH}{show(figure.upper)}"
