"""Composers and eras: one spelling for each, whatever the source calls them.

A composer has an id if the sources of pretrain/README.md hold at least twenty pieces, copies left
out, or if MAESTRO v3.0.0, the DCML keyboard scores and the ASAP scores together hold twelve (the
smallest is Bartók with 14). All others are ``unknown``, but keep their era: that of ``_OTHERS``,
else what the source's table states (:func:`era_of_years`). The ids are those of the control tokens.

Decisions that one can argue about:

- *Arrangements* ("Franz Schubert / Franz Liszt") are nobody's own style: their composer is
  ``unknown`` and their era is that of the arranger. Pianists who transcribed in the grand manner
  (Busoni, Godowsky, Horowitz, Cziffra, Pletnev) count as romantic, whenever they lived, since that
  is what their transcriptions sound like.
- *Scriabin*, *Rachmaninoff*, *Medtner* and *Albéniz* are late romantics here, and so are
  Paderewski, Stojowski, Faisst and Joteyko, all born from 1860 to 1872. Debussy, Ravel, Bartók,
  Janáček and Berg are modern, and so are Joplin and Satie. Composers who were born before 1710 and
  wrote later than Gibbons are baroque by the rule of :func:`era_of_years`.
- *C. P. E. Bach* and *Soler* are classical (galant), *Domenico Scarlatti* is baroque. *Gibbons*,
  the only composer before 1650 in MAESTRO, goes with the baroque, and so do the hymns of the
  Reformation.
- *Beethoven* is classical and *Schubert* romantic, as in the era classes of most of the literature
  on these data.
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
    """A composer with a control token.

    Attributes:
        id: the slug that names the composer in tokens, options and files.
        name: the full name, as MAESTRO spells it.
        era: the era of the composer.
        aliases: other spellings of the name.
        years: of birth and death, as "1685-1750"; empty where sources differ.
    """

    id: str
    name: str
    era: Era
    aliases: tuple[str, ...] = ()
    years: str = ""


_CATALOGUE = """
bach          baroque    1685-1750  Johann Sebastian Bach; Bach; J. S. Bach; Bach, Johann Sebastian
bartok        modern     1881-1945  Béla Bartók; Bartók
beethoven     classical  1770-1827  Ludwig van Beethoven; Beethoven; L. van Beethoven
bizet         romantic   1838-1875  Georges Bizet
brahms        romantic   1833-1897  Johannes Brahms; Brahms
chaminade     romantic   1857-1944  Cécile Chaminade
chopin        romantic   1810-1849  Frédéric Chopin; Chopin; Fryderyk Chopin
cornelius     romantic   1824-1874  Peter Cornelius
cpe-bach      classical  1714-1788  Carl Philipp Emanuel Bach; C. P. E. Bach; CPE Bach
czerny        romantic   1791-1857  Carl Czerny
debussy       modern     1862-1918  Claude Debussy; Debussy
faisst        romantic   1872-1948  Clara Mathilda Faisst; Clara Faisst
franz         romantic   1815-1892  Robert Franz
grieg         romantic   1843-1907  Edvard Grieg; Grieg
handel        baroque    1685-1759  George Frideric Handel; Handel; Georg Friedrich Händel
haydn         classical  1732-1809  Joseph Haydn; Haydn; Franz Joseph Haydn
hensel        romantic   1805-1847  Fanny Hensel; Fanny Mendelssohn; Fanny Mendelssohn Hensel
hertz         romantic   1844-1918  Michał Hertz
holmes        romantic   1847-1903  Augusta Holmès
jc-bach       classical  1735-1782  Johann Christian Bach; J. C. Bach; JC Bach
joplin        modern     1868-1917  Scott Joplin
joteyko       romantic   1872-1932  Tadeusz Joteyko
kinkel        romantic   1810-1858  Johanna Kinkel
kozeluh       classical  1747-1818  Leopold Koželuh; Leopold Kozeluch
lang          romantic   1815-1880  Josephine Lang
lehmann       romantic   1862-1918  Liza Lehmann
liszt         romantic   1811-1886  Franz Liszt; Liszt
lodwigowski   romantic   -          Edward Stefan Łodwigowski
medtner       romantic   1880-1951  Nikolai Medtner; Medtner
mendelssohn   romantic   1809-1847  Felix Mendelssohn; Mendelssohn; Felix Mendelssohn Bartholdy
moniuszko     romantic   1819-1872  Stanisław Moniuszko
mozart        classical  1756-1791  Wolfgang Amadeus Mozart; Mozart; W. A. Mozart
noskowski     romantic   1846-1909  Zygmunt Noskowski
paderewski    romantic   1860-1941  Ignacy Jan Paderewski; Ignacy Paderewski
rachmaninoff  romantic   1873-1943  Sergei Rachmaninoff; Rachmaninoff; Rachmaninov; Sergei Rachmaninov
reichardt     classical  1779-1826  Louise Reichardt; Luise Reichardt
rozycki       modern     1883-1953  Ludomir Różycki
satie         modern     1866-1925  Erik Satie
scarlatti     baroque    1685-1757  Domenico Scarlatti; Scarlatti
schroter      classical  1751-1802  Corona Schröter; Corona Schroeter
schubert      romantic   1797-1828  Franz Schubert; Schubert
schumann      romantic   1810-1856  Robert Schumann; Schumann
scriabin      romantic   1872-1915  Alexander Scriabin; Scriabin; Skryabin
smietanski    romantic   1845-1886  Emil Władysław Śmietański
sowinski      romantic   -          Wojciech Sowiński
stefani       romantic   1800-1876  Józef Stefani
stojowski     romantic   1870-1946  Zygmunt Stojowski
szymanowska   romantic   1789-1831  Maria Szymanowska
szymanowski   modern     1882-1937  Karol Szymanowski
tchaikovsky   romantic   1840-1893  Pyotr Ilyich Tchaikovsky; Tchaikovsky; Piotr Tchaikovsky; Peter Tchaikovsky
troschel      romantic   -          Wilhelm Troschel
verdi         romantic   1813-1901  Giuseppe Verdi
viardot       romantic   1821-1910  Pauline Viardot; Pauline Viardot-García
warlock       modern     1894-1930  Peter Warlock
wolf          romantic   1860-1903  Hugo Wolf
wysocki       romantic   -          Kasper Napoleon Wysocki
zelenski      romantic   1837-1921  Władysław Żeleński
"""  # noqa: E501
"""The composers with a control token: id, era, years of life ("-" where sources differ), full name,
and other spellings of the name."""


def _composers(table: str) -> tuple[Composer, ...]:
    """Read the rows of :data:`_CATALOGUE`."""
    found = []
    for line in table.strip().splitlines():
        slug, era, years, names = line.split(maxsplit=3)
        name, *aliases = names.split("; ")
        found.append(Composer(slug, name, ERAS[ERAS.index(era)], tuple(aliases), years.strip("-")))
    return tuple(found)


_COMPOSERS = _composers(_CATALOGUE)

COMPOSERS: tuple[str, ...] = tuple(composer.id for composer in _COMPOSERS)
"""The ids of all composers with a control token, in alphabetical order, without ``unknown``."""

_OTHERS: dict[Era, str] = {
    "baroque": """
        Jeremiah Clarke, François Couperin, Couperin, William Croft, Johann Crüger,
        Wolfgang Dachstein, Kornelius Heinrich Dretzel, Bartolomäus Gesius, Orlando Gibbons,
        Nikolaus Hermann, Johann Balthasar König, Martin Luther, Johann D. Meyer,
        Phillip Nicolai, Phillipp Nicolai, Johann Pachelbel, Michael Praetorius, Henry Purcell,
        Jean-Philippe Rameau, George Rhau, Johann Hermann Schein, Thomas Tallis,
        Melchior Vulpius, Johann Walter
    """,
    "classical": """
        Muzio Clementi, John Darwall, Johann Christian Fischer, Felice de Giardini, John Hatton,
        Oliver Holden, Jeremiah Ingalls, Meyer Lyon, Edward Miller, Antonio Soler, Samuel Webbe,
        Aaron Williams
    """,
    "romantic": """
        Leonard Woolsey Bacon, Isaac Albéniz, Mily Balakirev, Balakirev,
        William Sterndale Bennett, Philip Paul Bliss, William B. Bradbury, Ferruccio Busoni,
        John B. Calkin, Charles C. Converse, William H. Cummings, György Cziffra,
        William Howard Doane, John B. Dykes, John Bacchus Dykes, George J. Elvey,
        George Job Elvey, Alexander C. Ewing, Edwin Othello Excell, William Gustavus Fischer,
        César Franck, Charles Hutchinson Gabriel, Mikhail Glinka, Glinka, Leopold Godowsky,
        John Goss, Charles Gounod, Louisa Gray, Alfred Grünfeld, Vyacheslav Gryaznov,
        Thomas Hastings, Karl August Haupt, William Henry Havergal, Myra Hess,
        Vladimir Horowitz, George Crawford Hugg, John Pyke Hullah, Charles Lewis Hutchins,
        William J. Kirkpatrick, Conrad Kocher, Fritz Kreisler, Eduard Kremser, Fridrich Layriz,
        Ludvig M. Lindeman, Ludvig Mathias Lindeman, Robert Lowry, John M. MacFarlane,
        Frederick C. Maker, Lowell Mason, James McGranahan, Arthur H. Messiter, Lucy R. Meyer,
        William H. Monk, William Henry Monk, Moritz Moszkowski, Modest Mussorgsky,
        Asahel Nettleton, Józef Nowakowski, Henry K. Oliver, William Owen, Niccolò Paganini,
        Joseph Parry, Egon Petri, Mikhail Pletnev, Rowland H. Prichard, Lewis H. Redner,
        Nikolai Rimsky-Korsakov, John Roberts, Julius Röntgen, Camille Saint-Saëns,
        Ira D. Sankey, Ira David Sankey, Henry Smart, Henry Thomas Smart, John Stainer,
        Johann Strauss, Arthur Seymour Sullivan, James Lea Summers, John Bunnell Sumner,
        Will L. Thompson, Von Tucher, Richard Wagner, James G. Walton, Carl Maria von Weber,
        Samuel Sebastian Wesley, Frederick Westlake, Richard S. Willis,
        George Ratcliffe Woodward
    """,
    "modern": """
        George Bennard, Alban Berg, Luther B. Bridgers, Charles Winfred Douglas, George Enescu,
        David Evans, Percy Grainger, Gustav Theodore Holst, John Hughes, Leoš Janáček,
        Walter Stillman Martin, May Whittle Moody, Sydney H. Nicholson, Edgar Pettman,
        Maurice Ravel, Ravel, Jean Sibelius, Ralph Vaughan Williams, Healey Willan
    """,
}
"""Composers and arrangers without a control token, by era: those of sources whose tables state no
era, or the wrong one."""

CORRECTIONS: dict[str, str] = {
    # "Claude Debussy, Barcarolle, Op. 60"
    "2015/MIDI-Unprocessed_R1_D1-1-8_mid--AUDIO-from_mp3_02_R1_2015_wav--3.midi": (
        "Frédéric Chopin"
    ),
    # "Frédéric Chopin, Preludes, Book II, L 123, VI. Général Lavine - eccentric"
    "2015/MIDI-Unprocessed_R1_D1-1-8_mid--AUDIO-from_mp3_02_R1_2015_wav--5.midi": (
        "Claude Debussy"
    ),
    # "Domenico Scarlatti, Sonata in D Major, K. 576"
    "2009/MIDI-Unprocessed_02_R1_2009_01-02_ORIG_MID--AUDIO_02_R1_2009_02_R1_2009_01_WAV.midi": (
        "Wolfgang Amadeus Mozart"
    ),
    # "Frédéric Chopin, Variations and Fugue in E-flat Major, Op. 35, Eroica"
    "2009/MIDI-Unprocessed_07_R1_2009_01-03_ORIG_MID--AUDIO_07_R1_2009_07_R1_2009_02_WAV.midi": (
        "Ludwig van Beethoven"
    ),
    # "Frédéric Chopin, Nocturne in Db": the track after the real nocturne of the same recital; it
    # is Islamey
    "2006/MIDI-Unprocessed_19_R1_2006_01-07_ORIG_MID--AUDIO_19_R1_2006_07_Track07_wav.midi": (
        "Mily Balakirev"
    ),
}
"""The true composers of recordings that MAESTRO v3.0.0 ascribes to another, by MIDI file.

