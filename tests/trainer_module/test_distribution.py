from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from trainer_module import distribution

# Logical devices can be set only before TensorFlow has started any: a process of its own. Each device draws its own
# dropout; without it several devices must train as one does.
_TRAIN = """
import dataclasses, json, sys
import keras
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from conftest import small_config
from trainer_module import distribution, inputs, training
from trainer_module.callbacks import History
from trainer_module.config import Phase
from trainer_module.models import build_model

records, folder = sys.argv[1:]
config = small_config(
    "dcnn",
    phases=(Phase(2, 1e-3, backbone_rate=0.1),),
    batch_size=8,
    dropout=0.0,
    width=0.25,
    probe_passes=1,
    ema=0.9,
    weight_decay=0.01,
    gradient_conflict=True,
)
split = inputs.Split.of([records])
whole = dataclasses.replace(config.recipe, batch_size=split.examples)
# The same pictures in the same order for both.
*_, (images, targets) = inputs.train_dataset(split, dataclasses.replace(config, recipe=whole), 64, folder + "/cache")
pictures = tf.data.Dataset.from_tensor_slices((images, targets))


def train(devices):
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    strategy = distribution.over(devices, 8) if devices else tf.distribute.get_strategy()
    name = str(len(devices))
    data = pictures.batch(8)
    part = pictures.take(21).batch(8)  # the last batch is not full, and its parts differ
    history = History(config, folder + "/" + name, 24, 21)
    with strategy.scope():
        model = build_model(config)
        training.fit(model, lambda _: (data, part), config, history)
    history.write(model, 0.5, 1.0)
    replicas = strategy.num_replicas_in_sync
    epochs = json.load(open(folder + "/" + name + "/history.json"))["epochs"]
    plain = build_model(config)
    plain.set_weights(model.get_weights())  # as run_fn does for export
    image = next(iter(part))[0]
    answer = float(np.abs(plain(image, training=False)["mask"]).mean())
    return {"replicas": replicas, "answer": answer, "epochs": epochs}


print(json.dumps([train([]), train(["CPU:0", "CPU:1"])]))
"""


@pytest.fixture(scope="module")
def trained(records: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """The whole of `training.fit`, probe and moving average included, on one device and on two."""
    folder = tmp_path_factory.mktemp("distribution")
    here = pathlib.Path(__file__)
    result = subprocess.run(
        [sys.executable, "-c", _TRAIN, str(records), str(folder)],
        cwd=here.parent,
        env={**os.environ, "PYTHONPATH": str(here.parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-5000:]
    return json.loads(result.stdout.splitlines()[-1])


def test_two_devices_have_the_losses_of_one(trained: list[dict]) -> None:
    one, two = trained
    assert (one["replicas"], two["replicas"]) == (1, 2)
    for figure in ("loss", "class_loss", "mask_loss", "val_loss", "val_mask_f1", "mask_gradient"):
        expected = [epoch[figure] for epoch in one["epochs"]]
        assert [epoch[figure] for epoch in two["epochs"]] == pytest.approx(expected, rel=1e-3), figure


def test_the_weights_kept_from_two_devices_make_the_same_model(trained: list[dict]) -> None:
    one, two = trained
    assert two["answer"] == pytest.approx(one["answer"], rel=1e-3)


_SHARE = """
import keras
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from trainer_module import distribution
from trainer_module.schedule import LayerwiseAdamW

with distribution.over(["CPU:0", "CPU:1"], 8).scope():
    slow, fast = (keras.layers.Dense(1, use_bias=False) for _ in range(2))
    model = keras.Sequential([keras.Input((1,)), slow, fast])
    model.compile(LayerwiseAdamW([(slow.kernel, 0.01)], learning_rate=0.1, weight_decay=0.0), "mse")
before = model.get_weights()
model.fit(np.ones((8, 1)), np.full((8, 1), 100.0), batch_size=8, epochs=1, verbose=0)
print([abs(float((new - old).squeeze())) for new, old in zip(model.get_weights(), before)])
"""


def test_a_variable_on_two_devices_moves_at_its_share_of_the_rate() -> None:
    result = subprocess.run([sys.executable, "-c", _SHARE], capture_output=True, text=True, check=True)
    # Adam's first step has the length of the rate, whatever the gradient.
    assert json.loads(result.stdout.splitlines()[-1]) == pytest.approx([0.001, 0.1], rel=1e-3)


def test_one_device_is_used_where_there_is_no_second_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert distribution.strategy(batch_size=33).num_replicas_in_sync == 1


def test_a_batch_that_devices_cannot_share_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size is 33, which 2 devices cannot share equally"):
        distribution.over(["CPU:0", "CPU:1"], 33)


def test_several_workers_in_tf_config_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = {"worker": ["one:2222", "two:2222"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}}))
    with pytest.raises(ValueError, match=r"TF_CONFIG names 2 tasks .worker one:2222, worker two:2222."):
        distribution.strategy(batch_size=32)


def test_one_worker_in_tf_config_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": ["one:2222"]}}))
    assert distribution.strategy(batch_size=32).num_replicas_in_sync == 1
