"""The exported SavedModel: the network behind signatures for strangers' photos, for TFMA, and for phones.

What it answers, and the file that says what the answers mean, are a contract with the applications that use it:
docs/serving.md.
"""

from __future__ import annotations

import functools
import json
import math
import os
import tempfile
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_transform as tft

from schema import record
from trainer_module import photos, preprocessing, warmup
from trainer_module.config import TrainerConfig
from trainer_module.likeness import FEATURES, Likeness
from trainer_module.looks import Looks

CONTRACT_VERSION = 1
MODEL_FILE = "model.json"
"""In the SavedModel's `assets`: all that an application needs to know, see `model_description`."""

NAMED = 5
"""So many of the most probable classes are named in an answer, or all where there are fewer."""

_PNG_COMPRESSION = 1
"""A mask is a sixth smaller at zlib's usual level, and takes five times as long."""


class Judgement(NamedTuple):
    """How far a network's answers may be believed."""

    temperature: float
    """What the class head's logits are divided by."""
    likeness: Likeness
    """What the training data is like."""
    mask_threshold: float
    """In (0, 1), where the network's own foreground probability splits best."""


class ServingModel(tf.Module):
    """What is exported: four signatures over one network.

    B photos, C classes of the label that the model names, S the side of the model's picture, T of Transform's.

    - `serving_default`: encoded photos `image_bytes`, string [B], to an answer for people: see there.
    - `serving_pixels`: `pixels` uint8 [B, S, S, 3], upright RGB, to `probabilities` float32 [B, C], `known`
      float32 [B] and `mask` float32 [B, S, S, 1], the probability of the one foreground class, or [B, S, S, K + 1] of
      background and K classes.
    - `serving_examples`: serialized records `examples`, string [B], of which only `image` is read, to the label's name
      -> class probabilities float32 [B, C], and `mask` as above but [B, T, T, …]. For TFMA and trusted batches.
    - `transform_features`: what TFMA compares with: each label int64 [B], -1 unknown, and `mask` float32 [B, T, T, 1]
      of class indices, -1 unknown.

    An answer holds what the model has heads for. An empty batch of photos or records gets an empty answer.
    """

    def __init__(
        self,
        looks: Looks,
        config: TrainerConfig,
        transform: tft.TFTransformOutput,
        judgement: Judgement,
    ) -> None:
        """Wraps a trained network.

        Args:
            looks: the network, built with features, as it is used.
            config: the Trainer's config.
            transform: Transform's output.
            judgement: how far its answers may be believed.
        """
        super().__init__()
        # Not the network itself: saving one, TensorFlow asks each layer for every attribute it has.
        self._weights = [variable.value for variable in looks.model.variables]
        self.transform_layer = transform.transform_features_layer()
        self._feature_spec = transform.raw_feature_spec()
        self.image_size: int = transform.transformed_feature_spec()[record.IMAGE].shape[0]
        self.input_size = looks.size
        self._judgement = judgement
        self._config, self._heads = config, config.heads
        # Traced once for all signatures: building the network's graph is most of what an export costs. In a lambda,
        # since `tf.saved_model.save` traces a module's tf.functions again. AutoGraph would find nothing to convert.
        pixels = tf.TensorSpec([None, self.input_size, self.input_size, 3], tf.uint8)
        network = tf.function(functools.partial(self._answer, looks), input_signature=[pixels], autograph=False)
        self._network = lambda pixels: network(pixels)
        self._no_answers = lambda: tf.nest.map_structure(
            lambda spec: tf.zeros([0, *spec.shape[1:]], spec.dtype), network.get_concrete_function().structured_outputs
        )
        # Moves that probability to 0.5, the threshold that everybody assumes.
        self._logit_shift = -math.log(judgement.mask_threshold / (1.0 - judgement.mask_threshold))

    def serving_default(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """The answer for encoded photos, string [B].

        Returns:
            With a class head `probabilities` float32 [B, C]; the `classes` of the min(5, C) highest, string, and their
            `scores`, float32; and for each coarser label its name -> the most probable class, string [B], and
            `NAME_score` float32 [B]. With a mask head `mask_bytes` string [B], a PNG of the photo's own size: of one
            foreground class its probability times 255, of several the index of the most probable class. `known` float32
            [B] in [0, 1], how much a photo looks like the training data: 0.5 and more has 95 % of split eval. `error`
            string [B], empty, or a sentence that says why this photo got no answer: then all else is 0 and empty.
        """
        found = photos.decode_photos(image_bytes, self.image_size, self.input_size)
        outputs, known = self._network_of_any_batch(found.pixels)
        usable = found.errors == ""
        answers = {"error": found.errors, "known": tf.where(usable, known, 0.0)}
        if self._heads.label:
            answers |= self._named(tf.where(usable[:, None], outputs[self._heads.label.name], 0.0), usable)
        if self._heads.mask:
            answers["mask_bytes"] = tf.map_fn(
                lambda photo: tf.cond(photo[1][0] > 0, lambda: self._mask_png(*photo), lambda: tf.constant(b"")),
                (outputs[record.MASK], found.sizes),
                fn_output_signature=tf.string,
            )
        return answers

    def serving_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        raw = tf.io.parse_example(examples, {record.IMAGE: self._feature_spec[record.IMAGE]})
        pixels = preprocessing.decode_images(raw[record.IMAGE], self.image_size)
        outputs, _ = self._network_of_any_batch(preprocessing.resize_image(pixels, self.input_size))
        if record.MASK in outputs:
            logits = tf.image.resize(outputs[record.MASK], [self.image_size, self.image_size])
            outputs[record.MASK] = self._mask_probabilities(logits)
        return outputs

    def serving_pixels(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs, known = self._network(pixels)
        answers = {"known": known}
        if self._heads.label:
            answers["probabilities"] = outputs[self._heads.label.name]
        if self._heads.mask:
            answers[record.MASK] = self._mask_probabilities(outputs[record.MASK])
        return answers

    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        # Without the image: TFMA would carry its floats, forty times the JPEG, through every step.
        names = [label.name for label in self._config.spec.labels]
        spec = {name: self._feature_spec[name] for name in (*names, *([record.MASK] if self._config.spec.mask else []))}
        return self.transform_layer(tf.io.parse_example(examples, spec))

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        # The methods are no tf.functions themselves for the same reason.
        strings = functools.partial(tf.TensorSpec, [None], tf.string)
        pixels = tf.TensorSpec([None, self.input_size, self.input_size, 3], tf.uint8, name="pixels")
        specs = {
            self.serving_default: strings(name="image_bytes"),
            self.serving_examples: strings(name="examples"),
            self.serving_pixels: pixels,
            self.transform_features: strings(name="examples"),
        }
        return {
            method.__name__: tf.function(method, input_signature=[spec], autograph=False).get_concrete_function()
            for method, spec in specs.items()
        }

    # Workaround: an empty batch is an error ("Incompatible shapes") where oneDNN is on, as by default on many CPUs.
    # Cause: oneDNN's convolution gives no photos the shape that its input has (TensorFlow 2.21).
    # Can go when it gives them the shape of its output.
    def _network_of_any_batch(self, pixels: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        return tf.cond(tf.shape(pixels)[0] > 0, lambda: self._network(pixels), self._no_answers)

    def _answer(self, looks: Looks, pixels: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """The label's name -> class probabilities float32 [B, C], `mask` -> logits [B, S, S, 1 or K + 1]; `known`."""
        outputs = looks(preprocessing.normalise_image(pixels))
        if label := self._heads.label:
            outputs[label.name] = tf.nn.softmax(outputs[label.name] / self._judgement.temperature)
        return outputs, self._judgement.likeness.known(outputs.pop(FEATURES))

    def _named(self, probabilities: tf.Tensor, usable: tf.Tensor) -> dict[str, tf.Tensor]:
        """The class head's part of `serving_default`'s answer."""
        label = self._heads.label
        assert label is not None
        scores, indices = tf.math.top_k(probabilities, min(NAMED, len(label.classes)))
        names = tf.where(usable[:, None], tf.gather(tf.constant(label.classes), indices), "")
        answers = {"probabilities": probabilities, "classes": names, "scores": scores}
        for coarser in self._config.spec.coarser(label.name):
            summed = probabilities @ tf.one_hot(coarser.parents, len(coarser.classes))
            name = tf.gather(tf.constant(coarser.classes), tf.argmax(summed, axis=1))
            answers[coarser.name] = tf.where(usable, name, "")
            answers[f"{coarser.name}_score"] = tf.reduce_max(summed, axis=1)
        return answers

    def _mask_probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(logits) if logits.shape[-1] > 1 else tf.nn.sigmoid(logits + self._logit_shift)

    def _mask_png(self, logits: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """Logits [S, S, 1 or K + 1] as a PNG, string [], of `size` (height, width)."""
        logits = tf.image.resize(logits, size)
        if logits.shape[-1] > 1:
            mask = tf.argmax(logits, axis=-1)[..., None]
        else:
            mask = self._mask_probabilities(logits) * 255.0 + 0.5
        return tf.io.encode_png(tf.cast(mask, tf.uint8), compression=_PNG_COMPRESSION)


def model_description(config: TrainerConfig, image_size: int, input_size: int) -> dict[str, Any]:
    """What `model.json` holds.

    Returns:
        `title`, of the data set; `label`, that the model names, and its `classes`, in the order of `probabilities`
        (without a class head null and empty); `coarser`, by name: its `classes`, and `of`: for each of the label's
        classes the index of the coarser one; `mask`: its foreground `classes`, class k of them being k + 1 in a mask of
        several (null without a mask head); `image_size`, the side of the square that photos are resized to before it is
        resized to `input_size`, the side of what `serving_pixels` takes; and `version of the contract`.
    """
    label, mask = config.heads.label, config.heads.mask
    return {
        "title": config.spec.title,
        "label": label.name if label else None,
        "classes": list(label.classes) if label else [],
        "coarser": {
            coarser.name: {"classes": list(coarser.classes), "of": list(coarser.parents)}
            for coarser in (config.spec.coarser(label.name) if label else ())
        },
        "mask": {"classes": list(mask.classes)} if mask else None,
        "image_size": image_size,
        "input_size": input_size,
        "version of the contract": CONTRACT_VERSION,
    }


def export(module: ServingModel, config: TrainerConfig, directory: str) -> None:
    """Writes the SavedModel, with `model.json` among its assets and warm-up requests beside them, into `directory`."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, MODEL_FILE)
        with open(path, "w", encoding="utf-8") as file:
            described = model_description(config, module.image_size, module.input_size)
            json.dump(described, file, indent=1, ensure_ascii=False)
        module.description = tf.saved_model.Asset(path)
        tf.saved_model.save(module, directory, signatures=module.signatures())
    warmup.write(directory)
