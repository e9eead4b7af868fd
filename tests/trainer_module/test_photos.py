"""Photos of strangers: the pixels of ingestion, or a sentence; what one holds is nothing to its neighbours."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, PngImagePlugin

from components.example_gen.images import check_photo
from serving import pictures, resizing
from tests.mutated import mutated
from trainer_module import photos, preprocessing

SIZE = 48


def drawn(width: int = 100, height: int = 70) -> Image.Image:
    """Smooth colours, with nothing symmetric about them."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return Image.fromarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC))


def encoded(image: Image.Image, kind: str, orientation: int = 1, **options: object) -> bytes:
    file = io.BytesIO()
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
        options["exif"] = exif
    image.save(file, kind, **options)
    return file.getvalue()


def translucent() -> Image.Image:
    image = drawn().convert("RGBA")
    image.putalpha(Image.fromarray(np.linspace(0, 255, 7000).reshape(70, 100).astype(np.uint8)))
    return image


@pytest.fixture(scope="module")
def decode() -> Callable[..., list[tuple[np.ndarray, list[int], str]]]:
    """(pixels, size, error) of each photo."""
    graph = tf.function(
        lambda encoded: photos.decode_photos(encoded, SIZE, SIZE),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )

    def run(*batch: bytes) -> list[tuple[np.ndarray, list[int], str]]:
        pixels, sizes, errors = (value.numpy() for value in graph(tf.constant(batch, tf.string)))
        return [(p, s.tolist(), e.decode()) for p, s, e in zip(pixels, sizes, errors, strict=True)]

    return run


def gif(canvas: tuple[int, int] = (100, 70), at: tuple[int, int] = (0, 0), **options: Any) -> bytes:
    """A GIF whose only picture lies on a canvas."""
    data = encoded(drawn().quantize(64), "GIF", **options)
    descriptor = data.index(struct.pack("<BHHHH", 0x2C, 0, 0, 100, 70))
    size, place = struct.pack("<HH", *canvas), struct.pack("<HH", *at)
    return data[:6] + size + data[10 : descriptor + 1] + place + data[descriptor + 5 :]


PHOTOS = {
    "JPEG": encoded(drawn(), "JPEG"),
    "progressive JPEG": encoded(drawn(), "JPEG", progressive=True),
    "grey JPEG": encoded(drawn().convert("L"), "JPEG"),
    "PNG": encoded(drawn(), "PNG"),
    "grey PNG": encoded(drawn().convert("L"), "PNG"),
    "PNG of 16 bits": cv2.imencode(".png", np.asarray(drawn()).astype(np.uint16) * 257)[1].tobytes(),
    "PNG of 16 colours": encoded(drawn().quantize(16), "PNG"),
    "PNG of 2 colours": encoded(drawn().convert("1"), "PNG"),
    "translucent PNG": encoded(translucent(), "PNG"),
    "translucent grey PNG": encoded(translucent().convert("LA"), "PNG"),
    "PNG with a transparent colour": encoded(drawn().quantize(16), "PNG", transparency=3),
    "GIF": encoded(drawn(), "GIF"),
    "animated GIF": encoded(drawn(), "GIF", save_all=True, append_images=[drawn().rotate(90), drawn().rotate(180)]),
    "GIF that is commented and shown for a while": gif(comment=b"x" * 600, duration=50, loop=2),
    "GIF larger than its canvas": gif(canvas=(10, 10)),
    "animated GIF that gets transparent": encoded(
        drawn(), "GIF", save_all=True, append_images=[translucent()], disposal=2, optimize=False
    ),
    "BMP": encoded(drawn(), "BMP"),
    "BMP of 32 bits": encoded(translucent(), "BMP"),
    "lossy WebP": encoded(drawn(), "WEBP"),
    "lossless WebP": encoded(drawn(), "WEBP", lossless=True),
    "translucent WebP": encoded(translucent(), "WEBP", lossless=True),
}


@pytest.mark.parametrize("kind", PHOTOS)
def test_a_photo_has_the_pixels_that_ingestion_gives_it(kind: str, decode: Callable) -> None:
    [(pixels, size, error)] = decode(PHOTOS[kind])
    ingested = check_photo(PHOTOS[kind], "", 10**8)
    assert (error, tuple(size)) == ("", ingested.size)
    np.testing.assert_array_equal(pixels, preprocessing.decode_image(tf.constant(ingested.data), SIZE))


@pytest.mark.parametrize("kind", PHOTOS)
def test_what_reads_photos_for_an_engine_gives_the_same_pixels(kind: str, decode: Callable) -> None:
    [(pixels, (height, width), _)] = decode(PHOTOS[kind])
    photo = pictures.decode(PHOTOS[kind])
    assert photo.size == (width, height)
    found = resizing.network_input(np.asarray(photo), SIZE, SIZE)
    # Pillow lays alpha on white in whole numbers.
    np.testing.assert_allclose(found.astype(int), pixels.astype(int), atol=1 if "trans" in kind else 0)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_and_turns_them_alike(orientation: int, decode: Callable) -> None:
    photo = encoded(drawn(), "JPEG", orientation)
    [(pixels, _, _)] = decode(photo)
    found = resizing.network_input(np.asarray(pictures.decode(photo)), SIZE, SIZE)
    np.testing.assert_allclose(found.astype(int), pixels.astype(int), atol=1)  # the graph turns what is resized


