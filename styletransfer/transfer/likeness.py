"""How like the style's own accompaniments a candidate's is: a measure of the ranker's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from styletransfer.score.idiom import figures, load_mean, shipped_idioms
from styletransfer.score.notes import Piece
from styletransfer.styles import IDIOM, Style, parse_style

Own = Sequence[int] | NDArray[np.float64]
"""Whose accompaniments a style's are: the places of composers in :class:`~styletransfer.score.idiom.Idioms`, or a mean."""


def own_of(style: Style) -> Own:
    """A shipped composer or an era's composers; what is in the folder of any other style; nothing where that has none."""
    if style.path is not None and (style.path / IDIOM).is_file():
        return load_mean(style.path / IDIOM)
    return shipped_idioms().members({"composer": style.composer, "era": style.era}.get(style.kind, ""))


def likeness(style: str, arranged: Sequence[Piece]) -> list[float]:
    """Of each arrangement, its melody marked, the log-probability (nats) that its accompaniment is the style's; of a blend, the
    weighted mean. 0 for styles that nothing is known of, and for music without beats."""
    parts = [(own, weight) for one, weight in parse_style(style) if len(own := own_of(one))]
    if arranged[0].feel != "score" or not parts:
        return [0.0] * len(arranged)
    tunes = [piece.notes["melody"] for piece in arranged]
    found = [figures(piece.notes[tune], piece.notes[~tune]) for piece, tune in zip(arranged, tunes, strict=True)]
    return [sum(weight * shipped_idioms().likeness(one, own) for own, weight in parts) for one in found]
