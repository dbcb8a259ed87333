"""Which candidate is the best, by the ranker's measures."""

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
    """The ranker's measures of all candidates, and the number of the best. ``closes``: whether the
    piece ends with them.
    """
    scores = [
        score_candidate(one, melody, piece, indexes, parts, closes)
        for one, piece in zip(candidates, arranged, strict=True)
    ]
    return scores, max(range(len(scores)), key=lambda k: scores[k]["total"])


def indexes_for(style: str) -> list[Copies]:
    """The index that comes with the package, and those of the styles in a blend that learnt from
    other pieces, or are one.
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
    """The ranker's measures of one candidate."""
    accompaniment = piece.notes[~piece.notes["melody"]]
    tempo = melody.tempo.quarters_per_minute()
    beats = piece.feel == "score" and len(melody.notes) > 0
    alike = likeness(parts, melody.notes, accompaniment) if beats else 0.0
    match, likely = match_of(piece, indexes), (candidate.style_logprob, candidate.base_logprob)
    return rank.score(
        *likely, melody.notes, accompaniment, match, tempo, alike, closes=closes, bars=piece.bars
    )
