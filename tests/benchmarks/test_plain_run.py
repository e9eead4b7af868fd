"""The plain script that whole_run.py compares with, on a handful of drawings."""

from __future__ import annotations

import dataclasses
import json
import pathlib

from benchmarks import plain_run
from pipeline import configs


def test_a_plain_run_trains_each_phase_and_judges_the_network(tmp_path: pathlib.Path) -> None:
    debug = configs.debug()
    contestants = {"mobilenet_v3_small": debug.contestants["mobilenet_v3_small"]}  # with all that a recipe may ask for
    config = dataclasses.replace(debug, data_dir=str(tmp_path / "data"), contestants=contestants)
    plain_run.run(config, tmp_path / "plain")
    figures = json.loads((tmp_path / "plain" / "plain.json").read_text())["mobilenet_v3_small"]
    assert [epoch["phase"] for epoch in figures["epochs"]] == [0, 1]
    assert 0.0 <= figures["accuracy"] <= 1.0
    assert 0.0 < figures["mask_f1"] < 1.0
    assert (tmp_path / "plain" / "mobilenet_v3_small.keras").is_file()
