"""Make some bars of an earlier arrangement again.

The model reads what stands before them; everything around them stays as it is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from styletransfer.errors import InputError
from styletransfer.formats.read import read_score
from styletransfer.music.chord_names import chords_of_line, count_bars, line_of
from styletransfer.music.chords import ChordTable, recognise
from styletransfer.music.ensemble import ensemble_of
from styletransfer.music.key import Key
from styletransfer.music.notes import Feel, Piece, bars_under, sort_notes
from styletransfer.music.pick_up import with_pick_up
from styletransfer.music.tune_key import key_of_tune
from styletransfer.tokens.codec import Codec
from styletransfer.tokens.plan import Plan
from styletransfer.transfer.planning import edited_bars, key_of, table_of
from styletransfer.transfer.request import Request, bar_range
from styletransfer.transfer.sidecar import report_beside
from styletransfer.transfer.timing import edge_of, plan_steps


def feel_of(
    midi: str, asked: Feel | Literal["auto", "played"] = "auto"
) -> Feel | Literal["played"]:
    """Read the feel of an earlier arrangement from its sidecar.

    Args:
        midi: the arrangement.
        asked: the feel of a file that no sidecar names.

    Returns:
        The feel; ``played``: made on beats, and played afterwards as a pianist would.

    Raises:
        InputError: where no sidecar names the file, and no feel is asked for.
    """
    report = report_beside(Path(midi))
    if report is None or report.get("feel") not in ("score", "performance"):
        if asked != "auto":
            return asked
        raise InputError(
            f"{midi}: --bars needs a MIDI file written by `apply`,"
            " and no sidecar next to it lists this one."
        )
    if report["feel"] == "score":
        return "score"

    return "played" if report.get("on_beats") else "performance"


def resolve_feel(request: Request) -> Request:
    """Give a request the feel of the earlier arrangement whose bars it asks for.

    A performance's file could be read as a score, so its sidecar decides.

    Raises:
        InputError: as :func:`feel_of`.
    """
    if request.bars is None:
        return request
    return replace(request, feel=feel_of(request.song, request.feel))


def read_earlier(midi: str, feel: Feel) -> tuple[Piece, Piece]:
    """Read an earlier arrangement.

    Returns:
        All of it, with all parts of its ensemble, and its melody alone, with its own bars.

    Raises:
        InputError: where the file can't be read or has other parts.
    """
    piece = with_pick_up(read_score(midi, feel))
    report = report_beside(Path(midi)) or {}
    ensemble = ensemble_of(piece)
    has_melody = ensemble.melody in piece.parts or report.get("melody_notes") == 0
    if not has_melody or not set(piece.parts) <= set(ensemble.names):
        raise InputError(
            f"{midi}: it isn't an arrangement as `apply` writes it,"
            f" which has the parts {', '.join(ensemble.names)}."
        )
    notes = piece.notes.copy()
    notes["part"] = np.array([ensemble.names.index(name) for name in piece.parts])[notes["part"]]
    notes["melody"] = notes["part"] == 0

    melody = notes[notes["melody"]]
    # Music may continue after the tune, so the whole has bars of its own.
    title = str(report.get("title") or piece.title)
    whole = replace(
        piece, notes=notes, bars=bars_under(piece.bars, notes), parts=ensemble.names, title=title
    )
    own = bars_under(piece.bars, melody) if len(melody) else whole.bars
    return whole, replace(whole.with_notes(melody), bars=own)


def first_number(plan: Plan) -> int:
    """Return the first bar's number, as on a page: 0 for a pick-up, else 1."""
    return 0 if plan.bar_start[0] < 0 else 1


