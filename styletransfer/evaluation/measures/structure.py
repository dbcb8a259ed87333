"""Measure structureness: how well a segment's repetitions explain a piece.

Definition: the structureness indicator of S.-L. Wu and Y.-H. Yang, "The Jazz Transformer on the
front line: exploring the shortcomings of AI-composed music through quantitative measures", ISMIR
2020, is the largest *fitness* of any segment whose length is in a range. Fitness is that of M.
Müller, N. Jiang and P. Grosche, "A robust fitness measure for capturing repetitions in music
recordings with applications to audio thumbnailing", IEEE TASLP 21, 2013: in the self-similarity
matrix, the best family of paths over a segment is found by dynamic programming; fitness is the
harmonic mean of its mean score and of the share of the piece that it covers, both without the
segment's own trivial path. It goes from 0 (nothing returns) towards 1. Pieces of music have more
than noise at every range, and most at long ones; a loop has the most of all, so that the values are
compared with real pieces and never maximised.

Conventions: a frame is a quarter in a score and half a second in a performance, the 2 Hz of the
paper at 120 quarters per minute. The ranges are the paper's: 3 to 8, 8 to 15 and 15 seconds and
more, in frames.

Known deviations from the published code: chroma comes from notes, not from audio, over windows of
``WINDOW`` frames; repetitions may be transposed but not played faster or slower (notated music
doesn't need that), and diagonals are smoothed over ``SMOOTHING`` frames instead of 16, so that
excerpts of eight bars can be measured; a path begins in the segment's first frame always, as in the
paper (the code's score, but not its backtracking, lets it enter in the second); only the first
``MOST_FRAMES`` frames, every second segment and every second length are looked at, and no segment
longer than half of them. The threshold keeps a quarter of the matrix whatever the music is, as in
the code: noise has some fitness too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from styletransfer.evaluation.measures.chroma import sounding_time
from styletransfer.evaluation.measures.harmony import in_unit
from styletransfer.music.notes import Piece

PERFORMED_FRAME = 0.5
"""Seconds of a frame in a performance."""

WINDOW = 2
"""Frames that a chroma vector covers.

The published code's 2.1 seconds are 4 frames; notes need less smoothing than audio.
"""

SMOOTHING = 8
"""Frames over which diagonals of the matrix are averaged: two 4/4 bars."""

KEPT, PENALTY = 0.25, -2.0
"""Share of the matrix that is kept, and the value of the rest: the published code's."""

MOST_FRAMES = 96
"""The most frames that are examined, 24 bars of 4/4: the time grows with their fourth power."""

RANGES = {"short": (6, 16), "medium": (16, 30), "long": (30, MOST_FRAMES)}
"""Lengths of segments in frames: 3 to 8, 8 to 15, and 15 seconds and more at 2 Hz."""

STRIDE = 2
"""Segments begin at every second frame, and every second length is tried."""


@dataclass(frozen=True)
class Structureness:
    """The largest fitness of segments of 6-16, 16-30 and 30 frames or more.

    From 0 to 1; NaN where a piece is shorter.
    """

    short: float
    medium: float
    long: float


