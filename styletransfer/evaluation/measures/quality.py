"""Measure how music-like pieces are: entropy, groove, and features' distributions.

Conventions: none of the measures sees velocity, pedal or the number of notes of a whole piece.
Times are quarters in a score and seconds in a performance: the two can't be compared with each
other. Real pieces against other real pieces of the same composer, cut to the same length, give the
floor (the least) or the ceiling (the most to expect) of each measure of a distribution.

Sources and known deviations stand with each function. Structureness has a module of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

from styletransfer.evaluation.measures.harmony import in_unit
from styletransfer.music.key import estimate_key
from styletransfer.music.notes import NoteTable, Piece

PERFORMED_BAR = 2.0
"""Seconds of a bar in a performance, which has none: 4/4 at 120."""

DURATIONS = np.array([4, 2, 1, 0.5, 0.25, 3, 1.5, 0.75, 0.375, 4 / 3, 2 / 3, 1 / 3])
"""Quarters of mgeval's twelve classes of durations.

They are whole to sixteenth, dotted half to sixteenth, and half to eighth triplet.
"""

GRID = 1000
"""Points at which densities are compared: mgeval's ``num_sample``."""

FRECHET_FEATURES = ("scalars", "pitch_classes", "durations")


def pitch_class_entropy(notes: NoteTable) -> float:
    """Compute the entropy of the histogram of pitch classes, in bits.

    It is from 0 (one class) to 3.585 (all alike); NaN for no notes.

    S.-L. Wu and Y.-H. Yang, "The Jazz Transformer on the front line", ISMIR 2020 (H, over a window
    of bars); over a whole piece as in MusPy's ``pitch_class_entropy``. Notes count alike, whatever
    their duration. No known deviations.
    """
    return _entropy(np.bincount(notes["pitch"] % 12, minlength=12))


def _entropy(count: NDArray[np.integer]) -> float:
    share = count[count > 0] / max(count.sum(), 1)
    return float(-(share * np.log2(share)).sum()) + 0.0 if len(share) else float("nan")


def bar_entropy(piece: Piece, bars: int = 1) -> float:
    """Average the entropy of pitch classes over windows of ``bars`` bars, in bits.

    It is from 0 to 3.585; NaN for no notes.

    Wu and Yang (2020): H with 1 and 4 bars. A piece of fewer bars is one window; windows without
    notes are left out. No known deviations for scores. A performance has windows of 2 seconds for
    bars.
    """
    notes, start = _bar_starts(piece)
    if not len(notes):
        return float("nan")
    bar = np.maximum(np.searchsorted(start, notes["onset"] + 1e-3, side="right") - 1, 0)
    count = np.zeros((len(start), 12), int)
    np.add.at(count, (bar, notes["pitch"] % 12), 1)
    width = min(bars, len(start))
    before = np.concatenate([np.zeros((1, 12), int), np.cumsum(count, axis=0)])
    windows = before[width:] - before[:-width]
    return float(np.mean([_entropy(window) for window in windows if window.any()]))


def _bar_starts(piece: Piece, early: float = 1e-3) -> tuple[NoteTable, NDArray[np.float64]]:
    """Give the notes in the unit of the piece, and the starts of the bars.

    The bars are those up to the last onset, which may be a little early.
    """
    notes = in_unit(piece, np.ones(len(piece.notes), bool))
    if not len(notes):
        return notes, np.zeros(0)
    last = float(notes["onset"].max())
    if piece.feel == "performance":
        first = float(notes["onset"].min())
        windows = np.arange(int((last - first) / PERFORMED_BAR) + 1)
        return notes, np.asarray(first + PERFORMED_BAR * windows, np.float64)
    return notes, piece.bars["start"][piece.bars["start"] <= last + early].astype(float)


