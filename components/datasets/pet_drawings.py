"""Cartoon cats and dogs, drawn with OpenCV: one look for each of the 37 breeds, on cluttered backgrounds.

A breed is told by its coat, its marking and where that lies, its ears and its fur; the species by snout, ears
and tail. Pose, size, aspect, light, background and clutter are chance, and so are small shifts of the colours.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
Array = NDArray[Any]
Picture = Array
"""uint8."""

_SIDE = 256
"""Animals are drawn on a square canvas of this side, in pixels, and then placed in the picture."""


@dataclasses.dataclass(frozen=True)
class Look:
    """What all drawings of a breed have in common; colours are RGB."""

    coat: Colour
    ears: Literal["pointed", "large", "round", "tufted", "prick", "folded", "hanging", "long"]
    marking: Colour = (0, 0, 0)
    marked: str = ""
    """Body parts in the colour of the marking, of: ears face muzzle blaze chest back paws tail."""
    pattern: Literal["plain", "stripes", "spots", "speckles", "patches"] = "plain"
    """How the marking lies on the rest of the coat."""
    fluffy: bool = False
    eyes: Colour = (90, 55, 30)


_GREEN, _BLUE, _AMBER = (90, 190, 70), (70, 150, 240), (240, 180, 40)

LOOKS = {
    "Abyssinian": Look((190, 100, 45), "large", eyes=_GREEN),
    "american_bulldog": Look((245, 240, 235), "folded", (185, 110, 60), pattern="patches"),
    "american_pit_bull_terrier": Look((110, 125, 150), "folded", (245, 240, 235), "muzzle chest paws"),
    "basset_hound": Look((165, 90, 45), "long", (245, 240, 230), "muzzle blaze chest paws"),
    "beagle": Look((205, 130, 65), "hanging", (45, 35, 35), "back"),
    "Bengal": Look((235, 170, 75), "pointed", (70, 40, 20), "tail", "spots", eyes=_GREEN),
    "Birman": Look((240, 222, 190), "pointed", (125, 105, 110), "ears face tail", fluffy=True, eyes=_BLUE),
    "Bombay": Look((38, 36, 42), "round", eyes=_AMBER),
    "boxer": Look((215, 135, 60), "folded", (50, 35, 30), "muzzle"),
    "British_Shorthair": Look((125, 135, 150), "round", eyes=_AMBER),
    "chihuahua": Look((240, 205, 150), "large"),
    "Egyptian_Mau": Look((200, 205, 205), "pointed", (55, 58, 65), "tail", "spots", eyes=_GREEN),
    "english_cocker_spaniel": Look((195, 85, 30), "long", fluffy=True),
    "english_setter": Look((240, 240, 240), "hanging", (60, 60, 75), "ears", "speckles"),
    "german_shorthaired": Look((95, 50, 35), "hanging", (225, 215, 205), "chest", "speckles"),
    "great_pyrenees": Look((250, 246, 236), "hanging", (225, 195, 145), "ears", fluffy=True),
    "havanese": Look((150, 110, 85), "hanging", (245, 235, 215), "muzzle blaze chest paws", fluffy=True),
    "japanese_chin": Look((248, 246, 246), "hanging", (40, 38, 42), "ears face", fluffy=True),
    "keeshond": Look((150, 148, 145), "prick", (50, 48, 52), "ears muzzle back", fluffy=True),
    "leonberger": Look((205, 140, 60), "hanging", (55, 38, 30), "ears face muzzle", fluffy=True),
    "Maine_Coon": Look((150, 105, 65), "tufted", (65, 42, 28), "tail", "stripes", fluffy=True, eyes=_GREEN),
    "miniature_pinscher": Look((42, 36, 36), "prick", (190, 100, 40), "muzzle chest paws"),
    "newfoundland": Look((45, 40, 44), "hanging", fluffy=True),
    "Persian": Look((250, 240, 225), "round", (245, 195, 140), "ears face", fluffy=True, eyes=_AMBER),
    "pomeranian": Look((240, 150, 50), "prick", (250, 215, 160), "chest tail", fluffy=True),
    "pug": Look((230, 195, 145), "folded", (45, 38, 38), "ears face muzzle"),
    "Ragdoll": Look((248, 244, 240), "pointed", (110, 100, 120), "ears face back", eyes=_BLUE),
    "Russian_Blue": Look((95, 125, 175), "pointed", eyes=_GREEN),
    "saint_bernard": Look((250, 245, 240), "hanging", (180, 75, 30), "ears face back"),
    "samoyed": Look((250, 250, 252), "prick", fluffy=True),
    "scottish_terrier": Look((40, 38, 42), "prick", fluffy=True),
    "shiba_inu": Look((225, 120, 45), "prick", (252, 240, 220), "muzzle chest paws tail"),
    "Siamese": Look((235, 215, 180), "large", (75, 50, 42), "ears face paws tail", eyes=_BLUE),
    "Sphynx": Look((235, 170, 155), "large", (205, 130, 120), "", "stripes", eyes=_BLUE),
    "staffordshire_bull_terrier": Look((120, 80, 50), "folded", (45, 32, 28), "muzzle", "stripes"),
    "wheaten_terrier": Look((225, 185, 120), "folded", fluffy=True),
    "yorkshire_terrier": Look((200, 130, 65), "tufted", (85, 95, 115), "back tail", fluffy=True),
}


class Drawing(NamedTuple):
    """A picture and its exact trimap."""

    image: Picture
    """RGB, [H, W, 3]."""
    trimap: Picture
    """1 pet, 2 background, 3 the pet's outermost pixels; [H, W]."""


