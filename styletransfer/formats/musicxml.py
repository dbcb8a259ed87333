"""MusicXML bytes to pieces, by the MusicXML 4.0 standard (https://www.w3.org/2021/06/musicxml40/).

Partwise and timewise scores are read, plain or compressed, in any encoding, with or without a
namespace. What is played counts, not what is printed: ``<sound>`` before words and metronome marks,
``<tie>`` before slurs; cues are silent; all parts begin each measure together, and a measure is as
long as the longest of them. Repeats, endings and jumps are played out, tied notes become one, chord
symbols are kept as such, unpitched notes and those of channel 10 are left out. Grace notes take an
eighth of a quarter each just before the note that they adorn.

Document type definitions are not fetched, and a file that defines entities is refused.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import TypeVar
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from styletransfer.errors import InputError
from styletransfer.formats.musicxml_part import Content, Part
from styletransfer.formats.musicxml_values import small, text_of
from styletransfer.formats.written import (
    MOST_MEASURES,
    Metre,
    Signs,
    Sound,
    Written,
    distinct_label,
    in_order,
    in_playing_order,
    played,
)
from styletransfer.music.notes import INEXACT, Feel, Piece

MAX_XML_BYTES = 64 * 1024 * 1024
"""A compressed score that unpacks to more than this is refused."""
MAX_DEPTH = 64
"""Elements within elements; MusicXML has a dozen."""
MOST_PARTS = 200

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

_Value = TypeVar("_Value")


def parse_musicxml(data: bytes, name: str, feel: Feel | None = None) -> Piece:
    """A piece from the bytes of a MusicXML file, plain or compressed; ``name`` is what its error
    messages call it.

    Raises:
        InputError: where the bytes are not MusicXML, hold no notes, don't say how long notes last,
        or hold hours of music.
    """
    root = _tree(_xml_of(data, name), name)
    if root.tag not in {"score-partwise", "score-timewise"}:
        raise InputError(
            f"{name}: it is XML but not a MusicXML score (its root is <{root.tag}>); "
            "export it as MusicXML."
        )
    return played(_Score(root, name).written(), name, feel)


def _xml_of(data: bytes, name: str) -> bytes:
    """The score's XML, taken out of the archive where it is compressed."""
    if data[:2] != b"PK":
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            inside = [
                n
                for n in names
                if n.endswith((".xml", ".musicxml")) and not n.startswith(("META-INF/", "__MACOSX"))
            ]
            if (
                "META-INF/container.xml" in names
                and archive.getinfo("META-INF/container.xml").file_size < 1 << 20
            ):
                container = _tree(archive.read("META-INF/container.xml"), name)
                roots = [e.get("full-path") or "" for e in container.iter("rootfile")]
                inside = [root for root in roots if root in names][:1] or inside
            if not inside:
                raise InputError(
                    f"{name}: the archive has no score in it; export it again as MusicXML."
                )
            if archive.getinfo(inside[0]).file_size > MAX_XML_BYTES:
                raise InputError(
                    f"{name}: its score unpacks to more than {MAX_XML_BYTES >> 20} MB; "
                    "export it again."
                )
            return archive.read(inside[0])
    except InputError:
        raise
    except Exception as error:  # damaged archives raise many kinds
        raise InputError(
            f"{name}: the compressed MusicXML is damaged; download or export it again."
        ) from error


