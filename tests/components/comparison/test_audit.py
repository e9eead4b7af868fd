"""Which labels and masks are suspicious, and how many of them are too many."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest

from components.comparison import audit
from components.comparison.predictions import Masks, Predictions, Truth
from components.comparison.results import Audit, Suspect
from components.comparison.twins import Photo
from schema import record, spec_file

SPEC = spec_file.shipped("synthetic_pets")
HEADS = SPEC.heads("species", "")
CLASSES = 4
SIDE = 20


def confident(labels: np.ndarray, seed: int = 20) -> np.ndarray:
    """Probabilities of a model that is sure of these classes, of some more than of others."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (len(labels), CLASSES))
    logits[np.arange(len(labels)), labels] += rng.uniform(2, 8, len(labels))
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_swapped_labels_are_listed_and_no_other_though_their_number_is_estimated_from_below() -> None:
    true = np.arange(400) % CLASSES
    given = true.copy()
    swapped = np.arange(0, 400, 33)
    given[swapped] = (given[swapped] + 1) % CLASSES
    probabilities = confident(true)
    found = audit.suspicious_labels(given, probabilities)
    assert set(found) <= set(swapped)
    assert len(found) >= len(swapped) // 2
    margin = probabilities[found, given[found]] - probabilities[found].max(axis=1)
    assert margin.tolist() == sorted(margin)


def test_a_label_that_the_models_name_too_is_never_suspicious() -> None:
    given = np.arange(400) % CLASSES
    probabilities = confident(given, seed=3)
    assert all(probabilities[index].argmax() != given[index] for index in audit.suspicious_labels(given, probabilities))


def test_unknown_classes_are_left_out_and_classes_without_examples_do_no_harm() -> None:
    true = np.arange(400) % (CLASSES - 1)
    given = true.copy()
    given[::2] = record.UNKNOWN_CLASS
    given[1] = (true[1] + 1) % (CLASSES - 1)
    found = audit.suspicious_labels(given, confident(true))
    assert found[0] == 1
    assert all(given[index] >= 0 for index in found)


@pytest.mark.parametrize("given", [[], [-1, -1, -1], [2, 2, 2]])
def test_without_two_classes_no_label_is_suspicious(given: list[int]) -> None:
    assert audit.suspicious_labels(np.array(given, int), confident(np.zeros(len(given), int))) == []


def test_a_mask_is_suspicious_where_the_models_agree_with_each_other_and_not_with_it() -> None:
    rng = np.random.default_rng(20)
    best, agreement = rng.uniform(0.93, 0.97, 100), rng.uniform(0.93, 0.97, 100)
    best[7], best[8] = 0.5, 0.4
    best[9] = agreement[9] = 0.3  # a hard photo: the models differ as much
    best[10] = np.nan
    assert audit.suspicious_masks(best, agreement) == [8, 7]


def test_where_nearly_all_masks_are_answered_alike_small_gaps_are_none() -> None:
    best = np.ones(100)
    best[3], best[4] = 0.96, 0.94
    assert audit.suspicious_masks(best, np.ones(100)) == [4]


@pytest.mark.parametrize("best", [[], [np.nan, np.nan]])
def test_without_masks_none_is_suspicious(best: list[float]) -> None:
    assert audit.suspicious_masks(np.array(best), np.ones(len(best))) == []


def square(left: int, value: int = 1) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[5:15, left : left + 10] = value
    return mask


def told(*masks: np.ndarray) -> Predictions:
    kept = Masks()
    kept.append_masks(np.array(masks))
    return Predictions(masks=kept, image_f1=[0.9] * len(masks))


def truth_of(*masks: np.ndarray) -> Truth:
    kept = Masks()
    kept.append_masks(np.array(masks))
    return Truth([f"{number}.jpg" for number in range(len(masks))], masks=kept)


def test_models_agree_as_far_as_the_two_do_that_differ_most() -> None:
    models = [told(square(0)), told(square(2)), told(square(5))]
    assert audit.agreement(truth_of(square(0)), models, 1) == pytest.approx([0.5])
    assert audit.agreement(truth_of(square(0)), models[:2], 1) == pytest.approx([0.8])
    assert audit.agreement(truth_of(square(0)), models[:1], 1).tolist() == [1.0]


def test_pixels_of_unknown_truth_count_for_no_agreement() -> None:
    unknown = np.full((SIDE, SIDE), record.MASK_IGNORED, np.uint8)
    unknown[:, :10] = 0
    models = [told(square(0)), told(square(5))]
    assert audit.agreement(truth_of(unknown), models, 1) == pytest.approx([2 / 3])


def test_of_several_classes_the_mean_of_those_that_occur_counts() -> None:
    one, other = square(0) + square(10, 2), square(0) + square(10, 3)
    assert audit.agreement(truth_of(one), [told(one), told(other)], 3) == pytest.approx([1 / 3])


