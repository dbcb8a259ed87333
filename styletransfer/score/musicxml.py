"""MusicXML bytes to pieces, through music21 (imported only when a file needs it).

Repeats are played out, tied notes become one, instruments are read at sounding pitch, chord symbols and unpitched notes
are left out. Grace notes take an eighth of a quarter each just before the note that they adorn.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from bisect import bisect_left
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar
from xml.etree import ElementTree

import numpy as np

from styletransfer.score.midi import MAX_HOURS, MAX_QUARTERS, without_doubles
from styletransfer.score.notes import Feel, InputError, Piece, TempoMap, bars_of, make_notes, sort_notes

GRACE_QUARTERS = Fraction(1, 8)
"""Length of a grace note: three of the 24 steps that a quarter has in the model's tokens."""
COARSEST_TICKS, FINEST_TICKS = 480, 10_080
"""Ticks per quarter: 480 holds everything but sevenths, elevenths and the like; 10,080 those up to tenths."""
DEFAULT_VELOCITY = 80
MAX_XML_BYTES = 256 * 1024 * 1024
"""A compressed score that unpacks to more than this is refused."""


_Value = TypeVar("_Value")


class _Sound(NamedTuple):
    """A written note: its place and length in quarters, and what else is needed to play it."""

    onset: Fraction
    length: Fraction
    pitch: int
    velocity: int
    part: int
    tie: str = ""  # "start", "continue", "stop" or nothing
    grace: int = 0  # how many graces before the main note, 1 the nearest; 0 for a main note


class _Run(NamedTuple):
    """Measures that are played one after another as they are written: from ``start`` to ``stop``, at ``played``."""

    start: Fraction
    stop: Fraction
    played: Fraction


def parse_musicxml(data: bytes, name: str, feel: Feel | None = None) -> Piece:
    """A piece from the bytes of a MusicXML file, plain or compressed; ``name`` is what its error messages call it.

    Raises:
        InputError: where the bytes are not MusicXML, hold no notes, or hold hours of music.
    """
    text = _checked(_xml_of(data, name), name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # music21 warns about files; the user can't act on it
            return _piece(_load(text), name, feel)
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{name}: the MusicXML is nested too deeply to be music; export it again.") from None
    except Exception as error:  # music21 raises whatever it tripped over
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")[:120] or type(error).__name__
        raise InputError(f"{name}: the MusicXML cannot be understood ({reason}); export it again or as MIDI.") from error


def _xml_of(data: bytes, name: str) -> bytes:
    """The score's XML, taken out of the archive where it is compressed."""
    if data[:2] != b"PK":
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            inside = [n for n in names if n.endswith((".xml", ".musicxml")) and not n.startswith(("META-INF/", "__MACOSX"))]
            if "META-INF/container.xml" in names:
                container = ElementTree.fromstring(archive.read("META-INF/container.xml"))
                roots = [e.get("full-path") or "" for e in container.iter() if e.tag.split("}")[-1] == "rootfile"]
                inside = [root for root in roots if root in names][:1] or inside
            if not inside:
                raise InputError(f"{name}: the archive has no score in it; export it again as MusicXML.")
            if archive.getinfo(inside[0]).file_size > MAX_XML_BYTES:
                raise InputError(f"{name}: its score unpacks to more than {MAX_XML_BYTES >> 20} MB; export it again.")
            return archive.read(inside[0])
    except (
        zipfile.BadZipFile,
        ElementTree.ParseError,
        OSError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ):
        raise InputError(f"{name}: the compressed MusicXML is damaged; download or export it again.") from None
    except Exception as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name}: the compressed MusicXML is damaged; download or export it again.") from error


def _checked(text: bytes, name: str) -> bytes:
    """The XML in UTF-8, whatever its encoding was; what isn't MusicXML is refused before music21 guesses."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise InputError(f"{name}: it is cut short or not XML ({error}); export it again as MusicXML.") from None
    except (ValueError, LookupError) as error:  # an encoding that does not exist
        raise InputError(f"{name}: it is not readable XML ({error}); export it again as MusicXML.") from None
    tag = root.tag.split("}")[-1]
    if tag not in {"score-partwise", "score-timewise"}:
        raise InputError(f"{name}: it is XML but not a MusicXML score (its root is <{tag}>); export it as MusicXML.")
    return bytes(ElementTree.tostring(root, encoding="utf-8"))


def _load(text: bytes) -> Any:
    """music21's score at sounding pitch."""
    from music21 import converter, stream

    score = converter.parseData(text, format="musicxml")
    if not isinstance(score, stream.Score):
        whole = stream.Score()
        whole.insert(0, score)
        score = whole
    score.toSoundingPitch(inPlace=True)
    return score


