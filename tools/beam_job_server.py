"""Beam's own Python job service, for trying the job API on one machine: `python tools/beam_job_server.py --port 8099`.

What Flink's and Spark's job servers do is done here by Beam's `local_job_service`, with three things that it lacks: one
job runs on several worker pools (`--beam.worker-pool HOST:PORT,HOST:PORT`), the loss of a worker is noticed, and a job
that lost one starts anew on the pools that are left. docs/scaling.md has the commands.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import logging
import signal
import socket
import threading
import time

import grpc
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_fn_api_pb2, beam_job_api_pb2, beam_runner_api_pb2
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers

_LOST = "lost the worker of pool"
_START_SECONDS = 300

_log = logging.getLogger(__name__)


class _Connection(worker_handlers.ControlConnection):
    """Answers with an error for a worker that is gone, or never came.

    Workaround: a job waits forever when a worker dies.
    Cause: Beam's control connection stops reading when its stream breaks, and leaves open requests without an answer;
    and nothing looks for a worker that was asked for and has not connected.
    Can go when `ControlConnection` aborts requests, and Beam limits a worker's start.
    """

    pool = ""
    _lost = False

    def _read(self) -> None:
        try:
            super()._read()
        except grpc.RpcError as error:
            _log.warning("%s %s: %s", _LOST, self.pool, error)
        self._lose()

    def await_worker(self) -> None:
        """Gives the worker up if its pool dies before it has connected, or if it takes too long."""
        host, port = self.pool.rsplit(":", 1)
        for _ in range(_START_SECONDS):
            time.sleep(1)
            if self._state != worker_handlers.BeamFnControlServicer.UNSTARTED_STATE:
                return
            try:
                socket.create_connection((host, int(port)), timeout=5).close()
            except OSError:
                break
        self._lose()

    def _lose(self) -> None:
        self._lost = True
        self._answer_open_requests()

    def push(self, req):
        future = super().push(req)
        if self._lost and future is not None:
            self._answer_open_requests()
        return future

    def _answer_open_requests(self) -> None:
        for instruction_id in list(self._futures_by_id):
            if future := self._futures_by_id.pop(instruction_id, None):
                error = f"{_LOST} {self.pool}"
                future.set(beam_fn_api_pb2.InstructionResponse(instruction_id=instruction_id, error=error))


class _PooledWorker(worker_handlers.ExternalWorkerHandler):
    """A worker of the next of the environment's pools that answers."""

    _turn = itertools.count()

    def start_worker(self) -> None:
        pools = self._external_payload.endpoint.url.split(",")
        first = next(self._turn) % len(pools)
        for pool in pools[first:] + pools[:first]:
            payload = beam_runner_api_pb2.ExternalPayload()
            payload.CopyFrom(self._external_payload)
            payload.endpoint.url = pool
            self.control_conn.pool = pool  # type: ignore[attr-defined]
            self._external_payload, whole = payload, self._external_payload
            try:
                super().start_worker()
                threading.Thread(target=self.control_conn.await_worker, daemon=True).start()  # type: ignore[attr-defined]
                return
            except grpc.RpcError as error:
                _log.warning("worker pool %s does not answer: %s", pool, error)
                self._external_payload = whole
        raise RuntimeError(f"no worker pool answers, of {', '.join(pools)}")


class _Job(local_job_service.BeamJob):
    def _invoke_runner(self) -> fn_runner.RunnerResult:
        self.set_state(beam_job_api_pb2.JobState.RUNNING)
        workers = max(map(_pool_count, self._pipeline_proto.components.environments.values()), default=1)
        for attempts_left in reversed(range(workers)):
            runner = fn_runner.FnApiRunner(provision_info=self._provision_info)
            # The job service knows no option for it; `FnApiRunner.run_pipeline`, which does, is not what it calls.
            runner._num_workers = workers
            try:
                return runner.run_via_runner_api(copy.deepcopy(self._pipeline_proto), self.pipeline_options())
            except RuntimeError as error:
                if _LOST not in str(error) or not attempts_left:
                    raise
                _log.warning("%s: the job starts anew", error)
        raise AssertionError("the last attempt returns or raises")


def _pool_count(environment: beam_runner_api_pb2.Environment) -> int:
    if environment.urn != common_urns.environments.EXTERNAL.urn:
        return 1
    return len(beam_runner_api_pb2.ExternalPayload.FromString(environment.payload).endpoint.url.split(","))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=8099)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    worker_handlers.ControlConnection = _Connection  # type: ignore[misc]
    register = worker_handlers.WorkerHandler.register_environment
    register(common_urns.environments.EXTERNAL.urn, beam_runner_api_pb2.ExternalPayload)(_PooledWorker)
    servicer = local_job_service.LocalJobServicer(beam_job_type=_Job)
    print(f"jobs at localhost:{servicer.start_grpc_server(arguments.port)}", flush=True)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
    servicer.stop()


if __name__ == "__main__":
    main()
