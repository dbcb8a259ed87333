"""Hold what comes back: an arrangement, and the report of how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from styletransfer.formats.read import legible
from styletransfer.music.notes import NoteTable, Piece
from styletransfer.styles.blend import shown
from styletransfer.styles.names import song_title
from styletransfer.transfer.request import Request

if TYPE_CHECKING:
    from styletransfer.transfer.provenance import Provenance


@dataclass(frozen=True)
class Result:
    """An arrangement, and the report of the run.

    ``piece``: the best candidate; its parts are the melody and the two hands. ``report``: as
    :class:`.report.Report` has it. ``candidates``: all that were made, in the order of
    ``report["candidates"]``; where the choice is made phrase by phrase, they differ in the last
    phrase, and in what follows the tune. ``request``: what was asked for. ``melody``: the tune that
    was taken, as a piece, moved by ``report["octaves_moved"]``. ``provenance``: what
    :mod:`.sidecar` needs to make it again. A free composition has a shorter report, and only its
    piece beside it.
    """

    piece: Piece
    report: dict[str, Any]
    request: Request | None = None
    melody: Piece | None = None
    candidates: tuple[Piece, ...] = ()
    provenance: Provenance | None = None

    @property
    def notes(self) -> NoteTable:
        """The arrangement's note table (``NOTE_DTYPE``)."""
        return self.piece.notes

    @property
    def title(self) -> str:
        """The song and the style, in words: "Greensleeves, in the style of J. S. Bach"."""
        song = None if self.request is None else self.request.song
        return title_of(self.piece, song, self.report["style"])

    @property
    def ranking(self) -> list[int]:
        """The numbers of the candidates, the best first."""
        scores, best = self.report["candidates"], self.report["candidate"]
        return sorted(range(len(self.candidates)), key=lambda k: (k != best, -scores[k]["total"]))


def title_of(piece: Piece, song: str | None, style: str | None = None) -> str:
    """Entitle a song in a style, a song alone, or free music in a style.

    ``song``: where it is, for a piece without a title of its own; None for free music.
    """
    own = "" if song is None else legible(song_title(piece.title, song))
    words = f"in the style of {legible(shown(style))}" if style else ""
    if own and words:
        return f"{own}, {words}"
    return own or words[:1].upper() + words[1:]
