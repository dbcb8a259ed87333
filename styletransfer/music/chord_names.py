"""Names of chords: symbols, Roman numerals, cadences, and lines of symbols.

Symbols are as on a lead sheet (``Bb``, ``F#dim7``, ``C7/E``); lines are as a user types them (``F
C7 | F``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from styletransfer.errors import InputError
from styletransfer.music.chord_symbols import NO_CHORD, ChordSymbol, read_symbol
from styletransfer.music.chords import CHORD_DTYPE, INTERVALS, ChordTable, tones_of
from styletransfer.music.key import Key
from styletransfer.music.notes import BarTable, beat_of
from styletransfer.music.qualities import NONE, QUALITIES
from styletransfer.music.spelling import letter_and_alter

Chord = tuple[int, int, int]  # root, quality, bass

SUFFIXES = ("", "m", "dim", "aug", "7", "maj7", "m7", "m7b5", "dim7")
"""What follows the root in a symbol, by quality."""
PHRASE_BARS = 4
"""Bars after which a phrase may end, not counting a pick-up."""
NEAR = 0.01
"""Quarters by which two places may differ and still be one: less than half a step of the model's
grid."""
FINEST = 16
"""The most parts of a bar in a line that is written from a table: sixteenths."""

_MAJOR, _MINOR, _DIMINISHED, _AUGMENTED = range(4)
_SEVENTH, _MAJOR7, _MINOR7, _HALF, _DIMINISHED7 = range(4, len(QUALITIES))
_SMALL = (_MINOR, _DIMINISHED, _MINOR7, _HALF, _DIMINISHED7)
"""Qualities whose numerals are in lower-case letters: those with a minor third."""
_LEADING = (_DIMINISHED, _HALF, _DIMINISHED7)
"""Qualities of chords on a leading tone."""

_FIFTHS = (0, -5, 2, -3, 4, -1, 6, 1, -4, 3, -2, 5)
"""Places of roots on the line of fifths, relative to the tonic's, by semitones."""
_TONE_FIFTHS = {0: 0, 3: -3, 4: 4, 6: -6, 7: 1, 8: 8, 9: -9, 10: -2, 11: 5}
"""Places of a chord's tones on the line of fifths, relative to its root's, by semitones."""
_LOWEST, _HIGHEST = -8, 12
"""Places of F flat and B sharp; names beyond them have double accidentals."""

_NUMERALS = ("I", "bII", "II", "bIII", "III", "IV", "#IV", "V", "bVI", "VI", "bVII", "VII")
_RAISED = {1: (7, "#I"), 3: (9, "#II"), 8: (8, "#V")}
"""Leading tones to other degrees of a major key: their places and numerals."""
_MINOR_NUMERALS = ("I", "bII", "II", "III", "#III", "IV", "#IV", "V", "VI", "#VI", "VII", "#VII")
_SMALL_MINOR = {8: "bVI", 9: "VI", 10: "bVII", 11: "VII"}
"""By convention, vi and vii of a minor key are on the raised degree, VI and VII aren't."""
_FIGURES = {3: ("", "6", "64"), 4: ("7", "65", "43", "42")}
_MARKS = ("", "", "o", "+", "", "maj", "", "%", "o")
"""What stands between numeral and figure, by quality; % is half-diminished."""

_TONICS = {"major": (_MAJOR, _MAJOR7), "minor": (_MINOR, _MINOR7, _MAJOR)}
"""Qualities of a tonic; a Picardy third is among those of minor."""
_SUBMEDIANTS = {"major": (9, (_MINOR, _MINOR7)), "minor": (8, (_MAJOR, _MAJOR7))}


# --- symbols and numerals -----------------------------------------------------------------------


def symbol(root: int, quality: int, bass: int, key: Key | None = None) -> str:
    """Spell a chord as a symbol in a key, by default C major.

    The bass is spelled as a tone of the chord.

    >>> symbol(0, 4, 4), symbol(10, 1, 10), symbol(-1, -1, -1)
    ('C7/E', 'Bbm', 'N.C.')
    """
    if quality == NONE:
        return NO_CHORD
    key = key or Key(0, "major")
    upper, lower = spelled(root, quality, bass, key.fifths, key.mode == "minor")
    text = _letters(upper) + SUFFIXES[quality]
    return text if upper == lower else f"{text}/{_letters(lower)}"


