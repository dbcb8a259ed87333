"""Plan the harmony of an arrangement before its notes.

It is proposed by the harmoniser, kept from the song, or given. The harmoniser
(:mod:`styletransfer.model.harmonising`) reads the whole tune in both directions; what a user fixes
stands as it is, and it proposes the rest. The model is told the plan bar by bar. The report has it,
too, and some of it may be changed there before bars are made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer.errors import InputError
from styletransfer.formats.midi_in import MAX_HOURS
from styletransfer.music import chord_names
from styletransfer.music.chord_names import NEAR
from styletransfer.music.chords import CHORD_DTYPE, ChordTable, chord_table, tones_of
from styletransfer.music.key import Key, estimate_key
from styletransfer.music.notes import BarTable, Piece, TempoMap, bars_of, beat_of, make_notes
from styletransfer.music.qualities import NONE
from styletransfer.music.tune_key import key_of_tune
from styletransfer.tokens.codec import chords_by_bar
from styletransfer.tokens.plan import Plan
from styletransfer.transfer.figures import main_style
from styletransfer.transfer.request import Request, metre_of

DEFAULT_TEMPO, SLOWEST = 100.0, 3.6
"""Quarters per minute of chords by themselves, and the fewest that a MIDI file can hold."""
MOST_CHORDS = 1000
"""Chords that a bar of a report's harmony may have."""
DECIMALS = 3
"""Decimals of a chord's place in a report: as many as a chord table still has after hours of
music."""


def read_chords(chords: str) -> str:
    """Read ``--chords``: ``new``, ``keep``, a line of symbols, or what a file holds.

    What can be read as one bar of a line is one, even where a file has that name.

    Raises:
        InputError: where it is none of these, or the file can't be read.
    """
    if chords in ("new", "keep") or "|" in chords or "\n" in chords or chord_names.is_bar(chords):
        return chords
    path = Path(chords)
    try:
        if path.is_dir():
            raise InputError(f"--chords {chords}: it is a folder; name a file, or give chords.")
        if path.is_file():
            return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"--chords {chords}: can't be read as text ({error}).") from error
    if len(chords.split()) == 1:
        raise InputError(
            f"--chords {chords}: neither a chord symbol, such as Am7 or G/B, nor a file."
        )
    return chords


def resolve_chords(request: Request) -> Request:
    """Give a request the chords that files hold.

    The file is that of ``--chords FILE``, or a text file in the place of a song.

    Raises:
        InputError: where a file can't be read, or a bar isn't understood.
    """
    if not request.song or not request.of_chords:
        return replace(request, chords=read_chords(request.chords))
    if not Path(request.song).is_file():
        raise InputError(f"{request.song}: there is no such file of chords; check the name.")
    text = read_chords(request.song)
    try:
        chord_names.chords_of_line(
            text, bars_of([(0.0, 4, 4)], 4.0 * max(chord_names.count_bars(text), 1))
        )
    except InputError as error:
        reason = str(error).removeprefix("--chords: ").rstrip(".")
        raise InputError(
            f"{request.song}: it is neither a song nor a file of chords ({reason})."
        ) from error
    return replace(request, song="", chords=text)


def chord_song(request: Request) -> Piece:
    """Lay out chords by themselves, as a song of bars without a note.

    Raises:
        InputError: where there are none, or hours of them.
    """
    top, bottom = metre_of(request.metre or "4/4")
    rate = DEFAULT_TEMPO if request.tempo is None else request.tempo * beat_of(top, bottom)
    if rate < SLOWEST:
        raise InputError(
            f"--tempo {request.tempo:g}: that is too slow for a MIDI file; give a faster one."
        )

    length = 4.0 * top / bottom
    quarters = chord_names.count_bars(request.chords) * length
    if not quarters:
        raise InputError("--chords: it contains no chords; write them as 'F C7 | F'.")
    if quarters / rate >= MAX_HOURS * 60:
        raise InputError(f"--chords: they last {MAX_HOURS} hours or more; give fewer bars.")

    bars = bars_of([(0.0, top, bottom)], quarters)
    key = key_of_chords(chord_names.chords_of_line(request.chords, bars))
    signature = (0.0, key.fifths, key.mode == "minor")
    tempo = TempoMap.steady(60 / rate)
    return Piece(
        make_notes([], [], []),
        "score",
        bars,
        tempo,
        parts=request.ensemble.names,
        key_signatures=(signature,),
    )


