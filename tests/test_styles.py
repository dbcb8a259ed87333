"""Test styles: which there are, where they are stored, their names and blends.

A broken one is tested, too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from styletransfer import folders
from styletransfer.errors import InputError
from styletransfer.styles.blend import named, parse_style, shown
from styletransfer.styles.card import CARD, CONFIG, WEIGHTS, Card
from styletransfer.styles.find import all_styles, check_name, find_style, left_out, style_at
from styletransfer.tokens.controls import COMPOSERS, ERAS, Controls
from tests.style_folders import GOOD, adapter, empty_place, sentence

BASE = [*sorted(COMPOSERS), *sorted(ERAS)]
REAL_SHIPPED = folders.shipped


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return empty_place(tmp_path, monkeypatch)


def names() -> list[str]:
    return [style.name for style in all_styles()]


def changed(**changes: Any) -> bytes:
    """Write a card with other values, or without those that are None here."""
    data = {
        key: value
        for key, value in (asdict(GOOD) | changes).items()
        if key not in changes or value is not None
    }
    return json.dumps(data).encode()


# which there are


def test_the_base_knows_composers_and_eras() -> None:
    assert names() == BASE
    assert {style.path for style in all_styles()} == {None}
    assert find_style("bach").controls("performance") == Controls("performance", "baroque", "bach")
    assert find_style("modern").controls("score", 70) == Controls("score", "modern", "unknown", 70)


def test_the_package_and_all_its_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "shipped", REAL_SHIPPED)
    assert REAL_SHIPPED().parent == Path(folders.__file__).parent / "assets"
    found = {style.name: style for style in all_styles()}
    assert set(found) >= {*COMPOSERS, *ERAS}
    names = [
        path.name
        for path in REAL_SHIPPED().glob("*")
        if path.is_dir() and not path.name.startswith((".", "_"))
    ]
    assert {name: found[name].path for name in names} == {
        name: REAL_SHIPPED() / name for name in names
    }
    for composer in COMPOSERS:
        assert (found[composer].kind, found[composer].composer) == ("composer", composer)


def test_shipped_ones_come_first_then_the_users_by_name(tmp_path: Path) -> None:
    adapter(tmp_path / "home/styles/waltzes")
    airs = adapter(tmp_path / "home/styles/airs", replace(GOOD, kind="composer"))
    ragtime = adapter(tmp_path / "shipped/ragtime", replace(GOOD, kind="other"))
    chopin = adapter(tmp_path / "shipped/chopin", replace(GOOD, kind="composer", composer="chopin"))
    assert names() == [*BASE, "ragtime", "airs", "waltzes"]
    assert [(style.kind, style.path) for style in all_styles()[-3:-1]] == [
        ("other", ragtime),
        ("user", airs),
    ]
    assert (find_style("chopin").path, find_style("bach").path) == (chopin, None)


def test_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = adapter(tmp_path / "home/styles/mine")
    style = find_style("mine")
    assert (style.name, style.kind, style.path, style.card) == ("mine", "user", folder, GOOD)
    assert style.controls("performance").tokens()[-2:] == ["ERA_romantic", "COMPOSER_reserved-3"]
    monkeypatch.setenv("STYLETRANSFER_HOME", str(tmp_path / "elsewhere"))
    assert "mine" not in names()
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    adapter(tmp_path / ".local/share/styletransfer/styles/theirs")
    for value in ("", None):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv(
            "STYLETRANSFER_HOME", value
        ) if value is not None else monkeypatch.delenv("STYLETRANSFER_HOME")
        assert names()[-1] == "theirs"


def test_a_users_style_never_takes_a_shipped_ones_place(tmp_path: Path) -> None:
    adapter(tmp_path / "home/styles/bach")
    assert find_style("bach").path is None
    assert names().count("bach") == 1
    [problem] = left_out()
    assert str(tmp_path / "home/styles/bach") in problem
    assert "comes with the package" in problem


@pytest.mark.parametrize(
    "name", [".half-written", "Upper", "a,b", "a:1", "a b", "é", "-x", "a" * 65]
)
def test_folders_without_a_plain_name_are_not_listed(name: str, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "home/styles" / name)
    adapter(tmp_path / "home/styles/plain")
    assert names()[-2:] == ["romantic", "plain"]
    assert left_out() == []
    with pytest.raises(InputError, match="there is no such style"):
        find_style(name)
    assert style_at(folder).card == GOOD


# names


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("bahc", "bach"),
        ("Clara Schumann", "schumann"),
        ("chpin", "chopin"),
        ("noctrnes", "nocturnes"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(name: str, near: str, tmp_path: Path) -> None:
    adapter(tmp_path / "home/styles/nocturnes")
    with pytest.raises(InputError) as error:
        find_style(name)
    said = sentence(error)
    assert said.startswith(f"{name}: there is no such style; did you mean {near}")
    assert said.endswith("? `styletransfer styles` lists all 62.")
    assert len(said) < 160


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("Bach", "bach"),
        ("J.S. Bach", "bach"),
        ("JS Bach", "bach"),
        ("johann sebastian bach", "bach"),
        ("Bach, Johann Sebastian", "bach"),
        ("Joh. Seb. Bach", "bach"),
        ("C.P.E. Bach", "cpe-bach"),
        ("cpe_bach", "cpe-bach"),
        ("CHOPIN", "chopin"),
        ("Frederic Chopin", "chopin"),
        ("F. Chopin", "chopin"),
        ("rachmaninov", "rachmaninoff"),
        ("Händel", "handel"),
        ("the Romantic era", "romantic"),
        ("Bach's chorales", "chorales"),
        ("My Nocturnes", "my-nocturnes"),
    ],
)
def test_any_name_that_people_use(
    asked: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "shipped", lambda: tmp_path / "ships")
    adapter(tmp_path / "ships/chorales", replace(GOOD, kind="other"))
    adapter(tmp_path / "home/styles/my-nocturnes")
    assert find_style(asked).name == name
    assert named(f"{asked}:2" if "," not in asked else asked).partition(":")[0] == name


def test_blends_as_people_write_them() -> None:
    assert shown("bach:0.7,chopin:0.3") == "J. S. Bach (70 %) and Frédéric Chopin (30 %)"
    assert shown("J.S. Bach, Chopin") == "J. S. Bach and Frédéric Chopin"
    assert (
        shown("grieg:2,romantic,mine") == "Edvard Grieg (50 %), the Romantic era (25 %) and “mine”"
        " (25 %)"
    )
    assert named("J.S. Bach:0.7, Chopin:0.3") == "bach:0.7,chopin:0.3"


@pytest.mark.parametrize(
    "name",
    ["xyzzy", "", ".", "..", "nul\0", "x" * 5000, "/no/such/folder", "a/b/c", "../xyz", "a/.."],
)
def test_a_name_of_nothing(name: str) -> None:
    with pytest.raises(InputError) as error:
        find_style(name)
    assert ": there is no such style. `styletransfer styles` lists all " in sentence(error)


def test_a_folder_is_a_name_too(tmp_path: Path, here: Path) -> None:
    folder = adapter(here / "runs/mine", replace(GOOD, name="another", kind="other"))
    for name in ("runs/mine", "./runs/mine/", str(folder), "runs/../runs/mine"):
        style = find_style(name)
        assert (style.name, style.kind, style.path, style.card and style.card.name) == (
            "mine",
            "other",
            folder,
            "another",
        )
    (here / "link").symlink_to(folder)
    assert (find_style("link").name, find_style("./link").path) == ("link", here / "link")
    adapter(here / "bach")
    assert (find_style("bach").path, find_style("./bach").path) == (None, here / "bach")


def test_names_do_not_lead_out_of_the_styles(tmp_path: Path) -> None:
    """A path is relative to the current folder, as elsewhere in a shell, never to the folder of
    styles.
    """
    adapter(tmp_path / "outside")
    adapter(tmp_path / "home/outside")
    (tmp_path / "home/styles").mkdir()
    (tmp_path / "shipped").mkdir()
    assert find_style("../outside").path == tmp_path / "outside"
    with pytest.raises(InputError, match="no such style"):
        find_style("../../outside")
    with pytest.raises(InputError, match="no such style"):
        find_style("../styles/outside")


def test_a_folder_that_is_no_style(tmp_path: Path, here: Path) -> None:
    (here / "runs/empty").mkdir(parents=True)
    with pytest.raises(
        InputError, match=r"runs/empty: not a style's folder; it needs style\.json, adapter_model"
    ) as error:
        find_style("runs/empty")
    sentence(error)
    for missing in (WEIGHTS, CONFIG):
        folder = adapter(here / f"without-{missing}")
        (folder / missing).unlink()
        with pytest.raises(InputError, match=f"not a style's folder; .*{missing}"):
            find_style(folder.name)
    (here / "bahc").mkdir()
    with pytest.raises(InputError, match="did you mean bach"):
        find_style("bahc")


@pytest.mark.parametrize("name", ["a", "nocturnes", "my-style_2.1", "0", "a..b", "a" * 64])
def test_names_for_new_styles(name: str, tmp_path: Path) -> None:
    check_name(name)
    adapter(tmp_path / "home/styles" / name)
    check_name(name)
    assert find_style(name).path == tmp_path / "home/styles" / name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/tmp/x",
        ".x",
        "-x",
        "Bach",
        "a b",
        "a:1",
        "a,b",
        "a\n",
        "a" * 65,
    ],
)
def test_names_that_new_styles_may_not_have(name: str) -> None:
    with pytest.raises(InputError, match=r"(?s)--name .*lower-case letters"):
        check_name(name)


def test_names_that_are_taken(tmp_path: Path) -> None:
    adapter(tmp_path / "shipped/ragtime", replace(GOOD, kind="other"))
    adapter(tmp_path / "shipped/damaged", b"{}")
    for name in ("bach", "cpe-bach", "baroque", "ragtime", "damaged"):
        with pytest.raises(
            InputError, match=f"--name {name}: a style of that name comes with the package"
        ):
            check_name(name)


# cards

BROKEN = {
    "text": (b"Dear diary", "Expecting value"),
    "empty": (b"", "Expecting value"),
    "list": (b"[1]", "no JSON object"),
    "binary": (b"\xff\xfe\x00", "can't decode"),
    "deep": (b"[" * 200_000, "nested too deep"),
    "object": (
        b"{}",
        "it lacks name, kind, era, composer, base, tokenizer_hash, pieces, minutes, notes",
    ),
    "no-era": (changed(era=None), "it lacks era"),
    "kind": (changed(kind="genre"), "kind is 'genre'"),
    "kinds": (changed(kind=["user"]), "kind is "),
    "era": (changed(era="gothic"), "era is 'gothic'"),
    "no-text": (changed(era=1), "(it can't be that era is 1)"),
    "composer": (changed(composer="salieri"), "composer is 'salieri'"),
    "slot": (changed(composer="reserved-16"), "composer is 'reserved-16'"),
    "token": (changed(composer="unknown\nx"), "composer is 'unknown\\nx'"),
    "both": (changed(era="gothic", composer="x"), "era is 'gothic' and composer is 'x'"),
    "pieces": (changed(pieces="12"), "pieces is '12'"),
    "half": (changed(pieces=1.5), "pieces is 1.5"),
    "negative": (changed(notes=-1), "notes is -1"),
    "truth": (changed(steps=True), "steps is True"),
    "minutes": (changed(minutes=float("nan")), "NaN is not a number"),
    "endless": (changed(minutes=10**400), "too large a number"),
    "bits": (changed(style_bits=float("inf")), "Infinity is not a number"),
    "licence": (changed(licence=["MIT"]), "licence is "),
    "base": (changed(base={"a": 1}), "base is "),
}


@pytest.mark.parametrize("name", [item.name for item in fields(Card)])
def test_every_field_of_a_card_is_checked(name: str) -> None:
    with pytest.raises(ValueError, match=f"it can't be that {name} is <object"):
        replace(GOOD, **{name: object()})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_card_breaks_nothing_else(name: str, tmp_path: Path) -> None:
    data, words = BROKEN[name]
    folder = adapter(tmp_path / "home/styles" / name, data)
    adapter(tmp_path / "home/styles/whole")
    assert names() == [*BASE, "whole"]
    assert find_style("whole").card == GOOD
    assert [style.name for style, _ in parse_style("bach,whole")] == ["bach", "whole"]
    for asked in (name, str(folder)):
        with pytest.raises(InputError) as error:
            find_style(asked)
        assert sentence(error).startswith(f"{folder / CARD}: the card can't be read (")
        assert words in str(error.value)
        assert len(str(error.value)) < 400
    assert left_out() == [str(error.value)]


def test_a_damaged_shipped_style_is_not_replaced_in_silence(tmp_path: Path) -> None:
    adapter(tmp_path / "shipped/bach", b"{}")
    assert names() == BASE
    assert find_style("chopin").name == "chopin"
    with pytest.raises(InputError, match="the card can't be read"):
        find_style("bach")


def test_an_unreadable_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter(tmp_path / "home/styles/locked")

    def refuse(self: Path, *arguments: Any, **options: Any) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert names()[-1] == "romantic"
    with pytest.raises(InputError, match="Permission denied"):
        find_style("locked")


@pytest.mark.parametrize("composer", ["unknown", "bach", "cpe-bach", "reserved-0", "reserved-15"])
@pytest.mark.parametrize("era", [*ERAS, "unknown"])
def test_cards_are_read_as_they_were_written(era: str, composer: str, tmp_path: Path) -> None:
    card = replace(
        GOOD,
        era=era,
        composer=composer,
        base_bits=None,
        minutes=3,
        data="Études",
        touch={"pedal": 0.5},
    )
    style = style_at(adapter(tmp_path / "x", card))
    assert style.card == card
    assert (style.era, style.composer) == (era, composer)
    assert hash(style) == hash(replace(style))


def test_fields_of_later_versions_are_passed_over(tmp_path: Path) -> None:
    assert style_at(adapter(tmp_path / "x", changed(mood="sad"))).card == GOOD


def test_a_wrong_card_is_never_made() -> None:
    with pytest.raises(ValueError, match="era is 'gothic'"):
        replace(GOOD, era="gothic")
    for touch in (
        {"pedal": 1.1},
        {"melody": -1},
        {"spread": "wide"},
        {"mood": 3},
        {"spread": float("nan")},
    ):
        with pytest.raises(ValueError, match="touch is"):
            replace(GOOD, touch=touch)  # type: ignore[arg-type]


def test_gain() -> None:
    assert GOOD.gain == 1.25
    assert replace(GOOD, style_bits=13.0).gain == -0.5
    assert replace(GOOD, base_bits=None).gain is replace(GOOD, style_bits=None).gain is None


# blends


@pytest.mark.parametrize(
    ("text", "blend"),
    [
        ("bach", {"bach": 1}),
        ("bach:7", {"bach": 1}),
        ("bach:0.7,chopin:0.3", {"bach": 0.7, "chopin": 0.3}),
        (" bach : 3 ,, chopin : 1, ", {"bach": 0.75, "chopin": 0.25}),
        ("bach,chopin", {"bach": 0.5, "chopin": 0.5}),
        ("bach,romantic:2,debussy", {"bach": 0.25, "romantic": 0.5, "debussy": 0.25}),
        ("bach:1e-3,liszt:1000", {"bach": 1e-6, "liszt": 1}),
        ("bach,mine:3", {"bach": 0.25, "mine": 0.75}),
        ("bach,runs/v1:2:3", {"bach": 0.25, "v1:2": 0.75}),
        ("runs/v1:2", {"v1:2": 1}),
    ],
)
def test_blends(text: str, blend: dict[str, float], tmp_path: Path, here: Path) -> None:
    adapter(tmp_path / "home/styles/mine")
    adapter(here / "runs/v1:2")
    found = parse_style(text)
    assert {style.name: weight for style, weight in found} == pytest.approx(blend, rel=1e-5)
    assert [style.name for style, _ in found] == list(blend)
    assert sum(weight for _, weight in found) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "give the name of a style"),
        (" , ", "give the name of a style"),
        ("bach:0", "a weight is a number above 0"),
        ("bach:-1,chopin:2", "a weight is a number above 0"),
        ("bach:nan", "a weight is a number above 0"),
        ("bach:inf", "a weight is a number above 0"),
        ("bach:1001", "a weight is a number above 0"),
        ("bach:", "a weight is a number above 0"),
        ("bach:much,chopin", "a weight is a number above 0"),
        (":0.5", ":0.5: there is no such style"),
        ("bach,bach", "named twice"),
        ("bach:0.2,chopin:0.1,bach:0.7", "named twice"),
        ("bach:0.5,chopn:0.5", "chopn: there is no such style; did you mean chopin?"),
    ],
)
def test_invalid_blends(text: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        parse_style(text)
    assert words in sentence(error)
