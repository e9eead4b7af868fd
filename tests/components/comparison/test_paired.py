"""The paired tests against SciPy, scikit-learn and simulation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from components.comparison import decision, paired
from components.comparison.predictions import Truth
from components.comparison.results import Difference
from components.metrics.results import OVERALL
from schema.dataset_spec import SIZE, DatasetSpec, Label, Mask

PHOTOS, CLASSES = 500, 10
SLICES = {OVERALL: np.arange(PHOTOS)} | {f"kind: {n}": np.arange(n, PHOTOS, CLASSES) for n in range(CLASSES)}
MARGIN = 0.01


def photos(seed: int | Sequence[int]) -> paired.Answers:
    """What a trained network says of photos some of which are hard for every network, by a seed of its own."""
    hard, own = np.random.default_rng(0), np.random.default_rng([1, *np.atleast_1d(seed)])
    ease = hard.beta(6, 0.8, PHOTOS)
    of_mask = hard.beta(20, 1.2, PHOTOS)
    right = (own.random(PHOTOS) < ease).astype(float)
    foreground = hard.integers(500, 4000, PHOTOS)
    hits = np.clip(of_mask + own.normal(0, 0.02, PHOTOS), 0, 1) * foreground
    misses = foreground - hits
    pixels = np.stack([np.full(PHOTOS, 8000.0), misses, misses, hits], axis=-1).reshape(PHOTOS, 2, 2)
    return paired.Answers(right, pixels.astype(np.int64))


def find(differences: tuple[Difference, ...], figure: str, name: str = OVERALL) -> Difference:
    [found] = [one for one in differences if (one.figure, one.slice) == (figure, name)]
    return found


def test_at_no_margin_the_test_of_classes_is_mcnemars_exact_one() -> None:
    one, other = (dataclasses.replace(photos(seed), pixels=None) for seed in (0, 1))
    assert one.right is not None
    assert other.right is not None
    found = find(paired.compare(one, other, {OVERALL: SLICES[OVERALL]}, margin=0.0), "accuracy")
    lost = int((one.right < other.right).sum())
    won = int((one.right > other.right).sum())
    assert found.p_worse == pytest.approx(stats.binom.sf(lost - 1, won + lost, 0.5))
    assert (found.candidate, found.other) == (one.right.mean(), other.right.mean())
    assert found.lower < found.candidate - found.other < found.upper
    wald = 1.96 * np.sqrt(won + lost - (won - lost) ** 2 / PHOTOS) / PHOTOS
    assert found.upper - found.lower == pytest.approx(2 * wald, rel=0.1)


def test_the_interval_of_accuracy_is_tangos() -> None:
    """Of 21 pairs 1 won and 7 lost: Fagerland, Lydersen and Laake 2014, https://doi.org/10.1002/sim.6148."""
    [found] = _accuracies(21, won=1, lost=7, margin=0.0)
    assert (found.lower, found.upper) == pytest.approx((-0.517, -0.026), abs=5e-4)


@pytest.mark.parametrize(("won", "lost"), [(0, 1), (1, 0), (0, 30), (30, 0), (0, 0), (15, 15)])
@pytest.mark.parametrize("examples", [30, 31])
def test_an_interval_of_accuracy_holds_the_difference_and_has_a_width(won: int, lost: int, examples: int) -> None:
    [found] = _accuracies(examples, won, lost, margin=0.01)
    assert -1 <= found.lower <= (won - lost) / examples <= found.upper <= 1
    assert found.upper - found.lower > 0.1


@pytest.mark.parametrize(("margin", "won", "lost"), [(0.01, 0.0, 0.01), (0.05, 0.005, 0.055), (0.1, 0.01, 0.11)])
def test_nineteen_of_twenty_models_that_are_worse_by_the_margin_pass_and_intervals_cover(
    margin: float, won: float, lost: float
) -> None:
    draws = np.random.default_rng(0).multinomial(1835, [won, lost, 1 - won - lost], size=1000)
    found = [one for wins, losses, _ in draws for one in _accuracies(1835, wins, losses, margin)]
    assert np.mean([one.p_worse < 0.05 for one in found]) < 0.07
    assert np.mean([one.lower <= won - lost <= one.upper for one in found]) > 0.935


def _accuracies(examples: int, won: int, lost: int, margin: float) -> tuple[Difference, ...]:
    one, other = np.zeros(examples), np.zeros(examples)
    one[:won], other[won : won + lost] = 1, 1
    return paired.compare(paired.Answers(one, None), paired.Answers(other, None), _all(examples), margin)


