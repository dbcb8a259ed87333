"""Prepare the harmoniser's training data: scores with versions of their tune.

Windows of them are drawn as tensors for :mod:`pretrain.harmoniser`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.data.batches import piece_grid, plainer
from styletransfer.data.library import Library
from styletransfer.model.chord_frames import NO_ROOT, Frames, changes_of, chord_frames, frames_of
from styletransfer.music.key import key_scores
from styletransfer.music.notes import BarTable, NoteTable, make_notes
from styletransfer.tokens.codec import STEPS_PER_QUARTER, Codec

if TYPE_CHECKING:
    from styletransfer.model.harmoniser import HarmoniserConfig, History, MelodyBatch

HYMNS = ("bach-chorales", "open-hymnal")
SHARES = {"song": 0.6, "hymn": 0.15, "keyboard": 0.25}
"""The share of windows of each genre."""
WHOLE, ALONE, PLAINER = 0.35, 0.35, 0.3
"""The shares of windows with the bars before and after the tune, without them, and with a plainer
tune without them.
"""
HINTED, RATED = 0.4, 0.5
"""The shares of windows in which some chords, and in which the harmonic rhythm, are given."""
NO_STYLE, ERA_ALONE, NO_GENRE = 0.15, 0.15, 0.1
"""The shares of windows without style, with the era alone, and without genre."""
OTHER_KEY = 0.1
"""The share of windows in a key that is drawn from the likely ones."""
KEY_SPREAD = 0.06
"""The temperature of that draw, in units of correlation."""
WINDOW, BATCH = 128, 48
"""Frames in a window, and windows in a step."""


@dataclass(frozen=True)
class Telling:
    """A version of a melody.

    ``first``: where its frames begin among the chords' frames. ``keys``: how well each key fits,
    shape (24,).
    """

    frames: Frames
    first: int
    keys: NDArray[np.float64]


@dataclass(frozen=True)
class Example:
    """A piece with its labels.

    ``tellings``: versions of its melody: whole, alone, plainer. ``chords``: those of all its
    frames, shape (frames, 3).
    """

    piece: int
    tellings: tuple[Telling, ...]
    chords: NDArray[np.int64]
    composer: str
    era: str
    genre: str

    @property
    def sung(self) -> bool:
        """Whether its melody is a part of its own."""
        return self.genre != "keyboard"


def genre_of(library: Library, index: int) -> str:
    """Return a piece's genre.

    It is song or hymn, by the source, where the tune is a part of its own, else keyboard.
    """
    piece = library.pieces[index]
    if piece.tune != "part":
        return "keyboard"
    return "hymn" if piece.source in HYMNS else "song"


def examples(
    library: Library, split: str, codec: Codec, genres: Sequence[str] = tuple(SHARES)
) -> Iterator[Example]:
    """Yield the scores of a split that have a melody and chords."""
    for index in library.select(split=split, feel="score"):
        notes, bars, piece = library.notes(index), library.bars(index), library.pieces[index]
        if notes["melody"].sum() < 8 or len(bars) < 4 or genre_of(library, index) not in genres:
            continue
        melody = notes[notes["melody"]]
        tempo = piece.quarters_per_minute
        whole = frames_of(melody, bars, tempo)

        rng = np.random.default_rng(index)
        tellings = [Telling(whole, 0, key_scores(melody).ravel())]
        grid = plainer(piece_grid(library, codec, index), codec, rng)
        at = np.flatnonzero(grid.melody)
        plain = make_notes(
            grid.onset[at] / STEPS_PER_QUARTER,
            grid.duration[at] / STEPS_PER_QUARTER,
            grid.pitch[at],
            melody=True,
        )
        for tune in (melody, plain):
            own = tune_bars(tune, bars)
            frames = frames_of(tune, own, tempo)
            tellings.append(
                Telling(frames, whole.at(float(own["start"][0])), key_scores(tune).ravel())
            )

        chords = chord_frames(library.chords(index), whole)
        if (chords[:, 0] < NO_ROOT).mean() > 0.5:
            yield Example(
                index, tuple(tellings), chords, piece.composer, piece.era, genre_of(library, index)
            )


def tune_bars(tune: NoteTable, bars: BarTable) -> BarTable:
    """Return the bars from a tune's first note to its last."""
    end = float((tune["onset"] + tune["duration"]).max())
    stop = bars["start"].astype(float) + bars["length"]
    inside: BarTable = bars[(stop > tune["onset"].min() + 1e-3) & (bars["start"] < end - 1e-3)]
    return inside


