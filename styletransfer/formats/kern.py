"""Read Humdrum's ``**kern`` as pieces.

The reference is https://www.humdrum.org/rep/kern/. Kern is written at sounding pitch. A column that
splits continues as several, which are one part, until they join again. Sections are played in the
order that the file's list of them states (``*>[A,A,B]``); without one, repeat signs are played out
as in MusicXML. Text, harmony, dynamics and other columns are left out.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from styletransfer.errors import InputError
from styletransfer.formats.titles import title_of
from styletransfer.formats.written import (
    DEFAULT_VELOCITY,
    FASTEST,
    GRACE_QUARTERS,
    SLOWEST,
    Metre,
    Signs,
    Sound,
    Written,
    distinct_label,
    in_order,
    in_playing_order,
    played,
    sections_in_order,
)
from styletransfer.music.chord_symbols import SEMITONES
from styletransfer.music.notes import Feel, Piece

KEYBOARDS = {"*Ipiano", "*Iforte", "*Icemba", "*Iclavi", "*Iklav", "*Iorgan", "*Iporta", "*Ireedo"}
"""Humdrum's codes of instruments for two hands."""
MOST_COLUMNS = 200

_LENGTH = re.compile(r"(\d{1,5})(?:%(\d{1,5}))?")
_PITCH = re.compile(r"(([a-gA-G])\2{0,7})")
_CODES = {
    **{
        "soprn": "Soprano",
        "cant": "Soprano",
        "mezzo": "Mezzosoprano",
        "calto": "Contralto",
        "alto": "Alto",
        "tenor": "Tenor",
    },
    **{
        "barit": "Baritone",
        "bass": "Bass",
        "vox": "Voice",
        "piano": "Piano",
        "organ": "Organ",
        "cemba": "Harpsichord",
    },
    **{
        "clavi": "Clavichord",
        "clest": "Celesta",
        "accor": "Accordion",
        "arpa": "Harp",
        "guitr": "Guitar",
        "liuto": "Lute",
    },
    **{
        "mando": "Mandolin",
        "violn": "Violin",
        "viola": "Viola",
        "cello": "Violoncello",
        "cbass": "Contrabass",
    },
    **{
        "flt": "Flute",
        "picco": "Piccolo",
        "oboe": "Oboe",
        "cangl": "English horn",
        "clars": "Clarinet",
        "clarb": "Bass clarinet",
    },
    **{
        "clarb": "Bass clarinet",
        "fagot": "Bassoon",
        "cor": "Horn",
        "tromp": "Trumpet",
        "tromt": "Trombone",
        "tromb": "Trombone",
        "tuba": "Tuba",
    },
    **{
        "saxS": "Soprano saxophone",
        "saxA": "Alto saxophone",
        "saxT": "Tenor saxophone",
        "saxR": "Baritone saxophone",
    },
}
"""Humdrum's codes of singers and instruments, the usual ones."""


def parse_kern(data: bytes, name: str, feel: Feel | None = None) -> Piece:
    """Read the bytes of a kern file as a piece.

    ``name`` is what error messages call the file.

    Raises:
        InputError: where the bytes are not kern, hold no notes, or hold hours of music.
    """
    text = text_of(data)
    lines = re.split(r"\r\n|\n|\r", text)
    opening = next((line for line in lines if line.startswith("**")), "")
    if "**kern" not in opening.split("\t"):
        raise InputError(
            f"{name}: it is not kern (no column begins with **kern); "
            "export it again or as MusicXML."
        )
    reader = _Reader(name, _names(text))
    reader.read(lines)
    if (pieces := len(re.findall(r"(?m)^!!!!SEGMENT", text))) > 1:
        reader.remarks.append(f"the file holds {pieces} pieces; the first one was read")
    named = re.search(r"(?m)^!!!OTL(?:@+\w+)?:(.*)$", text)
    title = title_of(named[1] if named else "")
    return replace(played(reader.written(), name, feel), title=title)


