"""Find files of the same piece by their content, not by their names.

The fingerprint of a piece is the set of its n-grams of 12 exact pitches: pitches in onset order,
chords sorted from the bass up, n-grams with fewer than 6 distinct pitches left out (trills,
repeated chords), each hashed to 64 bits. Two pieces are compared by containment, ``|A & B| /
min(|A|, |B|)``, so that a movement is found inside a whole sonata.

A chord, in a performance, is a run of notes with at most ``TOLERANCE`` seconds from one onset to
the next, as pianists spread chords. This was measured with the 519 pairs of MAESTRO performances
and scores that ASAP's metadata names, against the pairs of the 824 scores and 1,276 performances
whose composers differ:

=========  =================  ===============  ============================================
tolerance  true pairs ≥ 0.05  5th percentile   pairs of different composers ≥ 0.05 (of 1 M)
=========  =================  ===============  ============================================
none       53.0 %             0.001            3
30 ms      100 %              0.160            5, each a wrong label in MAESTRO
50 ms      100 %              0.171            5, the same ones
=========  =================  ===============  ============================================

Shorter n-grams, and n-grams of the top or bottom voice alone, find no more true pairs, and more
false ones.

A piece in another key, which training's transpositions would make the same, is found by n-grams of
intervals. Different pieces share these more often: among the 2,036 pieces of all three sources, no
pair beyond those above has more than 0.06, while Bach's chorales in two keys have 0.2 to 0.98 (401
of them; others of the same hymns have up to 0.19).

Two settings of a song share their tune only. Tunes are compared by n-grams of intervals with some
leaps among them, as scales are in every piece, and only where one of the two is a song. Among the
5,182 scores of pretrain/README.md, 49 pairs that nothing else finds have :data:`SAME_TUNE` or more,
and as far as titles show, they are the same hymn or folk song (*Niech nam żyje gospodarz* twice,
*Vater unser im Himmelreich* in a chorale and in a hymnal). From 0.45 down, singing exercises in
thirds resemble Chopin's studies, and from 0.3 half of Mozart.

A transcription has little of its song, but a source that calls it an arrangement names the song's
composer. Among that composer's songs, shorter n-grams find it: of Liszt's performances in MAESTRO,
*Der Müller und der Bach*, *Aufenthalt* and *Erlkönig* have 0.047, 0.039 and 0.019 of the songs'
8-note n-grams (0.029, 0.018 and 0.004 of those of 12 notes), other songs by Schubert at most 0.007.
*Die Forelle* and *Horch, horch* aren't found: Liszt leaves no chord as it was.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from styletransfer.music.ngrams import MIN_DISTINCT, TOLERANCE, N
from styletransfer.music.notes import Feel

SAME_PIECE = 0.05
"""The least containment at which two files count as the same piece."""
SAME_SHAPE = 0.2
"""The least at which they count as the same in another key, by n-grams of intervals."""
SAME_TUNE = 0.5
"""The least at which a song counts as another setting of the same tune."""
TRANSCRIBED = 0.015
"""The least at which an arrangement counts as one of a song, by n-grams of :data:`SHORT` notes."""
SHORT = 8
TRANSCRIBED_COUNT = 10
"""The fewest n-grams that they must share for that: in a chorale, two are already 0.02."""
LEAP = 2
"""Semitones; more is a leap."""
LEAPS = 3
"""The fewest leaps in an n-gram of a tune; it needs one more kind of interval than that."""
SHORTEST_TUNE = 10
"""The fewest n-grams by which a tune can be distinguished from others."""

Fingerprint = NDArray[np.uint64]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd: Fibonacci hashing
_SHIFT = np.uint64(29)


def fingerprint(
    onset: NDArray[np.floating],
    pitch: NDArray[np.integer],
    feel: Feel,
    n: int = N,
    distinct: int = MIN_DISTINCT,
    *,
    intervals: bool = False,
) -> Fingerprint:
    """Hash a piece's n-grams.

    Music that is too short or too monotonous for any n-gram gets one hash of all its pitches, so
    that copies of it are still found.

    Args:
        onset: in any order, shape (notes,); in seconds for a performance, in quarters for a score.
        pitch: MIDI numbers, shape (notes,).
        feel: the unit of the onsets, and with it the tolerance.
        n: notes in an n-gram.
        distinct: how many distinct pitches an n-gram needs.
        intervals: hash intervals from note to note instead of pitches, so that the key doesn't
            matter.

    Returns:
        Sorted hashes, each once, shape (n-grams,).
    """
    sequence = pitch_sequence(onset, pitch, TOLERANCE[feel])
    if not len(sequence):
        return np.zeros(0, np.uint64)
    if len(sequence) >= n:
        windows = np.lib.stride_tricks.sliding_window_view(sequence, n)
        kinds = (np.diff(np.sort(windows, axis=1), axis=1) > 0).sum(axis=1) + 1
        windows = windows[kinds >= distinct]
        if len(windows):
            return np.unique(_hash(_steps(windows) if intervals else windows))

    whole = sequence[None]
    return _hash(_steps(whole) if intervals else whole)


def tune_print(onset: NDArray[np.floating], pitch: NDArray[np.integer], n: int = N) -> Fingerprint:
    """Hash a score's tune by n-grams of intervals, so that the key doesn't matter.

    Returns:
        Sorted hashes, each once, shape (n-grams,); empty where the tune is too short, or moves too
        evenly, to be recognised.
    """
    sequence = pitch_sequence(onset, pitch, TOLERANCE["score"])
    if len(sequence) < n:
        return np.zeros(0, np.uint64)
    steps = np.lib.stride_tricks.sliding_window_view(np.diff(sequence.astype(np.int16)), n - 1)
    kinds = (np.diff(np.sort(steps, axis=1), axis=1) > 0).sum(axis=1) + 1
    steps = steps[((np.abs(steps) > LEAP).sum(axis=1) >= LEAPS) & (kinds > LEAPS)]
    marks = np.unique(_hash(steps.astype(np.uint8))) if len(steps) else np.zeros(0, np.uint64)
    return marks if len(marks) >= SHORTEST_TUNE else np.zeros(0, np.uint64)


def _steps(windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the intervals from note to note, modulo 256, which leaves them distinct."""
    return windows[:, 1:] - windows[:, :-1]