def _tree(data: bytes, name: str) -> Element:
    """The elements of an XML file by their local names, without those that don't concern what
    sounds.

    A byte-order mark overrules the encoding that the file states, and what is neither that nor
    UTF-8 is read as Latin-1.
    """
    encoding = None
    for mark, codec in (
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if data.startswith(mark):
            data, encoding = data.decode(codec, errors="replace").encode(), "utf-8"
    data = data.lstrip()
    try:
        return _parsed(data, encoding, name)
    except (
        expat.ExpatError,
        ValueError,
        LookupError,
    ) as error:  # the latter two: an encoding that does not exist
        if encoding is None and not _is_utf8(data):
            try:
                return _parsed(data, "iso-8859-1", name)
            except expat.ExpatError:
                pass  # the first error says more
        wrong = (
            "cut short or not XML" if isinstance(error, expat.ExpatError) else "not readable XML"
        )
        raise InputError(f"{name}: it is {wrong} ({error}); export it again as MusicXML.") from None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parsed(data: bytes, encoding: str | None, name: str) -> Element:
    builder, parser = TreeBuilder(), expat.ParserCreate(encoding)
    depth, skipped = 0, 0  # skipped: the depth of the element that is left out, with all in it

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, skipped
        depth += 1
        if depth > MAX_DEPTH:
            raise InputError(
                f"{name}: its elements are nested too deeply to be music; export it again."
            )
        local = tag.rpartition(":")[2]
        if not skipped and local in _NOT_READ:
            skipped = depth
        if not skipped:
            builder.start(local, attributes)

    def end(tag: str) -> None:
        nonlocal depth, skipped
        if not skipped:
            builder.end(tag.rpartition(":")[2])
        elif skipped == depth:
            skipped = 0
        depth -= 1

    def characters(text: str) -> None:
        if not skipped and not text.isspace():
            builder.data(text)

    def entity(*_: object) -> None:
        raise InputError(
            f"{name}: it defines entities of its own, which no score needs; "
            "export it again as MusicXML."
        )

    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = (
        start,
        end,
        characters,
    )
    parser.EntityDeclHandler = entity
    parser.Parse(data, True)
    return builder.close()


class _Score:
    """A score while it is put together from its parts."""

    def __init__(self, root: Element, name: str) -> None:
        described = {e.get("id") or "": e for e in root.iter("score-part")}
        found = _parts(root)
        if len(found) > MOST_PARTS:
            raise InputError(f"{name}: it has more than {MOST_PARTS} parts; export fewer of them.")
        count = max((len(measures) for _, measures in found), default=0)
        if count >= MOST_MEASURES:
            raise InputError(
                f"{name}: it has {MOST_MEASURES:,} bars or more; cut it into shorter pieces."
            )
        ties = "tie" if next(root.iter("tie"), None) is not None else "tied"
        self.names = [_name_of(described.get(key)) for key, _ in found]
        self.parts = [Part(described.get(key), ties, name) for key, _ in found]
        for part, (_, measures) in zip(self.parts, found, strict=True):
            part.read(measures)
        self.remarks: list[str] = []
        self.contents = [
            [part.contents[k] for part in self.parts if k < len(part.contents)]
            for k in range(count)
        ]
        self.metres, self.starts = self._bars()

    def written(self) -> Written:
        """The whole score."""
        sounds, names, sung = self._sounds()
        cuts, signs = self._signs()
        metres = [self.metres[k] for k, _ in cuts]
        places = [self.starts[k] + place for k, place in cuts]
        measures, runs = in_order(
            in_playing_order(signs), places, [*places[1:], self.starts[-1]], metres
        )

        self._count("cues", "silent cue note was", "silent cue notes were")
        self._count(
            "unread",
            "note whose pitch or length can't be read was",
            "notes whose pitch or length can't be read were",
        )
        if rounded := sum(part.rounded for part in self.parts):
            self.remarks.append(
                f"{rounded} quarter tone{'s were' if rounded > 1 else ' was'} rounded to semitones"
            )

        drums = sum(part.drums > 0 for part in self.parts)
        tempos = self._first(lambda c: c.stated_tempos) | self._first(lambda c: c.tempos)
        keys = next(
            (found for part in self.parts if (found := self._placed(part, lambda c: c.keys))), {}
        )

        return Written(
            sounds,
            names,
            measures,
            runs,
            tempos,
            keys,
            self._first(lambda c: c.chords),
            drums,
            tuple(self.remarks),
            sung,
        )

    def _count(self, what: str, one: str, many: str) -> None:
        count = sum(getattr(part, what) for part in self.parts)
        if count:
            self.remarks.append(f"{count} {many if count > 1 else one} left out")

    def _bars(self) -> tuple[list[Metre], list[Fraction]]:
        """The metre of each measure; where each begins, and the end of the last.

        Where parts have different metres, it is the first that is as long as the measure; before
        one is stated, what the measure's length implies.
        """
        metres: list[Metre] = []
        starts = [Fraction(0)]
        now: dict[int, Metre] = {}
        for k in range(max((len(part.contents) for part in self.parts), default=0)):
            contents = {
                number: part.contents[k]
                for number, part in enumerate(self.parts)
                if k < len(part.contents)
            }
            now |= {number: c.metre for number, c in contents.items() if c.metre}
            stated = [now[number] for number in sorted(now)]
            full = _quarters(stated[0]) if stated else None
            length = _length(list(contents.values()), full) or full or Fraction(4)
            if full and abs(length - full) < INEXACT:
                length = full
            fitting = [metre for metre in stated if _quarters(metre) == length]
            metres.append((fitting or stated or [_implied(length)])[0])
            starts.append(small(starts[-1] + length))
            now |= {number: c.next_metre for number, c in contents.items() if c.next_metre}
        return metres, starts

    def _placed(
        self, part: Part, of: Callable[[Content], dict[Fraction, _Value]]
    ) -> dict[Fraction, _Value]:
        """What a part's measures have, by written place."""
        return {
            self.starts[k] + place: value
            for k, content in enumerate(part.contents)
            for place, value in of(content).items()
        }

    def _first(self, of: Callable[[Content], dict[Fraction, _Value]]) -> dict[Fraction, _Value]:
        """What the measures of all parts have; where several state something for one place, the
        first.
        """
        found: dict[Fraction, _Value] = {}
        for part in self.parts:
            found = self._placed(part, of) | found
        return found

    def _sounds(self) -> tuple[list[Sound], tuple[str, ...], tuple[int, ...]]:
        """The notes, the names of the parts that have any, and which of them have words: each staff
        is a part.
        """
        sounds: list[Sound] = []
        names: list[str] = []
        sung: list[int] = []
        for part, name in zip(self.parts, self.names, strict=True):
            part.set_loudness()
            staves = part.staves()
            label_of_all = (name or f"part {len(names) + 1}")[:80]
            for staff in sorted(
                {sound.part for content in part.contents for sound in content.sounds}
            ):
                for start, content in zip(self.starts, part.contents, strict=False):
                    sounds += [
                        sound._replace(onset=start + sound.onset, part=len(names))
                        for sound in content.sounds
                        if sound.part == staff
                    ]
                label = label_of_all
                if staves == 2:
                    label = f"{label}, {'right' if staff == 1 else 'left'} hand"
                if part.sung[staff]:
                    sung.append(len(names))
                names.append(distinct_label(label, names))
        return sounds, tuple(names), tuple(sung)

    def _signs(self) -> tuple[list[tuple[int, Fraction]], list[Signs]]:
        """The places, as (measure, quarters in it), at which measures and repeats within them
        begin, and their repeat signs.

        The part with the most bar lines of repeats speaks for all; jumps are taken from all:
        programs often print "D.C. al Fine" over the top staff only.
        """
        leader = max(
            self.parts, key=lambda part: sum(c.bar_lines for c in part.contents), default=None
        )
        count = len(self.contents)
        lines = [
            leader.contents[k] if leader and k < len(leader.contents) else Content()
            for k in range(count)
        ]
        endings = _endings(lines)
        words = _words(self.contents)
        cuts: list[tuple[int, Fraction]] = []
        signs: list[Signs] = []
        for k, line in enumerate(lines):
            length = self.starts[k + 1] - self.starts[k]
            inner = {
                place: turns for place, turns in sorted(line.middle.items()) if 0 < place < length
            }
            for place in (Fraction(0), *inner):
                if place:
                    signs[-1] = signs[-1]._replace(ends=inner[place])
                begins = line.begins if not place else inner[place] == 0
                cuts.append((k, place))
                signs.append(Signs(begins, 0, endings[k], frozenset(), line.after_jump))
            first = len(cuts) - 1 - len(inner)
            early = frozenset(word for word in words[k] if word[0] in {"segno", "coda"})
            signs[first] = signs[first]._replace(words=early)
            signs[-1] = signs[-1]._replace(
                ends=line.ends, words=signs[-1].words | (words[k] - early)
            )
        return cuts, signs


def _quarters(metre: Metre) -> Fraction:
    """How long a measure of a metre is."""
    return Fraction(4 * metre[0], metre[1])


def _implied(length: Fraction) -> Metre:
    """The metre of a measure of so many quarters; 4/4 where there is none."""
    bottom = next(
        (bottom for bottom in (4, 8, 16, 32) if (length * bottom / 4).denominator == 1), 0
    )
    top = int(length * bottom / 4)
    return (top, bottom) if bottom and 0 < top <= 64 else (4, 4)


def _length(contents: list[Content], full: Fraction | None) -> Fraction:
    """Quarters that a measure lasts, where that of its metre has ``full``: as long as its longest
    part.

    Silence beyond the metre counts only if all parts have it: some files have two rests where one
    is meant.
    """
    reached = [c.reach for c in contents if c.reach] or [Fraction(0)]
    silent = max(reached) if full is None else max(min(max(reached), full), min(reached))
    return max(silent, *(c.end for c in contents))


def _parts(root: Element) -> list[tuple[str, list[Element]]]:
    """Each part's id and measures; of a timewise score, too. Measures that parts lack in the middle
    are put in, empty.
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
    """Parts with an empty measure for each that the longest part has, and they not, by number."""
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
    """A part's name: as it is stated, as it is printed, or its instrument's."""
    if described is None:
        return ""
    for path in ("part-name", "part-name-display", "score-instrument/instrument-name"):
        if (element := described.find(path)) is not None and (name := text_of(element)):
            return name
    return ""


def _endings(lines: list[Content]) -> list[frozenset[int]]:
    """The numbers of the ending in which each measure is; the ends of repeats that endings lack are
    put in.

    An ending that never stops lasts to the end of its repeat, and if it has none, for a measure.
    """
    found: list[frozenset[int]] = [frozenset()] * len(lines)
    for k, line in enumerate(lines):
        if not line.ending:
            continue
        following = next(
            (j for j in range(k + 1, len(lines)) if lines[j].ending or lines[j].begins), len(lines)
        )
        stop = next((j for j in range(k, following) if lines[j].ending_stops), None)
        if stop is None and following < len(lines) and lines[following].ending:
            stop = next((j for j in range(k, following) if lines[j].ends), None)
        stop = k if stop is None else stop
        found[k : stop + 1] = [line.ending] * (stop + 1 - k)
        jumps = any(word in {"da capo", "dal segno"} for _, word, _ in lines[stop].words)
        goes_on = (
            stop + 1 < len(lines)
            and lines[stop + 1].ending
            and min(lines[stop + 1].ending) > max(line.ending)
        )
        if goes_on and not lines[stop].ends and not jumps:
            lines[stop] = replace(lines[stop], ends=1)
    return found


def _words(contents: list[list[Content]]) -> list[frozenset[tuple[str, str]]]:
    """The jumps and their goals in each measure, of all parts.

    A coda sign is where to leave from, if another one follows; a segno or coda at the end of a
    measure is the next one's.
    """
    found: list[set[tuple[str, str]]] = [set() for _ in contents]
    said = [
        (k, place, content.reach, (word, label))
        for k, row in enumerate(contents)
        for content in row
        for place, word, label in content.words
    ]
    codas = sorted({(k, place) for k, place, _, word in said if word[0] == "coda"})
    leaving = (
        codas[0] if len(codas) > 1 and not any(word[0] == "to coda" for *_, word in said) else None
    )
    for k, place, end, word in said:
        if word[0] == "coda" and (k, place) == leaving:
            found[max(k - (place == 0), 0)].add(("to coda", word[1]))
        else:
            late = (
                word[0] in {"segno", "coda"}
                and place > 0
                and place >= end
                and k + 1 < len(contents)
            )
            found[k + late].add(word)
    return [frozenset(words) for words in found]
