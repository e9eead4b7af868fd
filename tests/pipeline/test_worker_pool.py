from __future__ import annotations

import pathlib
import tempfile
import time
from concurrent import futures

import psutil
import pytest
from apache_beam.portability.api import beam_fn_api_pb2

from pipeline.worker_pool import WorkerPool


def test_a_worker_that_dies_before_it_has_found_its_engine_is_an_error_and_leaves_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    request = beam_fn_api_pb2.StartWorkerRequest(worker_id="1-1")
    request.control_endpoint.url = "localhost:1"
    with futures.ThreadPoolExecutor() as threads:
        answer = threads.submit(WorkerPool(use_process=True).StartWorker, request)
        while not (started := [child for child in psutil.Process().children() if "1-1" in child.cmdline()]):
            time.sleep(0.01)
        started[0].kill()
        assert answer.result(timeout=30).error == "a Beam worker ended at its start, with -9"
    deadline = time.monotonic() + 5
    while list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not list(tmp_path.iterdir())
