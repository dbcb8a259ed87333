"""Names of styles as people write and read them: "J.S. Bach" is ``bach``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from styletransfer.formats.read import legible
from styletransfer.music.composers import UNKNOWN, composer_id, display_name, normal
from styletransfer.tokens.controls import COMPOSERS, ERAS

NEAREST = 3
"""Names that are suggested instead of an unknown one."""
OTHERS = {"chorales": "Bach's chorales", "palestrina": "Palestrina"}
"""Styles that ship and are neither composers nor eras, in words."""
_BESIDE_ERAS = {"the", "era", "period", "style", "music", "age"}


def resolved(asked: str, names: Iterable[str]) -> str | None:
    """Return the style that a name means, None where it means none of them.

    It may be a composer's full name, surname or initials and surname, in any order and case, with
    accents or without; an era ("the Romantic era"); or any style in another spelling.

    >>> [resolved(name, COMPOSERS) for name in ("J.S. Bach", "CHOPIN", "Grieg, Edvard", "Elgar")]
    ['bach', 'chopin', 'grieg', None]

    Args:
        asked: the name as it was asked for.
        names: the names of all styles.
    """
    known, words = set(names), normal(asked).split()
    if not words or "/" in asked or len(asked) > 200:
        return None
    if (slug := "-".join(words)) in known:
        return slug
    if (composer := composer_id(asked)) != UNKNOWN:
        return composer if composer in known else None

    last, *given = normal(asked.partition(",")[0]).split()[-1:] + words[:-1]
    if "," in asked:
        given = normal(asked.partition(",")[2]).split()
    meant = [name for name in COMPOSERS if _may_be(name, last, given)]
    if len(meant) == 1 and meant[0] in known:
        return meant[0]

    era = [word for word in words if word not in _BESIDE_ERAS]
    if len(era) == 1 and era[0] in ERAS:
        return era[0]
    return words[-1] if words[-1] in OTHERS and words[-1] in known else None


def _may_be(name: str, last: str, given: list[str]) -> bool:
    """Return whether a composer has a surname, and given names that may be shortened."""
    *own, surname = normal(display_name(name)).split()
    if surname != last:
        return False
    if len(given) == 1 and given[0] == "".join(word[0] for word in own):
        return True
    rest = iter(own)
    return all(any(word.startswith(short) for word in rest) for short in given)


def nearest(asked: str, names: Iterable[str]) -> list[str]:
    """Return a few names of styles that an unknown name resembles, nearest first."""
    labels = {name: name for name in names}
    for name in COMPOSERS:
        if name in labels:
            words = normal(display_name(name)).split()
            labels |= {"-".join(words): name, words[-1]: labels.get(words[-1], name)}
    plain = "-".join(normal(asked).split()) if "/" not in asked else ""
    found = get_close_matches(plain, labels, n=2 * NEAREST, cutoff=0.6)
    surname = [labels[word] for word in plain.split("-")[-1:] if word in labels]
    return list(dict.fromkeys([*surname, *(labels[label] for label in found)]))[:NEAREST]


def in_words(name: str) -> str:
    """Write a style's name for people, as it stands after "in the style of".

    >>> in_words("bach"), in_words("chopin"), in_words("romantic"), in_words("mine")
    ('J. S. Bach', 'Frédéric Chopin', 'the Romantic era', '“mine”')
    """
    if name in COMPOSERS:
        words = display_name(name).split()
        if len(words) < 3 or not all(word[0].isupper() for word in words):
            return " ".join(words)
        return " ".join([*(f"{word[0]}." for word in words[:-1]), words[-1]])
    if name in ERAS:
        return f"the {name if name == 'modern' else name.capitalize()} era"
    return OTHERS.get(name, f"“{name}”")


def song_title(title: str, song: str) -> str:
    """Return a song's title, else its file's name, else "Chords"."""
    return title or heading(legible(Path(song).stem)) or "Chords"


def heading(file: str) -> str:
    """Return a file's name, without its suffix, as a heading.

    >>> heading("ode-to-joy"), heading("Rimsky-Korsakov 2"), heading("")
    ('Ode to joy', 'Rimsky-Korsakov 2', '')
    """
    words = re.sub(r"_+" if " " in file else r"[-_]+", " ", file).strip()
    return words[:1].upper() + words[1:]
