"""Explain how two programs' notes differ, by rules that look at the file.

A MusicXML file's ``<note>`` elements are counted without our reader: which pitch begins at which
place of which measure by ``<duration>``, and how long measures are. Where verovio's measures are
longer or shorter than that, notes are compared by their place in the measure. Every note that only
one of both has must then fall under one of :data:`RULES`, or the file isn't explained.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations, pairwise
from typing import NamedTuple
from xml.etree.ElementTree import Element

Note = tuple[float, int]
"""Onset in quarters, and pitch."""
Notes = set[Note]
"""Unisons count once."""
LOOSE = 0.03
"""Quarters by which places may differ: others round them to ticks, abc2midi spreads chords."""
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
TYPES = ("1024th", "512th", "256th", "128th", "64th", "32nd", "16th", "eighth", "quarter", "half")
QUARTERS = {
    name: Fraction(2) ** (power - 8)
    for power, name in enumerate((*TYPES, "whole", "breve", "long"))
}

VALUES = {
    value * dotted
    for value in QUARTERS.values()
    for dotted in (Fraction(1), Fraction(3, 2), Fraction(7, 4))
}


def unlike(ours: Notes, theirs: Notes) -> tuple[Notes, Notes]:
    """Return the notes that only one of both has, comparing places loosely."""
    left = ours - theirs, theirs - ours
    near = [
        (one, other)
        for pitch in {pitch for _, pitch in left[0]}
        for one, other in paired(*([n for n in sorted(notes) if n[1] == pitch] for notes in left))
    ]
    return left[0] - {one for one, _ in near}, left[1] - {other for _, other in near}


def paired(ours: list[Note], theirs: list[Note]) -> Iterator[tuple[Note, Note]]:
    """Yield pairs of notes of one pitch that begin at almost the same place.

    Both lists are in order.
    """
    index = 0
    for note in ours:
        while index < len(theirs) and theirs[index][0] < note[0] - LOOSE:
            index += 1
        if index < len(theirs) and theirs[index][0] <= note[0] + LOOSE:
            yield note, theirs[index]
            index += 1


@dataclass
class Measure:
    """What the file states of a measure: struck notes, and the others by kind."""

    struck: set[tuple[Fraction, int]] = field(default_factory=set)
    tied: set[tuple[Fraction, int]] = field(default_factory=set)  # to a note before
    graces: set[tuple[Fraction, int]] = field(default_factory=set)
    cues: set[tuple[Fraction, int]] = field(default_factory=set)
    tremolos: list[tuple[Fraction, Fraction, int]] = field(default_factory=list)
    end: Fraction = Fraction(0)
    reached: list[Fraction] = field(default_factory=list)
    unlike_types: bool = False  # durations that disagree with the types of notes
    trembling: bool = False  # whether the current chord has a tremolo

    def length(self, full: Fraction) -> Fraction:
        """Return its quarters: to the end of its last note.

        A silent one has as many as all parts have.
        """
        reached = [place for place in self.reached if place]
        silent = max(min(max(reached), full), min(reached)) if reached else Fraction(0)
        return max(self.end, silent) or full


def counted(root: Element) -> tuple[list[Measure], list[Fraction]]:
    """Return the measures of a partwise score, and where each begins, in quarters."""
    parts = [part.findall("measure") for part in root.findall("part")]
    found = [Measure() for _ in range(max(map(len, parts), default=0))]
    metres: dict[int, Fraction] = {}
    for measures in parts:
        _count(measures, found, metres)

    starts, full = [], Fraction(4)
    place = Fraction(0)
    for index, measure in enumerate(found):
        full = metres.get(index, full)
        starts.append(place)
        place += measure.length(full)
    return found, starts


def _count(measures: list[Element], found: list[Measure], metres: dict[int, Fraction]) -> None:
    """Count a part's notes into the measures, and the metres that it states."""
    divisions = Fraction(1)
    shifts: dict[str, int] = {}
    for index, measure in enumerate(measures):
        here, at, before = found[index], Fraction(0), Fraction(0)
        here.reached.append(Fraction(0))

        for element in measure:
            if element.tag == "attributes":
                divisions = Fraction(element.findtext("divisions") or divisions)
                for transpose in element.findall("transpose"):
                    steps = int(transpose.findtext("chromatic") or 0)
                    octaves = int(transpose.findtext("octave-change") or 0)
                    shifts[transpose.get("number") or ""] = steps + 12 * octaves
                top, bottom = element.findtext("time/beats"), element.findtext("time/beat-type")
                if top and bottom:
                    metres[index] = 4 * sum(map(Fraction, top.split("+"))) / Fraction(bottom)
            elif element.tag in {"backup", "forward"}:
                length = Fraction(element.findtext("duration") or 0) / divisions
                at += length if element.tag == "forward" else -length
            elif element.tag == "note":
                length = _length(element, divisions, here)
                if element.find("chord") is None:
                    before, at = at, at + length
                _note(element, before, length, shifts, here)

            here.reached[-1] = max(here.reached[-1], at)


