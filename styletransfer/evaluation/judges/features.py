"""Make the features that judges read: statistics of the notes of excerpts.

Only the order of notes, their pitches and their relative rhythm can change them. There is one path
for every input, real or generated, performance or score. Notes that begin together become one
*onset*, like a chord on the page: within ``TOLERANCE`` of each other, because pianists spread
chords. Copies of a pitch on one onset are dropped. Of time, only the distances between onsets are
kept, in units of their median. Durations aren't read: a performance's are those of keys and pedal,
a score's are notation. Nor are velocities, parts, tempo and the number of notes.

Notes are divided into two *hands* by the middle of the range around them, so that the melody's line
and the bass line can be followed through the onsets that have them. A piece is cut into excerpts of
about ``SEGMENT`` notes. Each excerpt has one row of features, in blocks (``blocks.BLOCKS``):

- a histogram (most blocks): counts over a closed vocabulary, as square roots of shares. Their
  Euclidean distance is Hellinger's, which compares rare and frequent n-grams on one scale;
- rates and moments (the last blocks), all of the order of 1.

Intervals are in semitones and need no key. Degrees count from the tonic of the excerpt's own key,
found with the profiles of :mod:`styletransfer.music.key` on numbers of notes. Only the blocks in
``blocks.REGISTER`` see absolute pitch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from styletransfer.errors import InputError
from styletransfer.evaluation.judges.blocks import (
    BINS,
    CHORDS,
    LAGS,
    LOWEST,
    NARROW,
    PER_BIN,
    RATIO_NAMES,
    SIZE,
    STEP_NAMES,
    WIDE,
    block_columns,
)
from styletransfer.music.key import PROFILES
from styletransfer.music.notes import Feel, Piece

VERSION = 1
"""Raised by one whenever the same notes get different features."""

SEGMENT = 256
"""Notes of an excerpt: a piece is cut into equal parts as close to it as possible."""

FEWEST_NOTES = 8
"""The fewest notes that can be judged."""

TOLERANCE: dict[Feel, float] = {"performance": 0.05, "score": 0.06}
"""The largest distance from one note to the next of the same onset.

In seconds as in ``data/fingerprint.py``, and in quarters less than a 64th.
"""

HAND_WINDOW = 25
"""How many notes around a note form the range that divides the hands."""

WINDOW = 4.0
"""How long onsets share a chord, in median distances between onsets.

That is a beat of sixteenths, or a bar of quarters.
"""

RATIO_EDGES = (-1.3, -0.4, 0.4, 1.3)
"""Borders between classes of ratios of distances, as logarithms to base 2.

3:2 and 2:1 are one class, 3:1 and 4:1 the next.
"""

UNIT_EDGES = (-2.3, -1.3, -0.4, 0.4, 1.3, 2.3, 3.3)
"""Borders between classes of distances divided by the median, as logarithms to base 2."""

OUTSIDE = 0.6
"""How much a note outside a chord counts against it; one inside counts about 1 for it.

With it a triad beats a seventh chord that lacks a note.
"""

_TEMPLATES = np.zeros((len(CHORDS) * 12, 12))
for _index, _tones in enumerate(CHORDS.values()):
    for _root in range(12):
        _TEMPLATES[_index * 12 + _root] = -OUTSIDE
        _TEMPLATES[_index * 12 + _root, [(_root + _tone) % 12 for _tone in _tones]] = (
            1 - 0.02 * len(_tones)
        )
_KEYS = np.stack(
    [np.roll(PROFILES[mode], tonic) for mode in ("major", "minor") for tonic in range(12)]
)
_KEYS = (_KEYS - _KEYS.mean(axis=1, keepdims=True)) / _KEYS.std(axis=1, keepdims=True)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def piece_features(piece: Piece, removed: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Make the features of each excerpt of a piece.

    Args:
        piece: the piece.
        removed: shape (notes,), the notes to leave out.

    Returns:
        Shape (excerpts, SIZE).

    Raises:
        InputError: if fewer than ``FEWEST_NOTES`` notes are left.
    """
    onset = piece.onset_seconds if piece.feel == "performance" else piece.notes["onset"]
    keep = np.ones(len(piece.notes), bool) if removed is None else ~removed
    return features(onset[keep], piece.notes["pitch"][keep], piece.feel)


