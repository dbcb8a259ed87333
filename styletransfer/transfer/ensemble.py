"""Who plays an arrangement: its parts, and which of them plays a note."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.grip import ALL_FINGERS
from styletransfer.music.hands import split_under
from styletransfer.music.notes import Feel, NoteTable


@dataclass(frozen=True)
class Ensemble:
    """The players of an arrangement.

    Attributes:
        parts: the names of the parts, the melody's first.
        deal: returns which part of the accompaniment, from 0, plays each of its notes under a
            melody, shape (notes,), where notes are held until they end or not, and hands have at
            most so many notes, the left and the right.
    """

    parts: tuple[str, ...]
    deal: Callable[[NoteTable, NoteTable, bool, tuple[int, int]], NDArray[np.int16]]

    @property
    def melody(self) -> str:
        """The name of the melody's part."""
        return self.parts[0]

    def give_parts(
        self,
        accompaniment: NoteTable,
        feel: Feel,
        melody: NoteTable | None = None,
        fingers: tuple[int, int] = ALL_FINGERS,
    ) -> None:
        """Set the part of each note of an accompaniment, in place; ``melody``: if there is one."""
        melody = accompaniment[:0] if melody is None else melody
        accompaniment["part"] = 1 + self.deal(accompaniment, melody, feel == "score", fingers)


PIANO = Ensemble(("Melody", "Accompaniment, right hand", "Accompaniment, left hand"), split_under)
"""The players of every arrangement: one pianist."""
