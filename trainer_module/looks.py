"""What a trained network says of a picture: in one look, or in two whose answers are averaged.

The second look is at the mirror image, or a closer one, at what the first one's mask shows: the object is larger there,
and mirrored. Such a zoom is known as recurrent attention (Fu et al. 2017, Look closer to see better); here the
mask head says where to look, and the same weights look again. docs/training.md has what either gives.

Everything is a plain function of floats, without TensorFlow's own crops, which TFLite and ONNX lack. Where a closer
look goes is rounded to cells of the picture, so that engines whose masks differ in the last digits look at one place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from schema import record
from trainer_module.config import TrainerConfig
from trainer_module.likeness import FEATURES
from trainer_module.models import build_model

Answer = dict[str, tf.Tensor]

GEOMETRY = "closer_look"
"""In the names of all operations on places and sums over a mask, which eight bits are too few for."""

_CELLS = 64
"""A box lies on lines that divide the picture's sides into so many parts."""
_SMALLEST = 0.5
"""Of the picture's side: a closer look magnifies at most twice."""
_CLOSER_SHARE = 0.6
"""Of the classes' answer: it is the better look of the two. docs/training.md has how it was chosen."""
_FAINT = 1e-3
"""Added to each pixel's probability: of a picture without an object the box is all of it."""
_EDGE = 1.0 / 16.0
"""Of the box's side: within, a closer look counts less and less for the mask, for it sees nothing beyond."""


class Looks:
    """A network as it is used; traced once, however often it is asked."""

    def __init__(self, model: keras.Model, config: TrainerConfig, image_size: int) -> None:
        """Wraps a trained network.

        Args:
            model: the network of `config.serving`, built with features or without.
            config: the Trainer's config.
            image_size: side that Transform resizes photos to, in pixels.
        """
        self.model = model
        self._mirror, self._closer = config.second_look == "mirror", config.second_look == "closer"
        own_size: int = model.input_shape[1]
        self.size = size = config.last_stage.kept_size(image_size) if self._closer else min(image_size, own_size)
        """S, side of the pictures that it is asked about. A closer look is like a crop of the training, and is made of
        the same pixels, the photo's own where it is small; the first look resizes them."""

        def first(image: tf.Tensor) -> Answer:
            answer = model(_resized(image, own_size), training=False)
            if record.MASK in answer:
                answer[record.MASK] = _resized(answer[record.MASK], size)
            return _with_doubt(answer)

        self.first = _traced(first, size)
        """One look: pictures float32 [B, S, S, 3] to what the network says."""
        if self._closer:
            # Another graph over the same weights: a network of Keras is of one size.
            stage = dataclasses.replace(config.last_stage, weights="none")
            other, self._side = build_model(stage), stage.recipe.input_size
            self._reach = config.recipe.closer_reach

            def again(image: tf.Tensor) -> Answer:
                variables = model.trainable_variables, model.non_trainable_variables
                return other.stateless_call(*variables, image, training=False)[0]

            self._again = _traced(again, self._side)

    def __call__(self, image: tf.Tensor) -> Answer:
        """The network's answer for pictures float32 [B, S, S, 3].

        Returns:
            The label's name -> logits float32 [B, C], of two looks the mean of their log-probabilities, in which a
            closer one weighs more; `mask` -> logits float32 [B, S, S, 1], or [B, S, S, K + 1] of several classes, of
            two looks their mean where both see; `FEATURES` of the first look, if the network has them, and after them
            its mask's `doubt`.
        """
        answer = self.first(image)
        if self._mirror:
            other = self.first(tf.reverse(image, [2]))
            pooled = _pooled(answer, other, 0.5)
            if record.MASK in answer:
                pooled[record.MASK] = (answer[record.MASK] + tf.reverse(other[record.MASK], [2])) / 2.0
            return pooled
        if self._closer:
            with tf.name_scope(GEOMETRY):
                box = object_box(answer[record.MASK], self._reach)
                closer = magnified(image, box, self._side)
            other = self._again(closer)
            with tf.name_scope(GEOMETRY):
                mask = put_back(answer[record.MASK], other[record.MASK], box)
            return _pooled(answer, other, _CLOSER_SHARE) | {record.MASK: mask}
        return answer


def object_box(mask: tf.Tensor, reach: float) -> tf.Tensor:
    """Where the foreground is, by the mean and the standard deviation of its pixels' places.

    Args:
        mask: logits float32 [B, S, S, 1] or, of several classes, [B, S, S, K + 1], background first.
        reach: half a box's side, in standard deviations.

    Returns:
        float32 [B, 4]: top, left, height and width, as shares of the picture's side and within it, multiples of a cell.
    """
    foreground = _foreground(mask) + _FAINT
    spans = [_span(tf.reduce_sum(foreground, axis=axis), reach) for axis in (2, 1)]
    return tf.stack([start for start, _ in spans] + [length for _, length in spans], axis=1)


