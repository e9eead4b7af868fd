import io

import cv2
import numpy as np
import pytest
from PIL import Image

from components.example_gen import images, masks
from schema.dataset_spec import Mask

P, B, X = 1, 0, 255  # pet, background, ignored in a record
TRIMAP = Mask(("pet",), ((1, 3),), background=(2,))
EDGES = Mask(("object",), ((255,),), between="nearest")
PARTS = Mask(("body", "head"), ((10,), (20,)), ignored=(99,))


def png(image):
    return cv2.imencode(".png", np.asarray(image, np.uint8))[1].tobytes()


def pixels(mask: masks.PreparedMask):
    return cv2.imdecode(np.frombuffer(mask.png, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize(("border", "becomes"), [("pet", P), ("background", B), ("ignored", X)])
def test_the_border_becomes_what_the_rule_says(border, becomes):
    values = {"pet": [1], "background": [2], "ignored": []}
    values[border].append(3)
    spec = Mask(("pet",), (tuple(values["pet"]),), tuple(values["background"]), tuple(values["ignored"]))
    assert spec
    trimap = [[2, 3, 1], [2, 3, 1]]
    mask = masks.prepare_mask(png(trimap), (2, 3), spec, min_speck=0)
    assert pixels(mask).tolist() == [[B, becomes, P], [B, becomes, P]]
    assert mask.share == np.mean(pixels(mask) == P)


def test_each_class_has_its_number_and_what_is_ignored_stays_so():
    mask = masks.prepare_mask(png([[0, 10, 20, 99]]), (1, 4), PARTS, min_speck=0)
    assert pixels(mask).tolist() == [[0, 1, 2, 255]]
    assert mask.share == 0.5


def test_a_palette_picture_is_read_by_its_indices():
    image = Image.fromarray(np.array([[1, 2], [3, 2]], np.uint8), mode="P")
    image.putpalette([200, 10, 10, 3, 3, 3, 90, 90, 0, 1, 2, 3])
    file = io.BytesIO()
    image.save(file, "PNG")
    assert pixels(masks.prepare_mask(file.getvalue(), (2, 2), TRIMAP, 0)).tolist() == [[P, B], [P, B]]


def test_all_16_bits_count():
    spec = Mask(("a", "b"), ((256,), (513,)))
    image = cv2.imencode(".png", np.array([[0, 256, 513]], np.uint16))[1].tobytes()
    assert pixels(masks.prepare_mask(image, (1, 3), spec, 0)).tolist() == [[0, 1, 2]]
    with pytest.raises(ValueError, match="it holds 257; known are 256 a, 513 b, 0 background"):
        masks.prepare_mask(cv2.imencode(".png", np.array([[257]], np.uint16))[1].tobytes(), (1, 1), spec, 0)


def test_values_between_become_the_nearest_and_are_counted():
    mask = masks.prepare_mask(png([[0, 100, 127, 128, 255]]), (1, 5), EDGES, 0)
    assert pixels(mask).tolist() == [[0, 0, 0, 1, 1]]
    assert mask.between_pixels == 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_turns_with_its_photo_where_the_sizes_say_so(orientation):
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3)
    spec = Mask(("a", "b", "c", "d", "e"), ((1,), (2,), (3,), (4,), (5,)))
    upright = images.turned(stored, orientation)
    mask = masks.prepare_mask(png(stored), upright.shape, spec, 0, orientation)
    sideways = orientation >= 5
    assert mask.turned == sideways
    assert (pixels(mask) == (upright if sideways else stored)).all()
    drawn_upright = masks.prepare_mask(png(upright), upright.shape, spec, 0, orientation)
    assert (pixels(drawn_upright) == upright).all()


def test_a_missing_mask_is_unknown_everywhere():
    mask = masks.unknown_mask((2, 3))
    assert pixels(mask).tolist() == [[X] * 3] * 2
    assert not mask.known


def test_a_colour_png_is_read_as_one_grey_channel():
    trimap = np.array([[1, 2], [3, 2]], np.uint8)
    prepared = masks.prepare_mask(png(np.dstack([trimap] * 3)), (2, 2), TRIMAP, 0)
    assert pixels(prepared).tolist() == [[P, B], [P, B]]


@pytest.mark.parametrize(
    ("trimap", "size", "message"),
    [
        (png([[1, 2], [2, 7]]), (2, 2), "it holds 7; known are 1 3 pet, 2 background"),
        (png([[1, 2], [2, 2]]), (2, 3), "2 x 2 pixels, but the photo is 3 x 2 pixels"),
        (b"no image", (2, 2), "no picture"),
        (b"", (2, 2), "no picture"),
    ],
)
def test_a_bad_trimap_is_refused_with_the_reason(trimap, size, message):
    with pytest.raises(ValueError, match=message):
        masks.prepare_mask(trimap, size, TRIMAP, 0.001)


def test_specks_of_pet_and_holes_in_it_change_sides_and_are_counted():
    trimap = np.full((100, 100), 2, np.uint8)
    trimap[20:80, 20:80] = 1
    expected = (trimap == 1).astype(np.uint8)
    trimap[40:42, 40:43] = 2  # a hole of 6 pixels
    trimap[5, 5:9] = 1  # a speck of 4
    mask = masks.prepare_mask(png(trimap), (100, 100), TRIMAP, min_speck=0.001)
    assert (pixels(mask) == expected).all()
    assert mask.speck_pixels == {"pet": 10}


def test_areas_as_large_as_the_limit_stay():
    trimap = np.full((100, 100), 2, np.uint8)
    trimap[20:80, 20:80] = 1
    trimap[5, 5:15] = 1  # 10 pixels: exactly 0.001 of the picture
    mask = masks.prepare_mask(png(trimap), (100, 100), TRIMAP, min_speck=0.001)
    assert mask.speck_pixels == {}


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


def test_background_amid_ignored_pixels_is_no_hole():
    mask = np.full((50, 50), X, np.uint8)
    mask[:, :25] = B
    mask[10:20, 5:15] = P
    mask[30:32, 40:42] = B
    assert (masks.drop_specks(mask, 5) == mask).all()


def test_a_mask_without_pet_stays_without_pet():
    mask = np.full((20, 20), X, np.uint8)
    mask[3, 3] = B
    assert (masks.drop_specks(mask, 5) == mask).all()


def test_specks_of_several_classes_go_each_and_holes_to_the_class_around():
    mask = np.zeros((40, 40), np.uint8)
    mask[2:20, 2:20] = 1
    mask[22:38, 22:38] = 2
    expected = mask.copy()
    mask[10, 10] = 0  # a hole in each
    mask[30, 30] = 0
    mask[2, 30] = 1  # a speck of each
    mask[30, 2] = 2
    assert (masks.drop_specks(mask, 5, classes=2) == expected).all()


def test_specks_are_kept_unless_asked_for():
    small = png([[0, 255, 0, 0]] + [[0, 0, 0, 0]] * 30)
    assert masks.prepare_mask(small, (31, 4), EDGES, 0).share > 0
