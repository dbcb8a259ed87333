"""Read MEI as pieces, through verovio (extra ``score``), which plays it as MIDI.

Verovio reads the whole format: ties, tuplets, grace notes, words, transpositions. The order of
playing is that of the file's first ``<expansion>``, or else ours by its bar lines and endings.
Chord symbols and changes of key, which verovio's MIDI lacks, are taken from the file itself. It
runs in a process of its own, as a damaged file may crash it.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from importlib.util import find_spec
from itertools import pairwise
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np

from styletransfer.errors import InputError
from styletransfer.formats.midi_in import parse_midi
from styletransfer.formats.musicxml_values import FINEST, decimal, ending_numbers, text_of
from styletransfer.formats.titles import title_of
from styletransfer.formats.written import Signs, in_playing_order, time_signatures
from styletransfer.formats.xml_tree import tree
from styletransfer.music.chord_symbols import ChordSymbol, read_symbol
from styletransfer.music.notes import BarTable, Feel, Piece, bars_of

SECONDS = 60
"""A file for which verovio needs longer is refused; a movement of a symphony takes a few."""
_MARKS = {
    "coda": "coda",
    "daCapo": "da capo",
    "dalSegno": "dal segno",
    "fine": "fine",
    "segno": "segno",
}
"""What marks of repetition are called in MEI, and in :class:`Signs`."""
_KEYED = {"scoreDef", "staffDef", "keySig"}
LAST_BEAT = 1000
"""Beats of a measure; a chord symbol beyond them is a mistake."""
_PLAY = """
import json, sys, verovio
verovio.enableLog(verovio.LOG_OFF)
toolkit = verovio.toolkit(True)
toolkit.setInputFrom("mei")
toolkit.setOptions({"expandAlways": True, "breaks": "none"})
if toolkit.loadData(sys.stdin.buffer.read().decode()):
    places = toolkit.renderToTimemap({"includeMeasures": True})
    measures = [place["qstamp"] for place in places if "measureOn" in place]
    json.dump({"midi": toolkit.renderToMIDI(), "measures": measures}, sys.stdout)