def doubt(mask: tf.Tensor) -> tf.Tensor:
    """How unsure a mask is of what it covers.

    Args:
        mask: logits float32 [B, S, S, 1] or [B, S, S, K + 1], as in `object_box`.

    Returns:
        float32 [B, 1] in [0, 1]: the variance of its pixels, p (1 - p) of each, as a share of the pixels covered, p.
    """
    foreground = _foreground(mask)
    variance = tf.reduce_mean(foreground * (1.0 - foreground), axis=[1, 2])
    return (variance / (tf.reduce_mean(foreground, axis=[1, 2]) + _FAINT))[:, None]


def magnified(image: tf.Tensor, box: tf.Tensor, size: int) -> tf.Tensor:
    """What is in the boxes [B, 4] of pictures float32 [B, S, S, c], mirrored, stretched to [B, size, size, c]."""
    at = _centres(size)
    return _read(image, box[:, 0:1] + box[:, 2:3] * at, box[:, 1:2] + box[:, 3:4] * (1.0 - at))


def put_back(mask: tf.Tensor, closer: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    """The mean of masks [B, S, S, c] and of those [B, s, s, c] of what is `magnified`, in its place."""
    at = _centres(mask.shape[1])
    y, x = (at - box[:, 0:1]) / box[:, 2:3], (at - box[:, 1:2]) / box[:, 3:4]
    other = _read(closer, y, 1.0 - x)
    share = 0.5 * _inside(y)[:, :, None, None] * _inside(x)[:, None, :, None]
    return mask + (other - mask) * share


def _resized(values: tf.Tensor, size: int) -> tf.Tensor:
    """Values [B, S, S, c] as [B, size, size, c], bilinear."""
    return values if values.shape[1] == size else tf.image.resize(values, [size, size])


def _foreground(mask: tf.Tensor) -> tf.Tensor:
    """The foreground's probability, float32 [B, S, S]."""
    return tf.sigmoid(mask[..., 0]) if mask.shape[-1] == 1 else 1.0 - tf.nn.softmax(mask)[..., 0]


def _with_doubt(answer: Answer) -> Answer:
    if FEATURES in answer and record.MASK in answer:
        with tf.name_scope(GEOMETRY):
            answer[FEATURES] = tf.concat([answer[FEATURES], doubt(answer[record.MASK])], axis=1)
    return answer


def _traced(network: Callable[[tf.Tensor], Answer], size: int) -> Callable[[tf.Tensor], Answer]:
    # AutoGraph would find nothing to convert.
    spec = tf.TensorSpec([None, size, size, 3], tf.float32)
    traced: Callable[[tf.Tensor], Answer] = tf.function(network, input_signature=[spec], autograph=False)
    return traced


def _pooled(answer: Answer, other: Answer, share: float) -> Answer:
    """`answer`, but of each label the mean of both looks' log-probabilities, to which the other one gives its share.

    It is the logarithmic opinion pool (Genest and Zidek 1986, Combining probability distributions), not normalised.
    """
    return {
        name: logits
        if name in (FEATURES, record.MASK)
        else (1.0 - share) * tf.nn.log_softmax(logits) + share * tf.nn.log_softmax(other[name])
        for name, logits in answer.items()
    }


def _span(weight: tf.Tensor, reach: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Start and length, each [B], of what lies around the mean place of weights [B, S]."""
    at, total = _centres(weight.shape[1]), tf.reduce_sum(weight, axis=1)
    mean = tf.reduce_sum(weight * at, axis=1) / total
    variance = tf.reduce_sum(weight * tf.square(at - mean[:, None]), axis=1) / total
    half = tf.maximum(reach * tf.sqrt(variance), _SMALLEST / 2.0)
    start, end = (tf.round(tf.clip_by_value(place, 0.0, 1.0) * _CELLS) / _CELLS for place in (mean - half, mean + half))
    return start, end - start


def _centres(size: int) -> tf.Tensor:
    """Of pixels, float32 [1, size], as shares of the side."""
    return (tf.range(size, dtype=tf.float32)[None] + 0.5) / size


def _inside(place: tf.Tensor) -> tf.Tensor:
    """1 for places inside [0, 1], 0 outside, with a slope between."""
    return tf.clip_by_value(tf.minimum(place, 1.0 - place) / _EDGE, 0.0, 1.0)


def _read(values: tf.Tensor, y: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Values [B, h, w, c] at places y [B, m] and x [B, n], shares of the sides: [B, m, n, c], bilinear."""
    turn = (0, 2, 1, 3)  # whole rows lie in one piece, and are read in half of the time of single pixels
    return tf.transpose(_rows(tf.transpose(_rows(values, y), turn), x), turn)


def _rows(values: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """Values [B, h, w, c] at places float32 [B, n], shares of the height, linear between two rows: [B, n, w, c]."""
    _, height, width, channels = values.shape
    place = tf.clip_by_value(at * height - 0.5, 0.0, height - 1.0)
    before = tf.minimum(tf.floor(place), height - 2.0)
    index, share = tf.cast(before, tf.int32), (place - before)[:, :, None]
    flat = tf.reshape(values, [-1, height, width * channels])
    low, high = (tf.gather(flat, index + step, axis=1, batch_dims=1) for step in (0, 1))
    return tf.reshape(low + (high - low) * share, [-1, at.shape[1], width, channels])
