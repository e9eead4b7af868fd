"""The model card: Markdown beside the model, and a section of the report."""

from __future__ import annotations

import dataclasses

import pytest

from components.comparison.results import Comparison
from components.metrics.results import OVERALL, Interval
from components.report import card


@pytest.fixture(scope="module")
def compared(report_dir):
    return Comparison.from_json((report_dir / "metrics.json").read_bytes())


@pytest.fixture(scope="module")
def text(report_dir):
    return (report_dir / card.CARD_FILE).read_text(encoding="utf-8")


def _section(compared, title):
    return next(part for part in card.sections(compared) if part.title == title)


def test_it_has_every_part(text):
    titles = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        *("Intended use", "Data", "Recipe", "Figures", "Figures by slice", "Calibration"),
        *("Pictures of something else", "Limits"),
    ]


def test_its_figures_are_the_champions(compared, text):
    overall = compared.models[compared.champion].metrics["overall"]
    accuracy, f1 = overall.classification.accuracy, overall.segmentation.f1
    assert f"| Accuracy | {100 * accuracy.value:.1f} | {100 * accuracy.lower:.1f}" in text
    assert f"| Mask F1 | {100 * f1.value:.1f} |" in text
    assert f"Calibration error {100 * overall.classification.calibration_error.value:.1f} %" in text


def test_it_says_where_the_data_is_from_and_what_was_put_aside(compared, text):
    assert f"Licence and source: {compared.spec.licence}" in text
    assert compared.spec.about in text
    assert "Put aside because they could not be used: 3." in text


def test_it_says_what_it_does_on_pictures_of_something_else(compared):
    part = _section(compared, "Pictures of something else")
    known = compared.models[compared.champion].known
    assert f"{100 * known.test:.1f} %" in part.sentences[0]
    assert part.sentences[0].startswith(f"Of {len(known.reference['known'])} photos of split test it takes ")
    assert [row[0] for row in part.rows] == list(known.foreign)
    for row in part.rows:
        assert row[3] == f"{known.foreign[row[0]].area:.3f}"


def test_a_licences_paths_and_dots_stay_and_so_do_capitals(compared):
    licence = "See ../LICENCE ... of https://x.org/../a."
    spec = dataclasses.replace(compared.spec, licence=licence, example="MRI scan")
    text = card.markdown(dataclasses.replace(compared, spec=spec))
    assert f"Licence and source: {licence}\n" in text
    assert "MRI scans: " in text


def test_a_missing_licence_is_said(compared):
    unlicensed = dataclasses.replace(compared, spec=dataclasses.replace(compared.spec, licence=""))
    assert "not stated" in card.markdown(unlicensed)


def test_the_recipe_is_the_runs_without_a_path_of_the_machine(compared):
    config = dict(compared.run.config)
    contestants = {name: {**recipe, "weights": ""} for name, recipe in config["contestants"].items()}
    config |= {"weights": "/home/someone/secret/start.weights.h5", "contestants": contestants}
    run = dataclasses.replace(compared.run, config=config)
    rows = dict(_section(dataclasses.replace(compared, run=run), "Recipe").rows)
    assert rows["Start"] == "weights start.weights.h5"
    assert rows["Network"].startswith(contestants[compared.champion]["network"])


def _recipe(compared, **changed):
    """The rows of the recipe, with these fields of it changed."""
    config = dict(compared.run.config)
    config["contestants"] = {
        **config["contestants"],
        compared.champion: config["contestants"][compared.champion] | changed,
    }
    run = dataclasses.replace(compared.run, config=config)
    return dict(_section(dataclasses.replace(compared, run=run), "Recipe").rows)


def test_each_phase_has_the_epochs_that_its_steps_became_and_its_own_size(compared):
    recipe, model = compared.run.config["contestants"][compared.champion], compared.models[compared.champion]
    phase = {**recipe["phases"][0], "epochs": 1, "learning_rate": 0.002, "backbone_rate": 1}
    small, last = {"steps": 500, "input_size": 96, "cutmix": True}, {"input_size": 0, "cutmix": False}
    changed = {"phases": [phase | small, phase | last], "input_size": 160, "serving_size": 192, "soup": 2}
    changed |= {"augmentation": recipe["augmentation"] | {"cutmix": 0.5}}
    history = model.history | {"epochs": [{"phase": number} for number in [0] * 55 + [1] * 10 + [2] * 10]}
    trained = dataclasses.replace(compared, models={compared.champion: dataclasses.replace(model, history=history)})
    rows = _recipe(trained, **changed)
    assert rows["Phases"] == ("55 epochs at 96 pixels, rate 0.002; 10 epochs at 160 pixels, rate 0.002, without cutmix")
    assert rows["Training"].endswith(", epochs: 75")
    assert rows["Picture in use"] == "192 pixels a side"


def test_the_second_look_is_the_one_that_the_model_takes(compared):
    assert _recipe(compared, second_look="closer")["Second look in use"] == "closer"
    of_classes = dataclasses.replace(compared, heads=dataclasses.replace(compared.heads, mask=None))
    assert _recipe(of_classes, second_look="closer")["Second look in use"] == "mirror"
    assert _recipe(of_classes, second_look="none")["Second look in use"] == "none"


