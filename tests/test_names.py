"""Test names of parts, such as the melody's in thirty languages.

They also come in the encodings of files from before Unicode.
"""

from __future__ import annotations

import pytest

from styletransfer.music.part_names import decoded, rank

MELODIES = """Melody|MELODY 1|Main melody|Mélodie|Melodie|Melodia|Melodía|Melodi
|Melodija|Meloodia|Melodija 2|Мелодия|Мелодія
|Μελωδία|メロディ|メロディー|主旋律|멜로디|선율|לחן|لحن|ملودی|ทำนอง|Giai điệu|धुन|Dallam|Ezgi"""
VOICES = """Vocal
|Vocals 1|Lead Vocal|Lead|Singer|Gesang|Singstimme|Sång|Sang|Chant|Canto|Voce|Voz
|Voix|Stem|Zang|Zangstem|Laulu
|Laul|Ének|Zpěv|Spev|Śpiew|Głos|Вокал|Голос|Спів|Pjevanje
|Petje|Glas|Söngur|Dziesma vokāls|Vokal|ŞARKI|Φωνή
|Vocalist|Gesangsstimme|Hlas|Veu|Глас|Giọng|آواز|Sangstemme|Énekhang|Ses|Τραγούδι|ボーカル|歌|人声|보컬|노래
|שירה|קול|غناء|เสียงร้อง|Suara|Soprano|Sopran I|Сопрано|ソプラノ|Voice|Solo|Stimme"""
OTHERS = """Piano|Strings|Bass|Lead Guitar
|Lead gtr.|Backing Vocals|Background Voc|Harmony Vocal|Choir Aahs|Chor|Coro|Synth Lead|Oboe
|Steel Drums|Hi-Hat|Гитара|Фортепиано|コーラス|伴奏|Begleitung|Accompaniment|Voice 2|Pad|Track 3|"""


def listed(text: str) -> list[str]:
    return [name for line in text.splitlines() for name in line.strip("|").split("|")]


@pytest.mark.parametrize("name", listed(MELODIES))
def test_melodies(name: str) -> None:
    assert rank(name) == 0
    assert rank(name.upper()) == 0


@pytest.mark.parametrize("name", listed(VOICES))
def test_voices(name: str) -> None:
    assert rank(name) in {1, 2, 3}


@pytest.mark.parametrize("name", listed(OTHERS))
def test_others(name: str) -> None:
    assert rank(name) is None


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("メロディ", "shift_jis"),
        ("ボーカル", "shift_jis"),
        ("主旋律", "gb18030"),
        ("主旋律", "big5"),
        ("멜로디", "euc_kr"),
        ("Вокал", "cp1251"),
        ("Голос", "cp1251"),
        ("Φωνή", "cp1253"),
        ("Śpiew", "cp1250"),
        ("Zpěv", "cp1250"),
        ("Mélodie", "latin-1"),
        ("Sång", "latin-1"),
        ("Flöte", "latin-1"),
        ("Mélodie", "utf-8"),
    ],
)
def test_old_encodings(name: str, encoding: str) -> None:
    assert decoded(name.encode(encoding)) == name


def test_any_bytes_are_some_name() -> None:
    assert decoded(b"") == ""
    assert len(decoded(bytes(range(128, 256)))) > 0
