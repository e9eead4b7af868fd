"""An interrupted training goes on to the same weights and figures, to the bit."""

from __future__ import annotations

import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from schema import record
from trainer_module.checkpoint import Checkpoint, State, forget_finished, key

# A size that changes between phases and one that does not, a frozen phase before the probe, a moving average, squares
# that are pasted until the last phase and dropout: everything that a training's course hangs on. A new process knows no
# random state of the first.
_TRAIN = """
import json, os, pathlib, shutil, sys
import keras
import numpy as np

records, folder, soup, *states = sys.argv[1:]

from conftest import small_config
from trainer_module import checkpoint, inputs, training
from trainer_module.callbacks import History
from trainer_module.config import Augmentation, Phase
from trainer_module.models import build_model

config = small_config(
    "dcnn",
    phases=(
        Phase(2, 1e-2, backbone_rate=0.0, input_size=64),
        Phase(2, 1e-2, backbone_rate=0.5),
        Phase(1, 1e-2),
        Phase(2, 1e-2, cutmix=False),
    ),
    batch_size=8,
    dropout=0.5,
    width=0.25,
    probe_passes=2,
    ema=0.9,
    soup=int(soup),
    weight_decay=0.01,
    augmentation=Augmentation(cutmix=0.5),
)
split = inputs.Split.of([records])


class Copied(checkpoint.Checkpoint):
    def write(self, state):
        super().write(state)
        shutil.copy(self.path, f"{folder}/after-{len(state.epochs)}-{state.phase}.npz")


def train(name, kept):
    data = lambda stage: (
        inputs.train_dataset(split, stage, 64, f"{folder}/{name}-{stage.recipe.input_size}-train"),
        inputs.eval_dataset(split, stage, 64, f"{folder}/{name}-{stage.recipe.input_size}-eval"),
    )
    keras.backend.clear_session()
    keras.utils.set_random_seed(config.seed)
    history = History(config, f"{folder}/{name}", split.examples, split.examples)
    model = training.fit(build_model(config), data, config, history, kept)
    history.write(model, 0.5, 1.0)
    np.savez(f"{folder}/{name}/weights.npz", *model.get_weights())


if not states:
    train("unbroken", Copied(folder, "kept"))
for state in states:
    os.makedirs(f"{folder}/{state}-state")
    shutil.copy(f"{folder}/{state}.npz", f"{folder}/{state}-state/kept.npz")
    train(state, checkpoint.Checkpoint(f"{folder}/{state}-state", "kept"))
"""


def _train(records: pathlib.Path, folder: pathlib.Path, soup: int, *states: str) -> None:
    command = [sys.executable, "-c", _TRAIN, str(records), str(folder), str(soup), *states]
    here = pathlib.Path(__file__)
    environment = {**os.environ, "PYTHONPATH": str(here.parent)}
    result = subprocess.run(command, cwd=here.parents[2], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]


def _figures(run: pathlib.Path) -> list[dict[str, float]]:
    epochs = json.loads((run / record.HISTORY_FILE).read_text())["epochs"]
    return [{k: v for k, v in epoch.items() if k not in ("seconds", "images_per_second")} for epoch in epochs]


@pytest.mark.parametrize(
    ("soup", "states"),  # epochs in all, phase to go on with
    [
        (1, ["after-1-0", "after-2-1", "after-3-1", "after-4-2", "after-5-3", "after-6-3", "after-7-4"]),
        (2, ["after-5-3", "after-6-3", "after-7-4", "after-8-4", "after-9-5"]),
    ],
)
def test_a_training_killed_after_any_epoch_ends_as_the_unbroken_one(
    tmp_path: pathlib.Path, records: pathlib.Path, soup: int, states: list[str]
) -> None:
    _train(records, tmp_path, soup)
    _train(records, tmp_path, soup, *states)
    unbroken = np.load(tmp_path / "unbroken" / "weights.npz")
    for state in states:
        assert _figures(tmp_path / state) == _figures(tmp_path / "unbroken"), state
        resumed = np.load(tmp_path / state / "weights.npz")
        for name in unbroken:
            np.testing.assert_array_equal(resumed[name], unbroken[name], err_msg=f"{state} {name}")