def text_of(data: bytes) -> str:
    """Decode text in UTF-8, or in Latin-1 where it isn't that."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


@dataclass
class _Column:
    """A column while it is read: its column in the heading, and where its music ends."""

    kind: str
    root: int
    until: Fraction | None = Fraction(0)  # None: it has nothing to play
    graces: list[list[Sound]] = field(default_factory=list)


class _Reader:
    """A file while it is read."""

    def __init__(self, name: str, names: dict[int, str]) -> None:
        self.name = name
        self.names = names
        self.columns: list[_Column] = []
        self.roots: list[str] = []
        self.codes: dict[int, str] = {}
        self.at = Fraction(0)
        self.sounds: list[Sound] = []
        self.bars: dict[Fraction, Signs] = {Fraction(0): Signs()}  # by where they begin
        self.metres: dict[Fraction, Metre] = {}
        self.tempos: dict[Fraction, float] = {}
        self.keys: dict[int, dict[Fraction, tuple[int, bool]]] = {}
        self.minor: dict[int, bool] = {}
        self.order: list[str] = []
        self.sections: dict[str, Fraction] = {}
        self.remarks: list[str] = []
        self.drums: set[int] = set()

    def read(self, lines: Sequence[str]) -> None:
        """Read all lines of the first piece.

        Raises:
            InputError: where lines don't have as many columns as there are.
        """
        for number, line in enumerate(lines, 1):
            if not line or line.startswith("!"):
                continue
            cells = line.split("\t")
            if not self.columns:
                if line.startswith("**"):
                    self.columns = [_Column(cell, root) for root, cell in enumerate(cells)]
                    self.roots = cells
                continue
            while len(cells) > len(self.columns) and not cells[-1]:
                cells.pop()
            if len(cells) != len(self.columns):
                raise InputError(
                    f"{self.name}: the kern cannot be understood (line {number} has {len(cells)} "
                    f"columns where there are {len(self.columns)}); correct it or export it again."
                )
            if cells[0].startswith("="):
                self.bar_line(next((cell for cell, column in self.kern(cells)), cells[0]))
            elif cells[0].startswith("*"):
                self.interpret(cells)
                if not self.columns:
                    break  # the end of the piece
            else:
                self.data(cells)

    def kern(self, cells: Sequence[str]) -> list[tuple[str, _Column]]:
        """Return the cells of kern columns, with their columns."""
        return [
            (cell, column)
            for cell, column in zip(cells, self.columns, strict=True)
            if column.kind == "**kern"
        ]

    def now(self) -> Fraction:
        """Return where the next line is: the end of what ends first."""
        return min(
            (c.until for c in self.columns if c.kind == "**kern" and c.until is not None),
            default=self.at,
        )

    def data(self, cells: list[str]) -> None:
        """Read a line of notes."""
        rows = self.kern(cells)
        if all(cell in {".", ""} for cell, _ in rows):
            return
        self.at = self.now()
        main = False
        for voice, (cell, column) in enumerate(rows):
            if cell in {".", ""}:
                continue
            main = self.play(cell, column, str(voice)) or main
        if main:
            for cell, column in rows:
                if cell in {".", ""} and column.until is not None and column.until <= self.at:
                    column.until = None

    def play(self, cell: str, column: _Column, voice: str) -> bool:
        """Play a note, chord or rest, and return whether it takes time."""
        tokens = cell.split()
        grace = any("q" in token for token in tokens)
        first = next((length for token in tokens if (length := _length(token)) is not None), None)
        if grace or not first:
            tones = [
                tone
                for token in tokens
                if (tone := self.tone(token, column, GRACE_QUARTERS, voice))
            ]
            if tones:
                column.graces.append([tone._replace(tie="") for tone in tones])
            return False
        lengths = [_length(token) or first for token in tokens]
        for before, tones in zip(range(len(column.graces), 0, -1), column.graces, strict=True):
            self.sounds += [tone._replace(onset=self.at, grace=before) for tone in tones]
        column.graces = []
        for token, length in zip(tokens, lengths, strict=True):
            if tone := self.tone(token, column, length, voice):
                self.sounds.append(tone)
        column.until = self.at + first
        return True

    def tone(self, token: str, column: _Column, length: Fraction, voice: str) -> Sound | None:
        """Return a note, None for a rest."""
        if "r" in token:
            return None
        found = _PITCH.search(token)
        if found is None:
            return None
        if "R" in token:
            self.drums.add(column.root)
            return None

        octave = len(found[1]) - 1 if found[1].islower() else -len(found[1])
        alter = max(min(token.count("#") - token.count("-"), 3), -3)  # even away from its letter
        pitch = 60 + 12 * octave + SEMITONES[found[1][0].upper()] + alter
        tie = (
            "continue"
            if "_" in token
            else "start"
            if "[" in token
            else "stop"
            if "]" in token
            else ""
        )
        return (
            Sound(self.at, length, pitch, DEFAULT_VELOCITY, column.root, tie, 0, voice)
            if 0 <= pitch <= 127
            else None
        )

    def bar_line(self, cell: str) -> None:
        """Begin a measure at a bar line, perhaps with a repeat.

        The measure before may send the player back.
        """
        place = self.now()
        begins, ends = re.search(r"[|!]:", cell) is not None, re.search(r":[|!]", cell) is not None
        here = self.bars.get(place, Signs())
        self.bars[place] = here._replace(begins=here.begins or begins)
        earlier = [start for start in self.bars if start < place]
        if ends and earlier:
            last = max(earlier)
            self.bars[last] = self.bars[last]._replace(ends=1)

    def interpret(self, cells: list[str]) -> None:
        """Read a line of interpretations.

        These are metres, keys, names and sections, or state how columns split, join, change places
        and end.
        """
        for cell, column in self.kern(cells):
            self.tell(cell, column)
        for cell, column in zip(cells, self.columns, strict=True):
            if cell.startswith("**"):
                column.kind = cell

        if not {"*^", "*v", "*x", "*-", "*+"} & set(cells):
            return
        columns: list[_Column] = []
        moved = [k for k, cell in enumerate(cells) if cell == "*x"]
        if len(moved) == 2:
            first, second = moved
            self.columns[first], self.columns[second] = self.columns[second], self.columns[first]

        joining: _Column | None = None
        for cell, column in zip(cells, self.columns, strict=True):
            if cell == "*v" and joining is not None and joining.root == column.root:
                joining.until = max(
                    (u for u in (joining.until, column.until) if u is not None), default=None
                )
                joining.graces += column.graces
                continue
            joining = column if cell == "*v" else None
            if cell == "*-":
                continue
            columns.append(column)
            if cell == "*^":
                columns.append(_Column(column.kind, column.root, column.until))
            elif cell == "*+":
                self.roots.append("")
                columns.append(_Column("", len(self.roots) - 1, self.now()))

        if len(columns) > MOST_COLUMNS:
            raise InputError(
                f"{self.name}: the kern has more than {MOST_COLUMNS} columns; "
                "correct it or export it again."
            )
        self.columns = columns

    def tell(self, cell: str, column: _Column) -> None:
        """Apply what an interpretation states about the music from here on."""
        place = self.now()
        if found := re.fullmatch(r"\*M(\d{1,3})/(\d{1,3})", cell):
            if int(found[1]) and int(found[2]):
                self.metres[place] = (int(found[1]), int(found[2]))
        elif found := re.fullmatch(r"\*MM(\d{1,4}(?:\.\d+)?)", cell):
            if SLOWEST <= float(found[1]) <= FASTEST:
                self.tempos.setdefault(place, round(60e6 / float(found[1])) / 1e6)
        elif found := re.fullmatch(r"\*k\[((?:[a-g][#-n]{1,2})*)\]", cell):
            fifths = found[1].count("#") - found[1].count("-")
            minor = self.keys.get(column.root, {}).get(place, (0, False))[1]
            self.keys.setdefault(column.root, {})[place] = (fifths, minor)
        elif found := re.fullmatch(r"\*([a-gA-G])[#-]?:\w{0,3}", cell):
            known = self.keys.get(column.root, {})
            if place in known:
                known[place] = (known[place][0], found[1].islower())
        elif cell.startswith("*>[") and cell.endswith("]"):
            self.order = self.order or cell[3:-1].split(",")
        elif cell.startswith("*>") and "[" not in cell:
            self.sections.setdefault(cell[2:], place)
        elif found := re.fullmatch(r"\*I([a-zA-Z]+)", cell):
            self.codes.setdefault(column.root, _CODES.get(found[1], ""))

    def written(self) -> Written:
        """Return the whole piece: the highest part, the last column, comes first."""
        end = max((c.until for c in self.columns if c.until is not None), default=Fraction(0))
        end = max([end, self.at, *(sound.onset + sound.length for sound in self.sounds)])
        sounding = {sound.part for sound in self.sounds}
        roots = [root for root in range(len(self.roots) - 1, -1, -1) if root in sounding]
        names: list[str] = []
        for part, root in enumerate(roots):
            label = self.names.get(root) or self.codes.get(root) or f"part {part + 1}"
            names.append(distinct_label(label[:80], names))
        sounds = [sound._replace(part=roots.index(sound.part)) for sound in self.sounds]
        keys = next(
            (self.keys[root] for root in range(len(self.roots) - 1, -1, -1) if root in self.keys),
            {},
        )

        starts = sorted(start for start in self.bars if start < end) or [Fraction(0)]
        changes = sorted(self.metres)
        inner = {
            place for place in self.sections.values() if self.order and starts[0] < place < end
        }
        cuts = sorted({*starts, *inner})
        metres = [
            self.metres[changes[max(bisect_right(changes, cut) - 1, 0)]] if changes else (4, 4)
            for cut in cuts
        ]
        sections = sections_in_order(self.order, self.sections, cuts)
        signs = [self.bars.get(cut, Signs()) for cut in cuts]
        order = (
            [index for section in sections for index in section]
            if sections
            else in_playing_order(signs)
        )
        measures, runs = in_order(order, cuts, [*cuts[1:], end], metres)
        return Written(
            sounds,
            tuple(names),
            measures,
            runs,
            self.tempos,
            keys,
            {},
            len(self.drums),
            tuple(self.remarks),
        )


def _length(token: str) -> Fraction | None:
    """Return the quarters that a token lasts, None where it states none.

    0 is a breve, which has 8.
    """
    found = _LENGTH.search(token)
    if found is None:
        return None
    digits, parts = found[1], int(found[2] or 1)
    length = (
        Fraction(4 * parts, int(digits)) if int(digits) else Fraction(4 * 2 ** min(len(digits), 3))
    )
    return length * (2 - Fraction(1, 2 ** min(token.count("."), 4)))


def _names(text: str) -> dict[int, str]:
    """Return the parts' names by column.

    They are what ``*I"`` states, the hands of a keyboard, ``*I:`` or a comment under the heading.

    Only the lines before the first bar are looked at, and only while the columns are those of the
    heading.
    """
    kinds: list[str] = []
    stated: dict[int, str] = {}
    classes: dict[int, str] = {}
    staves: dict[int, str] = {}
    for line in text.splitlines():
        cells = line.split("\t")
        if not kinds:
            kinds = cells if line.startswith("**") else []
            continue
        if line.startswith("!!"):
            continue
        if (
            line[:1] not in {"*", "!"}
            or len(cells) != len(kinds)
            or {"*^", "*v", "*+", "*-", "*x"} & set(cells)
        ):
            break
        for column, cell in enumerate(cells):
            if cell.startswith('*I"'):
                stated[column] = cell[3:].strip()
            elif cell.startswith("*I:"):
                stated.setdefault(column, cell[3:].strip("[] ").capitalize())
            elif cell in KEYBOARDS:
                classes[column] = cell
            elif cell.startswith("*part"):
                staves[column] = cell

    columns = [column for column, kind in enumerate(kinds) if kind == "**kern"]
    if len(columns) == 2:
        left, right = columns  # kern begins with the lowest part
        one_player = len({staves.get(column, column) for column in columns}) == 1
        if one_player or all(column in classes for column in columns):
            whole = stated.get(right) or stated.get(left) or "Piano"
            return {left: f"{whole}, left hand", right: f"{whole}, right hand"}

    return {column: stated[column] for column in columns if stated.get(column)}
