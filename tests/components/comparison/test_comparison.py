"""The numbers of `metrics.json` against scikit-learn and NumPy on the dumped predictions."""

from __future__ import annotations

import base64
import csv
import dataclasses
import json
import re
import shutil
from pathlib import Path

import markupsafe
import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as sklearn_metrics

from components.comparison import comparison
from components.comparison.corruptions import KINDS
from components.comparison.results import Comparison
from components.comparison.robustness import Demand
from components.report import page, publishing, tables
from components.report.wording import DASH
from schema import record
from tests.components.comparison.conftest import draw, example, write_records
from tests.drawn import BREEDS, MODELS


@pytest.fixture(params=MODELS)
def dumped(request, report_dir, metrics):
    """One model's overall figures and its `predictions-MODEL.npz`."""
    arrays = np.load(report_dir / f"predictions-{request.param}.npz")
    return metrics["models"][request.param]["metrics"]["overall"], arrays


def test_class_figures_equal_scikit_learn_on_the_dumped_predictions(dumped):
    overall, arrays = dumped
    labels, named = arrays["labels"], arrays["probabilities"].argmax(axis=1)
    classes = list(range(len(BREEDS)))
    figures = overall["classification"]
    assert figures["accuracy"]["value"] == pytest.approx(sklearn_metrics.accuracy_score(labels, named), abs=1e-6)
    weighted = sklearn_metrics.f1_score(labels, named, average="weighted", zero_division=0)
    assert figures["weighted_f1"]["value"] == pytest.approx(weighted, abs=1e-6)
    assert figures["confusion_matrix"] == sklearn_metrics.confusion_matrix(labels, named, labels=classes).tolist()
    precision, recall, f1, support = sklearn_metrics.precision_recall_fscore_support(
        labels, named, labels=classes, zero_division=0
    )
    np.testing.assert_allclose(figures["class_precision"], precision, atol=1e-6)
    np.testing.assert_allclose(figures["class_recall"], recall, atol=1e-6)
    np.testing.assert_allclose(figures["class_f1"], f1, atol=1e-6)
    assert figures["class_support"] == support.tolist()


def test_mask_figures_equal_numpy_on_the_dumped_counts(dumped):
    overall, arrays = dumped
    pixels = arrays["pixels"].sum(axis=0)
    (_, false_alarms), (misses, hits) = pixels
    figures = overall["segmentation"]
    assert figures["confusion_matrix"] == pixels.tolist()
    assert figures["f1"]["value"] == pytest.approx(2 * hits / (2 * hits + false_alarms + misses), abs=1e-6)
    assert figures["iou"]["value"] == pytest.approx(hits / (hits + false_alarms + misses), abs=1e-6)
    of_image = arrays["pixels"]
    f1 = 2 * of_image[:, 1, 1] / (2 * of_image[:, 1, 1] + of_image[:, 0, 1] + of_image[:, 1, 0])
    assert figures["mean_image_f1"]["value"] == pytest.approx(f1.mean(), abs=1e-6)


def test_predictions_are_those_of_the_named_photos(report_dir, run):
    arrays = np.load(report_dir / "predictions-dcnn.npz")
    breeds = [BREEDS.index(name.rsplit("_", 1)[0]) for name in arrays["file_names"]]
    assert breeds == arrays["labels"].tolist()
    assert len(set(arrays["file_names"])) == 20


def test_cases_carry_the_figures_of_their_photos(report_dir, metrics):
    arrays = np.load(report_dir / "predictions-dcnn.npz")
    row_of = {name: row for row, name in enumerate(arrays["file_names"])}
    cases = metrics["models"]["dcnn"]["cases"]
    for case in cases["best"] + cases["worst"] + cases["wrong"]:
        row = row_of[case["file_name"]]
        (_, false_alarms), (misses, hits) = arrays["pixels"][row]
        assert case["mask_f1"] == pytest.approx(2 * hits / (2 * hits + false_alarms + misses))
        assert case["confidence"] == pytest.approx(arrays["probabilities"][row].max())
    assert all(case["classes"]["breed"] != case["predicted"] for case in cases["wrong"])
    assert cases["wrong"], "the model that hardly sees blue should mix up breeds"


