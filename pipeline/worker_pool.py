"""A pool of Beam workers at one address: `python -m pipeline.worker_pool HOST:PORT`.

Beam's own, `apache_beam.runners.worker.worker_pool_main`, listens at every address of its machine, leaves workers'
temporary files, and says that a worker is there as soon as its process begins: for one that dies then, Beam's
ExternalEnvironmentFactory waits for ever, and the job with it. This one says so when the worker has found its engine;
until then the death of the worker or of the pool is an error to the engine, which tries again.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.worker import sdk_worker, worker_pool_main
from apache_beam.utils import thread_pool_executor

from pipeline import run_dir


class WorkerPool(worker_pool_main.BeamFnExternalWorkerPoolServicer):
    """Starts and ends workers, each a process with a temporary directory of its own."""

    def StartWorker(self, request: Any, context: grpc.ServicerContext | None = None) -> Any:
        """Answers once the worker has found its engine, or with the error that it has ended."""
        folder = tempfile.mkdtemp()
        worker = subprocess.Popen(
            (sys.executable, "-m", "pipeline.worker_pool", request.control_endpoint.url, request.worker_id),
            stdout=subprocess.PIPE,
            env={**os.environ, "TMPDIR": folder},
        )
        threading.Thread(target=_remove_after, args=(worker, folder), daemon=True).start()
        self._worker_processes[request.worker_id] = worker  # Beam's StopWorker ends it
        if worker.stdout and worker.stdout.readline():
            print(f"worker {request.worker_id} serves {request.control_endpoint.url}", file=sys.stderr)
            return beam_fn_api_pb2.StartWorkerResponse()
        return beam_fn_api_pb2.StartWorkerResponse(error=f"a Beam worker ended at its start, with {worker.wait()}")


def _remove_after(worker: subprocess.Popen, folder: str) -> None:
    worker.wait()
    shutil.rmtree(folder, ignore_errors=True)


def serve(address: str) -> None:
    """Listens until the process is ended."""
    server = grpc.server(thread_pool_executor.shared_unbounded_instance())
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(WorkerPool(use_process=True), server)
    server.add_insecure_port(address)
    with run_dir.temporary_files(pathlib.Path(tempfile.gettempdir(), f"beam-workers-{address}")):
        server.start()
        server.wait_for_termination()


def work(control_endpoint: str, worker_id: str) -> None:
    """Is one worker, until its engine lets it go."""
    harness = sdk_worker.SdkHarness(control_endpoint, worker_id=worker_id, data_buffer_time_limit_ms=-1)
    print("connected", flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody reads on
    harness.run()


if __name__ == "__main__":
    (work if len(sys.argv) == 3 else serve)(*sys.argv[1:])
