"""Time and peak memory of the Beam steps at 1, 10 and 30 times the data, on each engine, as ratios to direct.

    python benchmarks/beam_engines.py [--data-dir DIR] [--photos 60] [--factors 1 10 30] [--engines direct flink]

The data are records of a prepared Oxford-IIIT Pet, or drawings without --data-dir, repeated under new file names. Flink
and Spark are clusters of two nodes on this machine (engines/cluster.py), up before the time begins. Time is what the
metadata store says of the five steps; a worker's imports are in it. Memory is the resident set of everything that the
engine needs, its JVMs among it. Every engine must write the records that direct wrote.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import scale

from engines import cluster
from pipeline import configs
from pipeline.beam import Beam

ENGINES = ("direct", "processes", "flink", "spark")


def config(folder: pathlib.Path, beam: Beam) -> configs.Config:
    data = dataclasses.replace(configs.debug().data, source=scale.DATASET, drawings=0)
    return dataclasses.replace(configs.debug(), data=data, data_dir=str(folder / "data"), beam=beam)


def run_steps(folder: pathlib.Path, name: str, beam: Beam, trained: pathlib.Path) -> None:
    """Runs the steps in this process; writes their seconds into the file `seconds`."""
    from components.comparison import lineage
    from engines import steps

    steps.run(config(folder, beam), folder / name, str(folder / "data"), trained)
    with lineage.open_store(str(folder / name / "metadata.db")) as handle:
        seconds = lineage.component_seconds(handle)
    models = configs.debug().contestants
    beam_steps = ("ExampleGen", "StatisticsGen", "Transform", *(f"Evaluator_{name}" for name in models))
    (folder / name / "seconds").write_text(str(sum(seconds[step] for step in beam_steps)))


def measure(folder: pathlib.Path, name: str, beam: Beam, trained: pathlib.Path) -> scale.Cost:
    """Runs the steps in a process of its own; raises RuntimeError with the end of its log if they fail."""
    command = [sys.executable, __file__, "--run", str(folder), "--name", name, "--trained", str(trained)]
    peak = 0
    with (folder / f"{name}.log").open("w+") as log:
        process = subprocess.Popen([*command, "--beam", json.dumps(dataclasses.asdict(beam))], stdout=log, stderr=log)
        with process:
            while process.poll() is None:
                # The engine's processes are children of this one, which itself holds next to nothing.
                peak = max(peak, scale.resident_bytes(os.getpid()))
                time.sleep(0.5)
        if process.returncode:
            log.seek(0)
            raise RuntimeError(f"{name} failed:\n{log.read()[-3000:]}")
    return scale.Cost(float((folder / name / "seconds").read_text()), peak / 1e6)


def records(folder: pathlib.Path) -> list[bytes]:
    """All examples that a run wrote, in no order of theirs."""
    import tensorflow as tf

    files = [str(path) for path in folder.glob("pipeline/ExampleGen/examples/*/Split-*/*")]
    return sorted(tf.data.TFRecordDataset(files, "GZIP" if files[0].endswith(".gz") else "").as_numpy_iterator())


def trained_models(root: pathlib.Path) -> pathlib.Path:
    """Trains on drawings by the debug config; what its models know does not matter here."""
    command = [sys.executable, str(pathlib.Path(__file__).parents[1] / "local_runner.py"), "--config", "debug"]
    subprocess.run([*command, "--run-dir", str(root), "--data-dir", str(root / "data")], check=True, stdout=sys.stderr)
    return root / "pipeline"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="TFDS data_dir in which oxford_iiit_pet is prepared")
    parser.add_argument("--photos", type=int, default=60, help="of split train at factor 1; half as many of test")
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 10, 30])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--trained", type=pathlib.Path, help="the folder pipeline/ of a run of config debug")
    for internal in ("--run", "--name", "--beam"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.run:
        run_steps(pathlib.Path(flags.run), flags.name, Beam(**json.loads(flags.beam)), flags.trained)
        return
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        source = scale.prepared(root, flags.data_dir, flags.photos)
        trained = flags.trained or trained_models(root / "debug")
        folders = {factor: root / str(factor) for factor in flags.factors}
        for factor, folder in folders.items():
            scale.write_data(source, folder / "data", flags.photos, factor)
        costs: dict[str, list[scale.Cost]] = {}
        for engine in flags.engines:
            with contextlib.ExitStack() as stack:
                if engine in ("direct", "processes"):
                    beam = Beam(workers=2 if engine == "processes" else 0)
                else:
                    beam = stack.enter_context(cluster.Cluster(engine, root / engine)).beam
                costs[engine] = [measure(folder, f"on_{engine}", beam, trained) for folder in folders.values()]
            for folder in folders.values():
                if records(folder / f"on_{engine}") != records(folder / f"on_{flags.engines[0]}"):
                    raise RuntimeError(f"{engine} wrote other records than {flags.engines[0]}")
    first = costs[flags.engines[0]]
    print(f"{'seconds, peak MB at':<20}" + "".join(f"{f'{factor}x':>17}" for factor in flags.factors))
    for engine, row in costs.items():
        print(f"{engine:<20}" + "".join(f"{cost.seconds:9.1f} {cost.megabytes:7.0f}" for cost in row))
    for engine, row in costs.items():
        ratios = [cost.seconds / base.seconds for cost, base in zip(row, first, strict=True)]
        print(f"{engine:<20}" + "".join(f"{ratio:9.2f} times " for ratio in ratios) + f"the time of {flags.engines[0]}")


if __name__ == "__main__":
    main()
