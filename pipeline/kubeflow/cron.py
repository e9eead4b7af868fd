"""Cron expressions as Kubeflow Pipelines reads them: six fields, seconds first (github.com/robfig/cron, version 1)."""

from __future__ import annotations

import datetime
import re

import croniter

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

_FIELDS = {
    "seconds": (0, 59, ()),
    "minutes": (0, 59, ()),
    "hours": (0, 23, ()),
    "days of the month": (1, 31, ()),
    "months": (1, 12, _MONTHS),
    "days of the week": (0, 6, _DAYS),
}
"""Smallest and largest number of each field, and names for them from the smallest on."""


def check(cron: str) -> None:
    """Raises ValueError, with what to write instead, unless KFP reads `cron` as a person means it.

    Of five fields KFP takes the first for seconds and the last as left out: a nightly schedule would run every hour.
    """
    fields = cron.split()
    if len(fields) == 5 and all(map(_fits, fields, list(_FIELDS)[1:])):
        raise ValueError(f"cron is {cron!r}: KFP takes six fields, seconds first; write '0 {' '.join(fields)}'")
    if len(fields) != 6:
        raise ValueError(
            f"cron is {cron!r}: it must be six fields, {', '.join(_FIELDS)}; '0 0 3 * * *' is every night at three"
        )
    for field, name in zip(fields, _FIELDS, strict=True):
        if not _fits(field, name):
            low, high, names = _FIELDS[name]
            also = f" or {names[0]} to {names[-1]}" if names else ""
            raise ValueError(f"cron is {cron!r}: {field!r} are no {name}, which are {low} to {high}{also}, * , - /")
    try:
        next_times(cron, datetime.datetime.now(datetime.UTC))
    except croniter.CroniterBadDateError as error:
        raise ValueError(f"cron is {cron!r}: there is no such date") from error


def next_times(cron: str, after: datetime.datetime) -> list[datetime.datetime]:
    """The next three times of a checked cron expression."""
    # Cron's `?` is its `*`.
    times = croniter.croniter(cron.replace("?", "*"), after, second_at_beginning=True)
    return [times.get_next(datetime.datetime) for _ in range(3)]


def _fits(field: str, name: str) -> bool:
    low, high, names = _FIELDS[name]
    for part in field.upper().split(","):
        match = re.fullmatch(r"(?:[*?]|(\w+)(?:-(\w+))?)(?:/([1-9]\d*))?", part)
        if not match:
            return False
        ends = [_number(end, low, names) for end in match.groups()[:2] if end]
        if not all(low <= end <= high for end in ends) or ends != sorted(ends):
            return False
    return True


def _number(text: str, low: int, names: tuple[str, ...]) -> int:
    """-1 where the text is neither a number nor a name."""
    if text in names:
        return low + names.index(text)
    return int(text) if text.isdecimal() else -1
