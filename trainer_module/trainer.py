"""The Trainer's `run_fn`: data in, trained two-headed network out, with its history beside it."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from schema import pets
from trainer_module import distribution, inputs, losses, metrics, probe, schedule, signatures
from trainer_module.callbacks import History, KeepBest
from trainer_module.config import Phase, TrainerConfig
from trainer_module.models import backbone_of, build_model

Data = tuple[tf.data.Dataset, tf.data.Dataset]

_THRESHOLDS = np.linspace(0.2, 0.8, 25)


def run_fn(fn_args: FnArgs) -> None:
    """Trains the network of `custom_config["config"]` and exports it.

    Writes the SavedModel to `fn_args.serving_model_dir`; TensorBoard logs and `history.json` (see `callbacks.History`)
    to `fn_args.model_run_dir`.
    """
    config = TrainerConfig.from_json(fn_args.custom_config["config"])
    transform = tft.TFTransformOutput(fn_args.transform_output)
    image_size = transform.transformed_feature_spec()[pets.IMAGE].shape[0]
    train, evaluation = inputs.Split.of(fn_args.train_files), inputs.Split.of(fn_args.eval_files)
    keras.utils.set_random_seed(config.seed)
    if tf.config.list_physical_devices("GPU"):
        keras.mixed_precision.set_global_policy("mixed_float16")

    with tempfile.TemporaryDirectory() as cache:

        def data(stage: TrainerConfig) -> Data:
            prefix = os.path.join(cache, str(stage.recipe.input_size))
            return (
                inputs.train_dataset(train, stage, image_size, f"{prefix}-train"),
                inputs.eval_dataset(evaluation, stage, image_size, f"{prefix}-eval"),
            )

        history = History(config, fn_args.model_run_dir, train.examples, evaluation.examples)
        with distribution.strategy(config.recipe.batch_size).scope():
            model = fit(build_model(config), data, config, history)
        serving = rebuilt(model, config.serving)
        threshold = 0.5
        if pets.MASK in config.outputs:
            serving_data = inputs.eval_dataset(evaluation, config.serving, image_size, os.path.join(cache, "serving"))
            threshold = best_mask_threshold(serving, serving_data, config.recipe.serving_mirror)
    history.write(serving, threshold)
    signatures.export(signatures.ServingModel(serving, config, transform, threshold), fn_args.serving_model_dir)


def fit(
    model: keras.Model, data: Callable[[TrainerConfig], Data], config: TrainerConfig, history: History
) -> keras.Model:
    """Runs the phases of `config.recipe`; returns the network of the last one with the weights of the epoch that
    `KeepBest` chose on eval.

    Before the first phase that trains the backbone, the class head is fitted to the frozen features, if the recipe
    says so.

    Args:
        model: the network of `config`.
        data: gives the data sets (train, eval) of a config, at its `input_size`; asked once for every phase that
            changes the size (progressive resizing: Tan and Le 2021, EfficientNetV2).
        config: the recipe.
        history: is told of every epoch.
    """
    size = 0
    best = KeepBest(config.label, history.eval_examples)
    probed = False
    for number, phase in enumerate(config.recipe.phases):
        stage = config.at_size(phase.input_size)
        if stage.recipe.input_size != size:
            size = stage.recipe.input_size
            if model.input_shape[1] != size:
                model = rebuilt(model, stage)
            distribution.share_norms(model)
            train_data, eval_data = data(stage)
        if config.recipe.probe_passes and config.label in config.outputs and phase.backbone_rate and not probed:
            probe.fit_class_head(model, config.label, train_data, config.recipe.probe_passes)
            probed = True
        compile_for(model, phase, steps=phase.epochs * len(train_data), config=config, probed=probed)
        history.begin_phase(number)
        averaging = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if config.recipe.ema else []
        model.fit(
            train_data,
            validation_data=eval_data,
            epochs=phase.epochs,
            shuffle=False,  # the data set has shuffled already
            verbose=0,
            callbacks=[*averaging, history, best],
        )
    best.restore(model)
    return model


def rebuilt(model: keras.Model, config: TrainerConfig) -> keras.Model:
    """The network of `config`, at its size, with the weights of `model`."""
    other = build_model(dataclasses.replace(config, weights="none"))
    other.set_weights(model.get_weights())
    return other


def compile_for(model: keras.Model, phase: Phase, steps: int, config: TrainerConfig, probed: bool) -> None:
    """Compiles `model` for one phase of so many steps; a `probed` class head learns as slowly as the backbone."""
    recipe = config.recipe
    backbone = backbone_of(model)
    backbone.trainable = phase.backbone_rate > 0
    if config.weights != "none":
        _fix_norms(backbone)
    shares = list(schedule.backbone_shares(backbone, phase.backbone_rate))
    if probed:
        shares += [(variable, phase.backbone_rate) for variable in model.get_layer(config.label).trainable_variables]
    optimizer = schedule.LayerwiseAdamW(
        shares,
        learning_rate=schedule.learning_rate(phase, steps),
        weight_decay=recipe.weight_decay,
        global_clipnorm=1.0,
        use_ema=recipe.ema > 0,
        ema_momentum=recipe.ema or 0.99,
    )
    heads = {
        config.label: (_class_loss(config), 1.0, _accuracy()),
        pets.MASK: (losses.mask_loss, recipe.mask_loss_weight, metrics.MaskF1()),
    }
    used = {output: heads[output] for output in config.outputs}
    model.compile(
        optimizer,
        loss={output: loss for output, (loss, _, _) in used.items()},
        loss_weights={output: weight for output, (_, weight, _) in used.items()},
        metrics={output: [metric] for output, (_, _, metric) in used.items()},
    )


def _fix_norms(backbone: keras.Model) -> None:
    """Keeps pretrained batch normalisation in inference mode: better here than a batch's statistics, and faster."""
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def _class_loss(config: TrainerConfig) -> losses.Loss:
    classes, recipe = len(pets.CLASSES[config.label]), config.recipe
    if config.label != pets.BREED:
        return losses.class_loss(classes, recipe.label_smoothing)
    return losses.class_loss(classes, recipe.label_smoothing, pets.SPECIES_OF_BREED, recipe.species_loss_weight)


def _accuracy() -> keras.metrics.Metric:
    return keras.metrics.CategoricalAccuracy(name="accuracy")


def best_mask_threshold(model: keras.Model, eval_data: tf.data.Dataset, mirror: bool) -> float:
    """The pet probability in (0, 1) at which the mask's F1 over all pixels of `eval_data` is highest.

    Of equal ones the nearest to 0.5. `mirror` as in `signatures.answer`.
    """
    overlap, predicted_pixels, pet_pixels = np.zeros(len(_THRESHOLDS)), np.zeros(len(_THRESHOLDS)), 0.0
    for image, targets in eval_data:
        mask = targets[pets.MASK].numpy()
        probability = tf.sigmoid(signatures.answer(model, image, mirror)[pets.MASK]).numpy()[mask >= 0]
        pet = mask[mask >= 0] > 0
        pet_pixels += np.count_nonzero(pet)
        for index, threshold in enumerate(_THRESHOLDS):
            predicted = probability > threshold
            overlap[index] += np.count_nonzero(predicted & pet)
            predicted_pixels[index] += np.count_nonzero(predicted)
    f1 = 2 * overlap / np.maximum(predicted_pixels + pet_pixels, 1)
    return float(min(_THRESHOLDS[f1 == f1.max()], key=lambda threshold: abs(threshold - 0.5)))
