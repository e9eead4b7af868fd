"""Beam's worker pool at one address: `python -m engines.worker_pool HOST:PORT`.

Beam's own command for it (docs/scaling.md) listens at every address of the machine, so that a machine has one only.
"""

from __future__ import annotations

import sys

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker import worker_pool_main
from apache_beam.utils import thread_pool_executor


def main(address: str) -> None:
    server = grpc.server(thread_pool_executor.shared_unbounded_instance())
    pool = worker_pool_main.BeamFnExternalWorkerPoolServicer(use_process=True, data_buffer_time_limit_ms=-1)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1])
