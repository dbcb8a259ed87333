"""Chords as spans of time: those played, those planned, those that experts wrote.

A chord table is a numpy structured array of ``CHORD_DTYPE``, sorted by start, without gaps or
overlaps from the first bar's start to the last bar's end. Root and bass are pitch classes;
``quality`` is an index into :data:`QUALITIES`; a span in which no chord can be named has quality
:data:`NONE` and root and bass -1.

:func:`recognise` names the chords of a score. Time is cut into frames of an eighth, counted from
each bar line. A small network trained on experts' labels (``python -m pretrain.chords``) scores
each frame's chord, bass, and whether a chord begins there; the best path through all frames is
found by dynamic programming (Viterbi). The network treats all twelve keys alike by construction:
its layers are convolutions around the circle of pitch classes, so that transposed notes give
transposed chords exactly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from styletransfer.folders import ASSETS
from styletransfer.music.notes import BarTable, NoteTable, is_compound
from styletransfer.music.qualities import NONE as NONE
from styletransfer.music.qualities import QUALITIES as QUALITIES

Floats = NDArray[np.float32]

INTERVALS: tuple[tuple[int, ...], ...] = (
    (0, 4, 7),
    (0, 3, 7),
    (0, 3, 6),
    (0, 4, 8),
    (0, 4, 7, 10),
    (0, 4, 7, 11),
    (0, 3, 7, 10),
    (0, 3, 6, 10),
    (0, 3, 6, 9),
)
"""Semitones above the root of each quality's tones."""

CHORD_DTYPE = np.dtype(
    [
        ("start", "<f4"),  # quarters
        ("length", "<f4"),  # quarters, > 0
        ("root", "i1"),  # pitch class, -1: no chord
        ("quality", "i1"),  # index into QUALITIES, -1: no chord
        ("bass", "i1"),  # pitch class, -1: no chord
    ]
)

ChordTable = NDArray[np.void]


def tones_of(root: int, quality: int) -> tuple[int, ...]:
    """Return the pitch classes of a chord, its root first.

    >>> tones_of(7, 4)
    (7, 11, 2, 5)
    """
    return tuple((root + step) % 12 for step in INTERVALS[quality])


STATES: tuple[tuple[int, int, int], ...] = tuple(
    (root, quality, (root + step) % 12)
    for quality, steps in enumerate(INTERVALS)
    for root in range(12)
    for step in steps
)
"""What a frame can be: (root, quality, bass), where the bass is a tone of the chord (as in 99 % of
the experts' labels)."""

FRAME, FINE_FRAME = 0.5, 0.25
"""Quarters of a frame: an eighth, or a sixteenth where the metre counts sixteenths (6/16)."""

TOUCH = 0.06
"""Quarters that a note must sound in a frame to be its lowest or highest; less is an ornament or an
end held too long."""

NEAR, WIDE = (2, 6), (8, 32)
"""Frames on either side in which the lowest note is looked for, and over which the sounding pitch
classes are averaged."""

CHANNELS, SCALARS = 9, 14
"""Numbers of features of a pitch class, and of a frame as a whole; see :func:`features`."""


@dataclass(frozen=True)
class Frames:
    """The frames of a score, and what sounds in each.

    Attributes:
        start: in quarters, shape (frames,).
        length: in quarters, shape (frames,).
        bar: the index of each frame's bar, shape (frames,).
        tones: features of the pitch classes, shape (frames, 12, :data:`CHANNELS`).
        scalars: features of the frame, shape (frames, :data:`SCALARS`).
        silent: whether nothing sounds, shape (frames,).
    """

    start: NDArray[np.float64]
    length: NDArray[np.float64]
    bar: NDArray[np.int64]
    tones: Floats
    scalars: Floats
    silent: NDArray[np.bool_]


