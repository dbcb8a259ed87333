"""Chords as a person types them.

They are refused by their names, or played as simpler ones.
"""

from __future__ import annotations

import re

from styletransfer.errors import InputError
from styletransfer.music.chord_names import chord_of_symbol, symbol
from styletransfer.music.chord_symbols import read_symbol
from styletransfer.music.chords import tones_of
from styletransfer.music.qualities import NONE
from styletransfer.serve.settings import LIMITS

PLACES = ("-", "/", ".", "%")
"""Words of a line that stand for no chord of their own."""


def symbols_of(line: str) -> list[str]:
    """List the symbols of a line of chords, each once."""
    words = re.split(r"[\s|]+", line)
    return [word for word in dict.fromkeys(words) if word and word not in PLACES]


def line_of_chords(line: str) -> str:
    """Check chords from outside, which are never a file's name.

    Raises:
        InputError: where they are too long, or one isn't understood, which is named.
    """
    most = LIMITS["chords"]["maxLength"]
    if len(line) > most:
        raise InputError(f"the chords have {len(line):,} characters; give {most:,} at most.")
    if line not in ("new", "keep"):
        for word in symbols_of(line):
            chord_of_symbol(word)
    return line


def simplified(line: str) -> list[dict[str, str]]:
    """List the symbols that are played as plainer chords, and those chords.

    Only a triad or a seventh chord of them is played.

    >>> simplified("C | Gsus4 G7 | Cmaj9")
    [{'symbol': 'Gsus4', 'read': 'G'}, {'symbol': 'Cmaj9', 'read': 'Cmaj7'}]
    """
    found = []
    for word in symbols_of(line) if line not in ("new", "keep") else ():
        read = read_symbol(word)
        if read is None or read.quality == NONE:
            continue
        played = {*tones_of(read.root, read.quality), read.bass}
        if played != set(read.tones):
            found.append({"symbol": word, "read": symbol(read.root, read.quality, read.bass)})
    return found
