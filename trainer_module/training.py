"""One training: the phases of a recipe, kept after every epoch so that it can go on where it was interrupted."""

from __future__ import annotations

import dataclasses
import functools
import random
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from schema import record
from schema.dataset_spec import Label
from trainer_module import checkpoint, conflict, distribution, inputs, losses, metrics, probe, schedule
from trainer_module.callbacks import AfterEachEpoch, History, KeepBest, Soup
from trainer_module.config import Phase, TrainerConfig
from trainer_module.models import backbone_of, build_model

Data = tuple[tf.data.Dataset, tf.data.Dataset]

# How often Keras' `fit` makes an iterator over the training data for each epoch: one that it reads, and when that has
# ended one more, which it does not. On several devices it first reads a batch from one to build the optimizer.
_ITERATIONS_OF_EPOCH = 2
_ITERATIONS_OF_BUILD = 1


def fit(
    model: keras.Model,
    data: Callable[[TrainerConfig], Data],
    config: TrainerConfig,
    history: History,
    kept: checkpoint.Checkpoint | None = None,
    class_counts: Sequence[int] = (),
) -> keras.Model:
    """Runs the phases of `config.recipe`; returns the network of the last one with the weights of the epoch that
    `KeepBest` chose on eval, or with the mean of a `Soup`.

    Before the first phase that trains the backbone, the class head is fitted to the frozen features, if the recipe
    says so.

    Args:
        model: the network of `config`.
        data: gives the data sets (train, eval) of a config, at its `input_size`; asked once for every phase that
            changes the pictures, such as their size (progressive resizing: Tan and Le 2021, EfficientNetV2).
        config: the recipe.
        history: is told of every epoch.
        kept: where the state goes after every epoch, and an interrupted training goes on from; None: nowhere.
        class_counts: training examples of each class, where the recipe balances them.
    """
    training = _Training(model, data, config, history, kept, class_counts)
    numbers = range(len(config.recipe.trained_phases))
    for number in numbers[training.phase :]:
        training.run(number)
    training.keeper(numbers[-1]).restore(training.model)
    return training.model


class _Training:
    """A training between two phases, or where an interrupted one is taken up."""

    def __init__(
        self,
        model: keras.Model,
        data: Callable[[TrainerConfig], Data],
        config: TrainerConfig,
        history: History,
        kept: checkpoint.Checkpoint | None,
        class_counts: Sequence[int],
    ) -> None:
        self._class_counts = class_counts
        self.model, self._data, self._config, self._history, self._kept = model, data, config, history, kept
        self._label = config.heads.label.name if config.heads.label else ""
        self.best, self.soup = KeepBest(config, history.eval_examples), Soup()
        self.phase = self._epoch = self._iterations = 0
        self._stage: TrainerConfig | None = None
        self._probed = False
        self._optimizer: list[np.ndarray] = []
        if kept and (state := kept.read()):
            self._take_up(state)

    def keeper(self, number: int) -> KeepBest | Soup:
        """What keeps the weights that phase `number` finds."""
        return self.soup if self._config.recipe.in_soup(number) else self.best

    def run(self, number: int) -> None:
        """Trains phase `number`, or what is left of it."""
        config, recipe = self._config, self._config.recipe
        phase = recipe.trained_phases[number]
        self._begin_stage(number)
        if recipe.probe_passes and self._label and phase.backbone_rate and not self._probed:
            probe.fit_class_head(self.model, self._label, self._train_data, recipe.probe_passes)
            self._iterations += recipe.probe_passes
            self._probed = True
        steps = phase.epochs * len(self._train_data)
        compile_for(self.model, phase, steps, config, self._probed, self._class_counts)
        first, before = self._epoch, self._iterations
        _build(self.model, self._train_data)
        if first:
            checkpoint.assign(self.model.optimizer.variables, self._optimizer)

        def keep(epoch: int) -> None:
            self._epoch, self._iterations = epoch, before + (epoch - first) * _ITERATIONS_OF_EPOCH
            self._keep(number)

        self._history.begin_phase(number)
        averaging = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if recipe.ema else []
        self.model.fit(
            self._train_data,
            validation_data=self._eval_data,
            epochs=phase.epochs,
            initial_epoch=first,
            shuffle=False,  # the data set has shuffled already
            verbose=0,
            callbacks=[*self._measuring(), *averaging, self._history, self.keeper(number), AfterEachEpoch(keep, first)],
        )
        self._epoch, self._iterations = 0, before + (phase.epochs - first) * _ITERATIONS_OF_EPOCH
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            self._iterations += _ITERATIONS_OF_BUILD
        self._keep(number + 1)

    def _measuring(self) -> list[keras.callbacks.Callback]:
        """Before the weights are averaged: of those that the next step goes on from."""
        config = self._config
        if not (config.recipe.gradient_conflict and config.heads.label and config.heads.mask):
            return []
        objectives = weighted_losses(config, self._class_counts)
        return [conflict.GradientConflict(self._eval_data, self._label, record.MASK, objectives)]

    def _begin_stage(self, number: int) -> None:
        """Makes the network and the data those of phase `number`, if they are others."""
        phases = self._config.recipe.trained_phases
        stage = self._config.in_phase(phases[number])
        if stage == self._stage:
            return
        if not self._epoch and number and stage != self._config.in_phase(phases[number - 1]):
            self._iterations = 0
        if self.model.input_shape[1] != stage.recipe.input_size:
            self.model = rebuilt(self.model, stage)
        distribution.share_norms(self.model)
        self._stage = stage
        self._train_data, self._eval_data = self._data(stage)
        inputs.pass_over(self._train_data, self._iterations)

    def _take_up(self, state: checkpoint.State) -> None:
        phases = self._config.recipe.trained_phases
        stage = self._config.at_size(phases[state.phase if state.epoch else state.phase - 1].input_size)
        if self.model.input_shape[1] != stage.recipe.input_size:
            self.model = rebuilt(self.model, stage)
        checkpoint.assign(self.model.variables, state.model)
        random.setstate(state.random)
        self.phase, self._epoch, self._iterations = state.phase, state.epoch, state.iterations
        self._probed, self._optimizer = state.probed, state.optimizer
        self.best.go_on(state.best, state.best_weights)
        self.soup.go_on(state.soup_start, state.soup_weights, state.soup_epochs)
        self._history.restore(state.epochs, state.seconds)

    def _keep(self, phase: int) -> None:
        if not self._kept:
            return
        self._kept.write(
            checkpoint.State(
                phase=phase,
                epoch=self._epoch,
                iterations=self._iterations,
                probed=self._probed,
                epochs=self._history.epochs,
                seconds=self._history.seconds(),
                best=self.best.scores,
                best_weights=self.best.weights,
                soup_start=self.soup.start,
                soup_weights=self.soup.weights,
                soup_epochs=self.soup.epochs,
                model=checkpoint.values(self.model.variables),
                optimizer=checkpoint.values(self.model.optimizer.variables) if self._epoch else [],
                random=random.getstate(),
            )
        )