@dataclass(frozen=True)
class Window:
    """Some frames of a melody in a key, with the style, rate and hints that are given."""

    example: Example
    telling: Telling
    first: int
    stop: int
    key: int
    style: tuple[int, int, int]
    rate: int
    shown: NDArray[np.bool_]


def window(
    pool: Sequence[Example],
    weights: NDArray[np.float64],
    config: HarmoniserConfig,
    rng: np.random.Generator,
) -> Window:
    """Draw a window of a pool by cumulative weights."""
    from styletransfer.model.harmoniser import rate_class

    example = pool[min(int(np.searchsorted(weights, rng.random() * weights[-1])), len(pool) - 1)]
    telling = example.tellings[int(np.searchsorted(np.cumsum([WHOLE, ALONE]), rng.random()))]
    bars = telling.frames.bar
    last = max(int(bars[-1]) - round(WINDOW / max(len(bars) / (int(bars[-1]) + 1), 1)) + 2, 1)
    place = rng.random()
    bar = 0 if place < 0.25 else last - 1 if place < 0.5 else int(rng.integers(0, last))
    first = int(np.searchsorted(bars, bars[0] + min(bar, int(bars[-1]))))
    stop = min(first + WINDOW, len(bars))

    key = int(telling.keys.argmax())
    if rng.random() < OTHER_KEY:
        chance = np.exp((telling.keys - telling.keys.max()) / KEY_SPREAD)
        key = int(rng.choice(24, p=chance / chance.sum()))

    composer, era, genre = config.style_ids(example.composer, example.era, example.genre)
    drop = rng.random()
    if drop < NO_STYLE + ERA_ALONE:
        composer, era = 0, 0 if drop < NO_STYLE else era
    if rng.random() < NO_GENRE:
        genre = 0

    own = example.chords[telling.first + first : telling.first + stop]
    rate = 0
    if rng.random() < RATED:
        rate = rate_class(
            float(changes_of(own).sum()) / max(int(bars[stop - 1] - bars[first]) + 1, 1)
        )
    shown = hints(own, rng) if rng.random() < HINTED else np.zeros(len(own), bool)
    return Window(example, telling, first, stop, key, (composer, era, genre), rate, shown)


