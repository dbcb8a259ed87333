"""Test the listening test: its page, its key, a browser, and its analysis."""

from __future__ import annotations

import importlib.util
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval import blind, blind_answers, mirex
from eval.blind_answers import SCALES
from styletransfer.errors import InputError
from styletransfer.formats.midi_out import write_midi
from styletransfer.music.notes import Piece
from tests.arrangements import Row, arrangement

SONGS = ("first", "second")
CHROMIUM = Path("/usr/bin/chromium")


def song(shift: int, lowest: int) -> Piece:
    """Make five bars of 4/4: a tune over half notes, one in unison with it."""
    tune: list[Row] = [(float(k), 1.0, 72 + shift + k % 5) for k in range(20)]
    left: list[Row] = [(2.0 * k, 2.0, lowest + k % 3) for k in range(10)]
    return arrangement(tune, [(1.0, 1.0, 73 + shift)], left)


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write tunes of two songs and three versions of each."""
    folder = tmp_path_factory.mktemp("songs")
    for place, name in enumerate(SONGS):
        for version, lowest in {"mine": 48, "theirs": 50, "others": 55}.items():
            (folder / version).mkdir(exist_ok=True)
            write_midi(song(place, lowest), folder / version / f"{name}.mid")
        tune = song(place, 48)
        (folder / "tunes").mkdir(exist_ok=True)
        write_midi(tune.with_notes(tune.melody), folder / "tunes" / f"{name}.mid")
    return folder


def command(versions: Path, out: Path, *more: str) -> list[str]:
    """Return the command line for the page of two versions."""
    named = [f"{name}={versions / name}" for name in ("mine", "theirs")]
    return ["page", str(out), str(versions / "tunes"), *named, "--bars", "4", *more]


@pytest.fixture(scope="module")
def page(versions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("test") / "page"
    assert blind.main(command(versions, out)) == 0
    return out


def key_of(page: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.with_name("page-key.json").read_text())
    return found


def test_pairs() -> None:
    """Each two versions meet once under each song and change sides in half of them; a seed gives
    the same order again.
    """
    songs, names = [f"song {k}" for k in range(10)], ["ours", "theirs", "others"]
    pairs = blind.pairs_of(songs, names, every=False, seed=3)
    assert pairs == blind.pairs_of(songs, names, every=False, seed=3)
    assert pairs != blind.pairs_of(songs, names, every=False, seed=4)
    assert len(set(pairs)) == len(pairs) == 20
    for other in names[1:]:
        met = [pair for pair in pairs if other in (pair.a, pair.b)]
        assert sorted(pair.song for pair in met) == songs
        assert sum(pair.a == "ours" for pair in met) == 5
    assert len(blind.pairs_of(songs, names, every=True, seed=3)) == 30


def test_only_notes_distinguish_versions(versions: Path) -> None:
    """The tune is the same in all, notes in unison with it are left out, all are equally loud, and
    the fifth bar is cut.
    """
    folders = {name: versions / name for name in ("mine", "theirs")}
    pieces = blind.read_pieces(versions / "tunes", folders, "first", 4)
    assert list(pieces) == ["", "mine", "theirs"]
    for piece in pieces.values():
        assert len(piece.bars) == 4
        assert piece.melody["pitch"].tolist() == [72 + k % 5 for k in range(16)]
        assert len({(note["melody"], note["velocity"]) for note in piece.notes}) <= 2
    assert not len(pieces[""].accompaniment)
    assert pieces["mine"].accompaniment["pitch"].tolist() == [48 + k % 3 for k in range(8)]


def test_page_is_blind_and_whole(page: Path, versions: Path) -> None:
    """Every file is there and none other is asked for; nothing names a version or a song; the two
    sounds of a song are equally loud; the key is outside and states the sides.
    """
    import soundfile

    text = (page / "index.html").read_text(encoding="utf-8")
    files = set(re.findall(r'src="([^"]+)"', text))
    assert {str(path.relative_to(page)) for path in page.rglob("*.*")} == files | {"index.html"}
    assert not re.search(r'(?:src|href)="(?!sounds/|scores/|data:)|https?:|url\(|@import', text)
    for path in (page / "index.html", *page.glob("scores/*.svg")):
        assert not re.search(r"\b(mine|theirs|first\.mid|second)\b", path.read_text("utf-8")), path

    key = key_of(page)
    assert key["versions"] == ["mine", "theirs"]
    assert {pair["song"] for pair in key["pairs"].values()} == set(SONGS)
    assert {pair["a"] for pair in key["pairs"].values()} == {"mine", "theirs"}
    for number in key["pairs"]:
        loud = []
        for side in ("tune", "a", "b"):
            sound = (page / f"sounds/{number}-{side}.mp3").read_bytes()
            samples, _ = soundfile.read(io.BytesIO(sound))
            assert samples.ndim == 1
            loud.append(float(np.sqrt((samples**2).mean())))
        assert max(loud) < 1.05 * min(loud)


def test_same_seed_same_page(page: Path, versions: Path, tmp_path: Path) -> None:
    assert blind.main(command(versions, tmp_path / "page")) == 0
    for path in page.rglob("*.*"):
        assert (tmp_path / "page" / path.relative_to(page)).read_bytes() == path.read_bytes()
    assert key_of(tmp_path / "page") == key_of(page)


def test_what_no_page_is_made_of(
    page: Path, versions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence each, and nothing written."""
    out = tmp_path / "out"
    inside = command(versions, out, "--key", str(out / "key.json"))
    used = command(versions, out, "--key", str(page.with_name("page-key.json")))
    alone = command(versions, out)[:4]
    lost = [*alone, f"theirs={versions}"]
    for line, message in (
        (inside, "the key would be in the page's folder"),
        (used, "its answers need it"),
        (alone, "two or more versions"),
        (lost, "it has no"),
        (command(versions, tmp_path), "holds no index.html"),
        (command(versions, out, "--songs", "3"), "there are 2 songs"),
    ):
        assert blind.main(line) == 2
        assert message in capsys.readouterr().err
        assert not out.exists()