def test_mask_f1_is_that_of_all_pixels() -> None:
    one, other = photos(0), photos(1)
    assert one.pixels is not None
    found = find(paired.compare(one, other, {OVERALL: np.arange(50)}, MARGIN), "mask F1")
    (_, false_alarms), (misses, hits) = one.pixels[:50].sum(axis=0)
    truth = np.repeat([1, 1, 0], [hits, misses, false_alarms])
    named = np.repeat([1, 0, 1], [hits, misses, false_alarms])
    assert found.candidate == pytest.approx(metrics.f1_score(truth, named))


def test_of_several_mask_classes_it_is_the_mean_of_those_that_occur() -> None:
    pixels = np.zeros((6, 4, 4), np.int64)
    pixels[:, 0, 0], pixels[:, 1, 1], pixels[:, 1, 2], pixels[:, 2, 2] = 50, 6, 2, 4
    found = find(paired.compare(paired.Answers(None, pixels), paired.Answers(None, pixels), _all(6), 0.0), "mask F1")
    assert found.candidate == pytest.approx((12 / 14 + 8 / 10) / 2), "the third class is in no photo"
    assert (found.lower, found.upper, found.p_worse) == (0.0, 0.0, 1.0)


def test_the_bootstraps_interval_is_scipys() -> None:
    one, other = photos(0), photos(1)
    assert one.pixels is not None
    assert other.pixels is not None
    few = np.arange(60)
    found = find(paired.compare(one, other, {OVERALL: few}, MARGIN), "mask F1")
    width = found.upper - found.lower

    def difference(chosen: np.ndarray) -> float:
        f1 = []
        for model in (one, other):
            (_, false_alarms), (misses, hits) = model.pixels[chosen].sum(axis=0)  # type: ignore[index]
            f1.append(2 * hits / (2 * hits + misses + false_alarms))
        return f1[0] - f1[1]

    theirs = stats.bootstrap((few,), difference, n_resamples=4000, method="percentile", rng=np.random.default_rng(3))
    expected = theirs.confidence_interval
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), abs=0.05 * width)