def _grid(bars: BarTable) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return the start, the length and the bar of each frame."""
    begin = bars["start"].astype(float)
    length = np.append(np.diff(begin), float(bars["length"][-1]))
    step = np.where(bars["denominator"] > 8, FINE_FRAME, FRAME)
    count = np.maximum(np.rint(length / step), 1).astype(np.int64)

    bar = np.repeat(np.arange(len(bars)), count)
    place = np.arange(len(bar)) - np.repeat(np.cumsum(count) - count, count)
    start: NDArray[np.float64] = np.asarray(begin[bar] + step[bar] * place, float)
    return start, np.diff(np.append(start, begin[-1] + length[-1])), bar


def _around(values: NDArray[np.int64], reach: int) -> NDArray[np.int64]:
    """Return the least value within so many places on either side."""
    padded = np.pad(values, reach, constant_values=np.iinfo(np.int64).max)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).min(axis=1))


def _mean(values: Floats, reach: int) -> Floats:
    """Average over so many places on either side, as shares of the pitch classes."""
    total = np.cumsum(np.pad(values.astype(float), ((reach + 1, reach), (0, 0))), axis=0)
    window = total[2 * reach + 1 :] - total[: -2 * reach - 1]
    return np.asarray(window / np.maximum(window.sum(axis=1, keepdims=True), 1e-6), np.float32)


def _one_hot(pitch: NDArray[np.int64], known: NDArray[np.bool_]) -> Floats:
    """Mark each frame's pitch class, shape (frames, 12)."""
    return np.asarray((pitch[:, None] % 12 == np.arange(12)) & known[:, None], np.float32)


def features(notes: NoteTable, bars: BarTable) -> Frames:
    """Compute what sounds in each frame of a score.

    Of each pitch class: how long it sounds, whether it begins, whether it is the lowest and the
    highest, whether it is the lowest within :data:`NEAR` frames, how long it sounds within an
    octave above the nearer of these, and its share within :data:`WIDE` frames. Of the frame: where
    it stands in its bar and beat, and how many notes begin.
    """
    start, length, bar = _grid(bars)
    frames, end = len(start), start + length
    onset = notes["onset"].astype(float)
    stop = onset + notes["duration"]
    pitch = notes["pitch"].astype(np.int64)

    first = np.clip(np.searchsorted(start, onset + 1e-4, side="right") - 1, 0, None)
    last = np.searchsorted(start, stop - 1e-4, side="left")
    count = np.maximum(last - first, 0)
    note = np.repeat(np.arange(len(notes)), count)
    frame = first[note] + np.arange(len(note)) - np.repeat(np.cumsum(count) - count, count)
    heard = np.minimum(stop[note], end[frame]) - np.maximum(onset[note], start[frame])

    note, frame, heard = note[heard > 1e-4], frame[heard > 1e-4], heard[heard > 1e-4]
    where, share = frame * 12 + pitch[note] % 12, heard / length[frame]
    begins = onset[note] >= start[frame] - 1e-4
    touched = heard >= np.minimum(TOUCH, 0.5 * length[frame])

    none = np.iinfo(np.int64).max
    lowest, highest = np.full(frames, none), np.full(frames, -1)
    np.minimum.at(lowest, frame[touched], pitch[note[touched]])
    np.maximum.at(highest, frame[touched], pitch[note[touched]])
    near, far = (_around(lowest, reach) for reach in NEAR)
    low = pitch[note] <= np.minimum(near, 200)[frame] + 12

    def spread(chosen: NDArray[np.bool_], weight: NDArray[np.float64]) -> Floats:
        total = np.bincount(where[chosen], weight[chosen], frames * 12)
        return np.asarray(np.minimum(total, 1).reshape(frames, 12), np.float32)

    sound = spread(np.ones(len(note), bool), share)
    tones = [
        sound,
        spread(begins & touched, np.ones(len(note))),
        _one_hot(lowest, lowest < none),
        _one_hot(highest, highest >= 0),
        _one_hot(near, near < none),
        _one_hot(far, far < none),
        spread(low, share),
        *(4 * _mean(sound, reach) for reach in WIDE),
    ]

    struck = np.bincount(frame[begins], minlength=frames)
    fresh = np.bincount(frame[begins & (pitch[note] == lowest[frame])], minlength=frames) > 0
    above = np.where(lowest < none, lowest - np.minimum(near, lowest), 0) / 12
    scalars = np.column_stack(
        [_metre(start, length, bar, bars), struck / 4, struck > 0, fresh, above, lowest < none]
    )
    silent = np.bincount(frame, minlength=frames) == 0
    return Frames(start, length, bar, np.stack(tones, axis=2), scalars.astype(np.float32), silent)


