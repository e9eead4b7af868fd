"""The exported SavedModel: Transform's graph and the network behind signatures for a server and for TFMA."""

from __future__ import annotations

import keras
import tensorflow as tf
import tensorflow_transform as tft

from schema import pets
from trainer_module.config import TrainerConfig


class ServingModel(tf.Module):
    """What is exported: `serving_default`, `serving_bytes` and `transform_features`.

    `serving_default` takes serialized `tf.Example`s (string [B]) of which only `image` is read; `serving_bytes` takes
    encoded photos (string [B]). Both return the label's name -> class probabilities float32 [B, classes], and `mask` ->
    pet probability float32 [B, H, W, 1] at Transform's size. `transform_features` returns the labels that TFMA compares
    with: `breed` and `species` int64 [B], `mask` float32 [B, H, W, 1] of 0, 1 and -1.
    """

    def __init__(
        self, model: keras.Model, config: TrainerConfig, transform: tft.TFTransformOutput, mask_threshold: float
    ) -> None:
        """Wraps a trained network.

        Args:
            model: the network of `config.serving`.
            config: the Trainer's config.
            transform: Transform's output.
            mask_threshold: in (0, 1), where the network's own pet probability splits best.
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
        raw = tf.io.parse_example(examples, {pets.IMAGE: self._feature_spec[pets.IMAGE]})
        return self._predict(raw)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def serving_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._predict({pets.IMAGE: image_bytes})

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        # Without the image: TFMA would carry its floats, forty times the JPEG, through every step.
        spec = {name: self._feature_spec[name] for name in (pets.MASK, pets.BREED, pets.SPECIES_LABEL)}
        return self.transform_layer(tf.io.parse_example(examples, spec))

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        return {
            name: getattr(self, name).get_concrete_function()
            for name in ("serving_default", "serving_bytes", "transform_features")
        }

    def _predict(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        image = self.transform_layer(raw)[pets.IMAGE]
        size, input_size = image.shape[1], self.model.input_shape[1]
        if size != input_size:
            image = tf.image.resize(image, [input_size, input_size], antialias=True)
        outputs = answer(self.model, image, self._config.recipe.serving_mirror)
        if pets.MASK in outputs:
            logits = tf.image.resize(outputs[pets.MASK], [size, size])
            outputs[pets.MASK] = tf.nn.sigmoid(logits + self._logit_shift)
        return outputs


def answer(model: keras.Model, image: tf.Tensor, mirror: bool) -> dict[str, tf.Tensor]:
    """The network's answer for pictures float32 [B, S, S, 3], averaged with that for their mirror images if `mirror`.

    Returns:
        The label's name -> class probabilities float32 [B, classes]; `mask` -> logits float32 [B, S, S, 1].
    """
    outputs = _probabilities(model(image, training=False))
    if not mirror:
        return outputs
    mirrored = _probabilities(model(tf.reverse(image, [2]), training=False))
    if pets.MASK in mirrored:
        mirrored[pets.MASK] = tf.reverse(mirrored[pets.MASK], [2])
    return {name: (outputs[name] + mirrored[name]) / 2.0 for name in outputs}


def _probabilities(logits: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {name: value if name == pets.MASK else tf.nn.softmax(value) for name, value in logits.items()}


def export(module: ServingModel, directory: str) -> None:
    """Writes the SavedModel into `directory`."""
    tf.saved_model.save(module, directory, signatures=module.signatures())
