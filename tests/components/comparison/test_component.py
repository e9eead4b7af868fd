"""The component in a TFX pipeline, before a Pusher, and its report redrawn from the metadata store."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from tfx import v1 as tfx
from tfx.types import channel_utils
from tfx.types import standard_artifacts as artifacts

from components.comparison import lineage
from components.comparison.component import ModelComparison
from components.pusher import Pusher
from pipeline import redraw
from schema import record, spec_file
from tests.drawn import BREEDS

SPEC = spec_file.shipped("synthetic_pets")


def run_pipeline(run, run_dir: Path, blessed: int) -> None:
    """Imports what `run` left behind, compares, pushes."""

    def imported(name: str, uri: str, kind: type, **properties):
        importer = tfx.dsl.Importer(source_uri=uri, artifact_type=kind, **properties).with_id(name)
        importers.append(importer)
        return importer.outputs["result"]

    importers: list = []
    channels: dict = {"models": {}, "evaluations": {}, "blessings": {}, "runs": {}}
    for name, model in run.inputs.models.items():
        root = Path(model.saved_model).parents[1]
        (root / "blessing").mkdir(exist_ok=True)
        channels["models"][name] = imported(f"{name}_model", str(root / "model"), artifacts.Model)
        channels["evaluations"][name] = imported(f"{name}_evaluation", model.evaluation, artifacts.ModelEvaluation)
        channels["runs"][name] = imported(f"{name}_run", str(root / "run"), artifacts.ModelRun)
        channels["blessings"][name] = imported(
            f"{name}_blessing", str(root / "blessing"), artifacts.ModelBlessing, custom_properties={"blessed": blessed}
        )
    examples = Path(run.inputs.splits[record.TEST][0]).parents[1]
    splits = json.dumps(list(record.SPLITS))
    comparison = ModelComparison(
        **channels,
        examples=imported("examples", str(examples), artifacts.Examples, properties={"split_names": splits}),
        spec=SPEC,
        rule="mean",
        config_json=json.dumps(run.inputs.config),
        fingerprint="0123abcd",
    )
    pusher = Pusher(
        model=comparison.outputs["champion"],
        model_blessing=comparison.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(run_dir / "serving"))
        ),
    )
    tfx.orchestration.LocalDagRunner().run(
        tfx.dsl.Pipeline(
            pipeline_name="compare",
            pipeline_root=str(run_dir / "pipeline"),
            components=[*importers, comparison, pusher],
            metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
                str(run_dir / "metadata.db")
            ),
        )
    )


def output(run_dir: Path, key: str) -> Path:
    [execution] = (run_dir / "pipeline" / "ModelComparison" / key).iterdir()
    return execution


@pytest.fixture(scope="module")
def blessed_run(run, tmp_path_factory) -> Path:
    run_dir = tmp_path_factory.mktemp("blessed")
    run_pipeline(run, run_dir, blessed=1)
    return run_dir


def test_the_blessed_champion_is_pushed_and_serves(run, blessed_run):
    assert (output(blessed_run, "blessing") / "BLESSED").exists()
    [version] = (blessed_run / "serving").iterdir()
    pushed = tf.saved_model.load(str(version))
    serialized = next(iter(tf.data.TFRecordDataset(run.inputs.splits[record.TEST], "GZIP")))
    answer = pushed.signatures["serving_examples"](examples=serialized[None])
    assert answer["breed"].shape == (1, len(BREEDS))


def test_what_it_says_of_test_photos_goes_along(blessed_run):
    [file] = (blessed_run / "serving").glob("*/assets.extra/reference.json")
    reference = json.loads(file.read_text())
    assert reference.keys() == {"known", "confidence", "mask_area"}
    assert {len(values) for values in reference.values()} == {20}


def test_its_model_card_goes_along(blessed_run):
    [card] = (blessed_run / "serving").glob("*/assets.extra/model_card.md")
    assert card.read_text() == (output(blessed_run, "report") / "model_card.md").read_text()


def test_without_a_blessing_nothing_is_pushed_and_the_run_ends_in_order(run, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="progress"):
        run_pipeline(run, tmp_path, blessed=0)
    assert (output(tmp_path, "blessing") / "NOT_BLESSED").exists()
    assert not (tmp_path / "serving").exists()
    assert (output(tmp_path, "champion") / "Format-Serving" / "saved_model.pb").exists()
    assert "no model is blessed, so none is pushed" in caplog.text
    assert "none is pushed" in (output(tmp_path, "report") / "index.html").read_text()


def test_the_report_is_redrawn_from_the_metadata_store(blessed_run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pipeline.redraw", "--run-dir", str(blessed_run)])
    redraw.main()
    redrawn = json.loads((blessed_run / "report" / "metrics.json").read_text())
    drawn = json.loads((output(blessed_run, "report") / "metrics.json").read_text())
    assert redrawn["run"]["seconds"]["ModelComparison"] > 0
    assert redrawn["models"]["dcnn"]["metrics"] == drawn["models"]["dcnn"]["metrics"]
    assert redrawn["champion"] == drawn["champion"]


def test_a_redraw_names_an_input_that_is_gone(run, blessed_run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pipeline.redraw", "--run-dir", str(blessed_run)])
    there = Path(run.inputs.models["dcnn"].evaluation)
    away = there.rename(there.with_name("away"))
    try:
        with pytest.raises(SystemExit, match=f"{there} is gone: run local_runner.py again"):
            redraw.main()
    finally:
        away.rename(there)


@pytest.mark.parametrize("missing", ["audit", "second_look"])
def test_a_redraw_of_a_run_by_earlier_code_says_what_to_do(blessed_run, monkeypatch, missing):
    now = lineage._parameters

    def then(execution):
        parameters = now(execution)
        if missing == "audit":
            del parameters["audit"]
        parameters["config_json"] = parameters["config_json"].replace(f'"{missing}"', '"earlier_name"')
        return parameters

    monkeypatch.setattr(lineage, "_parameters", then)
    monkeypatch.setattr(sys, "argv", ["pipeline.redraw", "--run-dir", str(blessed_run)])
    with pytest.raises(SystemExit, match=rf"earlier code, which had no '{missing}': run local_runner\.py again"):
        redraw.main()


def test_a_redraw_of_what_is_no_run_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pipeline.redraw", "--run-dir", str(tmp_path / "none")])
    with pytest.raises(SystemExit, match=r"there is no .*metadata\.db: give the folder of a run"):
        redraw.main()
    assert not (tmp_path / "none").exists()


def test_a_missing_model_is_refused():
    model = channel_utils.as_channel([artifacts.Model()])
    with pytest.raises(ValueError, match=r"evaluation channels are given for \[\]: give one for each of \['dcnn'\]"):
        ModelComparison(
            models={"dcnn": model},
            evaluations={},
            blessings={},
            runs={},
            examples=channel_utils.as_channel([artifacts.Examples()]),
            spec=SPEC,
            rule="mean",
            config_json="{}",
            fingerprint="",
        )