def test_data_are_counted(metrics):
    for split in record.SPLITS:
        assert metrics["data"]["examples"][split] == sum(metrics["data"]["classes"][split].values()) == 20
    assert metrics["data"]["classes"]["test"]["Abyssinian"] == 4
    assert metrics["data"]["quarantine"][record.TRAIN] == {"photo": 2, "mask": 1}
    assert metrics["data"]["duplicates"][record.TEST] == 5


def test_the_page_shows_what_ingestion_put_aside_and_mended(report_dir):
    page = (report_dir / "index.html").read_text()
    for shown in ("photo 2, mask 1", "orientation 1,234", "CMYK 1", "pet 17", "<td>4,321</td>", "<td>5</td>"):
        assert shown in page


def test_the_page_says_what_was_left_out_and_what_matched_nothing(report_dir):
    page = (report_dir / "index.html").read_text()
    assert "</code> says: 3 of train, 2 of test." in page
    assert "1 matched nothing, such as <code>train/gone.jpg</code>" in page


def test_groups_that_the_data_divides_stand_in_page_and_card(report_dir):
    told = "The data itself puts 2 groups into several splits, so that figures flatter."
    assert told in (report_dir / "index.html").read_text()
    told = "Groups that the data itself puts into several splits: 2. Figures flatter."
    assert told in (report_dir / "model_card.md").read_text()


@pytest.mark.parametrize(
    ("known", "told"),
    [
        (20, ["It named every test photo correctly."]),
        (9, ["It named every test photo whose class is known correctly."]),
        (0, []),
    ],
)
def test_only_photos_whose_class_is_known_can_be_named_correctly(metrics, report_dir, tmp_path, known, told):
    shutil.copytree(report_dir, tmp_path / "report")
    changed = json.loads(json.dumps(metrics))
    for model in changed["models"].values():
        model["metrics"]["overall"]["classification"] |= {"example_count": known, "majority_share": None}
        model |= {"pairs": [], "cases": {}}
    (tmp_path / "report" / "metrics.json").write_text(json.dumps(changed))
    page.complete(str(tmp_path / "report"), {}, None)
    text = (tmp_path / "report" / "index.html").read_text()
    assert re.findall(r"<p>(It named [^<]*)</p>", text) == told * len(changed["models"])
    assert ("It confused no two classes." in text) == bool(known)
    assert ("The class of no test photo is known." in text) != bool(known)
    assert "Always the most frequent class" not in text


def test_the_better_model_is_the_champion(metrics):
    scores = metrics["decision"]["scores"]
    assert scores[metrics["champion"]] == max(scores.values())
    assert metrics["decision"]["blessed"]


def test_the_champion_is_held_against_the_other_contestants_on_the_same_photos(metrics, report_dir):
    [(other, differences)] = metrics["decision"]["against_contestants"].items()
    assert {metrics["champion"], other} == set(MODELS)
    for difference, head, figure in zip(
        differences, ("classification", "segmentation"), ("accuracy", "f1"), strict=True
    ):
        for side, name in (("candidate", metrics["champion"]), ("other", other)):
            expected = metrics["models"][name]["metrics"]["overall"][head][figure]["value"]
            assert difference[side] == pytest.approx(expected, abs=1e-6)
    assert f"Accuracy, against {other}" in (report_dir / "index.html").read_text()


def test_every_suspect_stands_in_the_table_beside_the_page(report_dir, metrics):
    audit = metrics["audit"]
    assert audit["examples"] == {"eval": 20, "test": 20}
    rows = list(csv.DictReader((report_dir / "suspects.csv").open(newline="")))
    assert [(row["kind"], row["split"], row["file_name"]) for row in rows] == [
        (one["kind"], one["split"], one["file_name"]) for one in audit["suspects"]
    ]
    for kind in ("label", "mask"):
        assert audit["counts"][kind].keys() == {"eval", "test"}
        assert sum(audit["counts"][kind].values()) == sum(row["kind"] == kind for row in rows)


