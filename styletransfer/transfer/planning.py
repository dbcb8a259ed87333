"""The harmony of an arrangement, planned before its notes: proposed by the harmoniser, kept from the song, or given.

The harmoniser (:mod:`styletransfer.model.harmonising`) reads the whole tune in both directions; what a user fixes stands as it
is, and it proposes the rest. The plan is told to the model bar by bar, and stands in the report, from which some of it may be
changed before bars are made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from styletransfer.errors import InputError
from styletransfer.score.chord_names import chord_of_symbol, chord_of_tones, chords_of_line, roman, symbol
from styletransfer.score.chords import CHORD_DTYPE, NONE, ChordTable, recognise
from styletransfer.score.harmony import Key
from styletransfer.score.notes import BarTable, Piece
from styletransfer.styles import parse_style
from styletransfer.tokens.codec import chords_by_bar
from styletransfer.tokens.plan import Plan

if TYPE_CHECKING:
    from styletransfer.transfer.request import Request

DOMINANTS = ("V", "vii")
"""How the numerals of dominant-function chords begin."""


def with_text(chords: str) -> str:
    """Give what ``--chords`` says: ``new``, ``keep``, a line of symbols, or the line that a file of that name holds.

    Raises:
        InputError: where the file can't be read.
    """
    if chords in ("new", "keep") or "|" in chords or "\n" in chords:
        return chords
    try:
        if not Path(chords).is_file():
            return chords
        return Path(chords).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"--chords {chords}: can't be read as text ({error}).") from error


def planned(plan: Plan, chords: ChordTable, *, above: bool) -> Plan:
    """Add chords (in quarters) to a plan; ``above``: the accompaniment may lie above the tune."""
    told = chords_by_bar(chords, plan.bar_start, plan.bar_length)
    return replace(plan, chords=told, references=True, above=above and plan.locked)


def harmony_of(request: Request, melody: Piece, own: Piece | None) -> ChordTable:
    """Plan the harmony of a tune.

    Args:
        request: what is asked for.
        melody: the tune alone, as a piece with beats.
        own: the song without its tune, where its harmony is kept.

    Returns:
        A chord table from the first bar to the last.

    Raises:
        InputError: where chords aren't understood, or the song has none to keep.
    """
    from styletransfer.model.harmonising import Settings, propose

    fixed = np.zeros(0, CHORD_DTYPE)
    if request.chords == "keep":
        assert own is not None
        fixed = _kept(own, melody.bars)
    elif request.chords != "new":
        fixed, _ = chords_of_line(request.chords, melody.bars)
    style = max(parse_style(request.style), key=lambda one: one[1])[0]
    settings = Settings(
        style.composer,
        style.era,
        sung=not request.on_top,
        strength=min(request.sampling.strength, 1.0),
        seed=request.sampling.seed,
    )
    return propose(melody, settings, constraints=fixed)[0][0]


def _kept(own: Piece, bars: BarTable) -> ChordTable:
    """The chords of a song's symbols, else of what accompanies its tune."""
    if not own.chords:
        if not len(own.notes):
            raise InputError("--chords keep: this song is a melody alone, it has no harmony to keep; leave the option out.")
        return recognise(own.notes, bars)
    end = float(bars["start"][-1] + bars["length"][-1])
    starts = [quarter for quarter, _ in own.chords]
    rows = []
    for start, stop, (_, tones) in zip(starts, [*starts[1:], end], own.chords, strict=True):
        if tones and stop > start:
            rows.append((start, stop - start, *chord_of_tones(tones), NONE))  # the bass is the harmoniser's
    return np.array(rows, CHORD_DTYPE)


def harmony_rows(chords: ChordTable, bars: BarTable, key: Key, first: int) -> list[dict[str, Any]]:
    """Tell a harmony bar by bar, for a report.

    Args:
        chords: the chord table.
        bars: the bars of the tune.
        key: for spelling and numerals.
        first: the number of the first bar.

    Returns:
        Of each bar its number, its chords (``quarter`` from the bar's start, ``symbol``, ``roman``), and its ``cadence`` where
        a dominant leads to the tonic at a bar's beginning (``authentic``), to the submediant (``deceptive``), or the last chord
        of four bars is a dominant (``half``).
    """
    ends = np.append(chords["start"][1:], np.inf)
    rows: list[dict[str, Any]] = []
    before = ""
    for number, bar in enumerate(bars):
        start = float(bar["start"])
        inside = (chords["start"] < start + float(bar["length"]) - 1e-6) & (ends > start + 1e-6)
        told = []
        for chord in chords[inside]:
            named = int(chord["root"]), int(chord["quality"]), int(chord["bass"])
            at = round(max(float(chord["start"]) - start, 0.0), 4)
            told.append({"quarter": at, "symbol": symbol(*named, key), "roman": roman(*named, key)})
        row: dict[str, Any] = {"bar": number + first, "chords": told}
        numerals = [one["roman"] for one in told]
        if numerals and before.startswith(DOMINANTS) and numerals[0].lower().strip("%o+").startswith(("i", "vi")):
            landed = numerals[0].rstrip("o+%64253")
            cadence = {"I": "authentic", "i": "authentic", "vi": "deceptive", "VI": "deceptive"}.get(landed)
            if cadence and (number % 4 == 3 or number == len(bars) - 1):
                row["cadence"] = cadence
        if number % 4 == 3 and numerals and numerals[-1].startswith("V") and not numerals[-1].startswith("VI"):
            row["cadence"] = "half"
        before = numerals[-1] if numerals else before
        rows.append(row)
    return rows


def table_of(rows: Sequence[dict[str, Any]], bars: BarTable, first: int) -> ChordTable:
    """Read a report's harmony again, edited or not.

    Args:
        rows: what :func:`harmony_rows` told.
        bars: the bars of the tune.
        first: the number of the first bar.

    Raises:
        InputError: where a symbol isn't understood, or a row isn't as it was written.
    """
    found: list[tuple[float, int, int, int]] = []
    try:
        for row in rows:
            bar = bars[int(row["bar"]) - first]
            for chord in row["chords"]:
                named = chord_of_symbol(str(chord["symbol"]))
                found.append((float(bar["start"]) + float(chord["quarter"]), *named))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"the sidecar's harmony can't be read ({error!r}); give --chords.") from error
    found.sort()
    end = float(bars["start"][-1] + bars["length"][-1])
    stops = [*(start for start, *_ in found[1:]), end]
    table = [(start, stop - start, *named) for (start, *named), stop in zip(found, stops, strict=True) if stop > start]
    return np.array(table, CHORD_DTYPE)
