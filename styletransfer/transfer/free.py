"""Compose freely in a style, without a tune."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from styletransfer.errors import InputError
from styletransfer.formats.midi_out import as_written
from styletransfer.model.loading import load_model, voices_in
from styletransfer.music.copies import match_of
from styletransfer.music.ensemble import PIANO
from styletransfer.music.key import estimate_key
from styletransfer.music.notes import Piece, TempoMap, make_notes
from styletransfer.styles.blend import named, pieces_in
from styletransfer.tokens.codec import FREE_BAR_STEPS, STEPS_PER_SECOND, Codec
from styletransfer.tokens.plan import free_plan
from styletransfer.tokens.tokenizer import PlainTokenizer
from styletransfer.transfer.assemble import assemble
from styletransfer.transfer.phrases import Progress
from styletransfer.transfer.ranking.choice import indexes_for
from styletransfer.transfer.result import Result

if TYPE_CHECKING:
    from styletransfer.model.sampling import Candidate, Voice
    from styletransfer.model.settings import SamplingConfig

FREE_TEMPO = 125.0
"""Quarters per minute of music without a tempo.

At 120, every step would lie on a subdivision of a quarter.
"""


def generate(
    style: str,
    seconds: float,
    sampling: SamplingConfig,
    model_folder: Path | None = None,
    progress: Progress | None = None,
) -> Result:
    """Compose freely in a style, as performed music, for about so many seconds."""
    if pieces := pieces_in(style):
        raise InputError(
            f"--style {pieces[0]}: only `apply` can follow a piece; give the name of a style."
        )
    if not 1 <= seconds <= 3600:
        raise InputError(f"--seconds {seconds:g}: give a number from 1 to 3600.")

    begin, codec = time.monotonic(), load_model(model_folder).codec
    style = named(style)
    voices = voices_in(style, "performance", 100.0, sampling.strength, model_folder)
    compose = _compose if isinstance(codec, Codec) else _compose_plainly
    found = compose(voices, codec, seconds, sampling, progress)  # type: ignore[arg-type]  # each has its own codec
    piece = as_written(found)

    match = match_of(piece, indexes_for(style))
    report = {
        "style": style,
        "seed": sampling.seed,
        "key": estimate_key(piece.notes).name if len(piece.notes) else None,
        "notes": len(piece.notes),
        "seconds_of_music": round(piece.length_seconds, 2),
        "longest_match_notes": match.notes,
        "copied": match.is_copy(len(piece.notes)),
        "seconds_taken": round(time.monotonic() - begin, 2),
    }
    return Result(piece, report)


def contrast(candidate: Candidate) -> float:
    """Return how much likelier the style makes a candidate than the base, in nats.

    Its likelihood by itself says nothing good (docs/decisions).
    """
    return candidate.style_logprob - candidate.base_logprob


def free_pieces(
    voices: list[Voice],
    codec: Codec,
    seconds: float,
    sampling: SamplingConfig,
    progress: Progress | None = None,
) -> list[tuple[Candidate, Piece]]:
    """Compose all candidates of free music, for about so many seconds."""
    from styletransfer.model.sampling import sample

    bars = max(round(seconds * STEPS_PER_SECOND / FREE_BAR_STEPS), 1)
    plan = free_plan("performance", bars, FREE_BAR_STEPS, "BAR_free")
    nothing = Piece(
        make_notes([], [], []),
        "performance",
        tempo=TempoMap.steady(60 / FREE_TEMPO),
        parts=PIANO.names,
    )
    return [
        (one, assemble(nothing, codec, plan, one))
        for one in sample(voices, codec, plan, sampling, progress)
    ]


def _compose(
    voices: list[Voice],
    codec: Codec,
    seconds: float,
    sampling: SamplingConfig,
    progress: Progress | None,
) -> Piece:
    return max(
        free_pieces(voices, codec, seconds, sampling, progress), key=lambda one: contrast(one[0])
    )[1]


def _compose_plainly(
    voices: list[Voice],
    codec: PlainTokenizer,
    seconds: float,
    sampling: SamplingConfig,
    progress: Progress | None,
) -> Piece:
    from styletransfer.model.free_sampling import sample_plain

    best = max(
        sample_plain(voices, codec, seconds, sampling, progress), key=lambda found: found.style
    )
    piece = codec.decode(best.ids)
    notes = piece.notes[piece.onset_seconds < seconds]
    PIANO.give_parts(notes, piece.feel)
    return replace(piece, notes=notes, parts=PIANO.names)
