"""The page: `index.html`, drawn once of a comparison and the pictures beside it."""

from __future__ import annotations

import base64
import dataclasses
import json
import mimetypes
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jinja2
import markupsafe

from components.comparison.results import Comparison
from components.edge.results import Edge
from components.metrics.results import OVERALL
from components.report import card, figures, pictures, tables
from components.report.wording import bounds, duration, megabytes, percent, readable, titled

METRICS_FILE = "metrics.json"
PAGE_FILE = "index.html"

SUSPECT_KINDS = {
    "label": "Class contradicted",
    "mask": "Mask contradicted",
    "duplicate": "Nearly the same in another split",
}


def write(compared: Comparison, folder: str) -> None:
    """Writes `metrics.json`, the model card and the page beside the pictures in `folder`."""
    with open(os.path.join(folder, METRICS_FILE), "w", encoding="utf-8") as file:
        file.write(compared.to_json())
    with open(os.path.join(folder, card.CARD_FILE), "w", encoding="utf-8") as file:
        file.write(card.markdown(compared))
    with open(os.path.join(folder, PAGE_FILE), "w", encoding="utf-8") as file:
        file.write(_draw(compared, folder))


def complete(folder: str, seconds: Mapping[str, float], edge: Edge | None) -> None:
    """Adds to the report in `folder` what came after it.

    Args:
      folder: As `write` left it.
      seconds: How long each component took, by its name.
      edge: What was made of the champion for phones, if anything was.
    """
    with open(os.path.join(folder, METRICS_FILE), encoding="utf-8") as file:
        compared = Comparison.from_json(file.read())
    run = dataclasses.replace(compared.run, seconds=dict(seconds))
    write(dataclasses.replace(compared, run=run, edge=edge), folder)


def _draw(compared: Comparison, folder: str) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(os.path.dirname(__file__)),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        bounds=bounds, percent=percent, duration=duration, megabytes=megabytes, readable=readable, titled=titled
    )
    return environment.get_template("page.html.j2").render(
        compared=compared,
        spec=compared.spec,
        label=compared.heads.label,
        mask_classes=compared.heads.mask.classes if compared.heads.mask else (),
        models=compared.models,
        names=list(compared.models),
        overall={name: model.metrics[OVERALL] for name, model in compared.models.items()},
        headline=tables.headline(compared),
        sharing_rows=tables.sharing_rows(compared),
        conflict_asked=_conflict_asked(compared),
        card=card.sections(compared),
        class_rows=tables.class_rows(compared),
        has_mask_by_class=tables.has_mask_by_class(compared),
        slice_rows=tables.slice_rows(compared),
        paired_rows=tables.paired_rows(compared),
        heads=figures.heads_of(compared),
        robust_rows=tables.robust_rows(compared),
        data_rows=tables.data_rows(compared),
        suspect_kinds=SUSPECT_KINDS,
        shown_suspects=figures.shown_suspects(compared.audit) if compared.audit else {},
        pictures=pictures,
        config_rows=list(_flat(compared.run.config)),
        portrait=lambda name: figures.portrait_file(compared, name),
        exists=lambda name: os.path.exists(os.path.join(folder, name)),
        inline=lambda name: _inline(os.path.join(folder, name)),
    )


def _inline(path: str) -> markupsafe.Markup:
    """The file as a data URI."""
    with open(path, "rb") as file:
        content = base64.b64encode(file.read()).decode("ascii")
    return markupsafe.Markup(f"data:{mimetypes.guess_type(path)[0]};base64,{content}")


def _conflict_asked(compared: Comparison) -> bool:
    """Whether the gradients of a contestant were to be measured; if none were, its backbone stayed frozen."""
    recipes = compared.run.config.get("contestants", {}).values()
    return any(recipe.get("gradient_conflict") for recipe in recipes)


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """`("data.source", "folder")` of a nested config, field by field."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, Sequence) and value and isinstance(value[0], Mapping):
            for number, item in enumerate(value, 1):
                yield from _flat(item, f"{prefix}{key}[{number}].")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)
