"""Convert between the steps of a plan and the quarters of a piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.notes import Piece
from styletransfer.tokens.codec import STEPS_PER_QUARTER, STEPS_PER_SECOND, Codec
from styletransfer.tokens.plan import Plan


def decode_notes(
    codec: Codec, bars: Sequence[Sequence[int]], first: int = 0
) -> tuple[NDArray[np.int64], ...]:
    """Decode the notes of bars, from the first one on.

    Returns:
        Bar, step in it, duration in steps, pitch and velocity, shape (notes,) each.
    """
    rows = [
        (bar, *event)
        for bar, ids in enumerate(bars)
        if bar >= first
        for event in codec.decode_events(ids)
    ]
    bar, step, duration, pitch, velocity = np.array(rows, np.int64).reshape(-1, 5).T
    return bar, step, duration, pitch, codec.velocity_values[np.maximum(velocity, 0)]


def plan_steps(piece: Piece, plan: Plan) -> NDArray[np.int64]:
    """Find the step at which each note of a piece begins, shape (notes,)."""
    performed = plan.feel == "performance"
    steps = (
        piece.onset_seconds * STEPS_PER_SECOND
        if performed
        else piece.notes["onset"] * STEPS_PER_QUARTER
    )
    return np.floor(steps + 0.5).astype(np.int64)


def edge_of(piece: Piece, plan: Plan, step: int) -> float:
    """Convert a step to its place in quarters."""
    return (
        step / STEPS_PER_QUARTER
        if plan.feel == "score"
        else float(piece.tempo.to_quarters(step / STEPS_PER_SECOND))
    )


def to_quarters(
    piece: Piece,
    plan: Plan,
    bar: NDArray[np.int64],
    step: NDArray[np.int64],
    duration: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Convert onsets (bar and step) and durations (steps) to quarters, shape (notes,)."""
    if plan.feel == "score":
        # A pick-up that lies between two steps mustn't put a note before the beginning.
        onset = np.maximum(piece.bars["start"][bar] + step / STEPS_PER_QUARTER, 0.0)
        return onset, duration / STEPS_PER_QUARTER

    steps = plan.bar_start[bar] + step
    onset = piece.tempo.to_quarters(steps / STEPS_PER_SECOND)
    return onset, piece.tempo.to_quarters((steps + duration) / STEPS_PER_SECOND) - onset


def cut(piece: Piece, plan: Plan, bars: int, first: int = 0) -> Piece:
    """Cut a piece to its first bars, or to those from another one on.

    What sounds at their end ends there, but for the plan's end.
    """
    steps = plan_steps(piece, plan)
    chosen = steps >= plan.bar_start[first]
    if bars == plan.bars:
        return replace(piece, notes=piece.notes[chosen], bars=piece.bars[first:])
    end = int(plan.bar_start[bars])
    edge = edge_of(piece, plan, end)
    notes = piece.notes[chosen & (steps < end)].copy()
    notes["duration"] = np.minimum(
        notes["duration"], np.maximum(edge - notes["onset"], 1 / piece.ticks_per_quarter)
    )
    return replace(piece, notes=notes, bars=piece.bars[first:bars])
