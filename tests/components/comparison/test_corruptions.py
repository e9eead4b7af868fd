"""Photos made worse: by how much, where, and the same in every run."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import pytest

from components.comparison import corruptions
from components.comparison.corruptions import KINDS, STRENGTHS, Photo, corrupt

EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


@functools.cache
def scene(side: int = 256) -> Photo:
    """Blobs of every size on a slope of colours, neither black nor white anywhere."""
    rng = np.random.default_rng(0)
    photo = np.full((256, 256, 3), 128.0)
    for sigma in (1, 3, 9, 27):
        blobs = cv2.GaussianBlur(rng.normal(size=(256, 256, 3)), (0, 0), sigma)
        photo += 25 * blobs / blobs.std()
    return corruptions._resized(np.clip(photo, 30, 225).astype(np.uint8), side / 256)


def flat(level: int) -> Photo:
    return np.full((256, 256, 3), level, np.uint8)


def apart(one: Photo, other: Photo) -> float:
    return float(np.abs(one.astype(float) - other).mean())


@EVERY_KIND
def test_each_strength_does_more_damage_than_the_one_before(kind: str) -> None:
    photo = scene()
    damage = [apart(photo, corrupt(photo, kind, strength, "a.jpg")) for strength in STRENGTHS]
    assert damage[0] > 1
    assert damage == sorted(damage)
    assert len(set(damage)) == len(STRENGTHS)


@EVERY_KIND
@pytest.mark.parametrize("shape", [(1, 1), (8, 300), (300, 8), (256, 341)])
def test_a_photo_of_any_size_stays_as_large_as_it_is(kind: str, shape: tuple[int, int]) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    before = photo.copy()
    for strength in STRENGTHS:
        worse = corrupt(photo, kind, strength, "a.jpg")
        assert (worse.shape, worse.dtype) == (photo.shape, np.uint8)
    np.testing.assert_array_equal(photo, before)


@EVERY_KIND
def test_chance_does_the_same_in_every_run_and_something_else_to_another_photo(kind: str) -> None:
    photo = scene()
    once, again, other = (corrupt(photo, kind, 3, name) for name in ("a.jpg", "a.jpg", "b.jpg"))
    np.testing.assert_array_equal(once, again)
    assert np.array_equal(once, other) == (kind not in ("noise", "motion blur"))


@pytest.mark.parametrize("kind", ["defocus", "motion blur", "low resolution"])
def test_lengths_are_scaled_to_the_photo(kind: str) -> None:
    large, small = (corrupt(scene(side), kind, 5, "a.jpg") for side in (256, 128))
    assert apart(corruptions._resized(large, 0.5), small) < 2
    assert apart(scene(128), small) > 5


@pytest.mark.parametrize("kind", ["defocus", "motion blur"])
def test_a_blur_leaves_things_where_they_are(kind: str) -> None:
    point = flat(0)
    point[100:103, 120:123] = 255
    light = corrupt(point, kind, 5, "a.jpg")[..., 0].astype(float)
    row, column = (np.average(axis, weights=light) for axis in np.mgrid[:256, :256])
    assert (row, column) == pytest.approx((101, 121), abs=1)
    assert light.max() < 60


def test_light_is_added_and_taken_in_tenths_of_white() -> None:
    for strength in STRENGTHS:
        np.testing.assert_allclose(corrupt(flat(100), "bright", strength, ""), 100 + 25.5 * strength, atol=0.51)
        np.testing.assert_allclose(corrupt(flat(200), "dark", strength, ""), 200 - 25.5 * strength, atol=0.51)


def test_noise_has_the_deviation_of_imagenet_c() -> None:
    assert corrupt(flat(128), "noise", 1, "a.jpg").std() == pytest.approx(0.08 * 255, rel=0.02)


def test_a_large_photo_is_shrunk_and_a_small_one_is_not() -> None:
    assert corruptions.shrunk(np.zeros((1000, 512, 3), np.uint8)).shape == (500, 256, 3)
    small = scene(100)
    assert corruptions.shrunk(small) is small
