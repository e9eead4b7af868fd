from __future__ import annotations

import logging
import os
import pathlib
import warnings
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import font_manager

from components.metrics.results import SliceFigures, slice_name
from components.report import figures, fonts, plots

_STIX = os.path.join(mpl.get_data_path(), "fonts", "ttf", "STIXGeneral.ttf")
_OF_STIX = "\u231a"  # a watch, which the default font lacks


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine has one font."""
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [_STIX])
    fonts._others.cache_clear()


def _confusion(name: str, folder: pathlib.Path) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plots.confusion(np.eye(2, dtype=int), [name, "other"], str(folder / "confusion"))
    assert (folder / "confusion.png").exists()
    return " ".join(str(warning.message) for warning in caught)


def test_characters_that_the_default_font_lacks_are_drawn_by_one_that_has_them(tmp_path: pathlib.Path) -> None:
    assert "missing" not in _confusion(f"class {_OF_STIX}", tmp_path)


def test_characters_of_no_font_are_named_once(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="progress"):
        for _ in range(2):
            assert "missing" in _confusion("猫", tmp_path)
    assert caplog.text.count("no font of this machine has 猫") == 1


def test_a_name_is_no_formula(tmp_path: pathlib.Path) -> None:
    _confusion(r"$\frac$", tmp_path)


def test_slices_whose_classes_have_one_name_are_two_rows() -> None:
    slices: list[dict[str, str]] = [
        {},
        {"front": "hair_crack"},
        {"back": "hair_crack"},
        {"front": "sound"},
        {"front": "sound", "size": "small"},
        {"side": "big_dent"},
        {"side": "big dent"},
    ]
    titles = figures.slice_titles({slice_name(by): SliceFigures(by, 1, None, None) for by in slices})
    shown = [
        "overall",
        "front: hair crack",
        "back: hair crack",
        "sound",
        "sound, small",
        "side: big_dent",
        "side: big dent",
    ]
    assert list(titles.values()) == shown


def test_other_names_need_no_other_font() -> None:
    assert fonts.families(["Größe (1)", "кошка", "plain"]) == ["sans-serif"]


@pytest.mark.parametrize("share", np.linspace(0, 1, 21))
def test_a_count_can_be_read_on_the_colour_of_its_share(share: float) -> None:
    """Of white and dark numbers the one that has more contrast, by WCAG 2.2's relative luminance."""

    def luminance(colour: Any) -> float:
        rgb: np.ndarray = np.array(mpl.colors.to_rgb(colour))
        return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])

    ground = luminance(mpl.colormaps["Blues"](np.sqrt(share))[:3])
    white, dark = 1.05 / (ground + 0.05), (ground + 0.05) / (luminance("#262626") + 0.05)
    assert (white if share > plots._DARK_SHARE else dark) >= 3.8
