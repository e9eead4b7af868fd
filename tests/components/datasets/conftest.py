import io

import numpy as np
import PIL.Image
import pytest


def picture(colour, size=(8, 6), kind="JPEG"):
    """An encoded picture of one colour."""
    file = io.BytesIO()
    PIL.Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def mask(values, palette=False):
    """An encoded PNG of [H, W] values; with a palette they are its indices."""
    image = PIL.Image.fromarray(np.asarray(values, np.uint8))
    if palette:
        image.putpalette(list(range(255, -1, -1)) * 3)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def square(value=255, height=6, width=8):
    """A mask's values: a square of 4 x 4 pixels on 0."""
    values = np.zeros((height, width), np.uint8)
    values[1:5, 1:5] = value
    return values


@pytest.fixture
def tree(tmp_path):
    """Writes a data set: {path: bytes, or text, or a grey of a photo, or [H, W] values of a mask}; gives its folder."""

    def write(files, folder="photos"):
        root = tmp_path / folder
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, int):
                kinds = {".png": "PNG", ".bmp": "BMP", ".gif": "GIF", ".webp": "WEBP", ".tif": "TIFF"}
                content = picture((content, 255 - content, 7), kind=kinds.get(path.suffix.lower(), "JPEG"))
            elif isinstance(content, np.ndarray):
                content = mask(content)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return root

    return write


def records_of(source):
    """{file_name: record} of a source, its shards read in order."""
    found = [record for shard in source.shards() for record in source.read(shard)]
    assert len({record.file_name for record in found}) == len(found)
    return {record.file_name: record for record in found}


def mask_of(source):
    """What the source says of its masks; there are some."""
    described = source.spec().mask
    assert described
    return described
