"""Time and memory of listing a folder, of its cache key, its description and its ingestion, for ever more photos.

    python benchmarks/listing.py 10000 100000

Makes class folders of 1,000 photos of 1 kB with a mask beside each below the temporary folder, removes them at the end,
and prints a line for each size, measured in a process of its own: seconds of CPU and, as `MB`, by how much the peak of
the process' memory grew in each step.
"""

from __future__ import annotations

import json
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

_CLASS = 1000


def main() -> None:
    print(f"{'photos':>8}  {'list':>14}  {'first key':>14}  {'second key':>14}  {'spec':>14}  {'ingestion':>14}")
    for number in map(int, sys.argv[1:]):
        folder = pathlib.Path(tempfile.mkdtemp())
        try:
            _make(folder / "photos", number)
            out = subprocess.run(
                [sys.executable, __file__, "--measure", str(folder / "photos")],
                env={"PYTHONPATH": str(pathlib.Path(__file__).parents[1]), "XDG_CACHE_HOME": str(folder / "cache")},
                stdout=subprocess.PIPE,
                check=True,
            ).stdout
        finally:
            shutil.rmtree(folder)
        print(
            f"{number:>8,}  " + "  ".join(f"{seconds:>5.1f} s {grown:>3.0f} MB" for seconds, grown in json.loads(out))
        )


def _make(folder: pathlib.Path, number: int) -> None:
    import cv2
    import numpy as np
    import PIL.Image

    generator = np.random.default_rng(20)
    mask = np.zeros((16, 16), np.uint8)
    mask[4:9, 4:9] = 255
    for index in range(number):
        place = folder / f"class {index // _CLASS}"
        if index % _CLASS == 0:
            place.mkdir(parents=True)
            PIL.Image.fromarray(mask).save(place / "one.png")
            png = (place / "one.png").read_bytes()
            (place / "one.png").unlink()
        photo = cv2.imencode(".jpg", generator.integers(0, 256, (16, 16, 3), np.uint8))[1]
        (place / f"photo {index}.jpg").write_bytes(photo.tobytes())
        (place / f"photo {index}.png").write_bytes(png)
    time.sleep(2.5)  # Younger files are not remembered.


def _measure(folder: str) -> None:
    from components.datasets.folder import Folder

    source = Folder(folder)
    taken = [_taken(step) for step in (lambda: sum(1 for _ in source.examples()), source.key, source.key, source.spec)]

    from benchmarks.ingestion import ingest  # which imports Beam and TFX

    taken.append(_taken(lambda: ingest(source)))
    print(json.dumps(taken))


def _taken(step: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of CPU, and MB by which the peak grew."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    step()
    return time.process_time() - start, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


if __name__ == "__main__":
    _measure(sys.argv[2]) if sys.argv[1] == "--measure" else main()
