"""TFMA's own slicing view as one HTML page: no notebook, no network.

TFMA draws it with web components, the script `static/vulcanized_tfma.js` of its package; the page holds that script,
`tfma_charts.js` in place of Google's, the metrics as JSON, and one element for each kind of slice.
"""

from __future__ import annotations

import base64
import html
import importlib.resources
import json
from collections.abc import Sequence
from typing import Any

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.view import util

from schema import record
from schema.dataset_spec import DatasetSpec

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>TFMA: {title}</title><link rel="icon" href="data:,">
<style>body {{ font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem; }}</style>
<script>{charts}</script>
<script>{script}</script>
</head><body><h1>TFMA: {title}</h1>
{views}
</body></html>
"""

_VIEW = """<h2>{heading}</h2>
<tfma-nb-slicing-metrics id="{element}"></tfma-nb-slicing-metrics>
<script>
{{
  const view = document.getElementById("{element}");
  const bytes = Uint8Array.from(atob("{payload}"), (letter) => letter.charCodeAt(0));
  const {{ config, data }} = JSON.parse(new TextDecoder().decode(bytes));
  view.config = config;
  view.data = data;
}}
</script>
"""


def write_page(evaluation: str, spec: DatasetSpec, title: str, path: str) -> None:
    """Writes the slicing view of an Evaluator's `evaluation` artifact.

    Args:
      evaluation: The artifact's URI.
      spec: Of the data; each of its slices by one feature has a view.
      title: The model's name.
      path: Of the page.
    """
    result = tfma.load_eval_result(evaluation)
    config = util.get_slicing_config(result.config, None)
    views = []
    for title_of_slice in (names[0] for names in spec.slices if len(names) == 1):
        rows = util.get_slicing_metrics(result.slicing_metrics, record.slice_feature(title_of_slice))
        views += [
            _view(f"{output}, by {title_of_slice}", config, _of_output(rows, output))
            for output in sorted({output for row in rows for output in row["metrics"] if output})
        ]
    charts = importlib.resources.files("components.report").joinpath("tfma_charts.js")
    script = importlib.resources.files(tfma).joinpath("static/vulcanized_tfma.js")
    page = _PAGE.format(
        title=html.escape(title),
        charts=charts.read_text(encoding="utf-8"),
        script=script.read_text(encoding="utf-8").replace("</script", "<\\/script"),
        views="".join(views),
    )
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)


def _of_output(rows: Sequence[Any], output: str) -> list[dict[str, Any]]:
    """One output's numbers and the examples' count: of several outputs TFMA's picker would first show none."""
    return [
        {
            "slice": row["slice"].split(":", 1)[1],
            "metrics": {
                output: {
                    "": {
                        name: value
                        for of_output in ("", output)
                        for name, value in row["metrics"][of_output][""].items()
                        if "arrayValue" not in value
                    }
                }
            },
        }
        for row in rows
    ]


def _view(heading: str, config: dict[str, Any], data: Any) -> str:
    payload = json.dumps({"config": config, "data": data})
    element = heading.replace(", ", "-").replace(" ", "-")
    return _VIEW.format(
        heading=html.escape(heading), element=element, payload=base64.b64encode(payload.encode()).decode()
    )
