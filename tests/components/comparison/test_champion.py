from __future__ import annotations

import pytest

from components.comparison.champion import Candidate, choose

SMALL = Candidate("small", blessed=True, parameters=100, accuracy=0.9, macro_f1=0.85, mask_f1=0.7)
LARGE = Candidate("large", blessed=True, parameters=900, accuracy=0.8, macro_f1=0.6, mask_f1=0.9)


@pytest.mark.parametrize(
    ("rule", "name"), [("mean", "large"), ("accuracy", "small"), ("macro_f1", "small"), ("mask_f1", "large")]
)
def test_the_rule_says_which_figure_decides(rule, name):
    assert choose([SMALL, LARGE], rule).name == name


def test_a_blessed_model_goes_before_a_better_one_that_is_not():
    better = Candidate("better", blessed=False, parameters=1, accuracy=1.0, macro_f1=1.0, mask_f1=1.0)
    assert choose([better, SMALL], "mean").name == "small"


def test_the_best_is_named_where_none_is_blessed():
    worse = Candidate("worse", blessed=False, parameters=1, accuracy=0.1, macro_f1=0.1, mask_f1=0.1)
    better = Candidate("better", blessed=False, parameters=1, accuracy=0.2, macro_f1=0.1, mask_f1=0.1)
    chosen = choose([worse, better], "mean")
    assert (chosen.name, chosen.blessed) == ("better", False)


def test_ties_go_to_the_smaller_model():
    equal = Candidate("equal", blessed=True, parameters=50, accuracy=0.9, macro_f1=0.85, mask_f1=0.7)
    assert choose([SMALL, equal], "mean").name == "equal"


def test_a_model_of_one_head_is_judged_by_it():
    candidate = Candidate("masks", True, 1, accuracy=None, macro_f1=None, mask_f1=0.6)
    assert candidate.score("mean") == 0.6
    assert candidate.sentence("mean") == "masks, mask F1 0.6000"


@pytest.mark.parametrize(
    ("rule", "missing"),
    [
        ("accuracy", "known class"),
        ("macro_f1", "known class"),
        ("mask_f1", "object"),
        ("mean", "known class and no object"),
    ],
)
def test_a_test_split_without_what_the_rule_looks_at_is_said(rule, missing):
    candidate = Candidate("small", True, 1, accuracy=None, macro_f1=None, mask_f1=None)
    assert candidate.score(rule) is None
    assert candidate.sentence(rule) == f"small, without a figure to choose by: split test holds no {missing}"


def test_the_sentence_says_what_decided():
    assert LARGE.sentence("mean") == "large, mean of accuracy and mask F1 0.8500"
    assert LARGE.sentence("accuracy") == "large, accuracy 0.8000"


def test_the_smallest_is_named_where_no_figure_decides():
    large, small = (Candidate(str(size), True, size, accuracy=None, macro_f1=None, mask_f1=None) for size in (2, 1))
    assert choose([large, small], "mean") is small
