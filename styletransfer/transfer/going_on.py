"""Music after a tune: bars like its last one, composed freely by a model that reads the arrangement before them, and closed in
the tune's key."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from styletransfer.score.hands import split_hands
from styletransfer.score.harmony import estimate_key
from styletransfer.score.melody import extract_melody
from styletransfer.score.notes import BAR_DTYPE, NoteTable, Piece, make_notes, sort_notes
from styletransfer.tokens.codec import FREE_BAR_STEPS, STEPS_PER_QUARTER, STEPS_PER_SECOND, Codec
from styletransfer.tokens.plan import Plan
from styletransfer.transfer.dynamics import velocities
from styletransfer.transfer.steps import decoded, in_quarters
from styletransfer.transfer.touch import Touch


def longer(arranged: Piece, codec: Codec, plan: Plan, seconds: float) -> tuple[Piece, Plan]:
    """An arrangement with bars for so many seconds more, and the plan that fills these: at least half a bar for the close."""
    stop = arranged.tempo.to_seconds(_end(arranged)) + seconds
    grid = codec.grid(arranged)
    given = tuple(tuple(codec.encode_events(codec.bar_events(grid, bar))) for bar in range(plan.bars))
    last, bars, length = int(plan.bar_start[-1] + plan.bar_length[-1]), arranged.bars, FREE_BAR_STEPS
    if plan.feel == "score":
        final = bars[-1]
        quarters = 4.0 * float(final["numerator"]) / float(final["denominator"])
        begin = float(final["start"] + final["length"])
        count = max(math.ceil((float(arranged.tempo.to_quarters(stop)) - begin) / quarters - 0.5), 1)
        more = [(begin + k * quarters, quarters, final["numerator"], final["denominator"]) for k in range(count)]
        bars, length = np.concatenate([bars, np.array(more, BAR_DTYPE)]), round(quarters * STEPS_PER_QUARTER)
    else:
        count = max(math.ceil((float(stop) * STEPS_PER_SECOND - last) / FREE_BAR_STEPS - 0.5), 1)
    wider = Plan(
        plan.feel,
        np.append(plan.bar_start, last + length * np.arange(count)),
        np.append(plan.bar_length, np.full(count, length)),
        (*plan.bar_metre, *[plan.bar_metre[-1]] * count),
        np.append(plan.earliest, np.zeros(count, np.int64)),
        None,
        plan.subdivision,
        given=given,
        closes=estimate_key(arranged.melody),
    )
    return replace(arranged, bars=bars), wider


def joined(arranged: Piece, new: NoteTable, seconds: float, touch: Touch) -> Piece:
    """An arrangement of :func:`longer` with the notes that were composed after it, as far as they begin within so many seconds
    of the tune's end, where they end at the latest. The line on top sings, in a score's loudness as in the tune's."""
    stop = float(arranged.tempo.to_quarters(arranged.tempo.to_seconds(_end(arranged)) + seconds))
    notes = new[new["onset"] < stop - 1e-6].copy()
    notes["duration"] = np.minimum(notes["duration"], stop - notes["onset"])
    notes["part"] = 1 + split_hands(notes)
    if arranged.feel == "score" and len(notes):
        notes["melody"] = _sings(arranged, notes)
        notes["velocity"] = velocities(notes, arranged.bars, touch)
        notes["melody"] = False
    return arranged.with_notes(sort_notes(np.concatenate([arranged.notes, notes])))


def _end(arranged: Piece) -> float:
    """The end of the tune in quarters; what accompanies it may ring on."""
    return float((arranged.melody["onset"] + arranged.melody["duration"]).max())


def _sings(arranged: Piece, notes: NoteTable) -> NDArray[np.bool_]:
    return extract_melody(replace(arranged, notes=notes, parts=("piano",) * len(arranged.parts)))


def composed(codec: Codec, plan: Plan, piece: Piece, bars: list[list[int]]) -> NoteTable:
    """The notes that were composed after what was given."""
    bar, step, duration, pitch, velocity = decoded(codec, bars, first=len(plan.given))
    onset, length = in_quarters(piece, plan, bar, step, duration)
    return make_notes(onset, length, pitch, velocity)
