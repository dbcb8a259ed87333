"""music21's scores to pieces, for the formats that music21 reads (it is imported only when a file needs it)."""

from __future__ import annotations

import io
import re
import warnings
from bisect import bisect_right
from collections.abc import Callable
from contextlib import redirect_stderr
from fractions import Fraction
from typing import Any

import numpy as np

from styletransfer.errors import InputError
from styletransfer.score.notation import (
    DEFAULT_VELOCITY,
    FASTEST,
    GRACE_QUARTERS,
    SLOWEST,
    Metre,
    Run,
    Signs,
    Sound,
    Written,
    distinct_label,
    in_order,
    in_playing_order,
    played,
    sections_in_order,
)
from styletransfer.score.notes import Feel, Piece
from styletransfer.score.symbols import NO_CHORD, ChordSymbol, quality_of, read_symbol


def through_music21(load: Callable[[], Any], name: str, format: str, feel: Feel | None) -> Piece:
    """The piece of the score that ``load`` makes; ``name`` and ``format`` are for error messages.

    Raises:
        InputError: where music21 can't understand the file, or where it holds no notes or hours of them.
    """
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")  # music21 warns about files, in both ways; the user can't act on it
            return played(_as_written(load()), name, feel)
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{name}: the {format} is nested too deeply to be music; export it again.") from None
    except Exception as error:  # music21 raises whatever it tripped over
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")[:120] or type(error).__name__
        raise InputError(f"{name}: the {format} cannot be understood ({reason}); export it again or as MIDI.") from error


def whole_score(found: Any) -> Any:
    """What music21 read, as a score."""
    from music21 import stream

    if isinstance(found, stream.Score):
        return found
    score = stream.Score()
    score.insert(0, found)
    return score


def _as_written(score: Any) -> Written:
    remarks: list[str] = []
    measures, runs = _playing_order(score, remarks)
    sounds, parts, drums = _sounds(score)
    tempos = _tempos(score) if sounds else {}
    return Written(sounds, parts, measures, runs, tempos, _keys(score) if sounds else {}, _chords(score), drums, tuple(remarks))


def _playing_order(score: Any, remarks: list[str]) -> tuple[list[tuple[Fraction, Metre]], list[Run]]:
    """The measures in the order of playing, each (its place, its metre), and the same order as runs.

    The part with the most repeat signs speaks for all: programs often print "D.C. al Fine" over the top staff only.
    """
    from music21 import repeat

    def signs(part: Any) -> int:
        return sum(isinstance(e, repeat.RepeatMark) or "RepeatBracket" in e.classes for e in part.recurse())

    leader: Any = max(score.parts, key=signs, default=score)
    written = list(leader.getElementsByClass("Measure"))
    if not written:
        signatures = score.flatten().getElementsByClass("TimeSignature")
        metres = [(Fraction(s.offset), (s.numerator, s.denominator)) for s in signatures]
        return metres, [Run(Fraction(0), Fraction(score.highestTime) + 1, Fraction(0))]
    starts = [Fraction(measure.offset) for measure in written]
    stops = [*starts[1:], Fraction(leader.highestTime)]
    metres_of, metre = [], (4, 4)
    for index, measure in enumerate(written):
        if measure.timeSignature is not None:
            metre = (measure.timeSignature.numerator, measure.timeSignature.denominator)
        metres_of.append(metre)
        measure.groups.append(f"measure-{index}")  # survives the copies that music21 makes
    listed, begins = _sections(leader)
    cuts = sorted({*starts, *(place for place in begins.values() if starts[0] < place < stops[-1])})  # within a bar too
    if sections := sections_in_order(listed, begins, cuts):
        order = [index for section in sections for index in section]
        return in_order(order, cuts, [*cuts[1:], stops[-1]], [metres_of[bisect_right(starts, cut) - 1] for cut in cuts])
    order = list(range(len(written)))
    if signs(leader):
        try:
            expanded = leader.expandRepeats().getElementsByClass("Measure")
            order = [int(next(g for g in m.groups if g.startswith("measure-"))[8:]) for m in expanded]
        except Exception:  # music21 wants each repeat to begin and to end, which few files heed
            if any(isinstance(mark, repeat.RepeatExpression) for mark in leader.recurse()):
                remarks.append("its repeats contradict each other and are played once")
            else:
                order = in_playing_order(_signs(leader, written))
    return in_order(order, starts, stops, metres_of)


