"""Test composers and eras: spellings, arrangements, and their control tokens."""

import pytest

from styletransfer.music.composers import (
    COMPOSERS,
    CORRECTIONS,
    ERAS,
    UNKNOWN,
    composer_id,
    corrected_label,
    display_name,
    era_of,
    years_of,
)
from styletransfer.tokens import controls


@pytest.mark.parametrize(
    ("label", "composer", "era"),
    [
        ("Johann Sebastian Bach", "bach", "baroque"),
        ("Bach", "bach", "baroque"),
        ("Carl Philipp Emanuel Bach", "cpe-bach", "classical"),
        ("C.P.E. Bach", "cpe-bach", "classical"),
        ("Frédéric Chopin", "chopin", "romantic"),
        ("FREDERIC CHOPIN", "chopin", "romantic"),
        ("Béla Bartók", "bartok", "modern"),
        ("Rachmaninov", "rachmaninoff", "romantic"),
        ("scarlatti", "scarlatti", "baroque"),
        ("George Frideric Handel", "handel", "baroque"),
        ("Władysław Żeleński", "zelenski", "romantic"),
        ("Wladyslaw Zelenski", "zelenski", "romantic"),
        ("J. C. Bach", "jc-bach", "classical"),
        ("Jean-Philippe Rameau", UNKNOWN, "baroque"),
        ("Anonymous / Michael Praetorius", UNKNOWN, "baroque"),
        ("Maurice Ravel", UNKNOWN, "modern"),
        ("Balakirev", UNKNOWN, "romantic"),
        ("Franz Schubert / Franz Liszt", UNKNOWN, "romantic"),
        ("Johann Sebastian Bach / Ferruccio Busoni", UNKNOWN, "romantic"),
        ("Johann Christian Fischer / Wolfgang Amadeus Mozart", UNKNOWN, "classical"),
        ("Nobody", UNKNOWN, UNKNOWN),
        ("", UNKNOWN, UNKNOWN),
    ],
)
def test_labels(label: str, composer: str, era: str) -> None:
    assert composer_id(label) == composer
    assert era_of(label) == era


def test_every_id_has_a_name_and_an_era_and_is_its_own_label() -> None:
    for composer in COMPOSERS:
        assert composer_id(composer) == composer
        assert composer_id(display_name(composer)) == composer
        assert era_of(composer) in ERAS[:-1]
    assert list(COMPOSERS) == sorted(set(COMPOSERS))
    with pytest.raises(KeyError):
        display_name("nobody")


def test_the_catalogue_is_the_one_of_the_control_tokens() -> None:
    """A composer without a token would stop training hours after the data were prepared."""
    assert (
        tuple(sorted(controls.COMPOSERS)) == COMPOSERS
    )  # those that came later are the last tokens
    assert (*controls.ERAS, controls.UNKNOWN) == ERAS
    assert {composer: era_of(composer) for composer in COMPOSERS} == controls.COMPOSER_ERAS


def test_wrong_labels_of_maestro_are_mended_by_file_not_by_title() -> None:
    """Two tracks of one recital are called Chopin's Nocturne in Db; one of them is Balakirev's
    Islamey.
    """
    stem = "2006/MIDI-Unprocessed_19_R1_2006_01-07_ORIG_MID--AUDIO_19_R1_2006_{}_wav.midi"
    assert corrected_label("Frédéric Chopin", stem.format("06_Track06")) == "Frédéric Chopin"
    assert corrected_label("Frédéric Chopin", stem.format("07_Track07")) == "Mily Balakirev"
    assert all(era_of(label) != UNKNOWN for label in CORRECTIONS.values())


def test_a_composer_lived_before_now_and_in_order() -> None:
    """The sources differ on four of them."""
    known = [years_of(composer) for composer in COMPOSERS if years_of(composer)]
    assert len(known) == len(COMPOSERS) - 4
    for years in known:
        born, died = (int(year) for year in years.split("-"))
        assert 1650 < born < born + 30 < died < 1960
    assert years_of("bach") == "1685-1750"
