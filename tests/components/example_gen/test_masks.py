import cv2
import numpy as np
import pytest

from components.example_gen import masks

P, B, X = 1, 0, 2  # schema.pets.MASK_*: pet, background, ignored


def png(image):
    return cv2.imencode(".png", np.asarray(image, np.uint8))[1].tobytes()


def pixels(mask: masks.PreparedMask):
    return cv2.imdecode(np.frombuffer(mask.png, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize(("border", "becomes"), [("pet", P), ("background", B), ("ignore", X)])
def test_the_border_becomes_what_the_rule_says(border, becomes):
    trimap = [[2, 3, 1], [2, 3, 1]]
    mask = masks.prepare_mask(png(trimap), (2, 3), border, min_speck=0)
    assert pixels(mask).tolist() == [[B, becomes, P], [B, becomes, P]]
    assert mask.pet_share == np.mean(pixels(mask) == P)


def test_a_colour_png_is_read_as_one_grey_channel():
    trimap = np.array([[1, 2], [3, 2]], np.uint8)
    prepared = masks.prepare_mask(png(np.dstack([trimap] * 3)), (2, 2), "pet", 0)
    assert pixels(prepared).tolist() == [[P, B], [P, B]]


@pytest.mark.parametrize(
    ("trimap", "size", "message"),
    [
        (png([[1, 2], [2, 7]]), (2, 2), r"values \[1, 2, 7\]"),
        (png([[1, 2], [2, 2]]), (2, 3), "2 x 2 pixels, but the image is 3 x 2 pixels"),
        (b"no image", (2, 2), "not an image"),
        (b"", (2, 2), "not an image"),
    ],
)
def test_a_bad_trimap_is_refused_with_the_reason(trimap, size, message):
    with pytest.raises(ValueError, match=message):
        masks.prepare_mask(trimap, size, "pet", 0.001)


def test_specks_of_pet_and_holes_in_it_change_sides_and_are_counted():
    trimap = np.full((100, 100), 2, np.uint8)
    trimap[20:80, 20:80] = 1
    expected = (trimap == 1).astype(np.uint8)
    trimap[40:42, 40:43] = 2  # a hole of 6 pixels
    trimap[5, 5:9] = 1  # a speck of 4
    mask = masks.prepare_mask(png(trimap), (100, 100), "pet", min_speck=0.001)
    assert (pixels(mask) == expected).all()
    assert mask.dropped_pixels == 10


def test_areas_as_large_as_the_limit_stay():
    trimap = np.full((100, 100), 2, np.uint8)
    trimap[20:80, 20:80] = 1
    trimap[5, 5:15] = 1  # 10 pixels: exactly 0.001 of the picture
    mask = masks.prepare_mask(png(trimap), (100, 100), "pet", min_speck=0.001)
    assert mask.dropped_pixels == 0


def test_the_largest_area_of_pet_stays_however_small():
    mask = np.zeros((50, 50), np.uint8)
    mask[10, 10:13] = P
    mask[30, 30] = P
    assert np.argwhere(masks.drop_specks(mask, 100) == P).tolist() == [[10, 10], [10, 11], [10, 12]]


def test_ignored_pixels_stay_ignored():
    mask = np.zeros((50, 50), np.uint8)
    mask[10:40, 10:40] = P
    mask[20, 20] = X
    mask[2, 2] = X
    clean = masks.drop_specks(mask, 5)
    assert (clean == mask).all()


def test_a_mask_without_pet_stays_without_pet():
    mask = np.full((20, 20), X, np.uint8)
    mask[3, 3] = B
    assert (masks.drop_specks(mask, 5) == mask).all()