@pytest.fixture(scope="module")
def faulty(run, tmp_path_factory):
    """The run's inputs with three faults in split eval: another breed's name, another mask, a photo of the test."""
    fields = {number: tf.train.Example.FromString(example(0, 100 + number)) for number in range(4)}
    features = {number: one.features.feature for number, one in fields.items()}
    features[0]["breed"].int64_list.value[:] = [32]
    features[1]["mask"].bytes_list.value[:] = [tf.io.encode_png(np.eye(48, 64, dtype=np.uint8)[..., None]).numpy()]
    features[2]["image"].bytes_list.value[:] = [tf.io.encode_jpeg(draw(0, 200)[0], quality=60).numpy()]
    others = [example(breed, 100 + number) for breed in (1, 2, 12, 32) for number in range(4)]
    files = write_records(
        tmp_path_factory.mktemp("faulty") / "Split-eval", [one.SerializeToString() for one in fields.values()] + others
    )
    splits = {**run.inputs.splits, record.EVAL: files}
    better = {"mobilenet_v3_small": run.inputs.models["mobilenet_v3_small"]}
    return dataclasses.replace(run.inputs, models=better, splits=splits, audit=(record.EVAL,))


def test_planted_faults_are_listed_shown_and_more_than_allowed_of_them_bless_no_model(faulty, tmp_path):
    bars = {"label": 0.04, "mask": 0.04, "duplicate": 0.5}
    compared = comparison.compare(dataclasses.replace(faulty, max_suspects=bars), str(tmp_path))
    assert compared.audit is not None
    listed = {(one.kind, one.split, one.file_name) for one in compared.audit.suspects}
    assert listed >= {
        ("label", "eval", "Abyssinian_100.jpg"),
        ("mask", "eval", "Abyssinian_101.jpg"),
        ("duplicate", "eval", "Abyssinian_102.jpg"),
    }
    assert compared.models["mobilenet_v3_small"].blessed, "by its Evaluator"
    assert not compared.decision.blessed
    said = compared.decision.data_refusals
    # The photo of the test has a mask that is another photo's.
    assert [sentence.split(" (")[0] for sentence in said] == [
        "1 of 20 audited photos whose class is known",
        "2 of 20 audited photos whose mask is known",
    ]
    page = (tmp_path / "index.html").read_text()
    assert all(str(markupsafe.escape(sentence)) in page for sentence in said)
    for name in ("label-0-photo", "mask-0-photo", "mask-0-outlines", "duplicate-0-photo", "duplicate-0-twin"):
        assert inlined(tmp_path / "suspects" / f"{name}.jpg") in page


def inlined(picture: Path) -> str:
    return base64.b64encode(picture.read_bytes()).decode()


@pytest.fixture
def against(run, tmp_path):
    """Compares a SavedModel, as the only contestant, with a serving one."""

    def compare(saved_model: str, serving: str, max_drop: float):
        alone = {"dcnn": dataclasses.replace(run.inputs.models["dcnn"], saved_model=saved_model)}
        inputs = dataclasses.replace(run.inputs, models=alone, serving=serving, max_drop=max_drop)
        return comparison.compare(inputs, str(tmp_path / "report")), (tmp_path / "report" / "index.html").read_text()

    return compare


def test_a_champion_worse_than_the_serving_model_is_not_blessed_and_the_page_says_why(run, colour_blind, against):
    compared, page = against(colour_blind, run.inputs.models["mobilenet_v3_small"].saved_model, max_drop=0.01)
    assert compared.models["dcnn"].blessed, "by its Evaluator"
    assert not compared.decision.blessed
    assert compared.decision.refusals
    assert "does not replace it" in page
    assert all(str(markupsafe.escape(refusal.replace("_", " "))) in page for refusal in compared.decision.refusals)
    slices = {difference.slice for difference in compared.decision.against_serving}
    assert {"overall", "species: Cat", "breed: Abyssinian"} <= slices <= set(compared.models["dcnn"].metrics)


def test_a_champion_that_is_as_good_as_the_serving_model_is_blessed(run, against):
    model = run.inputs.models["dcnn"].saved_model
    compared, page = against(model, model, max_drop=0.0)
    assert compared.decision.blessed
    assert {difference.p_worse for difference in compared.decision.against_serving} == {1.0}
    assert "Accuracy, against the serving model" in page