def test_systems_in_mirex_json(tmp_path: Path) -> None:
    """Tunes as lead sheets, and accompaniments as JSON of two systems' folders."""
    notes = tuple(mirex.Note(16 + 4 * k, 72 + k % 5, 4) for k in range(32))
    sheet = mirex.Sheet(notes, (mirex.Chord(16, "C", 128),))
    for folder in ("tunes", "one", "other/tune"):
        (tmp_path / folder).mkdir(parents=True)
    mirex.write_sheet(tmp_path / "tunes/tune.json", sheet)
    low = tuple(mirex.Note(16 * k, 48, 16) for k in range(1, 9))
    mirex.write_accompaniment(tmp_path / "one/tune.json", low)
    mirex.write_accompaniment(tmp_path / "other/tune/sample_01.json", low[::2])
    folders = {name: tmp_path / name for name in ("one", "other")}
    pieces = blind.read_pieces(tmp_path / "tunes", folders, "tune", 8)
    assert pieces["one"].accompaniment["onset"].tolist() == [4.0 * k for k in range(8)]
    assert pieces["other"].accompaniment["onset"].tolist() == [8.0 * k for k in range(4)]
    with pytest.raises(InputError, match="neither"):
        blind.read_pieces(tmp_path / "tunes", {"none": tmp_path / "tunes/x"}, "tune", 8)


# --- answers ------------------------------------------------------------------------------------


def answer(a: int, b: int, preferred: str, *, known: bool = False) -> dict[str, Any]:
    """Return an answer with the same mark on all scales."""
    marks = {side: dict.fromkeys(SCALES, mark) for side, mark in (("a", a), ("b", b))}
    return marks | {"preferred": preferred, "known": known, "heard": {"a": 1, "b": 0.2}}


@pytest.fixture
def answered(tmp_path: Path) -> tuple[list[Path], Path]:
    """Write answers of two raters to three songs: ours on side A, B and A."""
    pairs = {
        "1": {"song": "x", "a": "ours", "b": "theirs"},
        "2": {"song": "y", "a": "theirs", "b": "ours"},
        "3": {"song": "z", "a": "ours", "b": "theirs"},
    }
    key = tmp_path / "key.json"
    key.write_text(json.dumps({"test": "t", "versions": ["ours", "theirs"], "pairs": pairs}))
    given = {
        "ann": {"1": answer(4, 3, "a"), "2": answer(5, 2, "a"), "3": answer(3, 3, "none")},
        "bob": {"1": answer(4, 2, "a"), "2": answer(4, 3, "b", known=True)},
    }
    files = []
    for rater, answers in given.items():
        files.append(tmp_path / f"{rater}.json")
        files[-1].write_text(json.dumps({"test": "t", "rater": rater, "answers": answers}))
    return files, key


