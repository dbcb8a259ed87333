"""Rules of craft by which proposed chords are ranked: what a teacher of harmony would strike out.

Chords are (frames, 3): root, quality, bass, counted from the tonic
(:mod:`styletransfer.model.chord_frames`). Each rule gives a share from 0 (kept) to 1; :data:`RULES`
says what it costs, in nats a frame beside a spread of about .05 between samples of one tune. The
prices are set by ear, on the example tunes, `eval/melodies` and songs of the validation split.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from styletransfer.model.chord_frames import NO_ROOT, Frames, changes_of
from styletransfer.music.chords import INTERVALS
from styletransfer.music.key import Key
from styletransfer.music.notes import NoteTable
from styletransfer.music.qualities import QUALITIES

RULES = {
    "cadence": 0.12,
    "contradiction": 0.8,
    "foreign": 0.4,
    "accidental": 0.4,
    "standstill": 0.5,
}
"""What each rule costs where it is broken throughout."""
FITS = 0.4
"""Of the tune, the share that must be of a chord that holds for :data:`LONG` beats or more within a
bar.
"""
LONG = 2
STRONG = 1.0
"""Quarters from which a note that begins on a beat counts as strong."""
SOME = 10
"""Of a tune's notes, one in so many may ask for an accidental before the share of those that are
denied counts in full.
"""
STEP = 2
"""Semitones by which a foreign note may be left."""
EARLY = 0.75
"""Beats of foreign tones under which the last tonic may not have come yet."""
STILL = 2
"""Bars on one root that are no standstill."""

MAJOR, MINOR, DIMINISHED, DOMINANT_SEVENTH = (
    QUALITIES.index(name) for name in ("major", "minor", "diminished", "dominant-seventh")
)
HALF_DIMINISHED, FULL_DIMINISHED = (
    QUALITIES.index("half-diminished"),
    QUALITIES.index("diminished-seventh"),
)

TONES = np.zeros((len(QUALITIES) + 1, 12), bool)
"""[quality, semitones above the root]; the last row, of no chord, has every tone."""
for _quality, _steps in enumerate(INTERVALS):
    TONES[_quality, list(_steps)] = True
TONES[-1] = True


def tones_at(chords: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The pitch classes of each chord, counted from the tonic, (n, 12); all where there is no
    chord.
    """
    root = np.where(chords[:, 0] < NO_ROOT, chords[:, 0], 0)
    tones: NDArray[np.bool_] = TONES[
        np.minimum(chords[:, 1], len(QUALITIES))[:, None], (np.arange(12) - root[:, None]) % 12
    ]
    return tones


def settles(notes: NoteTable, frames: Frames, key: Key) -> int | None:
    """The frame from which the last note can lie on the tonic: its own or the next beat's; None
    where it can't.
    """
    last = notes[notes["onset"] >= notes["onset"].max() - 1e-6]
    if int(last["pitch"].max()) % 12 not in key.triad:
        return None
    later = np.flatnonzero(frames.start >= float(last["onset"][0]) - 1e-3)
    return int(later[0]) if len(later) else len(frames) - 1


def opening_chords(frames: Frames, key: Key) -> NDArray[np.bool_] | None:
    """Which chords may come first, (12 x qualities,): tonic and dominant, of those that have
    :data:`FITS` of the tune's first full bar; None where none has."""
    rows = np.flatnonzero((frames.strength == 3) & (frames.tone < 12))
    if not len(rows):
        return None
    sound = np.roll(frames.sound[frames.bar == frames.bar[rows[0]]].sum((0, 1)), -key.tonic)
    allowed = np.zeros(12 * len(QUALITIES), bool)
    for root, quality in (
        (0, MINOR if key.mode == "minor" else MAJOR),
        (7, MAJOR),
        (7, DOMINANT_SEVENTH),
    ):
        inside = sum(float(sound[(root + step) % 12]) for step in INTERVALS[quality])
        allowed[root * len(QUALITIES) + quality] = inside >= FITS * float(sound.sum())
    return allowed if allowed.any() else None


def penalties(chords: NDArray[np.int64], notes: NoteTable, frames: Frames, key: Key) -> float:
    """What the rules take off a proposal, nats a frame."""
    return sum(RULES[name] * value for name, value in broken(chords, notes, frames, key).items())


def broken(
    chords: NDArray[np.int64], notes: NoteTable, frames: Frames, key: Key
) -> dict[str, float]:
    """How far each rule is broken, from 0 to 1."""
    tones = tones_at(chords)
    foreign, accidental = _notes(tones, _conflicts(chords, key), notes, frames, key)
    last = settles(notes, frames, key)
    return {
        "cadence": 0.0 if last is None else _cadence(chords, frames, key, last),
        "contradiction": _contradiction(tones, chords, frames, key),
        "foreign": foreign,
        "accidental": accidental,
        "standstill": _standstill(chords, frames),
    }