def _metre(
    start: NDArray[np.float64], length: NDArray[np.float64], bar: NDArray[np.int64], bars: BarTable
) -> NDArray[np.float64]:
    """Compute where each frame stands in its bar, shape (frames, 9)."""
    top, bottom = bars["numerator"].astype(int), bars["denominator"].astype(int)
    compound = is_compound(top, bottom)
    beat = (4 / np.maximum(bottom, 1) * np.where(compound, 3, 1))[bar]
    place = start - bars["start"].astype(float)[bar]
    whole = np.maximum(bars["length"].astype(float)[bar], 1e-3)
    pulse = np.mod(place + 1e-6, beat) - 1e-6

    columns = [
        place < 1e-4,
        pulse < 1e-4,
        np.abs(place - whole / 2) < 1e-4,
        pulse / beat,
        place / whole,
        whole / 4,
        beat / 2,
        compound[bar],
        length / FRAME,
    ]
    return np.column_stack([np.asarray(column, float) for column in columns])


@dataclass(frozen=True)
class Recogniser:
    """The trained network, and how its answers are weighed.

    Attributes:
        weights: what :meth:`scores` multiplies with, by name.
        dilations: the frames that each block looks to either side.
        bass: the weight of the bass.
        change: the weight of the log odds that a chord begins.
        price: the cost of each change.
    """

    weights: Mapping[str, Floats]
    dilations: tuple[int, ...]
    bass: float = 1.0
    change: float = 1.0
    price: float = 0.0

    def scores(self, frames: Frames) -> tuple[Floats, Floats, Floats]:
        """Score the chord and the bass of each frame, and the change to it.

        Returns:
            The log-probabilities of the chord, shape (frames, qualities, 12), and of the bass,
            shape (frames, 12), and the log odds of a change, shape (frames,).
        """
        w, count = self.weights, len(frames.start)
        h = frames.tones.reshape(count, -1) @ _circle(w["enter"])
        h += np.tile(frames.scalars @ w["scalars"] + w["enter_bias"], 12)
        # all products are of plain matrices, which is several times as fast
        h = np.maximum(h, 0).reshape(count * 12, -1)

        for block, dilation in enumerate(self.dilations):
            z = (h.reshape(count, -1) @ _circle(w[f"mix{block}"])).reshape(h.shape)
            z = z + w[f"bias{block}"]
            for tap, shift in enumerate((-2 * dilation, -dilation, dilation, 2 * dilation)):
                rows = 12 * min(abs(shift), count)
                if shift < 0:
                    to, from_ = z[rows:], h[: len(h) - rows]
                else:
                    to, from_ = z[: len(z) - rows], h[rows:]
                to += from_ @ w[f"taps{block}"][tap]
            h = h + np.maximum(z, 0)

        chord = (h @ w["chord"] + w["chord_bias"]).reshape(count, 12, -1).transpose(0, 2, 1)
        bass = (h @ w["bass"]).reshape(count, 12)
        h = h.reshape(count, 12, -1)
        pooled = np.concatenate([h.mean(axis=1), h.max(axis=1)], axis=1)
        change = np.maximum(pooled @ w["pool"] + w["pool_bias"], 0) @ w["change"] + w["change_bias"]
        return (
            _log_share(chord.reshape(count, -1)).reshape(chord.shape),
            _log_share(bass),
            change[:, 0],
        )

    def path(
        self, frames: Frames, scores: tuple[Floats, Floats, Floats] | None = None
    ) -> NDArray[np.int64]:
        """Find the best state of each frame, an index into :data:`STATES`.

        ``scores`` are given where they are known already.
        """
        chord, bass, change = scores or self.scores(frames)
        root, quality, low = np.array(STATES).T
        score = (chord[:, quality, root] + self.bass * bass[:, low]).astype(np.float64)
        score *= np.where(frames.silent, 0.0, frames.length / FRAME)[:, None]

        # staying costs nothing, a change its weighted log odds, log(p) - log(1 - p)
        gain = self.change * change.astype(np.float64) - self.price
        total, came, best = score[0], np.zeros(score.shape, bool), np.zeros(len(score), np.int64)
        for step in range(1, len(score)):
            best[step] = total.argmax()
            moved = total[best[step]] + gain[step]
            came[step] = moved > total
            total = np.maximum(total, moved) + score[step]

        path = np.zeros(len(score), np.int64)
        path[-1] = total.argmax()
        for step in range(len(score) - 1, 0, -1):
            path[step - 1] = best[step] if came[step, path[step]] else path[step]
        return path

    def save(self, path: Path, manifest: Mapping[str, object]) -> None:
        """Write the recogniser as one safetensors file, with what it was made of."""
        from safetensors.numpy import save

        head = {
            "dilations": self.dilations,
            "bass": self.bass,
            "change": self.change,
            "price": self.price,
            **manifest,
        }
        partial = path.with_name(path.name + ".partial")
        arrays = {
            name: np.ascontiguousarray(value, np.float32) for name, value in self.weights.items()
        }
        partial.write_bytes(save(arrays, metadata={"chords": json.dumps(head)}))
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Recogniser:
        """Load what :meth:`save` wrote."""
        from safetensors import safe_open

        with safe_open(str(path), framework="numpy") as file:
            head = json.loads(file.metadata()["chords"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
        return cls(weights, tuple(head["dilations"]), head["bass"], head["change"], head["price"])


TURN = (np.arange(12)[:, None] - np.arange(12)) % 12
"""[from, to]: by how many semitones the one lies above the other."""


def _circle(weight: Floats) -> Floats:
    """Spread a weight over the circle of pitch classes.

    From shape (12 semitones above, in, out) to (12 in, 12 out).
    """
    semitones, width_in, width_out = weight.shape
    spread = weight[TURN].transpose(0, 2, 1, 3)
    return np.ascontiguousarray(spread).reshape(semitones * width_in, semitones * width_out)


def _log_share(scores: Floats) -> Floats:
    """Return the log of the softmax over the last axis."""
    scores = scores - scores.max(axis=-1, keepdims=True)
    return np.asarray(scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True)))


