"""Test quality: entropy, groove and distributions, by hand.

They are compared with MusPy, SciPy and scikit-learn where those are installed.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score
from sklearn.neighbors import KernelDensity

from styletransfer.evaluation.measures.fidelity import transposed
from styletransfer.evaluation.measures.quality import (
    bar_entropy,
    density_overlap,
    features,
    frechet_distance,
    gaussian_distance,
    groove_similarity,
    overlapped_area,
    pitch_class_entropy,
    standard_scores,
)
from styletransfer.music.notes import NoteTable, Piece, bars_of, make_notes
from tests.tiny import random_piece


def score(notes: NoteTable, metre: tuple[int, int] = (4, 4)) -> Piece:
    return Piece(
        notes, "score", bars_of([(0.0, *metre)], float((notes["onset"] + notes["duration"]).max()))
    )


def quarters(pitch: list[int]) -> NoteTable:
    return make_notes([float(k) for k in range(len(pitch))], [1.0] * len(pitch), pitch)


def test_entropy_by_hand() -> None:
    assert pitch_class_entropy(quarters([60, 72, 62, 67])) == pytest.approx(1.5)
    assert pitch_class_entropy(quarters([60, 72])) == 0.0
    assert pitch_class_entropy(quarters(list(range(60, 72)))) == pytest.approx(math.log2(12))
    assert math.isnan(pitch_class_entropy(quarters([])))


def test_entropy_by_bars() -> None:
    """Two bars of one bit and none; both together hold C four times in eight and two others
    twice.
    """
    piece = score(quarters([60, 62, 60, 62, 64, 64, 64, 64]))
    assert bar_entropy(piece) == pytest.approx(0.5)
    assert bar_entropy(piece, 2) == bar_entropy(piece, 4) == pytest.approx(1.5)
    gap = score(
        make_notes([0.0, 1.0, 8.0], [1.0] * 3, [60, 62, 60])
    )  # the second bar is empty and doesn't count
    assert bar_entropy(gap) == pytest.approx(0.5)
    played = Piece(
        make_notes([0.0, 2.0, 4.0], [1.0] * 3, [60, 62, 64]), "performance"
    )  # at 0, 1 and 2 s
    assert bar_entropy(played) == pytest.approx(0.5)
    assert math.isnan(bar_entropy(replace(played, notes=played.notes[:0])))


def test_groove_by_hand() -> None:
    """Bars with onsets on 1 2 3 4, on 1 2 3 4, and on 1 only: of 64 positions 3 differ in two of
    three pairs.
    """
    piece = score(make_notes([0, 1, 2, 3, 4, 5, 6, 7, 8], [1.0] * 9, [60] * 9))
    assert groove_similarity(piece) == pytest.approx((1 + 2 * (1 - 3 / 64)) / 3)
    assert groove_similarity(piece, neighbours=True) == pytest.approx((1 + 1 - 3 / 64) / 2)
    assert groove_similarity(piece, 1) == pytest.approx((1 + 2 * (1 - 3 / 4)) / 3)
    assert math.isnan(groove_similarity(score(quarters([60]))))
    assert math.isnan(groove_similarity(replace(piece, notes=piece.notes[:0])))
    assert math.isnan(groove_similarity(Piece(piece.notes, "performance")))


def test_groove_compares_bars_of_one_metre_only() -> None:
    notes = quarters([60] * 10)
    mixed = Piece(notes, "score", bars_of([(0.0, 4, 4), (4.0, 3, 4)], 10.0))
    assert (
        groove_similarity(mixed) == groove_similarity(mixed, neighbours=True) == 1.0
    )  # the two bars in 3/4
    assert math.isnan(
        groove_similarity(Piece(notes[:7], "score", bars_of([(0.0, 4, 4), (4.0, 3, 4)], 7.0)))
    )


def test_an_onset_just_before_a_bar_line_is_in_the_bar() -> None:
    piece = score(make_notes([0.0, 4.0, 8.0], [1.0] * 3, [60] * 3))
    early = replace(piece, notes=make_notes([0.0, 3.995, 7.99], [1.0] * 3, [60] * 3))
    assert groove_similarity(early) == groove_similarity(piece) == 1.0


@given(st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_entropy_and_groove_against_brute_force_and_scikit_learn(seed: int) -> None:
    piece = random_piece(seed, "score")
    classes = piece.notes["pitch"] % 12
    assert pitch_class_entropy(piece.notes) == pytest.approx(
        mutual_info_score(classes, classes) / math.log(2)
    )
    bars = [
        set(
            np.round((piece.notes["onset"][piece.notes["onset"] // 3 == k] - 3 * k) * 16).astype(
                int
            )
        )
        for k in range(8)
    ]
    pairs = [
        1 - len(a ^ b) / 48
        for a, b in combinations(bars[: int(piece.notes["onset"].max() // 3) + 1], 2)
    ]
    assert groove_similarity(piece) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("seed", range(5))
def test_agreement_with_muspy(seed: int) -> None:
    muspy = pytest.importorskip("muspy", reason="MusPy is not installed")
    piece = random_piece(seed, "score")
    rows = [
        muspy.Note(round(n["onset"] * 16), int(n["pitch"]), round(n["duration"] * 16), 80)
        for n in piece.notes
    ]
    theirs = muspy.Music(resolution=16, tracks=[muspy.Track(notes=rows)])
    assert pitch_class_entropy(piece.notes) == pytest.approx(muspy.pitch_class_entropy(theirs))
    assert groove_similarity(piece, neighbours=True) == pytest.approx(
        muspy.groove_consistency(theirs, 48)
    )
    mine = features(piece)
    assert mine["pitches"][0] == muspy.n_pitches_used(theirs)
    assert mine["pitch_class_count"][0] == muspy.n_pitch_classes_used(theirs)
    assert mine["range"][0] == muspy.pitch_range(theirs)


def test_features_by_hand() -> None:
    """In C: C (half) and E, G on top of it, B, then c: intervals of the top are 4, 1 and the time
    between onsets 1.
    """
    notes = make_notes([0, 0, 1, 2, 3], [2.0, 1.0, 1.0, 1.0, 1.0], [48, 67, 71, 72, 72])
    found = features(score(notes))
    expected = {
        "pitches": 4,
        "pitch_class_count": 3,
        "range": 24,
        "interval": 5 / 3,
        "onset_interval": 1.0,
    }
    expected |= {"density": 5 / 4, "duration": 6 / 5, "polyphony": 6 / 4}
    assert {name: pytest.approx(float(found[name][0])) for name in expected} == expected
    assert found["scalars"].tolist() == pytest.approx(list(expected.values()))
    assert found["pitch_classes"][[0, 7, 11]].tolist() == pytest.approx([0.6, 0.2, 0.2])
    assert found["durations"][[1, 2]].tolist() == pytest.approx([0.2, 0.8])
    following = found["pitch_classes_following"].reshape(12, 12)
    assert following[7, 11] == following[11, 0] == following[0, 0] == pytest.approx(1 / 3)
    assert found["durations_following"].reshape(12, 12)[2, 2] == 1.0


def test_features_of_little() -> None:
    alone = features(score(quarters([60])))
    assert (
        alone["interval"][0],
        alone["onset_interval"][0],
        alone["pitch_classes_following"].sum(),
    ) == (0.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="without notes"):
        features(Piece(quarters([]), "performance"))


@given(st.integers(0, 1000), st.integers(-12, 12), st.sampled_from(["score", "performance"]))
@settings(max_examples=25, deadline=None)
def test_features_dont_see_transposition_or_velocity(seed: int, semitones: int, feel: str) -> None:
    piece = random_piece(seed, feel)  # type: ignore[arg-type]  # a draw from both feels
    notes = transposed(piece.notes, semitones)
    notes["velocity"] = 64
    a, b = features(piece), features(replace(piece, notes=notes))
    assert all(a[name] == pytest.approx(b[name]) for name in a)
    assert bar_entropy(piece, 4) == pytest.approx(bar_entropy(replace(piece, notes=notes), 4))


def test_overlap_by_hand() -> None:
    """Two equal samples overlap completely, distant ones not at all; two normal ones at distance d
    by 2 Φ(-d/2).
    """
    a = scipy.stats.norm.ppf((np.arange(800) + 0.5) / 800)
    assert density_overlap(a, a) == pytest.approx(1.0, abs=1e-3)
    assert density_overlap(a, a + 100) == pytest.approx(0.0, abs=1e-3)
    smoothed = math.sqrt(1 + 800**-0.4)  # the deviation of the density: Scott's bandwidth is added
    assert density_overlap(a, a + 1) == pytest.approx(
        2 * scipy.stats.norm.cdf(-0.5 / smoothed), abs=0.005
    )
    assert (density_overlap(np.ones(3), np.ones(4)), density_overlap(np.ones(3), np.zeros(4))) == (
        1.0,
        0.0,
    )
    assert density_overlap(np.ones(3), a) == 0.0


def test_overlap_agrees_with_scikit_learns_densities() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.gamma(2, size=60), rng.gamma(3, size=80)
    grid = np.linspace(-5, 20, 5000)
    density = []
    for sample in (a, b):
        width = float(sample.std(ddof=1)) * len(sample) ** -0.2  # Scott
        density.append(
            np.exp(KernelDensity(bandwidth=width).fit(sample[:, None]).score_samples(grid[:, None]))
        )
    assert density_overlap(a, b) == pytest.approx(
        np.trapezoid(np.minimum(*density), grid), abs=1e-3
    )


def test_overlapped_area_of_sets() -> None:
    """Pieces from the same distribution overlap more than others; too few have no density."""
    rng = np.random.default_rng(2)
    real, alike, other = (
        rng.normal(size=(40, 3)),
        rng.normal(size=(30, 3)),
        rng.normal(4.0, size=(30, 3)),
    )
    assert overlapped_area(real, alike) > 0.85
    assert overlapped_area(real, other) < 0.2
    assert math.isnan(overlapped_area(real[:2], alike))
    assert math.isnan(overlapped_area(real, alike[:1]))
    line = np.array(
        [[0.0], [1.0], [3.0]]
    )  # distances 1, 2, 3 against 1, 1, 0 and 1, 2, 2 (from 1 and from 2)
    between = density_overlap(np.array([1.0, 3.0, 2.0]), np.array([1.0, 0.0, 2.0, 2.0, 1.0, 1.0]))
    assert overlapped_area(line, np.array([[1.0], [2.0]])) == pytest.approx(between)


def test_gaussian_distance_by_hand() -> None:
    """One dimension: the square of the difference of means, and that of the difference of standard
    deviations.
    """
    a = np.array([[0.0], [2.0], [4.0]])  # mean 2, deviation 2
    assert gaussian_distance(a, a * 3 + 1) == pytest.approx((7 - 2) ** 2 + (6 - 2) ** 2)
    assert gaussian_distance(a, a) == pytest.approx(0.0, abs=1e-9)


def test_gaussian_distance_agrees_with_scipys_square_root() -> None:
    rng = np.random.default_rng(3)
    a, b = (
        rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6)),
        rng.normal(size=(60, 6)) @ rng.normal(size=(6, 6)) + 1,
    )
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    apart = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
    expected = apart + np.trace(cov_a + cov_b - 2 * np.real(scipy.linalg.sqrtm(cov_a @ cov_b)))
    assert gaussian_distance(a, b) == pytest.approx(expected)


def test_frechet_distance_by_hand() -> None:
    """One scalar that changes by two deviations; histograms whose roots move by one deviation of
    the whole histogram.
    """
    scalars = [
        np.array([1.0, 5.0]),
        np.array([3.0, 5.0]),
    ]  # deviation sqrt 2; the second never changes
    halves, ones = np.array([0.5, 0.5]), np.array([1.0, 0.0])
    still = {"pitch_classes": halves, "durations": halves}
    real = [still | {"scalars": one} for one in scalars]
    assert frechet_distance(
        real, [still | {"scalars": one + [math.sqrt(8), 7.0]} for one in scalars]
    ) == pytest.approx(4.0)

    swapped = [
        {"scalars": scalars[0], "durations": halves, "pitch_classes": one}
        for one in (ones, ones[::-1])
    ]
    one_sided = [{"scalars": scalars[0], "durations": halves, "pitch_classes": ones}] * 2
    # Roots (1, 0) and (0, 1): variance 1/2 each, together 1. The means are half a step apart in
    # both; the variance is gone.
    assert frechet_distance(swapped, one_sided) == pytest.approx(0.5 + 1.0)

    between = [
        {"scalars": scalars[0], "durations": halves, "pitch_classes": np.array([0.36, 0.64])}
    ] * 2  # roots 0.6 and 0.8
    assert frechet_distance(swapped, between) == pytest.approx(0.1**2 + 0.3**2 + 1.0)


def test_frechet_distance_distinguishes_kinds_of_music() -> None:
    random = [features(random_piece(seed, "score")) for seed in range(60)]
    scales = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        scales.append(
            features(
                score(
                    quarters([60 + (7 * k // 4) % 24 + int(rng.integers(0, 2)) for k in range(40)])
                )
            )
        )
    assert frechet_distance(random[:30], random[30:]) * 5 < frechet_distance(random[:30], scales)


def test_standard_scores_by_hand() -> None:
    real = np.array([1.0, 3.0, np.nan])
    assert standard_scores(np.array([2.0, 2 + math.sqrt(2)]), real).tolist() == pytest.approx(
        [0.0, 1.0]
    )
    assert np.isnan(standard_scores(np.array([1.0, np.nan]), real)).tolist() == [False, True]
    assert np.isnan(standard_scores(np.array([1.0]), np.array([2.0, 2.0]))).all()
    assert np.isnan(standard_scores(np.array([1.0]), np.array([2.0]))).all()
