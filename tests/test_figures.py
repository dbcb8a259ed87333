"""Draw figures from a library, for a style, in a key, for each candidate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from finetune.figures import figures
from styletransfer.data.library import Library as Data
from styletransfer.folders import weights_folder
from styletransfer.formats.midi_out import write_midi
from styletransfer.model.sampling import Candidate
from styletransfer.music.key import Key
from styletransfer.tokens.codec import Event
from styletransfer.tokens.plan import Plan, free_plan
from styletransfer.transfer.figures import (
    Library,
    Tune,
    draw_figures,
    shipped_figures,
    writes_songs,
)
from styletransfer.transfer.phrases import by_phrases
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.request import Request
from tests.command import Run, refused
from tests.tiny import codec, tune_of

LENGTHS = {"BAR_2/4": 48, "BAR_3/4": 72, "BAR_4/4": 96, "BAR_6/8": 72}
C, D_MINOR = Key(0, "major"), Key(2, "minor")


def library(*rows: tuple[str, str, str, str, float, int]) -> Library:
    """Make figures of one note each, with the pitch 50 plus their number."""
    names = ("composer", "era", "tune", "metre", "quarters_per_minute", "tonic")
    rows_of = [dict(zip(names, row, strict=True)) | {"length": LENGTHS[row[3]]} for row in rows]
    notes = np.array([(k, 0, 12, 50 + k) for k in range(len(rows))], np.int16)
    return Library(rows_of, notes, np.arange(len(rows) + 1))


def pitches(found: tuple[tuple[Event, ...], ...]) -> set[int]:
    return {event.pitch for figure in found for event in figure}


def test_a_composers_own_figures_come_first() -> None:
    """Then come those of the era; figures in another metre are never used."""
    own = library(
        *[("wolf", "romantic", "part", "BAR_3/4", 80.0, 0)] * 24,
        ("liszt", "romantic", "part", "BAR_3/4", 80.0, 0),
        ("wolf", "romantic", "part", "BAR_4/4", 80.0, 0),
    )
    drawn = draw_figures("wolf", "romantic", Tune("part", "BAR_3/4", 72, 80.0, C), 24, 0, own)
    assert pitches(drawn) == set(range(50, 74))
    drawn = draw_figures("nobody", "romantic", Tune("part", "BAR_3/4", 72, 80.0, C), 25, 0, own)
    assert pitches(drawn) == set(range(50, 75))
    assert draw_figures("wolf", "romantic", Tune("part", "BAR_6/8", 72, 80.0, C), 4, 0, own) == ()


def test_figures_are_in_the_tunes_key_and_tempo_counts() -> None:
    """Figures move the shortest way; at twice the tempo one in sixteen is drawn."""
    own = library(
        ("a", "modern", "part", "BAR_2/4", 60.0, 0), ("a", "modern", "part", "BAR_2/4", 60.0, 11)
    )
    assert pitches(
        draw_figures("a", "modern", Tune("part", "BAR_2/4", 48, 60.0, D_MINOR), 2, 0, own)
    ) == {52, 54}
    own = library(
        ("a", "modern", "part", "BAR_2/4", 60.0, 0), ("a", "modern", "part", "BAR_2/4", 120.0, 0)
    )
    drawn = [
        draw_figures("a", "modern", Tune("part", "BAR_2/4", 48, 60.0, C), 1, seed, own)[0][0].pitch
        for seed in range(400)
    ]
    assert np.mean(np.array(drawn) == 51) == pytest.approx(1 / 17, abs=0.03)
    again = draw_figures("a", "modern", Tune("part", "BAR_2/4", 48, 60.0, C), 1, 7, own)
    assert again[0][0].pitch == drawn[7]


def test_the_shipped_library_shows_who_writes_songs() -> None:
    assert len(shipped_figures().rows) > 5000
    assert writes_songs("schubert", "romantic")
    assert writes_songs("unknown", "romantic")
    assert not writes_songs("bach", "baroque")
    assert not writes_songs("chopin", "romantic")
    assert not writes_songs("unknown", "unknown")


def test_the_chosen_candidates_figure_continues() -> None:
    """Each candidate has its own; in the next phrase, all have the best candidate's."""
    bar = (Event(0, 12, 40, -1),), (Event(0, 12, 41, -1),)
    plan = Plan(**{**vars(free_plan("score", 16, 96, "BAR_4/4")), "figures": ((), *bar)})
    assert [plan.of_candidate(k).figure for k in range(4)] == [(), *bar, ()]
    told: list[tuple[tuple[Event, ...], ...]] = []

    def compose(part: Plan, progress: object) -> list[Candidate]:
        told.append(part.figures)
        return [
            Candidate([[k]] * (part.stop or 0), 0.0, 0.0, figure=part.of_candidate(k).figure)
            for k in range(3)
        ]

    by_phrases(plan, compose, lambda found, first, end: (2, 0.0))
    assert told == [((), *bar), (bar[1],)]


def test_figures_of_a_data_set_are_carried_on(tiny_data: Path) -> None:
    """Bars that others resemble come with their pieces' composers, eras and metres.

    They come from training scores only.

    Only from training scores.
    """
    data = Data.load(tiny_data)
    for row, events in figures(data, codec()):
        assert row["metre"] == "BAR_3/4"
        assert len({event.step for event in events}) >= 2
        assert len(events) >= 3


def test_a_chord_that_is_edited_in_the_sidecar_is_taken(
    tiny_package: Path, tmp_path: Path, run: Run
) -> None:
    """The rewritten bars have it, and the run that rewrites them reports it."""
    write_midi(tune_of(8), tmp_path / "song.mid")
    model = ("--model", str(tiny_package), "--candidates", "2")
    assert run("apply", "song.mid", "--style", "bach", "-o", "one.mid", *model).code == 0

    sidecar = tmp_path / "one.json"
    data = json.loads(sidecar.read_text())
    data["report"]["harmony"][4]["chords"] = [{"quarter": 0.0, "symbol": "Abdim7", "roman": ""}]
    sidecar.write_text(json.dumps(data))
    assert (
        run("apply", "one.mid", "--style", "bach", "--bars", "5", "-o", "two.mid", *model).code == 0
    )

    harmony = json.loads((tmp_path / "two.json").read_text())["report"]["harmony"]
    assert harmony[4]["chords"][0]["symbol"] in ("Abdim7", "G#dim7")

    refused(
        run("apply", "one.mid", "--style", "bach", "--bars", "7", "-o", "three.mid", *model),
        "bar 5, which --bars 7",
    )
    assert (
        run(
            "apply",
            "two.mid",
            "--style",
            "bach",
            "--bars",
            "7",
            "--chords",
            "Dm7",
            "-o",
            "three.mid",
            *model,
        ).code
        == 0
    )

    third = json.loads((tmp_path / "three.json").read_text())["report"]["harmony"]
    assert [chord["symbol"] for chord in third[6]["chords"]] == ["Dm7"]
    assert third[:4] == harmony[:4]

    (tmp_path / "two.json").unlink()
    assert run("replay", "three.json", "--check").code == 0
    assert [row["chords"] for row in harmony[:4]] == [
        row["chords"] for row in data["report"]["harmony"][:4]
    ]


def test_an_older_base_lacks_newer_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_midi(tune_of(2), tmp_path / "song.mid")
    measured = Path(__file__).parents[1] / "eval" / "measured" / "base"
    with pytest.raises(Exception, match="older than that name"):
        apply(Request(str(tmp_path / "song.mid"), "wolf", model=measured))
    assert weights_folder().is_dir()