@lru_cache(maxsize=1)
def shipped_recogniser() -> Recogniser:
    """Load the recogniser that comes with the package."""
    return Recogniser.load(ASSETS / "chords.safetensors")


def recognise(notes: NoteTable, bars: BarTable, recogniser: Recogniser | None = None) -> ChordTable:
    """Name the chords of a score.

    Args:
        notes: a table with onset, duration (quarters) and pitch, in any order; melody notes count
            like the others.
        bars: the score's bars, ascending; without any there are no chords.
        recogniser: another than the one that comes with the package.

    Returns:
        A chord table from the first bar's start to the last one's end. Where nothing sounds for a
        bar's length there is no chord; shorter rests belong to the chords beside them. Neighbours
        differ in root, quality or bass.
    """
    if not len(bars):
        return np.zeros(0, CHORD_DTYPE)
    frames = features(notes, bars)
    named = np.full((len(frames.start), 3), NONE)
    quiet = _long_silence(frames)
    if not quiet.all():
        path = (recogniser or shipped_recogniser()).path(frames)
        named[~quiet] = np.array(STATES)[path[~quiet]]
    return chord_table(frames.start, float(frames.start[-1] + frames.length[-1]), named)


def _long_silence(frames: Frames) -> NDArray[np.bool_]:
    """Mark the frames of silences as long as the bar that they begin in."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], frames.silent, [False]]).astype(int)))
    bar_length = np.bincount(frames.bar, frames.length)
    quiet = np.zeros(len(frames.start), bool)
    for first, stop in edges.reshape(-1, 2).tolist():
        quiet[first:stop] = frames.length[first:stop].sum() > bar_length[frames.bar[first]] - 1e-3
    return quiet


def chord_table(starts: NDArray[np.float64], end: float, named: NDArray[np.int64]) -> ChordTable:
    """Make a chord table of the starts of spans and their (root, quality, bass).

    Equal neighbours are joined.
    """
    new = np.concatenate([[True], (named[1:] != named[:-1]).any(axis=1)])
    table = np.zeros(int(new.sum()), CHORD_DTYPE)
    table["start"] = starts[new]
    table["length"] = np.diff(np.append(starts[new], end))
    table["root"], table["quality"], table["bass"] = named[new].T
    return table