def hints(chords: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mark frames whose chord is shown, shape (frames,).

    They are the last chord, the beginning, or some chords, each from somewhere to its end.
    """
    begin = np.flatnonzero(changes_of(chords))
    span = np.cumsum(changes_of(chords)) - 1
    kind = rng.random()
    chosen = np.zeros(len(begin), bool)
    if kind < 0.4:
        chosen[-1] = True
        chosen[0] = rng.random() < 0.5
    elif kind < 0.55:
        chosen[: int(rng.integers(1, len(begin) + 1))] = True
    else:
        chosen[:] = rng.random(len(begin)) < rng.random() * 0.7

    shown: NDArray[np.bool_] = chosen[span]
    length = np.diff(np.append(begin, len(chords)))
    late = np.where(rng.random(len(begin)) < 0.3, (rng.random(len(begin)) * length).astype(int), 0)
    reached: NDArray[np.bool_] = np.arange(len(chords)) >= (begin + late)[span]
    return np.asarray(shown & reached)


def tensors(windows: Sequence[Window]) -> tuple[MelodyBatch, History, Any]:
    """Make a batch of windows.

    Returns:
        The melodies, the chords before each frame, and the targets by name.
    """
    import torch

    from styletransfer.model.harmoniser import (
        START,
        START_QUALITY,
        History,
        MelodyBatch,
        class_of,
        since_class,
    )

    a = _arrays(windows)
    before = np.concatenate(
        [np.tile([START, START_QUALITY, START], (len(windows), 1, 1)), a.chords[:, :-1]], 1
    )
    t = {name: torch.from_numpy(value) for name, value in a.ints.items()}
    melody = MelodyBatch(
        torch.from_numpy(a.sound),
        torch.from_numpy(a.numbers),
        t["tone"],
        t["place"],
        t["metre"],
        torch.tensor([w.style for w in windows]),
        torch.tensor([w.key // 12 for w in windows]),
        torch.tensor([int(w.example.sung) for w in windows]),
        torch.tensor([w.rate for w in windows]),
        torch.from_numpy(a.shown),
    )

    root, quality, bass = torch.from_numpy(before).unbind(-1)
    target = torch.from_numpy(a.chords)
    goal = {
        "chord": class_of(target[..., 0], target[..., 1]),
        "bass": torch.where(target[..., 0] < 12, (target[..., 2] - target[..., 0]) % 12, -100),
        "change": torch.from_numpy(a.change),
        "inside": torch.from_numpy(a.inside),
    }
    return melody, History(root, quality, bass, since_class(t["since"])), goal


@dataclass
class _Arrays:
    """A batch of windows, padded to the length of the longest.

    ``ints``: ``tone``, ``place``, ``metre`` and ``since`` of each frame. ``inside``: which frames
    are a window's own. All begin with (windows, frames).
    """

    sound: NDArray[np.float32]
    numbers: NDArray[np.float32]
    ints: dict[str, NDArray[np.int64]]
    shown: NDArray[np.int64]
    chords: NDArray[np.int64]
    change: NDArray[np.bool_]
    inside: NDArray[np.bool_]


def _arrays(windows: Sequence[Window]) -> _Arrays:
    """Put windows side by side, their chords counted from the tonic."""
    from styletransfer.model.harmoniser import HIDDEN, HIDDEN_QUALITY

    time = max(w.stop - w.first for w in windows)
    count, numbers = len(windows), windows[0].telling.frames.numbers.shape[1]
    a = _Arrays(
        np.zeros((count, time, 2, 12), np.float32),
        np.zeros((count, time, numbers), np.float32),
        {name: np.zeros((count, time), np.int64) for name in ("tone", "place", "metre", "since")},
        np.tile([HIDDEN, HIDDEN_QUALITY, HIDDEN], (count, time, 1)),
        np.tile([12, 9, 12], (count, time, 1)),
        np.zeros((count, time), bool),
        np.zeros((count, time), bool),
    )
    a.ints["tone"][:] = 12

    for row, w in enumerate(windows):
        f, rows, n = w.telling.frames, slice(w.first, w.stop), w.stop - w.first
        tonic = w.key % 12
        a.sound[row, :n] = np.roll(f.sound[rows], -tonic, axis=2)
        a.numbers[row, :n] = f.numbers[rows]
        a.ints["tone"][row, :n] = np.where(f.tone[rows] < 12, (f.tone[rows] - tonic) % 12, 12)
        a.ints["place"][row, :n], a.ints["metre"][row, :n] = f.place[rows], f.metre[rows]

        first = w.telling.first
        own = from_tonic(w.example.chords[first + w.first : first + w.stop], tonic)
        a.chords[row, :n] = own
        a.change[row, :n] = changes_of(own)
        a.inside[row, :n] = True
        a.shown[row, :n][w.shown] = own[w.shown]
        at = np.flatnonzero(a.change[row, :n])
        a.ints["since"][row, 1:n] = (np.arange(n) - at[np.cumsum(a.change[row, :n]) - 1])[:-1] + 1
    return a


def from_tonic(chords: NDArray[np.int64], tonic: int) -> NDArray[np.int64]:
    """Count root and bass of chords, shape (frames, 3), from a tonic."""
    result = chords.copy()
    for column in (0, 2):
        result[:, column] = np.where(chords[:, column] < 12, (chords[:, column] - tonic) % 12, 12)
    return result


def whole(example: Example, config: HarmoniserConfig, telling: int = 0) -> Window:
    """Return all frames of a piece, with its style."""
    version = example.tellings[telling]
    style = config.style_ids(example.composer, example.era, example.genre)
    count = len(version.frames)
    return Window(
        example,
        version,
        0,
        count,
        int(version.keys.argmax()),
        (style[0], style[1], style[2]),
        0,
        np.zeros(count, bool),
    )
