"""What `benchmarks/ideas.py` mixes, averages and teaches."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from schema import record
from trainer_module import augmentation

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ideas(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import ideas

    yield ideas
    for name in ("ideas", "ablations"):
        sys.modules.pop(name, None)


@pytest.fixture
def batch() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """A black and a white picture of two classes, each all foreground."""
    pixels = np.stack([np.zeros((8, 8, 3)), np.full((8, 8, 3), 255)]).astype(np.uint8)
    return tf.constant(pixels), tf.ones((2, 8, 8, 1), tf.uint8), tf.eye(2)


@pytest.mark.parametrize("name", ["CutMix for the class head alone", "MixUp for the class head alone"])
def test_a_mixed_picture_has_shares_of_both_classes_and_no_known_mask(ideas, batch, name) -> None:
    image, mask, label = batch
    seed = tf.constant([2, 3], tf.int64)
    with ideas.COMMON[name].patch():
        new_image, new_mask, new_label = augmentation.cutmix(image, mask, label, 1.0, seed)
        untouched = augmentation.cutmix(image, mask, label, 0.0, seed)
    other = 1.0 - tf.linalg.diag_part(new_label).numpy()
    assert 0.0 < other[0] < 1.0
    np.testing.assert_allclose(new_image[0].numpy().mean() / 255, other[0], atol=0.003)
    assert np.unique(new_mask) == record.MASK_IGNORED
    for one, before in zip(untouched, batch, strict=True):
        np.testing.assert_array_equal(one, before)


def test_a_teacher_mends_the_pixels_that_it_is_sure_of(ideas) -> None:
    mask = tf.constant([0.0, 1.0, 0.0, 1.0, -1.0])
    answer = {record.MASK: tf.constant([5.0, -5.0, 1.0, -1.0, 5.0])}
    assert ideas._sure_pixels({record.MASK: mask}, answer)[record.MASK].numpy().tolist() == [1.0, 0.0, 0.0, 1.0, -1.0]


def test_a_teacher_has_half_of_a_say_in_the_class(ideas) -> None:
    answer = {"breed": tf.math.log([[0.5, 0.5], [0.2, 0.8]])}
    found = ideas._half_of_the_class({"breed": tf.eye(2), "mask": tf.zeros(2)}, answer)
    np.testing.assert_allclose(found["breed"], [[0.75, 0.25], [0.1, 0.9]], rtol=1e-6)
    assert set(found) == {"breed", "mask"}


def test_results_by_other_flags_are_neither_taken_nor_shown(ideas, monkeypatch, tmp_path, capsys) -> None:
    ablations = sys.modules["ablations"]
    figures = dict.fromkeys(("breeds", "nats", "species", "species_nats", "mask_f1", "minutes"), 0.5)

    def results(flags, known, _):
        return [{"variant": name, "seed": 20, **figures} for name in flags.only if (name, 20) not in known]

    def run(*arguments: str) -> list[str]:
        command = ["ideas.py", "--examples", "DIR", "--results", str(tmp_path / "results.jsonl"), *arguments]
        monkeypatch.setattr(sys, "argv", command)
        ablations.main(ideas.VARIANTS, "")
        return capsys.readouterr().out.splitlines()

    monkeypatch.setattr(ablations, "results", results)
    run("--only", "as it is", "twice as long", "--model", "dcnn")
    trained, *table = run("--only", "as it is", "--model", "mobilenet_v3_small")
    assert "as it is" in trained
    assert len(table) == 3
    [*table] = run("--only", "as it is", "--model", "mobilenet_v3_small")
    assert len(table) == 3, "it is known by now"
