"""Composers and eras: one spelling for each, whatever the source calls them.

A composer has an id of their own if the sources of pretrain/README.md hold at least twenty pieces,
copies left out, or if MAESTRO v3.0.0, the DCML keyboard scores and the ASAP scores together hold
twelve (the smallest is Bartók with 14). All others are ``unknown``, but keep their era: that of
``_OTHERS``, else what the source's table says (:func:`era_of_years`). The ids are those of the
control tokens. Decisions that one can argue about:

- *Arrangements* ("Franz Schubert / Franz Liszt") are nobody's own style: their composer is ``unknown`` and their era is
  that of the arranger. Pianists who transcribed in the grand manner (Busoni, Godowsky, Horowitz,
  Cziffra, Pletnev) count as romantic, whenever they lived, since that is what their transcriptions
  sound like.
- *Scriabin*, *Rachmaninoff*, *Medtner* and *Albéniz* are late romantics here, and so are Paderewski, Stojowski, Faisst
  and Joteyko, all born from 1860 to 1872; Debussy, Ravel, Bartók, Janáček and Berg are modern, and
  so are Joplin and Satie. Who was born before 1710 and wrote later than Gibbons is baroque by the
  rule of :func:`era_of_years`.
- *C. P. E. Bach* and *Soler* are classical (galant), *Domenico Scarlatti* baroque; *Gibbons*, the only composer before
  1650 in MAESTRO, goes with the baroque, and so do the hymns of the Reformation.
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
    """A composer who has a tag of his own: ``id`` is the slug, ``name`` the label as MAESTRO spells
    it.
    """

    id: str
    name: str
    era: Era
    aliases: tuple[str, ...] = ()


_COMPOSERS = (
    Composer(
        "bach", "Johann Sebastian Bach", "baroque", ("Bach", "J. S. Bach", "Bach, Johann Sebastian")
    ),
    Composer("bartok", "Béla Bartók", "modern", ("Bartók",)),
    Composer("beethoven", "Ludwig van Beethoven", "classical", ("Beethoven", "L. van Beethoven")),
    Composer("bizet", "Georges Bizet", "romantic"),
    Composer("brahms", "Johannes Brahms", "romantic", ("Brahms",)),
    Composer("chaminade", "Cécile Chaminade", "romantic"),
    Composer("chopin", "Frédéric Chopin", "romantic", ("Chopin", "Fryderyk Chopin")),
    Composer("cornelius", "Peter Cornelius", "romantic"),
    Composer("cpe-bach", "Carl Philipp Emanuel Bach", "classical", ("C. P. E. Bach", "CPE Bach")),
    Composer("czerny", "Carl Czerny", "romantic"),
    Composer("debussy", "Claude Debussy", "modern", ("Debussy",)),
    Composer("faisst", "Clara Mathilda Faisst", "romantic", ("Clara Faisst",)),
    Composer("franz", "Robert Franz", "romantic"),
    Composer("grieg", "Edvard Grieg", "romantic", ("Grieg",)),
    Composer("handel", "George Frideric Handel", "baroque", ("Handel", "Georg Friedrich Händel")),
    Composer("haydn", "Joseph Haydn", "classical", ("Haydn", "Franz Joseph Haydn")),
    Composer(
        "hensel", "Fanny Hensel", "romantic", ("Fanny Mendelssohn", "Fanny Mendelssohn Hensel")
    ),
    Composer("hertz", "Michał Hertz", "romantic"),
    Composer("holmes", "Augusta Holmès", "romantic"),
    Composer("jc-bach", "Johann Christian Bach", "classical", ("J. C. Bach", "JC Bach")),
    Composer("joplin", "Scott Joplin", "modern"),
    Composer("joteyko", "Tadeusz Joteyko", "romantic"),
    Composer("kinkel", "Johanna Kinkel", "romantic"),
    Composer("kozeluh", "Leopold Koželuh", "classical", ("Leopold Kozeluch",)),
    Composer("lang", "Josephine Lang", "romantic"),
    Composer("lehmann", "Liza Lehmann", "romantic"),
    Composer("liszt", "Franz Liszt", "romantic", ("Liszt",)),
    Composer("lodwigowski", "Edward Stefan Łodwigowski", "romantic"),
    Composer("medtner", "Nikolai Medtner", "romantic", ("Medtner",)),
    Composer(
        "mendelssohn",
        "Felix Mendelssohn",
        "romantic",
        ("Mendelssohn", "Felix Mendelssohn Bartholdy"),
    ),
    Composer("moniuszko", "Stanisław Moniuszko", "romantic"),
    Composer("mozart", "Wolfgang Amadeus Mozart", "classical", ("Mozart", "W. A. Mozart")),
    Composer("noskowski", "Zygmunt Noskowski", "romantic"),
    Composer("paderewski", "Ignacy Jan Paderewski", "romantic", ("Ignacy Paderewski",)),
    Composer(
        "rachmaninoff",
        "Sergei Rachmaninoff",
        "romantic",
        ("Rachmaninoff", "Rachmaninov", "Sergei Rachmaninov"),
    ),
    Composer("reichardt", "Louise Reichardt", "classical", ("Luise Reichardt",)),
    Composer("rozycki", "Ludomir Różycki", "modern"),
    Composer("satie", "Erik Satie", "modern"),
    Composer("scarlatti", "Domenico Scarlatti", "baroque", ("Scarlatti",)),
    Composer("schroter", "Corona Schröter", "classical", ("Corona Schroeter",)),
    Composer("schubert", "Franz Schubert", "romantic", ("Schubert",)),
    Composer("schumann", "Robert Schumann", "romantic", ("Schumann",)),
    Composer("scriabin", "Alexander Scriabin", "romantic", ("Scriabin", "Skryabin")),
    Composer("smietanski", "Emil Władysław Śmietański", "romantic"),
    Composer("sowinski", "Wojciech Sowiński", "romantic"),
    Composer("stefani", "Józef Stefani", "romantic"),
    Composer("stojowski", "Zygmunt Stojowski", "romantic"),
    Composer("szymanowska", "Maria Szymanowska", "romantic"),
    Composer("szymanowski", "Karol Szymanowski", "modern"),
    Composer(
        "tchaikovsky",
        "Pyotr Ilyich Tchaikovsky",
        "romantic",
        ("Tchaikovsky", "Piotr Tchaikovsky", "Peter Tchaikovsky"),
    ),
    Composer("troschel", "Wilhelm Troschel", "romantic"),
    Composer("verdi", "Giuseppe Verdi", "romantic"),
    Composer("viardot", "Pauline Viardot", "romantic", ("Pauline Viardot-García",)),
    Composer("warlock", "Peter Warlock", "modern"),
    Composer("wolf", "Hugo Wolf", "romantic"),
    Composer("wysocki", "Kasper Napoleon Wysocki", "romantic"),
    Composer("zelenski", "Władysław Żeleński", "romantic"),
)

#: Ids of all composers with a tag of their own, alphabetically; ``unknown`` is not among them.
COMPOSERS: tuple[str, ...] = tuple(composer.id for composer in _COMPOSERS)

# Composers and arrangers without a tag, by era: those of sources whose tables say nothing of it, or
# the wrong thing.
_OTHERS: dict[Era, tuple[str, ...]] = {
    "baroque": (
        "Jeremiah Clarke", "François Couperin", "Couperin", "William Croft", "Johann Crüger", "Wolfgang Dachstein",
        "Kornelius Heinrich Dretzel", "Bartolomäus Gesius", "Orlando Gibbons", "Nikolaus Hermann", "Johann Balthasar König",
        "Martin Luther", "Johann D. Meyer", "Phillip Nicolai", "Phillipp Nicolai", "Johann Pachelbel", "Michael Praetorius",
        "Henry Purcell", "Jean-Philippe Rameau", "George Rhau", "Johann Hermann Schein", "Thomas Tallis",
        "Melchior Vulpius", "Johann Walter",
    ),
    "classical": (
        "Muzio Clementi", "John Darwall", "Johann Christian Fischer", "Felice de Giardini", "John Hatton", "Oliver Holden",
        "Jeremiah Ingalls", "Meyer Lyon", "Edward Miller", "Antonio Soler", "Samuel Webbe", "Aaron Williams",
    ),
    "romantic": (
        "Leonard Woolsey Bacon", "Isaac Albéniz", "Mily Balakirev", "Balakirev", "William Sterndale Bennett",
        "Philip Paul Bliss", "William B. Bradbury", "Ferruccio Busoni", "John B. Calkin", "Charles C. Converse",
        "William H. Cummings", "György Cziffra", "William Howard Doane", "John B. Dykes", "John Bacchus Dykes",
        "George J. Elvey", "George Job Elvey", "Alexander C. Ewing", "Edwin Othello Excell", "William Gustavus Fischer",
        "César Franck", "Charles Hutchinson Gabriel", "Mikhail Glinka", "Glinka", "Leopold Godowsky", "John Goss",
        "Charles Gounod", "Louisa Gray", "Alfred Grünfeld", "Vyacheslav Gryaznov", "Thomas Hastings", "Karl August Haupt",
        "William Henry Havergal", "Myra Hess", "Vladimir Horowitz", "George Crawford Hugg", "John Pyke Hullah",
        "Charles Lewis Hutchins", "William J. Kirkpatrick", "Conrad Kocher", "Fritz Kreisler", "Eduard Kremser",
        "Fridrich Layriz", "Ludvig M. Lindeman", "Ludvig Mathias Lindeman", "Robert Lowry", "John M. MacFarlane",
        "Frederick C. Maker", "Lowell Mason", "James McGranahan", "Arthur H. Messiter", "Lucy R. Meyer", "William H. Monk",
        "William Henry Monk", "Moritz Moszkowski", "Modest Mussorgsky", "Asahel Nettleton", "Józef Nowakowski",
        "Henry K. Oliver", "William Owen", "Niccolò Paganini", "Joseph Parry", "Egon Petri", "Mikhail Pletnev",
        "Rowland H. Prichard", "Lewis H. Redner", "Nikolai Rimsky-Korsakov", "John Roberts", "Julius Röntgen",
        "Camille Saint-Saëns", "Ira D. Sankey", "Ira David Sankey", "Henry Smart", "Henry Thomas Smart", "John Stainer",
        "Johann Strauss", "Arthur Seymour Sullivan", "James Lea Summers", "John Bunnell Sumner", "Will L. Thompson",
        "Von Tucher", "Richard Wagner", "James G. Walton", "Carl Maria von Weber", "Samuel Sebastian Wesley",
        "Frederick Westlake", "Richard S. Willis", "George Ratcliffe Woodward",
    ),
    "modern": (
        "George Bennard", "Alban Berg", "Luther B. Bridgers", "Charles Winfred Douglas", "George Enescu", "David Evans",
        "Percy Grainger", "Gustav Theodore Holst", "John Hughes", "Leoš Janáček", "Walter Stillman Martin",
        "May Whittle Moody", "Sydney H. Nicholson", "Edgar Pettman", "Maurice Ravel", "Ravel", "Jean Sibelius",
        "Ralph Vaughan Williams", "Healey Willan",
    ),
}  # fmt: skip

#: Recordings that MAESTRO v3.0.0 ascribes to the wrong composer: MIDI file -> composer. Each shares from .13 to .9 of
#: its 12-note n-grams with other performances and with scores of the piece that it really is.
CORRECTIONS: dict[str, str] = {
    # "Claude Debussy, Barcarolle, Op. 60"
    "2015/MIDI-Unprocessed_R1_D1-1-8_mid--AUDIO-from_mp3_02_R1_2015_wav--3.midi": "Frédéric Chopin",
    # "Frédéric Chopin, Preludes, Book II, L 123, VI. Général Lavine - eccentric"
    "2015/MIDI-Unprocessed_R1_D1-1-8_mid--AUDIO-from_mp3_02_R1_2015_wav--5.midi": "Claude Debussy",
    # "Domenico Scarlatti, Sonata in D Major, K. 576"
    "2009/MIDI-Unprocessed_02_R1_2009_01-02_ORIG_MID--AUDIO_02_R1_2009_02_R1_2009_01_WAV.midi": (
        "Wolfgang Amadeus Mozart"
    ),
    # "Frédéric Chopin, Variations and Fugue in E-flat Major, Op. 35, Eroica"
    "2009/MIDI-Unprocessed_07_R1_2009_01-03_ORIG_MID--AUDIO_07_R1_2009_07_R1_2009_02_WAV.midi": "Ludwig van Beethoven",
    # "Frédéric Chopin, Nocturne in Db": the track after the real nocturne of the same recital, and
    # it is Islamey
    "2006/MIDI-Unprocessed_19_R1_2006_01-07_ORIG_MID--AUDIO_19_R1_2006_07_Track07_wav.midi": "Mily Balakirev",
}


_LETTERS = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "ss", "æ": "ae", "Æ": "Ae"})
"""Letters that aren't another one with an accent."""


