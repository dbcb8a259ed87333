"""Names of parts: those of melodies and singers in many languages.

Old files have them in many encodings.
"""

from __future__ import annotations

import re
import unicodedata

_ENCODINGS = ("shift_jis", "gb18030", "big5", "euc_kr", "cp1251", "cp1253", "cp1250", "cp1252")
"""Tried in this order where a name is not UTF-8; an encoding in which it names a melody comes
first."""

_UNDIVIDED = str.maketrans("łøđ\u0131", "lodi")
"""Letters that Unicode doesn't separate from their strokes and dots."""


def plain(name: str) -> str:
    """Return a name in lower-case letters and without accents."""
    spread = unicodedata.normalize("NFKD", name.casefold().translate(_UNDIVIDED))
    return unicodedata.normalize(
        "NFC", "".join(c for c in spread if unicodedata.category(c) != "Mn" or c > "\u0e00")
    )


def _any(words: str, parts: str = "") -> re.Pattern[str]:
    """Return a pattern for whole words, and for parts of words.

    Parts are for scripts that don't separate words.
    """
    whole = "|".join(plain(words).split())
    return re.compile(
        rf"(?<![^\W\d_])(?:{whole})(?![^\W\d_])"
        + (f"|{'|'.join(plain(parts).split())}" if parts else "")
    )


MELODY_NAMES = (
    _any(
        "tune cantus dallam ezgi savelma napev lagu giai\\s*dieu",
        "melod meloodia мелод напев μελωδ メロ 旋律 멜로디 선율 לחן מנגינה لحن ملودی ทำนอง धुन",
    ),
    _any(
        "vocal[a-z]* vokal[a-z]* vokaal[a-z]* vocais vox leads? leadsang sing singer singing "
        "sings sang sanger sangstemme sangerin solosang cant chant chanteur chanteuse canto "
        "cantante cantor zang zangstem zanger laulu laul laulaja enek zpev spev spiew pevec "
        "pjevanje petje pevanje dainavimas dziedasana songur cantec voce vocea suara nyanyian "
        "sarki enekhang solist solista soliste",
        "gesang singstim sangstem вокал спів пение певец певица солист песня τραγουδ "
        "ボーカル ヴォーカル 歌 うた 唱 人声 人聲 보컬 노래 שירה غناء آواز ร้อง गायन स्वर",
    ),
    _any("descant discant", "sopran sopraan сопран σοπραν ソプラノ 女高音 소프라노 סופרן"),
    _any(
        "voices? voix voz voces voci stimme stem stemme rodd rost glas hlas glos veu giong ses "
        "balss balsas solo aani haal seslendirme",
        "голос глас φων 声 聲 목소리 קול صوت เสียง",
    ),
)
"""Names of melodies, the surest first; names are compared by :func:`plain`."""
NOT_MELODY_NAMES = _any(
    "bbgv? bgv bbv choir chor chore choeur coro coros kor kuoro chorus pads? bass "
    "(?:voice|stimme|voix)\\s?[2-9] [oa]+hs? lead\\s*(?:guitar|gtr|git|gt) solo\\s*(?:guitar|gtr)",
    "backing background backup back(?=\\s|$) bkg harmon accomp acomp begleit akkomp synth "
    "хор\\b コーラス 伴奏 和声 合唱 코러스",  # noqa: RUF001
)
RIGHT_HAND_NAMES = _any(
    "right r\\.?\\s?h rechte droite destra derecha treble upper dx", "правая 右手 오른손"
)
LEFT_HAND_NAMES = _any(
    "left l\\.?\\s?h linke gauche sinistra izquierda lower sx", "левая 左手 왼손"
)
KEYBOARD_NAMES = _any(
    "keys? keyboards? cembalo clavecin clavicembalo epiano e\\.?\\s?piano rhodes celesta",
    "piano klavi clavi organ orgue orgel harpsichord fortepian пиано фортепиано орган "
    "ピアノ オルガン 钢琴 鋼琴 피아노",
)


def rank(name: str) -> int | None:
    """Return how surely a part of that name is the melody, 0 for the surest.

    None where the name doesn't say so.
    """
    text = plain(name)
    if NOT_MELODY_NAMES.search(text):
        return None
    return next((k for k, pattern in enumerate(MELODY_NAMES) if pattern.search(text)), None)


def decoded(name: bytes) -> str:
    """Decode a name from a MIDI file, which doesn't state its encoding."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        pass
    readings = []
    for encoding in _ENCODINGS:
        try:
            readings.append(name.decode(encoding))
        except UnicodeDecodeError:
            continue
    if not readings:
        return name.decode("latin-1")
    high = sum(byte > 127 for byte in name)
    likely = readings[-1] if 3 * high <= len(name) else readings[0]
    return next((text for text in readings if rank(text) is not None), likely)
