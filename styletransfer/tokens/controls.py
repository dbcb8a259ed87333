"""Control tokens: what the model is given before the music.

A vocabulary is saved with its model, which keeps its order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from styletransfer.music.qualities import QUALITIES

if TYPE_CHECKING:
    from styletransfer.music.notes import Feel

ERAS = ("baroque", "classical", "romantic", "modern")
COMPOSERS = (
    "bach",
    "bartok",
    "beethoven",
    "brahms",
    "chopin",
    "cpe-bach",
    "debussy",
    "grieg",
    "haydn",
    "liszt",
    "medtner",
    "mendelssohn",
    "mozart",
    "rachmaninoff",
    "scarlatti",
    "schubert",
    "schumann",
    "scriabin",
    "tchaikovsky",
    # since 0.2
    "bizet",
    "chaminade",
    "cornelius",
    "czerny",
    "faisst",
    "franz",
    "handel",
    "hensel",
    "hertz",
    "holmes",
    "jc-bach",
    "joplin",
    "joteyko",
    "kinkel",
    "kozeluh",
    "lang",
    "lehmann",
    "lodwigowski",
    "moniuszko",
    "noskowski",
    "paderewski",
    "reichardt",
    "rozycki",
    "satie",
    "schroter",
    "smietanski",
    "sowinski",
    "stefani",
    "stojowski",
    "szymanowska",
    "szymanowski",
    "troschel",
    "verdi",
    "viardot",
    "warlock",
    "wolf",
    "wysocki",
    "zelenski",
)
COMPOSER_ERAS = dict.fromkeys(COMPOSERS, "romantic") | {
    "bach": "baroque",
    "scarlatti": "baroque",
    "cpe-bach": "classical",
    "haydn": "classical",
    "mozart": "classical",
    "beethoven": "classical",
    "bartok": "modern",
    "debussy": "modern",
    "handel": "baroque",
    "jc-bach": "classical",
    "joplin": "modern",
    "kozeluh": "classical",
    "reichardt": "classical",
    "rozycki": "modern",
    "satie": "modern",
    "schroter": "classical",
    "szymanowski": "modern",
    "warlock": "modern",
}
RESERVED_SLOTS = 16
UNKNOWN = "unknown"

TEMPO_BOUNDS = (60, 80, 100, 120, 144, 999)
"""Upper bounds of the tempo classes of scores, in quarters per minute; roughly adagio, andante,
moderato, allegretto, allegro, presto."""

METRES = (
    "2/4",
    "3/4",
    "4/4",
    "6/8",
    "3/8",
    "2/2",
    "9/8",
    "12/8",
    "6/4",
    "3/2",
    "5/4",
    "other",
    "free",
)
"""The metres that have a BAR token of their own; all others share BAR_other. A performance has bars
of two seconds, BAR_free."""

KEYS = tuple(
    f"{tonic}-{mode}"
    for mode, tonics in (
        ("major", ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")),
        ("minor", ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")),
    )
    for tonic in tonics
)
"""Keys by their tonic, sharp or flat as their signature is (the names of
:class:`styletransfer.music.key.Key`)."""

MELODY = "MELODY"
FINAL = "FINAL"
PLAN = "PLAN"
FIGURE = "FIGURE"

TUNES = ("part", "texture")
"""What the tune is: a part of its own (sung, or played by another), above which the piano may go,
or the top of the texture."""

CHORDS = (*(f"CHORD_{root}:{quality}" for root in range(12) for quality in QUALITIES), "CHORD_none")
"""The chords of a plan by root, a pitch class (0 is C), and quality."""
BASSES = (*(f"BASS_{bass}" for bass in range(12)), "BASS_none")
"""The basses of a plan's chords: pitch classes."""

REFERENCES = ("REF_0", "REF_1", "REF_2", "REF_3", "REF_4", "REF_figure")
"""Which bar a bar's accompaniment follows: this many bars back, the figure at the head of the
sequence, or none (0)."""
FARTHEST = 4
"""The most bars back that a reference may lie."""

PLAIN_TOKENS = (
    "PAD",
    "BOS",
    "EOS",
    MELODY,
    FINAL,
    "FEEL_performance",
    "FEEL_score",
    *(f"TEMPO_{bound}" for bound in TEMPO_BOUNDS),
    *(f"BAR_{metre}" for metre in METRES),
    *(f"ERA_{era}" for era in (*ERAS, UNKNOWN)),
    *(f"COMPOSER_{composer}" for composer in (*COMPOSERS, UNKNOWN)),
    *(f"COMPOSER_reserved-{slot}" for slot in range(RESERVED_SLOTS)),
    *(f"KEY_{key}" for key in (*KEYS, UNKNOWN)),
)
"""The special tokens of a plain MidiTok tokenizer."""

SPECIAL_TOKENS = (
    *PLAIN_TOKENS,
    PLAN,
    FIGURE,
    *(f"TUNE_{tune}" for tune in TUNES),
    *CHORDS,
    *BASSES,
    *REFERENCES,
)
"""The special tokens of the default tokenizer."""


@dataclass(frozen=True)
class Controls:
    """What a sequence begins with.

    Attributes:
        feel: whether it is a score or a performance.
        era: the era.
        composer: the composer, or a reserved slot's name.
        quarters_per_minute: the tempo, which only scores have.
        key: the key of the melody to come.
        tune: what the tune of a score is, one of :data:`TUNES`; "" leaves it out, as models without
            plans know nothing of it.
    """

    feel: Feel
    era: str = UNKNOWN
    composer: str = UNKNOWN
    quarters_per_minute: float = 100.0
    key: str = UNKNOWN
    tune: str = ""

    def tokens(self) -> list[str]:
        """Return the names of the tokens in their fixed order.

        The order is ``BOS feel [tempo] key era composer [tune]``.
        """
        tempo = next(
            bound
            for bound in TEMPO_BOUNDS
            if self.quarters_per_minute <= bound or bound == TEMPO_BOUNDS[-1]
        )
        names = ["BOS", f"FEEL_{self.feel}"]
        if self.feel == "score":
            names.append(f"TEMPO_{tempo}")
        names += [f"KEY_{self.key}", f"ERA_{self.era}", f"COMPOSER_{self.composer}"]
        return [*names, f"TUNE_{self.tune}"] if self.tune else names

    def without_style(self) -> Controls:
        """Return the same controls with neither era nor composer: the base's own taste."""
        return replace(self, era=UNKNOWN, composer=UNKNOWN)


def metre_token(numerator: int, denominator: int) -> str:
    """Return the BAR token of a metre."""
    name = f"{numerator}/{denominator}"
    return f"BAR_{name if name in METRES else 'other'}"


def metre_of_token(token: str) -> tuple[int, int] | None:
    """Return the metre of a BAR token; None of ``BAR_other`` and ``BAR_free``."""
    top, _, bottom = token.removeprefix("BAR_").partition("/")
    return (int(top), int(bottom)) if bottom else None
