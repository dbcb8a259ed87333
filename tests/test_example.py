"""Test pieces as styles.

Tested are the figures taken from a piece, the composer it is attributed to, and every place that
takes a style.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from styletransfer import StyleTransfer
from styletransfer.errors import InputError
from styletransfer.formats.midi_out import write_midi
from styletransfer.formats.read import read_score
from styletransfer.music.copies import match_of
from styletransfer.music.key import Key
from styletransfer.music.notes import Piece, bars_of, make_notes
from styletransfer.styles import example
from styletransfer.styles.blend import moved_to, parse_style, shown, with_absolute_folders
from styletransfer.styles.example import load_example, recognise
from styletransfer.styles.find import find_style
from styletransfer.styles.touch import touch_of
from styletransfer.tokens.codec import FROM_FIGURE, Event
from styletransfer.tokens.figures import carried_on, figure_of
from styletransfer.tokens.grammar import NEW_FIGURE_BIAS, MelodyGrammar
from styletransfer.tokens.plan import plan_of
from styletransfer.transfer.figures import (
    FAITH,
    FAITH_BY_NAME,
    add_figures,
    beat_of_figures,
    example_library,
    figures_in_metre,
    on_top,
    refill_bar,
)
from styletransfer.transfer.ranking.choice import indexes_for
from styletransfer.transfer.ranking.likeness import parts_of
from styletransfer.transfer.request import request_of
from tests.command import Run, refused
from tests.tiny import codec, random_piece, short_song, tune_of

ALBERTI = [48, 55, 52, 55] * 2
HELD = [48, 52]

C = Key(0, "major")


def sonata(
    path: Path, bars: int = 8, beats: int = 4, names: tuple[str, str] = ("Right hand", "Left hand")
) -> Path:
    """Write a tune of quarters in 4/4 over broken chords in eighths.

    Its last bar has one chord.
    """
    count = beats * bars
    tune = make_notes(
        [float(k) for k in range(count)],
        [1.0] * count,
        [72 + 2 * (k * k % 5) for k in range(count)],
    )

    broken = [beats * bar + k / 2 for bar in range(bars - 1) for k in range(2 * beats)]
    pitch = [p + (0, 5, 7)[bar % 3] for bar in range(bars - 1) for p in ALBERTI[: 2 * beats]]
    left = make_notes(
        [*broken, *[beats * (bars - 1.0)] * 2],
        [0.5] * len(broken) + [2.0] * 2,
        [*pitch, *HELD],
        part=1,
    )

    notes = np.concatenate([tune, left])
    piece = Piece(
        notes[np.lexsort((notes["pitch"], notes["onset"]))],
        "score",
        bars_of([(0.0, beats, 4)], count),
        parts=names,
    )
    write_midi(piece, path, force=True)
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def steps(events: tuple[Event, ...] | list[Event]) -> list[int]:
    return [event.step for event in events]


def test_bars_that_resemble_others_are_taken(here: Path) -> None:
    """The broken chord is taken, whose bar is the first of seven similar ones.

    The bar with only a chord isn't a figure.
    """
    found = load_example(sonata(here / "sonata.mid"))
    library = example_library(found, codec())
    assert [(row["bar"], row["like"], row["metre"]) for row in library.rows] == [(1, 7, "BAR_4/4")]
    assert [event.pitch for event in library.events(0, 0)] == ALBERTI
    assert found.tune == "texture"
    assert on_top(request_of("twinkle", here / "sonata.mid"))
    song = load_example(sonata(here / "song.mid", names=("Voice", "Piano")))
    assert song.tune == "part"
    assert not on_top(request_of("twinkle", here / "song.mid"))


def test_the_commonest_figure_is_first() -> None:
    block, broken = (
        figure_of([Event(0, 24, p, -1) for p in (48, 52, 55)] + [Event(48, 24, 48, -1)]),
        {},
    )
    broken = {step: (1, 7 * (step > 0)) for step in range(0, 96, 12)}
    assert carried_on([block, broken, {}, broken, block, broken], 400) == [(1, 3), (0, 2)]
    assert carried_on([{}, {0: (3, 0)}], 400) == []


def test_figures_are_fitted_to_another_metre(here: Path) -> None:
    """With the same beat they are cut or filled up; with another beat there are none."""
    found = load_example(sonata(here / "sonata.mid"))
    waltz = figures_in_metre(found, "BAR_3/4", 72, codec())
    assert [(row["from"], row["metre"], row["length"]) for row in waltz.rows] == [
        ("4/4", "BAR_3/4", 72)
    ]
    assert steps(waltz.events(0, 0)) == [0, 12, 24, 36, 48, 60]
    assert figures_in_metre(found, "BAR_6/8", 72, codec()).rows == []
    assert [beat_of_figures(f"BAR_{metre}") for metre in ("4/4", "2/2", "3/8", "12/8", "2/8")] == [
        24,
        24,
        36,
        36,
        12,
    ]


def test_a_bar_in_a_longer_bar() -> None:
    """A bar half as long is repeated; a waltz in common time repeats its last beat; held notes end
    with the bar.
    """
    march = [Event(0, 24, 48, -1), Event(24, 24, 55, -1)]
    assert steps(refill_bar(march, 48, 96, 24, codec())) == [0, 24, 48, 72]
    waltz = [Event(0, 72, 48, -1), Event(24, 24, 55, -1), Event(48, 24, 56, -1)]
    filled = refill_bar(waltz, 72, 96, 24, codec())
    assert [(event.step, event.pitch) for event in filled] == [
        (0, 48),
        (24, 55),
        (48, 56),
        (72, 56),
    ]
    assert refill_bar(waltz, 72, 48, 24, codec()) == [Event(0, 48, 48, -1), Event(24, 24, 55, -1)]
    assert refill_bar(waltz, 72, 72, 24, codec()) == waltz


def test_candidates_that_follow(here: Path) -> None:
    """All candidates follow, or in a blend as many as its weight.

    Without a figure in the metre, those of the composer are used.
    """
    sonata(here / "sonata.mid")
    tune = tune_of(4)
    plan = plan_of(codec(), codec().grid(tune))

    def made(style: str) -> tuple[list[float], list[bool]]:
        told = add_figures(plan, request_of("twinkle", style, on_top=True), tune, codec(), C)
        return list(told.faith), [bool(figure) for figure in told.figures]

    assert made("sonata.mid") == ([FAITH] * 8, [True] * 8)
    assert made("bach:3,sonata.mid:1") == ([FAITH_BY_NAME] * 6 + [FAITH] * 2, [True] * 8)
    assert made("bach") == ([FAITH_BY_NAME] * 8, [True] * 8)
    sonata(here / "six.mid")
    six = Piece(tune.notes, "score", bars_of([(0.0, 6, 8)], 12.0))
    told = add_figures(
        plan_of(codec(), codec().grid(six)),
        request_of("twinkle", "bach,six.mid", on_top=True),
        six,
        codec(),
        C,
    )
    assert list(told.faith) == [FAITH_BY_NAME] * 8
    chosen = add_figures(plan, request_of("twinkle", "sonata.mid"), tune, codec(), C).of_candidate(
        3
    )
    assert (len(chosen.figures), chosen.faith) == (1, (FAITH,))


def test_following_a_bar_is_made_likelier(here: Path) -> None:
    tune = tune_of(4)
    plan = plan_of(codec(), codec().grid(tune))
    sonata(here / "sonata.mid")
    told = add_figures(plan, request_of("twinkle", "sonata.mid", on_top=True), tune, codec(), C)
    line = MelodyGrammar(codec(), type(plan)(**{**vars(told.of_candidate(0)), "references": True}))
    while line.forced:
        line.push(line.forced[0])
    added = line.bias()
    place = codec().reference_ids[FROM_FIGURE]
    assert added[place] == FAITH
    assert np.count_nonzero(added) == 1
    bar = [codec().bar_ids["BAR_4/4"], codec().melody]  # a new figure in the second bar has a price
    line.push(place)
    for token in bar:
        line.push(line.forced[0] if line.forced else token)
        while line.forced:
            line.push(line.forced[0])
    assert line.bias()[codec().reference_ids[0]] == NEW_FIGURE_BIAS


def test_the_composer_that_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a composer, with the era, if the judge is confident.

    Otherwise it is the era alone, or nothing.
    """
    sure = {
        "j1-composers-13": (("bach", "chopin"), [0.1, 0.9]),
        "j1-eras": (("baroque", "classical"), [0.5, 0.5]),
    }

    def judge(name: str) -> SimpleNamespace:
        labels, probability = sure[name]
        return SimpleNamespace(labels=labels, probabilities=lambda piece: np.array(probability))

    monkeypatch.setattr("styletransfer.evaluation.judges.judge.load_judge", judge)
    piece = random_piece(0, "score")
    assert recognise(piece) == ("chopin", "romantic")
    sure["j1-composers-13"] = (("bach", "chopin"), [0.4, 0.6])
    assert recognise(piece) == ("unknown", "unknown")
    sure["j1-eras"] = (("baroque", "classical"), [0.2, 0.8])
    assert recognise(piece) == ("unknown", "classical")
    monkeypatch.undo()
    assert recognise(tune_of(1)) == ("unknown", "unknown")  # too few notes


