"""Photos of one colour each, as records, whose answers by the colour model can be told by eye."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from components.edge import parity
from components.edge.results import Figures
from schema import record
from schema.dataset_spec import DatasetSpec, Label, Mask
from tests.colours import CLASSES, SIZE, png

SPEC = DatasetSpec("colours", "Colours", (Label("colour", CLASSES),), Mask(("object",), ((1,),)))
IMAGE_SIZE = 48
COLOURS = ((250, 0, 0), (0, 250, 0), (0, 0, 250), (120, 100, 40))
"""Of the photos, one after the other; the last ones are labelled as green and the model says red."""
LABELS = (0, 1, 2, 1)
PHOTOS = {"train": 12, "eval": 4, "test": 40}
REACHED = Figures(accuracy=0.75, mask_f1=1.0)
"""What the SavedModel reaches on split test: of the red photos alone the left half is found."""


def example(number: int) -> bytes:
    mask = np.zeros((24, 40), np.uint8)
    mask[:, :20] = COLOURS[number % 4][0] > 127
    image, png_mask = png(COLOURS[number % 4]), tf.io.encode_png(mask[..., None]).numpy()
    labels = {"colour": LABELS[number % 4]}
    return record.encode(SPEC, f"{number}.png", image, labels, png_mask, mask.mean()).SerializeToString()


def photos() -> parity.Photos:
    return parity.Photos(SPEC, SPEC.heads("", "both"), IMAGE_SIZE, SIZE)
