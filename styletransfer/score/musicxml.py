"""MusicXML bytes to pieces, through music21 (imported only when a file needs it).

Repeats are played out, tied notes become one, instruments are read at sounding pitch, chord symbols are kept as such,
unpitched notes are left out. Grace notes take an eighth of a quarter each just before the note that they adorn.
"""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any
from xml.etree import ElementTree

from styletransfer.errors import InputError
from styletransfer.score.music21_score import through_music21, whole_score
from styletransfer.score.notes import Feel, Piece

MAX_XML_BYTES = 256 * 1024 * 1024
"""A compressed score that unpacks to more than this is refused."""

_JUMPS = ("dacapo", "dalsegno", "fine", "tocoda", "segno", "coda")
_SIGNS = ("segno", "coda")
_SAID = re.compile(r"(?i)\bd\.?\s*[cs]\b|da capo|dal segno|\bfine\b|\bcoda\b|\bsegno\b")


def parse_musicxml(data: bytes, name: str, feel: Feel | None = None) -> Piece:
    """A piece from the bytes of a MusicXML file, plain or compressed; ``name`` is what its error messages call it.

    Raises:
        InputError: where the bytes are not MusicXML, hold no notes, or hold hours of music.
    """
    text = _checked(_xml_of(data, name), name)
    return through_music21(lambda: _load(text), name, "MusicXML", feel)


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
    except InputError:
        raise
    except Exception as error:  # damaged archives raise many kinds
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
    _say_jumps(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8"))


def _say_jumps(root: ElementTree.Element) -> None:
    """Where only ``<sound dacapo="yes">`` and its like send the player elsewhere, without a sign or with words of another
    language, the words that music21 goes by are put in."""
    sounds = [(measure, place, found) for measure in root.iter("measure") for place in measure if (found := _jumps_of(place))]
    stated = {name for _, _, found in sounds for name in found}
    if not stated & {"dacapo", "dalsegno"}:
        return
    goal = " al Coda" if "tocoda" in stated else " al Fine" if "fine" in stated else ""
    said = {"dacapo": "D.C." + goal, "dalsegno": "D.S." + goal, "fine": "Fine", "tocoda": "To Coda"}
    for measure, place, found in sounds:
        words = " ".join(element.text or "" for element in place.iter("words"))
        if _SAID.search(words) or any(element.tag in _SIGNS for element in place.iter()):
            continue
        for name in found:
            direction = ElementTree.Element("direction")
            kind = ElementTree.SubElement(direction, "direction-type")
            ElementTree.SubElement(kind, name if name in _SIGNS else "words").text = said.get(name)
            measure.insert(list(measure).index(place), direction)


def _jumps_of(element: ElementTree.Element) -> list[str]:
    """The jumps that a measure's child states by its ``<sound>``."""
    sound = element if element.tag == "sound" else element.find("sound") if element.tag == "direction" else None
    return [] if sound is None else [name for name in _JUMPS if sound.get(name, "no") != "no"]


def _load(text: bytes) -> Any:
    """music21's score at sounding pitch."""
    from music21 import converter

    score = whole_score(converter.parseData(text, format="musicxml"))
    score.toSoundingPitch(inPlace=True)
    return score