def test_names_of_pieces(here: Path) -> None:
    """Pieces are recognised by their suffix, in blends, too.

    A name with commas and colons is recognised only by itself.
    """
    for name in ("sonata.mid", "a,b:1.mid"):
        sonata(here / name)
    blend = parse_style("bach:3,sonata.mid:1")
    assert [(style.name, style.kind, weight) for style, weight in blend] == [
        ("bach", "composer", 0.75),
        ("sonata", "example", 0.25),
    ]
    assert blend[1][0].piece == here / "sonata.mid"
    assert parse_style("a,b:1.mid")[0][0].piece == here / "a,b:1.mid"
    assert with_absolute_folders("bach,sonata.mid:2") == f"bach,{here / 'sonata.mid'}:2"
    assert shown(f"bach,{here / 'sonata.mid'}:2") == "J. S. Bach (33 %) and “Sonata” (67 %)"
    assert moved_to("/elsewhere/sonata.mid:2,bach", here) == f"{here / 'sonata.mid'}:2,bach"
    assert moved_to("/elsewhere/other.mid", here) == "/elsewhere/other.mid"
    with pytest.raises(InputError, match="named twice"):
        parse_style("sonata.mid,./sonata.mid")


def test_pieces_that_cannot_be_followed(here: Path) -> None:
    """Each gives one sentence that names the file."""
    (here / "text.mid").write_text("no music")
    (here / "notes.txt").write_text("no music")
    write_midi(tune_of(4), here / "tune.mid")
    write_midi(random_piece(1, "performance", 60), here / "played.mid")
    (here / "empty.abc").write_text("X:1\nK:C\nz4|\n")
    for name, words in (
        ("gone.mid", "no such file"),
        ("text.mid", "text.mid"),
        ("empty.abc", "empty.abc"),
        ("notes.txt", "no such style"),
        ("tune.mid", "only a melody"),
        ("played.mid", "has no beats"),
    ):
        with pytest.raises(InputError, match=words) as error:
            find_style(name)
        assert str(error.value).count("\n") == 0


