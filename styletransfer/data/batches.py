"""Draw training windows from a prepared data set.

They are augmented on the fly, after the split.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from styletransfer.data.library import Library, doublings
from styletransfer.music.notes import Feel
from styletransfer.tokens.codec import (
    HIGHEST_PITCH,
    LOWEST_PITCH,
    STEPS_PER_QUARTER,
    Codec,
    Event,
    Grid,
)
from styletransfer.tokens.controls import UNKNOWN, Controls
from styletransfer.tokens.figures import accompaniment, figure_of, figures_of, references_of
from styletransfer.tokens.follower import Follower, TokenLists

PLAINER = 0.8
"""The share that :func:`plainer` removes of the notes that it may remove from a melody."""
STEP = 2
"""Semitones; a melody that moves down by more makes a leap."""
LONGEST = 2 * STEPS_PER_QUARTER
"""Steps; a note that begins this long or longer after the last one kept isn't removed."""
IGNORE = -100
"""The label that PyTorch's cross entropy ignores."""


@dataclass(frozen=True)
class MixtureConfig:
    """What training windows are drawn from.

    ``score_share``: the share of windows of scores; the rest are of performances. ``song_share``:
    of the former, the share of pieces whose tune is a part of its own; 0 for their share of the
    notes. ``melody_share``: windows with a melody to accompany. ``plain_share``: of these, windows
    with a plainer melody (:func:`plainer`), except of songs, whose tunes are plain. ``plan_share``
    and ``reference_share``: windows of scores that are given chords, and which bars follow which.
    ``figure_share``: of the latter, windows with a figure at their head. ``drop_style`` and
    ``drop_composer``: windows without any style token, and with the era's alone. ``start_share``:
    windows that begin where the piece does.

    ``transpose``: the most semitones up or down. ``stretch``: the share by which performances are
    faster or slower at most. ``loudness``: the most bins by which velocities move.
    """

    score_share: float = 0.5
    song_share: float = 0.0
    melody_share: float = 0.75
    plan_share: float = 0.8
    reference_share: float = 0.8
    figure_share: float = 0.3
    plain_share: float = 0.4
    drop_style: float = 0.15
    drop_composer: float = 0.15
    start_share: float = 0.25
    transpose: int = 5
    stretch: float = 0.1
    loudness: int = 2

    def __post_init__(self) -> None:
        shares = (
            self.score_share,
            self.song_share,
            self.melody_share,
            self.plan_share,
            self.reference_share,
            self.figure_share,
            self.plain_share,
            self.drop_style,
            self.drop_composer,
            self.start_share,
            self.stretch,
        )
        if not all(0 <= share <= 1 for share in shares) or self.drop_style + self.drop_composer > 1:
            raise ValueError("shares lie between 0 and 1")
        if self.transpose < 0 or self.loudness < 0:
            raise ValueError("transpose and loudness aren't negative")


def piece_grid(library: Library, codec: Codec, index: int, stretch: float = 1.0) -> Grid:
    """Put a piece of a library on the codec's steps, with its chords.

    Where the tune is a part of its own, the accompaniment's notes in unison with it are left out.
    ``stretch`` multiplies a performance's times.
    """
    piece = library.pieces[index]
    notes = library.notes(index)
    if piece.tune == "part":
        notes = notes[~doublings(notes)]
    if stretch != 1.0 and piece.feel == "performance":
        notes = notes.copy()
        notes["onset"] *= stretch
        notes["duration"] *= stretch
    chords = library.chords(index)
    return codec.grid_of(
        piece.feel, notes, library.bars(index), chords if len(chords) and codec.plans else None
    )


def transposed(grid: Grid, semitones: int, loudness: int = 0, velocities: int = 32) -> Grid:
    """Move a grid by semitones and by velocity bins; no note leaves the keyboard."""
    low, high = int(grid.pitch.min()), int(grid.pitch.max())
    semitones = min(max(semitones, LOWEST_PITCH - low), HIGHEST_PITCH - high)
    fields = {name: getattr(grid, name) for name in grid.__dataclass_fields__}
    fields["pitch"] = grid.pitch + semitones
    fields["velocity"] = np.clip(grid.velocity + loudness, 0, velocities - 1)
    fields["chords"] = tuple(tuple(chord.moved(semitones) for chord in bar) for bar in grid.chords)
    fields["figure"] = tuple(event._replace(pitch=event.pitch + semitones) for event in grid.figure)
    return Grid(**fields)