@pytest.mark.parametrize("sides", [(256, 256), (256, 128), (128, 256)])
def test_a_model_that_is_worse_is_refused_whatever_the_sizes_of_the_masks(sides: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    serving = np.clip(generator.normal(0.93, 0.08, 100), 0.3, 1)
    worse = np.clip(serving - 0.02 + generator.normal(0, 0.02, 100), 0.2, 1)

    def answers(hit: np.ndarray, side: int) -> paired.Answers:
        """Of photos whose foreground is three tenths, so much of it marked."""
        marked = np.full(100, 0.3 * side * side)
        missed = marked * (1 - hit)
        pixels = np.stack([side * side - marked - missed, missed, missed, marked * hit], axis=-1).reshape(100, 2, 2)
        return paired.Answers(None, pixels.round().astype(np.int64))

    slices = {f"kind: {n}": np.arange(100) for n in range(10)}
    found = paired.compare(answers(worse, sides[0]), answers(serving, sides[1]), slices, MARGIN)
    assert paired.refusals(found, MARGIN)


def test_what_is_unknown_takes_no_part() -> None:
    right = np.array([1.0, np.nan, 0.0, 1.0])
    pixels = np.array([[[5, 1], [1, 3]], [[0, 0], [0, 0]], [[5, 1], [1, 3]], [[5, 1], [1, 3]]])
    found = paired.compare(paired.Answers(right, pixels), paired.Answers(right, pixels), _all(4), 0.0)
    assert [(one.figure, one.examples) for one in found] == [("accuracy", 3), ("mask F1", 3)]
    unknown = paired.Answers(np.full(4, np.nan), np.zeros_like(pixels))
    assert paired.compare(unknown, unknown, _all(4), 0.0) == ()


def test_slices_whose_classes_have_one_name_are_two() -> None:
    """As where each side of a part may be cracked."""
    front, back = (Label(name, ("sound", "cracked")) for name in ("front", "back"))
    spec = DatasetSpec(
        "parts", "Parts", (front, back), Mask(("flaw",), ((1,),)), slices=(("front", SIZE), ("back", SIZE))
    )
    truth = Truth(["a", "b"], {"front": [1, 0], "back": [0, 1]})
    truth.slices = {"front": ["cracked", "sound"], "back": ["sound", "cracked"], SIZE: ["small", "small"]}
    members = {name: list(found) for name, found in decision.slices_of(truth, spec).items()}
    assert members == {
        "front: cracked, size: small": [0],
        "front: sound, size: small": [1],
        "back: sound, size: small": [0],
        "back: cracked, size: small": [1],
    }


def test_where_there_is_nothing_to_mark_marking_refuses() -> None:
    empty = np.zeros((40, 2, 2), np.int64)
    empty[:, 0, 0] = 100
    marked = empty.copy()
    marked[:20, 0] = [10, 90]
    marks, leaves = paired.Answers(None, marked), paired.Answers(None, empty)
    assert leaves.mask_f1() is None
    [found] = paired.compare(marks, leaves, _all(40), 0.01)
    assert (found.figure, found.candidate, found.other) == ("share of empty masks", 0.5, 1.0)
    assert paired.refusals((found,), 0.01)
    assert not paired.refusals(paired.compare(leaves, leaves, _all(40), 0.01), 0.01)


def test_holm_corrects_the_slices_and_not_all_examples() -> None:
    right = np.ones(40)
    worse = right.copy()
    worse[:6] = 0
    slices = {OVERALL: np.arange(40), "a": np.arange(6), "b": np.arange(6, 40)}
    found = paired.compare(paired.Answers(worse, None), paired.Answers(right, None), slices, margin=0.0)
    assert [one.p_worse for one in found] == pytest.approx([0.5**6, 2 * 0.5**6, 1.0])


def test_a_difference_within_the_margin_is_no_refusal() -> None:
    better, worse = np.ones(1000), np.ones(1000)
    worse[:30] = 0
    for margin, refused in ((0.0, True), (0.02, True), (0.03, False), (0.1, False)):
        found = paired.compare(paired.Answers(worse, None), paired.Answers(better, None), _all(1000), margin)
        assert bool(paired.refusals(found, margin)) == refused, margin


def test_a_refusal_names_figure_slice_size_and_interval() -> None:
    one = Difference("mask F1", "kind: crack", 1200, 0.7, 0.82, -0.15, -0.09, 0.001)
    assert paired.refusals((one, dataclasses.replace(one, p_worse=0.05)), 0.01) == (
        "mask F1 of kind: crack is 0.7000, 0.1200 (95 %: 0.0900 to 0.1500) below the serving model's 0.8200 on the "
        "same 1,200 examples: at most 0.01 is allowed",
    )


def test_nineteen_of_twenty_models_that_differ_by_a_seed_pass() -> None:
    serving = photos(100)
    passed = sum(
        not paired.refusals(paired.compare(photos(seed), serving, SLICES, MARGIN), MARGIN) for seed in range(20)
    )
    assert passed >= 19


@pytest.mark.parametrize("sizes", [[1], [5], [20], [3, 6, 20, 50], [8] * 8])
def test_nineteen_of_twenty_twins_pass_on_slices_of_few_photos(sizes: list[int]) -> None:
    ends = np.cumsum(sizes)
    few = {f"kind: {n}": np.arange(end - size, end) for n, (size, end) in enumerate(zip(sizes, ends, strict=True))}
    refused = 0
    for seed in range(100):
        one, other = (dataclasses.replace(photos([seed, model]), right=None) for model in range(2))
        refused += bool(paired.refusals(paired.compare(one, other, few, 0.0), 0.0))
    assert refused <= 9, "of 100 at 5 % more are rarer than 1 in 20"


def test_of_one_photo_nothing_is_certain() -> None:
    pixels = np.array([[[900, 0], [0, 100]]])
    missed = np.array([[[900, 0], [100, 0]]])
    [found] = paired.compare(paired.Answers(None, missed), paired.Answers(None, pixels), _all(1), 0.01)
    assert (found.candidate, found.other, found.lower, found.upper) == (0.0, 1.0, -1.0, 1.0)
    assert found.p_worse == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("spoiled", ["labels of one class", "masks of one slice"])
def test_nineteen_of_twenty_models_that_are_spoiled_in_one_slice_are_refused(spoiled: str) -> None:
    serving = photos(100)
    refused = 0
    for seed in range(20):
        model, members = photos(seed), SLICES[f"kind: {seed % CLASSES}"]
        assert model.right is not None
        assert model.pixels is not None
        if spoiled == "labels of one class":
            model.right[members] = np.random.default_rng(seed).random(len(members)) < 1 / CLASSES
        else:
            model.pixels[members, 1] = np.stack([model.pixels[members, 1].sum(axis=1), np.zeros(len(members))], axis=1)
        refusals = paired.refusals(paired.compare(model, serving, SLICES, MARGIN), MARGIN)
        refused += any(f"of kind: {seed % CLASSES} is" in refusal for refusal in refusals)
    assert refused >= 19


def _all(examples: int) -> dict[str, np.ndarray]:
    return {OVERALL: np.arange(examples)}
