"""Pictures that are surely none of the data set's, drawn by code: what does a model say of them?"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

PICTURES = 24
"""Of each kind."""
_HEIGHT, _WIDTH = 240, 320


def noise(generator: np.random.Generator) -> Picture:
    """Every pixel by chance, blurred a little, or not at all."""
    pixels = generator.uniform(0, 1, (_HEIGHT, _WIDTH, 3))
    if blur := generator.choice([0.0, 1.0, 2.0]):
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), blur))
        pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min())
    return (255 * pixels).astype(np.uint8)


def texture(generator: np.random.Generator) -> Picture:
    """Clouds, stripes, checks or a brick wall between two colours, with a grain."""
    one, other = generator.uniform(0, 255, (2, 3))
    row, column = np.mgrid[:_HEIGHT, :_WIDTH] / generator.uniform(4, 30)
    angle = generator.uniform(0, np.pi)
    along = row * np.sin(angle) + column * np.cos(angle)
    kind = generator.integers(4)
    if kind == 0:
        octaves = [generator.uniform(0, 1, (2**k, 2**k)).astype(np.float32) / 2**k for k in range(2, 7)]
        share = sum(cv2.resize(octave, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC) for octave in octaves) / 0.5
    elif kind == 1:
        share = 0.5 + 0.5 * np.sin(2 * along)
    elif kind == 2:
        share = (np.floor(row) + np.floor(column)) % 2
    else:
        line = np.floor(row / 2)
        share = np.minimum(row / 2 - line, (column / 4 + line / 2) % 1) > 0.08
    share = np.clip(share, 0, 1)[..., None]
    pixels = share * one + (1 - share) * other + generator.normal(0, generator.uniform(0, 12), (_HEIGHT, _WIDTH, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def text_page(generator: np.random.Generator) -> Picture:
    """Dark lines of letters on a light sheet."""
    paper, ink = generator.uniform(215, 255), generator.uniform(0, 70)
    page = np.full((_HEIGHT, _WIDTH, 3), paper, np.uint8)
    scale = generator.uniform(0.3, 0.7)
    step = int(40 * scale)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz     ETAOIN,."))
    for line in range(step, _HEIGHT - 8, step):
        if generator.uniform() < 0.12:
            continue  # between two paragraphs
        text = "".join(generator.choice(letters, int(_WIDTH / (19 * scale)) + 4))
        cv2.putText(page, text, (12, line), cv2.FONT_HERSHEY_SIMPLEX, scale, (ink, ink, ink), 1, cv2.LINE_AA)
    page[:, -12:] = int(paper)
    return page


def plain(generator: np.random.Generator) -> Picture:
    """One colour, or a slow change from one to another."""
    one = generator.uniform(0, 255, 3)
    other = one if generator.uniform() < 0.5 else generator.uniform(0, 255, 3)
    share = np.linspace(0, 1, _WIDTH)[None, :, None]
    return np.broadcast_to(one * (1 - share) + other * share, (_HEIGHT, _WIDTH, 3)).astype(np.uint8)


KINDS: dict[str, Callable[[np.random.Generator], Picture]] = {
    "noise": noise,
    "textures": texture,
    "text pages": text_page,
    "plain colours": plain,
}


def photos(kind: str) -> list[bytes]:
    """`PICTURES` pictures of one of `KINDS` as PNG, the same in every run."""
    generator = np.random.default_rng(list(KINDS).index(kind))
    pictures = [KINDS[kind](generator) for _ in range(PICTURES)]
    return [cv2.imencode(".png", picture[..., ::-1])[1].tobytes() for picture in pictures]
