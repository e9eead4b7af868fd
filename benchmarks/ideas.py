"""What ideas would give that the recipes do not have: each one added, judged on split eval.

    python benchmarks/ideas.py --examples RUN/pipeline/ExampleGen/examples/ID [--model dcnn] [--results FILE]

Flags and judgement are those of `ablations.py`. Some variants learn from the network as it is, which must then be
trained in the same call.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import ablations
import keras
import numpy as np
import tensorflow as tf
from ablations import AS_IS, Variant

from schema import record
from trainer_module import augmentation, callbacks, inputs, training
from trainer_module.callbacks import KeepBest
from trainer_module.config import Recipe, TrainerConfig
from trainer_module.models import dcnn, heads

_RADIUS = 0.05
"""Of the neighbourhood whose worst place a sharpness-aware step looks at (Foret et al. 2021)."""
_SURE = 0.95

Targets = dict[str, tf.Tensor]
Mixed = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def _mixed_for_class_alone(
    mix: Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], Mixed],
) -> Callable[[], contextlib.AbstractContextManager]:
    """`mix` instead of CutMix, in as many batches; of a mixed picture the mask is unknown."""

    def mixed(image: tf.Tensor, mask: tf.Tensor, label: tf.Tensor, share: float, seed: tf.Tensor) -> Mixed:
        seeds = tf.unstack(tf.random.split(seed, 2))

        def done() -> Mixed:
            new_image, _, new_label = mix(image, mask, label, seeds[1])
            return new_image, tf.fill(tf.shape(mask), tf.constant(record.MASK_IGNORED, tf.uint8)), new_label

        return tf.cond(tf.random.stateless_uniform([], seeds[0]) < share, done, lambda: (image, mask, label))

    return lambda: mock.patch.object(augmentation, "cutmix", mixed)


def _mixup(image: tf.Tensor, mask: tf.Tensor, label: tf.Tensor, seed: tf.Tensor) -> Mixed:
    """Zhang et al. 2018, with alpha 1."""
    share = tf.random.stateless_uniform([], seed)
    pixels = tf.cast(image, tf.float32)
    pixels = tf.round((1.0 - share) * pixels + share * pixels[::-1])
    return tf.cast(pixels, tf.uint8), mask, (1.0 - share) * label + share * label[::-1]


_cutmix = augmentation.cutmix


def _always_cutmix(image: tf.Tensor, mask: tf.Tensor, label: tf.Tensor, seed: tf.Tensor) -> Mixed:
    return _cutmix(image, mask, label, 1.0, seed)


def _sharpness_aware() -> contextlib.AbstractContextManager:
    def train_step(model: keras.Model, data: tuple[tf.Tensor, Targets]) -> dict[str, tf.Tensor]:
        image, targets = data
        variables = model.trainable_variables

        def gradient() -> tuple[Targets, tf.Tensor, list[tf.Tensor]]:
            with tf.GradientTape() as tape:
                answer = model(image, training=True)
                loss = model.compute_loss(x=image, y=targets, y_pred=answer)
            return answer, loss, tape.gradient(loss, [variable.value for variable in variables])

        here = gradient()[2]
        length = _RADIUS / (tf.linalg.global_norm(here) + 1e-12)
        for variable, part in zip(variables, here, strict=True):
            variable.assign_add(part * length)
        answer, loss, uphill = gradient()
        for variable, part in zip(variables, here, strict=True):
            variable.assign_sub(part * length)
        model._loss_tracker.update_state(loss)
        model.optimizer.apply(uphill, variables)
        return model.compute_metrics(image, targets, answer)

    return mock.patch.object(keras.Model, "train_step", train_step)


class _MeanOfTwoBest(KeepBest):
    """Keeps the mean of the weights of the two best epochs."""

    def __init__(self, config: TrainerConfig, examples: int) -> None:
        super().__init__(config, examples)
        self._two: list[tuple[float, list[np.ndarray]]] = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        plain = callbacks._plain_names(logs or {}, self._config)
        score = plain["val_accuracy"] + plain["val_mask_f1"]
        self._two = sorted([*self._two, (score, self.model.get_weights())], key=lambda one: one[0])[-2:]
        self.weights = [np.mean(pair, axis=0) for pair in zip(*(weights for _, weights in self._two), strict=True)]


def _class_head_on_two_stages() -> contextlib.AbstractContextManager:
    """The deepest map and the one before, at the former's size."""
    of_mask, of_class = heads.mask_logits, heads.class_logits
    maps: list[keras.KerasTensor] = []

    def mask_logits(features: Sequence[keras.KerasTensor], *rest: Any) -> keras.KerasTensor:
        maps[:] = features
        return of_mask(features, *rest)

    def class_logits(deepest: keras.KerasTensor, *rest: Any) -> keras.KerasTensor:
        before = keras.layers.AveragePooling2D(2)(maps[-2])
        return of_class(keras.layers.Concatenate()([before, deepest]), *rest)

    return mock.patch.multiple(heads, mask_logits=mask_logits, class_logits=class_logits)


