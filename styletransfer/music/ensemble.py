"""Who plays an arrangement: parts, staves, and which part plays a note.

Facts about the players are all here, in the room that every other one may use: the transfer deals
notes to the parts, and MIDI files take programs, pages staves and piano rolls colours from them. A
piece names its parts (:attr:`.notes.Piece.parts`), and by these names its ensemble is found, also
after it was written to a MIDI file and read again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.grip import ALL_FINGERS
from styletransfer.music.hands import split_under
from styletransfer.music.notes import Feel, NoteTable, Piece


@dataclass(frozen=True)
class Part:
    """A part: a track of a MIDI file.

    Attributes:
        name: the track's name; the last words after a comma stand in the legend of a piano roll.
        program: its General MIDI program, from 0.
        staff: its staff on the page, from 0 at the top.
        colour: its colour in a piano roll.
    """

    name: str
    program: int
    staff: int
    colour: str

    @property
    def label(self) -> str:
        """The name in the legend of a piano roll."""
        return self.name.split(", ")[-1].lower()


@dataclass(frozen=True)
class Staff:
    """A staff of the page.

    Attributes:
        instrument: the name before it. Two staves of one instrument are those of its player's right
            and left hand.
        clefs: the clefs that it may have (:data:`styletransfer.engraving.page.CLEFS`), the usual
            one first.
    """

    instrument: str
    clefs: tuple[str, ...]


@dataclass(frozen=True)
class Ensemble:
    """The players of an arrangement.

    Attributes:
        parts: the parts, the melody's first. Their names are no other ensemble's, except for the
            melody's.
        staves: the staves of the page; the melody's is the first.
        deal: returns which part of the accompaniment, from 0, plays each of its notes under a
            melody, shape (notes,), where notes are held until they end or not, and hands have at
            most so many notes, the left and the right.
    """

    parts: tuple[Part, ...]
    staves: tuple[Staff, ...]
    deal: Callable[[NoteTable, NoteTable, bool, tuple[int, int]], NDArray[np.int16]]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parts."""
        return tuple(part.name for part in self.parts)

    @property
    def melody(self) -> str:
        """The name of the melody's part."""
        return self.parts[0].name

    def staves_of(self, instrument: str) -> list[int]:
        """Return the staves of an instrument, from the top."""
        return [place for place, staff in enumerate(self.staves) if staff.instrument == instrument]

    def give_parts(
        self,
        accompaniment: NoteTable,
        feel: Feel,
        melody: NoteTable | None = None,
        fingers: tuple[int, int] = ALL_FINGERS,
    ) -> None:
        """Set the part of each note of an accompaniment, in place.

        ``melody`` is given if there is one.
        """
        melody = accompaniment[:0] if melody is None else melody
        accompaniment["part"] = 1 + self.deal(accompaniment, melody, feel == "score", fingers)


PIANO = Ensemble(
    (
        Part("Melody", 0, 0, "#d1495b"),
        Part("Accompaniment, right hand", 0, 0, "#3d7ea6"),
        Part("Accompaniment, left hand", 0, 1, "#5c9a74"),
    ),
    (Staff("Piano", ("treble", "bass")), Staff("Piano", ("bass", "treble"))),
    split_under,
)
"""One pianist."""
ENSEMBLES = (PIANO,)
"""All ensembles."""


def ensemble_of(piece: Piece) -> Ensemble:
    """Return the ensemble whose parts a piece has; any other piece is a pianist's."""
    return next((one for one in ENSEMBLES if _is_of(piece, one)), PIANO)


def stated_parts(piece: Piece) -> NDArray[np.int16] | None:
    """Return the part that each note has in the piece's ensemble, shape (notes,).

    None where the names of the piece's own parts state none. Hands that they state, as in "Piano,
    left hand", are a pianist's.
    """
    ensemble = ensemble_of(piece)
    lower = [name.lower() for name in piece.parts]
    if _is_of(piece, ensemble):
        places = [ensemble.names.index(name) for name in piece.parts]
    elif any("left" in name for name in lower) and any("right" in name for name in lower):
        places = [1 + ("left" in name) for name in lower]
    else:
        return None
    part = np.array(places, np.int16)[piece.notes["part"]]
    return np.where(piece.notes["melody"], 0, np.maximum(part, 1)).astype(np.int16)


def _is_of(piece: Piece, ensemble: Ensemble) -> bool:
    """Return whether a piece has an ensemble's parts, and no others but the melody."""
    names = set(piece.parts)
    return names <= set(ensemble.names) and not names.isdisjoint(ensemble.names[1:])
