"""Turn written music into a piece.

Repeats are laid out, ties merged, and graces put before their main notes; bars, tempo and keys are
added. The readers of MusicXML, kern and ABC all end here, so that the same music is the same piece
whatever its file.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, TypeVar

import numpy as np

from styletransfer.errors import InputError
from styletransfer.formats.midi_in import MAX_HOURS, MAX_QUARTERS, without_doubles
from styletransfer.music.chord_symbols import ChordSymbol, read_symbol
from styletransfer.music.notes import Feel, Piece, TempoMap, bars_of, make_notes, sort_notes
from styletransfer.music.qualities import NONE

GRACE_QUARTERS = Fraction(1, 8)
"""Length of a grace note: three of the 24 steps that a quarter has in the model's tokens."""
COARSEST_TICKS, FINEST_TICKS = 480, 10_080
"""Ticks per quarter: 480 holds everything but sevenths, elevenths and the like; 10,080 holds all
divisions up to tenths.
"""
DEFAULT_VELOCITY = 80
MOST_MEASURES = 20_000
"""Music of more measures as played is refused: it would last for hours."""
MOST_SECTIONS = 200
"""An order of more sections than this is a mistake and is ignored."""
LOOSE = Fraction(1, 32)
"""Quarters by which the end of a tied note may miss its other half, where a file has rounded its
lengths.
"""
WIDEST_TIE = 4
"""Quarters between the halves of a tie, as where the notes of a broken chord are held on."""
SLOWEST, FASTEST = 5, 1000
"""Quarters a minute; a tempo mark beyond them is a mistake and is left out."""

Metre = tuple[int, int]
_Value = TypeVar("_Value")


class Sound(NamedTuple):
    """A written note: its place and length in quarters, and how it is played."""

    onset: Fraction
    length: Fraction
    pitch: int
    velocity: int
    part: int
    tie: str = ""  # "start", "continue", "stop" or nothing
    grace: int = 0  # how many graces before the main note, 1 the nearest; 0 for a main note
    voice: str = ""  # a tie is looked for in its own voice first


class Run(NamedTuple):
    """Measures that are played one after another as they are written.

    They last from ``start`` to ``stop``, and are played at ``played``.
    """

    start: Fraction
    stop: Fraction
    played: Fraction


@dataclass(frozen=True)
class Written:
    """Music as it is written.

    ``measures`` are (place as played, metre), in the order of playing, which ``runs`` give too.
    ``tempos`` are seconds a quarter, ``keys`` (fifths, minor) and ``chords`` the chord symbols, all
    by written place. ``drums`` is how many parts have unpitched notes.
    """

    sounds: list[Sound]
    parts: tuple[str, ...]
    measures: list[tuple[Fraction, Metre]]
    runs: list[Run]
    tempos: dict[Fraction, float] = field(default_factory=dict)
    keys: dict[Fraction, tuple[int, bool]] = field(default_factory=dict)
    chords: dict[Fraction, ChordSymbol] = field(default_factory=dict)
    drums: int = 0
    remarks: tuple[str, ...] = ()
    sung: tuple[int, ...] = ()  # parts that carry words


def played(written: Written, name: str, feel: Feel | None) -> Piece:
    """Return the piece as it sounds.

    ``name`` is what error messages call its file; ``feel`` overrules ``score``.

    Raises:
        InputError: where there are no notes, or hours of them.
    """
    if len(written.measures) >= MOST_MEASURES:
        raise InputError(
            f"{name}: with its repeats it has {MOST_MEASURES:,} bars or more; "
            "cut it into shorter pieces."
        )
    rows = _laid_out(written.sounds, written.runs)
    early = sum(row.onset < 0 for row in rows)
    rows = [row for row in rows if row.onset >= 0]
    if not rows and not (written.chords and written.measures):  # else it is a song of chords
        reason = "it holds only drums" if written.drums else "it holds no notes"
        raise InputError(f"{name}: {reason}; give a file with a melody in it.")

    tpq = _ticks_per_quarter(rows)
    onset = np.array([round(row.onset * tpq) for row in rows])
    duration = np.maximum([round((row.onset + row.length) * tpq) for row in rows] - onset, 1)
    end = float((onset + duration).max() / tpq) if rows else float(_end_of(written))
    if end > MAX_QUARTERS:
        raise InputError(
            f"{name}: its notes lie at impossible times; "
            "export it again from the program that made it."
        )
    tempo = _tempo_map(written.tempos, written.runs, tpq)
    if float(tempo.to_seconds(end)) >= MAX_HOURS * 3600:
        raise InputError(f"{name}: it lasts {MAX_HOURS} hours or more; cut it into shorter pieces.")
    notes = make_notes(
        onset / tpq,
        duration / tpq,
        [row.pitch for row in rows],
        [row.velocity for row in rows],
        [row.part for row in rows],
    )
    found: Feel = feel or "score"
    bars = bars_of(time_signatures(written.measures, tpq), end)
    return Piece(
        notes=sort_notes(without_doubles(notes)),
        feel=found,
        bars=bars if found == "score" else bars[:0],
        tempo=tempo,
        ticks_per_quarter=tpq,
        parts=written.parts,
        key_signatures=_key_signatures(written.keys, written.runs, tpq) if found == "score" else (),
        chords=tuple(
            (round(place * tpq) / tpq, symbol)
            for place, symbol in _in_force(written.chords, written.runs)
        ),
        remarks=(*written.remarks, *_left_out(written, early)),
        sung=written.sung,
    )


