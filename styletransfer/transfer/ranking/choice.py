"""Choose among candidates by the ranker's measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from styletransfer.folders import COPIES
from styletransfer.music.copies import Copies, match_of, shipped_copies
from styletransfer.music.notes import Piece
from styletransfer.styles.blend import parse_style
from styletransfer.styles.example import load_example
from styletransfer.transfer.ranking import rank
from styletransfer.transfer.ranking.likeness import Parts, likeness

if TYPE_CHECKING:
    from styletransfer.model.sampling import Candidate


def rank_candidates(
    candidates: list[Candidate],
    melody: Piece,
    arranged: list[Piece],
    indexes: list[Copies],
    parts: Parts,
    *,
    closes: bool = True,
) -> tuple[list[dict[str, float]], int]:
    """Measure all candidates, and find the number of the best.

    Args:
        candidates: as they were decoded.
        melody: the tune under which they are compared.
        arranged: the candidates put together with it.
        indexes: of the pieces from which nothing may be copied.
        parts: the style, as :func:`.likeness.parts_of` gives it.
        closes: whether the piece ends with them.
    """
    scores = [
        score_candidate(one, melody, piece, indexes, parts, closes)
        for one, piece in zip(candidates, arranged, strict=True)
    ]
    return scores, max(range(len(scores)), key=lambda k: scores[k]["total"])


def indexes_for(style: str) -> list[Copies]:
    """Load the indexes of pieces from which nothing may be copied.

    They are the package's, and those of the styles in a blend that learnt from other pieces, or
    that are a piece.
    """
    blend = [one for one, _ in parse_style(style)]
    own = [one.path / COPIES for one in blend if one.path is not None]
    examples = [load_example(one.piece).copies for one in blend if one.piece is not None]
    return [shipped_copies(), *(Copies.load(path) for path in own if path.is_file()), *examples]


def score_candidate(
    candidate: Candidate,
    melody: Piece,
    piece: Piece,
    indexes: list[Copies],
    parts: Parts,
    closes: bool = True,
) -> dict[str, float]:
    """Measure one candidate; ``closes``: whether the piece ends with it."""
    accompaniment = piece.notes[~piece.notes["melody"]]
    on_beats = piece.feel == "score" and len(melody.notes) > 0
    music = rank.Music(
        melody.notes,
        accompaniment,
        quarters_per_minute=melody.tempo.quarters_per_minute(),
        bars=piece.bars,
        closes=closes,
        style_logprob=candidate.style_logprob,
        base_logprob=candidate.base_logprob,
        match=match_of(piece, indexes),
        idiom=likeness(parts, melody.notes, accompaniment) if on_beats else 0.0,
    )
    return rank.score(music)