def plainer(grid: Grid, codec: Codec, rng: np.random.Generator) -> Grid:
    """Make a grid's melody plainer.

    Notes that lie below the one before, by a leap or off the beat, become accompaniment. The top
    line of a piano piece is seldom as plain as a folk tune, as it has figures of the accompaniment
    in it. If it were always given whole, a model would learn that under a plain tune all is plain.
    A note that stays lasts over those that went, as far as a token's duration allows; of those that
    could go, :data:`PLAINER` do.
    """
    melody, duration = grid.melody.copy(), grid.duration.copy()
    at = np.flatnonzero(melody)
    bar = np.searchsorted(grid.bar_start, grid.onset[at], side="right") - 1
    off_beat = (
        (grid.onset[at] - grid.bar_start[bar]) % STEPS_PER_QUARTER != 0
        if grid.feel == "score"
        else np.zeros(len(at), bool)
    )
    goes = rng.random(len(at)) < PLAINER

    kept = -1
    gone = False
    for index, off, may in zip(at.tolist(), off_beat.tolist(), goes.tolist(), strict=True):
        below = int(grid.pitch[kept]) - int(grid.pitch[index]) if kept >= 0 else 0
        lasts = int(grid.onset[index] - grid.onset[kept]) if kept >= 0 else 0
        if may and below > 0 and (off or below > STEP) and 0 < lasts < LONGEST:
            melody[index], gone = False, True
            continue
        if gone:
            longest = int(
                codec.durations[np.searchsorted(codec.durations, lasts, side="right") - 1]
            )
            duration[kept] = max(int(duration[kept]), longest)
        kept, gone = index, False
    return replace(grid, melody=melody, duration=duration)


class PieceWindows(ABC):
    """Training windows by number.

    Window ``i`` depends on the seed and ``i`` alone, so that a run can resume anywhere. It is a
    dict of ``input_ids`` and ``labels``, both int64 of shape (context,); labels are -100 where
    nothing is learnt. With ``lists``, it also has its ``features``, shape (context, features), so
    that an accelerator needn't wait for them. A subclass defines the sequence of a piece.
    ``plans``: whether its tokens can state what a tune is.
    """

    plans = False
    lists: TokenLists | None = None

    def __init__(
        self,
        library: Library,
        pad: int,
        mixture: MixtureConfig,
        context: int,
        seed: int,
        split: str = "train",
    ) -> None:
        self.library, self.pad, self.mixture, self.context, self.seed = (
            library,
            pad,
            mixture,
            context,
            seed,
        )
        feels: tuple[Feel, Feel] = ("score", "performance")
        self.pools = {feel: np.array(library.select(split=split, feel=feel)) for feel in feels}
        self.pools = {feel: pool for feel, pool in self.pools.items() if len(pool)}
        if not self.pools:
            raise ValueError(f"the data set has no pieces in its {split} split")

        self.weights = {}
        for feel, pool in self.pools.items():
            counts = np.array([library.pieces[i].count for i in pool], dtype=float)
            songs = np.array([library.pieces[i].tune == "part" for i in pool])
            if mixture.song_share and feel == "score" and songs.any() and not songs.all():
                counts[songs] *= mixture.song_share / counts[songs].sum()
                counts[~songs] *= (1 - mixture.song_share) / counts[~songs].sum()
            self.weights[feel] = np.cumsum(counts / counts.sum())

    def __len__(self) -> int:
        return 1 << 40

    def __getitem__(self, number: int) -> dict[str, NDArray[np.int64]]:
        rng = np.random.default_rng((self.seed, number))
        feel: Feel = "score" if rng.random() < self.mixture.score_share else "performance"
        if feel not in self.pools:
            feel = next(iter(self.pools))

        pool, weights = self.pools[feel], self.weights[feel]
        index = int(
            pool[min(int(np.searchsorted(weights, rng.random(), side="right")), len(pool) - 1)]
        )
        ids, scored = self.sequence(index, rng)
        row = padded(ids, scored, self.context, self.pad)
        if self.lists is not None:
            follower = Follower(self.lists)
            row["features"] = np.array(
                [follower.push(index) for index in row["input_ids"].tolist()]
            )
        return row

    @abstractmethod
    def sequence(self, index: int, rng: np.random.Generator) -> tuple[list[int], list[bool]]:
        """Return about ``context`` tokens from somewhere in a piece, and which are learnt."""

    def controls(self, index: int, rng: np.random.Generator) -> Controls:
        """Return the piece's controls, at times without its style."""
        piece = self.library.pieces[index]
        drop = rng.random()
        if drop < self.mixture.drop_style:
            era, composer = UNKNOWN, UNKNOWN
        elif drop < self.mixture.drop_style + self.mixture.drop_composer:
            era, composer = piece.era, UNKNOWN
        else:
            era, composer = piece.era, piece.composer
        tune = piece.tune if self.plans and piece.feel == "score" else ""
        return Controls(piece.feel, era, composer, piece.quarters_per_minute, tune=tune)


