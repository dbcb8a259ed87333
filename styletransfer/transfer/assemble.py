"""Put melody and accompaniment together as one piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.ensemble import ensemble_of
from styletransfer.music.notes import NoteTable, Piece, make_notes
from styletransfer.styles.touch import USUAL, Touch
from styletransfer.tokens.codec import Codec
from styletransfer.tokens.plan import Plan
from styletransfer.transfer.ornaments import add_ornaments, decoded_melody, is_ornament
from styletransfer.transfer.performance.dynamics import raise_melody, velocities
from styletransfer.transfer.timing import decode_notes, plan_steps, to_quarters

if TYPE_CHECKING:
    from styletransfer.model.sampling import Candidate


def assemble(
    melody: Piece,
    codec: Codec,
    plan: Plan,
    candidate: Candidate,
    touch: Touch = USUAL,
    first: int = 0,
) -> Piece:
    """Put melody and accompaniment together as a piece with its ensemble's parts.

    The melody's own ticks, pitches and durations are untouched.

    Args:
        melody: the melody alone, with the song's time.
        codec: the tokenizer.
        plan: what the candidate was composed under.
        candidate: the accompaniment, as tokens.
        touch: how a score is played; a performance has the velocities that the model gave it.
        first: the bar with which the accompaniment begins.
    """
    bar, step, duration, pitch, loud = decode_notes(codec, candidate.bars, first)
    onset_steps = plan.bar_start[bar] + step
    own, ornaments = _of_melody(plan, onset_steps, pitch, first)
    onset, length = to_quarters(melody, plan, bar, step, duration)
    accompaniment = make_notes(onset[~own], length[~own], pitch[~own], loud[~own])
    if plan.held is not None:
        tune = add_ornaments(
            melody, make_notes(onset[ornaments], length[ornaments], pitch[ornaments])
        )
    elif plan.locked:
        tune = melody.notes.copy()
    else:
        tune = decoded_melody(melody, plan_steps(melody, plan), onset_steps, pitch)
    ensemble_of(melody).give_parts(accompaniment, plan.feel, tune, plan.fingers)

    if plan.feel == "performance" and own.any():
        order = np.argsort(onset_steps[own], kind="stable")
        steps = plan_steps(melody.with_notes(tune), plan)
        before = np.searchsorted(onset_steps[own][order], steps, side="right") - 1
        played = loud[own][order][np.clip(before, 0, None)]
        tune["velocity"] = raise_melody(played, accompaniment["velocity"])
    notes = np.concatenate([tune, accompaniment])
    if plan.feel == "score":
        notes["velocity"] = velocities(notes, melody.bars, touch)
    return melody.with_notes(notes)


def _of_melody(
    plan: Plan, onset_steps: NDArray[np.int64], pitch: NDArray[np.int64], first: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mark decoded notes that are the melody's, and its ornaments, shape (notes,).

    The notes are those of the bars from ``first`` on.
    """
    melody_events = plan.melody if plan.held is None else plan.held
    locked = {
        (int(plan.bar_start[index]) + event.step, event.pitch)
        for index, events in enumerate(melody_events or ())
        if index >= first
        for event in events
    }
    rows = zip(onset_steps.tolist(), pitch.tolist(), strict=True)
    own = np.array([row in locked for row in rows], bool)
    ornaments = np.zeros(len(own), bool)
    if plan.held is not None:
        ornaments = is_ornament(plan, onset_steps, pitch)
    return own | ornaments, ornaments


def bar_notes(
    melody: Piece, codec: Codec, plan: Plan, index: int, ids: Sequence[int], touch: Touch = USUAL
) -> NoteTable:
    """Give the accompaniment of one bar as soon as it is decoded, for the eye.

    It is as :func:`assemble` has it, except that its hands are divided without its neighbours,
    and a score is of one loudness.
    """
    bar, step, duration, pitch, loud = decode_notes(codec, [*[()] * index, ids], index)
    own, _ = _of_melody(plan, plan.bar_start[bar] + step, pitch, index)
    onset, length = to_quarters(melody, plan, bar, step, duration)
    if plan.feel == "score":
        loud = np.full(len(pitch), round(touch.accompaniment))
    notes = make_notes(onset[~own], length[~own], pitch[~own], loud[~own])
    ensemble_of(melody).give_parts(notes, plan.feel, melody.notes, plan.fingers)
    return notes


def count_kept_notes(melody: Piece, piece: Piece, *, ends: bool = True) -> int:
    """Count the notes of the melody that are in a piece.

    They have the same onset and (with ``ends``) the same end, to the tick, and the same pitch.
    """

    def keys(notes: NoteTable) -> list[tuple[int, int, int]]:
        ticks = melody.ticks_per_quarter
        onset = np.round(notes["onset"] * ticks).astype(int)
        end = np.round((notes["onset"] + notes["duration"]) * ticks).astype(int)
        compared = end if ends else np.zeros_like(end)
        return list(zip(onset.tolist(), compared.tolist(), notes["pitch"].tolist(), strict=True))

    present = set(keys(piece.notes))
    return sum(key in present for key in keys(melody.notes))
