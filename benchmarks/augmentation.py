"""Milliseconds a picture of the augmentation on one core, against TensorFlow's own operations for the same changes.

    python benchmarks/augmentation.py [--size 256]

The reference warps by ImageProjectiveTransformV3 and changes colours by arithmetic on float32. They take turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from pipeline.configs import pets as pets_config  # before TensorFlow, whose environment it sets

# isort: split
import cv2
import numpy as np
import tensorflow as tf

from trainer_module import augmentation
from trainer_module.config import Augmentation

KEPT, BATCH, ROUNDS = 256, 32, 10

Pictures = tuple[tf.Tensor, tf.Tensor]


def pictures() -> tf.Tensor:
    """Blurred noise with blobs for masks, uint8 [BATCH, KEPT, KEPT, 4]."""
    noise = np.random.default_rng(0).integers(0, 256, (BATCH, KEPT, KEPT, 3), np.uint8)
    images = np.stack([cv2.GaussianBlur(image, (9, 9), 3) for image in noise])
    return tf.constant(np.concatenate([images, images[..., :1] > 127], axis=-1))


def by_tensorflow(picture: tf.Tensor, size: int, settings: Augmentation, seed: tf.Tensor) -> Pictures:
    """As `augmentation.augment`."""
    image, mask = tf.split(picture, [3, 1], axis=-1)
    seeds = tf.unstack(tf.random.split(seed, 2))
    matrices = augmentation._random_transforms(tf.shape(image), size, settings, seeds[0])
    transforms = tf.concat([tf.reshape(matrices, [-1, 6]), tf.zeros([tf.shape(image)[0], 2])], axis=1)
    image, mask = (
        tf.raw_ops.ImageProjectiveTransformV3(
            images=each,
            transforms=transforms,
            output_shape=[size, size],
            interpolation=interpolation,
            fill_mode="REFLECT",
            fill_value=0.0,
        )
        for each, interpolation in ((image, "BILINEAR"), (mask, "NEAREST"))
    )
    low, high = 1.0 - settings.colour, 1.0 + settings.colour
    factors = tf.random.stateless_uniform([3, tf.shape(image)[0], 1, 1, 1], seeds[1], low, high)
    pixels = tf.cast(image, tf.float32) * factors[0]
    mean = tf.reduce_mean(pixels, axis=[1, 2, 3], keepdims=True)
    pixels = mean + (pixels - mean) * factors[1]
    grey = tf.reduce_sum(pixels * augmentation._LUMA, axis=-1, keepdims=True)
    pixels = grey + (pixels - grey) * factors[2]
    return tf.cast(tf.clip_by_value(pixels, 0.0, 255.0), tf.uint8), mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="side of the result, in pixels")
    size = parser.parse_args().size
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    settings, picture = pets_config().contestants["mobilenet_v3_small"].augmentation, pictures()

    def timed(augment: Callable[..., Pictures]) -> Callable[[int], float]:
        graph = tf.function(lambda seed: augment(picture, size, settings, seed))

        def milliseconds(number: int) -> float:
            start = time.perf_counter()
            graph(tf.constant([0, number], tf.int64))
            return (time.perf_counter() - start) / BATCH * 1e3

        milliseconds(0)  # traces the graph
        return milliseconds

    ours, reference = timed(augmentation.augment), timed(by_tensorflow)
    rounds = [(ours(number), reference(number)) for number in range(ROUNDS)]
    our_time, their_time = (statistics.median(times) for times in zip(*rounds, strict=True))
    ratio = statistics.median(theirs / mine for mine, theirs in rounds)
    print(f"augmentation to {size} pixels: OpenCV {our_time:.2f}, TensorFlow {their_time:.2f} ms: ratio {ratio:.1f}")


if __name__ == "__main__":
    main()
