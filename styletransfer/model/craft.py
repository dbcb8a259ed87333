"""Penalise what a teacher of harmony would strike out in proposed chords.

Chords have shape (frames, 3): root, quality, bass, counted from the tonic
(:mod:`styletransfer.model.chord_frames`). Each rule gives a share from 0 (kept) to 1;
:data:`RULES` states what it costs, in nats per frame, compared with a spread of about 0.05 between
samples of one tune. The costs were set by ear, on the example tunes, `eval/melodies` and songs of
the validation split.
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
    "leaps": 0.2,
}
"""What each rule costs where it is broken throughout."""
FITS = 0.4
"""The share of the tune that must belong to a chord held for :data:`LONG` beats within a bar."""
LONG = 2
STRONG = 1.0
"""Quarters that a note on a beat must last to count as strong."""
SOME = 10
"""One in this many notes of a tune must ask for an accidental before their share counts in full.

It is the share of those whose accidental the chord denies.
"""
STEP = 2
"""Semitones by which a foreign note may be left."""
EARLY = 0.75
"""Beats of foreign tones over which the final tonic counts as too early."""
STILL = 2
"""Bars on one root that aren't yet a standstill."""
LEAP = 5
"""The fewest semitones of a leap of the bass, the shorter way round: a fourth or a tritone."""

MAJOR, MINOR, DIMINISHED, DOMINANT_SEVENTH = (
    QUALITIES.index(name) for name in ("major", "minor", "diminished", "dominant-seventh")
)
HALF_DIMINISHED, FULL_DIMINISHED = (
    QUALITIES.index("half-diminished"),
    QUALITIES.index("diminished-seventh"),
)

TONES = np.zeros((len(QUALITIES) + 1, 12), bool)
"""Which tones belong to a chord, by quality and semitones above the root.

The last row is that of no chord, and has every tone.
"""
for _quality, _steps in enumerate(INTERVALS):
    TONES[_quality, list(_steps)] = True
TONES[-1] = True


def tones_at(chords: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return each chord's pitch classes, counted from the tonic, shape (chords, 12).

    Where there is no chord, all of them.
    """
    root = np.where(chords[:, 0] < NO_ROOT, chords[:, 0], 0)
    tones: NDArray[np.bool_] = TONES[
        np.minimum(chords[:, 1], len(QUALITIES))[:, None], (np.arange(12) - root[:, None]) % 12
    ]
    return tones


def settles(notes: NoteTable, frames: Frames, key: Key) -> int | None:
    """Find the frame from which the last note can stand on the tonic, or None.

    It is the note's own frame or the next.
    """
    last = notes[notes["onset"] >= notes["onset"].max() - 1e-6]
    if int(last["pitch"].max()) % 12 not in key.triad:
        return None
    later = np.flatnonzero(frames.start >= float(last["onset"][0]) - 1e-3)
    return int(later[0]) if len(later) else len(frames) - 1


def opening_chords(frames: Frames, key: Key) -> NDArray[np.bool_] | None:
    """Mark the chords that may come first, shape (12 x qualities,).

    They are the tonic and the dominant, if :data:`FITS` of the tune's first full bar belongs to
    them; None where neither fits.
    """
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
    """Add up what the rules take off a proposal, in nats per frame."""
    return sum(RULES[name] * value for name, value in broken(chords, notes, frames, key).items())


def broken(
    chords: NDArray[np.int64], notes: NoteTable, frames: Frames, key: Key
) -> dict[str, float]:
    """Measure how far each rule is broken, from 0 to 1."""
    tones = tones_at(chords)
    foreign, accidental = _notes(tones, _conflicts(chords, key), notes, frames, key)
    last = settles(notes, frames, key)
    return {
        "cadence": 0.0 if last is None else _cadence(chords, frames, key, last),
        "contradiction": _contradiction(tones, chords, frames, key),
        "foreign": foreign,
        "accidental": accidental,
        "standstill": _standstill(chords, frames),
        "leaps": _leaps(chords),
    }


def _cadence(chords: NDArray[np.int64], frames: Frames, key: Key, last: int) -> float:
    """Judge what precedes the last tonic.

    Returns:
        0 for a dominant in root position, 0.2 for a diminished chord on the leading tone, 1 for
        neither, and more than 0 for inversions and weaker chords; at least a half where the tonic
        comes earlier than in the tune, under a tone that isn't its own.
    """
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
        # The subtonic is the modes' dominant; a leading tone would deny the tune's natural seventh.
        return max(0.4, least)

    return 0.7 if root in (5, 2) else 1.0


def _contradiction(
    tones: NDArray[np.bool_], chords: NDArray[np.int64], frames: Frames, key: Key
) -> float:
    """Return the share of beats whose chord has too little of the tune.

    Stretches of one chord in one bar are judged whole, if they last for two beats at least.
    """
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
    """Return the share of foreign strong notes, and the share of denied accidentals.

    A foreign note counts if it is left by a leap. An accidental is denied where the tune's is
    against the chord's scale, or the chord's against the tune's.
    """
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
    accidental = ~home & (notes["duration"] >= 0.45)
    near = tones[at, (tone + 1) % 12] | tones[at, (tone - 1) % 12]
    denied = accidental & ~member & near
    against = conflicts[at, tone] & ~member & (notes["duration"] >= 0.45)
    share = (denied | against).sum() / max(accidental.sum(), len(notes) / SOME, 1)
    return float(foreign.sum() / max(strong.sum(), 1)), float(min(share, 1.0))


def _conflicts(chords: NDArray[np.int64], key: Key) -> NDArray[np.bool_]:
    """Mark the tones of the scale that each chord alters, shape (frames, 12).

    They are raised by its major third, augmented fifth or diminished root, or lowered by its minor
    third or seventh.
    """
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
    """Return the share of bars beyond the first :data:`STILL` bars on one root."""
    begin = np.flatnonzero(np.append(True, chords[1:, 0] != chords[:-1, 0]))
    last = np.append(begin[1:], len(chords)) - 1
    bars = frames.bar[last] - frames.bar[begin] + 1
    return float(np.maximum(bars - STILL, 0).sum() / max(int(frames.bar[-1]) + 1, 1))


def _leaps(chords: NDArray[np.int64]) -> float:
    """Return the share of changes of chord at which the bass leaps, the last change aside."""
    named = chords[chords[:, 0] < NO_ROOT]
    changes = np.flatnonzero((named[1:, [0, 2]] != named[:-1, [0, 2]]).any(axis=1))[:-1]
    steps = np.abs((named[changes + 1, 2] - named[changes, 2] + 6) % 12 - 6)
    return float((steps >= LEAP).mean()) if len(steps) else 0.0
