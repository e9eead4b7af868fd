"""The second look: where it goes, what it sees there, and what it adds to the answer."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests.trainer_module.conftest import small_config
from trainer_module import looks
from trainer_module.config import Phase, TrainerConfig
from trainer_module.likeness import FEATURES
from trainer_module.looks import Looks, object_box
from trainer_module.models import build_model

CERTAIN = 20.0
"""Of a pixel, as a logit."""


def picture(size: int = 64) -> np.ndarray:
    """float32 [2, size, size, 3], smooth."""
    noise = np.random.default_rng(0).uniform(-1, 1, (2, size, size, 3)).astype(np.float32)
    return np.stack([cv2.GaussianBlur(one, (0, 0), 3) for one in noise])


def logits(*boxes: tuple[int, int, int, int], size: int = 64) -> tf.Tensor:
    """A mask for each (top, left, bottom, right), in pixels."""
    masks = np.full((len(boxes), size, size, 1), -CERTAIN, np.float32)
    for mask, (top, left, bottom, right) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = CERTAIN
    return tf.constant(masks)


def config(second_look: str, **recipe: Any) -> TrainerConfig:
    return small_config(input_size=64, second_look=second_look, **recipe)


def test_the_box_lies_around_the_object_on_lines_between_cells() -> None:
    # Of what is spread evenly over a side, 1.7 standard deviations reach 0.98 times as far as its half.
    box = object_box(logits((20, 8, 60, 50)), 1.7)
    np.testing.assert_array_equal(64 * box, [[20, 8, 40, 42]])


def test_masks_that_differ_in_the_last_digits_have_the_same_box() -> None:
    mask = 8.0 * picture()[..., :1]
    other = mask + np.random.default_rng(1).uniform(-3e-4, 3e-4, mask.shape).astype(np.float32)
    np.testing.assert_array_equal(object_box(tf.constant(mask), 1.7), object_box(tf.constant(other), 1.7))


def test_the_box_stays_within_the_picture_and_is_not_too_small() -> None:
    boxes = object_box(logits((0, 30, 64, 34), (60, 60, 64, 64)), 2.0).numpy()
    np.testing.assert_allclose(boxes[0], [0.0, 0.25, 1.0, 0.5], atol=0.02)
    corner = boxes[1]
    assert (corner[:2] + corner[2:]).max() <= 1.0
    assert corner[2:].min() >= 0.25


def test_without_an_object_the_box_is_the_whole_picture() -> None:
    np.testing.assert_allclose(object_box(logits((0, 0, 0, 0)), 2.0), [[0, 0, 1, 1]], atol=1e-6)


def test_of_several_classes_all_that_is_not_background_is_the_object() -> None:
    of_one = logits((20, 8, 60, 50))
    foreground = of_one[..., 0] > 0
    halves = tf.range(64) < 30
    of_two = tf.stack([~foreground, foreground & halves, foreground & ~halves], axis=-1)
    boxes = object_box(CERTAIN * tf.cast(of_two, tf.float32), 1.7)
    np.testing.assert_allclose(boxes, object_box(of_one, 1.7), atol=1e-4)


def test_a_mask_that_is_sure_of_its_object_is_in_no_doubt_and_one_that_is_not_in_doubt_by_its_pixels() -> None:
    [[sure]] = looks.doubt(logits((20, 8, 60, 50))).numpy()
    assert sure == pytest.approx(0.0, abs=1e-6)
    # Everywhere p: of p (1 - p) to p the share 1 - p is left, so that a faint mask is in more doubt than a strong one.
    for probability in (0.5, 0.05):
        everywhere = tf.fill([1, 64, 64, 1], float(np.log(probability / (1 - probability))))
        assert looks.doubt(everywhere).numpy() == pytest.approx(1 - probability, abs=0.02)
        of_two = tf.concat([tf.zeros_like(everywhere), everywhere - np.log(2.0), everywhere - np.log(2.0)], axis=-1)
        np.testing.assert_allclose(looks.doubt(of_two), looks.doubt(everywhere), atol=1e-5)


def test_what_is_magnified_is_what_opencv_magnifies_and_mirrors() -> None:
    image, box = picture(), np.array([[0.1, 0.3, 0.5, 0.6], [0.0, 0.25, 0.75, 0.75]], np.float32)
    found = looks.magnified(tf.constant(image), tf.constant(box), 48).numpy()
    for one, (top, left, height, width), expected in zip(found, box, image, strict=True):
        at = (np.arange(48) + 0.5) / 48
        x, y = np.meshgrid((left + width * at) * 64 - 0.5, (top + height * at) * 64 - 0.5)
        expected = cv2.remap(
            expected, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        np.testing.assert_allclose(one, expected[:, ::-1], atol=0.01)  # OpenCV rounds places to 1/32


def test_the_whole_picture_at_its_own_size_is_its_mirror_image() -> None:
    image, whole = tf.constant(picture()), tf.constant([[0.0, 0.0, 1.0, 1.0]] * 2)
    np.testing.assert_allclose(looks.magnified(image, whole, 64), image[:, :, ::-1], atol=1e-5)


def test_a_closer_mask_counts_half_in_its_place_and_nowhere_else() -> None:
    whole, box = picture()[..., :1], tf.constant([[0.25, 0.25, 0.5, 0.5]] * 2)
    closer = looks.magnified(tf.constant(whole + 1.0), box, 32)
    added = (looks.put_back(tf.constant(whole), closer, box) - whole).numpy()[..., 0]
    inner, box_pixels = np.s_[:, 19:45, 19:45], np.s_[:, 16:48, 16:48]
    np.testing.assert_allclose(added[inner], 0.5, atol=0.02)
    added[box_pixels] = 0.0
    np.testing.assert_array_equal(added, 0.0)


def test_a_mirrored_answer_is_the_mean_of_picture_and_mirror_image() -> None:
    model, image = build_model(config("mirror")), tf.constant(picture())
    alone, mirrored = model(image), model(image[:, :, ::-1])
    both = Looks(model, config("mirror"), 64)(image)
    of_each = [tf.nn.log_softmax(answer["breed"]) for answer in (alone, mirrored)]
    np.testing.assert_allclose(both["breed"], sum(of_each) / 2, atol=1e-5)
    np.testing.assert_allclose(both["mask"], (alone["mask"] + mirrored["mask"][:, :, ::-1]) / 2, atol=1e-5)


@pytest.mark.parametrize("serving_size", [32, 64, 96])
def test_a_closer_answer_is_the_mean_of_the_picture_and_of_its_object_mirrored_at_the_last_phases_size(
    serving_size: int,
) -> None:
    phases = (Phase(1, 1e-3), Phase(1, 1e-3, input_size=32))
    settings = config("closer", phases=phases, serving_size=serving_size, closer_reach=1.4)
    model, image = build_model(settings.serving), tf.constant(picture(40))
    small = build_model(settings.at_size(32))
    small.set_weights(model.get_weights())
    alone = model(tf.image.resize(image, [serving_size, serving_size]))
    mask = tf.image.resize(alone["mask"], [40, 40])
    box = object_box(mask, reach=1.4)
    again = small(looks.magnified(image, box, 32))
    both = Looks(model, settings, image_size=64)(image)
    first, closer = (tf.nn.log_softmax(answer["breed"]) for answer in (alone, again))
    np.testing.assert_allclose(both["breed"], 0.4 * first + 0.6 * closer, atol=1e-5)
    np.testing.assert_allclose(both["mask"], looks.put_back(mask, again["mask"], box), atol=1e-5)


@pytest.mark.parametrize(
    ("second_look", "image_size", "size"),
    [("none", 128, 96), ("mirror", 96, 96), ("none", 64, 64), ("closer", 128, 80), ("closer", 64, 64)],
)
def test_pictures_are_of_the_networks_size_or_for_a_closer_look_of_that_of_the_trainings(
    second_look: str, image_size: int, size: int
) -> None:
    settings = config(second_look, serving_size=96)
    assert Looks(build_model(settings.serving), settings, image_size).size == size


@pytest.mark.parametrize("second_look", ["none", "mirror", "closer"])
@pytest.mark.parametrize(("task", "doubts"), [("both", 1), ("segmentation", 1), ("classification", 0)])
def test_features_are_of_the_first_look_with_the_doubt_of_its_mask(second_look: str, task: str, doubts: int) -> None:
    settings = config(second_look, task=task)
    model, image = build_model(settings, with_features=True), tf.constant(picture())
    alone, found = model(image), Looks(model, settings, 64)(image)[FEATURES]
    size = alone[FEATURES].shape[1]
    np.testing.assert_allclose(found[:, :size], alone[FEATURES], atol=1e-6)
    assert found.shape[1] == size + doubts
    if doubts:
        np.testing.assert_allclose(found[:, size:], looks.doubt(alone["mask"]), atol=1e-6)


def test_both_looks_are_by_the_same_weights() -> None:
    model, image = build_model(config("closer")), tf.constant(picture())
    asked = Looks(model, config("closer"), 64)
    before = asked(image)["breed"]
    model.set_weights([2.0 * values for values in model.get_weights()])
    assert not np.allclose(before, asked(image)["breed"])
    np.testing.assert_allclose(asked(image)["breed"], Looks(model, config("closer"), 64)(image)["breed"], atol=1e-5)


def test_without_a_mask_head_a_closer_look_is_at_the_mirror_image() -> None:
    settings = config("closer", task="classification")
    model, image = build_model(settings), tf.constant(picture())
    mirrored = Looks(model, config("mirror", task="classification"), 64)(image)
    np.testing.assert_array_equal(Looks(model, settings, 64)(image)["breed"], mirrored["breed"])