def test_corrupted_photos_are_asked_about_and_their_figures_stand_in_the_page(metrics, report_dir):
    page = (report_dir / "index.html").read_text()
    for model in metrics["models"].values():
        assert model["blessed"]
        assert model["robustness"]["photos"] == 5
        for curves in (model["robustness"]["accuracy"], model["robustness"]["mask_f1"]):
            assert list(curves["of_kind"]) == list(KINDS)
            assert {len(figures) for figures in curves["of_kind"].values()} == {6}
            assert curves["mean"] < curves["of_kind"]["noise"][0], "as they are, it knows them"
            assert f'<td class="best">{100 * curves["mean"]:.1f}</td>' in page.replace("\n", "")


def test_a_serving_model_of_other_classes_is_an_error_that_names_it(run, against, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run.inputs.models["dcnn"].saved_model, other)
    described = json.loads((other / "assets" / "model.json").read_text())
    (other / "assets" / "model.json").write_text(json.dumps({**described, "classes": ["a", "b"]}))
    with pytest.raises(ValueError, match=r"other cannot be compared .* its classes is \['a', 'b'\]"):
        against(run.inputs.models["dcnn"].saved_model, str(other), max_drop=0.01)


def test_every_figure_lies_beside_the_page_as_png(report_dir):
    plots = {path.stem for path in (report_dir / "plots").glob("*.png")}
    curves = {f"curve-{key}" for key in ("class_loss", "accuracy", "mask_loss", "mask_f1")}
    of_heads = {f"{figure}-{head}" for figure in ("slices", "robust") for head in ("class", "mask")}
    assert plots == curves | {f"confusion-{name}" for name in MODELS} | of_heads | {"gradient-cosine"}


def test_what_two_tasks_share_and_how_they_pull_at_it_has_a_table(report_dir, metrics):
    rows = {row.name: row.cells[1] for row in tables.sharing_rows(Comparison.from_json(json.dumps(metrics)))}
    assert rows["Parameters that both share"][:2] == ("600", "60.0 %")
    assert rows["Weight of the mask's loss"].text == "4"
    assert rows["Cosine of both gradients"][:2] == ("0.25", "0.20 to 0.30")
    assert rows["Mask's gradient, times the class's"][:2] == ("0.62", "0.50 to 0.75")
    assert 'id="sharing"' in (report_dir / "index.html").read_text()


def test_a_class_that_no_measured_photo_has_pulls_at_nothing(metrics):
    metrics = json.loads(json.dumps(metrics))
    for epoch in metrics["models"]["dcnn"]["history"]["epochs"]:
        epoch["class_gradient"] = 0.0
    rows = {row.name: row.cells for row in tables.sharing_rows(Comparison.from_json(json.dumps(metrics)))}
    assert rows["Mask's gradient, times the class's"][0].text == DASH


def test_gradients_that_were_not_measured_have_no_rows_and_the_page_says_how(metrics, report_dir, tmp_path):
    metrics = json.loads(json.dumps(metrics))
    for model in metrics["models"].values():
        for epoch in model["history"]["epochs"]:
            epoch.pop("gradient_cosine", None)
    compared = Comparison.from_json(json.dumps(metrics))
    assert [row.name for row in tables.sharing_rows(compared) if "radient" in row.name] == []
    folder = shutil.copytree(report_dir, tmp_path / "report")
    (folder / "plots" / "gradient-cosine.svg").unlink()
    page.write(compared, str(folder))
    assert "--dcnn.gradient-conflict" in (folder / page.PAGE_FILE).read_text()
    metrics["run"]["config"]["contestants"]["dcnn"]["gradient_conflict"] = True
    page.write(Comparison.from_json(json.dumps(metrics)), str(folder))
    shown = (folder / page.PAGE_FILE).read_text()
    assert "--dcnn.gradient-conflict" not in shown
    assert "No epoch trained those layers, so whether the two pull the same way was not measured." in shown


