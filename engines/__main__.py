"""`python -m engines flink`: brings a cluster up, says what to run, and ends it with Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import pathlib
import shlex
import signal
import sys
import tempfile

from engines.cluster import Cluster, MissingToolError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m engines", description="A cluster on this machine, until Ctrl-C.")
    parser.add_argument("engine", choices=["flink", "spark"])
    engine = parser.parse_args().engine
    stopping = {signal.SIGINT, signal.SIGTERM}
    try:
        with (
            tempfile.TemporaryDirectory(prefix=f"{engine}-") as folder,
            Cluster(engine, pathlib.Path(folder)) as cluster,
        ):
            print(
                f"{engine} is up, its logs are in {folder}. Run:\n"
                f"    python local_runner.py --config debug --data-dir $PWD/runs/data --run-dir $PWD/runs/debug \\\n"
                f"        {shlex.join(cluster.flags)}\n"
                "Its job server listens at every address of this machine, and runs what it is told.",
                flush=True,
            )
            signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
            signal.sigwait(stopping)
    except (MissingToolError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
