"""A pushed model against mutated photos, in batches of 32 with one good photo in each.

    python benchmarks/mutated_photos.py --model runs/sample/serving/VERSION

No request may end the process or take long, each mutated photo is answered or gets a sentence, and the good one's
answer is that which it gets alone.
"""

from __future__ import annotations

import argparse
import collections
import re
import resource
import time

import numpy as np
import tensorflow as tf

from tests.mutated import mutated
from trainer_module import warmup

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a SavedModel that the pipeline pushed")
    parser.add_argument("--photos", type=int, default=10_000)
    flags = parser.parse_args()
    serve = tf.saved_model.load(flags.model).signatures["serving_default"]
    drawn = warmup.photos()
    good = drawn.pop("JPEG")
    alone = {name: value.numpy()[0] for name, value in serve(image_bytes=tf.constant([good])).items()}
    places, slowest = np.random.default_rng(1), 0.0
    said: collections.Counter[str] = collections.Counter()
    photos = list(mutated([*drawn.values(), good], flags.photos))
    for start in range(0, len(photos), BATCH - 1):
        batch = photos[start : start + BATCH - 1]
        place = int(places.integers(len(batch) + 1))
        batch.insert(place, good)
        began = time.perf_counter()
        answer = {name: value.numpy() for name, value in serve(image_bytes=tf.constant(batch)).items()}
        slowest = max(slowest, time.perf_counter() - began)
        _check_neighbour({name: values[place] for name, values in answer.items()}, alone)
        for index, error in enumerate(answer["error"]):
            if index != place:
                said[re.sub(r"\d+", "N", error.decode()) or "an answer"] += 1
    for sentence, count in said.most_common():
        print(f"{count:6d}  {sentence}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{sum(said.values())} mutated photos, slowest batch of {BATCH} {slowest:.1f} s, peak {memory:.1f} GB")


def _check_neighbour(answer: dict[str, np.ndarray], alone: dict[str, np.ndarray]) -> None:
    for name, value in alone.items():
        if (isinstance(value, np.ndarray) and value.dtype.kind == "f") or isinstance(value, np.floating):
            np.testing.assert_allclose(answer[name], value, atol=1e-4, err_msg=name)
        elif name != "mask_bytes":
            np.testing.assert_array_equal(answer[name], value, err_msg=name)
        else:
            one, other = (tf.io.decode_png(png).numpy().astype(int) for png in (answer[name], value))
            np.testing.assert_allclose(one, other, atol=1, err_msg=name)


if __name__ == "__main__":
    main()