def features(
    onset: NDArray[np.floating], pitch: NDArray[np.integer], feel: Feel, segment: int = SEGMENT
) -> NDArray[np.float32]:
    """Make the features of each excerpt.

    Args:
        onset: shape (notes,), in any order: seconds in a performance, quarters in a score.
        pitch: shape (notes,), MIDI numbers.
        feel: decides the unit of the onsets and the tolerance.
        segment: notes of an excerpt.

    Returns:
        Shape (excerpts, SIZE).

    Raises:
        InputError: if there are fewer than ``FEWEST_NOTES`` notes.
    """
    if len(onset) < FEWEST_NOTES:
        raise InputError(
            f"{len(onset)} notes are too few to judge their style; "
            f"it takes at least {FEWEST_NOTES}."
        )
    return _Excerpts(onset, pitch, feel, segment).features()


class _Excerpts:
    """A piece on its way to features.

    Its notes are sorted by onset, then pitch, with the numbers of their onsets and excerpts.
    """

    def __init__(
        self, onset: NDArray[np.floating], pitch: NDArray[np.integer], feel: Feel, segment: int
    ) -> None:
        time, pitch = np.asarray(onset, float), np.asarray(pitch, np.int64)
        order = np.argsort(time, kind="stable")
        group = np.zeros(len(time), np.int64)
        group[order] = np.cumsum(np.diff(time[order], prepend=time[order[0]]) > TOLERANCE[feel])
        start = np.full(group.max() + 1, np.inf)
        np.minimum.at(start, group, time)

        code = np.unique(group * 128 + pitch)  # sorted by onset, then pitch, each once
        self.pitch, self.group = code % 128, code // 128
        self.first = np.flatnonzero(np.diff(self.group, prepend=-1))
        self.last = np.append(self.first[1:], len(code)) - 1
        self.count = max(1, round(len(code) / segment))

        self.segment = self.first * self.count // len(code)  # of an onset
        self.note_segment = self.segment[self.group]
        self.start = start
        self.out = np.zeros((self.count, SIZE), np.float32)

        low = minimum_filter1d(self.pitch, HAND_WINDOW, mode="nearest")
        high = maximum_filter1d(self.pitch, HAND_WINDOW, mode="nearest")
        self.upper = 2 * self.pitch >= low + high

        step = np.diff(start)
        inside = self.segment[:-1] == self.segment[1:] if len(step) else np.zeros(0, bool)
        steps = _split(step[inside], self.segment[:-1][inside], self.count)
        self.unit = np.array(
            [np.median(part) if len(part) else 1.0 for part in steps]
        )  # of each excerpt

    def features(self) -> NDArray[np.float32]:
        right, left = self._hand(self.upper), self._hand(~self.upper)
        self._lines(right, left)
        self._harmony(right)
        self._degrees(right, left)
        self._rhythm(right, left)
        self._texture(right, left)
        self._register(right, left)
        self._returns()
        return self.out

    def _hand(self, mask: NDArray[np.bool_]) -> _Hand:
        note = np.flatnonzero(mask)
        group = self.group[note]
        first = np.flatnonzero(np.diff(group, prepend=-1))
        last = np.append(first[1:], len(group))[: len(first)] - 1
        return _Hand(self.pitch[note], self.note_segment[note], group[first], first, last)

    def _put(self, name: str, code: Ints, segment: Ints) -> None:
        """Count codes into a block's histogram, as square roots of shares."""
        place = block_columns(name)
        size = place.stop - place.start
        table = np.bincount(segment * size + code, minlength=self.count * size).reshape(
            self.count, size
        )
        self.out[:, place] = np.sqrt(table / np.maximum(table.sum(axis=1, keepdims=True), 1))

    def _lines(self, right: _Hand, left: _Hand) -> None:
        lines = {"melody": (right.pitch[right.last], right), "bass": (left.pitch[left.first], left)}
        for name, (line, hand) in lines.items():
            step, where = np.diff(line), self.segment[hand.group]
            self._put(f"{name} interval", _clip(step, WIDE), where[1:])
            self._put(f"{name} pair", _chain(_clip(step, NARROW), 2 * NARROW + 1, 2), where[2:])
            kind = _step_class(step)
            self._put(f"{name} contour", _chain(kind, len(STEP_NAMES), 3), where[3:])
            if name == "melody":
                ratio = _ratios(np.diff(self.start[hand.group]))
                self._put("melody and rhythm", kind[1:] * len(RATIO_NAMES) + ratio, where[2:])
        for name, hand in (("right hand", right), ("left hand", left)):
            self._put(
                f"{name} pair",
                _chain(_clip(np.diff(hand.pitch), NARROW), 2 * NARROW + 1, 2),
                hand.segment[2:],
            )
        for lag in (1, 2, 3, 4):
            step = self.pitch[lag:] - self.pitch[:-lag]
            self._put(f"interval {lag} notes later", _clip(step, WIDE), self.note_segment[lag:])

    def _harmony(self, right: _Hand) -> None:
        bass = self.pitch[self.first][self.group]
        above = self.pitch - bass
        higher = above > 0
        self._put(
            "interval above the bass", np.minimum(above[higher], 36), self.note_segment[higher]
        )

        together = np.diff(self.group) == 0
        self._put(
            "spacing in a chord",
            np.minimum(np.diff(self.pitch)[together], 25) - 1,
            self.note_segment[1:][together],
        )

        sets = _sets(above, self.group, len(self.first))
        rich = sets & (sets - 1) > 0  # at least two tones besides the bass
        self._put("tones above the bass", sets[rich], self.segment[rich])

        number = np.repeat(np.arange(len(right.first)), right.last - right.first + 1)
        sets = _sets(right.pitch - right.pitch[right.first][number], number, len(right.first))
        self._put(
            "tones of a right-hand chord", sets[sets > 0], self.segment[right.group][sets > 0]
        )

        low, high = self.pitch[self.first], self.pitch[self.last]
        chord = np.flatnonzero(self.last > self.first)
        self._put(
            "outer interval pair", _chain((high - low)[chord] % 12, 12, 2), self.segment[chord][1:]
        )
        motion = 3 * (np.sign(np.diff(low[chord])) + 1) + np.sign(np.diff(high[chord])) + 1
        self._put("outer motion", motion, self.segment[chord][1:])

        nearest = self._nearest()
        self._put("nearest note next", _clip(nearest, 12), self.note_segment[: len(nearest)])

    def _nearest(self) -> Ints:
        """Find the nearest note of the next onset, the lower of two.

        Returns:
            In semitones, for each note that has an onset after it.
        """
        stop = self.first[-1]
        key = np.append(self.group * 1024 + self.pitch, 1 << 60)
        wanted = (self.group[:stop] + 1) * 1024 + self.pitch[:stop]
        above = np.searchsorted(key, wanted)
        below = above - 1
        up = np.where(above < len(self.group), key[above] - wanted, 1 << 60)
        down = wanted - key[below]
        return np.asarray(
            np.where(down <= up, np.where(down < 512, -down, up), np.where(up < 512, up, -down)),
            np.int64,
        )

    def _degrees(self, right: _Hand, left: _Hand) -> None:
        table = np.bincount(
            self.note_segment * 12 + self.pitch % 12, minlength=self.count * 12
        ).reshape(self.count, 12)
        centred = table - table.mean(axis=1, keepdims=True)
        fit = np.round(
            centred @ _KEYS.T / (12 * np.maximum(table.std(axis=1, keepdims=True), 1e-9)), 9
        )
        tonic, minor = fit.argmax(axis=1) % 12, fit.argmax(axis=1) // 12
        self.out[:, block_columns("moment").stop - 1] = fit.max(axis=1)
        lines = {
            "degree": (self.pitch, self.note_segment),
            "degree in the bass": (left.pitch[left.first], self.segment[left.group]),
            "degree in the melody": (right.pitch[right.last], self.segment[right.group]),
        }
        for name, (pitch, segment) in lines.items():
            self._put(name, minor[segment] * 12 + (pitch - tonic[segment]) % 12, segment)

        begin = self.start[np.searchsorted(self.segment, np.arange(self.count))]
        passed = (self.start - begin[self.segment]) / (WINDOW * self.unit[self.segment])
        window = np.floor(passed + 1e-4).astype(
            np.int64
        )  # an onset on a border is after it, whatever the rounding
        _, window = np.unique(self.segment * (1 << 40) + window, return_inverse=True)
        segment = np.zeros(window.max() + 1, np.int64)
        segment[window] = self.segment
        # Degrees, not pitch classes, so that of equally good chords the same is found in every key.
        degree = (self.pitch - tonic[self.note_segment]) % 12
        chroma = np.bincount(window[self.group] * 12 + degree, minlength=len(segment) * 12).reshape(
            -1, 12
        )
        self._put("pitch classes in a window", (chroma > 0).sum(axis=1) - 1, segment)
        chord = np.round(np.minimum(chroma, 3) @ _TEMPLATES.T, 6).argmax(axis=1)
        kind, root = chord // 12, chord % 12
        self._put("chord", kind * 24 + minor[segment] * 12 + root, segment)
        step = np.diff(root + tonic[segment]) % 12
        change = (kind[:-1] * len(CHORDS) + kind[1:]) * 12 + step
        moved = (step != 0) | (np.diff(kind) != 0)
        self._put("chord change", change[moved], segment[1:][moved])

    def _rhythm(self, right: _Hand, left: _Hand) -> None:
        parts = {
            "": ("onsets", np.arange(len(self.start))),
            "melody ": ("melody notes", right.group),
        }
        for part, (name, group) in (parts | {"bass ": ("bass notes", left.group)}).items():
            step, segment = np.diff(self.start[group]), self.segment[group]
            octaves = np.log2(np.maximum(step / self.unit[segment[1:]], 1e-6))
            self._put(f"distance of {name}", np.searchsorted(UNIT_EDGES, octaves), segment[1:])
            self._put(f"{part}rhythm", _chain(_ratios(step), len(RATIO_NAMES), 3), segment[4:])

    def _texture(self, right: _Hand, left: _Hand) -> None:
        size = self.last - self.first + 1
        self._put("notes on an onset", np.minimum(size, 9) - 1, self.segment)
        self._put("notes on three onsets", _chain(np.minimum(size, 5) - 1, 5, 3), self.segment[2:])
        high = np.bincount(right.group, right.last - right.first + 1, minlength=len(size)).astype(
            np.int64
        )
        self._put(
            "notes in the hands", np.minimum(size - high, 5) * 6 + np.minimum(high, 5), self.segment
        )
        span = self.pitch[self.last] - self.pitch[self.first]
        self._put("span of a chord", np.minimum(span[size > 1] // 4, 15), self.segment[size > 1])

        for name, hand in (("right", right), ("left", left)):
            chord = hand.last > hand.first
            span = hand.pitch[hand.last[chord]] - hand.pitch[hand.first[chord]]
            self._put(
                f"span of the {name} hand", np.minimum(span, 24), self.segment[hand.group[chord]]
            )

        both = np.intersect1d(right.group, left.group)
        lowest = right.pitch[right.first[np.searchsorted(right.group, both)]]
        highest = left.pitch[left.last[np.searchsorted(left.group, both)]]
        self._put(
            "gap between the hands", np.clip(lowest - highest, -6, 30) + 6, self.segment[both]
        )

    def _register(self, right: _Hand, left: _Hand) -> None:
        lines = {
            "pitch": (self.pitch, self.note_segment),
            "pitch of the melody": (right.pitch[right.last], self.segment[right.group]),
            "pitch of the bass": (left.pitch[left.first], self.segment[left.group]),
        }
        moments = block_columns("moment").start
        for column, (name, (pitch, segment)) in enumerate(lines.items()):
            place = np.clip((pitch - LOWEST) / PER_BIN, 0, BINS - 1.001)
            share = place % 1
            table = np.zeros(self.count * BINS)
            for offset, weight in (
                (0, 1 - share),
                (1, share),
            ):  # shared by the two nearest bins, so that small shifts stay small
                table += np.bincount(
                    segment * BINS + place.astype(np.int64) + offset, weight, minlength=len(table)
                )
            shares = table.reshape(self.count, BINS)
            self.out[:, block_columns(name)] = np.sqrt(
                shares / np.maximum(shares.sum(axis=1, keepdims=True), 1)
            )
            number = np.maximum(np.bincount(segment, minlength=self.count), 1)
            mean = np.bincount(segment, pitch, minlength=self.count) / number
            spread = (
                np.bincount(segment, (pitch - mean[segment]) ** 2, minlength=self.count) / number
            )
            self.out[:, moments + column] = np.sqrt(spread) / 12

        for number_of_part, part in enumerate(_split(self.pitch, self.note_segment, self.count)):
            self.out[number_of_part, moments + 3] = np.ptp(np.quantile(part, (0.02, 0.98))) / 24

    def _returns(self) -> None:
        """Count how often an onset's features return after some onsets.

        They are its highest note, its lowest note, its number of notes, and its rhythm.
        """
        step = np.diff(np.append(self.start, self.start[-1]))
        length = np.searchsorted(
            UNIT_EDGES, np.log2(np.maximum(step / self.unit[self.segment], 1e-6))
        )
        rows = (self.pitch[self.last], self.pitch[self.first], self.last - self.first, length)
        column = block_columns("comes back").start
        for row in rows:
            for lag in LAGS:
                again = (row[lag:] == row[:-lag]).astype(float) if lag < len(row) else np.zeros(0)
                segment = self.segment[lag:]
                number = np.maximum(np.bincount(segment, minlength=self.count), 1)
                self.out[:, column] = np.bincount(segment, again, minlength=self.count) / number
                column += 1


@dataclass(frozen=True)
class _Hand:
    """The notes of a hand.

    Attributes:
        pitch: shape (notes,).
        segment: the excerpt of each note, shape (notes,).
        group: the numbers of its onsets, shape (onsets,).
        first: the row of each onset's first note, shape (onsets,).
        last: the row of its last note, shape (onsets,).
    """

    pitch: Ints
    segment: Ints
    group: Ints
    first: Ints
    last: Ints


def _clip(step: Ints, reach: int) -> Ints:
    return np.clip(step, -reach, reach) + reach


def _step_class(step: Ints) -> Ints:
    """Classify melodic intervals, from 0 (an octave or more down).

    The classes are repeat, second, third, fourth or fifth, more, octave or more, in both
    directions.
    """
    size = np.searchsorted((1, 3, 5, 8, 12), np.abs(step), side="right")
    return np.asarray(np.sign(step) * size + 5, np.int64)


def _ratios(step: Floats) -> Ints:
    """Classify each distance's ratio to the one before, shape (distances - 1,)."""
    octaves = np.diff(np.log2(np.maximum(step, 1e-6)))
    return np.asarray(np.searchsorted(RATIO_EDGES, octaves), np.int64)


def _chain(code: Ints, size: int, count: int) -> Ints:
    """Encode n-grams of codes below ``size`` as numbers, shape (codes - count + 1,)."""
    length = max(len(code) - count + 1, 0)
    return np.asarray(
        sum(code[k : k + length] * size ** (count - 1 - k) for k in range(count)), np.int64
    )


def _sets(above: Ints, group: Ints, count: int) -> Ints:
    """Write the pitch classes above the bass of each onset as bits, shape (count,).

    Bit 0 is a semitone; the bass itself has none.
    """
    tone = above % 12
    code = np.unique(group[tone > 0] * 16 + tone[tone > 0])
    return np.bincount(code // 16, 2.0 ** (code % 16 - 1), minlength=count).astype(np.int64)


def _split(values: NDArray[Any], segment: Ints, count: int) -> list[NDArray[Any]]:
    """Divide values by their excerpts, in order."""
    return np.split(values, np.searchsorted(segment, np.arange(1, count)))