def _length(note: Element, divisions: Fraction, here: Measure) -> Fraction:
    """Return a note's quarters: by its duration, or by its type if that isn't whole."""
    if note.find("grace") is not None:
        return Fraction(0)
    length = Fraction(note.findtext("duration") or 0) / divisions
    written = QUARTERS.get(note.findtext("type") or "")
    if written is not None:
        written *= 2 - Fraction(1, 2 ** len(note.findall("dot")))
        change = note.find("time-modification")
        if change is not None:
            written *= Fraction(change.findtext("normal-notes") or 1)
            written /= Fraction(change.findtext("actual-notes") or 1)
        if (written * divisions).denominator > 1 and abs(written - length) * divisions < 1:
            return written
    here.unlike_types |= length not in VALUES if written is None else written != length
    return length


def _note(
    note: Element, at: Fraction, length: Fraction, shifts: dict[str, int], here: Measure
) -> None:
    """Put a note with a pitch among those of its kind."""
    step, octave = note.findtext("pitch/step"), note.findtext("pitch/octave")
    if not step or not octave:
        return
    alter = round(float(note.findtext("pitch/alter") or 0))
    shift = shifts.get(note.findtext("staff") or "1", shifts.get("", 0))
    pitch = 12 * (int(octave) + 1) + SEMITONES[step] + alter + shift
    kinds = {tie.get("type") for tie in note.findall("tie")}
    if note.find("grace") is not None:
        here.graces.add((at, pitch))
        return
    here.end = max(here.end, at + length)
    if note.find("chord") is None:
        here.trembling = next(note.iter("tremolo"), None) is not None
    if here.trembling:
        here.tremolos.append((at, at + length, pitch))
    kind = here.cues if note.find("cue") is not None else here.struck
    (here.tied if "stop" in kinds else kind).add((at, pitch))


class Difference(NamedTuple):
    """A note that only one has, by its place in its measure, among all of these."""

    place: float
    pitch: int
    here: Measure
    after: Measure  # the measure after it
    others: Notes  # what the other program has instead, in this measure

    def stands(self, notes: set[tuple[Fraction, int]]) -> bool:
        """Return whether the file has it among these."""
        return _in(notes, self.place, self.pitch)


def _in(notes: set[tuple[Fraction, int]], place: float, pitch: int) -> bool:
    return any(other == pitch and abs(float(at) - place) <= LOOSE for at, other in notes)


def _of_graces(note: Difference) -> bool:
    """Return whether it is a grace note, or its main note, which verovio delays."""
    graces = note.here.graces | note.after.graces
    delayed = {at for at, _ in note.here.graces} | {
        at for at, pitch in note.here.struck if any(grace == at for grace, _ in note.here.graces)
    }
    main = any(
        pitch == note.pitch and at in delayed and 0 <= note.place - float(at) + LOOSE <= 2
        for at, pitch in note.here.struck | note.here.tied
    )
    return main or any(pitch == note.pitch for _, pitch in graces)


