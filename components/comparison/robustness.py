"""How much worse do models answer worse photos?"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence

import cv2
import numpy as np
import tensorflow as tf

from components.comparison import corruptions
from components.comparison.paired import Answers
from components.comparison.predictions import Signatures, answers, batches, predict
from components.comparison.results import Curves, Robustness
from components.metrics import results
from schema import record
from schema.dataset_spec import DatasetSpec, Heads
from trainer_module import preprocessing

progress = logging.getLogger("progress")

_STATES = [("", 0), *itertools.product(corruptions.KINDS, corruptions.STRENGTHS)]
"""Of each photo: kind and strength, first as it is."""


@dataclasses.dataclass(frozen=True)
class Demand:
    """What is asked of models, and what they must answer to be blessed."""

    photos: int = 0
    """So many of split `test`, evenly spread; 0: nothing is asked."""
    accuracy: float = 0.0
    """Smallest mean over the corruptions, in [0, 1]."""
    mask_f1: float = 0.0

    def check(self, heads: Heads) -> None:
        """Raises ValueError where a figure is demanded that models with these heads do not have."""
        for figure, head in (("accuracy", "class"), ("mask_f1", "mask")):
            if getattr(self, figure):
                heads.need(head, f"thresholds.robust_{figure} is set")

    def failures(self, found: Robustness, heads: Heads) -> tuple[str, ...]:
        """A sentence for each mean that is below what is demanded."""
        label = f"{heads.label.name} " if heads.label else ""
        demanded = (
            (f"{label}accuracy", found.accuracy, self.accuracy),
            (f"{record.MASK} F1", found.mask_f1, self.mask_f1),
        )
        return tuple(
            results.too_low(f"{figure} under corruption", curves.mean if curves else None, lowest)
            for figure, curves, lowest in demanded
            if lowest and (not curves or curves.mean < lowest)
        )


NOTHING = Demand()


def judge(
    models: Mapping[str, Signatures], files: Sequence[str], examples: int, photos: int, spec: DatasetSpec, heads: Heads
) -> dict[str, Robustness]:
    """Asks every model about photos of split `test`, as they are and corrupted; the truth stays that of the former.

    Args:
      models: Each SavedModel's signatures, by its name.
      files: Record files of split `test`.
      examples: How many they hold.
      photos: How many of these are asked about, evenly spread; all are if it is more.
      spec: Of the data.
      heads: Of the models.
    """
    chosen = {number * examples // photos for number in range(photos)}
    states = map(_states, _numbered(files, chosen))
    truth, predictions = predict(models, states, spec, heads, one_mask=True)
    return {name: _robustness(len(chosen), answers(truth, found, heads)) for name, found in predictions.items()}


def _numbered(files: Sequence[str], numbers: Collection[int]) -> Iterator[bytes]:
    """The serialized examples of these numbers."""
    every = itertools.chain.from_iterable(serialized.numpy() for serialized in batches(files))
    chosen = itertools.compress(every, (number in numbers for number in itertools.count()))
    for count, serialized in enumerate(chosen, 1):
        progress.debug("corrupted photos: %d of %d", count, len(numbers))
        yield serialized


def _states(serialized: bytes) -> tf.Tensor:
    """The example in each of `_STATES`: with another photo, all else is as it was. String [states]."""
    example = tf.train.Example.FromString(serialized)
    name = example.features.feature[record.FILE_NAME].bytes_list.value[0].decode()
    encoded = example.features.feature[record.IMAGE].bytes_list.value
    photo = corruptions.shrunk(preprocessing.decode(encoded[0]).numpy())
    states = []
    for kind, strength in _STATES:
        seen = corruptions.corrupt(photo, kind, strength, name) if strength else photo
        # Without loss, or every kind would be JPEG too; PNG takes longer than most corruptions.
        encoded[0] = cv2.imencode(".bmp", seen[..., ::-1])[1].tobytes()
        states.append(example.SerializeToString())
    return tf.constant(states)


def _robustness(photos: int, said: Answers) -> Robustness:
    """Of the answers on all photos, each in all `_STATES`."""
    of_state = [said.of(slice(number, None, len(_STATES))) for number in range(len(_STATES))]
    return Robustness(
        photos,
        accuracy=_curves([one.accuracy() for one in of_state]),
        mask_f1=_curves([one.mask_f1() for one in of_state]),
    )


def _curves(of_state: Sequence[float | None]) -> Curves | None:
    known = [figure for figure in of_state if figure is not None]
    if not known:
        return None
    clean, *worse = known
    of_kind = np.reshape(worse, (len(corruptions.KINDS), len(corruptions.STRENGTHS)))
    return Curves(
        of_kind={kind: (clean, *row) for kind, row in zip(corruptions.KINDS, of_kind.tolist(), strict=True)},
        mean=float(of_kind.mean()),
    )