def rebuilt(model: keras.Model, config: TrainerConfig, with_features: bool = False) -> keras.Model:
    """The network of `config`, at its size, with the weights of `model`; `with_features` as in `build_model`."""
    other = build_model(dataclasses.replace(config, weights="none"), with_features)
    other.set_weights(model.get_weights())
    return other


def compile_for(
    model: keras.Model,
    phase: Phase,
    steps: int,
    config: TrainerConfig,
    probed: bool,
    class_counts: Sequence[int] = (),
) -> None:
    """Compiles `model` for one phase of so many steps; a `probed` class head learns as slowly as the backbone."""
    recipe, heads = config.recipe, config.heads
    backbone = backbone_of(model)
    backbone.trainable = phase.backbone_rate > 0
    if config.weights != "none":
        _fix_norms(backbone)
    shares = list(schedule.backbone_shares(backbone, phase.backbone_rate))
    if probed and heads.label:
        model.get_layer(f"{heads.label.name}_norm").trainable = False  # its statistics are the probe's
        head = model.get_layer(heads.label.name)
        shares += [(variable, phase.backbone_rate) for variable in head.trainable_variables]
    optimizer = schedule.LayerwiseAdamW(
        shares,
        learning_rate=schedule.learning_rate(phase, steps),
        weight_decay=recipe.weight_decay,
        global_clipnorm=1.0,
        use_ema=recipe.ema > 0,
        ema_momentum=recipe.ema or 0.99,
    )
    objectives = weighted_losses(config, class_counts)
    judges: dict[str, keras.metrics.Metric] = {}
    if heads.label:
        judges[heads.label.name] = metrics.Accuracy()
    if heads.mask:
        judges[record.MASK] = metrics.MaskF1(len(heads.mask.classes))
    model.compile(
        optimizer,
        loss={output: loss for output, (loss, _) in objectives.items()},
        loss_weights={output: weight for output, (_, weight) in objectives.items()},
        metrics={output: [judge] for output, judge in judges.items()},
    )


def weighted_losses(config: TrainerConfig, class_counts: Sequence[int] = ()) -> dict[str, conflict.Weighted]:
    """Of each output the loss and its weight in the sum that is trained; `class_counts` as in `fit`."""
    recipe, heads = config.recipe, config.heads
    weighted: dict[str, conflict.Weighted] = {}
    if heads.label:
        weighted[heads.label.name] = _class_loss(config, heads.label, class_counts), 1.0
    if heads.mask:
        over_batch = recipe.mask_overlap == "batch"
        mask_loss = functools.partial(losses.mask_loss, over_batch=True) if over_batch else losses.mask_loss
        weighted[record.MASK] = mask_loss, recipe.mask_loss_weight
    return weighted


def _build(model: keras.Model, data: tf.data.Dataset) -> None:
    """Makes the variables of optimizer, losses and metrics: Keras traces a first step that makes them twice."""
    model.optimizer.build(model.trainable_variables)
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        return  # Keras does it itself
    _, targets = data.element_spec
    truth = {name: tf.zeros([1, *spec.shape[1:]], spec.dtype) for name, spec in targets.items()}
    outputs = model(tf.zeros([1, *model.input_shape[1:]]), training=False)
    model.compute_loss(y=truth, y_pred=outputs)
    model.compute_metrics(None, truth, outputs)
    model.reset_metrics()


def _fix_norms(backbone: keras.Model) -> None:
    """Keeps pretrained batch normalisation in inference mode: better here than a batch's statistics, and faster."""
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def _class_loss(config: TrainerConfig, label: Label, counts: Sequence[int]) -> losses.Loss:
    recipe = config.recipe
    coarser = config.spec.coarser(label.name)
    return losses.class_loss(
        len(label.classes),
        recipe.label_smoothing,
        groups=coarser[0].parents if coarser else (),
        group_weight=recipe.coarser_loss_weight if coarser else 0.0,
        class_weights=losses.balanced(counts, recipe.class_balance) if recipe.class_balance else (),
        optional=label.optional,
    )
