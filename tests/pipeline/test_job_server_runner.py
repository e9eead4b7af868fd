from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest
from apache_beam.runners.portability import portable_runner

from pipeline import job_server_runner

RUNNING = [{"jid": "a1", "name": "BeamApp-mine"}, {"jid": "b2", "name": "BeamApp-another"}]


class _Flink(http.server.BaseHTTPRequestHandler):
    """As much of Flink's REST interface as a cancellation needs."""

    cancelled: list[str]

    def do_GET(self) -> None:
        assert self.path == "/jobs/overview"
        self._answer(200, json.dumps({"jobs": RUNNING}).encode())

    def do_PATCH(self) -> None:
        self.cancelled.append(self.path)
        self._answer(202, b"{}")

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def flink() -> Iterator[str]:
    _Flink.cancelled = []
    with http.server.HTTPServer(("localhost", 0), _Flink) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"localhost:{server.server_port}"
        server.shutdown()


def test_the_job_itself_is_cancelled_in_flink_and_no_other(flink: str) -> None:
    job_server_runner._cancel_in_flink(flink, "BeamApp-mine")
    assert _Flink.cancelled == ["/jobs/a1"]


def test_a_job_that_flink_does_not_know_is_waited_for_no_longer_than_an_answer(
    flink: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_server_runner, "_ANSWER_SECONDS", 1)
    job_server_runner._cancel_in_flink(flink, "BeamApp-never-there")
    assert _Flink.cancelled == []


@pytest.mark.parametrize(
    ("master", "where"), [("[auto]", ""), ("flink:8081", " (http://flink:8081 has all of its errors)")]
)
def test_a_failed_job_is_its_last_error_and_the_page_of_the_others(
    monkeypatch: pytest.MonkeyPatch, master: str, where: str
) -> None:
    def fail(self: object, duration: int) -> None:
        raise RuntimeError("Pipeline BeamApp-mine failed in state FAILED")

    monkeypatch.setattr(portable_runner.PipelineResult, "wait_until_finish", fail)
    monkeypatch.setattr(job_server_runner._Result, "_last_error_message", lambda self: "java.Exception\nE: a breed\n\n")
    result = object.__new__(job_server_runner._Result)
    vars(result).update(_endpoint="localhost:8099", _flink_master=master, _seconds=60)
    with pytest.raises(RuntimeError) as failure:
        result.wait_until_finish()
    assert str(failure.value) == f"the Beam job at localhost:8099 failed: E: a breed{where}"
