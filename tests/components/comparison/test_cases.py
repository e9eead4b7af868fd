from __future__ import annotations

import numpy as np

from components.comparison import cases


def test_lookalikes_stand_next_to_each_other():
    confusion = np.diag([10] * 6)
    confusion[0, 4] = confusion[4, 0] = 5
    confusion[1, 5] = 4
    order = cases.lookalike_order(confusion)
    assert sorted(order) == list(range(6))
    assert abs(order.index(0) - order.index(4)) == 1
    assert abs(order.index(1) - order.index(5)) == 1


def test_classes_keep_their_order_without_mistakes_or_examples():
    assert cases.lookalike_order(np.diag([3, 0, 2])) == [0, 1, 2]
    assert cases.lookalike_order(np.array([[1, 5], [2, 1]])) == [0, 1]


def test_confused_pairs_add_both_ways_and_name_the_larger_first():
    confusion = np.array([[9, 1, 0], [4, 9, 2], [0, 1, 9]])
    assert cases.confused_pairs(confusion) == [
        cases.Pair(a=1, b=0, a_as_b=4, b_as_a=1),
        cases.Pair(a=1, b=2, a_as_b=2, b_as_a=1),
    ]


def test_mask_cases_are_best_median_and_worst():
    f1 = np.linspace(0, 1, 21)
    assert cases.mask_cases(f1) == {"best": [20, 19, 18], "typical": [11, 10, 9], "worst": [0, 1, 2]}


def test_mask_cases_show_no_photo_twice():
    for photos in range(1, 12):
        chosen = [index for kind in cases.mask_cases(np.arange(photos) / 12).values() for index in kind]
        assert len(chosen) == len(set(chosen)) >= min(photos, 3)


def test_a_photo_without_a_known_mask_is_no_case():
    f1 = np.array([0.5, np.nan, 0.9, np.nan, 0.1])
    assert cases.mask_cases(f1) == {"best": [2], "typical": [0], "worst": [4]}


def test_a_photo_without_a_known_class_is_neither_wrong_nor_a_portrait():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert cases.wrong_cases(probabilities, np.array([-1, 0])) == [1]
    assert cases.portraits(probabilities, np.array([-1, 0])) == {0: 1}


def test_wrong_cases_come_surest_first():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]])
    assert cases.wrong_cases(probabilities, np.array([1, 1, 1, 0])) == [0, 3, 1]


def test_a_class_is_portrayed_by_its_surest_photo():
    probabilities = np.array([[0.9, 0.1], [0.95, 0.05], [0.3, 0.7]])
    assert cases.portraits(probabilities, np.array([0, 0, 1])) == {0: 1, 1: 2}
