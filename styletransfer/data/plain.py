"""Draw training windows for plain tokenizers, without a melody."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from styletransfer.data.batches import MixtureConfig, PieceWindows
from styletransfer.data.library import Library
from styletransfer.music.notes import Feel, NoteTable
from styletransfer.tokens.codec import HIGHEST_PITCH, LOWEST_PITCH
from styletransfer.tokens.tokenizer import PlainTokenizer, Table

VELOCITIES_A_BIN = 4
"""Velocities in a bin of ``MixtureConfig.loudness``: 127 velocities in 32 bins."""


def piece_table(library: Library, index: int) -> Table:
    """Return a piece of a library as :meth:`PlainTokenizer.music` takes it."""
    piece = library.pieces[index]
    return piece.feel, library.notes(index), library.bars(index), piece.quarters_per_minute


def training_tables(
    library: Library, notes: int, mixture: MixtureConfig | None = None
) -> Iterator[Table]:
    """Choose training pieces with about so many notes together, evenly spread.

    They are only of the feels that ``mixture`` trains on.
    """
    share = 0.5 if mixture is None else mixture.score_share
    pool = library.select(split="train", feel={0.0: "performance", 1.0: "score"}.get(share))
    total = sum(library.pieces[index].count for index in pool)
    taken = seen = 0
    for index in pool:
        seen += library.pieces[index].count
        if taken < notes * seen / total:
            taken += library.pieces[index].count
            yield piece_table(library, index)


class PlainWindows(PieceWindows):
    """Windows of a plain tokenizer.

    All after controls, metre and tempo is learnt.

    ``melody_share`` has no effect.
    """

    def __init__(
        self,
        library: Library,
        codec: PlainTokenizer,
        mixture: MixtureConfig,
        context: int,
        seed: int,
        split: str = "train",
    ) -> None:
        super().__init__(library, codec.pad, mixture, context, seed, split)
        self.codec = codec

    def sequence(self, index: int, rng: np.random.Generator) -> tuple[list[int], list[bool]]:
        """Augment a piece and encode a window of it."""
        feel, notes, bars, tempo = piece_table(self.library, index)
        notes = varied(feel, notes, self.mixture, rng)
        controls = self.controls(index, rng)

        first = 0
        if rng.random() >= self.mixture.start_share:
            first = int(rng.integers(0, max(len(notes) - self.context // 4, 0) + 1))
        if feel == "score" and first:  # from a bar line, so that the metre holds
            bar = int(np.searchsorted(bars["start"], notes["onset"][first], side="right")) - 1
            bars = bars[max(bar, 0) :]
            first = int(np.searchsorted(notes["onset"], bars["start"][0]))
        notes = notes[first:]
        if feel == "performance" and first:
            notes["onset"] -= notes["onset"][0]

        count = self.context // 2
        music = self.codec.music(feel, notes[:count], bars, tempo)
        while len(music) < self.context and count < len(notes):  # merges make more notes fit
            count *= 2
            music = self.codec.music(feel, notes[:count], bars, tempo)

        head = [self.codec.vocabulary[name] for name in controls.tokens()]
        ids = [*head, *music, self.codec.eos] if count >= len(notes) else [*head, *music]
        opening = len(head) + len(self.codec.leading(music))
        return ids, [position >= opening for position in range(len(ids))]


def varied(
    feel: Feel, notes: NoteTable, mixture: MixtureConfig, rng: np.random.Generator
) -> NoteTable:
    """Copy notes, transposed, louder or softer, a performance faster or slower.

    No note leaves the keyboard.
    """
    notes = notes.copy()
    if feel == "performance":
        stretch = 1 + rng.uniform(-mixture.stretch, mixture.stretch)
        notes["onset"] *= stretch
        notes["duration"] *= stretch
    low, high = LOWEST_PITCH - int(notes["pitch"].min()), HIGHEST_PITCH - int(notes["pitch"].max())
    shift = int(rng.integers(-mixture.transpose, mixture.transpose + 1))
    notes["pitch"] = notes["pitch"].astype(int) + (min(max(shift, low), high) if low <= high else 0)
    louder = int(rng.integers(-mixture.loudness, mixture.loudness + 1)) * VELOCITIES_A_BIN
    notes["velocity"] = np.clip(notes["velocity"].astype(int) + louder, 1, 127)
    return notes