def _left_out(written: Written, early: int) -> list[str]:
    """Return remarks on what isn't in the piece.

    ``early`` is the number of notes that would begin before it does.
    """
    remarks: list[str] = []
    if written.drums:
        remarks.append(
            f"the unpitched notes of {written.drums} part{'s' if written.drums > 1 else ''} "
            "were left out"
        )

    for top, bottom in sorted({metre for _, metre in written.measures if not _in_midi(metre)}):
        remarks.append(
            f"the metre {top}/{bottom}, which MIDI can't express, was left out: "
            "its bars keep the metre before them"
        )
    if early:
        remarks.append(
            f"{early} grace note{'s' if early > 1 else ''} before the first beat were left out"
        )

    free = dict.fromkeys(
        one.text
        for one in written.chords.values()
        if one.quality == NONE and read_symbol(one.text) is None
    )
    if free:
        remarks.append(
            "chord symbols that weren't understood, where the harmony is free: "
            f"{', '.join(free)[:80]}"
        )

    return remarks


def in_order(
    order: Sequence[int],
    starts: Sequence[Fraction],
    stops: Sequence[Fraction],
    metres: Sequence[Metre],
) -> tuple[list[tuple[Fraction, Metre]], list[Run]]:
    """Return measures and runs, in the form of :class:`Written`.

    They follow from the order in which written measures are played.
    """
    place, measures, runs = Fraction(0), [], list[Run]()
    for turn, index in enumerate(order):
        measures.append((place, metres[index]))
        if turn and index == order[turn - 1] + 1:
            runs[-1] = runs[-1]._replace(stop=stops[index])
        else:
            runs.append(Run(starts[index], stops[index], place))
        place += stops[index] - starts[index]
    return measures, runs


def sections_in_order(
    labels: Sequence[str], begins: Mapping[str, Fraction], starts: Sequence[Fraction]
) -> list[range]:
    """Return the measures of each section in the order that a file states.

    The file states it by the sections' labels; all places are written ones.

    What stands before the first section is played before all. Empty where there is no order, or it
    doesn't fit.
    """
    if not labels or len(labels) > MOST_SECTIONS or not set(labels) <= begins.keys():
        return []
    first = {label: bisect_left(starts, place) for label, place in begins.items()}
    ends = sorted({*first.values(), len(starts)})
    sections = [
        range(first[label], next((end for end in ends if end > first[label]), first[label]))
        for label in labels
    ]
    return [range(ends[0]), *sections]


class Signs(NamedTuple):
    """A measure's repeat signs.

    They are whether a repeat begins with it, how often its end sends back, and its ending's
    numbers. ``words``: segno and coda stand at its beginning; fine, to coda, da capo and dal segno
    at its end. Each may have a name, ("coda", "2"), by which a jump finds its destination among
    several. ``after_jump``: the repeat is taken after a da capo, too.
    """

    begins: bool = False
    ends: int = 0
    ending: frozenset[int] = frozenset()
    words: frozenset[tuple[str, str]] = frozenset()
    after_jump: bool = False

    def says(self, *words: str) -> tuple[str, str] | None:
        """Return one of these words with its name, if it stands here."""
        return min((word for word in self.words if word[0] in words), default=None)


