"""One answer as HTML: the photo under its mask, the classes with bars, a warning where it is not to be trusted."""

from __future__ import annotations

import base64
import html
import io
import math

from serving import pictures
from serving.models import Answer, Description

TRUSTED = 0.5
"""A photo whose `known` is below is unlike the training's."""

_TALLEST = 80
"""Percent of the window's height that a photo is shown at most."""

CSS = """
.answer { font-family: system-ui, sans-serif; line-height: 1.4; }
.answer .columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr)); gap: 1.2rem; }
.answer .layers { position: relative; }
.answer .layers img { display: block; width: 100%; height: auto; border-radius: .4rem; }
.answer .layers .mask { position: absolute; inset: 0; height: 100%; opacity: .5; }
.answer label { display: block; margin: .5rem 0; }
.answer input[type=range] { width: 100%; accent-color: #00558a; }
.answer .bar { margin: 0 0 .55rem; }
.answer .bar span { float: right; font-variant-numeric: tabular-nums; }
.answer .bar i { display: block; height: .5rem; border-radius: .25rem; background: #00558a; min-width: 2px; }
.answer .bar.best { font-weight: 600; }
.answer .key i { display: inline-block; width: .9em; height: .9em; border-radius: .2em; margin-right: .4em; }
.answer .warning, .answer .error { padding: .6rem .8rem; border-radius: .4rem; margin: 0 0 1rem; color: #1a1a1a; }
.answer .warning { background: #fdebc8; }
.answer .error { background: #f8d3cd; }
#samples .grid-wrap { max-height: none; }
#samples .caption-label { max-width: 100%; left: 0; }
@media (max-width: 600px) { #samples .grid-container { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
"""


def render(description: Description, data: bytes, answer: Answer) -> str:
    """The answer to a photo.

    Args:
        description: of the model.
        data: the encoded photo.
        answer: what the model said.

    Raises:
        ValueError: the photo can be read by the model and not by Pillow; one sentence.
    """
    if answer.error:
        return error(answer.error)
    photo = pictures.shown(pictures.decode(data, at_least=pictures.OVERLAY_SIDE))
    parts = [_layers(description, photo, answer), f"<div>{_classes(description, answer)}</div>"]
    return f'<div class="answer">{_warning(answer)}<div class="columns">{"".join(parts)}</div></div>'


def error(sentence: str) -> str:
    """Why there is no answer."""
    return f'<div class="answer"><p class="error" role="alert">{html.escape(sentence)}</p></div>'


def _warning(answer: Answer) -> str:
    if answer.known >= TRUSTED:
        return ""
    known = math.floor(100 * answer.known) / 100  # 0.4964 is shown as 0.49, for 0.50 would not be below
    return (
        '<p class="warning" role="alert"><b>Not like the training data.</b> The model answers whatever it is shown, '
        f"and here it should not be trusted (known {known:.2f}, below {TRUSTED}).</p>"
    )


def _layers(description: Description, photo: pictures.Image.Image, answer: Answer) -> str:
    image = f'<img class="photo" alt="the photo" src="{_data_uri(photo, "JPEG")}">'
    fits = f'style="max-width:calc({_TALLEST}vh * {photo.width} / {photo.height})"'
    if not answer.mask_png:
        return f'<div class="layers" {fits}>{image}</div>'
    with pictures.Image.open(io.BytesIO(answer.mask_png)) as mask:
        layer = pictures.tinted(mask, len(description.mask_classes), photo.size)
    names = [_readable(name) for name in description.mask_classes]
    key = "".join(
        f'<span class="key"><i style="background:rgb{pictures.colour(number)}"></i>{name}</span> '
        for number, name in enumerate(names, 1)
    )
    move = "this.closest('.answer').querySelector('.mask').style.opacity = this.value / 100"
    return (
        f'<div><div class="layers" {fits}>{image}'
        f'<img class="mask" alt="the mask" src="{_data_uri(layer, "PNG")}"></div>'
        f'<label>{key}<input type="range" min="0" max="100" value="50" aria-label="opacity of the mask" '
        f'oninput="{move}"></label></div>'
    )


def _classes(description: Description, answer: Answer) -> str:
    pairs = zip(answer.classes, answer.scores, strict=True)
    bars = [_bar(name, score, number == 0) for number, (name, score) in enumerate(pairs)]
    coarser = [
        f"<p>{_readable(label)}: <b>{_readable(name)}</b> {100 * score:.1f} %</p>"
        for label, (name, score) in answer.coarser.items()
    ]
    title = f"<h3>{_readable(description.label)}</h3>" if description.label is not None else ""
    return title + "".join(bars) + "".join(coarser)


def _bar(name: str, score: float, best: bool) -> str:
    kind = "bar best" if best else "bar"
    percent = f"{100 * score:.1f}"
    return f'<div class="{kind}">{_readable(name)}<span>{percent} %</span><i style="width:{percent}%"></i></div>'


def _readable(name: str) -> str:
    return html.escape(name.replace("_", " "))


def _data_uri(image: pictures.Image.Image, kind: str) -> str:
    encoded = io.BytesIO()
    image.save(encoded, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(encoded.getvalue()).decode()}"