def rework_plan(plan: Plan, codec: Codec, earlier: Piece, bars: str) -> Plan:
    """Plan to make some bars of an arrangement again.

    All before the first of them is given, and the plan stops after the last.

    Raises:
        InputError: where there are no such bars.
    """
    first, last = bar_range(bars)
    lowest = first_number(plan)
    if not lowest <= first <= last < plan.bars + lowest:
        raise InputError(
            f"--bars {bars}: the tune has the bars {lowest} to {plan.bars + lowest - 1};"
            " name some of these."
        )
    grid = codec.grid(earlier)
    given = tuple(
        tuple(codec.encode_events(codec.bar_events(grid, bar))) for bar in range(first - lowest)
    )
    return replace(plan, given=given, stop=last - lowest + 1)


def reworked_steps(plan: Plan) -> tuple[int, int]:
    """Find the steps at which the bars that are made again begin and end."""
    assert plan.stop is not None
    return int(plan.bar_start[len(plan.given)]), int(
        plan.bar_start[plan.stop - 1] + plan.bar_length[plan.stop - 1]
    )


def splice(earlier: Piece, made: Piece, plan: Plan) -> Piece:
    """Replace the accompaniment of the plan's bars by that of another piece.

    No other note changes: what is new ends with the last of these bars, and doesn't strike what
    still sounds.
    """
    assert plan.stop is not None
    begin, end = reworked_steps(plan)

    def inside(piece: Piece) -> NDArray[np.bool_]:
        step = plan_steps(piece, plan)
        chosen: NDArray[np.bool_] = (step >= begin) & (step < end) & ~piece.notes["melody"]
        return chosen

    stays, new = earlier.notes[~inside(earlier)], made.notes[inside(made)].copy()
    if plan.stop < plan.bars:
        new["duration"] = np.minimum(new["duration"], edge_of(earlier, plan, end) - new["onset"])
    held = stays[stays["onset"] < new["onset"].min(initial=np.inf)]
    sounding = [
        (
            (held["pitch"] == note["pitch"])
            & (held["onset"] + held["duration"] > note["onset"] + 1e-6)
        ).any()
        for note in new
    ]
    return earlier.with_notes(sort_notes(np.concatenate([stays, new[~np.array(sounding, bool)]])))


def keep_settings(
    request: Request, earlier: Piece, melody: Piece, first: int
) -> tuple[Request, ChordTable | None]:
    """Keep an earlier arrangement's harmony, and whether it lies below the tune.

    The sidecar has both; without one, the harmony is recognised in the notes. Chords that are asked
    for count from the first of the bars that are made again, unless there is one for every bar of
    the song.

    Returns:
        The request, with the harmony as a line of chords where a line can say it; and the harmony
        of all bars (None: it is to be kept from the song).

    Raises:
        InputError: where the sidecar's harmony can't be read, or was changed in other bars.
    """
    from styletransfer.model.harmonising import overlaid

    report = report_beside(Path(request.song)) or {}
    below = report.get("on_top")
    if request.on_top is None and isinstance(below, bool):
        request = replace(request, on_top=below)
    if request.chords == "keep":
        return request, None

    begin, end = bar_range(str(request.bars))
    rows, bars = report.get("harmony"), melody.bars
    chords = table_of(rows, bars, first) if rows else recognise(earlier.notes, bars)
    if rows and len(melody.notes):
        key = Key.named(str(report.get("key"))) or key_of_tune(melody)
        others = [bar for bar in edited_bars(rows, key) if not begin <= bar <= end]
        if others:
            raise InputError(
                f"the sidecar's harmony was changed in bar {others[0]},"
                f" which --bars {request.bars} doesn't rewrite;"
                " include that bar, or undo the change."
            )
    if request.chords != "new":
        some = bars[begin - first : end - first + 1]
        whole = count_bars(request.chords) >= len(bars) - (bars["start"][0] < 0)
        chords = overlaid(chords, chords_of_line(request.chords, bars if whole else some))
    line = " | ".join(line_of(chords, bars, key_of(melody, chords)))
    exact = np.array_equal(chords_of_line(line, bars), chords)
    return (replace(request, chords=line) if exact else request), chords
