"""Does a model tell photos of its data from pictures of something else?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from components.comparison import foreign
from components.comparison.results import ForeignKind, Known
from schema import record

THRESHOLD = 0.5
"""A photo is known from here on; see docs/serving.md."""

_PHOTOS = 250
"""Of split `test`, evenly spread."""
_BATCH = 32


def judge(serve: Callable[..., dict[str, tf.Tensor]], records: Iterable[tf.Tensor], examples: int) -> Known:
    """Asks the signature `serving_default` about photos of split `test` and about drawn pictures of other things.

    Args:
        serve: the signature.
        records: batches of serialized examples of split `test`, string [B].
        examples: how many there are.
    """
    of_test = _known(serve, _photos(records, -(-examples // _PHOTOS)))
    return Known(
        test=float(np.mean(of_test >= THRESHOLD)),
        foreign={kind: _against(of_test, _known(serve, foreign.photos(kind))) for kind in foreign.KINDS},
    )


def _against(of_test: npt.NDArray[np.float32], of_kind: npt.NDArray[np.float32]) -> ForeignKind:
    is_test = np.concatenate([np.ones_like(of_test), np.zeros_like(of_kind)])
    area = roc_auc_score(is_test, np.concatenate([of_test, of_kind]))
    return ForeignKind(pictures=len(of_kind), area=float(area), known=float(np.mean(of_kind >= THRESHOLD)))


def _photos(records: Iterable[tf.Tensor], every: int) -> list[bytes]:
    def all_photos() -> Iterator[bytes]:
        for serialized in records:
            features = {record.IMAGE: tf.io.FixedLenFeature([], tf.string)}
            yield from tf.io.parse_example(serialized, features)[record.IMAGE].numpy()

    return [photo for number, photo in enumerate(all_photos()) if number % every == 0]


def _known(serve: Callable[..., dict[str, tf.Tensor]], photos: Sequence[bytes]) -> npt.NDArray[np.float32]:
    batches = [photos[start : start + _BATCH] for start in range(0, len(photos), _BATCH)]
    return np.concatenate([serve(image_bytes=tf.constant(batch))["known"].numpy() for batch in batches])
