"""Matching on hand-made tables: ends, halves, ties, overlaps, and the order of rows."""

import itertools

import numpy as np
import pytest

from micron_jax.evaluation.spotting_matching import match, overlaps


def matched(detected, true, confidences=None):
    detected, true = (np.array(rows, float).reshape(-1, 2) for rows in (detected, true))
    values = np.ones(len(detected)) if confidences is None else np.array(confidences, float)
    return match(detected, values, true).tolist()


def test_overlaps_count_both_ends():
    first = np.array([[10.0, 19.0], [0.0, 0.0]])
    second = np.array([[10.0, 19.0], [15.0, 24.0], [20.0, 29.0], [0.0, 1.0]])
    expected = [[1, 5 / 15, 0, 0], [0, 0, 0, 0.5]]
    assert overlaps(first, second) == pytest.approx(np.array(expected))


def test_an_overlap_of_exactly_one_half_fits():
    assert matched([[0, 9]], [[0, 19]]) == [0]
    assert matched([[0, 9]], [[0, 20]]) == [-1]
    # A third of the union, with sevenths: a quotient that is no binary fraction.
    assert matched([[0, 6]], [[0, 13]]) == [0]


def test_fractions_of_frames():
    assert matched([[566.4, 743.2]], [[566, 743]]) == [0]


def test_an_expression_is_found_once():
    assert matched([[0, 9], [1, 10]], [[0, 9]]) == [0, -1]
    assert matched([[0, 9], [1, 10]], [[0, 9]], [0.1, 0.9]) == [-1, 0]


def test_a_detection_finds_one_expression():
    """The reference of STRS counts this one twice."""
    assert matched([[0, 19]], [[0, 9], [10, 19]]) == [0]


def test_the_higher_confidence_takes_first_even_with_the_smaller_overlap():
    true = [[0, 9]]
    assert matched([[0, 9], [2, 11]], true, [0.5, 0.6]) == [-1, 0]


def test_of_two_expressions_a_detection_takes_the_larger_overlap():
    assert matched([[2, 12]], [[0, 9], [3, 12]]) == [1]


def test_of_equal_confidences_the_larger_overlap_goes_first():
    # The first fits both expressions, the second only the first expression.
    assert matched([[2, 11], [0, 8]], [[0, 9], [4, 13]]) == [1, 0]


def test_of_equal_pairs_the_earlier_expression_and_detection_go_first():
    assert matched([[5, 14]], [[7, 16], [3, 12]]) == [1]
    assert matched([[12, 21], [8, 17]], [[10, 19]]) == [-1, 0]


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(0)
    for _ in range(20):
        starts = rng.integers(0, 30, (6, 1))
        detected = np.concatenate([starts, starts + rng.integers(5, 15, (6, 1))], 1)
        true = detected[rng.permutation(6)[:3]] + rng.integers(-2, 3, (3, 1))
        confidences = rng.integers(1, 3, 6) / 2
        pairs = {
            (tuple(d), c, tuple(true[h]) if h >= 0 else None)
            for d, c, h in zip(
                detected.tolist(), confidences, matched(detected, true, confidences), strict=True
            )
        }
        for order in itertools.islice(itertools.permutations(range(6)), 5, 700, 97):
            order = list(order)
            again = matched(detected[order], true[::-1], confidences[order])
            result = {
                (tuple(d), c, tuple(true[::-1][h]) if h >= 0 else None)
                for d, c, h in zip(detected[order].tolist(), confidences[order], again, strict=True)
            }
            assert result == pairs


def test_a_threshold_changes_nothing_above_it():
    detected = [[0, 9], [1, 10], [20, 29], [21, 30], [5, 14]]
    true, confidences = [[0, 9], [4, 13], [20, 29]], [0.9, 0.8, 0.3, 0.7, 0.6]
    whole = matched(detected, true, confidences)
    for threshold in (0.5, 0.65, 0.75, 0.85):
        chosen = [n for n, value in enumerate(confidences) if value >= threshold]
        part = matched([detected[n] for n in chosen], true, [confidences[n] for n in chosen])
        assert part == [whole[n] for n in chosen]


def test_nothing_to_match():
    assert matched([], [[0, 9]]) == []
    assert matched([[0, 9]], []) == [-1]
