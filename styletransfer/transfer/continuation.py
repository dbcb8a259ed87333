"""Continue after a tune, and close in its key.

The new bars are like the tune's last one; a model that reads the arrangement before them composes
them freely.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.chord_names import bar_chords
from styletransfer.music.chords import ChordTable, chord_table
from styletransfer.music.ensemble import ensemble_of
from styletransfer.music.key import Key
from styletransfer.music.melody import extract_melody
from styletransfer.music.notes import BAR_DTYPE, BarTable, NoteTable, Piece, make_notes, sort_notes
from styletransfer.music.qualities import QUALITIES
from styletransfer.music.tune_key import key_of_tune
from styletransfer.styles.touch import Touch
from styletransfer.tokens.codec import (
    FREE_BAR_STEPS,
    STEPS_PER_QUARTER,
    STEPS_PER_SECOND,
    Codec,
    chords_by_bar,
)
from styletransfer.tokens.plan import Plan
from styletransfer.transfer.performance.dynamics import velocities
from styletransfer.transfer.timing import decode_notes, to_quarters

ENDING = 4
"""Bars of the tune's end, with which the continuation ends."""


def add_bars(arranged: Piece, codec: Codec, plan: Plan, seconds: float) -> tuple[Piece, Plan]:
    """Add bars for so many seconds more, at least half a bar for the close.

    The plan has no chords for the new bars yet; see :func:`add_harmony`.

    Returns:
        The arrangement with the new bars, and the plan that fills these.
    """
    stop = arranged.tempo.to_seconds(_end(arranged)) + seconds
    grid = codec.grid(arranged)
    given = tuple(
        tuple(codec.encode_events(codec.bar_events(grid, bar))) for bar in range(plan.bars)
    )
    last = int(plan.bar_start[-1] + plan.bar_length[-1])
    bars, length = arranged.bars, FREE_BAR_STEPS

    if plan.feel == "score":
        final = bars[-1]
        quarters = 4.0 * float(final["numerator"]) / float(final["denominator"])
        begin = float(final["start"] + final["length"])
        new = (float(arranged.tempo.to_quarters(stop)) - begin) / quarters
        count = max(math.ceil(new - 0.5), 1)
        more = [
            (begin + k * quarters, quarters, final["numerator"], final["denominator"])
            for k in range(count)
        ]
        bars = np.concatenate([bars, np.array(more, BAR_DTYPE)])
        length = round(quarters * STEPS_PER_QUARTER)
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
        key=key_of_tune(arranged.with_notes(arranged.melody)),
        closes=True,
    )
    return replace(arranged, bars=bars), wider


def add_harmony(wider: Plan, plan: Plan, chords: ChordTable) -> Plan:
    """Give the plan of :func:`add_bars` the chords of all bars.

    The tune is stated as it was, then rests.

    Args:
        wider: the plan of all bars.
        plan: the plan of the tune's bars.
        chords: of all bars.
    """
    assert plan.melody is not None
    rests = ((),) * (wider.bars - plan.bars)
    by_bar = chords_by_bar(chords, wider.bar_start, wider.bar_length)
    return replace(
        wider, melody=(*plan.melody, *rests), chords=by_bar, references=True, above=plan.above
    )


def chords_after(chords: ChordTable, bars: BarTable, first: int, key: Key) -> ChordTable:
    """Continue the harmony of a tune: its own once more, as in a next verse.

    The verse begins with the tune's first whole bar, and ends with its last ones. Its last bar is
    the tonic's; the one before leads to it, by a dominant in its second half where there is none.

    Args:
        chords: of the tune.
        bars: all of them.
        first: the first bar after the tune.
        key: the tune's.
    """
    begin, count = int(bars["start"][0] < 0 and first > 1), len(bars) - first
    ending = min(first - begin, ENDING)
    named = {
        float(row["start"]): (int(row["root"]), int(row["quality"]), int(row["bass"]))
        for row in chords
    }
    for bar in range(first, len(bars)):
        left = len(bars) - bar
        source = first - left if left <= ending < count else begin + (bar - first) % (first - begin)
        for place, chord in bar_chords(chords, bars[source]):
            if place < bars[bar]["length"]:
                named[float(bars[bar]["start"]) + place] = chord

    close = float(bars[-1]["start"])
    named = {start: chord for start, chord in named.items() if start <= close}
    before = named[max(start for start in named if start < close)]
    dominant = (key.tonic + 7) % 12
    if count > 1 and before[0] != dominant and before[0] != (key.tonic + 11) % 12:
        middle = _middle(bars[-2])
        named = {start: chord for start, chord in named.items() if start < middle}
        named[middle] = dominant, QUALITIES.index("dominant-seventh"), dominant
    named[close] = (*key.tonic_chords[0], key.tonic)
    starts = sorted(named)
    end = close + float(bars[-1]["length"])
    return chord_table(np.array(starts), end, np.array([named[start] for start in starts]))


def _middle(bar: np.void) -> float:
    """Find the beat on which the second half of a bar begins, in quarters."""
    compound = bar["denominator"] >= 8 and bar["numerator"] % 3 == 0
    beat = 1.5 if compound else 4.0 / float(bar["denominator"])
    beats = round(float(bar["length"]) / beat)
    return float(bar["start"]) + beat * (-(-beats // 2) if beats > 1 else 0)


def append_notes(arranged: Piece, new: NoteTable, seconds: float, touch: Touch) -> Piece:
    """Append what was composed after the tune to an arrangement of :func:`add_bars`.

    Notes that begin within so many seconds of the tune's end are taken, and end there at the
    latest. The line on top sings, in a score's loudness as in the tune's.
    """
    stop = float(arranged.tempo.to_quarters(arranged.tempo.to_seconds(_end(arranged)) + seconds))
    notes = new[new["onset"] < stop - 1e-6].copy()
    notes["duration"] = np.minimum(notes["duration"], stop - notes["onset"])
    ensemble_of(arranged).give_parts(notes, arranged.feel)
    if arranged.feel == "score" and len(notes):
        notes["melody"] = _sings(arranged, notes)
        notes["velocity"] = velocities(notes, arranged.bars, touch)
        notes["melody"] = False
    return arranged.with_notes(sort_notes(np.concatenate([arranged.notes, notes])))


def _end(arranged: Piece) -> float:
    """Find the end of the tune in quarters; what accompanies it may ring on."""
    return float((arranged.melody["onset"] + arranged.melody["duration"]).max())


def _sings(arranged: Piece, notes: NoteTable) -> NDArray[np.bool_]:
    return extract_melody(replace(arranged, notes=notes, parts=("piano",) * len(arranged.parts)))


def notes_after(codec: Codec, plan: Plan, piece: Piece, bars: list[list[int]]) -> NoteTable:
    """Decode the notes that were composed after what was given."""
    bar, step, duration, pitch, velocity = decode_notes(codec, bars, first=len(plan.given))
    onset, length = to_quarters(piece, plan, bar, step, duration)
    return make_notes(onset, length, pitch, velocity)