def in_playing_order(signs: Sequence[Signs]) -> list[int]:
    """Return the order in which measures are played, by repeat signs and words.

    Of an endless order only the beginning is returned.

    A repeat without a beginning goes back to where the one before it ended; one that never ends is
    no repeat. An ending is played at its own turns. Back at the beginning or the segno, what was
    played is played without its repeats and with its last endings, up to the fine, or to the coda;
    each jump is taken once.
    """
    order: list[int] = []
    left = set[int]()  # the jumps that were taken
    start, turn, index, known = 0, 1, 0, -1  # known: up to here all was played before the last jump
    while index < len(signs) and len(order) < MOST_MEASURES:
        here, again = signs[index], index <= known
        left_endings = index > start and signs[index - 1].ending and not here.ending
        if (here.begins and index != start) or left_endings:
            start, turn = index, 1
        repeated = not again or here.after_jump
        if here.ending and not (
            _is_last(signs, index) if _first_ending(signs, index) <= known else turn in here.ending
        ):
            index += 1
            continue
        order.append(index)
        if left and here.says("fine"):
            break
        if (
            left
            and (word := here.says("to coda"))
            and (coda := _goal(signs, "coda", word[1], index)) is not None
        ):
            index = start = coda
            turn = 1
            continue
        if here.ends and repeated:
            if turn < _turns(signs, index, start):
                index, turn = start, turn + 1
                continue
            start, turn = index + 1, 1
        word = here.says("da capo", "dal segno")
        if word and index not in left:
            left.add(index)
            known = max(known, index)
            index = start = (
                (_goal(signs, "segno", word[1], -1) or 0) if word[0] == "dal segno" else 0
            )
            turn = 1
            continue
        index += 1

    return order


def _goal(signs: Sequence[Signs], word: str, label: str, after: int) -> int | None:
    """Return the measure after ``after`` at which a segno or coda stands.

    It is the one of that name, else the last coda or first segno.
    """
    found = [index for index in range(after + 1, len(signs)) if signs[index].says(word)]
    named = [index for index in found if label and (word, label) in signs[index].words]
    return next(iter(named or (found[-1:] if word == "coda" else found)), None)


def _first_ending(signs: Sequence[Signs], index: int) -> int:
    """Return the first measure of the unbroken row of endings that this one is in."""
    while index and signs[index - 1].ending and not signs[index].begins:
        index -= 1
    return index


def _is_last(signs: Sequence[Signs], index: int) -> bool:
    """Return whether a measure is in the last of its endings."""
    highest = max(signs[index].ending)
    while index + 1 < len(signs) and signs[index + 1].ending and not signs[index + 1].begins:
        index += 1
        if max(signs[index].ending) > highest:
            return False
    return True


def _turns(signs: Sequence[Signs], index: int, start: int) -> int:
    """Return how often the music before an end of a repeat is played.

    Its endings decide where it has any.
    """
    if not signs[index].ending:
        return signs[index].ends + 1
    first, last = max(_first_ending(signs, index), start), index + 1
    while last < len(signs) and signs[last].ending and not signs[last].begins:
        last += 1
    return max(2, *(number for sign in signs[first:last] for number in sign.ending))


def distinct_label(label: str, names: Sequence[str]) -> str:
    """Return a part's name, with a number where an earlier part has the same one."""
    same = sum(name == label or name.startswith(f"{label} ") for name in names)
    return f"{label} {same + 1}" if label in names else label


def _laid_out(sounds: list[Sound], runs: list[Run]) -> list[Sound]:
    """Return the notes as played.

    Runs are laid one after another, ties merged, and graces put before their main note.
    """
    ordered = sorted(sounds, key=lambda sound: sound.onset)
    onsets = [sound.onset for sound in ordered]
    rows: list[Sound] = []
    tied: dict[
        tuple[int, int], list[int]
    ] = {}  # part and pitch -> the rows from which a tie is open
    for run in runs:
        for key, open_rows in tied.items():  # across a jump, ties reach only its destination
            tied[key] = [r for r in open_rows if _end(rows[r]) >= run.played - LOOSE]
        for sound in ordered[bisect_left(onsets, run.start) : bisect_left(onsets, run.stop)]:
            onset = sound.onset - run.start + run.played - sound.grace * GRACE_QUARTERS
            key = (sound.part, sound.pitch)
            open_rows = tied.get(key, [])
            struck = sound.tie not in {"stop", "continue"}
            row = None if struck else _tied_to(rows, open_rows, onset, sound)
            if row is None and not struck:  # the other half may be on another staff
                row = _tied_across(rows, tied, onset, sound.pitch)
            if row is None:
                row = len(rows)
                rows.append(sound._replace(onset=onset))
            else:
                rows[row] = rows[row]._replace(length=onset + sound.length - rows[row].onset)
                for others in (open_rows, tied.get((rows[row].part, sound.pitch), [])):
                    if row in others:
                        others.remove(row)
            if struck and open_rows:
                tied[key] = open_rows = [
                    r
                    for r in open_rows
                    if _end(rows[r]) >= onset - LOOSE or rows[r].voice != sound.voice
                ]
            if sound.tie in {"start", "continue"}:
                tied[key] = [r for r in open_rows if _end(rows[r]) >= onset - WIDEST_TIE] + [row]

    return rows