"""


def parse_mei(data: bytes, name: str, feel: Feel | None = None) -> Piece:
    """Read the bytes of an MEI file as a piece.

    Args:
        data: the file's bytes.
        name: what error messages call the file.
        feel: overrules ``score``.

    Raises:
        InputError: where the bytes are not MEI, hold no notes, or hold hours of music, or where
            verovio isn't installed.
    """
    root = tree(data, name)
    if root.tag != "mei":
        raise InputError(
            f"{name}: it is XML but not MEI (its root is <{root.tag}>); export it again."
        )
    if find_spec("verovio") is None:
        raise InputError(
            f"{name}: MEI is read by verovio, which isn't installed; "
            "pip install 'styletransfer-music[score]', or export it as MusicXML."
        )
    movement = next(root.iter("mdiv"), root)
    score = movement.find("score")
    units = None if score is None else _unfold(score)
    for staff in movement.iter("staffDef"):  # verovio names a part by the element alone
        if (label := staff.get("label")) and staff.find("label") is None:
            SubElement(staff, "label").text = label
    for parent in movement.iter("measure"):
        for arpeggio in parent.findall("arpeg"):  # verovio spreads it, off the beat
            parent.remove(arpeggio)
    midi, measures = _played(root, name)
    piece = parse_midi(midi, name, feel or "score")

    remarks = []
    if (movements := sum(1 for _ in root.iter("mdiv"))) > 1:
        remarks.append(f"the file holds {movements} movements; the first one was read")
    piece = replace(piece, bars=_bars(piece, measures), parts=_hands(piece.parts))
    if units is not None and len(units) == len(measures):
        chords, unread = _chords(units, measures, piece)
        if keys := _keys(units, measures):
            piece = replace(piece, key_signatures=(*piece.key_signatures[:1], *keys))
        piece = replace(piece, chords=chords)
    else:
        unread = sum(1 for _ in movement.iter("harm"))
    if unread:
        remarks.append(
            f"{unread} chord symbol{'s' if unread > 1 else ''} of MEI that can't be read or placed "
            f"{'were' if unread > 1 else 'was'} left out"
        )
    title = title_of(root.findtext("meiHead/fileDesc/titleStmt/title"))
    return replace(piece, remarks=tuple(remarks), title=title)


def _played(root: Element, name: str) -> tuple[bytes, list[float]]:
    """Return what verovio plays, and where measures begin.

    The former is the bytes of a MIDI file, the latter in quarters.
    """
    root.set("xmlns", "http://www.music-encoding.org/ns/mei")
    command = [sys.executable, "-c", _PLAY]
    try:
        done = subprocess.run(
            command, input=tostring(root), capture_output=True, timeout=SECONDS, check=True
        )
        found = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{name}: verovio can't read it in {SECONDS} s; cut it into shorter pieces."
        ) from None
    except (subprocess.CalledProcessError, ValueError):
        raise InputError(
            f"{name}: verovio can't read this MEI; correct it, or export it as MusicXML."
        ) from None
    return base64.b64decode(found["midi"]), found["measures"]


def _bars(piece: Piece, measures: list[float]) -> BarTable:
    """Return the bars of a piece by where its measures begin.

    MIDI's metres don't state pick-ups.
    """
    known = piece.bars
    if not len(known) or not measures:
        return known
    rows = np.clip(np.searchsorted(known["start"], measures, side="right") - 1, 0, None)
    metres = zip(known["numerator"][rows], known["denominator"][rows], strict=True)
    placed = [
        (Fraction(place).limit_denominator(FINEST), (int(top), int(bottom)))
        for place, (top, bottom) in zip(measures, metres, strict=True)
    ]
    end = float((piece.notes["onset"] + piece.notes["duration"]).max())
    return bars_of(time_signatures(placed, piece.ticks_per_quarter), end)


def _chords(
    units: list[list[Element]], starts: list[float], piece: Piece
) -> tuple[tuple[tuple[float, ChordSymbol], ...], int]:
    """Return the chord symbols of measures in playing order, and the number of others.

    The others are no symbols, such as Roman numerals, or don't state at which beat they stand.
    """
    found: dict[float, ChordSymbol] = {}
    unread = 0
    for unit, start in zip(units, starts, strict=True):
        bar = max(int(np.searchsorted(piece.bars["start"], start + 1e-6, side="right")) - 1, 0)
        beat = 4 / int(piece.bars["denominator"][bar]) if len(piece.bars) else 1.0
        for harm in (harm for element in unit for harm in element.iter("harm")):
            symbol = read_symbol(text_of(harm).replace("♯", "#").replace("♭", "b"))
            place = decimal(harm.get("tstamp"))
            if symbol is None or place is None or not 0 <= place <= LAST_BEAT:
                unread += 1
            else:
                found[start + max(float(place) - 1, 0.0) * beat] = symbol
    return tuple(sorted(found.items())), unread


def _keys(units: list[list[Element]], starts: list[float]) -> tuple[tuple[float, int, bool], ...]:
    """Return changes of key after the beginning, for measures in playing order.

    They are those of the score, or of its first staff that doesn't transpose.
    """
    found: list[tuple[float, int, bool]] = []
    for unit, start in zip(units, starts, strict=True):
        before = unit[: next((k for k, e in enumerate(unit) if e.tag == "measure"), 0)]
        stated = [e for element in before for e in element.iter() if e.tag in _KEYED]
        plain = [e for e in stated if not e.get("trans.semi")]
        for element in plain:
            text = element.get("key.sig") or element.get("keysig") or element.get("sig") or ""
            if match := re.fullmatch(r"(\d)([sf])|0", text):
                fifths = int(match[1] or 0) * (1 if match[2] == "s" else -1)
                minor = (element.get("key.mode") or element.get("mode")) == "minor"
                if (
                    start > 0
                    and abs(fifths) <= 7
                    and (not found or found[-1][1:] != (fifths, minor))
                ):
                    found.append((start, fifths, minor))
                break
    return tuple(found)


def _unfold(score: Element) -> list[list[Element]] | None:
    """Write the order of playing into a score that doesn't state it, for verovio.

    Verovio leaves most endings out when it finds the order itself.

    Measures that are played one after another become a section, which the order names. Returned are
    the measures as they are played, each with what stands before it; None where the score states
    its order.
    """
    whole = [child for child in score if child.tag in {"section", "ending"}]
    if not whole or next(score.iter("expansion"), None) is not None:
        return None
    units, signs = _measures(whole)
    order = in_playing_order(signs)
    played = [units[index] for index in order]
    if order == list(range(len(units))):
        return played

    steps = list(pairwise(order))
    cuts = {
        0,
        len(units),
        *(b for a, b in steps if b != a + 1),
        *(a + 1 for a, b in steps if b != a + 1),
    }
    cuts.add(order[-1] + 1)
    section = Element("section")
    expansion = SubElement(section, "expansion", {"xml:id": "order-of-playing"})
    for first, last in pairwise(sorted(cuts)):
        inner = SubElement(section, "section", {"xml:id": f"measures-{first}"})
        inner.extend(element for unit in units[first:last] for element in unit)
    goals = [index for index in order if index in cuts]
    expansion.set("plist", " ".join(f"#measures-{index}" for index in goals))
    for child in whole:
        score.remove(child)
    score.append(section)
    return played


def _measures(sections: list[Element]) -> tuple[list[list[Element]], list[Signs]]:
    """Return the measures of sections and endings, and their signs.

    Each measure comes with what stands before it.
    """
    units: list[list[Element]] = []
    signs: list[Signs] = []
    lines: list[tuple[str, str]] = []
    waiting: list[Element] = []

    def walk(parent: Element, ending: frozenset[int]) -> None:
        if parent.tag == "ending":
            ending = ending_numbers(parent.get("n") or "")
        for child in parent:
            if child.tag in {"section", "ending"}:
                walk(child, ending)
            elif child.tag == "measure":
                units.append([*waiting, child])
                lines.append((child.get("left") or "", child.get("right") or ""))
                signs.append(_signs_of(child, ending))
                waiting.clear()
            else:
                waiting.append(child)

    for section in sections:
        walk(section, frozenset())
    if units:
        units[-1] += waiting
    for k, (here, after) in enumerate(pairwise(list(signs))):
        between = {lines[k][1], lines[k + 1][0]}  # the bar line may stand on either side
        next_ending = after.ending and here.ending and min(after.ending) > max(here.ending)
        if next_ending or between & {"rptend", "rptboth"}:
            signs[k] = signs[k]._replace(ends=1)
        if between & {"rptstart", "rptboth"}:
            signs[k + 1] = signs[k + 1]._replace(begins=True)
    return units, signs


def _signs_of(measure: Element, ending: frozenset[int]) -> Signs:
    """Return a measure's bar lines and marks."""
    marks = {mark.get("func") or "" for mark in measure.iter("repeatMark")}
    return Signs(
        begins=measure.get("left") in {"rptstart", "rptboth"},
        ends=int(measure.get("right") in {"rptend", "rptboth"}),
        ending=ending,
        words=frozenset((_MARKS[mark], "") for mark in marks & _MARKS.keys()),
    )


def _hands(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the parts' names, naming two parts of one name as the hands they are."""
    count = Counter(parts)
    seen = Counter[str]()
    names = []
    for part in parts:
        seen[part] += 1
        hand = "right" if seen[part] == 1 else "left"
        if count[part] == 2:
            names.append(f"{part}, {hand} hand")
        else:
            names.append(part if seen[part] == 1 else f"{part} {seen[part]}")
    return tuple(names)
