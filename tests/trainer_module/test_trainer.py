"""The Trainer's `run_fn` as TFX calls it, and the SavedModel that it leaves."""

from __future__ import annotations

import collections
import json
import pathlib
import shutil
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import IMAGE_SIZE, small_config, train, transformed
from sklearn.metrics import f1_score
from tensorflow.core.protobuf import saved_model_pb2
from tfx.components.trainer.fn_args_utils import FnArgs

from schema import record
from tests.drawn import SPEC
from trainer_module import inputs, schedule, trainer
from trainer_module.calibration import temperature
from trainer_module.callbacks import History, KeepBest, Soup
from trainer_module.config import Augmentation, Phase, TrainerConfig
from trainer_module.models import build_model
from trainer_module.trainer import MaskThreshold
from trainer_module.training import Data, _class_loss, fit, rebuilt


def _history(fn_args: FnArgs) -> dict:
    return json.loads(pathlib.Path(fn_args.model_run_dir, record.HISTORY_FILE).read_text())


def test_the_history_tells_each_epoch_of_each_phase(trained: FnArgs) -> None:
    history = _history(trained)
    assert history["model"] == "mobilenet_v3_small"
    assert history["train_examples"] == history["eval_examples"] == 24
    assert [(epoch["epoch"], epoch["phase"]) for epoch in history["epochs"]] == [(0, 0), (1, 1)]
    figures = {"loss", "class_loss", "mask_loss", "accuracy", "mask_f1"}
    assert figures | {f"val_{name}" for name in figures} <= set(history["epochs"][0])


def test_pictures_may_be_of_a_size_that_no_network_is_of(tmp_path: pathlib.Path, records: pathlib.Path) -> None:
    graph = transformed(records, str(tmp_path / "transform"), 50)
    trained = train(tmp_path, records, graph, network="mobilenet_v3_small", second_look="closer")
    signature = tf.saved_model.load(trained.serving_model_dir).signatures["serving_pixels"]
    assert signature(pixels=tf.zeros([1, 40, 40, 3], tf.uint8))["mask"].shape == (1, 40, 40, 1)


def _data(stage: TrainerConfig, records: pathlib.Path, cache: pathlib.Path) -> Data:
    split = inputs.Split.of([str(records)])
    return (
        inputs.train_dataset(split, stage, IMAGE_SIZE, str(cache / "train")),
        inputs.eval_dataset(split, stage, IMAGE_SIZE, str(cache / "eval")),
    )


