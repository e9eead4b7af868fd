from __future__ import annotations

import numpy as np
import tensorflow as tf

from trainer_module.augmentation import _change_colours, augment, cutmix
from trainer_module.config import Augmentation

NOTHING = Augmentation(min_scale=1.0, aspect=1.0, rotation=0.0, flip=False, colour=0.0)
SEED = tf.constant([1, 2], tf.int64)


def _picture(image: np.ndarray, mask: np.ndarray) -> tf.Tensor:
    return tf.constant(np.concatenate([image, mask], axis=-1).astype(np.uint8))


def _half_pet(count: int = 8) -> tf.Tensor:
    """Pictures whose left half is white and pet, the right half black and background."""
    mask = np.zeros((count, 32, 32, 1), np.uint8)
    mask[:, :, :16] = 1
    return _picture(np.repeat(mask * 255, 3, axis=-1), mask)


def test_without_changes_pictures_come_back_as_they_were() -> None:
    picture = tf.constant(np.random.default_rng(0).integers(0, 256, (8, 32, 32, 4)).astype(np.uint8))
    image, mask = augment(picture, 32, NOTHING, SEED)
    np.testing.assert_array_equal(image, picture[..., :3])
    np.testing.assert_array_equal(mask, picture[..., 3:])


def test_geometry_moves_image_and_mask_together() -> None:
    image, mask = augment(_half_pet(), 48, Augmentation(colour=0.0), SEED)
    bright = image.numpy()[..., :1] > 127
    assert image.shape == (8, 48, 48, 3)
    # Bilinear and nearest sampling differ on the one pixel wide border only.
    assert np.mean(bright == (mask.numpy() == 1)) > 0.95


def test_pictures_of_a_batch_change_differently() -> None:
    image, _ = augment(_half_pet(), 32, Augmentation(colour=0.0), SEED)
    assert len({picture.tobytes() for picture in image.numpy()}) == 8


def test_a_flip_mirrors_half_of_the_pictures() -> None:
    _, flipped = augment(_half_pet(count=64), 32, Augmentation(1.0, 1.0, 0.0, flip=True, colour=0.0), SEED)
    mirrored = [bool(picture[0, -1, 0] == 1) for picture in flipped.numpy()]
    assert 16 < sum(mirrored) < 48


def test_colour_changes_the_image_alone() -> None:
    grey, pet = np.full((4, 16, 16, 3), 100), np.ones((4, 16, 16, 1))
    image, mask = augment(_picture(grey, pet), 16, Augmentation(1.0, 1.0, 0.0, flip=False, colour=0.5), SEED)
    assert len(np.unique(image.numpy()[:, 0, 0, 0])) > 1
    np.testing.assert_array_equal(mask, pet)


def test_colours_change_as_brightness_then_contrast_then_saturation() -> None:
    pixels = np.random.default_rng(0).integers(60, 160, (16, 16, 3)).astype(np.uint8)
    brightness, contrast, saturation = factors = np.array([1.1, 0.8, 1.3], np.float32)
    expected = pixels * brightness
    expected = expected.mean() + (expected - expected.mean()) * contrast
    grey = expected @ [0.299, 0.587, 0.114]
    expected = grey[..., None] + (expected - grey[..., None]) * saturation
    assert np.ptp(expected) < 255
    assert expected.min() > 0
    _change_colours(pixels, factors)
    assert np.max(np.abs(pixels - expected)) <= 0.6  # to bytes, in fixed point


def test_masks_keep_their_values() -> None:
    mask = np.random.default_rng(0).choice([0, 1, 2], (8, 32, 32, 1))
    _, new_mask = augment(_picture(np.zeros((8, 32, 32, 3)), mask), 40, Augmentation(), SEED)
    assert set(np.unique(new_mask)) == {0, 1, 2}


def test_the_same_seed_gives_the_same_pictures_and_another_seed_others() -> None:
    first, _ = augment(_half_pet(), 32, Augmentation(), SEED)
    second, _ = augment(_half_pet(), 32, Augmentation(), SEED)
    other, _ = augment(_half_pet(), 32, Augmentation(), SEED + 1)
    np.testing.assert_array_equal(first, second)
    assert np.any(first.numpy() != other.numpy())


def _two_kinds() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Eight pictures: a black background of class 0 and a white pet of class 1, in turn."""
    label = tf.one_hot(tf.range(8) % 2, 2)
    mask = tf.ones([8, 20, 20, 1], tf.uint8) * tf.cast(label[:, None, None, 1:], tf.uint8)
    return tf.repeat(mask * 255, 3, axis=-1), mask, label


def test_cutmix_pastes_image_mask_and_label_by_the_same_area() -> None:
    image, mask, label = cutmix(*_two_kinds(), 1.0, SEED)
    white = np.mean(mask, axis=(1, 2, 3))
    np.testing.assert_array_equal(image[..., :1] == 255, mask == 1)
    np.testing.assert_allclose(label[:, 1], white, atol=1e-6)
    assert np.all((white > 0) & (white < 1))


def test_cutmix_leaves_the_other_batches_alone() -> None:
    image, mask, label = _two_kinds()
    same_image, same_mask, same_label = cutmix(image, mask, label, 0.0, SEED)
    np.testing.assert_array_equal(image, same_image)
    np.testing.assert_array_equal(mask, same_mask)
    np.testing.assert_array_equal(label, same_label)