def _end(row: Sound) -> Fraction:
    return row.onset + row.length


def _tied_across(
    rows: list[Sound], tied: dict[tuple[int, int], list[int]], onset: Fraction, pitch: int
) -> int | None:
    """Return the row, of any part, that a tied note continues.

    It ends just where the note begins.
    """
    near = [
        row
        for (_, other), open_rows in tied.items()
        for row in open_rows
        if other == pitch and abs(_end(rows[row]) - onset) <= LOOSE
    ]
    return near[0] if near else None


def _tied_to(rows: list[Sound], open_rows: list[int], onset: Fraction, sound: Sound) -> int | None:
    """Return the row that a tied note continues, preferring one of its voice.

    It ends where the note begins. Where none does, it is the last that ended before, not long ago:
    a note of that pitch is tied over what its voice plays meanwhile.
    """
    near = [row for row in open_rows if abs(_end(rows[row]) - onset) <= LOOSE]
    if near:
        return max(near, key=lambda row: rows[row].voice == sound.voice)
    far = [row for row in open_rows if onset - WIDEST_TIE <= _end(rows[row]) < onset]
    return max(far, key=lambda row: (rows[row].voice == sound.voice, row), default=None)


def _in_force(changes: dict[Fraction, _Value], runs: list[Run]) -> list[tuple[Fraction, _Value]]:
    """Return changes at the positions where they are played.

    They are given by written position. Each run begins with what holds there, unless that holds
    already.
    """
    positions = sorted(changes)
    rows: list[tuple[Fraction, _Value]] = []
    for run in runs:
        before = bisect_left(positions, run.start)
        inside = [
            (p - run.start + run.played, changes[p]) for p in positions[before:] if p < run.stop
        ]
        if before and not (inside and inside[0][0] == run.played):
            held = changes[positions[before - 1]]
            rows += [(run.played, held)] if not rows or rows[-1][1] != held else []
        rows += inside
    return rows


def _ticks_per_quarter(rows: list[Sound]) -> int:
    """Return the ticks per quarter by which all onsets and ends are whole ticks.

    It is the smallest such multiple of 480 up to 10,080, else 10,080.
    """
    needed = math.lcm(*{f.denominator for row in rows for f in (row.onset, row.onset + row.length)})
    return min(math.lcm(COARSEST_TICKS, needed), FINEST_TICKS)


def _tempo_map(changes: dict[Fraction, float], runs: list[Run], tpq: int) -> TempoMap:
    tempos = {0: 0.5} | {
        round(position * tpq): seconds for position, seconds in _in_force(changes, runs)
    }
    ticks = sorted(tempos)
    kept = [t for i, t in enumerate(ticks) if i == 0 or tempos[t] != tempos[ticks[i - 1]]]
    return TempoMap(np.array(kept) / tpq, np.array([tempos[t] for t in kept]))


def _end_of(written: Written) -> Fraction:
    """Return where the last measure ends as it is played."""
    place, metre = written.measures[-1]
    return place + Fraction(4 * metre[0], metre[1])


def _in_midi(metre: Metre) -> bool:
    """Return whether MIDI can write a metre: its denominators are powers of two."""
    return metre[0] <= 255 and metre[1] <= 128 and not metre[1] & (metre[1] - 1)


def time_signatures(
    measures: list[tuple[Fraction, Metre]], tpq: int
) -> list[tuple[float, int, int]]:
    """Return signatures of which ``bars_of`` makes these measures.

    They are restated where a measure is shorter or longer than its metre.
    """
    rows: list[tuple[float, int, int]] = []
    metre, expected = (0, 0), Fraction(0)
    for position, new in measures:
        if (new != metre or position != expected) and position <= MAX_QUARTERS and _in_midi(new):
            rows.append((round(position * tpq) / tpq, *new))
        metre, expected = new, position + Fraction(4 * new[0], new[1])
    return rows


def _key_signatures(
    keys: dict[Fraction, tuple[int, bool]], runs: list[Run], tpq: int
) -> tuple[tuple[float, int, bool], ...]:
    """Return key signatures as (quarter, fifths, minor)."""
    rows = _in_force({place: key for place, key in keys.items() if -7 <= key[0] <= 7}, runs)
    new = [row for i, row in enumerate(rows) if not i or row[1] != rows[i - 1][1]]
    return tuple((round(place * tpq) / tpq, *key) for place, key in new)