def test_of_a_training_that_does_not_tell_its_parts_nothing_is_shown(metrics):
    metrics = json.loads(json.dumps(metrics))
    del metrics["models"]["dcnn"]["history"]["parameters_of"]
    assert tables.sharing_rows(Comparison.from_json(json.dumps(metrics))) == []


def test_publishing_adds_the_durations(report_dir, tmp_path):
    page = publishing.publish(str(report_dir), str(tmp_path / "report"), {"Trainer_dcnn": 83.0})
    assert "1 min 23 s" in Path(page).read_text()
    assert json.loads((tmp_path / "report" / "metrics.json").read_text())["run"]["seconds"] == {"Trainer_dcnn": 83.0}


@pytest.fixture(scope="module")
def of_masks_alone(make_run, tmp_path_factory):
    """Models with a mask head, of which more is demanded on corrupted photos than they can answer; and the page."""
    folder = tmp_path_factory.mktemp("masks")
    run = make_run(folder / "run", breeds=(0, 1), photos=2, task="segmentation")
    inputs = dataclasses.replace(run.inputs, robustness=Demand(photos=1, mask_f1=1.0))
    compared = comparison.compare(inputs, str(folder / "report"))
    return compared, (folder / "report" / "index.html").read_text()


def test_models_of_a_mask_head_alone_have_the_sections_of_that_head(of_masks_alone):
    _, page = of_masks_alone
    assert '<section id="pixels">' in page
    assert not any(f'id="{name}"' in page for name in ("confusion", "classes"))
    assert "plots/robust-mask.png" in page
    assert "plots/robust-class.png" not in page


def test_a_model_that_corrupted_photos_mislead_is_not_blessed_and_the_page_says_by_which_figure(of_masks_alone):
    compared, page = of_masks_alone
    assert not compared.decision.blessed
    for model in compared.models.values():
        assert not model.blessed, "though its Evaluator blessed it"
        [failed] = model.failed_thresholds
        assert re.fullmatch(r"mask F1 under corruption is 0\.\d{4}: 0\.\d{4} below the threshold 1", failed)
        assert failed in page
    assert "none is pushed" in page


def test_models_of_a_class_head_alone_have_the_sections_of_that_head(make_run, tmp_path):
    run = make_run(tmp_path / "run", breeds=(0, 1), photos=2, label="species", task="classification")
    comparison.compare(run.inputs, str(tmp_path / "report"))
    page = (tmp_path / "report" / "index.html").read_text()
    assert all(f'<section id="{name}">' in page for name in ("confusion", "classes"))
    absent = ("pixels", "robustness", "suspects", "sharing")
    assert not any(f'id="{name}"' in page for name in absent), "nothing was asked of corrupted photos or the data"
    assert not list((tmp_path / "report" / "plots").glob("robust*"))
    assert not (tmp_path / "report" / "suspects.csv").exists()


def test_masks_alone_and_a_test_split_without_an_object_bless_no_model_and_say_why(make_run, tmp_path):
    pets_in = (record.TRAIN, record.EVAL)
    run = make_run(tmp_path / "run", breeds=(0, 1), photos=2, pets_in=pets_in, task="segmentation")
    asked = dataclasses.replace(run.inputs, audit=(record.EVAL, record.TEST), robustness=Demand(photos=2))
    compared = comparison.compare(asked, str(tmp_path / "report"))
    assert not compared.decision.blessed
    assert compared.decision.scores == {"dcnn": None, "mobilenet_v3_small": None}
    sentence = "dcnn, without a figure to choose by: split test holds no known class and no object"
    assert compared.decision.sentence == sentence
    assert (
        f"No model passed every check, so none is pushed. The best of them: <b>{sentence}</b>"
        in (tmp_path / "report" / "index.html").read_text()
    )
    assert "mask F1 was not measured" in compared.models["dcnn"].failed_thresholds


def test_an_empty_test_split_is_an_error(run, tmp_path):
    tf.io.TFRecordWriter(str(tmp_path / "empty.gz"), "GZIP").close()
    inputs = dataclasses.replace(run.inputs, splits={**run.inputs.splits, record.TEST: [str(tmp_path / "empty.gz")]})
    with pytest.raises(ValueError, match="holds no examples"):
        comparison.compare(inputs, str(tmp_path / "report"))