def _state(**changes: Any) -> State:
    fields: dict[str, Any] = {
        "phase": 1,
        "epoch": 0,
        "iterations": 2,
        "probed": False,
        "epochs": [{"loss": 0.1}],
        "seconds": 1.5,
        "best": {"best": 0.5, "error": 0.01},
        "best_weights": [np.arange(3.0)],
        "soup_start": [],
        "soup_weights": [],
        "soup_epochs": 0,
        "model": [np.eye(2), np.array(7, np.uint32)],
        "optimizer": [],
        "random": random.getstate(),
    }
    return State(**fields | changes)


def test_a_checkpoint_gives_back_what_it_got(tmp_path: pathlib.Path) -> None:
    checkpoint = Checkpoint(str(tmp_path / "new"), "key")
    assert checkpoint.read() is None
    checkpoint.write(_state(seconds=1.0))
    checkpoint.write(given := _state())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["key.npz"]
    state = Checkpoint(str(tmp_path / "new"), "key").read()
    assert state is not None
    assert (state.epochs, state.best, state.seconds, state.random) == (
        given.epochs,
        given.best,
        given.seconds,
        given.random,
    )
    for array, same in zip(state.model, given.model, strict=True):
        np.testing.assert_array_equal(array, same)
        assert array.dtype == same.dtype


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_damaged_checkpoint_is_said_and_not_used(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture, kept: int
) -> None:
    caplog.set_level("INFO", "progress")
    checkpoint = Checkpoint(str(tmp_path), "key")
    checkpoint.write(_state())
    file = pathlib.Path(checkpoint.path)
    file.write_bytes(file.read_bytes()[:kept])
    assert checkpoint.read() is None
    assert "key.npz is damaged" in caplog.messages[0]


def test_a_flipped_bit_is_seen(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "progress")
    checkpoint = Checkpoint(str(tmp_path), "key")
    checkpoint.write(_state(model=[np.full(1000, 3.0)]))
    file = pathlib.Path(checkpoint.path)
    content = bytearray(file.read_bytes())
    content[content.index(np.full(10, 3.0).tobytes()) + 80] ^= 1
    file.write_bytes(content)
    assert checkpoint.read() is None
    assert "damaged" in caplog.messages[0]


def test_another_trainings_checkpoint_is_said_and_kept(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "progress")
    Checkpoint(str(tmp_path), "other").write(_state())
    (tmp_path / "mine.npz.1f").touch()  # of a write that was killed
    mine = Checkpoint(str(tmp_path), "mine")
    assert mine.read() is None
    assert "other.npz is of a training with another config, code or data" in caplog.messages[0]
    mine.write(_state())
    mine.finish()
    assert {path.name for path in tmp_path.iterdir()} == {"other.npz", "mine.finished"}
    forget_finished(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["other.npz"]


def test_a_finished_training_is_taken_up_until_the_next_one_begins(tmp_path: pathlib.Path) -> None:
    done = Checkpoint(str(tmp_path), "done")
    done.write(_state())
    done.finish()
    again = Checkpoint(str(tmp_path), "done")
    state = again.read()
    assert state is not None
    assert again.epochs == len(state.epochs) == len(_state().epochs)
    again.finish()
    assert Checkpoint(str(tmp_path), "next").read() is None
    assert not tmp_path.exists()


def test_no_flipped_bit_goes_unseen(tmp_path: pathlib.Path) -> None:
    kept = Checkpoint(str(tmp_path), "key")
    kept.write(_state())
    file = pathlib.Path(kept.path)
    content = file.read_bytes()
    generator = random.Random(0)
    for _ in range(1000):
        flipped = bytearray(content)
        flipped[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        file.write_bytes(flipped)
        assert kept.read() is None


def test_a_key_stands_for_config_size_and_the_records_content(tmp_path: pathlib.Path) -> None:
    first, second = (str(tmp_path / name) for name in "ab")
    for path, content in ((first, b"one"), (second, b"two")):
        pathlib.Path(path).write_bytes(content)
    same = key({"config": "{}"}, 64, [first])
    copy = str(shutil.copy(first, tmp_path / "copy"))
    assert key({"config": "{}"}, 64, [copy]) == same, "where the records lie decides nothing"
    others = [
        key({"config": "[]"}, 64, [first]),
        key({"config": "{}"}, 96, [first]),
        key({"config": "{}"}, 64, [second]),
    ]
    assert len({same, *others}) == 4
