"""Does a model tell photos of its data from pictures of something else?"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from components.comparison import foreign
from components.comparison.results import ForeignKind, Known
from schema import record

THRESHOLD = 0.5
"""A photo is known from here on; see docs/serving.md."""

REFERENCE_FILE = "reference.json"
"""In `assets.extra` of the champion: its `Known.reference`, which `serving.watch` holds other photos against."""

_PHOTOS = 250
"""Of split `test`, evenly spread."""
_BATCH = 32


def judge(
    serve: Callable[..., dict[str, tf.Tensor]], records: Iterable[tf.Tensor], examples: int, mask_classes: int
) -> Known:
    """Asks the signature `serving_default` about photos of split `test` and about drawn pictures of other things.

    Args:
        serve: the signature.
        records: batches of serialized examples of split `test`, string [B].
        examples: how many there are.
        mask_classes: foreground classes of the mask; 0: there is no mask.
    """
    reference = _answers(serve, _photos(records, -(-examples // _PHOTOS)), mask_classes)
    of_test = reference["known"]
    return Known(
        test=float(np.mean(of_test >= THRESHOLD)),
        foreign={kind: _against(of_test, _answers(serve, foreign.photos(kind), 0)["known"]) for kind in foreign.KINDS},
        reference={name: tuple(np.round(values.astype(float), 4).tolist()) for name, values in reference.items()},
    )


def _against(of_test: npt.NDArray[np.float32], of_kind: npt.NDArray[np.float32]) -> ForeignKind:
    is_test = np.concatenate([np.ones_like(of_test), np.zeros_like(of_kind)])
    area = roc_auc_score(is_test, np.concatenate([of_test, of_kind]))
    return ForeignKind(pictures=len(of_kind), area=float(area), known=float(np.mean(of_kind >= THRESHOLD)))


def _photos(records: Iterable[tf.Tensor], every: int) -> list[bytes]:
    features = {record.IMAGE: tf.io.FixedLenFeature([], tf.string)}
    found = (tf.io.parse_example(serialized, features)[record.IMAGE].numpy() for serialized in records)
    return list(itertools.islice(itertools.chain.from_iterable(found), 0, None, every))


def _answers(
    serve: Callable[..., dict[str, tf.Tensor]], photos: Sequence[bytes], mask_classes: int
) -> dict[str, npt.NDArray[np.float32]]:
    """Float32 [N] of each of `Known.reference`'s names that the model has a head for; N photos have an answer."""
    found: dict[str, list[npt.NDArray[np.float32]]] = {}
    for start in range(0, len(photos), _BATCH):
        tensors = serve(image_bytes=tf.constant(photos[start : start + _BATCH]))
        answered = tensors["error"].numpy() == b""  # a photo may be larger than a server takes
        outputs = {name: tensor.numpy()[answered] for name, tensor in tensors.items()}
        answers = {"known": outputs["known"]}
        if "probabilities" in outputs:
            answers["confidence"] = outputs["probabilities"].max(axis=1)
        if mask_classes:
            foreground = 127 if mask_classes == 1 else 0  # a probability times 255, or an index
            pngs = (np.frombuffer(png, np.uint8) for png in outputs["mask_bytes"])
            masks = [np.asarray(cv2.imdecode(png, cv2.IMREAD_UNCHANGED)) for png in pngs]
            answers["mask_area"] = np.array([np.mean(mask > foreground) for mask in masks], np.float32)
        for name, values in answers.items():
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in found.items()}
