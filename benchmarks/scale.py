"""Time and peak memory of every component at 1, 3 and 10 times the data, each component in a process of its own.

    python benchmarks/scale.py [--data-dir DIR] [--photos 600] [--factors 1 3 10]

The data are records of a prepared Oxford-IIIT Pet, or drawings without --data-dir, repeated under new file names in as
many shards as before. Time is what the metadata store says of the component, without the imports. Memory is the
resident set of the process and its children. The Trainers' cache budget is less than their decoded pictures even at the
smallest factor, so what they hold beyond it must not grow.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import math
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import psutil

from pipeline import configs
from schema import spec_file
from trainer_module.config import Phase, Recipe

DATASET, VERSION = "oxford_iiit_pet", "4.0.0"
SHARDS = 4
SECONDS_BETWEEN_SAMPLES = 0.1
TIME_BAR, MEMORY_BAR = 1.05, 1.3
"""Of time at N times the data over N times the time, and of memory over memory."""


class Cost(NamedTuple):
    """Of one component, at one size of the data."""

    seconds: float
    megabytes: float
    """10^6 bytes."""


def config(folder: pathlib.Path) -> configs.Config:
    """A run in `folder` on the data there: small networks, one epoch, every phase that reads data."""
    frozen, thawed = Phase(1, 1e-3, backbone_rate=0.0), Phase(1, 1e-3, backbone_rate=0.1)
    return dataclasses.replace(
        configs.debug(),
        name="scale",
        data=dataclasses.replace(configs.pets().data, image_size=128),
        data_dir=str(folder / "data"),
        contestants={
            "dcnn": Recipe("dcnn", 64, (Phase(1, 1e-3),), width=0.5),
            "mobilenet_v3_small": Recipe("mobilenet_v3_small", 64, (frozen, thawed), width=0.75, probe_passes=1),
        },
        cache_mb=1,
    )


def prepared(root: pathlib.Path, data_dir: str | None, photos: int) -> pathlib.Path:
    """The folder of the prepared Oxford-IIIT Pet in `data_dir`, or without one of so many drawings made in `root`."""
    from components import datasets

    per_breed = max(2, math.ceil(photos / len(spec_file.shipped("synthetic_pets").label("breed").classes)))
    data = datasets.OxfordPets(data_dir) if data_dir else datasets.PetDrawings(per_breed, str(root / "drawings"))
    data.prepare()
    return pathlib.Path(data.folder())


def write_data(source: pathlib.Path, target: pathlib.Path, photos: int, factor: int) -> None:
    """Writes a TFDS data set of `photos` records of split train and half as many of test, `factor` times each.

    Args:
        source: a prepared version of the data set, or of the drawings, which have the same features.
        target: the data_dir to write.
    """
    folder = target / DATASET / VERSION
    folder.mkdir(parents=True)
    for path in source.glob("*.txt"):
        shutil.copy(path, folder)
    shutil.copy(source / "features.json", folder)
    info = json.loads((source / "dataset_info.json").read_text())
    info = {key: value for key, value in info.items() if not key.startswith("config")} | {"name": DATASET}
    for split in info["splits"]:
        records = _records(source, split["name"], photos if split["name"] == "train" else photos // 2)
        split["shardLengths"] = [str(count) for count in _write_shards(folder, split["name"], records, factor)]
        split["filepathTemplate"] = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    (folder / "dataset_info.json").write_text(json.dumps(info))


def _records(source: pathlib.Path, split: str, count: int) -> list[bytes]:
    """As many records of a split as it has, up to `count`, from all over it: drawings lie in no mixed order."""
    import tensorflow as tf

    files = sorted(str(path) for path in source.glob(f"*-{split}.tfrecord-*"))
    records = list(tf.data.TFRecordDataset(files).as_numpy_iterator())
    return records[:: max(1, len(records) // count)][:count]


def _write_shards(folder: pathlib.Path, split: str, records: list[bytes], factor: int) -> list[int]:
    """Writes the records so often; returns how many are in each shard."""
    import tensorflow as tf

    lengths = [0] * SHARDS
    with contextlib.ExitStack() as stack:
        paths = [f"{folder}/{DATASET}-{split}.tfrecord-{shard:05d}-of-{SHARDS:05d}" for shard in range(SHARDS)]
        writers = [stack.enter_context(tf.io.TFRecordWriter(path)) for path in paths]
        copies = itertools.product(range(factor), records)
        for (copy, record), shard in zip(copies, itertools.cycle(range(SHARDS)), strict=False):
            example = tf.train.Example.FromString(record)
            [name] = example.features.feature["file_name"].bytes_list.value
            example.features.feature["file_name"].bytes_list.value[:] = [f"{copy}_".encode() + name]
            writers[shard].write(example.SerializeToString())
            lengths[shard] += 1
    return lengths


def run_component(folder: pathlib.Path, component: str) -> None:
    """Runs one component in this process, for those before it are cached; prints its seconds, last."""
    from components.comparison import lineage
    from engines import steps
    from pipeline import local

    run = folder / "run"
    run.mkdir(exist_ok=True)
    steps.run_until(local.create(config(folder), run), component)
    with lineage.open_store(str(run / "metadata.db")) as handle:
        print(lineage.component_seconds(handle)[component])


def measure(command: list[str], log_file: pathlib.Path) -> Cost:
    """Runs a command that prints its seconds, last; its memory is that of all processes that this one started.

    Args:
        command: to run.
        log_file: for what it says of errors.

    Raises:
        RuntimeError: it failed; the message is the end of its log.
    """
    with log_file.open("w+") as log:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process:
            assert process.stdout is not None
            peak = 0
            while process.poll() is None:
                peak = max(peak, sum(map(_resident_bytes, psutil.Process().children(recursive=True))))
                time.sleep(SECONDS_BETWEEN_SAMPLES)
            output = process.stdout.read()
        if process.returncode:
            log.seek(0)
            raise RuntimeError(f"{log_file.stem} failed:\n{log.read()[-3000:]}")
    return Cost(float(output.split()[-1]), peak / 1e6)


def _resident_bytes(process: psutil.Process) -> int:
    """One that has ended meanwhile counts as nothing."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="TFDS data_dir in which oxford_iiit_pet is prepared")
    parser.add_argument("--photos", type=int, default=600, help="of split train at factor 1; half as many of test")
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 3, 10])
    parser.add_argument("--run", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--component", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.component:
        run_component(flags.run, flags.component)
        return
    from pipeline import local

    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        source = prepared(root, flags.data_dir, flags.photos)
        folders = {factor: root / str(factor) for factor in flags.factors}
        for factor, folder in folders.items():
            write_data(source, folder / "data", flags.photos, factor)
        components = [each.id for each in local.create(config(folders[flags.factors[0]]), root).components]
        command = [sys.executable, __file__, "--run"]
        costs = {
            each: {
                factor: measure([*command, str(folder), "--component", each], folder / f"{each}.log")
                for factor, folder in folders.items()
            }
            for each in components
        }
    print_table(costs, flags.factors)


def print_table(costs: dict[str, dict[int, Cost]], factors: list[int]) -> None:
    """A line a component, and the worst growth from the first factor to the last."""
    print(f"{'seconds and peak MB at':<27}" + "".join(f"{f'{factor}x':>17}" for factor in factors) + "  time  memory")
    growths = {}
    for component, by_factor in costs.items():
        first, last = by_factor[factors[0]], by_factor[factors[-1]]
        growths[component] = Cost(last.seconds / first.seconds, last.megabytes / first.megabytes)
        cells = "".join(f"{cost.seconds:9.1f} {cost.megabytes:7.0f}" for cost in by_factor.values())
        print(f"{component:<27}{cells} {growths[component].seconds:5.2f} {growths[component].megabytes:7.2f}")
    slowest, largest = (max(growths, key=lambda each: growths[each][index]) for index in range(2))
    times = factors[-1] / factors[0]
    print(
        f"at {times:g} times the data: time at most {growths[slowest].seconds:.2f} times ({slowest}; "
        f"bar {TIME_BAR * times:g}), "
        f"memory at most {growths[largest].megabytes:.2f} times ({largest}; bar {MEMORY_BAR})"
    )


if __name__ == "__main__":
    main()