def _of_signs(note: Difference) -> bool:
    """Return whether the file states it, or the sounding note a semitone away."""
    near = [(at, pitch) for at, pitch in note.others if abs(pitch - note.pitch) == 1]
    stated = note.here.struck | note.here.tied
    return any(
        abs(at - note.place) <= LOOSE and (note.stands(stated) or _in(stated, at, pitch))
        for at, pitch in near
    )


def _of_ties(note: Difference) -> bool:
    """Return whether the file ties it to an earlier note.

    It is so wherever the other program puts the note.
    """
    return any(pitch == note.pitch for _, pitch in note.here.tied)


def _of_cues(note: Difference) -> bool:
    return note.stands(note.here.cues)


def _of_tremolos(note: Difference) -> bool:
    return any(
        pitch == note.pitch and float(start) < note.place < float(end)
        for start, end, pitch in note.here.tremolos
    )


def _of_types(note: Difference) -> bool:
    """Return whether it is at its other place, where durations and types disagree."""
    pitches = {pitch for _, pitch in note.here.struck | note.here.tied}
    return note.here.unlike_types and note.pitch in pitches


RULES: dict[str, tuple[Callable[[Difference], bool], str]] = {
    "cues": (_of_cues, "verovio plays cue notes, which are silent"),
    "tremolos": (_of_tremolos, "verovio repeats notes under a tremolo; here they are held"),
    "durations": (
        _of_types,
        "notes' or rests' types disagree with `<duration>`, which counts; verovio goes by types",
    ),
    "ties": (
        _of_ties,
        "a tie ends that began nowhere (the note is struck), or began in another voice (it isn't)",
    ),
    "grace notes": (_of_graces, "verovio plays grace notes on the beat, or spreads them otherwise"),
    "accidentals": (_of_signs, "verovio sounds another accidental than `<alter>` states"),
}
"""Reasons why a note differs, of which the first that fits counts, and in words what decides."""
BARS = "bars", "verovio's bars have other lengths than their longest part has by `<duration>`"


def reasons(
    root: Element, ours: Notes, theirs: Notes, bars: Sequence[float]
) -> Counter[str] | None:
    """Count the reasons why verovio's notes of a score differ, in notes or bars.

    None is returned where a rule is missing.

    Args:
        root: of the MusicXML.
        ours: the notes that we read.
        theirs: those that verovio plays.
        bars: where its bars begin, in quarters.
    """
    measures, starts = counted(root)
    if len(bars) != len(measures):
        return None
    places = [float(start) for start in starts]
    own, other = (_by_measure(notes, at) for notes, at in ((ours, places), (theirs, bars)))
    found = Counter[str]()
    lengths = zip(pairwise(places), pairwise(bars), strict=True)
    found[BARS[0]] = sum(abs((b - a) - (d - c)) > LOOSE for (a, b), (c, d) in lengths)

    around = [*measures, Measure()]
    for index, (mine, yours) in enumerate(zip(own, other, strict=True)):
        here, after = around[index : index + 2]
        sides = unlike(mine, yours)
        for notes, others in (sides, sides[::-1]):
            for place, pitch in notes:
                one = Difference(place, pitch, here, after, others)
                reason = next((name for name, (rule, _) in RULES.items() if rule(one)), None)
                if reason is None:
                    return None
                found[reason] += 1
    return +found


def _by_measure(notes: Notes, starts: Sequence[float]) -> list[Notes]:
    """Return notes by measure, at their places in it."""
    found: list[Notes] = [set() for _ in starts]
    for onset, pitch in notes:
        index = max(bisect_right(starts, onset + LOOSE) - 1, 0)
        found[index].add((onset - starts[index], pitch))
    return found


_REPEATS = re.compile(
    r'"[^"]*"|:+[|\]]*:+|\|*:+\|+\]?|\|+:+|\|\||\|\]|(?:\[|(?<=\|)|(?<=\| ))[2-9]'
)
"""Text between quotes; signs at which repeats begin or end; second endings."""


