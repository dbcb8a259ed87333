"""Read MusicXML bytes as pieces, by the MusicXML 4.0 standard.

See https://www.w3.org/2021/06/musicxml40/. Partwise and timewise scores are read, plain or
compressed, in any encoding, with or without a namespace. What is played counts, not what is
printed: ``<sound>`` before words and metronome marks, ``<tie>`` before slurs; cues are silent; all
parts begin each measure together, and a measure is as long as the longest of them. Repeats, endings
and jumps are played out, tied notes become one, chord symbols are kept as such, unpitched notes and
those of channel 10 are left out. Grace notes take an eighth of a quarter each just before the note
that they adorn.
"""

from __future__ import annotations

from dataclasses import replace
from xml.etree.ElementTree import Element

from styletransfer.errors import InputError
from styletransfer.formats.musicxml_part import PartReader
from styletransfer.formats.musicxml_values import text_of
from styletransfer.formats.parts import Score, check_size
from styletransfer.formats.titles import title_of_parts
from styletransfer.formats.written import played
from styletransfer.formats.xml_tree import tree, xml_of
from styletransfer.music.notes import Feel, Piece

_NOT_READ = frozenset(
    {
        *(
            "accidental",
            "appearance",
            "articulations",
            "beam",
            "credit",
            "defaults",
            "figured-bass",
            "frame",
            "identification",
        ),
        *("listening", "ornaments", "print", "slur", "stem", "technical"),
    }
)
"""Elements that say nothing about what sounds; they are most of a large file."""


def parse_musicxml(data: bytes, name: str, feel: Feel | None = None) -> Piece:
    """Read the bytes of a MusicXML file, plain or compressed, as a piece.

    ``name`` is what error messages call the file.

    Raises:
        InputError: where the bytes are not MusicXML, hold no notes, don't say how long notes last,
        or hold hours of music.
    """
    root = tree(xml_of(data, name, (".xml", ".musicxml")), name, _NOT_READ)
    if root.tag not in {"score-partwise", "score-timewise"}:
        raise InputError(
            f"{name}: it is XML but not a MusicXML score (its root is <{root.tag}>); "
            "export it as MusicXML."
        )
    title = title_of_parts(root.findtext("work/work-title"), root.findtext("movement-title"))
    return replace(played(_score(root, name).written(), name, feel), title=title)


def _score(root: Element, name: str) -> Score:
    """Return the score with its parts read."""
    described = {e.get("id") or "": e for e in root.iter("score-part")}
    found = _parts(root)
    check_size(len(found), max((len(measures) for _, measures in found), default=0), name)
    ties = "tie" if next(root.iter("tie"), None) is not None else "tied"
    parts = [PartReader(described.get(key), ties, name) for key, _ in found]
    for part, (_, measures) in zip(parts, found, strict=True):
        part.read(measures)
    return Score(parts, [_name_of(described.get(key)) for key, _ in found], name)


def _parts(root: Element) -> list[tuple[str, list[Element]]]:
    """Return each part's id and measures, those of a timewise score, too.

    Measures that parts lack in the middle are put in, empty.
    """
    if root.tag == "score-partwise":
        return _in_step(
            [(part.get("id") or "", part.findall("measure")) for part in root.findall("part")]
        )
    measures = root.findall("measure")
    keys = dict.fromkeys(
        part.get("id") or "" for measure in measures for part in measure.findall("part")
    )
    found: dict[str, list[Element]] = {key: [] for key in keys}
    for measure in measures:
        inside = {part.get("id") or "": part for part in measure.findall("part")}
        for key, row in found.items():
            row.append(inside.get(key, Element("part")))
    return list(found.items())


def _in_step(parts: list[tuple[str, list[Element]]]) -> list[tuple[str, list[Element]]]:
    """Give parts an empty measure for each that only the longest has, by number."""
    longest = max((measures for _, measures in parts), key=len, default=[])
    numbers = [measure.get("number") or "" for measure in longest]
    if len(set(numbers)) < len(numbers):
        return parts
    place = {number: k for k, number in enumerate(numbers)}
    result = []
    for key, measures in parts:
        places = [place.get(measure.get("number") or "", -1) for measure in measures]
        if len(measures) < len(longest) and -1 not in places and places == sorted(set(places)):
            own = dict(zip(places, measures, strict=True))
            measures = (
                [own.get(k, Element("measure")) for k in range(places[-1] + 1)] if places else []
            )
        result.append((key, measures))
    return result


def _name_of(described: Element | None) -> str:
    """Return a part's name: as it is stated, as it is printed, or its instrument's."""
    if described is None:
        return ""
    for path in ("part-name", "part-name-display", "score-instrument/instrument-name"):
        if (element := described.find(path)) is not None and (name := text_of(element)):
            return name
    return ""