def spelled(root: int, quality: int, bass: int, fifths: int, minor: bool) -> tuple[int, int]:
    """Name a chord's root and bass, as places on the line of fifths.

    See :mod:`.spelling`.

    Args:
        root: pitch class.
        quality: index into ``QUALITIES``; not :data:`~styletransfer.music.chords.NONE`.
        bass: pitch class, or -1 for the root's.
        fifths: sharps of the key signature, flats negative.
        minor: whether the key is minor.
    """
    tonic = fifths + 3 if minor else fifths
    step = (root - 7 * tonic) % 12
    raised = quality in _LEADING and not minor and step in _RAISED
    upper = _with_one_sign(tonic + (_RAISED[step][0] if raised else _FIFTHS[step]))

    above = 0 if bass == NONE else (bass - root) % 12
    if above in INTERVALS[quality]:
        return upper, _with_one_sign(upper + _TONE_FIFTHS[above])
    return upper, _with_one_sign(tonic + _FIFTHS[(bass - 7 * tonic) % 12])


def _with_one_sign(place: int) -> int:
    """Replace a name that has two signs by one that has at most one."""
    if place < _LOWEST:
        return place + 12
    return place - 12 if place > _HIGHEST else place


def _letters(place: int) -> str:
    letter, alter = letter_and_alter(place)
    return letter + ("b", "", "#")[alter + 1]


def roman(root: int, quality: int, bass: int, key: Key) -> str:
    """Spell a chord as a Roman numeral of a key, with the figures of its inversion.

    A bass that isn't of the chord follows a stroke.

    >>> c_major, a_minor = Key(0, "major"), Key(9, "minor")
    >>> roman(7, 4, 11, c_major), roman(2, 1, 2, c_major), roman(8, 8, 8, a_minor)
    ('V65', 'ii', 'viio7')
    """
    if quality == NONE:
        return ""
    step, small = (root - key.tonic) % 12, quality in _SMALL
    if key.mode == "minor":
        numeral = _MINOR_NUMERALS[step]
        numeral = _SMALL_MINOR.get(step, numeral) if small else numeral
    else:
        numeral = _RAISED[step][1] if quality in _LEADING and step in _RAISED else _NUMERALS[step]
    if small:
        numeral = numeral.replace("I", "i").replace("V", "v")

    tones = tones_of(root, quality)
    inside, figures = bass in tones, _FIGURES[len(tones)]
    stroke = "" if inside or bass == NONE else "/" + symbol(bass, _MAJOR, bass, key)
    return numeral + _MARKS[quality] + figures[tones.index(bass) if inside else 0] + stroke


# --- cadences -----------------------------------------------------------------------------------


def cadences(chords: ChordTable, bars: BarTable, key: Key) -> dict[int, str]:
    """Find the cadences at the ends of phrases.

    Phrases end every :data:`PHRASE_BARS` bars, and with the song. A phrase's last chord is the last
    one in its bars; but within a song, a dominant that follows another chord in the second half of
    the last bar leads on, and that other chord is the last. It makes a cadence where it comes in
    the phrase's last two bars, unless it is a second inversion of the tonic.

    Returns:
        By the index of the bar in which the last chord comes: ``authentic`` (V or vii to I),
            ``deceptive`` (V or vii to vi), ``half`` (anything to V), and at the song's end
            ``plagal`` (IV to I).
    """
    named = chords[chords["quality"] != NONE]
    start, root = named["start"].astype(float), named["root"].astype(int)
    does = [_function(chord, key) for chord in named]

    found: dict[int, str] = {}
    pick_up = int(len(bars) > 0 and bars["start"][0] < 0)
    for number, bar in enumerate(bars):
        final = number == len(bars) - 1
        begin, length = float(bar["start"]), float(bar["length"])
        last = int(np.searchsorted(start, begin + length - NEAR)) - 1
        if last < 0 or ((number + 1 - pick_up) % PHRASE_BARS and not final):
            continue
        late = start[last] > begin + length / 2 + NEAR
        if last and not final and late and does[last] in ("V", "vii"):
            last -= 1

        first = last  # where the chord comes, whatever its seventh and bass are there
        while first and root[first - 1] == root[last]:
            first -= 1
        came = int(np.searchsorted(bars["start"], start[first] + NEAR, side="right")) - 1
        before = does[first - 1] if first else ""
        if came < number - 1:
            continue

        if before in ("V", "vii") and does[last] in ("I", "vi"):
            found[came] = "authentic" if does[last] == "I" else "deceptive"
        elif before == "IV" and does[last] == "I" and final:
            found[came] = "plagal"
        elif does[last] == "V":
            found[came] = "half"
    return found


