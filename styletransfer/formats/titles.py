"""Titles of songs, as their files have them.

A title that a program fills in by itself ("Track 1", "Untitled score") is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from styletransfer.music.part_names import plain, rank

if TYPE_CHECKING:
    from styletransfer.formats.midi_track import Track

LONGEST = 120
"""The most letters of a title; the rest is left out."""
ARTICLES = "the a an der die das ein eine le la les l' un une el los las il lo gli i o os"
"""What catalogues put after a title: "Rakes of Mallow, The"."""
_DEFAULTS = """
    1st 2nd a acoustic all arrangement bass by cakewalk channel composition conductor control copy
    created cubase default demo document drums exported file finale fragment garageband general gm
    grand guitar hand info instrument left logic map master measure melody meta midi movement
    music music21 musescore name new no notation of p1 part piano pianoforte project pure right
    score sequence seq setup sheet sibelius signature smf software song sonar staff standard system
    tempo text time title track type unbenannt unnamed untitled version voice with
"""
"""Words that make up a title which nobody wrote, as :func:`plain` spells them; numbers may stand
among them."""


def title_of(text: str | None) -> str:
    """Return a title on one line, or nothing where it is a program's default.

    >>> title_of("  Rakes of Mallow,  The "), title_of("Track 1"), title_of(None)
    ('The Rakes of Mallow', '', '')
    """
    spaced = "".join(letter if letter.isprintable() else " " for letter in text or "")
    words = re.sub(r"(?i)\.(midi?|kar|mxl|(music)?xml)$", "", " ".join(spaced.split()))
    found = re.fullmatch(r"(.+?), ?(\S+)", words)
    if found and found[2].lower() in ARTICLES.split():
        words = found[2] + ("" if found[2].endswith("'") else " ") + found[1]

    named = re.findall(r"[^\W_]+", plain(words))
    defaults = _DEFAULTS.split()
    if all(word in defaults or word.isdigit() for word in named) or "://" in words:
        return ""
    return words[:LONGEST].rstrip()


def title_of_parts(work: str | None, movement: str | None) -> str:
    """Return the title of a work and of one of its movements or songs.

    >>> title_of_parts("Winterreise", "Gute Nacht"), title_of_parts("Title", "Gute Nacht")
    ('Winterreise: Gute Nacht', 'Gute Nacht')
    """
    whole, part = title_of(work), title_of(movement)
    if part and whole and part not in whole and whole not in part:
        return f"{whole}: {part}"
    return max(whole, part, key=len)


def title_of_midi(kind: int, tracks: Sequence[Track]) -> str:
    """Return the title that the first track of a MIDI file names.

    It is the name of a track without notes, or of the only track; any other names its part.
    """
    if kind == 2 or not tracks or (tracks[0].channels and len(tracks) > 1):
        return ""
    name = tracks[0].name
    return "" if rank(name) is not None and len(name.split()) < 3 else title_of(name)
