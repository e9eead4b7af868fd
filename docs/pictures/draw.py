"""Draws `masks.png`, the README's picture: photo, true mask, mask by a pushed model, and where they differ.

    python docs/pictures/draw.py --sample runs/sample/serving/VERSION --pets runs/pets/serving/VERSION

Two drawings of the synthetic set, judged by the sample run's model, and a photo, judged by the model of a run on real
pets. The photo is Chelsea the cat by Stefan van der Walt (CC0, from scikit-image), its outline drawn for this picture.
"""

from __future__ import annotations

import argparse
import pathlib

import cv2
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from components.datasets import pet_drawings

_HERE = pathlib.Path(__file__).parent
_CHELSEA_OUTLINE = (
    *((38, 0), (402, 0), (388, 22), (372, 50), (358, 76), (364, 100), (366, 122), (352, 165), (338, 200)),
    *((345, 212), (372, 240), (392, 272), (400, 300), (0, 300), (0, 128), (22, 120), (36, 95), (34, 40)),
)
_DRAWN = ("Siamese", "beagle")


def main() -> None:
    """Draws the picture beside this script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", required=True, help="SavedModel of a run on the synthetic set")
    parser.add_argument("--pets", required=True, help="SavedModel of a run on real pets")
    arguments = parser.parse_args()
    generator = np.random.default_rng(7)
    rows = []
    for breed in _DRAWN:
        image, trimap = pet_drawings.draw(breed, generator)
        rows.append((image, trimap != 2, arguments.sample))
    rows.append((*_chelsea(), arguments.pets))
    figure, axes = plt.subplots(len(rows), 4, figsize=(8, 2.2 * len(rows)), layout="constrained")
    for line, (image, truth, model) in zip(axes, rows, strict=True):
        _draw_row(line, image, truth, *_ask(model, image))
    for axis, heading in zip(axes[0], ("picture", "true mask", "mask by the model", "difference"), strict=True):
        axis.set_title(heading, fontsize=10)
    figure.savefig(_HERE / "masks.png", dpi=110)


def _chelsea() -> tuple[np.ndarray, np.ndarray]:
    """The photo, RGB uint8 [H, W, 3], and its mask, bool [H, W]."""
    photo = cv2.cvtColor(cv2.imread(str(_HERE / "chelsea.png")), cv2.COLOR_BGR2RGB)
    mask = np.zeros(photo.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.array(_CHELSEA_OUTLINE)], 1)
    return photo, mask == 1


def _ask(model_dir: str, image: np.ndarray) -> tuple[np.ndarray, str]:
    """The model's mask at the image's size, bool [H, W], and the breed it names."""
    serve = tf.saved_model.load(model_dir).signatures["serving_default"]
    answer = serve(image_bytes=tf.constant([tf.io.encode_png(image).numpy()]))
    mask = tf.io.decode_png(answer["mask_bytes"][0]).numpy()[..., 0] > 127
    return mask, answer["classes"].numpy()[0, 0].decode()


def _draw_row(line: np.ndarray, image: np.ndarray, truth: np.ndarray, predicted: np.ndarray, breed: str) -> None:
    difference = np.full((*truth.shape, 3), 245, np.uint8)
    difference[truth & predicted] = (86, 140, 180)
    difference[truth & ~predicted] = (213, 94, 0)
    difference[~truth & predicted] = (230, 159, 0)
    f1 = 2 * np.count_nonzero(truth & predicted) / (np.count_nonzero(truth) + np.count_nonzero(predicted))
    for axis, picture in zip(line, (image, truth, predicted, difference), strict=True):
        axis.imshow(picture, cmap="gray", vmin=0, vmax=None if picture.ndim == 3 else 1)
        axis.set_xticks([])
        axis.set_yticks([])
    line[2].set_xlabel(f"says {breed.replace('_', ' ')}", fontsize=9)
    line[3].set_xlabel(f"F1 {f1:.3f}", fontsize=9)


if __name__ == "__main__":
    main()