def _sections(part: Any) -> tuple[list[str], dict[str, Fraction]]:
    """Kern's list of sections (``*>[A,A,B]``), which says all of repeats, endings and da capo, and where each begins."""
    from music21.humdrum.spineParser import MiscTandem

    marks = [
        (Fraction(mark.getOffsetInHierarchy(part)), mark.tandem[2:])
        for mark in part.recurse().getElementsByClass(MiscTandem)
        if mark.tandem.startswith("*>")
    ]
    listed: list[str] = next((text[1:-1].split(",") for _, text in marks if text.startswith("[") and text.endswith("]")), [])
    return listed, {label: place for place, label in reversed(marks) if "[" not in label}


def _signs(part: Any, measures: list[Any]) -> list[Signs]:
    """The repeat signs of a part's measures."""
    endings: dict[int, frozenset[int]] = {}
    for bracket in part.recurse().getElementsByClass("RepeatBracket"):
        numbers = frozenset(int(number) for number in re.findall(r"\d{1,2}", str(bracket.number))) or frozenset({1})
        endings |= {id(measure): numbers for measure in bracket.getSpannedElements()}

    def turns(bar: Any, direction: str) -> int:
        return (bar.times or 2) - 1 if getattr(bar, "direction", "") == direction else 0

    return [
        Signs(
            turns(measure.leftBarline, "start") > 0,
            turns(measure.rightBarline, "end"),
            endings.get(id(measure), frozenset()),
        )
        for measure in measures
    ]


def _sounds(score: Any) -> tuple[list[Sound], tuple[str, ...], int]:
    """The notes as written, the names of the parts that have any, and how many parts have unpitched ones."""
    from music21 import stream

    sounds: list[Sound] = []
    names: list[str] = []
    drums = 0
    players = list(score.parts)
    for part in players:
        found, unpitched = _part_sounds(part, len(names))
        drums += unpitched
        if not found:
            continue
        sounds += found
        own = part.id if isinstance(part.id, str) else ""  # of a part without one, music21 has its place in memory
        label = (str(part.partName or own).strip() or f"part {len(names) + 1}")[:80]
        staves = [p for p in players if isinstance(p, stream.PartStaff) and p.partName == part.partName]
        if len(staves) == 2 and part in staves:
            label = f"{label}, {'right' if part is staves[0] else 'left'} hand"
        names.append(distinct_label(label, names))
    return sounds, tuple(names), drums


def _part_sounds(part: Any, index: int) -> tuple[list[Sound], bool]:
    """A part's notes as written, and whether it has unpitched ones."""
    from music21 import chord, harmony, note

    flat = part.flatten()
    dynamics = [(Fraction(d.offset), d.volumeScalar) for d in flat.getElementsByClass("Dynamic") if d.volumeScalar]
    sounds: list[Sound] = []
    graces: dict[Fraction, list[list[Sound]]] = {}
    unpitched = False
    for element in flat.notes:
        if isinstance(element, harmony.Harmony):
            continue
        if not isinstance(element, (note.Note, chord.Chord)):
            unpitched = True
            continue
        onset, length = Fraction(element.offset), Fraction(element.duration.quarterLength)
        grace = element.duration.isGrace or length == 0
        loudness = next((scalar for position, scalar in reversed(dynamics) if position <= onset), None)
        tones = []
        for tone in element.notes if isinstance(element, chord.Chord) else (element,):
            stated = tone.volume.velocity if tone.volume.velocity is not None else element.volume.velocity
            velocity = stated or (round(127 * loudness) if loudness else DEFAULT_VELOCITY)
            tie = "" if tone.tie is None or grace else str(tone.tie.type)  # a chord's own tie is that of any of its notes
            if 0 <= tone.pitch.midi <= 127:
                tones.append(Sound(onset, length, int(tone.pitch.midi), int(np.clip(velocity, 1, 127)), index, tie))
        if grace:
            graces.setdefault(onset, []).append(tones)
        else:
            sounds += tones
    for group in graces.values():
        for before, tones in zip(range(len(group), 0, -1), group, strict=True):
            sounds += [tone._replace(length=GRACE_QUARTERS, grace=before) for tone in tones]
    return sounds, unpitched


