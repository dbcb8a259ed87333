"""How like the style's own accompaniments a candidate's is: a measure of the ranker's."""

from __future__ import annotations

from collections.abc import Sequence

from styletransfer.score.idiom import Own, figures, load_own, shipped_idioms
from styletransfer.score.notes import Piece
from styletransfer.styles import IDIOM, Style, parse_style


def own_of(style: Style) -> Own | None:
    """A shipped composer or an era's composers; of any other style, what is in its folder; None where that has nothing."""
    if style.path is not None and (style.path / IDIOM).is_file():
        return load_own(style.path / IDIOM)
    return shipped_idioms().known({"composer": style.composer, "era": style.era}.get(style.kind, ""))


def likeness(style: str, arranged: Sequence[Piece]) -> list[float]:
    """Of each arrangement, its melody marked, how much less likely its accompaniment is the style's than the style's own pieces
    usually are (nats, 0 or below); of a blend, the weighted mean. 0 for styles that nothing is known of, and without beats."""
    parts = [(own, weight) for one, weight in parse_style(style) if (own := own_of(one)) is not None]
    if arranged[0].feel != "score" or not parts:
        return [0.0] * len(arranged)
    tunes = [piece.notes["melody"] for piece in arranged]
    found = [figures(piece.notes[tune], piece.notes[~tune]) for piece, tune in zip(arranged, tunes, strict=True)]
    return [sum(weight * shipped_idioms().likeness(one, own) for own, weight in parts) for one in found]
