"""The exported SavedModel: Transform's graph and the network behind signatures for a server and for TFMA."""

from __future__ import annotations

import keras
import tensorflow as tf
import tensorflow_transform as tft

from schema import record
from trainer_module.config import TrainerConfig


class ServingModel(tf.Module):
    """What is exported: `serving_default`, `serving_bytes` and `transform_features`.

    `serving_default` takes serialized `tf.Example`s (string [B]) of which only `image` is read; `serving_bytes` takes
    encoded photos (string [B]). Both return the label's name -> class probabilities float32 [B, classes], and `mask` ->
    probabilities at Transform's size: float32 [B, H, W, 1] of the one foreground class, or [B, H, W, K + 1] of
    background and K classes. `transform_features` returns what TFMA compares with: each label int64 [B], -1 unknown,
    and `mask` float32 [B, H, W, 1] of class indices, -1 unknown.
    """

    def __init__(
        self, model: keras.Model, config: TrainerConfig, transform: tft.TFTransformOutput, mask_threshold: float
    ) -> None:
        """Wraps a trained network.

        Args:
            model: the network of `config.serving`.
            config: the Trainer's config.
            transform: Transform's output.
            mask_threshold: in (0, 1), where the network's own foreground probability splits best.
        """
        super().__init__()
        self.model = model
        self.transform_layer = transform.transform_features_layer()
        self._feature_spec = transform.raw_feature_spec()
        self._config = config
        # Moves that probability to 0.5, the threshold that everybody assumes.
        self._logit_shift = -float(tf.math.log(mask_threshold / (1.0 - mask_threshold)))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        raw = tf.io.parse_example(examples, {record.IMAGE: self._feature_spec[record.IMAGE]})
        return self._predict(raw)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def serving_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._predict({record.IMAGE: image_bytes})

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        # Without the image: TFMA would carry its floats, forty times the JPEG, through every step.
        names = [label.name for label in self._config.spec.labels]
        spec = {name: self._feature_spec[name] for name in (*names, *([record.MASK] if self._config.spec.mask else []))}
        return self.transform_layer(tf.io.parse_example(examples, spec))

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        return {
            name: getattr(self, name).get_concrete_function()
            for name in ("serving_default", "serving_bytes", "transform_features")
        }

    def _predict(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        image = self.transform_layer(raw)[record.IMAGE]
        size, input_size = image.shape[1], self.model.input_shape[1]
        if size != input_size:
            image = tf.image.resize(image, [input_size, input_size], antialias=True)
        outputs = answer(self.model, image, self._config.recipe.serving_mirror)
        if record.MASK in outputs:
            logits = tf.image.resize(outputs[record.MASK], [size, size])
            several = logits.shape[-1] > 1
            outputs[record.MASK] = tf.nn.softmax(logits) if several else tf.nn.sigmoid(logits + self._logit_shift)
        return outputs


def answer(model: keras.Model, image: tf.Tensor, mirror: bool) -> dict[str, tf.Tensor]:
    """The network's answer for pictures float32 [B, S, S, 3], averaged with that for their mirror images if `mirror`.

    Returns:
        The label's name -> class probabilities float32 [B, classes]; `mask` -> logits float32 [B, S, S, 1], or
        [B, S, S, K + 1] of several classes.
    """
    outputs = _probabilities(model(image, training=False))
    if not mirror:
        return outputs
    mirrored = _probabilities(model(tf.reverse(image, [2]), training=False))
    if record.MASK in mirrored:
        mirrored[record.MASK] = tf.reverse(mirrored[record.MASK], [2])
    return {name: (outputs[name] + mirrored[name]) / 2.0 for name in outputs}


def _probabilities(logits: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {name: value if name == record.MASK else tf.nn.softmax(value) for name, value in logits.items()}


def export(module: ServingModel, directory: str) -> None:
    """Writes the SavedModel into `directory`."""
    tf.saved_model.save(module, directory, signatures=module.signatures())