def draw(breed: str, rng: np.random.Generator) -> Drawing:
    """Draws one picture, 96 to 160 pixels a side, of which the animal covers roughly a tenth to four fifths."""
    height, width = (int(side) for side in rng.integers(96, 161, 2))
    animal = _Animal(breed, rng)
    placement = _placement(animal.alpha, height, width, rng)
    # Colours are black where alpha is 0, so blurring or interpolating both keeps them in proportion.
    layers = cv2.merge([*cv2.split(animal.colours), animal.alpha])
    scale = float(np.hypot(placement[0, 0], placement[0, 1]))
    if scale < 0.8:
        layers = cv2.GaussianBlur(layers, (0, 0), 0.4 / scale)
    layers = cv2.warpAffine(layers, placement, (width, height), flags=cv2.INTER_LINEAR)
    alpha = layers[..., 3:] / 255.0
    image = _background(height, width, rng) * (1 - alpha) + layers[..., :3]
    return Drawing(_photograph(image, rng), _trimap(layers[..., 3] > 127))


def _trimap(pet: Array) -> Picture:
    inside = cv2.erode(pet.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1)
    return np.where(inside, 1, np.where(pet, 3, 2)).astype(np.uint8)


def _placement(alpha: Picture, height: int, width: int, rng: np.random.Generator) -> Array:
    """Canvas to picture, [2, 3]: the scale is searched so that the animal covers a share drawn from 0.1 to 0.8."""
    wanted = rng.uniform(0.1, 0.8)
    angle, mirrored = np.radians(rng.normal(0, 7)), rng.choice((-1.0, 1.0))
    # A small animal stands anywhere; of one that fills the picture we see the head.
    focus = np.array([128, 128 - 40 * wanted])
    spread = max(0.0, 0.35 - 0.4 * wanted)
    centre = np.array([width, height]) * (0.5 + rng.uniform(-spread, spread, 2))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * (mirrored, 1.0)
    low, high = 0.1, 3.0
    for _ in range(9):
        scale = (low + high) / 2
        matrix = np.column_stack([rotation * scale, centre - rotation @ focus * scale])
        share = np.mean(cv2.warpAffine(alpha, matrix / 4, (width // 4, height // 4), flags=cv2.INTER_NEAREST)) / 255
        low, high = (low, scale) if share > wanted else (scale, high)
    return matrix


class _Animal:
    """One animal, sitting and facing us: `colours` RGB [256, 256, 3], black outside; `alpha` [256, 256]."""

    def __init__(self, breed: str, rng: np.random.Generator) -> None:
        self.look = LOOKS[breed]
        self.is_cat = breed[0].isupper()
        self.rng = rng
        self.colours = np.zeros((_SIDE, _SIDE, 3), np.uint8)
        self.alpha = np.zeros((_SIDE, _SIDE), np.uint8)
        fur = cv2.resize(rng.normal(1, 0.1, (_SIDE // 2, _SIDE // 4)).clip(0.7, 1.3), (_SIDE, _SIDE))
        shift = rng.normal(0, 5, 3)
        self.marking = _dyed(fur, self.look.marking + shift)
        self.coat = _dyed(fur, self.look.coat + shift)
        cv2.copyTo(self.marking, _pattern(self.look.pattern, rng), self.coat)
        self.ragged = 0.06 if self.look.fluffy else 0.0
        self.build = rng.uniform(0.88, 1.12)
        self.head = np.array([128 + rng.uniform(-12, 12), 88 + rng.uniform(-6, 6)])
        self._draw_tail()
        self._draw_body()
        self._draw_head()

    def paint(self, outline: Array, part: str = "", colour: Colour | None = None) -> None:
        """Fills a polygon [N, 2] with a colour, or else with the part's fur and a dark line around it."""
        points = np.round(outline).astype(np.int32)
        if colour is not None:
            cv2.fillPoly(self.colours, [points], colour)
        else:
            shape = np.zeros((_SIDE, _SIDE), np.uint8)
            cv2.fillPoly(shape, [points], 1)
            marked = part in self.look.marked.split()
            cv2.copyTo(self.marking if marked else self.coat, shape, self.colours)
            line = tuple(max(channel * 0.55, 12) for channel in (self.look.marking if marked else self.look.coat))
            cv2.polylines(self.colours, [points], True, line, 2, cv2.LINE_4)
        cv2.fillPoly(self.alpha, [points], 255)
        cv2.polylines(self.alpha, [points], True, 255, 2, cv2.LINE_4)

    def fur(self, part: str, centre: Array, rx: float, ry: float, ragged: float = 0.0) -> None:
        """Paints a part as an ellipse; `ragged` is the size of its locks, as a share of the radius."""
        angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
        locks = np.where(np.arange(72) % 4 < 2, 1, -1) * self.rng.uniform(0.5, 1, 72)
        self.paint(centre + (1 + ragged * locks)[:, None] * _ellipse(angles, rx, ry), part)

    def disc(self, colour: Colour, centre: Array, rx: float, ry: float) -> None:
        """Paints an ellipse in one colour."""
        self.paint(centre + _ellipse(np.linspace(0, 2 * np.pi, 24, endpoint=False), rx, ry), colour=colour)

    def face(self, x: float, y: float) -> Array:
        """The canvas point that lies (x, y) from the middle of the head."""
        return self.head + np.array([x, y])

    def _draw_tail(self) -> None:
        reach, lift, bend = (66, 120, 0.7) if self.is_cat else (68, 75, 0.45)
        along = np.linspace(0, 1, 16)
        x = 168 + reach * np.sin(along * np.pi * bend)
        y = 215 - lift * along**1.5 * self.rng.uniform(0.7, 1.2)
        width = (9 if self.is_cat else 11 - 6 * along) * (1.9 if self.look.fluffy else 1.0)
        self.paint(np.vstack([np.column_stack([x - width, y - 4]), np.column_stack([x + width, y + 4])[::-1]]), "tail")

    def _draw_body(self) -> None:
        wide = (62 if self.is_cat else 66) * self.build * (1.12 if self.look.fluffy else 1.0)
        self.fur("back", np.array([128, 178]), wide, 66, self.ragged)
        if "chest" in self.look.marked:
            self.fur("chest", np.array([128, 180]), wide * 0.5, 48, self.ragged)
        for side in (-1, 1):
            self.fur("back", np.array([128 + side * wide * 0.72, 216]), 26, 26, self.ragged)
            self.fur("legs", np.array([128 + side * 24, 208]), 17, 38)
            self.fur("paws", np.array([128 + side * 24, 239]), 20, 11)

    def _draw_head(self) -> None:
        rx, ry = (58, 47) if self.is_cat else (52, 52)
        if self.look.fluffy:
            rx, ry = rx + 8, ry + 7
        hanging = self.look.ears in ("hanging", "long")
        if not hanging:
            self._draw_ears(rx * self.build, ry)
        self.fur("head", self.head, rx * self.build, ry, self.ragged)
        if "face" in self.look.marked:
            for side in (-1, 1):
                self.fur("face", self.face(side * 24, -6), 21, 24)
        if "blaze" in self.look.marked:
            self.fur("blaze", self.face(0, -20), 9, 28)
        if hanging:
            self._draw_ears(rx * self.build, ry)
        self._draw_eyes()
        if self.is_cat:
            self._draw_cat_snout()
        else:
            self._draw_dog_snout()

    def _draw_ears(self, rx: float, ry: float) -> None:
        for side in (-1, 1):
            root = self.face(side * rx * 0.62, -ry * 0.62)
            match self.look.ears:
                case "hanging" | "long" as kind:
                    drop = 44 if kind == "long" else 30
                    self.fur("ears", self.face(side * rx * 0.98, drop - 20), 17, drop + 8, self.ragged)
                case "folded":
                    self.paint(root + np.array([(-14, -2), (24, -10), (32, 24), (6, 24)]) * (side, 1), "ears")
                case "round":
                    self.fur("ears", root + np.array([side * 6, -8]), 22, 26)
                case kind:
                    self._draw_upright_ear(root, side, *{"large": (36, 66), "prick": (20, 46)}.get(kind, (26, 48)))

    def _draw_upright_ear(self, root: Array, side: int, width: float, height: float) -> None:
        ear = np.array([(-width, 2), (14, -height), (width * 0.75, 22)]) * (side, 1)
        middle = ear.mean(axis=0)
        self.paint(root + ear, "ears")
        self.paint(root + middle + (ear - middle) * 0.5, colour=(225, 150, 145))
        if self.look.ears == "tufted":
            self.paint(root + ear[1] + np.array([(-6, 12), (8, -20), (7, 14)]) * (side, 1), "ears")

    def _draw_eyes(self) -> None:
        for side in (-1, 1):
            eye = self.face(side * 23, -6)
            if self.is_cat:
                self.disc(self.look.eyes, eye, 13, 11)
                self.disc((10, 10, 10), eye, 4, 9)
            else:
                self.disc((250, 250, 250), eye, 10, 10)
                self.disc((40, 25, 18), eye, 8, 8)
            self.disc((255, 255, 255), eye + np.array([3, -4]), 2.5, 2.5)

    def _draw_cat_snout(self) -> None:
        for side in (-1, 1):
            self.fur("face", self.face(side * 10, 24), 12, 9)
            for slope in (-5, 2, 9):
                whisker = np.round([self.face(side * 18, 24), self.face(side * 42, 21 + slope)]).astype(np.int32)
                cv2.polylines(self.colours, [whisker], False, (235, 235, 235), 1, cv2.LINE_4)
        self.paint(self.face(0, 16) + np.array([(-8, -3), (8, -3), (0, 6)]), colour=(225, 120, 130))

    def _draw_dog_snout(self) -> None:
        if self.rng.random() < 0.6:
            self.disc((230, 95, 110), self.face(0, 48), 9, 16)
        self.fur("muzzle", self.face(0, 30), 28, 22, self.ragged)
        self.disc((22, 20, 22), self.face(0, 18), 13, 9)
        self.disc((150, 150, 155), self.face(-4, 15), 3, 2)


def _ellipse(angles: Array, rx: float, ry: float) -> Array:
    return np.column_stack([rx * np.cos(angles), ry * np.sin(angles)])


def _dyed(fur: Array, colour: Array) -> Picture:
    """Fur, [256, 256] around 1, in a colour: [256, 256, 3]."""
    return cv2.merge([cv2.convertScaleAbs(fur, alpha=max(float(channel), 0.0)) for channel in colour])


def _pattern(kind: str, rng: np.random.Generator) -> Picture:
    """1 where the coat shows the marking's colour on the canvas, else 0; [256, 256]."""
    marked = np.zeros((_SIDE, _SIDE), np.uint8)
    if kind == "stripes":
        y, x = np.mgrid[:_SIDE, :_SIDE]
        waves = y + 10 * np.sin(x / rng.uniform(18, 26) + rng.uniform(0, 6))
        return (np.sin(waves * (2 * np.pi / rng.uniform(20, 25))) > 0.35).astype(np.uint8)
    counts_and_sizes = {"plain": (0, 1, 2), "spots": (100, 5, 9), "speckles": (420, 2, 4), "patches": (9, 20, 36)}
    count, least, most = counts_and_sizes[kind]
    for x, y in rng.integers(0, _SIDE, (count, 2)):
        axes = tuple(int(axis) for axis in rng.integers(least, most, 2))
        cv2.ellipse(marked, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return marked


def _background(height: int, width: int, rng: np.random.Generator) -> Array:
    """A wall, a floor and things in between, some of them in the colours of coats; [H, W, 3], 0 to 255."""
    scene = np.empty((height, width, 3))
    horizon = int(height * rng.uniform(0.25, 0.75))
    scene[:horizon] = _surface(horizon, width, rng)
    scene[horizon:] = _surface(height - horizon, width, rng)
    coats = [look.coat for look in LOOKS.values()]
    for _ in range(rng.integers(1, 5)):
        colour = tuple(float(c) for c in (coats[rng.integers(len(coats))] if rng.random() < 0.5 else _muted(rng)))
        x, y, size = int(rng.integers(width)), int(rng.integers(height)), int(rng.integers(8, 30))
        if rng.random() < 0.5:
            cv2.circle(scene, (x, y), size, colour, -1, cv2.LINE_AA)
        else:
            corners = cv2.boxPoints(((x, y), (size * 2.2, size * 1.3), float(rng.uniform(0, 90))))
            cv2.fillPoly(scene, [corners.astype(np.int32)], colour, cv2.LINE_AA)
    return scene


def _surface(height: int, width: int, rng: np.random.Generator) -> Array:
    """One texture of two colours: clouds, grass, planks, tiles or plain; [H, W, 3]."""
    one, two = _muted(rng), _muted(rng)
    y, x = np.mgrid[:height, :width]
    period = rng.uniform(8, 24)
    match rng.integers(5):
        case 0:
            share = cv2.resize(rng.random((4, 5)), (width, height), interpolation=cv2.INTER_CUBIC)
        case 1:
            share = cv2.resize(rng.random((max(height // 6, 1), width)), (width, height))
        case 2:
            share = ((x + y * rng.uniform(-0.3, 0.3)) % period < period * 0.8).astype(float)
        case 3:
            share = ((x // period + y // period) % 2).astype(float)
        case _:
            share = y / height
    return one + (two - one) * np.clip(share, 0, 1)[..., None] * rng.uniform(0.3, 0.8)


def _muted(rng: np.random.Generator) -> Array:
    grey = rng.uniform(60, 220)
    return np.clip(grey + rng.normal(0, 28, 3), 0, 255)


def _photograph(image: Array, rng: np.random.Generator) -> Picture:
    """Light, contrast and grain."""
    grain = 4 * rng.standard_normal(image.shape, np.float32)
    contrast = rng.uniform(0.85, 1.15)
    return np.clip(image * contrast + 128 * (1 - contrast) + rng.uniform(-15, 15) + grain, 0, 255).astype(np.uint8)
