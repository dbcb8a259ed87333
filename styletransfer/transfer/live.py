"""Report an arrangement while it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from styletransfer.music.notes import NoteTable, Piece
from styletransfer.styles.touch import Touch
from styletransfer.tokens.codec import Codec
from styletransfer.tokens.plan import Plan
from styletransfer.transfer.assemble import bar_notes

if TYPE_CHECKING:
    from styletransfer.model.sampling import Heard


class Live(Protocol):
    """A listener to an arrangement. Phrases, candidates and bars count from 0."""

    def tune(self, melody: Piece) -> None:
        """Hear the melody that was taken, moved by octaves if it is."""

    def bar(self, phrase: int, candidate: int, bar: int, notes: NoteTable, time: Piece) -> None:
        """Hear a bar of a candidate's accompaniment.

        ``time`` has the tempo of its quarters.
        """

    def chosen(self, phrase: int, candidate: int) -> None:
        """Hear which of a phrase's candidates continues."""


def hearing(
    live: Live | None, phrase: int, melody: Piece, codec: Codec, plan: Plan, touch: Touch
) -> Heard | None:
    """Make the function to which the sampler passes each bar.

    It puts the bar together, and passes it on.
    """
    if live is None:
        return None

    def heard(candidate: int, bar: int, ids: list[int]) -> None:
        live.bar(phrase, candidate, bar, bar_notes(melody, codec, plan, bar, ids, touch), melody)

    return heard