def structureness(piece: Piece) -> Structureness:
    """Measure the beginning of a piece, for three ranges of lengths of segments."""
    matrix = self_similarity(frames(piece))
    best = {}
    for name, (low, high) in RANGES.items():
        lengths = range(
            low, min(high, len(matrix) // 2) + 1, STRIDE
        )  # a longer segment has no room to come back
        best[name] = max(
            (float(fitness(matrix, length, STRIDE).max()) for length in lengths),
            default=float("nan"),
        )
    return Structureness(**best)


def frames(piece: Piece) -> NDArray[np.float64]:
    """Give the chroma of the first ``MOST_FRAMES`` frames from the first note on.

    A frame in which nothing sounds has twelve equal values, as in the published code.

    Returns:
        Shape (frames, 12), each row of length 1.
    """
    if not len(piece.notes):
        return np.zeros((0, 12))
    notes, frame = (
        in_unit(piece, np.ones(len(piece.notes), bool)),
        1.0 if piece.feel == "score" else PERFORMED_FRAME,
    )
    start, end = float(notes["onset"].min()), float((notes["onset"] + notes["duration"]).max())
    count = min(int(np.ceil((end - start) / frame - 1e-9)), MOST_FRAMES)
    time = sounding_time(notes, start + frame * np.arange(count + WINDOW))
    chroma = sum((time[k : k + count] for k in range(WINDOW)), np.zeros((count, 12)))
    chroma[chroma.sum(axis=1) < 1e-6] = 1.0
    return np.asarray(chroma / np.linalg.norm(chroma, axis=1, keepdims=True), np.float64)


def self_similarity(chroma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make the enhanced self-similarity matrix of chroma (frames, 12).

    It is the largest cosine of 12 transpositions after smoothing along the diagonals (forwards or
    backwards, which is larger); the largest ``KEPT`` of all values are stretched to 0 to 1, the
    others are ``PENALTY``.

    Returns:
        Shape (frames, frames), at most 1, and 1 on the diagonal.
    """
    matrix = np.zeros((len(chroma), len(chroma)))
    for shift in range(12):
        cosine = np.roll(chroma, shift, axis=1) @ chroma.T
        matrix = np.maximum(
            matrix, np.maximum(_smooth(cosine), _smooth(cosine[::-1, ::-1])[::-1, ::-1])
        )
    matrix = np.round(matrix, 9)
    if len(matrix):
        bound = np.quantile(matrix, 1 - KEPT, method="higher")
        largest = float(matrix.max())
        scaled = (matrix - bound) / (largest - bound) if largest > bound else np.ones_like(matrix)
        matrix = np.where(matrix >= bound, scaled, PENALTY)
        np.fill_diagonal(matrix, 1.0)
    return matrix


def _smooth(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average ``SMOOTHING`` values along each diagonal, forwards; 0 beyond the border."""
    size = len(matrix)
    padded = np.pad(matrix, (0, SMOOTHING))
    parts = (padded[k : k + size, k : k + size] for k in range(SMOOTHING))
    return np.asarray(sum(parts, np.zeros_like(matrix)) / SMOOTHING)


def fitness(matrix: NDArray[np.float64], length: int, stride: int = 1) -> NDArray[np.float64]:
    """Measure the fitness of all segments of a length, from 0 to 1.

    Besides the score of the best family of paths to a cell, the number of its cells, and the rows
    that its finished paths cover less the row in which its last path began, are carried along,
    instead of tracing the paths back.

    Args:
        matrix: shape (frames, frames), at most 1 everywhere and 1 on the diagonal.
        length: frames of the segments.
        stride: frames from the beginning of a segment to that of the next.

    Returns:
        Shape (segments,).
    """
    size = len(matrix)
    part = np.lib.stride_tricks.sliding_window_view(matrix, length, axis=1)[
        :, ::stride
    ]  # (frames, segments, length)
    segments = part.shape[1]
    rest = np.zeros(
        (3, segments)
    )  # families whose paths are all finished: score, cells, covered rows
    before = last = np.zeros(
        (3, segments, length + 1)
    )  # rows n - 2 and n - 1; the first column is no cell of the segment
    last[0] = -np.inf
    for row in range(size):
        rest = _finish(rest, last[:, :, -1], row)
        now = np.zeros((3, segments, length + 1))
        now[0, :, 0] = -np.inf
        now[0, :, 1], now[1, :, 1], now[2, :, 1] = (
            rest[0] + part[row, :, 0],
            rest[1] + 1,
            rest[2] - row,
        )
        best = last[:, :, 1:-1]
        for other in (before[:, :, 1:-1], last[:, :, :-2]):
            best = np.where(other[0] > best[0], other, best)
        now[:, :, 2:] = best
        now[0, :, 2:] += part[row, :, 1:]
        now[1, :, 2:] += 1
        before, last = last, now

    score, cells, covered = _finish(rest, last[:, :, -1], size, even_if_equal=True)
    mean_score = np.maximum(score - length, 0.0) / np.maximum(cells, 1.0)
    coverage = np.maximum(covered - length, 0.0) / size
    total = mean_score + coverage
    return np.asarray(2 * mean_score * coverage / np.where(total > 0, total, 1.0), np.float64)


def _finish(
    rest: NDArray[np.float64], end: NDArray[np.float64], row: int, even_if_equal: bool = False
) -> NDArray[np.float64]:
    """Finish paths that have reached the last frame with the values ``end``.

    Returns:
        The best families before ``row``, shape (3, segments).
    """
    better = end[0] >= rest[0] if even_if_equal else end[0] > rest[0]
    return np.where(better, end + np.array([[0.0], [0.0], [row]]), rest)
