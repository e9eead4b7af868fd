"""Fonts for what people call their classes: matplotlib's own has no Chinese, Japanese, Korean, Thai and more."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable

from matplotlib import font_manager
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font

progress = logging.getLogger("progress")

_DEFAULT = "sans-serif"


def families(texts: Iterable[str]) -> list[str]:
    """The font families that draw these texts: the default, and after it installed ones that have what it lacks.

    Characters that no font of the machine has are boxes in the figures; the run's progress names them once.
    """
    missing = frozenset("".join(texts)) - _characters(font_manager.findfont(FontProperties(family=[_DEFAULT]))) - {"\n"}
    return [_DEFAULT, *(_others(missing) if missing else ())]


@functools.cache
def _others(missing: frozenset[str]) -> list[str]:
    found = []
    # Not matplotlib's own list, made once for an account: a font may have been installed since. Bold ones last.
    for path in sorted(font_manager.findSystemFonts(), key=lambda path: ("Regular" not in path, path)):
        drawn = missing & _characters(path)
        if drawn:
            font_manager.fontManager.addfont(path)
            found.append(FT2Font(path).family_name)
            missing -= drawn
    if missing:
        progress.warning(
            "no font of this machine has %s, so the report's figures show boxes: install one, as those of Noto",
            "".join(sorted(missing)),
        )
    return found


@functools.cache
def _characters(path: str) -> frozenset[str]:
    return frozenset(map(chr, FT2Font(path).get_charmap()))