def pitch_sequence(
    onset: NDArray[np.floating], pitch: NDArray[np.integer], tolerance: float
) -> NDArray[np.uint8]:
    """Put pitches, shape (notes,), in onset order, chords sorted from the bass up.

    A chord is a run of notes each of which begins at most ``tolerance`` after the one before.
    """
    order = np.argsort(onset, kind="stable")
    chord = (
        np.concatenate([[0], np.cumsum(np.diff(onset[order]) > tolerance)]) if len(order) else order
    )
    ordered = pitch[order].astype(np.uint8)
    return np.asarray(ordered[np.lexsort((ordered, chord))])


def _hash(windows: NDArray[np.uint8]) -> Fingerprint:
    """Hash each row of ``windows``, shape (rows, notes), to 64 bits."""
    value = np.full(len(windows), np.uint64(windows.shape[1]))
    with np.errstate(over="ignore"):
        for column in windows.T:
            value = (value ^ (column.astype(np.uint64) + np.uint64(1))) * _MULTIPLIER
            value ^= value >> _SHIFT
    return value


def containment(a: Fingerprint, b: Fingerprint) -> float:
    """Return ``|A & B| / min(|A|, |B|)``, 0 where one of them is empty."""
    smaller = min(len(a), len(b))
    return len(np.intersect1d(a, b, assume_unique=True)) / smaller if smaller else 0.0


def similar_pairs(
    prints: Sequence[Fingerprint], threshold: float = SAME_PIECE
) -> list[tuple[int, int, float]]:
    """Find all pairs of pieces with a containment of at least ``threshold``.

    With an inverted index only n-grams that two pieces share cost anything: 2,100 pieces take about
    two seconds.

    Returns:
        Sorted (i, j, containment), with i < j.
    """
    if len(prints) < 2:
        return []
    common = shared_counts(prints)
    sizes = np.array([len(one) for one in prints])
    upper = common.row < common.col
    row, column, count = common.row[upper], common.col[upper], common.data[upper]
    value = count / np.minimum(sizes[row], sizes[column])
    keep = np.flatnonzero(value >= threshold)
    keep = keep[np.lexsort((column[keep], row[keep]))]
    return [(int(row[k]), int(column[k]), float(value[k])) for k in keep]


def same_pieces(
    pitches: Sequence[Fingerprint],
    intervals: Sequence[Fingerprint],
    tunes: Sequence[Fingerprint] = (),
    songs: Sequence[bool] = (),
) -> list[tuple[int, int, float]]:
    """Find pairs of the same piece.

    Args:
        pitches: fingerprints of the pieces' pitches.
        intervals: fingerprints of their intervals, which find a piece in another key.
        tunes: fingerprints of their melodies; with ``songs``, settings of one tune are found, too.
        songs: which pieces are songs.

    Returns:
        Sorted (i, j, containment), with i < j.
    """
    found = {*similar_pairs(pitches, SAME_PIECE), *similar_pairs(intervals, SAME_SHAPE)}
    return sorted(found | {*same_tunes(tunes, songs)})


def same_tunes(tunes: Sequence[Fingerprint], songs: Sequence[bool]) -> list[tuple[int, int, float]]:
    """Find pairs (i, j, containment) of a song and another setting of its tune."""
    return [
        (i, j, value) for i, j, value in similar_pairs(tunes, SAME_TUNE) if songs[i] or songs[j]
    ]


def is_transcription(arrangement: Fingerprint, song: Fingerprint) -> bool:
    """Decide whether an arrangement is of this song by the composer it names.

    Both fingerprints are of :data:`SHORT` notes, 5 of them distinct.
    """
    shared = len(np.intersect1d(arrangement, song, assume_unique=True))
    return shared >= TRANSCRIBED_COUNT and shared >= TRANSCRIBED * min(len(arrangement), len(song))


def shared_counts(prints: Sequence[Fingerprint]) -> coo_matrix:
    """Count the n-grams that each pair shares, as a sparse matrix (pieces, pieces)."""
    owner = np.repeat(np.arange(len(prints)), [len(one) for one in prints])
    if not len(owner):
        return coo_matrix((len(prints), len(prints)), dtype=np.int32)
    _, column, count = np.unique(np.concatenate(prints), return_inverse=True, return_counts=True)
    keep = count[column] > 1
    owner, column = owner[keep], column[keep]
    shape = (len(prints), len(count))
    table = csr_matrix((np.ones(len(owner), np.int32), (owner, column)), shape=shape)
    return (table @ table.T).tocoo()


def groups(count: int, pairs: Sequence[tuple[int, int, float]]) -> NDArray[np.int64]:
    """Label pieces by the smallest piece of their connected group, shape (count,)."""
    rows, columns = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    graph = coo_matrix((np.ones(len(pairs), np.int8), (rows, columns)), shape=(count, count))
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)
    return np.asarray(first[label], np.int64)