def test_findings_of_all_splits_are_ranked_by_kind_and_counted_by_split() -> None:
    count, wrong = 40, (3, 11)
    asked = {}
    for split in (record.EVAL, record.TEST):
        true = np.arange(count) % 2
        given = true.copy()
        given[wrong[0]] = 1 - given[wrong[0]]
        given[-1] = record.UNKNOWN_CLASS
        masks, f1 = [square(5)] * count, np.full(count, 0.95)
        f1[wrong[1]] = 0.4 if split == record.EVAL else 0.3
        f1[-2:] = np.nan
        truth = truth_of(*masks)
        truth.labels["species"] = given.tolist()
        found = told(*masks)
        found.image_f1 = f1.tolist()
        certain = 0.99 if split == record.EVAL else 0.999
        found.probabilities = list(np.where(true[:, None] == [0, 1], certain, 1 - certain))
        asked[split] = (truth, {"one": found})
    found_all = audit.find(asked, [], HEADS)
    assert found_all.examples == {"eval": 40, "test": 40}
    assert found_all.known == {"label": {"eval": 39, "test": 39}, "mask": {"eval": 38, "test": 38}}
    assert found_all.counts == {"label": {"eval": 1, "test": 1}, "mask": {"eval": 1, "test": 1}, "duplicate": {}}
    listed = [(one.kind, one.split, one.file_name) for one in found_all.suspects]
    assert listed == [
        ("label", "test", "3.jpg"),
        ("label", "eval", "3.jpg"),
        ("mask", "test", "11.jpg"),
        ("mask", "eval", "11.jpg"),
    ]
    label, mask = found_all.suspects[0], found_all.suspects[2]
    assert (label.given, label.suggested, label.given_probability, label.probability) == ("Cat", "Dog", 0.001, 0.999)
    assert (mask.mask_f1, mask.agreement) == (0.3, 1.0)


def test_a_run_without_heads_has_its_duplicates_looked_for() -> None:
    rng = np.random.default_rng(20)
    look = (int(rng.integers(2**62)), rng.integers(0, 255, 256, np.uint8).tobytes())
    photos = [Photo(split, f"{split}.jpg", look, 1.0) for split in (record.TRAIN, record.TEST)]
    found = audit.find({}, photos, SPEC.heads("", "classification"))
    assert found.counts == {"duplicate": {"train": 1, "test": 1}}


FOUND = Audit(
    {"eval": 40, "test": 60},
    {"label": {"eval": 1, "test": 4}, "mask": {"eval": 0, "test": 2}, "duplicate": {"train": 9, "eval": 1, "test": 2}},
    (),
    {"label": {"eval": 40, "test": 60}, "mask": {"eval": 10, "test": 10}},
)


def test_more_suspects_than_allowed_are_a_sentence_with_count_bar_and_file() -> None:
    [labels] = audit.refusals(FOUND, 100, {"label": 0.04, "mask": 0.1, "duplicate": 0.03})
    assert labels.startswith(
        "5 of 100 audited photos whose class is known (5.0 %) have a class that the models contradict, more than "
    )
    assert "contradict, more than thresholds.max_label_issues 0.04 allows: look at suspects.csv" in labels
    assert len(audit.refusals(FOUND, 100, dict.fromkeys(audit.BARS, 0.0))) == 3


def test_a_photo_without_a_mask_is_no_photo_whose_mask_is_right() -> None:
    [masks] = audit.refusals(FOUND, 100, {"mask": 0.05})
    assert masks.startswith(
        "2 of 20 audited photos whose mask is known (10.0 %) have a mask that the models contradict"
    )


def test_duplicates_are_a_share_of_what_is_held_out() -> None:
    [twins] = audit.refusals(FOUND, 200, {"duplicate": 0.014})
    assert twins.startswith("3 of 200 photos held out (1.5 %) have a twin in another split, more than ")


def test_a_bar_of_1_stops_nothing() -> None:
    everything = Audit({"test": 5}, of_five := {kind: {"test": 5} for kind in audit.BARS}, (), of_five)
    assert audit.refusals(everything, 5, dict.fromkeys(audit.BARS, 1.0)) == ()


@pytest.mark.parametrize(
    ("kind", "splits", "task", "message"),
    [
        ("label", ("test",), "segmentation", "max_label_issues is set, but the networks of this run have no class"),
        ("mask", ("test",), "classification", "max_mask_issues is set, but the networks of this run have no mask"),
        ("duplicate", (), "both", "max_split_duplicates is set, but audit is empty"),
    ],
)
def test_a_bar_that_nothing_is_held_against_is_refused(kind: str, splits: tuple, task: Any, message: str) -> None:
    heads = SPEC.heads("", task)
    audit.check_bars({kind: 1.0}, splits, heads)
    with pytest.raises(ValueError, match=message):
        audit.check_bars({kind: 0.5}, splits, heads)


def test_the_table_has_a_column_a_field(tmp_path) -> None:
    path = tmp_path / audit.SUSPECTS_FILE
    audit.write([Suspect("test", "a, b.jpg", "mask", mask_f1=0.25, agreement=0.75)], str(path))
    [row] = csv.DictReader(path.open(newline=""))
    assert (row["split"], row["file_name"], row["mask_f1"], row["twin"]) == ("test", "a, b.jpg", "0.25", "")
