from __future__ import annotations

import datetime

import pytest

from pipeline.kubeflow import cron

NOON = datetime.datetime(2026, 1, 1, 12, 30, 0, tzinfo=datetime.UTC)  # a Thursday


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("0 0 3 * * *", ["2026-01-02 03:00:00", "2026-01-03 03:00:00", "2026-01-04 03:00:00"]),
        ("30 */20 * * * *", ["2026-01-01 12:40:30", "2026-01-01 13:00:30", "2026-01-01 13:20:30"]),
        ("0 0 4 ? * MON,fri", ["2026-01-02 04:00:00", "2026-01-05 04:00:00", "2026-01-09 04:00:00"]),
        ("0 0 0 1 1-3 *", ["2026-02-01 00:00:00", "2026-03-01 00:00:00", "2027-01-01 00:00:00"]),
    ],
)
def test_the_next_times_of_six_fields_seconds_first(expression: str, times: list[str]) -> None:
    cron.check(expression)
    assert [f"{time:%Y-%m-%d %H:%M:%S}" for time in cron.next_times(expression, NOON)] == times


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("0 3 * * *", r"KFP takes six fields, seconds first; write '0 0 3 \* \* \*'"),
        ("*/5 * * * mon", r"write '0 \*/5 \* \* \* mon'"),
        ("every night", "it must be six fields"),
        ("@daily", "it must be six fields"),
        ("", "it must be six fields"),
        ("0 0 3 * *  * 2027", "it must be six fields"),
        ("60 0 3 * * *", "'60' are no seconds, which are 0 to 59"),
        ("0 0 24 * * *", "'24' are no hours"),
        ("0 0 3 0 * *", "'0' are no days of the month"),
        ("0 0 3 * * 7", "'7' are no days of the week, which are 0 to 6 or SUN to SAT"),
        ("0 0 3 * JAM *", "'JAM' are no months"),
        ("0 0 22-3 * * *", "'22-3' are no hours"),
        ("0 */0 * * * *", r"'\*/0' are no minutes"),
        ("0 0 3 L * *", "'L' are no days of the month"),
        ("0 0 3 31 2 *", "there is no such date"),
    ],
)
def test_what_kfp_would_read_otherwise_is_refused(expression: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cron.check(expression)