def test_of_many_slices_it_shows_those_of_single_classes_last_and_the_worst_of_them(compared):
    part = _section(compared, "Figures by slice")
    slices = len(compared.models[compared.champion].metrics) - 1
    shown = min(slices, card.SHOWN_SLICES)
    assert len(part.rows) == shown
    many = dict(compared.models[compared.champion].metrics)
    model = compared.models[compared.champion]
    some = next(iter(name for name in many if name.startswith("breed")))
    many |= {f"breed: {number}": many[some] for number in range(20)}
    champion = dataclasses.replace(model, metrics=many)
    crowded = dataclasses.replace(compared, models={**compared.models, compared.champion: champion})
    part = _section(crowded, "Figures by slice")
    assert part.sentences == (
        f"12 of {len(many) - 1} slices, the worst first, those of a single breed behind the rest; "
        "the others stand in the report.",
    )
    names = [row[0] for row in part.rows]
    assert len(names) == card.SHOWN_SLICES
    kinds = [name.startswith("breed") for name in names]
    assert kinds == sorted(kinds)
    assert any(kinds)
    assert not all(kinds)


def test_of_many_slices_of_groups_alone_it_shows_the_worst_first(compared):
    model = compared.models[compared.champion]
    group = next(one for one in model.metrics.values() if len(one.by) == 2)
    accuracies = [Interval((7 * number % 20) / 20) for number in range(20)]
    many = {
        f"size: {number}": dataclasses.replace(
            group, classification=dataclasses.replace(group.classification, accuracy=accuracy), segmentation=None
        )
        for number, accuracy in enumerate(accuracies)
    }
    champion = dataclasses.replace(model, metrics={OVERALL: model.metrics[OVERALL]} | many)
    crowded = dataclasses.replace(compared, models={**compared.models, compared.champion: champion})
    part = _section(crowded, "Figures by slice")
    assert part.sentences == ("12 of 20 slices, the worst first; the others stand in the report.",)
    assert [row[2] for row in part.rows] == sorted([row[2] for row in part.rows], key=float)


def test_limits_name_rare_classes_and_what_was_never_tested(compared):
    sentences = " ".join(_section(compared, "Limits").sentences)
    assert "Rarest in training: " in sentences
    assert "of which nothing is known: 32." in sentences, "five of the 37 have photos"


def test_limits_tell_what_becomes_of_corrupted_photos_where_it_is_known(compared):
    model = compared.models[compared.champion]
    accuracy = model.robustness.accuracy
    start = "5 photos of split test, made worse in ways that phones have: accuracy "
    falls = f"{start}{100 * accuracy.mean:.1f} % on average ({100 * accuracy.clean:.1f} % as they are), lowest with "
    worst = min(accuracy.means, key=lambda kind: accuracy.means[kind])
    assert f"{falls}{worst} ({100 * accuracy.means[worst]:.1f}), " in card.markdown(compared)
    model = dataclasses.replace(model, robustness=None)
    silent = dataclasses.replace(compared, models={**compared.models, compared.champion: model})
    assert "made worse" not in card.markdown(silent)


def test_a_temperature_is_told(compared):
    model = compared.models[compared.champion]
    model = dataclasses.replace(model, history={**model.history, "temperature": 1.5})
    warm = dataclasses.replace(compared, models={**compared.models, compared.champion: model})
    assert "divided by a temperature of 1.50" in card.markdown(warm)


def test_a_name_of_two_lines_is_a_cell_of_its_row(compared):
    model = compared.models[compared.champion]
    metrics = {OVERALL: model.metrics[OVERALL], "kind: a\nb": next(one for one in model.metrics.values() if one.by)}
    models = {**compared.models, compared.champion: dataclasses.replace(model, metrics=metrics)}
    assert "\n| kind: a b | " in card.markdown(dataclasses.replace(compared, models=models))


def test_a_cell_cannot_end_its_column():
    assert card._table_row(["a|b", "c"]) == "| a\\|b | c |"


def test_without_a_class_head_nothing_is_said_of_classes(compared):
    model = compared.models[compared.champion]
    metrics = {name: dataclasses.replace(one, classification=None) for name, one in model.metrics.items()}
    heads = dataclasses.replace(compared.heads, label=None)
    model = dataclasses.replace(model, metrics=metrics, pairs=())
    masks = dataclasses.replace(compared, heads=heads, models={compared.champion: model})
    titles = [part.title for part in card.sections(masks)]
    assert "Calibration" not in titles
    assert "Accuracy" not in card.markdown(masks)
    assert "Mask F1" in card.markdown(masks)


def test_accuracy_stands_beside_that_of_always_naming_the_most_frequent_class(compared):
    share = compared.models[compared.champion].metrics["overall"].classification.majority_share
    assert f"| Always the most frequent class | {100 * share:.1f} |  |" in card.markdown(compared)


def test_the_same_models_give_the_same_card(compared):
    """Else every comparison anew would be a new version to push."""
    slower = {
        name: dataclasses.replace(model, inference_images_per_second=1.0) for name, model in compared.models.items()
    }
    run = dataclasses.replace(compared.run, fingerprint="other", machine="other", seconds={"Edge": 1.0})
    assert card.markdown(dataclasses.replace(compared, models=slower, run=run)) == card.markdown(compared)