def groove_similarity(piece: Piece, resolution: int = 16, *, neighbours: bool = False) -> float:
    """Average how alike two bars are in the positions at which notes begin.

    That is the share of positions at which both or neither have an onset, from 0 to 1. Wu and Yang
    (2020): GS, over all pairs of bars; with ``neighbours`` over each bar and the next one, as
    MusPy's ``groove_consistency``. NaN for performances, which have no bars, and where no two bars
    have the same metre.

    Known deviations: all pairs count (the published code draws 1,000), exactly, from how many bars
    have an onset at each position; only bars of one metre are compared with each other. MusPy adds
    an empty bar where a piece ends on a bar line. A bar of 64 positions agrees with any other at
    most of them, so that values lie above 0.8: compare them with real pieces.

    Args:
        piece: a score.
        resolution: positions per quarter; 16 makes the 64 of the paper in 4/4.
        neighbours: whether to compare only successive bars.
    """
    if piece.feel == "performance" or not len(piece.notes):
        return float("nan")
    notes, start = _bar_starts(piece, 0.5 / resolution)
    bars = piece.bars[: len(start)]
    position = (
        np.round(notes["onset"] * resolution) / resolution
    )  # so that an onset just before a bar line is in the bar
    bar = np.maximum(np.searchsorted(start, position + 1e-6, side="right") - 1, 0)
    agree = pairs = 0.0
    metres = np.stack(
        [bars["numerator"], bars["denominator"], np.round(bars["length"] * resolution)], axis=1
    )
    _, metre = np.unique(metres, axis=0, return_inverse=True)
    size = np.maximum(np.round(bars["length"] * resolution).astype(int), 1)
    pattern = np.zeros((len(bars), int(size.max())), bool)
    pattern[
        bar, np.clip(np.round((position - start[bar]) * resolution).astype(int), 0, size[bar] - 1)
    ] = True
    if neighbours:
        same = metre[1:] == metre[:-1]
        differ = (pattern[1:] != pattern[:-1]).sum(axis=1)
        agree, pairs = float((1 - differ / size[1:])[same].sum()), float(same.sum())
    else:
        for kind in np.unique(metre):
            rows = pattern[metre == kind]
            ones, count = rows.sum(axis=0), len(rows)
            both = count * (count - 1) / 2
            agree += both - float((ones * (count - ones)).sum()) / int(size[metre == kind][0])
            pairs += both

    return agree / pairs if pairs else float("nan")


def features(piece: Piece) -> dict[str, NDArray[np.float64]]:
    """Compute the features whose distributions are compared, each a vector.

    L.-C. Yang and A. Lerch, "On the evaluation of generative models in music", Neural Computing and
    Applications 32, 2020 (mgeval): different pitches, different pitch classes, range (semitones),
    mean interval from one note to the next (semitones), mean time between onsets, notes per quarter
    (or second), mean duration; the histograms of pitch classes and of durations, (12,), and of what
    follows what in both, (144,).

    Known deviations: pitch classes are relative to the tonic, since an arrangement keeps the
    melody's key; intervals and what follows what are of the highest notes of successive onsets
    (mgeval takes notes in the order of the file, which a chord makes arbitrary); notes are counted
    by time, not by bar; histograms are shares; durations go to the class with the nearest
    logarithm, as quarters, or as half seconds in a performance. ``scalars`` are the seven numbers
    together, with the mean number of notes that sound at once as the eighth.

    Raises:
        ValueError: for a piece without notes.
    """
    if not len(piece.notes):
        raise ValueError("a piece without notes has no features")
    notes = in_unit(piece, np.ones(len(piece.notes), bool))
    pitch, onset, duration = (
        notes["pitch"].astype(int),
        notes["onset"].astype(float),
        notes["duration"].astype(float),
    )
    length = max(float((onset + duration).max() - onset.min()), 1e-6)
    order = np.lexsort((pitch, onset))
    top = order[np.append(np.diff(onset[order]) > 1e-3, True)]
    moments = onset[top]
    relative = (pitch - estimate_key(piece.notes).tonic) % 12
    quarters = duration * (1.0 if piece.feel == "score" else 2.0)
    kind = np.abs(np.log(np.maximum(quarters, 1e-6))[:, None] - np.log(DURATIONS)).argmin(axis=1)
    single = {
        "pitches": float(len(np.unique(pitch))),
        "pitch_class_count": float(len(np.unique(pitch % 12))),
        "range": float(np.ptp(pitch)),
        "interval": float(np.abs(np.diff(pitch[top])).mean()) if len(top) > 1 else 0.0,
        "onset_interval": float(np.diff(moments).mean()) if len(top) > 1 else length,
        "density": len(notes) / length,
        "duration": float(duration.mean()),
        "polyphony": float(duration.sum()) / length,
    }
    result = {name: np.array([value]) for name, value in single.items()}
    result["scalars"] = np.array(list(single.values()))
    for name, values in (("pitch_classes", relative), ("durations", kind)):
        result[name] = np.bincount(values, minlength=12) / len(values)
        steps = values[top[:-1]] * 12 + values[top[1:]]
        result[f"{name}_following"] = np.bincount(steps, minlength=144) / max(len(steps), 1)

    return result


