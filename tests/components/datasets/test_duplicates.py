"""Which photos count as copies of each other."""

import io
import time

import numpy as np
import PIL.Image
import PIL.ImageEnhance
import PIL.ImageFilter

from components.datasets import duplicates


def scene(seed, size=(160, 120)):
    """A photo of soft shapes, no two alike."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return PIL.Image.fromarray(small).resize(size, PIL.Image.Resampling.BICUBIC)


def compressed(picture, quality):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return PIL.Image.open(file)


def near(*pictures):
    looks = [duplicates.fingerprint(picture) for picture in pictures]
    return duplicates.near(looks, [one.height / one.width for one in pictures])


def test_copies_that_were_resized_compressed_or_lightened_are_found():
    one = scene(1)
    light = PIL.ImageEnhance.Brightness(one).enhance(1.1)
    assert near(one, scene(2), one.resize((300, 225)), compressed(one, 30), scene(3), light) == [[0, 2, 3, 5]]


def test_other_pictures_mirrored_ones_and_other_shapes_are_not():
    one = scene(1)
    mirrored = one.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT)
    assert near(one, mirrored, one.resize((160, 160)), *(scene(seed) for seed in range(2, 40))) == []


def test_photos_without_contrast_are_not_compared():
    assert near(PIL.Image.new("RGB", (50, 50), (90, 90, 90)), PIL.Image.new("RGB", (50, 50), (91, 90, 90))) == []


def test_what_pairs_connect_is_one_group_and_the_groups_are_in_order():
    assert near(scene(5), scene(6), scene(7), scene(6), scene(5), scene(6)) == [[0, 4], [1, 3, 5]]
    assert near() == []


def test_the_same_bytes_are_exact():
    assert duplicates.exact([b"a", b"b", b"a", b"c", b"b", b"a"]) == [[0, 2, 5], [1, 4]]


def test_groups_across_splits():
    assert duplicates.across([[0, 1], [2, 3]], ["train", "test", "test", "test"]) == [[0, 1]]


def test_ten_thousand_hashes_take_seconds():
    random = np.random.default_rng(7)
    hashes = random.integers(0, 2**63, 10_000, np.uint64)
    hashes[1::2] = hashes[::2] ^ np.uint64(0b1011 << 30)
    thumbnails = random.integers(0, 255, (5_000, 256), np.uint8).repeat(2, 0)
    start = time.process_time()
    groups = duplicates.near([*zip(hashes.tolist(), map(bytes, thumbnails), strict=True)], [1.0] * 10_000)
    assert len(groups) == 5_000
    assert time.process_time() - start < 20