def _normal(label: str) -> str:
    """A label without accents, case and punctuation: "Béla  Bartók" and "bela-bartok" are the
    same.
    """
    plain = (
        unicodedata.normalize("NFKD", label.translate(_LETTERS))
        .encode("ascii", "ignore")
        .decode()
        .lower()
    )
    return " ".join(re.findall(r"[a-z0-9]+", plain))


_BY_ID = {composer.id: composer for composer in _COMPOSERS}
_BY_LABEL = {
    _normal(label): composer
    for composer in _COMPOSERS
    for label in (composer.id, composer.name, *composer.aliases)
}
_OTHER_ERAS: dict[str, Era] = {
    _normal(name): era for era, names in _OTHERS.items() for name in names
}


def composer_id(label: str) -> str:
    """The id of a composer from a label of any source: full name, surname or id, in any case,
    accents or not.

    >>> composer_id("Frédéric Chopin"), composer_id("Bach"), composer_id("Franz Schubert / Franz Liszt")
    ('chopin', 'bach', 'unknown')
    """
    composer = _BY_LABEL.get(_normal(label)) if "/" not in label else None
    return composer.id if composer else UNKNOWN


def era_of(label: str) -> Era:
    """The era of a label of any source, or of a composer's id; of an arrangement, that of the
    arranger (the last name).

    >>> era_of("Johann Sebastian Bach"), era_of("Johann Sebastian Bach / Ferruccio Busoni"), era_of("nobody")
    ('baroque', 'romantic', 'unknown')
    """
    name = _normal(label.rsplit("/", 1)[-1])
    composer = _BY_LABEL.get(name)
    return composer.era if composer else _OTHER_ERAS.get(name, "unknown")