def _tempos(score: Any) -> dict[Fraction, float]:
    """Seconds a quarter, by written place."""
    changes: dict[Fraction, float] = {}
    for part in score.parts:
        for mark in part.flatten().getElementsByClass("MetronomeMark"):
            rate = mark.getQuarterBPM()
            if rate and SLOWEST <= rate <= FASTEST:
                changes.setdefault(Fraction(mark.offset), round(60e6 / rate) / 1e6)
    return changes


def _keys(score: Any) -> dict[Fraction, tuple[int, bool]]:
    """The first part's key signatures, as (fifths, minor), by written place."""
    return {
        Fraction(key.offset): (int(key.sharps or 0), getattr(key, "mode", None) == "minor")
        for key in score.parts[0].flatten().getElementsByClass("KeySignature")
    }


def _chords(score: Any) -> dict[Fraction, ChordSymbol]:
    """The chord symbols, by written place."""
    from music21 import harmony

    return {Fraction(element.offset): _symbol(element) for element in score.flatten().getElementsByClass(harmony.Harmony)}


def _symbol(element: Any) -> ChordSymbol:
    """A chord symbol at sounding pitch, spelled as the file spells it.

    MusicXML says a chord twice, by its kind and degrees and by what is printed. What is printed is the symbol, if it is
    understood as the same tones; else the kind's usual spelling, if that is; else root, bass and tones count by themselves.
    A kind that says nothing leaves it to what is printed.
    """
    from music21 import harmony

    printed = str(getattr(element, "chordKindStr", None) or "")
    if isinstance(element, harmony.NoChord):
        return ChordSymbol(printed if read_symbol(printed) else NO_CHORD)
    if not element.pitches:
        return ChordSymbol(str(element.figure or printed))
    root, bass = element.root(), element.bass()
    name, low = (one.simplifyEnharmonic().name.replace("-", "b") for one in (root, bass))
    slash = f"/{low}" if bass.pitchClass != root.pitchClass else ""
    degrees = "".join(_degree(one) for one in element.getChordStepModifications())
    usual = {"power": ["5"]}.get(element.chordKind, harmony.CHORD_TYPES.get(element.chordKind, ("", []))[1])

    tones = tuple(sorted({pitch.pitchClass for pitch in element.pitches}))
    for suffix in [*([printed, printed + degrees] if printed else []), *(one + degrees for one in usual)]:
        read = read_symbol(name + suffix + slash)
        if read is not None and (read.tones == tones or len(tones) < 2):
            return read
    text = f"{name}{printed}{slash}" if printed else str(element.figure).replace("-", "b")
    if len(tones) < 2:
        return ChordSymbol(text)
    quality = quality_of({(tone - root.pitchClass) % 12 for tone in tones})
    return ChordSymbol(text, root.pitchClass, quality, bass.pitchClass, tones)


def _degree(change: Any) -> str:
    """A degree that a MusicXML chord adds, alters or leaves out, as it is printed: b9, add9, no3."""
    semitones = 0 if change.interval is None else round(change.interval.semitones)
    if change.modType == "subtract":
        return f"no{change.degree}"
    return ("#" * semitones or "b" * -semitones or ("add" if change.modType == "add" else "")) + str(change.degree)