def _piece(score: Any, name: str, feel: Feel | None) -> Piece:
    remarks: list[str] = []
    measures, runs = _playing_order(score, remarks)
    sounds, parts, drums = _written(score)
    if not sounds:
        reason = "it holds only drums" if drums else "it holds no notes"
        raise InputError(f"{name}: {reason}; give a file with a melody in it.")
    if drums:
        remarks.append(f"the unpitched notes of {drums} part{'s' if drums > 1 else ''} were left out")
    rows = _played(sounds, runs)
    early = sum(row.onset < 0 for row in rows)
    rows = [row for row in rows if row.onset >= 0]
    if early:
        remarks.append(f"{early} grace note{'s' if early > 1 else ''} before the first beat were left out")

    tpq = _ticks_per_quarter(rows)
    onset = np.array([round(row.onset * tpq) for row in rows])
    duration = np.maximum([round((row.onset + row.length) * tpq) for row in rows] - onset, 1)
    end = float((onset + duration).max() / tpq)
    if end > MAX_QUARTERS:
        raise InputError(f"{name}: its notes lie at impossible times; export it again from the program that made it.")
    tempo = _tempo_map(score, runs, tpq)
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
    bars = bars_of(_time_signatures(measures, tpq), end)
    return Piece(
        notes=sort_notes(without_doubles(notes)),
        feel=found,
        bars=bars if found == "score" else bars[:0],
        tempo=tempo,
        ticks_per_quarter=tpq,
        parts=parts,
        key_signatures=_key_signatures(score, runs, tpq) if found == "score" else (),
        remarks=tuple(remarks),
    )


def _playing_order(score: Any, remarks: list[str]) -> tuple[list[tuple[Fraction, tuple[int, int]]], list[_Run]]:
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
        return metres, [_Run(Fraction(0), Fraction(score.highestTime) + 1, Fraction(0))]
    starts = [Fraction(measure.offset) for measure in written]
    stops = [*starts[1:], Fraction(leader.highestTime)]
    metres_of, metre = [], (4, 4)
    for index, measure in enumerate(written):
        if measure.timeSignature is not None:
            metre = (measure.timeSignature.numerator, measure.timeSignature.denominator)
        metres_of.append(metre)
        measure.groups.append(f"measure-{index}")  # survives the copies that music21 makes
    order = list(range(len(written)))
    if signs(leader):
        try:
            expanded = leader.expandRepeats().getElementsByClass("Measure")
            order = [int(next(g for g in m.groups if g.startswith("measure-"))[8:]) for m in expanded]
        except Exception:
            remarks.append("its repeats contradict each other and are played once")
    played, measures, runs = Fraction(0), [], list[_Run]()
    for place, index in enumerate(order):
        measures.append((played, metres_of[index]))
        if place and index == order[place - 1] + 1:
            runs[-1] = runs[-1]._replace(stop=stops[index])
        else:
            runs.append(_Run(starts[index], stops[index], played))
        played += stops[index] - starts[index]
    return measures, runs


def _written(score: Any) -> tuple[list[_Sound], tuple[str, ...], int]:
    """The notes as written, the names of the parts that have any, and how many parts have unpitched ones."""
    from music21 import stream

    sounds: list[_Sound] = []
    names: list[str] = []
    drums = 0
    players = list(score.parts)
    for part in players:
        found, unpitched = _part_sounds(part, len(names))
        drums += unpitched
        if not found:
            continue
        sounds += found
        label = str(part.partName or part.id or f"part {len(names) + 1}").strip()[:80]
        staves = [p for p in players if isinstance(p, stream.PartStaff) and p.partName == part.partName]
        if len(staves) == 2 and part in staves:
            label = f"{label}, {'right' if part is staves[0] else 'left'} hand"
        same = sum(name == label or name.startswith(f"{label} ") for name in names)
        names.append(f"{label} {same + 1}" if label in names else label)
    return sounds, tuple(names), drums


def _part_sounds(part: Any, index: int) -> tuple[list[_Sound], bool]:
    """A part's notes as written, and whether it has unpitched ones."""
    from music21 import chord, harmony, note

    flat = part.flatten()
    dynamics = [(Fraction(d.offset), d.volumeScalar) for d in flat.getElementsByClass("Dynamic") if d.volumeScalar]
    sounds: list[_Sound] = []
    graces: dict[Fraction, list[list[_Sound]]] = {}
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
            mark = tone.tie or element.tie
            tie = "" if mark is None or grace else str(mark.type)
            if 0 <= tone.pitch.midi <= 127:
                tones.append(_Sound(onset, length, int(tone.pitch.midi), int(np.clip(velocity, 1, 127)), index, tie))
        if grace:
            graces.setdefault(onset, []).append(tones)
        else:
            sounds += tones
    for group in graces.values():
        for before, tones in zip(range(len(group), 0, -1), group, strict=True):
            sounds += [tone._replace(length=GRACE_QUARTERS, grace=before) for tone in tones]
    return sounds, unpitched


