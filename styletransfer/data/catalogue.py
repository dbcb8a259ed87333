"""Composers and eras: one spelling for each, whatever the source calls them.

A composer has an id of his own if the sources hold at least twelve pieces of his (MAESTRO v3.0.0, the DCML keyboard
scores, and the ASAP scores together; the smallest is Bartók with 14, the largest without one Handel with 11). All
others are ``unknown``, but keep their era. The ids are those of the control tokens. Decisions that one can argue about:

- *Arrangements* ("Franz Schubert / Franz Liszt") are nobody's own style: their composer is ``unknown`` and their era is
  that of the arranger. Pianists who transcribed in the grand manner (Busoni, Godowsky, Horowitz, Cziffra, Pletnev)
  count as romantic, whenever they lived, since that is what their transcriptions sound like.
- *Scriabin*, *Rachmaninoff*, *Medtner* and *Albéniz* are late romantics here; Debussy, Ravel, Bartók, Janáček and Berg
  are modern.
- *C. P. E. Bach* and *Soler* are classical (galant), *Domenico Scarlatti* baroque; *Gibbons*, the only composer before
  1650, goes with the baroque.
- *Beethoven* is classical and *Schubert* romantic, as in the era classes of most of the literature on these data.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

Era = Literal["baroque", "classical", "romantic", "modern", "unknown"]

ERAS: tuple[Era, ...] = ("baroque", "classical", "romantic", "modern", "unknown")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Composer:
    """A composer who has a tag of his own: ``id`` is the slug, ``name`` the label as MAESTRO spells it."""

    id: str
    name: str
    era: Era
    aliases: tuple[str, ...] = ()


_COMPOSERS = (
    Composer("bach", "Johann Sebastian Bach", "baroque", ("Bach", "J. S. Bach", "Bach, Johann Sebastian")),
    Composer("bartok", "Béla Bartók", "modern", ("Bartók",)),
    Composer("beethoven", "Ludwig van Beethoven", "classical", ("Beethoven", "L. van Beethoven")),
    Composer("brahms", "Johannes Brahms", "romantic", ("Brahms",)),
    Composer("chopin", "Frédéric Chopin", "romantic", ("Chopin", "Fryderyk Chopin")),
    Composer("cpe-bach", "Carl Philipp Emanuel Bach", "classical", ("C. P. E. Bach", "CPE Bach")),
    Composer("debussy", "Claude Debussy", "modern", ("Debussy",)),
    Composer("grieg", "Edvard Grieg", "romantic", ("Grieg",)),
    Composer("haydn", "Joseph Haydn", "classical", ("Haydn", "Franz Joseph Haydn")),
    Composer("liszt", "Franz Liszt", "romantic", ("Liszt",)),
    Composer("medtner", "Nikolai Medtner", "romantic", ("Medtner",)),
    Composer("mendelssohn", "Felix Mendelssohn", "romantic", ("Mendelssohn", "Felix Mendelssohn Bartholdy")),
    Composer("mozart", "Wolfgang Amadeus Mozart", "classical", ("Mozart", "W. A. Mozart")),
    Composer("rachmaninoff", "Sergei Rachmaninoff", "romantic", ("Rachmaninoff", "Rachmaninov", "Sergei Rachmaninov")),
    Composer("scarlatti", "Domenico Scarlatti", "baroque", ("Scarlatti",)),
    Composer("schubert", "Franz Schubert", "romantic", ("Schubert",)),
    Composer("schumann", "Robert Schumann", "romantic", ("Schumann",)),
    Composer("scriabin", "Alexander Scriabin", "romantic", ("Scriabin", "Skryabin")),
    Composer("tchaikovsky", "Pyotr Ilyich Tchaikovsky", "romantic", ("Tchaikovsky", "Piotr Tchaikovsky", "Peter Tchaikovsky")),
)

#: Ids of all composers with a tag of their own, alphabetically; ``unknown`` is not among them.
COMPOSERS: tuple[str, ...] = tuple(composer.id for composer in _COMPOSERS)

# Composers and arrangers without a tag, by era.
_OTHERS: dict[Era, tuple[str, ...]] = {
    "baroque": (
        "François Couperin", "Couperin", "Orlando Gibbons", "George Frideric Handel", "Handel", "Johann Pachelbel",
        "Henry Purcell", "Jean-Philippe Rameau",
    ),
    "classical": ("Muzio Clementi", "Johann Christian Fischer", "Antonio Soler"),
    "romantic": (
        "Isaac Albéniz", "Mily Balakirev", "Balakirev", "Georges Bizet", "Ferruccio Busoni", "György Cziffra",
        "César Franck", "Mikhail Glinka", "Glinka", "Leopold Godowsky", "Charles Gounod", "Alfred Grünfeld",
        "Vyacheslav Gryaznov", "Myra Hess", "Vladimir Horowitz", "Fritz Kreisler", "Moritz Moszkowski",
        "Modest Mussorgsky", "Niccolò Paganini", "Egon Petri", "Mikhail Pletnev", "Nikolai Rimsky-Korsakov",
        "Camille Saint-Saëns", "Johann Strauss", "Giuseppe Verdi", "Richard Wagner", "Carl Maria von Weber",
    ),
    "modern": ("Alban Berg", "George Enescu", "Percy Grainger", "Leoš Janáček", "Maurice Ravel", "Ravel"),
}  # fmt: skip

#: Recordings that MAESTRO v3.0.0 ascribes to the wrong composer: MIDI file -> composer. Each shares from .13 to .9 of
#: its 12-note n-grams with other performances and with scores of the piece that it really is.
CORRECTIONS: dict[str, str] = {
    # "Claude Debussy, Barcarolle, Op. 60"
    "2015/MIDI-Unprocessed_R1_D1-1-8_mid--AUDIO-from_mp3_02_R1_2015_wav--3.midi": "Frédéric Chopin",
    # "Frédéric Chopin, Preludes, Book II, L 123, VI. Général Lavine - eccentric"
    "2015/MIDI-Unprocessed_R1_D1-1-8_mid--AUDIO-from_mp3_02_R1_2015_wav--5.midi": "Claude Debussy",
    # "Domenico Scarlatti, Sonata in D Major, K. 576"
    "2009/MIDI-Unprocessed_02_R1_2009_01-02_ORIG_MID--AUDIO_02_R1_2009_02_R1_2009_01_WAV.midi": ("Wolfgang Amadeus Mozart"),
    # "Frédéric Chopin, Variations and Fugue in E-flat Major, Op. 35, Eroica"
    "2009/MIDI-Unprocessed_07_R1_2009_01-03_ORIG_MID--AUDIO_07_R1_2009_07_R1_2009_02_WAV.midi": "Ludwig van Beethoven",
    # "Frédéric Chopin, Nocturne in Db": the track after the real nocturne of the same recital, and it is Islamey
    "2006/MIDI-Unprocessed_19_R1_2006_01-07_ORIG_MID--AUDIO_19_R1_2006_07_Track07_wav.midi": "Mily Balakirev",
}


def _normal(label: str) -> str:
    """A label without accents, case and punctuation: "Béla  Bartók" and "bela-bartok" are the same."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    return " ".join(re.findall(r"[a-z0-9]+", plain))


