"""Folders of music as sources have it, for tests of what prepares them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import symusic
from numpy.typing import NDArray

from styletransfer.data.library import Library, PieceInfo

TPQ = 480
Tune = tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]
]  # onset in sixteenths, pitch, hand


def tune(seed: int, quarters: int = 32) -> Tune:
    """Make random music of two hands: a walk in quarters and eighths over a bass."""
    rng = np.random.default_rng(seed)
    right = np.cumsum(rng.choice([2, 4], quarters * 2))
    left = np.arange(0, int(right[-1]), 4)
    onset = np.concatenate([right - right[0], left])
    pitch = np.concatenate([rng.integers(62, 86, len(right)), rng.integers(36, 58, len(left))])
    return onset, pitch, np.repeat([0, 1], [len(right), len(left)])


def write(path: Path, music: Tune, *, performed: int | None = None) -> None:
    """Write a MIDI file: two tracks on the grid in 3/4.

    With a seed, it is one track played freely.
    """
    onset, pitch, hand = music
    score: Any = symusic.Score(TPQ)  # symusic's stubs know its factories only
    score.tempos.append(symusic.Tempo(0, qpm=90 if performed is None else 120))
    if performed is None:
        score.time_signatures.append(symusic.TimeSignature(0, 3, 4))
        ticks = onset * TPQ // 4
        hands = hand
    else:
        rng = np.random.default_rng(performed)
        ticks = (onset * TPQ // 3 * 1.03 + rng.uniform(0, 35, len(onset))).astype(int)
        hands = np.zeros_like(hand)
    for number in np.unique(hands):
        track: Any = symusic.Track(name=("right", "left")[number])
        for time, key in zip(ticks[hands == number], pitch[hands == number], strict=True):
            track.notes.append(symusic.Note(int(time), TPQ // 4, int(key), 70))
        score.tracks.append(track)
    path.parent.mkdir(parents=True, exist_ok=True)
    score.dump_midi(path)


def table(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def by_id(library: Library) -> dict[str, PieceInfo]:
    return {piece.id: piece for piece in library.pieces}
