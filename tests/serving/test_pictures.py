from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from components.datasets import storage
from components.example_gen import images
from serving import pictures


def _encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, kind, **options)
    return encoded.getvalue()


def _corner(data: bytes, **options: int) -> tuple[int, ...]:
    pixels = np.asarray(pictures.decode(data, **options))
    assert pixels.shape[2] == 3
    return tuple(pixels[0, 0].tolist())


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGB", (8, 8), (1, 2, 3)), (1, 2, 3)),
        (Image.new("L", (8, 8), 7), (7, 7, 7)),
        (Image.fromarray(np.full((8, 8), 0xABCD, np.uint16)), (0xAB,) * 3),
        (Image.new("RGBA", (8, 8), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (8, 8), (255, 0, 0, 255)), (255, 0, 0)),
        (Image.new("LA", (8, 8), (0, 51)), (204, 204, 204)),
        (Image.new("P", (8, 8), 0), (0, 0, 0)),
    ],
)
def test_every_kind_of_pixels_becomes_rgb(image: Image.Image, expected: tuple[int, ...]) -> None:
    assert _corner(_encoded(image)) == expected


def test_exif_turns_the_photo() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = pictures.decode(_encoded(Image.new("RGB", (40, 20)), "JPEG", exif=exif))
    assert turned.size == (20, 40)


def test_a_jpeg_may_be_decoded_small_for_a_small_picture() -> None:
    data = _encoded(Image.new("RGB", (4000, 2000)), "JPEG")
    assert pictures.decode(data, at_least=500).size == (1000, 500)


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_a_damaged_file_is_told_in_a_sentence(cut: int) -> None:
    data = _encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)))[:cut]
    with pytest.raises(ValueError, match=r"^the photo cannot be (read|decoded): "):
        pictures.decode(data)


@pytest.mark.parametrize("kind", ["EPS", "PDF", "ICNS", "TGA"])
def test_what_training_does_not_read_is_not_opened(kind: str) -> None:
    """Pillow would run Ghostscript on an EPS."""
    with pytest.raises(ValueError, match="begin no picture that is known here"):
        pictures.decode(_encoded(Image.new("RGB", (32, 32)), kind))


def test_every_format_that_training_reads_is_read() -> None:
    assert pictures._FORMATS == storage.FORMATS
    phone = _encoded(
        Image.new("RGB", (8, 8), (200, 0, 0)), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))]
    )
    assert pictures.decode(phone).size == (8, 8)


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.full((8, 8), 0.9, np.float32), "are floating-point numbers"),
        (np.full((8, 8), 65536, np.int32), "hold more than 16 bits"),
        (np.full((8, 8), -1, np.int32), "hold more than 16 bits"),
    ],
)
def test_pixels_without_a_photos_scale_are_refused_as_ingestion_refuses_them(pixels: NDArray, reason: str) -> None:
    data = _encoded(Image.fromarray(pixels), "TIFF")
    with pytest.raises(ValueError, match=rf"^the photo's pixels {reason}.*: save it with "):
        pictures.decode(data)
    with pytest.raises(ValueError, match=reason):
        images.check_photo(data, "one.tif", 100)


def test_an_overlay_is_as_opaque_as_it_is_asked_to_be() -> None:
    photo, mask = Image.new("RGB", (8, 8)), Image.new("L", (8, 8), 255)
    for opacity, green in ((0.0, 0), (0.5, 79), (1.0, 158)):
        assert np.asarray(pictures.overlay(photo, mask, 1, opacity))[4, 4, 1] == pytest.approx(green, abs=1)


def test_each_class_of_a_mask_has_its_colour_and_background_none() -> None:
    mask = Image.fromarray(np.arange(3, dtype=np.uint8)[None].repeat(2, 0))
    layer = np.asarray(pictures.tinted(mask, 2, (3, 2)))
    assert layer[0, 0, 3] == 0
    assert tuple(layer[0, 1]) == (*pictures.colour(1), 255)
    assert tuple(layer[0, 2]) == (*pictures.colour(2), 255)