def with_starts(lines: Sequence[str]) -> list[str]:
    """Give all repeats of a tune a sign where they begin.

    That is after the last double bar or end of a repeat (ABC 2.1, 4.8).
    """
    rows = list(lines)
    last: dict[str, tuple[int, int, int] | None] = {}  # by voice: the sign after which one begins
    voice = ""
    missing: list[tuple[int, int, int]] = []
    first = next((k for k, line in enumerate(rows) if line.startswith("K:")), len(rows)) + 1
    for index, line in enumerate(rows[first:], first):
        if found := re.match(r"\[?V:\s*([^\s\]]+)", line):
            voice = found[1]
        if re.match(r"[A-Za-z]:(?![|:])|%", line):
            continue
        for sign in _REPEATS.finditer(line):
            text, place = sign[0], (index, sign.start(), sign.end())
            if text[0] == '"':
                continue
            begins, ends = text.endswith(":"), text.startswith(":") or ":|" in text
            open_at = last.get(voice)
            if ends and open_at:
                missing.append(open_at)
            if ends or begins or text[-1].isdigit():
                last[voice] = None
            if not begins and not text[-1].isdigit():
                last[voice] = place

    for index, start, end in sorted(missing, reverse=True):
        explicit = "::" if ":" in rows[index][start:end] else " |:"
        rows[index] = rows[index][:start] + explicit + rows[index][end:]
    return rows


def without_order(lines: Sequence[str]) -> list[str]:
    """Remove a tune's order of parts."""
    return [line for line in lines if not line.startswith("P:")]


def without_jumps(lines: Sequence[str]) -> list[str]:
    """Remove a tune's "D.C." and the like."""
    jump = r'"[^"]*\b(?:D\.? ?[CS]\b|[Dd]a [Cc]apo|(?i:fine)|[Cc]oda)[^"]*"|![DdFf][^!]{1,11}!'
    return [re.sub(jump, "", line) if not re.match("[A-Za-z]:", line) else line for line in lines]


def without_odd_ties(lines: Sequence[str]) -> list[str]:
    """Remove a tune's ties between notes of unlike pitches."""
    tie = re.compile(r"([_^=]*[A-Ga-g][,']*)([\d/]*)-(?=[\s|]*(?!\1(?![,']))[_^=]*[A-Ga-g])")
    return [tie.sub(r"\1\2", line) if not re.match("[A-Za-z]:", line) else line for line in lines]


def without_breaks(lines: Sequence[str]) -> list[str]:
    """Remove single exclamation marks, which once broke the lines of tunes."""
    return [re.sub(r"(![^!\s]*!)|!", lambda found: found[1] or "", line) for line in lines]


TUNE_RULES: dict[str, tuple[Callable[[Sequence[str]], list[str]], str]] = {
    "starts": (
        with_starts,
        "abc2midi repeats from elsewhere, or not at all, where a repeat's beginning isn't written; "
        "by ABC 2.1 it is the last double bar or end of a repeat",
    ),
    "order": (without_order, "abc2midi plays an order of parts (`P:ABA`) otherwise than stated"),
    "jumps": (without_jumps, 'abc2midi knows no "D.C."; by ABC 2.1 it is played'),
    "odd ties": (without_odd_ties, "abc2midi makes one note of tied notes of unlike pitches"),
    "line breaks": (without_breaks, "abc2midi trips over `!`, which broke lines of old"),
}
"""Ways of rewriting a tune after which it may be equal in both programs, and why."""


def tune_reasons(
    lines: Sequence[str], equal: Callable[[Sequence[str]], bool]
) -> Counter[str] | None:
    """Find the fewest rules by which both programs read a tune alike.

    Args:
        lines: of the tune.
        equal: whether both read such lines alike.
    """
    changed = {name: rule for name, (rule, _) in TUNE_RULES.items() if rule(lines) != list(lines)}
    for count in range(1, len(changed) + 1):
        for names in combinations(changed, count):
            written = list(lines)
            for name in names:
                written = changed[name](written)
            if equal(written):
                return Counter(names)
    return None