def _stochastic_depth() -> contextlib.AbstractContextManager:
    """A fifth of the pictures passes by a residual block (Huang et al. 2016)."""
    gate = dcnn._squeeze_excite

    def sometimes(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return keras.layers.Dropout(0.2, noise_shape=(None, 1, 1, 1), name=f"{name}_depth")(gate(x, name))

    return mock.patch.object(dcnn, "_squeeze_excite", sometimes)


def _randaugment_of_colours() -> contextlib.AbstractContextManager:
    """RandAugment (Cubuk et al. 2020) without its geometry, which the recipe's own has: two changes a batch."""
    values = {"value_range": (0, 255)}
    changes = [
        keras.layers.AutoContrast(**values),
        keras.layers.Equalization(**values),
        keras.layers.RandomColorDegeneration(0.5, **values),
        keras.layers.RandomPosterization(4, **values),
        keras.layers.RandomSharpness(0.5, **values),
        keras.layers.Solarization(0.3, 0.3, **values),
        keras.layers.RandomBrightness(0.3, **values),
        keras.layers.RandomContrast(0.5, **values),
    ]
    whole = augmentation.augment

    def augment(picture: tf.Tensor, size: int, settings: Any, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, mask = whole(picture, size, settings, seed)
        pixels = tf.cast(image, tf.float32)
        for one in tf.unstack(tf.random.split(seed + 1, 2)):
            chosen = tf.random.stateless_uniform([], one, 0, len(changes), tf.int32)
            branches = [lambda change=change, pixels=pixels: change(pixels, training=True) for change in changes]
            pixels = tf.ensure_shape(tf.switch_case(chosen, branches), image.shape)
        return tf.cast(tf.clip_by_value(tf.round(pixels), 0.0, 255.0), tf.uint8), mask

    return mock.patch.object(augmentation, "augment", augment)


def _taught(
    change: Callable[[Targets, Targets], Targets],
) -> Callable[[keras.Model], contextlib.AbstractContextManager]:
    """Targets are changed by what the network that was trained before says of the same augmented picture."""

    def by(teacher: keras.Model) -> contextlib.AbstractContextManager:
        whole = inputs.train_dataset

        def train_dataset(split: inputs.Split, config: TrainerConfig, *rest: Any) -> tf.data.Dataset:
            network = training.rebuilt(teacher, config)
            return whole(split, config, *rest).map(
                lambda image, targets: (image, change(targets, network(image, training=False)))
            )

        return mock.patch.object(inputs, "train_dataset", train_dataset)

    return by


def _half_of_the_class(targets: Targets, answer: Targets) -> Targets:
    """Self-distillation (Furlanello et al. 2018, Born-again networks)."""
    return {**targets, "breed": (targets["breed"] + tf.nn.softmax(answer["breed"])) / 2.0}


def _sure_pixels(targets: Targets, answer: Targets) -> Targets:
    """Self-training of the masks: where the teacher is sure, it is right."""
    mask, foreground = targets[record.MASK], tf.sigmoid(answer[record.MASK])
    mended = tf.where(foreground > _SURE, 1.0, tf.where(foreground < 1.0 - _SURE, 0.0, mask))
    return {**targets, record.MASK: tf.where(mask < 0.0, mask, mended)}


def _twice_as_long(recipe: Recipe) -> Recipe:
    phases = (dataclasses.replace(phase, epochs=2 * phase.epochs) for phase in recipe.phases)
    return dataclasses.replace(recipe, phases=tuple(phases))


def _last_epoch_larger(recipe: Recipe) -> Recipe:
    """The last epoch of the last phase at about 5/4 of its size."""
    *before, last = recipe.phases
    size = round((last.input_size or recipe.input_size) * 1.25 / 32) * 32
    shorter = dataclasses.replace(last, epochs=last.epochs - 1, final_rate=0.3)
    larger = dataclasses.replace(last, epochs=1, learning_rate=0.3 * last.learning_rate, input_size=size)
    return dataclasses.replace(recipe, phases=(*before, shorter, larger))


_HALF_MIXED = ablations._augmented(cutmix=0.5)
COMMON = {
    AS_IS: Variant(),
    "masks mended by a first training": Variant(taught=_taught(_sure_pixels)),
    "classes half of a first training's": Variant(taught=_taught(_half_of_the_class)),
    "CutMix for the class head alone": Variant(_HALF_MIXED, _mixed_for_class_alone(_always_cutmix)),
    "MixUp for the class head alone": Variant(_HALF_MIXED, _mixed_for_class_alone(_mixup)),
    "sharpness-aware steps": Variant(patch=_sharpness_aware),
    "mean of the two best epochs": Variant(
        ablations._with(soup=1), lambda: mock.patch.object(training, "KeepBest", _MeanOfTwoBest)
    ),
    "class head on two stages": Variant(patch=_class_head_on_two_stages),
    "twice as long": Variant(_twice_as_long),
}
VARIANTS = {
    "dcnn": {
        **COMMON,
        "stochastic depth": Variant(patch=_stochastic_depth),
        "RandAugment's colours": Variant(patch=_randaugment_of_colours),
    },
    "mobilenet_v3_small": {**COMMON, "last epoch at a larger size": Variant(_last_epoch_larger)},
}

if __name__ == "__main__":
    ablations.main(VARIANTS, __doc__)