#: The eras by the year of birth: who was born before that year, and after the one above, belongs to it.
BORN_BEFORE: dict[Era, int] = {"baroque": 1710, "classical": 1775, "romantic": 1860, "modern": 9999}
LIVED = 60  # years, where only one end of a life is known


def era_of_years(era: str, born: str = "", died: str = "") -> Era:
    """The era of a composer by the columns of a source's table: what it says, else by the year of
    birth.

    What it says isn't believed where the years are impossible: it comes from them.

    >>> era_of_years("", "1836"), era_of_years("modern", "1880", "1865"), era_of_years("", "", "")
    ('romantic', 'romantic', 'unknown')
    """
    first, last = (int(year) if year.strip().isdecimal() else 0 for year in (born, died))
    possible = first > 0 if not last else 0 < first < last
    for stated in BORN_BEFORE:
        if stated == era.strip().lower() and (possible or not (first or last)):
            return stated
    year = first if possible else last - LIVED
    if year <= 0:
        return "unknown"
    return next(one for one, bound in BORN_BEFORE.items() if year < bound)


def display_name(composer: str) -> str:
    """The full name of a composer's id, for people to read.

    Raises:
        KeyError: for an id that isn't in ``COMPOSERS`` and isn't ``unknown``.
    """
    return "unknown composer" if composer == UNKNOWN else _BY_ID[composer].name


def corrected_label(label: str, file: str) -> str:
    """The label of a MAESTRO file (year/name.midi), mended where MAESTRO is known to be wrong (see
    ``CORRECTIONS``).
    """
    return CORRECTIONS.get(file, label)
