"""Time and peak memory of the Beam steps at 1, 10 and 30 times the data, on each engine, as ratios to the first one.

    python benchmarks/beam_engines.py --trained RUN_DIR/pipeline [--config debug] [--data-dir DIR] [--photos 60]
        [--factors 1 10 30] [--engines direct flink]

The data are records of a prepared Oxford-IIIT Pet, or drawings without --data-dir, repeated under new file names. Flink
and Spark are clusters of two nodes on this machine (engines/cluster.py), up before the time begins. Time is what the
metadata store says of the five steps; a worker's imports are in it. Memory is the resident set of everything that the
engine needs, its JVMs among it. It ends with an error unless every engine wrote what the first one wrote, see
engines/artifacts.py.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import pathlib
import sys
import tempfile

import scale

from engines import cluster
from pipeline import configs
from pipeline.beam import Beam
from schema import spec_file

ENGINES = ("direct", "processes", "flink", "spark")


def run_steps(config: configs.Config, folder: pathlib.Path, trained: pathlib.Path) -> None:
    """Runs the steps in this process, on the data beside the run's folder; prints their seconds, last."""
    from components.comparison import lineage
    from engines import steps

    data = dataclasses.replace(config.data, source=scale.DATASET, drawings=0)
    steps.run(dataclasses.replace(config, data=data, data_dir=str(folder.parent / "data")), folder, trained)
    with lineage.open_store(str(folder / "metadata.db")) as handle:
        seconds = lineage.component_seconds(handle)
    evaluators = (f"Evaluator_{name}" for name in config.contestants)
    print(sum(seconds[step] for step in ("ExampleGen", "StatisticsGen", "Transform", *evaluators)))


def check_same(run: pathlib.Path, first: pathlib.Path) -> None:
    """Raises RuntimeError unless two engines' artifacts are equal."""
    from engines import artifacts

    spec = spec_file.shipped(scale.DATASET)
    # With the batch that a photo is in, a network's probabilities changed by up to 3e-5 (config pets, 1 and 32 photos a
    # batch), and two processes have other batches than one.
    if differing := artifacts.differences(run / "pipeline", first / "pipeline", spec, of_probabilities=1e-4):
        raise RuntimeError(f"{run.name} and {first.name} differ in {len(differing)} values: {differing[:5]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="TFDS data_dir in which oxford_iiit_pet is prepared")
    parser.add_argument("--photos", type=int, default=60, help="of split train at factor 1; half as many of test")
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 10, 30])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--config", choices=("debug", "pets"), default="debug", help="whose models and picture size")
    parser.add_argument("--trained", type=pathlib.Path, required=True, help="folder pipeline/ of a run of that config")
    for internal in ("--run", "--beam"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.run:
        beam = Beam(**json.loads(flags.beam))
        config = dataclasses.replace(configs.CONFIGS[flags.config](), beam=beam)
        run_steps(config, pathlib.Path(flags.run), flags.trained)
        return
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        source = scale.prepared(root, flags.data_dir, flags.photos)
        folders = [root / str(factor) for factor in flags.factors]
        for factor, folder in zip(flags.factors, folders, strict=True):
            scale.write_data(source, folder / "data", flags.photos, factor)
        command = [sys.executable, __file__, "--config", flags.config, "--trained", str(flags.trained)]
        costs: dict[str, list[scale.Cost]] = {}
        for engine in flags.engines:
            with contextlib.ExitStack() as stack:
                if engine in ("direct", "processes"):
                    beam = Beam(workers=2 if engine == "processes" else 0)
                else:
                    beam = stack.enter_context(cluster.Cluster(engine, root / engine)).beam
                run = [*command, "--beam", json.dumps(dataclasses.asdict(beam)), "--run"]
                costs[engine] = [
                    scale.measure([*run, str(folder / engine)], folder / f"{engine}.log") for folder in folders
                ]
            for folder in folders:
                check_same(folder / engine, folder / flags.engines[0])
    first = costs[flags.engines[0]]
    print(f"{'seconds, peak MB at':<20}" + "".join(f"{f'{factor}x':>17}" for factor in flags.factors))
    for engine, row in costs.items():
        print(f"{engine:<20}" + "".join(f"{cost.seconds:9.1f} {cost.megabytes:7.0f}" for cost in row))
    for engine, row in costs.items():
        ratios = [cost.seconds / base.seconds for cost, base in zip(row, first, strict=True)]
        print(f"{engine:<20}" + "".join(f"{ratio:9.2f} times " for ratio in ratios) + f"the time of {flags.engines[0]}")


if __name__ == "__main__":
    main()