XMP = b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'


def of_a_phone() -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    return exif.tobytes()


def with_xmp_text() -> PngImagePlugin.PngInfo:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return text


def exif_behind_the_pixels() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    png = encoded(drawn(), "PNG")
    return png[:-12] + chunk + png[-12:]


TURNS = {
    "XMP in a JPEG": (encoded(drawn(), "JPEG", xmp=XMP), 1),
    "XMP beside EXIF in a JPEG": (encoded(drawn(), "JPEG", xmp=XMP, exif=of_a_phone()), 1),
    "XMP in a PNG": (encoded(drawn(), "PNG", pnginfo=with_xmp_text()), 1),
    "XMP in a WebP": (encoded(drawn(), "WEBP", lossless=True, xmp=XMP), 1),
    "XMP beside EXIF in a WebP": (encoded(drawn(), "WEBP", lossless=True, xmp=XMP, exif=of_a_phone()), 1),
    "broken EXIF": (encoded(drawn(), "JPEG", exif=b"Exif\0\0nonsense"), 1),
    "EXIF behind the pixels of a PNG": (exif_behind_the_pixels(), 6),
}


@pytest.mark.parametrize("kind", TURNS)
def test_ingestion_an_engine_and_the_signatures_turn_a_photo_by_exif_alone(kind: str, decode: Callable) -> None:
    photo, orientation = TURNS[kind]
    upright = (100, 70) if orientation == 6 else (70, 100)
    assert check_photo(photo, "", 10**8).orientation == orientation
    assert check_photo(photo, "", 10**8).size == upright
    assert pictures.decode(photo).size[::-1] == upright
    [(pixels, size, _)] = decode(photo)
    assert tuple(size) == upright
    found = resizing.network_input(np.asarray(pictures.decode(photo)), SIZE, SIZE)
    np.testing.assert_allclose(found.astype(int), pixels.astype(int), atol=1)


