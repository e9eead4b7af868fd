"""Beam's runner for job servers, with an end to every wait and one-sentence errors.

Flink's, Spark's and any other job server speak one API, so one runner serves them all.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib import request

import grpc
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions, PortableOptions
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability import portable_runner
from apache_beam.runners.runner import PipelineState

_ANSWER_SECONDS = 30
_NO_MASTER = "[auto]"
"""Beam's `flink_master` where none was named."""


class JobServerRunner(portable_runner.PortableRunner):
    """Runs a pipeline at `--job_endpoint`; `--job_server_timeout` seconds are the most that a job may take."""

    def run_portable_pipeline(self, pipeline: Any, options: PipelineOptions) -> _Result:
        """Submits the pipeline.

        Raises:
            ConnectionError: nobody answers at the endpoint, or not like a job server.
        """
        endpoint = options.view_as(PortableOptions).job_endpoint
        # Beam would wait for as long as a job may take.
        with grpc.insecure_channel(endpoint) as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout=_ANSWER_SECONDS)
            except grpc.FutureTimeoutError:
                raise ConnectionError(
                    f"beam.job_endpoint is {endpoint}, and no job server answered there for {_ANSWER_SECONDS} s"
                ) from None
        try:
            submitted = super().run_portable_pipeline(pipeline, options)
        except grpc.RpcError as error:
            raise ConnectionError(f"the job server at {endpoint} refused the job: {_details(error)}") from None
        return _Result(submitted, options)


class _Result(portable_runner.PipelineResult):
    def __init__(self, submitted: Any, options: PipelineOptions) -> None:
        self.__dict__.update(submitted.__dict__)
        self._message_stream = _while_there(submitted._message_stream)
        self._endpoint = options.view_as(PortableOptions).job_endpoint
        self._flink_master = options.view_as(FlinkRunnerOptions).flink_master
        self._seconds = options.view_as(PortableOptions).job_server_timeout

    def wait_until_finish(self, duration: int | None = None) -> str:
        """Waits for the job, `duration` or else `--job_server_timeout`.

        Interrupted, or out of time, it cancels the job.

        Raises:
            RuntimeError: the job failed; its last error line is the message.
            TimeoutError: it did not end in time.
            ConnectionError: the job server is gone.
        """
        try:
            state = super().wait_until_finish(duration or self._seconds * 1000)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
                self._cancel()
                raise ConnectionError(f"the job server at {self._endpoint} is gone: {_details(error)}") from None
            state = "RUNNING"  # with Beam's own job service the deadline is the stream's too
        except RuntimeError:
            lines = [line.strip() for line in self._last_error_message().splitlines() if line.strip()]
            where = "" if self._flink_master == _NO_MASTER else f" (http://{self._flink_master} has all of its errors)"
            raise RuntimeError(f"the Beam job at {self._endpoint} failed: {lines[-1]}{where}") from None
        except KeyboardInterrupt:
            self._cancel()
            raise
        if not PipelineState.is_terminal(state):
            self._cancel()
            raise TimeoutError(
                f"the Beam job at {self._endpoint} has not ended within beam.timeout_minutes, {self._seconds / 60:g}: "
                "raise it, or see in the engine's logs whether a node or a worker pool was lost"
            )
        return state

    def _cancel(self) -> None:
        # Beam's would wait for a job server that does not answer.
        with contextlib.suppress(grpc.RpcError):
            self._job_service.Cancel(beam_job_api_pb2.CancelJobRequest(job_id=self._job_id), timeout=_ANSWER_SECONDS)
        if self._flink_master != _NO_MASTER:
            _cancel_in_flink(self._flink_master, name=self._job_id.rpartition("_")[0])


# Workaround: a batch job that was cancelled goes on in Flink.
# Cause: Beam's job server (seen: 2.70.0) interrupts its own thread, which waits for the job, and no more.
# Can go when it cancels the job.
def _cancel_in_flink(master: str, name: str) -> None:
    deadline = time.monotonic() + _ANSWER_SECONDS
    jobs: list[str] = []
    with contextlib.suppress(OSError):
        while not jobs and time.monotonic() < deadline:  # the job server may still be translating it
            with request.urlopen(f"http://{master}/jobs/overview", timeout=_ANSWER_SECONDS) as answer:
                jobs = [job["jid"] for job in json.load(answer)["jobs"] if job["name"] == name]
            time.sleep(0.5)
        for job in jobs:
            patch = request.Request(f"http://{master}/jobs/{job}", method="PATCH")
            request.urlopen(patch, timeout=_ANSWER_SECONDS).close()


def _while_there(messages: Iterator[Any]) -> Iterator[Any]:
    """Ends with the job server, of whose loss the job's states tell; Beam's thread would print a traceback."""
    with contextlib.suppress(grpc.RpcError):
        yield from messages


def _details(error: grpc.RpcError) -> str:
    return f"{error.code().name}, {error.details()}"