def _function(chord: np.void, key: Key) -> str:
    """Return the function of a chord in a cadence: I, IV, V, vi, vii, or none."""
    quality, fifth = int(chord["quality"]), (key.tonic + 7) % 12
    wanted = {
        "I": (0, _TONICS[key.mode] if chord["bass"] != fifth else ()),
        "IV": (5, (_MAJOR, _MINOR, _MAJOR7, _MINOR7)),
        "V": (7, (_MAJOR, _SEVENTH, _AUGMENTED)),
        "vi": _SUBMEDIANTS[key.mode],
        "vii": (11, _LEADING),
    }
    step = (int(chord["root"]) - key.tonic) % 12
    for name, (one, qualities) in wanted.items():
        if one == step and quality in qualities:
            return name
    return ""


# --- reading ------------------------------------------------------------------------------------


def chord_of_symbol(text: str) -> Chord:
    """Read a symbol as root, quality and bass.

    A richer chord is read as the triad or seventh chord in it.

    >>> chord_of_symbol("C7/E"), chord_of_symbol("Bbm"), chord_of_symbol("N.C.")
    ((0, 4, 4), (10, 1, 10), (-1, -1, -1))

    Raises:
        InputError: where it isn't understood.
    """
    found = read_symbol(text)
    if found is None:
        raise InputError(f"{text!r} isn't a chord symbol; write them as C, Am7, G/B or N.C.")
    return found[1:4]


def chords_of_symbols(symbols: Sequence[tuple[float, ChordSymbol]], bars: BarTable) -> ChordTable:
    """Lay a file's chord symbols over the bars of its song.

    Args:
        symbols: pairs of the quarter from which a symbol holds, ascending, and the symbol.
        bars: the song's bars; the music begins at quarter 0, and a pick-up's bar before it.

    Returns:
        A chord table from the first bar to the last, with a row for each symbol in them, even where
        it repeats the one before. There is no chord before the first symbol, and where a symbol
        names none.
    """
    first, end = float(bars["start"][0]), float(bars["start"][-1] + bars["length"][-1])
    named = {first: (NONE, NONE, NONE)}
    for quarter, symbol in symbols:
        if quarter < end - NEAR:
            named[quarter if quarter > NEAR else first] = symbol[1:4]

    starts = np.array(list(named))
    spans = zip(starts, np.diff(starts, append=end), named.values(), strict=True)
    return np.array([(start, length, *chord) for start, length, chord in spans], CHORD_DTYPE)


# --- lines of symbols ---------------------------------------------------------------------------


def chords_of_line(text: str, bars: BarTable) -> ChordTable:
    """Read a line of symbols, bar by bar, as the chords of a song's bars.

    Bars are separated by ``|`` (or ``||``) or line ends. The chords in a bar share it evenly; where
    there are no more of them than beats, each begins on a beat (two in 3/4: on one and three).
    ``-`` or ``/`` is more of the chord before, ``.`` leaves its share free, and ``%`` alone repeats
    the bar before. A bar with nothing in it is free, and so are those beyond the line. A pick-up
    has no bar in the line, unless the line has one bar more than the song has besides it.

    Returns:
        The spans that are fixed, neighbours of one chord joined.

    Raises:
        InputError: where a symbol isn't understood, or there are more bars than the song has.
    """
    lines = _bars(text)
    own = bars[1:] if len(lines) < len(bars) and bars["start"][0] < 0 else bars
    if len(lines) > len(own):
        raise InputError(f"--chords: {len(lines)} bars of chords, and the song has {len(own)}.")

    rows: list[tuple[float, float, int, int, int]] = []
    words: list[Chord | None] = [None]  # the chords of the previous bar; None: free
    for line, bar in zip(lines, own, strict=False):
        if line != ["%"]:
            words = _words(line or ["."], words[-1])
        for (begin, end), chord in zip(_shares(bar, len(words)), words, strict=True):
            if chord is None:
                continue
            if rows and rows[-1][2:] == chord and begin - sum(rows[-1][:2]) < NEAR:
                begin = rows.pop()[0]
            rows.append((begin, end - begin, *chord))
    return np.array(rows, CHORD_DTYPE)