def overlapped_area(real: NDArray[np.float64], generated: NDArray[np.float64]) -> float:
    """Compare distances among real pieces with those to generated pieces.

    Yang and Lerch (2020): Euclidean distances of one feature within the real set, and from each
    generated to each real piece, each smoothed by a Gaussian kernel with Scott's bandwidth; the
    area under the smaller density, from 0 to 1. 1 means that a generated piece is as far from real
    pieces as they are from each other; so do copies of one average piece, so that it is to be
    compared with the features' own spread. NaN for fewer than 3 real or 2 generated pieces.

    Known deviations: each pair of real pieces counts once (mgeval: twice, which narrows the
    bandwidth), the area is integrated three bandwidths beyond the data (mgeval cuts the tails), by
    the trapezoidal rule. A set whose distances are all alike has no density: then the overlap is 1
    if both are the same number, else 0.

    Args:
        real: one feature of the real pieces, shape (pieces, n).
        generated: the same of the generated ones, shape (pieces, n).
    """
    if len(real) < 3 or len(generated) < 2:
        return float("nan")
    upper = np.triu_indices(len(real), 1)
    return density_overlap(_distances(real, real)[upper], _distances(generated, real).ravel())


def _distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2)), np.float64)


def density_overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Integrate the smaller of the kernel densities of two samples (n,) and (m,).

    See :func:`overlapped_area`.
    """
    if np.ptp(a) < 1e-9 or np.ptp(b) < 1e-9:
        return float(np.ptp(np.concatenate([a, b])) < 1e-9)
    first, second = gaussian_kde(a), gaussian_kde(b)
    width = 3 * max(float(np.sqrt(first.covariance[0, 0])), float(np.sqrt(second.covariance[0, 0])))
    grid = np.linspace(min(a.min(), b.min()) - width, max(a.max(), b.max()) + width, GRID)
    return float(min(np.trapezoid(np.minimum(first(grid), second(grid)), grid), 1.0))


def frechet_distance(
    real: Sequence[dict[str, NDArray[np.float64]]],
    generated: Sequence[dict[str, NDArray[np.float64]]],
) -> float:
    """Compute the Fréchet distance of the fixed features of two sets of pieces.

    It is from 0, without a unit.

    As in M. Heusel et al. (FID, NeurIPS 2017) and J. Retkowski et al. (FMD, 2025), but on 32 of the
    numbers that :func:`features` gives instead of a network's: the eight scalars, and the square
    roots of the shares of pitch classes and of durations (so that distances are Hellinger's, and a
    rare class weighs little). Each scalar, and each histogram as a whole, is in standard deviations
    of the real set; what never changes there is left out. It is *not* the Frechet Music Distance,
    which needs CLaMP's embeddings. With few pieces it is biased upwards (with 20 on a side and 32
    numbers by more than it measures): compare it only with real-against-real of the same numbers of
    pieces.

    Args:
        real: features of the real pieces, at least two.
        generated: features of the generated pieces, at least two.
    """
    ours, theirs = [], []
    for name in FRECHET_FEATURES:
        a, b = (np.array([piece[name] for piece in pieces]) for pieces in (real, generated))
        if name == "scalars":
            spread = a.std(axis=0, ddof=1)
        else:
            a, b = np.sqrt(a), np.sqrt(b)
            spread = np.full(a.shape[1], np.sqrt(a.var(axis=0, ddof=1).sum()))
        used = spread > 1e-9
        ours.append(a[:, used] / spread[used])
        theirs.append(b[:, used] / spread[used])

    return gaussian_distance(np.hstack(ours), np.hstack(theirs))


def gaussian_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Compute the squared Fréchet distance of normal distributions fitted to two sets.

    The sets are vectors, (n, d) and (m, d); the distance is from 0.

    D. C. Dowson and B. V. Landau, "The Fréchet distance between multivariate normal distributions",
    Journal of Multivariate Analysis 12, 1982. No known deviations; the trace of the square root
    comes from eigenvalues.
    """
    cov_a, cov_b = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    value, vector = np.linalg.eigh(cov_a)
    root = (vector * np.sqrt(np.maximum(value, 0))) @ vector.T
    mixed = np.linalg.eigvalsh(root @ cov_b @ root)
    apart = a.mean(axis=0) - b.mean(axis=0)
    distance = (
        apart @ apart + np.trace(cov_a) + np.trace(cov_b) - 2 * np.sqrt(np.maximum(mixed, 0)).sum()
    )
    return float(max(distance, 0.0))


def standard_scores(values: NDArray[np.float64], real: NDArray[np.float64]) -> NDArray[np.float64]:
    """Measure how many standard deviations values lie above the mean of real pieces.

    This is "distance from real pieces". NaN values stay NaN, and those of real pieces are left out;
    NaN where real pieces don't differ or are fewer than two.

    Args:
        values: one measure of generated pieces, shape (n,).
        real: the same measure of real pieces of the composer, cut to the same length, shape (m,).
    """
    known = real[~np.isnan(real)]
    spread = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    return (values - known.mean()) / spread if spread > 1e-12 else np.full(len(values), np.nan)