def _cadence(chords: NDArray[np.int64], frames: Frames, key: Key, last: int) -> float:
    """0 for a dominant in root position before the last tonic, .2 for a diminished chord on the
    leading tone, 1 for neither; half at least where the tonic comes before the tune does, under a
    tone that isn't its own."""
    if chords[-1, 0] != 0:
        return 1.0
    other = np.flatnonzero(chords[:, 0] != 0)
    if not len(other):
        return 1.0
    early = np.roll(frames.sound[other[-1] + 1 : last].mean(1), -key.tonic, axis=1)
    foreign = early[:, ~TONES[chords[-1, 1]]].sum() if len(early) else 0.0
    least = 0.5 if foreign >= EARLY else 0.0
    root, quality, bass = chords[other[-1]].tolist()
    if root == 7 and quality in (MAJOR, DOMINANT_SEVENTH):
        return max(0.0 if bass == 7 else 0.4, least)
    leading = quality in (DIMINISHED, HALF_DIMINISHED) and root == 11
    if leading or (quality == FULL_DIMINISHED and root in (11, 2, 5, 8)):
        return max(0.2 if bass in (11, 2) else 0.5, least)
    if key.mode == "minor" and root == 10 and quality == MAJOR:
        return max(
            0.4, least
        )  # of the modes; a dominant with a natural seventh would deny the tune's own
    return 0.7 if root in (5, 2) else 1.0


def _contradiction(
    tones: NDArray[np.bool_], chords: NDArray[np.int64], frames: Frames, key: Key
) -> float:
    """The share of beats in stretches, each of one chord in one bar and of two beats at least, that
    have too little of their tune."""
    sound = np.roll(frames.sound.mean(1), -key.tonic, axis=1)
    inside, every = (sound * tones).sum(1), sound.sum(1)
    edges = np.flatnonzero(changes_of(chords) | (np.diff(frames.bar, prepend=-1) != 0))
    lengths = np.diff(np.append(edges, len(chords)))
    fits, all_ = np.add.reduceat(inside, edges), np.add.reduceat(every, edges)
    return float((lengths * ((lengths >= LONG) & (fits < FITS * all_))).sum() / len(chords))


def _notes(
    tones: NDArray[np.bool_],
    conflicts: NDArray[np.bool_],
    notes: NoteTable,
    frames: Frames,
    key: Key,
) -> tuple[float, float]:
    """The shares of strong notes that are foreign and left by a leap, and of accidentals that the
    chord denies, be they the tune's against the chord's scale or the chord's against the tune's."""
    onset, end = notes["onset"].astype(float), notes["onset"].astype(float) + notes["duration"]
    pitch = notes["pitch"].astype(int)
    at = np.array([frames.at(value) for value in onset.tolist()])
    late = np.array([frames.at(value) for value in (end - 0.3).tolist()])
    tone = (pitch - key.tonic) % 12
    member = tones[at, tone] | tones[np.maximum(late, at), tone]
    after = np.append(pitch[1:], -99)
    by_step = np.abs(after - pitch) <= STEP
    on_beat = np.abs(frames.start[at] - onset) < 0.05
    strong = on_beat & (notes["duration"] >= STRONG - 1e-3)
    foreign = strong & ~member & ~by_step
    home = np.isin(pitch % 12, key.scale)
    told = ~home & (notes["duration"] >= 0.45)
    near = tones[at, (tone + 1) % 12] | tones[at, (tone - 1) % 12]
    denied = told & ~member & near
    against = conflicts[at, tone] & ~member & (notes["duration"] >= 0.45)
    share = (denied | against).sum() / max(told.sum(), len(notes) / SOME, 1)
    return float(foreign.sum() / max(strong.sum(), 1)), float(min(share, 1.0))


def _conflicts(chords: NDArray[np.int64], key: Key) -> NDArray[np.bool_]:
    """The scale's tones that each chord alters, (frames, 12): raised by its major third, augmented
    fifth or diminished root, lowered by its minor third or seventh."""
    result = np.zeros((len(chords), 12), bool)
    home = {(pitch_class - key.tonic) % 12 for pitch_class in key.scale}
    for root, quality in {(int(one), int(two)) for one, two in chords[:, :2] if one < NO_ROOT}:
        steps = INTERVALS[quality]
        raised = [step for step in (4, 8) if step in steps] + [0] * (steps[1:3] == (3, 6))
        lowered = [step for step in (3, 10) if step in steps and steps[1:3] != (3, 6)]
        altered = [((root + step) % 12, -1) for step in raised] + [
            ((root + step) % 12, 1) for step in lowered
        ]
        for tone, turn in altered:
            if tone not in home and (tone + turn) % 12 in home:
                result[(chords[:, 0] == root) & (chords[:, 1] == quality), (tone + turn) % 12] = (
                    True
                )
    return result


def _standstill(chords: NDArray[np.int64], frames: Frames) -> float:
    """The share of bars that begin on a root which has stood for :data:`STILL` bars already."""
    begin = np.flatnonzero(np.append(True, chords[1:, 0] != chords[:-1, 0]))
    last = np.append(begin[1:], len(chords)) - 1
    bars = frames.bar[last] - frames.bar[begin] + 1
    return float(np.maximum(bars - STILL, 0).sum() / max(int(frames.bar[-1]) + 1, 1))