Each recording shares from 0.13 to 0.9 of its 12-note n-grams with other performances and with
scores of the piece that it really is.
"""

_LETTERS = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "ss", "æ": "ae", "Æ": "Ae"})
"""Letters that aren't another letter with an accent."""


def normal(label: str) -> str:
    """Strip accents, case and punctuation from a label.

    "Béla  Bartók" and "bela-bartok" become the same.
    """
    plain = unicodedata.normalize("NFKD", label.translate(_LETTERS))
    plain = plain.encode("ascii", "ignore").decode().lower()
    return " ".join(re.findall(r"[a-z0-9]+", plain))


_BY_ID = {composer.id: composer for composer in _COMPOSERS}
_BY_LABEL = {
    normal(label): composer
    for composer in _COMPOSERS
    for label in (composer.id, composer.name, *composer.aliases)
}
_OTHER_ERAS: dict[str, Era] = {
    normal(name): era for era, names in _OTHERS.items() for name in names.split(",")
}


def composer_id(label: str) -> str:
    """Return the id of the composer that a label of any source names.

    The label is a full name, a surname or an id, in any case, with accents or without.

    >>> composer_id("Frédéric Chopin"), composer_id("Bach")
    ('chopin', 'bach')
    >>> composer_id("Franz Schubert / Franz Liszt")
    'unknown'
    """
    composer = _BY_LABEL.get(normal(label)) if "/" not in label else None
    return composer.id if composer else UNKNOWN


