from __future__ import annotations

import time
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from tfx.components.evaluator import executor
from tfx_bsl.coders import batch_util

from components.evaluator import BATCH, Evaluator, Executor


def _size(batch: list[bytes]) -> int:
    time.sleep(0.3)  # Left to itself, Beam makes the next batch a larger or a smaller one.
    return len(batch)


def test_batches_have_one_size_however_long_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any) -> None:
        """As TFX's executor has its examples read."""
        with beam.Pipeline(argv=["--direct_running_mode=in_memory"]) as pipeline:
            examples = pipeline | beam.Create([b"example"] * (3 * BATCH + 4), reshuffle=False)
            batches = examples | batch_util.BatchRecords(batch_size=None, telemetry_descriptors=["tests"])
            assert_that(batches | beam.Map(_size), equal_to([BATCH, BATCH, BATCH, 4]))

    monkeypatch.setattr(executor.Executor, "Do", read)
    Executor().Do({}, {}, {})
    assert batch_util.GetBatchElementsKwargs(None)["max_batch_size"] > BATCH, "others are left alone"


def test_the_component_runs_it() -> None:
    assert Evaluator.EXECUTOR_SPEC.executor_class is Executor