def _played(sounds: list[_Sound], runs: list[_Run]) -> list[_Sound]:
    """The notes as played: runs laid one after another, ties merged, graces before their main note."""
    ordered = sorted(sounds, key=lambda sound: sound.onset)
    onsets = [sound.onset for sound in ordered]
    rows: list[_Sound] = []
    tied: dict[tuple[int, int], int] = {}  # part and pitch -> the row from which a tie is open
    for run in runs:
        for sound in ordered[bisect_left(onsets, run.start) : bisect_left(onsets, run.stop)]:
            onset = sound.onset - run.start + run.played - sound.grace * GRACE_QUARTERS
            key = (sound.part, sound.pitch)
            row = None if sound.grace else tied.pop(key, None)
            if row is not None and sound.tie in {"stop", "continue"} and rows[row].onset + rows[row].length == onset:
                rows[row] = rows[row]._replace(length=rows[row].length + sound.length)
            else:
                row = len(rows)
                rows.append(sound._replace(onset=onset))
            if sound.tie in {"start", "continue"}:
                tied[key] = row
    return rows


def _in_force(changes: dict[Fraction, _Value], runs: list[_Run]) -> list[tuple[Fraction, _Value]]:
    """Changes, by written position, at the positions where they are played; each run begins with what holds there."""
    positions = sorted(changes)
    rows: list[tuple[Fraction, _Value]] = []
    for run in runs:
        before = bisect_left(positions, run.start)
        inside = [(p - run.start + run.played, changes[p]) for p in positions[before:] if p < run.stop]
        if before and not (inside and inside[0][0] == run.played):
            inside.insert(0, (run.played, changes[positions[before - 1]]))
        rows += inside
    return [row for i, row in enumerate(rows) if not i or row[1] != rows[i - 1][1]]


def _ticks_per_quarter(rows: list[_Sound]) -> int:
    """The smallest multiple of 480 up to 10,080 of which all onsets and ends are whole ticks; else 10,080."""
    needed = math.lcm(*{f.denominator for row in rows for f in (row.onset, row.onset + row.length)})
    return min(math.lcm(COARSEST_TICKS, needed), FINEST_TICKS)


def _tempo_map(score: Any, runs: list[_Run], tpq: int) -> TempoMap:
    changes: dict[Fraction, float] = {}
    for part in score.parts:
        for mark in part.flatten().getElementsByClass("MetronomeMark"):
            rate = mark.getQuarterBPM()
            if rate and 5 <= rate <= 1000:
                changes.setdefault(Fraction(mark.offset), round(60e6 / rate) / 1e6)
    tempos = {0: 0.5} | {round(position * tpq): seconds for position, seconds in _in_force(changes, runs)}
    ticks = sorted(tempos)
    kept = [t for i, t in enumerate(ticks) if i == 0 or tempos[t] != tempos[ticks[i - 1]]]
    return TempoMap(np.array(kept) / tpq, np.array([tempos[t] for t in kept]))


def _time_signatures(measures: list[tuple[Fraction, tuple[int, int]]], tpq: int) -> list[tuple[float, int, int]]:
    """Signatures for ``bars_of`` that give these measures: restated where one is shorter or longer than its metre."""
    rows: list[tuple[float, int, int]] = []
    metre, expected = (0, 0), Fraction(0)
    for position, new in measures:
        if (new != metre or position != expected) and position <= MAX_QUARTERS and new[1] <= 128 and new[0] <= 255:
            rows.append((round(position * tpq) / tpq, *new))
        metre, expected = new, position + Fraction(4 * new[0], new[1])
    return rows


def _key_signatures(score: Any, runs: list[_Run], tpq: int) -> tuple[tuple[float, int, bool], ...]:
    """The first part's key signatures, as (quarter, fifths, minor)."""
    keys = {
        Fraction(key.offset): (int(key.sharps or 0), getattr(key, "mode", None) == "minor")
        for key in score.parts[0].flatten().getElementsByClass("KeySignature")
    }
    rows = _in_force({place: key for place, key in keys.items() if -7 <= key[0] <= 7}, runs)
    return tuple((round(place * tpq) / tpq, *key) for place, key in rows)