def test_copies_of_the_piece_are_found(here: Path) -> None:
    """Its accompaniment in another key under another tune is a copy of it, but not of a training
    piece.
    """
    write_midi(random_piece(3, "score", 60), here / "piece.mid")
    indexes = indexes_for("bach,piece.mid")
    notes = load_example(here / "piece.mid").piece.notes.copy()
    notes["pitch"] = np.where(notes["melody"], 80 - np.arange(len(notes)) % 5, notes["pitch"] + 2)
    copied = read_score(here / "piece.mid").with_notes(notes)
    assert match_of(copied, indexes[1:]).is_copy(len(notes))
    assert not match_of(copied, indexes[:1]).is_copy(len(notes))
    assert not match_of(random_piece(4, "score", 60), indexes).is_copy(100)


def test_what_is_not_stated_is_the_composers(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The touch is that of the composer it is attributed to; the ranker compares with the piece
    itself.
    """
    monkeypatch.setattr(example, "recognise", lambda piece: ("chopin", "romantic"))
    sonata(here / "sonata.mid", bars=17)
    assert touch_of("sonata.mid") == touch_of("chopin")
    ((own, weight),) = parts_of("sonata.mid")
    assert weight == 1.0
    assert isinstance(own.who, np.ndarray)


def test_apply_and_replay(run: Run, tiny_package: Path, here: Path) -> None:
    """The report and the sidecar name the piece; if it has changed or is gone, that is reported
    before any music is made.
    """
    write_midi(tune_of(4), here / "song.mid")
    piece = sonata(here / "sonata.mid")
    model = ("--model", tiny_package, "--candidates", "2")
    outcome = run("apply", "song.mid", "-s", "sonata.mid", *model)
    assert outcome.code == 0
    assert f"{piece}: figures of bars 1 (in 4/4, made to fit); heard as" in outcome.out
    data = json.loads((here / "song-sonata.json").read_text())
    assert data["settings"]["style"] == str(piece)
    assert [row["bars"] for row in data["report"]["examples"]] == [[1]]
    assert run("replay", "song-sonata.json", "--check").code == 0
    refused(
        run("apply", "song.mid", "-s", "sonata.mid", "-o", "sonata.mid", "-f", *model),
        "one of the inputs",
    )
    refused(run("replay", "song-sonata.json", "-o", "sonata.mid", "-f"), "one of the inputs")

    content = piece.read_bytes()
    sonata(piece, bars=6)
    refused(run("replay", "song-sonata.json"), "the example sonata", "then")
    piece.unlink()
    refused(run("replay", "song-sonata.json"), "sonata.mid", "no such file")
    (here / "moved").mkdir()
    for name in ("song-sonata.json", "song.mid"):
        (here / name).rename(here / "moved" / name)
    (here / "moved/sonata.mid").write_bytes(content)
    assert run("replay", "moved/song-sonata.json", "--check").code == 0


def test_other_commands(run: Run, tiny_package: Path, here: Path) -> None:
    """Several styles, all candidates, rewritten bars, a card; free composition can't follow a
    piece.
    """
    short_song(here / "song.mid")
    sonata(here / "sonata.mid")
    model = ("--model", tiny_package, "--candidates", "2")
    assert run("apply", "song.mid", "-s", "sonata.mid", "-s", "bach", "-o", "out", *model).code == 0
    assert sorted(path.name for path in (here / "out").glob("*.mid")) == [
        "song-bach.mid",
        "song-sonata.mid",
    ]
    assert run("apply", "song.mid", "-s", "bach:0.5,sonata.mid:0.5", "--all", *model).code == 0
    assert (here / "song-bach-0.5-sonata-0.5-2.mid").is_file()
    assert (
        run(
            "apply",
            "out/song-sonata.mid",
            "-s",
            "sonata.mid",
            "--bars",
            "1",
            "-o",
            "again.mid",
            *model,
        ).code
        == 0
    )

    card = run("styles", "show", "sonata.mid")
    assert (card.code, "example" in card.out, str(here / "sonata.mid") in card.out) == (
        0,
        True,
        True,
    )

    refused(run("generate", "-s", "sonata.mid", *model[:2]), "only `apply` can follow a piece")
    music = StyleTransfer.from_pretrained(tiny_package).apply(
        here / "song.mid", here / "sonata.mid", candidates=1
    )
    assert music.report["examples"][0]["piece"] == str(here / "sonata.mid")
    assert music.title == "Song, in the style of “Sonata”"


def test_a_song_without_such_bars(run: Run, tiny_package: Path, here: Path) -> None:
    """Without beats, or with another beat, it can't take figures, and the report states that."""
    write_midi(random_piece(2, "performance", 12), here / "played.mid")
    sonata(here / "sonata.mid")
    outcome = run(
        "apply", "played.mid", "-s", "sonata.mid", "--model", tiny_package, "--candidates", "1"
    )
    assert outcome.code == 0
    said = "no figures (the song has no beats), only its texture and composer"
    assert f"sonata.mid: {said}; heard as" in outcome.out

    notes = make_notes([0.0, 1.5, 3.0, 4.5], [1.5] * 4, [72, 74, 76, 72])
    write_midi(Piece(notes, "score", bars_of([(0.0, 6, 8)], 6.0)), here / "six.mid")
    outcome = run(
        "apply", "six.mid", "-s", "sonata.mid", "--model", tiny_package, "--candidates", "1"
    )
    assert "sonata.mid: no figures (it has none in 6/8)" in outcome.out


def test_a_piece_in_a_metre_without_a_token(run: Run, tiny_package: Path, here: Path) -> None:
    """Bars of 7/8 among others, and chords in 7/8, led to a traceback."""
    short_song(here / "song.mid")
    tune = make_notes(np.arange(0, 11.0), [1.0] * 11, [72, 76, 79, 76] * 2 + [74, 71, 72])
    low = make_notes(np.arange(0, 11, 0.5), [0.5] * 22, [48, 55, 52, 55] * 5 + [43, 48])
    notes = np.sort(np.concatenate([tune, low]), order=["onset", "pitch"])
    bars = bars_of([(0.0, 4, 4), (4.0, 7, 8), (7.5, 4, 4)], 11.5)
    write_midi(Piece(notes, "score", bars), here / "seven.mid")
    model = ("--model", tiny_package, "--candidates", "1")
    assert run("apply", "song.mid", "-s", "seven.mid", *model).code == 0
    sonata(here / "sonata.mid")
    outcome = run("apply", "--chords", "F | C", "--metre", "7/8", "-s", "sonata.mid", *model[2:])
    assert outcome.code == 0
    assert "no figures" in outcome.out


def test_no_piece_of_a_command_is_overwritten(run: Run, tiny_package: Path, here: Path) -> None:
    """The second style of a command is an earlier output: if the first style overwrote it, the
    wrong piece would be followed.
    """
    short_song(here / "song.mid")
    piece = sonata(here / "song-bach.mid")
    before = piece.read_bytes()
    outcome = run(
        "apply",
        "song.mid",
        "-s",
        "bach",
        "-s",
        "song-bach.mid",
        "-o",
        ".",
        "-f",
        "--model",
        tiny_package,
    )
    assert outcome.code == 2
    assert "one of the inputs" in outcome.err
    assert piece.read_bytes() == before

    (here / "chords.txt").write_text("F | C")
    refused(
        run("apply", "--chords", "chords.txt", "-s", "bach", "-o", "chords.txt", "-f"), "chords.txt"
    )
    refused(
        run("apply", "song.mid", "--chords", "chords.txt", "-s", "bach", "-o", "chords.txt", "-f"),
        "chords.txt",
    )
    assert (here / "chords.txt").read_text() == "F | C"


def test_weights_are_distinguished_from_names_with_colons() -> None:
    assert shown("C:/music/no such.mid") == "“No such”"
    assert shown("C:/music/no such.mid:0.5,bach:0.5") == "“No such” and J. S. Bach"