def _bars(text: str) -> list[list[str]]:
    """Return the words of each bar of a line."""
    lines = [line.strip().strip("|") for line in text.splitlines()]
    return [bar.split() for line in lines if line.strip() for bar in re.split(r"\|+", line)]


def count_bars(text: str) -> int:
    """Count the bars of a line of :func:`chords_of_line`."""
    return len(_bars(text))


def _words(line: list[str], before: Chord | None) -> list[Chord | None]:
    """Return the chords of a bar's words; None leaves a share free."""
    found = []
    for word in line:
        try:
            if word not in ("-", "/"):
                before = None if word == "." else chord_of_symbol(word)
        except InputError as error:
            raise InputError(f"--chords: {error}") from None
        found.append(before)
    return found


def _shares(bar: np.void, count: int) -> list[tuple[float, float]]:
    """Return the begin and the end of each of ``count`` words of a bar.

    Shares are even, but where there are fewer words than beats each begins on a beat, the later one
    in doubt. Of a pick-up, what is on the page is shared, and the first word begins where a whole
    bar would.
    """
    begin, end = float(bar["start"]), float(bar["start"] + bar["length"])
    first = max(begin, 0.0)
    beat = beat_of(int(bar["numerator"]), int(bar["denominator"]))
    edges = np.linspace(first, end, count + 1)
    beats = (end - first) / beat
    if count < beats and abs(beats - round(beats)) < NEAR:
        edges = first + beat * np.ceil(np.arange(count + 1) * round(beats) / count - NEAR)
    return list(zip([begin, *edges[1:-1].tolist()], edges[1:].tolist(), strict=True))


def is_bar(text: str) -> bool:
    """Return whether a text can be read as one bar of a line."""
    try:
        _words(text.split(), None)
    except InputError:
        return text.split() == ["%"]
    return True


def line_of(chords: ChordTable, bars: BarTable, key: Key) -> list[str]:
    """Write chords as the bars of a line that :func:`chords_of_line` reads.

    Chords that lie on no even shares of a bar stand in it without their lengths.

    >>> from styletransfer.music.notes import bars_of
    >>> bars, key = bars_of([(0.0, 4, 4)], 8.0), Key(0, "major")
    >>> line_of(chords_of_line("C - - G7 | F C", bars), bars, key)
    ['C - - G7', 'F C']
    """
    return [
        bar_of_line({place: symbol(*chord, key) for place, chord in bar_chords(chords, bar)}, bar)
        for bar in bars
    ]


def bar_of_line(named: Mapping[float, str], bar: np.void) -> str:
    """Write one bar of a line, as :func:`line_of` does.

    ``named`` holds the symbols by their quarters from the bar's start.
    """
    names = dict(named)
    if float(bar["start"]) < 0 and names:  # a pick-up's first chord is put at the bar's start
        names[0.0] = names.pop(min(names))
    for count in range(max(len(names), 1), FINEST + 1):
        places = [place - float(bar["start"]) for place, _ in _shares(bar, count)]
        words = ["-"] * count
        for place, name in names.items():
            index = int(np.argmin([abs(place - one) for one in places]))
            if abs(places[index] - place) >= NEAR or words[index] != "-":
                break
            words[index] = name
        else:
            return " ".join(words)
    return " ".join(names.values())


def bar_chords(chords: ChordTable, bar: np.void) -> list[tuple[float, Chord]]:
    """Return the chords of a bar: the one at its start, and those that come in it.

    Returns:
        Pairs of the place in quarters from the bar's start, and root, quality and bass.
    """
    place = chords["start"].astype(float) - float(bar["start"])
    first = max(int(np.searchsorted(place, NEAR)) - 1, 0)
    stop = int(np.searchsorted(place, float(bar["length"]) - NEAR))
    named = (chords[first:stop][name].tolist() for name in ("root", "quality", "bass"))
    places = np.maximum(place[first:stop], 0.0).tolist()
    return list(zip(places, zip(*named, strict=True), strict=True))