def chords_alone(request: Request, source: Piece) -> ChordTable:
    """Find the harmony of a song without a tune.

    It is the chords that are asked for, else the song's own symbols.

    Raises:
        InputError: where a bar has none.
    """
    bars = source.bars
    begin, end = float(bars["start"][0]), float(bars["start"][-1] + bars["length"][-1])
    if request.chords in ("new", "keep"):
        if not source.chords:
            raise InputError(
                "--chords keep: there are neither notes nor chord symbols to keep; give chords."
            )
        fixed = chord_names.chords_of_symbols(source.chords, bars)
    else:
        fixed = chord_names.chords_of_line(request.chords, bars)
        starts = np.append(fixed["start"], end)
        ends = np.insert(fixed["start"] + fixed["length"], 0, begin)
        if len(free := np.flatnonzero(starts > ends + NEAR)):
            bar = int(np.searchsorted(bars["start"], ends[free[0]] + NEAR, side="right"))
            raise InputError(
                f"--chords: part of bar {bar} has no chord, and there is no tune to find one for;"
                " - continues the chord before."
            )

    chords = np.stack([fixed[name] for name in ("root", "quality", "bass")], 1).astype(np.int64)
    return chord_table(fixed["start"].astype(float), end, chords)


def ends_on_tonic(chords: ChordTable, bars: BarTable, key: Key) -> bool:
    """Report whether chords end on the tonic in root position.

    A tonic that begins in the last bar has to begin on an eighth.
    """
    last = chords[-1]
    place = (float(last["start"]) - float(bars[-1]["start"])) * 2
    chord = (int(last["root"]), int(last["quality"]))
    return (
        chord in key.tonic_chords
        and int(last["bass"]) == key.tonic
        and abs(place - round(place)) < NEAR
    )


def key_of_chords(chords: ChordTable) -> Key:
    """Estimate the key of chords from their tones, their bass below and root on top."""
    rows = []
    for start, length, root, quality, bass in chords[chords["quality"] != NONE].tolist():
        pitches = (
            36 + (root if bass == NONE else bass),
            *(48 + tone for tone in tones_of(root, quality)),
            60 + root,
        )
        rows += [(start, length, pitch) for pitch in pitches]
    onset, duration, pitch = np.array(rows).reshape(-1, 3).T
    return estimate_key(make_notes(onset, duration, pitch.astype(int)))


def key_of(melody: Piece, chords: ChordTable | None) -> Key:
    """Estimate the key of a tune, or of the chords where there is none."""
    if len(melody.notes) or chords is None:
        return key_of_tune(melody)
    return key_of_chords(chords)


def add_chords(plan: Plan, chords: ChordTable, *, above: bool) -> Plan:
    """Add chords (in quarters) to a plan.

    ``above``: the accompaniment may lie above the tune.
    """
    by_bar = chords_by_bar(chords, plan.bar_start, plan.bar_length)
    return replace(plan, chords=by_bar, references=True, above=above and plan.locked)