class Windows(PieceWindows):
    """Windows of the default tokenizer, with or without a melody to accompany."""

    def __init__(
        self,
        library: Library,
        codec: Codec,
        mixture: MixtureConfig,
        context: int,
        seed: int,
        split: str = "train",
    ) -> None:
        super().__init__(library, codec.pad, mixture, context, seed, split)
        self.codec, self.plans = codec, codec.plans

    def sequence(self, index: int, rng: np.random.Generator) -> tuple[list[int], list[bool]]:
        """Augment a piece and encode a window of it."""
        mixture = self.mixture
        grid = piece_grid(
            self.library,
            self.codec,
            index,
            float(1 + rng.uniform(-mixture.stretch, mixture.stretch)),
        )
        semitones = int(rng.integers(-mixture.transpose, mixture.transpose + 1))
        loudness = int(rng.integers(-mixture.loudness, mixture.loudness + 1))
        grid = transposed(grid, semitones, loudness, self.codec.config.velocities)

        with_melody = bool(rng.random() < mixture.melody_share) and bool(grid.melody.any())
        texture = self.library.pieces[index].tune == "texture"
        if with_melody and mixture.plain_share and rng.random() < mixture.plain_share and texture:
            grid = plainer(grid, self.codec, rng)

        first = 0
        if rng.random() >= mixture.start_share:
            # A later start would fill little of the context: a note is about three tokens.
            last_note = len(grid.onset) - self.context // 4
            last_start = int(np.searchsorted(grid.bar_slices, last_note, side="right")) - 1
            first = int(rng.integers(0, max(last_start, 0) + 1))
        if self.plans and with_melody and grid.feel == "score":
            grid = self.planned(grid, first, rng)
        key = self.codec.melody_key(grid, first) if with_melody else UNKNOWN
        controls = replace(self.controls(index, rng), key=key)
        return self.codec.encode(
            grid, controls.tokens(), first, with_melody=with_melody, limit=self.context
        )

    def planned(self, grid: Grid, first: int, rng: np.random.Generator) -> Grid:
        """Give a grid the plan of a window from bar ``first`` on.

        It may have chords, references, and a figure from anywhere in the piece.
        """
        mixture, codec = self.mixture, self.codec
        chords = grid.chords if rng.random() < mixture.plan_share else ()
        if rng.random() >= mixture.reference_share:
            return replace(grid, chords=chords)
        head: tuple[Event, ...] = ()
        if rng.random() < mixture.figure_share:
            bar = int(rng.integers(0, grid.bars))
            head = tuple(accompaniment(codec.bar_events(grid, bar), codec.melody_events(grid, bar)))

        last_note = int(grid.bar_slices[first]) + self.context // 2  # a note is at least two tokens
        last = int(np.searchsorted(grid.bar_slices, last_note, side="right"))
        figures = figures_of(codec, grid, range(first, min(last + 1, grid.bars)))
        references = (0,) * first + references_of(figures, figure_of(head) if head else None)
        references += (0,) * (grid.bars - len(references))
        return replace(grid, chords=chords, references=references, figure=head)


def padded(
    ids: list[int], scored: list[bool], context: int, pad: int
) -> dict[str, NDArray[np.int64]]:
    """Pad or cut ids and labels to exactly ``context`` tokens."""
    row = np.full(context, pad, np.int64)
    labels = np.full(context, IGNORE, np.int64)
    count = min(len(ids), context)
    row[:count] = ids[:count]
    labels[:count] = np.where(scored[:count], row[:count], IGNORE)
    return {"input_ids": row, "labels": labels}
