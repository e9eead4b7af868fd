"""What the values of masks are taken for where no spec says it."""

import io

import cv2
import numpy as np
import PIL.Image
import pytest

from components.datasets import mask_values
from tests.components.datasets.conftest import mask, square


def derived(*masks):
    values = mask_values.Values()
    for one in masks:
        values.add(np.asarray(one, np.uint8))
    return mask_values.derive(values, optional=False)


def blocks(*values):
    """Columns of 5 x 5 pixels, one of each value."""
    return np.repeat(np.repeat(np.array([values]), 5, 0), 5, 1)


def smoothed(values, size=40):
    """The same, drawn larger with smooth edges."""
    return np.asarray(PIL.Image.fromarray(values.astype(np.uint8)).resize((size, size), PIL.Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("values", "classes", "background", "ignored"),
    [
        ((0, 255), (255,), 0, ()),
        ((0, 1), (1,), 0, ()),
        ((0, 1, 255), (1,), 0, (255,)),
        ((0, 1, 2, 3), (1, 2, 3), 0, ()),
        ((0, 3, 7, 15, 255), (3, 7, 15), 0, (255,)),
        ((0, 128, 255), (128, 255), 0, ()),
        ((0, 85, 170, 255), (85, 170, 255), 0, ()),
        ((2, 1, 2, 3), (1, 3), 2, ()),
        ((0,), (255,), 0, ()),
    ],
)
def test_clean_values_stand_for_classes(values, classes, background, ignored):
    found = derived(blocks(*values))
    assert (found.values, found.background, found.ignored, found.between) == (
        tuple((value,) for value in classes), (background,), ignored, "refuse"
    )  # fmt: skip
    assert found.classes == (("object",) if len(classes) == 1 else tuple(f"class_{value}" for value in classes))


def test_smooth_edges_between_0_and_255_become_the_nearest():
    edged = smoothed(square(255))
    assert len(np.unique(edged)) > 20
    found = derived(square(255), edged)
    assert (found.classes, found.values, found.between) == (("object",), ((255,),), "nearest")


def test_smooth_edges_between_levels_leave_the_levels():
    found = derived(smoothed(blocks(0, 128, 255, 0), 120))
    assert (found.values, found.between) == (((128,), (255,)), "nearest")


def test_noise_of_jpeg_is_no_class():
    file = io.BytesIO()
    PIL.Image.fromarray(np.kron(square(255), np.ones((7, 7), np.uint8))).save(file, "JPEG", quality=60)
    found = derived(mask_values.pixels(file.getvalue()))
    assert (len(found.values), found.between) == (1, "nearest")


def test_a_thin_line_of_a_label_mask_is_a_class():
    values = np.zeros((9, 9), np.uint8)
    values[4], values[:, 4] = 1, 2
    assert derived(values).values == ((1,), (2,))


def test_a_picture_in_the_place_of_a_mask_is_refused():
    shades = np.arange(256, dtype=np.uint8).reshape(16, 16)
    with pytest.raises(ValueError, match="the masks hold 255 values beside the background 0, none of which is common"):
        derived(shades)


@pytest.mark.parametrize("value", [255, 1])
def test_masks_of_one_value_that_is_not_0_do_not_say_what_it_stands_for(value):
    with pytest.raises(
        ValueError, match=rf"the masks hold the value {value} alone and so no background: write a description"
    ):
        derived(blocks(value))


def test_palettes_give_their_indices_and_one_bit_gives_255():
    values = blocks(0, 1, 15)
    assert (mask_values.pixels(mask(values, palette=True)) == values).all()
    file = io.BytesIO()
    PIL.Image.fromarray(square(255) > 0).save(file, "PNG")
    assert (mask_values.pixels(file.getvalue()) == square(255)).all()


def test_16_bits_stay_and_grey_in_three_channels_is_grey():
    for array, expected in (
        (np.full((4, 4), 300, np.uint16), 300),
        (np.full((4, 4, 3), 7, np.uint8), 7),
        (np.dstack([np.full((4, 4), 9, np.uint8), np.full((4, 4), 255, np.uint8)]), 9),
    ):
        file = io.BytesIO()
        PIL.Image.fromarray(array).save(file, "PNG")
        found = mask_values.pixels(file.getvalue())
        assert found.shape == (4, 4)
        assert (found == expected).all()


@pytest.mark.parametrize("value", [np.int32(65537), np.int32(-9999), np.float32(0.9), np.float32("nan")])
def test_numbers_that_no_mask_holds_are_refused(value):
    values = np.zeros((6, 8), value.dtype)
    values[1:4, 1:4] = value
    file = io.BytesIO()
    PIL.Image.fromarray(values).save(file, "TIFF")
    with pytest.raises(ValueError, match="values that are none of the integers from 0 to 65535: save it with these"):
        mask_values.pixels(file.getvalue())


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bits_in_several_channels_are_refused(channels):
    encoded = cv2.imencode(".png", np.ones((4, 4, channels), np.uint16))[1].tobytes()
    with pytest.raises(ValueError, match="16 bits in several channels: save it with one number a pixel"):
        mask_values.pixels(encoded)


def test_colours_and_what_is_no_picture_are_refused():
    file = io.BytesIO()
    PIL.Image.new("RGB", (4, 4), (255, 0, 0)).save(file, "PNG")
    with pytest.raises(ValueError, match="the mask is a picture in colours: save it with one number a pixel"):
        mask_values.pixels(file.getvalue())
    with pytest.raises(ValueError, match="the mask cannot be read: cannot identify"):
        mask_values.pixels(b"no picture")
    program = io.BytesIO()
    PIL.Image.new("L", (4, 4)).save(program, "EPS")  # which Pillow hands to Ghostscript
    with pytest.raises(ValueError, match="the mask cannot be read: cannot identify"):
        mask_values.pixels(program.getvalue())