def test_analysis(answered: tuple[list[Path], Path]) -> None:
    """Means, differences and shares by hand: ours has 4, 4, 2, 3 and 3, theirs 3, 2, 5, 4, 3."""
    files, key = answered
    report = blind_answers.report_of(files, [key])
    counted = ("raters", "judgements", "songs", "known", "left_out", "barely_heard")
    assert [report[name] for name in counted] == [2, 5, 3, 1, 0, 5]
    for scale in (*SCALES, "mean"):
        assert report["versions"]["ours"][scale]["value"] == pytest.approx(3.2)
        assert report["versions"]["theirs"][scale]["value"] == pytest.approx(3.4)
    (pair,) = report["pairs"]
    assert (pair["version"], pair["than"], pair["judgements"]) == ("ours", "theirs", 5)
    mean = pair["difference"]["mean"]
    assert mean["value"] == pytest.approx(-0.2)
    assert mean["groups"] == 3
    assert mean["low"] == pytest.approx(-2.0)  # a draw of y alone: (-3 - 1) / 2
    assert mean["high"] == pytest.approx(1.5)  # a draw of x alone: (1 + 2) / 2
    assert (pair["preferred"], pair["neither"], pair["other"]) == (3, 1, 1)
    assert pair["share"]["value"] == pytest.approx(0.7)
    assert report["side_a"]["value"] == pytest.approx(0.7)
    assert (report["agreement"]["pairs_of_raters"], report["agreement"]["same_preference"]) == (
        2,
        1,
    )

    without = blind_answers.report_of(files, [key], unknown=True)
    assert (without["judgements"], without["left_out"], without["known"]) == (4, 1, 1)
    assert without["agreement"]["pairs_of_raters"] == 1


def test_alpha_by_hand() -> None:
    """Ratings 1, 1 and 1, 3 of two things: observed (0 + 8/1) / 4 = 2; expected, over 12 ordered
    pairs of 1, 1, 1, 3, six of them 4 apart: 2. Alpha is 0. Perfect agreement is 1.
    """
    found = blind_answers.alpha(
        [("s", (1,), 1.0), ("s", (1,), 1.0), ("t", (2,), 1.0), ("t", (2,), 3.0)]
    )
    assert found.value == pytest.approx(0.0)
    rows = [(str(unit % 4), (unit,), float(unit)) for unit in range(8) for _ in range(3)]
    found = blind_answers.alpha(rows)
    assert (found.value, found.low, found.high) == pytest.approx((1.0, 1.0, 1.0))
    assert math.isnan(blind_answers.alpha([("s", (1,), 1.0), ("s", (2,), 2.0)]).value)
    rng = np.random.default_rng(0)
    chance = [(str(u), (u,), float(rng.integers(1, 6))) for u in range(300) for _ in range(2)]
    found = blind_answers.alpha(chance)
    assert found.low < 0 < found.high


