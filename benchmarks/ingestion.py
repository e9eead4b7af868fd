"""What checking every photo costs ingestion, as a ratio: at most 1.2 times the bare decoding of the same pictures.

    python benchmarks/ingestion.py --data-dir DATA_DIR [--rounds 3]

In one process, in seconds of CPU, the smallest of the rounds:

- checked: ExampleGen's executor over the prepared Oxford-IIIT Pet in DATA_DIR, as a run has it;
- copied: the same, but of each photo only the header is read, as before photos were checked (masks are in both);
- hashed: SHA-256 of each photo, which finds the copies, and which `copied` does too;
- decoded: OpenCV's `imdecode` of each photo and each mask, nothing else.

The ratio is (checked - copied + hashed) / decoded.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import cv2
import numpy as np
from PIL import Image
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts
from tfx.types.experimental import simple_artifacts

from components.datasets import OxfordPets, Source
from components.example_gen import executor, images
from components.example_gen.component import ExampleGen


def ingest(source: Source) -> None:
    properties = ExampleGen(source, source.spec(), fingerprint="", min_speck=0.001).exec_properties
    with tempfile.TemporaryDirectory() as folder:
        examples, aside = standard_artifacts.Examples(), simple_artifacts.File()
        examples.uri, aside.uri = f"{folder}/examples", f"{folder}/quarantine"
        context = BaseBeamExecutor.Context(beam_pipeline_args=["--direct_running_mode=in_memory"])
        executor.Executor(context).Do({}, {"examples": [examples], "quarantine": [aside]}, properties)


def _only_header(data: bytes, file_name: str, max_pixels: int) -> images.Photo:
    with Image.open(io.BytesIO(data)) as header:
        return images.Photo(data, (header.height, header.width), 1, ())


def copy(source: OxfordPets) -> None:
    with mock.patch.object(images, "check_photo", _only_header):
        ingest(source)


def seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    flags = parser.parse_args()
    source = OxfordPets(str(flags.data_dir))
    raws = [raw for shard in source.shards() for raw in source.read(shard)]
    pictures = [np.frombuffer(data, np.uint8) for raw in raws for data in (raw.image, raw.mask) if data]
    works: dict[str, Callable[[], Any]] = {
        "checked": lambda: ingest(source),
        "copied": lambda: copy(source),
        "hashed": lambda: [hashlib.sha256(raw.image).digest() for raw in raws],
        "decoded": lambda: [cv2.imdecode(picture, cv2.IMREAD_UNCHANGED) for picture in pictures],
    }
    copy(source)  # imports, and the files come into memory
    rounds = [{name: seconds(work) for name, work in works.items()} for _ in range(flags.rounds)]
    best = {name: min(one[name] for one in rounds) for name in works}
    print(f"{len(raws):,} photos: " + ", ".join(f"{name} {value:.1f} s" for name, value in best.items()))
    ratio = (best["checked"] - best["copied"] + best["hashed"]) / best["decoded"]
    print(f"checking costs {ratio:.2f} times the decoding")


if __name__ == "__main__":
    main()