def harmony_of(request: Request, melody: Piece, own: ChordTable | None) -> ChordTable:
    """Plan the harmony of a tune.

    Args:
        request: what is asked for.
        melody: the tune alone, as a piece with beats.
        own: the song's own chords, where they are kept; spans of its bars.

    Returns:
        A chord table from the first bar to the last.

    Raises:
        InputError: where chords aren't understood.
    """
    from styletransfer.model.harmonising import Settings, propose

    fixed = np.zeros(0, CHORD_DTYPE)
    if request.chords == "keep":
        assert own is not None
        fixed = own
    elif request.chords != "new":
        fixed = chord_names.chords_of_line(request.chords, melody.bars)

    style = main_style(request.style)
    settings = Settings(
        style.composer,
        style.era,
        sung=not request.on_top,
        strength=min(request.sampling.strength, 1.0),
        seed=request.sampling.seed,
    )
    return propose(melody, settings, constraints=fixed)[0][0]


def harmony_rows(chords: ChordTable, bars: BarTable, key: Key, first: int) -> list[dict[str, Any]]:
    """List a harmony bar by bar, for a report.

    Args:
        chords: the chord table.
        bars: the bars of the tune.
        key: for spelling and numerals.
        first: the number of the first bar.

    Returns:
        For each bar its number ``bar``, its ``chords`` (``quarter`` from the bar's start, or where
        a pick-up would have it, ``symbol``, ``roman``), and where a cadence comes in it,
        ``cadence``; see :func:`~styletransfer.music.chord_names.cadences`.
    """
    found = chord_names.cadences(chords, bars, key)
    rows: list[dict[str, Any]] = []
    for index, bar in enumerate(bars):
        named = [
            {
                "quarter": round(place, DECIMALS),
                "symbol": chord_names.symbol(*chord, key),
                "roman": chord_names.roman(*chord, key),
            }
            for place, chord in chord_names.bar_chords(chords, bar)
        ]
        cadence = {"cadence": found[index]} if index in found else {}
        rows.append({"bar": index + first, "chords": named} | cadence)

    return rows


def edited_bars(rows: Sequence[dict[str, Any]], key: Key) -> list[int]:
    """Find the bars of a report's harmony whose symbols were edited.

    There, a symbol isn't the one that its Roman numeral was written for.

    Args:
        rows: what :func:`harmony_rows` gave, edited or not.
        key: the key in which it was written.
    """

    def same(chord: dict[str, Any]) -> bool:
        return chord_names.roman(
            *chord_names.chord_of_symbol(str(chord["symbol"])), key
        ) == chord.get("roman")

    return [int(row["bar"]) for row in rows if not all(same(chord) for chord in row["chords"])]


def table_of(rows: Sequence[dict[str, Any]], bars: BarTable, first: int) -> ChordTable:
    """Read a report's harmony again, edited or not.

    A bar without chords continues those before it. Bars that don't exist, as in the report of an
    arrangement that was stopped, are left out.

    Args:
        rows: what :func:`harmony_rows` gave.
        bars: the bars of the tune.
        first: the number of the first bar.

    Raises:
        InputError: where a symbol isn't understood, or a row isn't as it was written.
    """
    named = {float(bars["start"][0]): (NONE, NONE, NONE)}
    try:
        for row in rows:
            index = int(row["bar"]) - first
            if index < 0:
                raise ValueError(f"there is no bar {row['bar']}")
            if len(row["chords"]) > MOST_CHORDS:
                raise ValueError(f"bar {row['bar']} has more than {MOST_CHORDS} chords")
            for chord in row["chords"] if index < len(bars) else ():
                place, bar = float(chord["quarter"]), bars[index]
                if not 0 <= place < bar["length"]:
                    raise ValueError(f"bar {row['bar']} has no quarter {place:g}")
                at = float(bar["start"]) + place
                named[at] = chord_names.chord_of_symbol(str(chord["symbol"]))
    except (InputError, KeyError, TypeError, ValueError, OverflowError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error).rstrip(".")
        message = f"the sidecar's harmony can't be read ({reason}); correct it, or give --chords."
        raise InputError(message) from error

    starts = sorted(named)
    end = float(bars["start"][-1] + bars["length"][-1])
    return chord_table(np.array(starts), end, np.array([named[start] for start in starts]))