@pytest.mark.parametrize("xmp", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_once(orientation: int, xmp: bool) -> None:
    photo = encoded(drawn(), "TIFF", tiffinfo={0x0112: orientation} | ({700: XMP} if xmp else {}))
    upright = encoded(drawn(), "PNG", orientation)
    ingested, expected = check_photo(photo, "", 10**8), check_photo(upright, "", 10**8)
    assert (ingested.orientation, ingested.size) == (orientation, expected.size)
    pixels = np.asarray(pictures.decode(upright))
    np.testing.assert_array_equal(tf.io.decode_image(ingested.data), pixels)
    np.testing.assert_array_equal(np.asarray(pictures.decode(photo)), pixels)


def test_the_inks_of_a_cmyk_photo_are_mixed_to_nearly_the_colours_of_ingestion(decode: Callable) -> None:
    photo = encoded(drawn().convert("CMYK"), "JPEG")
    [(pixels, _, _)] = decode(photo)
    ingested = preprocessing.decode_image(tf.constant(check_photo(photo, "", 10**8).data), SIZE)  # encoded anew
    np.testing.assert_allclose(pixels.astype(int), ingested.numpy().astype(int), atol=12)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_shown_upright_as_exif_says(kind: str, orientation: int, decode: Callable) -> None:
    lossless = {"lossless": True} if kind == "WEBP" else {}
    photo = encoded(drawn(), kind, orientation, **lossless)
    [(pixels, size, error)] = decode(photo)
    upright = check_photo(photo, "", 10**8)
    assert (error, tuple(size)) == ("", upright.size)
    ingested = preprocessing.decode_image(tf.constant(upright.data), SIZE).numpy()
    # Ingestion encodes a turned JPEG anew.
    np.testing.assert_allclose(pixels.astype(int), ingested.astype(int), atol=12 if kind == "JPEG" else 1)


@pytest.mark.parametrize("byte_order", [b"II", b"MM"])
def test_the_orientation_is_read_in_both_byte_orders_and_behind_other_segments(
    byte_order: bytes, decode: Callable
) -> None:
    order = "little" if byte_order == b"II" else "big"

    def number(value: int, count: int) -> bytes:
        return value.to_bytes(count, order)  # type: ignore[arg-type]

    entries = [(0x010F, 2, 4, b"ACME"), (0x0112, 3, 1, number(6, 2) + b"\0\0")]
    directory = number(len(entries), 2)
    for tag, kind, count, value in entries:
        directory += number(tag, 2) + number(kind, 2) + number(count, 4) + value
    exif = b"Exif\0\0" + byte_order + number(42, 2) + number(8, 4) + directory + number(0, 4)
    comment = b"\xff\xfe" + (2 + 300).to_bytes(2, "big") + b"\xff\xe1Exif\0\0 is no segment here".ljust(300)
    segment = comment + b"\xff\xff\xe1" + (2 + len(exif)).to_bytes(2, "big") + exif
    photo = encoded(drawn(), "JPEG")
    [(_, size, error)] = decode(photo[:2] + segment + photo[2:])
    assert (size, error) == ([100, 70], "")


@pytest.mark.parametrize(
    ("photo", "sentence"),
    [
        (b"", "the photo is empty"),
        (b"<html>Not found</html>", "the photo is none of JPEG, PNG, GIF, BMP and WebP: send one of them"),
        (encoded(drawn(), "TIFF"), "the photo is none of JPEG, PNG, GIF, BMP and WebP: send one of them"),
        (
            PHOTOS["JPEG"][: len(PHOTOS["JPEG"]) // 2],
            "the photo cannot be decoded: its file is damaged or not whole",
        ),
        (PHOTOS["PNG"][:40], "the photo cannot be decoded: its file is damaged or not whole"),
        (PHOTOS["GIF"][:200], "the photo cannot be decoded: its file is damaged or not whole"),
        (PHOTOS["JPEG"][:20], "the photo cannot be decoded: its file is damaged or not whole"),
        (
            encoded(drawn().quantize(16), "BMP"),
            "the photo is a BMP with a palette: send one of 24 bits a pixel, or JPEG or PNG",
        ),
        (
            encoded(drawn(), "WEBP", save_all=True, append_images=[drawn().rotate(90)]),
            "the photo is an animated WebP: send one picture",
        ),
        *(
            (photo, "the photo is a GIF that is transparent, or larger than its first picture: send a JPEG or a PNG")
            for photo in (
                gif(transparency=3),
                gif(comment=b"x" * 600, transparency=3),
                gif(canvas=(200, 140)),
                gif(canvas=(101, 70)),
                gif(canvas=(101, 70), at=(1, 0)),
                gif(canvas=(100, 71), at=(0, 1)),
            )
        ),
        (
            encoded(Image.new("1", (20_000, 20_000)), "PNG"),
            "the photo has 20000 x 20000 pixels, more than 50 million: send a smaller one",
        ),
        (
            PHOTOS["PNG"][:16] + b"\xff" * 8 + PHOTOS["PNG"][24:],  # their product is no int64
            "the photo has 4294967295 x 4294967295 pixels, more than 50 million: send a smaller one",
        ),
    ],
)
def test_a_photo_that_cannot_be_taken_gets_a_sentence_and_its_neighbours_their_answers(
    photo: bytes, sentence: str, decode: Callable
) -> None:
    [alone] = decode(PHOTOS["JPEG"])
    before, failed, after = decode(PHOTOS["JPEG"], photo, PHOTOS["JPEG"])
    assert failed[2] == sentence
    assert not failed[0].any()
    assert failed[1] == [0, 0]
    for neighbour in (before, after):
        np.testing.assert_array_equal(neighbour[0], alone[0])
        assert neighbour[1:] == alone[1:]


def test_the_order_of_a_batch_stays(decode: Callable) -> None:
    batch = [encoded(Image.new("RGB", (30 + number, 20), (number, 0, 0)), "PNG") for number in range(40)]
    batch[7] = b"broken"
    for number, (pixels, size, error) in enumerate(decode(*batch)):
        assert bool(error) == (number == 7)
        assert number == 7 or (pixels[0, 0, 0], size[1]) == (number, 30 + number)


def test_an_empty_batch_is_an_empty_answer(decode: Callable) -> None:
    assert decode() == []


_BOMBS = """
import io, resource, sys
import tensorflow as tf
from PIL import Image
from trainer_module import photos

def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()

plain = Image.new("L", (3000, 3000))
frames = [Image.new("L", (3000, 3000), value) for value in range(1, 60)]
gif = encoded(plain, "GIF", save_all=True, append_images=frames)
png = encoded(Image.new("1", (20_000, 20_000)), "PNG")
decode = tf.function(lambda batch: photos.decode_photos(batch, 48, 48))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print([error.decode() for error in decode(tf.constant([gif, png])).errors.numpy()])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_small_file_does_not_unpack_to_gigabytes() -> None:
    result = subprocess.run([sys.executable, "-c", _BOMBS], capture_output=True, text=True, check=True)
    errors, megabytes = result.stdout.splitlines()
    assert errors == "['', 'the photo has 20000 x 20000 pixels, more than 50 million: send a smaller one']"
    assert int(megabytes) < 300, "sixty pictures of 27 MB, and one of 1.2 GB"


def test_mutated_photos_end_in_pixels_or_a_sentence_and_do_nothing_to_their_neighbours(decode: Callable) -> None:
    """A few hundred; `benchmarks/mutated_photos.py` asks a whole model about 10,000."""
    [alone] = decode(PHOTOS["PNG"])
    photos = list(mutated(list(PHOTOS.values()), 620))
    answered = 0
    for start in range(0, len(photos), 31):
        neighbour, *others = decode(PHOTOS["PNG"], *photos[start : start + 31])
        np.testing.assert_array_equal(neighbour[0], alone[0])
        assert neighbour[1:] == alone[1:]
        for pixels, size, error in others:
            assert (pixels.any() or size != [0, 0]) == (error == "")
            answered += error == ""
    assert 60 < answered < 560, "both ends are tried"