def test_analyse_command(
    answered: tuple[list[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, key = answered
    line = ["analyse", *map(str, files), "--key", str(key), "--write", str(tmp_path / "found.json")]
    assert blind.main(line) == 0
    out = capsys.readouterr().out
    assert "2 raters, 5 judgements, 3 songs" in out
    assert "| ours less theirs | -0.20 (-2.00 to 1.50)" in out.replace("+1.50", "1.50")
    assert "| ours to theirs | 3 | 1 | 1 | 70 %" in out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found == blind_answers.report_of(files, [key])


def test_what_is_no_answer(answered: tuple[list[Path], Path]) -> None:
    files, key = answered
    good = json.loads(files[0].read_text())
    half = {side: {"coherency": 3} for side in ("a", "b")} | {"preferred": "a"}
    for change, message in (
        ({"test": "other"}, "give the key of this test"),
        ({"answers": {"9": answer(1, 1, "a")}}, "has no pair 9"),
        ({"answers": {"1": half}}, "pair 1 has no whole answer"),
        ({"answers": {"1": answer(1, 6, "a")}}, "isn't one of 1 to 5"),
        ({"answers": {"1": answer(1, 2, "c")}}, "pair 1 has no whole answer"),
        ({"answers": [1]}, "holds no answers"),
        ({"rater": "bob"}, "by the same rater, bob"),
    ):
        files[0].write_text(json.dumps(good | change))
        with pytest.raises(InputError, match=message):
            blind_answers.read_judgements(files[::-1], [key])
    with pytest.raises(InputError, match="no key"):
        blind_answers.read_judgements(files, [files[0]])


@pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed")
def test_in_a_browser(page: Path, tmp_path: Path) -> None:
    """Opened from the disk on a phone's screen and used by keyboard alone: marks are asked for,
    kept over a reload, and downloaded in the form that the analysis reads; no request leaves the
    folder.
    """
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": 360, "height": 640}, has_touch=True, accept_downloads=True
        )
        opened = context.new_page()
        requests: list[str] = []
        faults: list[str] = []
        opened.on("request", lambda request: requests.append(request.url))
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.goto((page / "index.html").as_uri())
        opened.fill("#rater", "Ann B.")
        opened.get_by_role("button", name="Begin").press("Enter")
        _answer_by_keyboard(opened)

        opened.get_by_role("button", name="Next").press("Enter")
        alert = opened.locator("#pair-2 .missing")
        opened.get_by_role("button", name="Next").press("Enter")
        assert "Not answered yet: coherency of A" in alert.inner_text()
        assert opened.evaluate("document.activeElement.name") == "2-a-coherency"
        wide = opened.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360
        _look_and_listen(opened)
        found = opened.evaluate(f"{_axe()}; axe.run()") if _axe() else {"violations": []}
        assert [one["id"] for one in found["violations"]] == []

        opened.reload()
        assert opened.locator("h1:visible").inner_text() == "Pair 2 of 2"
        opened.get_by_role("button", name="Skip").press("Enter")
        assert "answered 1 of 2 pairs" in opened.locator("#done").inner_text()
        with opened.expect_download() as saved:
            opened.get_by_role("button", name="Download").press("Enter")
        assert saved.value.suggested_filename == "answers-Ann-B.json"
        saved.value.save_as(tmp_path / "answers.json")
        assert not faults
        folder = page.as_uri()
        assert all(url.startswith((folder, "data:", "blob:")) for url in requests)
        assert any(url.endswith(".svg") for url in requests)
        browser.close()

    given = json.loads((tmp_path / "answers.json").read_text())
    assert list(given["answers"]) == ["1"]
    assert given["rater"] == "Ann B."
    (row,) = blind_answers.read_judgements(
        [tmp_path / "answers.json"], [page.with_name("page-key.json")]
    )
    assert row.marks.tolist() == [[4.0] * 4, [2.0] * 4]
    assert row.preferred == 1.0
    assert row.versions == tuple(key_of(page)["pairs"]["1"][side] for side in ("a", "b"))


def _axe() -> str:
    """Return the source of axe, which checks accessibility, "" if it isn't installed."""
    folder = importlib.util.find_spec("axe_playwright_python")
    if folder is None or folder.origin is None:
        return ""
    return (Path(folder.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def _look_and_listen(opened: Any) -> None:
    """Open the score of a version, and load a sound: four bars at 120 a minute, and an echo."""
    opened.locator("#pair-2 summary").first.press("Enter")
    opened.locator("#pair-2 img").first.scroll_into_view_if_needed()
    opened.wait_for_function("document.querySelector('#pair-2 img').naturalWidth > 0")
    length = """async () => {
        const sound = document.querySelector("#pair-2 audio");
        sound.preload = "metadata";
        await new Promise((done) => sound.addEventListener("loadedmetadata", done));
        return sound.duration;
    }"""
    assert 8 < opened.evaluate(length) < 11


def _answer_by_keyboard(opened: Any) -> None:
    """Answer the pair that is shown with keys: 4 for A, 2 for B, A preferred."""
    first = opened.locator("#pair-1 input[type=radio]").first
    first.focus()
    for mark in [4] * 4 + [2] * 4:
        opened.keyboard.press("Space")
        for _ in range(mark - 1):
            opened.keyboard.press("ArrowRight")
        opened.keyboard.press("Tab")
        while opened.evaluate("document.activeElement.type") != "radio":
            opened.keyboard.press("Tab")
    opened.keyboard.press("Space")