def test_a_step_is_traced_once(tmp_path: pathlib.Path, records: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    traced: collections.Counter[object] = collections.Counter()
    update = schedule.LayerwiseAdamW.update_step

    def counting(self: schedule.LayerwiseAdamW, gradient: Any, variable: Any, rate: Any) -> None:
        traced[self._var_key(variable)] += 1
        update(self, gradient, variable, rate)

    monkeypatch.setattr(schedule.LayerwiseAdamW, "update_step", counting)
    config = small_config(input_size=32, phases=(Phase(2, 1e-3),))
    history = History(config, str(tmp_path), 24, 24)
    model = fit(build_model(config), lambda stage: _data(stage, records, tmp_path), config, history)
    assert set(traced.values()) == {1}
    assert len(traced) == len(model.trainable_variables)


def test_a_phase_may_train_at_a_size_of_its_own(
    tmp_path: pathlib.Path, records: pathlib.Path, transform_graph: str
) -> None:
    sizes = []
    config = small_config(input_size=64, phases=(Phase(1, 1e-3, input_size=32), Phase(1, 1e-3), Phase(1, 1e-3)))

    def data(stage: TrainerConfig) -> Data:
        sizes.append(stage.recipe.input_size)
        return _data(stage, records, tmp_path)

    model = fit(build_model(config), data, config, History(config, str(tmp_path), 24, 24))
    assert sizes == [32, 64]
    assert model.input_shape[1] == 64
    larger = rebuilt(model, config.at_size(96))
    for weight, same in zip(model.get_weights(), larger.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)


def test_a_phase_may_train_without_the_recipes_cutmix(tmp_path: pathlib.Path, records: pathlib.Path) -> None:
    shares = []
    phases = (Phase(1, 1e-3), Phase(1, 1e-3), Phase(1, 1e-3, cutmix=False), Phase(1, 1e-3, cutmix=False))
    config = small_config(input_size=32, phases=phases, augmentation=Augmentation(cutmix=0.5))

    def data(stage: TrainerConfig) -> Data:
        shares.append(stage.recipe.augmentation.cutmix)
        return _data(stage, records, tmp_path)

    fit(build_model(config), data, config, History(config, str(tmp_path), 24, 24))
    assert shares == [0.5, 0.0]


def test_a_training_that_diverges_names_the_rate_to_lower(
    tmp_path: pathlib.Path, records: pathlib.Path, transform_graph: str
) -> None:
    with pytest.raises(ValueError, match=r"dcnn  epoch 1/1: .* diverged.*: nan.*phases\.0\.learning_rate"):
        train(tmp_path, records, transform_graph, phases=(Phase(1, 1e30),))


def test_tensorboard_logs_lie_beside_the_history(trained: FnArgs) -> None:
    assert list(pathlib.Path(trained.model_run_dir).glob("validation/events*"))


def test_training_learns_both_tasks(tmp_path: pathlib.Path, records: pathlib.Path, transform_graph: str) -> None:
    recipe = {"phases": (Phase(30, 3e-3),), "batch_size": 8, "label_smoothing": 0.0, "input_size": 64}
    last = _history(train(tmp_path, records, transform_graph, label="species", **recipe))["epochs"][-1]
    assert last["val_accuracy"] == 1.0
    assert last["val_mask_f1"] > 0.85


def test_the_same_seed_trains_the_same_model(
    tmp_path: pathlib.Path, records: pathlib.Path, transform_graph: str
) -> None:
    runs = [train(tmp_path / name, records, transform_graph, batch_size=8) for name in "ab"]
    losses = [_history(fn_args)["epochs"][-1]["loss"] for fn_args in runs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


class _Interrupted(History):
    """Ctrl-C in the second step of the second epoch."""

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        super().on_train_batch_end(batch, logs)
        if len(self.epochs) == 1 and batch == 1:
            raise KeyboardInterrupt


def test_an_interrupted_run_says_where_it_goes_on_and_does_so(
    tmp_path: pathlib.Path,
    records: pathlib.Path,
    transform_graph: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "progress")
    recipe = {"phases": (Phase(1, 1e-3), Phase(2, 1e-3)), "batch_size": 8}
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "History", _Interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, records, transform_graph, **recipe)
    assert "dcnn  interrupted: the next run of this training goes on after epoch 1 of 3" in caplog.messages
    assert list((tmp_path / "checkpoints").iterdir())
    shutil.rmtree(tmp_path / "model_run")  # as TFX does with an execution that failed
    resumed = train(tmp_path, records, transform_graph, **recipe)
    assert "dcnn  resumed after epoch 1 of 3" in caplog.messages
    assert [epoch["epoch"] for epoch in _history(resumed)["epochs"]] == [0, 1, 2]
    [events] = (tmp_path / "model_run" / "1" / "validation").iterdir()
    steps = {event.step for event in tf.compat.v1.train.summary_iterator(str(events)) if event.summary.value}
    assert steps == {0, 1, 2}, "TensorBoard shows the epochs before the interruption too"


def test_a_training_whose_outputs_are_lost_before_they_are_published_is_exported_again(
    tmp_path: pathlib.Path, records: pathlib.Path, transform_graph: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "progress")
    made = []
    for _ in range(2):
        fn_args = train(tmp_path, records, transform_graph, batch_size=8)
        loaded = tf.saved_model.load(fn_args.serving_model_dir)  # a signature does not keep its model alive
        signature = loaded.signatures["serving_pixels"]
        side = signature.structured_input_signature[1]["pixels"].shape[1]
        made.append((_history(fn_args)["epochs"], signature(pixels=tf.zeros([1, side, side, 3], tf.uint8))))
        shutil.rmtree(tmp_path / "model_run")
        shutil.rmtree(tmp_path / "model", ignore_errors=True)
    assert "dcnn  resumed after epoch 1 of 1" in caplog.messages
    assert made[0][0] == made[1][0]
    for name, answer in made[0][1].items():
        np.testing.assert_array_equal(answer, made[1][1][name])


def test_the_exported_network_is_float32_whatever_trained_it(
    tmp_path: pathlib.Path, records: pathlib.Path, transform_graph: str, serialized: list[bytes]
) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        fn_args = train(tmp_path, records, transform_graph)
        assert keras.config.dtype_policy().name == "mixed_float16", "the caller's own policy stays"
    finally:
        keras.config.set_dtype_policy("float32")
    model = tf.saved_model.load(fn_args.serving_model_dir)
    answers = model.signatures["serving_examples"](examples=tf.constant(serialized))
    assert {answer.dtype for answer in answers.values()} == {tf.float32}
    graph = saved_model_pb2.SavedModel.FromString(
        pathlib.Path(fn_args.serving_model_dir, "saved_model.pb").read_bytes()
    )
    functions = graph.meta_graphs[0].graph_def.library.function
    types = {attr.type for function in functions for node in function.node_def for attr in node.attr.values()}
    assert tf.float32.as_datatype_enum in types
    assert not types & {tf.float16.as_datatype_enum, tf.bfloat16.as_datatype_enum}


def test_the_mask_threshold_is_the_one_with_the_best_f1() -> None:
    generator = np.random.default_rng(0)
    masks = generator.integers(-1, 2, (3, 8, 16, 16, 1)).astype(np.float32)
    probabilities = np.clip(generator.normal(0.35 + 0.2 * masks, 0.15), 0, 1).astype(np.float32)
    threshold = MaskThreshold()
    for probability, mask in zip(probabilities, masks, strict=True):
        threshold.add(probability, mask)

    def f1(at: float) -> float:
        return f1_score(masks[masks >= 0] > 0, probabilities[masks >= 0] > at)

    assert f1(threshold.best()) == pytest.approx(max(f1(at) for at in np.linspace(0.2, 0.8, 25)), abs=1e-9)
    assert f1(threshold.best()) > f1(0.2)


def test_the_exported_models_probabilities_are_those_of_the_fitted_temperature(
    trained: FnArgs, serialized: list[bytes], records: pathlib.Path
) -> None:
    serve = tf.saved_model.load(trained.serving_model_dir).signatures["serving_examples"]
    examples = list(tf.data.TFRecordDataset(str(records)).as_numpy_iterator())
    probabilities = serve(examples=tf.constant(examples))["breed"].numpy()
    classes = np.arange(len(examples)) % 2
    fitted = _history(trained)["temperature"]
    assert abs(fitted - 1.0) > 0.01
    assert temperature(fitted * np.log(probabilities), classes) == pytest.approx(fitted, rel=1e-3)


@pytest.mark.parametrize(
    ("examples", "accuracies", "kept"),
    [
        (100, (0.3, 0.9, 0.88, 0.5), 2),  # a standard error of 0.03: the third is as good as the second, and later
        (10_000, (0.3, 0.9, 0.88, 0.5), 1),  # one of 0.003: it is not
        (100, (0.3, 0.9, 0.88, 0.93), 3),
        (100, (0.9, 0.89, 0.86, 0.85), 1),  # the error counts from the best, not from the last that was kept
    ],
)
def test_the_latest_epoch_within_a_standard_error_of_the_best_is_kept(
    examples: int, accuracies: tuple[float, ...], kept: int
) -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    best = KeepBest(small_config(), examples)
    best.set_model(model)
    for epoch, accuracy in enumerate(accuracies):
        model.set_weights([np.array([[float(epoch)]])])
        best.on_epoch_end(epoch, {"val_breed_accuracy": accuracy, "val_mask_f1": 0.5})
    best.restore(model)
    assert model.get_weights()[0] == kept


def test_without_a_class_head_the_epoch_of_the_best_mask_is_kept() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    best = KeepBest(small_config(task="segmentation"), 100)
    best.set_model(model)
    for epoch, f1 in enumerate((0.5, 0.9, 0.89)):
        model.set_weights([np.array([[float(epoch)]])])
        best.on_epoch_end(epoch, {"val_f1": f1})
    best.restore(model)
    assert model.get_weights()[0] == 1


def test_the_trainings_of_a_soup_begin_alike_and_their_epochs_weigh_alike() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    soup = Soup()
    soup.set_model(model)
    model.set_weights([np.array([[7.0]])])
    for weights in ((1.0, 2.0), (5.0, 8.0)):
        for epoch, weight in enumerate(weights):
            soup.on_epoch_begin(epoch)
            assert epoch or model.get_weights()[0] == 7
            model.set_weights([np.array([[weight]])])
            soup.on_epoch_end(epoch)
    soup.restore(model)
    assert model.get_weights()[0] == 4


@pytest.mark.parametrize(("label", "added"), [("breed", True), ("species", False)])
def test_the_recipes_loss_on_a_coarser_label_is_added_to_the_finer_ones(label: str, added: bool) -> None:
    truth = np.eye(len(SPEC.label(label).classes), dtype=np.float32)[:2]
    with_it, without = (
        np.sum(_class_loss(small_config(label=label, coarser_loss_weight=weight), SPEC.label(label), ())(truth, truth))
        for weight in (1.0, 0.0)
    )
    assert (with_it > without) == added