_BY_ID = {composer.id: composer for composer in _COMPOSERS}
_BY_LABEL = {_normal(label): composer for composer in _COMPOSERS for label in (composer.id, composer.name, *composer.aliases)}
_OTHER_ERAS: dict[str, Era] = {_normal(name): era for era, names in _OTHERS.items() for name in names}


def composer_id(label: str) -> str:
    """The id of a composer from a label of any source: full name, surname or id, in any case, accents or not.

    >>> composer_id("Frédéric Chopin"), composer_id("Bach"), composer_id("Franz Schubert / Franz Liszt")
    ('chopin', 'bach', 'unknown')
    """
    composer = _BY_LABEL.get(_normal(label)) if "/" not in label else None
    return composer.id if composer else UNKNOWN


def era_of(label: str) -> Era:
    """The era of a label of any source, or of a composer's id; of an arrangement, that of the arranger (the last name).

    >>> era_of("Johann Sebastian Bach"), era_of("Johann Sebastian Bach / Ferruccio Busoni"), era_of("nobody")
    ('baroque', 'romantic', 'unknown')
    """
    name = _normal(label.rsplit("/", 1)[-1])
    composer = _BY_LABEL.get(name)
    return composer.era if composer else _OTHER_ERAS.get(name, "unknown")


def display_name(composer: str) -> str:
    """The full name of a composer's id, for people to read.

    Raises:
        KeyError: for an id that isn't in ``COMPOSERS`` and isn't ``unknown``.
    """
    return "unknown composer" if composer == UNKNOWN else _BY_ID[composer].name


def corrected_label(label: str, file: str) -> str:
    """The label of a MAESTRO file (year/name.midi), mended where MAESTRO is known to be wrong (see ``CORRECTIONS``)."""
    return CORRECTIONS.get(file, label)