def era_of(label: str) -> Era:
    """Return the era of the composer that a label of any source, or an id, names.

    The era of an arrangement is that of the arranger, the last name.

    >>> era_of("Johann Sebastian Bach"), era_of("Johann Sebastian Bach / Ferruccio Busoni")
    ('baroque', 'romantic')
    >>> era_of("nobody")
    'unknown'
    """
    name = normal(label.rsplit("/", 1)[-1])
    composer = _BY_LABEL.get(name)
    return composer.era if composer else _OTHER_ERAS.get(name, "unknown")


BORN_BEFORE: dict[Era, int] = {"baroque": 1710, "classical": 1775, "romantic": 1860, "modern": 9999}
"""The eras by year of birth: an era's composers were born before its year, but not before the
previous era's."""
LIVED = 60
"""Years between birth and death, assumed where only the year of death is known."""


def era_of_years(era: str, born: str = "", died: str = "") -> Era:
    """Return the era of a composer by the columns of a source's table.

    That is the era that the table states, else that of the year of birth. A stated era isn't
    believed where the years are impossible: it was derived from them.

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
    """Return the full name that people read for a composer's id.

    Raises:
        KeyError: where the id is neither in ``COMPOSERS`` nor ``unknown``.
    """
    return "unknown composer" if composer == UNKNOWN else _BY_ID[composer].name


def years_of(composer: str) -> str:
    """Return the years of a composer's life by id, as "1685-1750", "" if unknown.

    Raises:
        KeyError: where the id is not in ``COMPOSERS``.
    """
    return _BY_ID[composer].years


def corrected_label(label: str, file: str) -> str:
    """Return the label of a MAESTRO file (year/name.midi), corrected where wrong.

    See :data:`CORRECTIONS`.
    """
    return CORRECTIONS.get(file, label)
