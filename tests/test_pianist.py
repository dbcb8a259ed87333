"""Play music on beats with ``--feel performance``.

The score's notes stay on the score's steps, with rubato, pedal and fingers.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.touch import pedalled
from styletransfer.data.library import Library
from styletransfer.data.touch import loudness
from styletransfer.errors import InputError
from styletransfer.formats.midi_out import midi_bytes, write_midi
from styletransfer.formats.read import read_score
from styletransfer.formats.tunes import EXAMPLES, example
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.notes import Piece, bars_of, make_notes
from styletransfer.styles.touch import USUAL, Touch, touch_of
from styletransfer.tokens.codec import STEPS_PER_QUARTER
from styletransfer.transfer.performance.dynamics import SINGING, arch, velocities
from styletransfer.transfer.performance.pianist import perform
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.request import Request
from tests.command import ONE, Run
from tests.test_redo import rows

FEW, MUCH = replace(USUAL, pedal=0.1, spread=8.0), replace(USUAL, pedal=0.9, spread=18.0)


def waltz(bars: int = 16) -> Piece:
    """Make a tune of dotted halves over a bass and two afterbeats; each bar a harmony."""
    tune = [(3.0 * bar, 3.0, 72 + bar % 5, True, 0) for bar in range(bars)]
    bass = [(3.0 * bar, 1.0, 36 + 5 * (bar % 2), False, 2) for bar in range(bars)]
    chords = [
        (3.0 * bar + beat, 1.0, pitch, False, 1)
        for bar in range(bars)
        for beat in (1, 2)
        for pitch in (60, 64, 67)
    ]
    onset, duration, pitch, melody, part = zip(*tune, *bass, *chords, strict=True)
    notes = make_notes(list(onset), list(duration), list(pitch), 60, list(part), list(melody))
    return Piece(
        notes, "score", bars_of([(0.0, 3, 4)], 3.0 * bars), parts=("Melody", "right", "left")
    )


@pytest.mark.parametrize("touch", [FEW, USUAL, MUCH])
def test_the_tune_stays_and_no_note_leaves_its_step(touch: Touch) -> None:
    piece = waltz()
    played = perform(piece, touch, 0)
    for name in ("onset", "duration", "pitch"):
        assert played.melody[name].tolist() == piece.melody[name].tolist()
    before, after = (
        one.notes[np.lexsort((one.notes["pitch"], np.round(one.notes["onset"])))]
        for one in (piece, played)
    )
    late = (after["onset"] - before["onset"])[~before["melody"]] * STEPS_PER_QUARTER
    assert 0 <= late.min() < late.max() < 0.5
    assert np.allclose(after["onset"] + after["duration"], before["onset"] + before["duration"])
    assert played.bars.tolist() == piece.bars.tolist()


def test_the_tempo_breathes_and_ends_slower() -> None:
    piece = waltz()
    for touch in (FEW, MUCH):
        tempo = perform(piece, touch, 0).tempo
        bar = np.diff(tempo.to_seconds(np.arange(17) * 3.0))
        assert (bar[1] + bar[2]) / 2 < (bar[0] + bar[3]) / 2  # of a phrase of four
        assert bar[15] > 1.2 * bar[:12].mean()
        assert bar[:12].sum() == pytest.approx(12 * 1.5, rel=0.02)
    assert np.ptp(np.diff(perform(piece, FEW, 0).tempo.to_seconds(np.arange(13) * 3.0))) < np.ptp(
        bar[:12]
    )


def test_the_pedal_is_the_styles_share_and_changes_with_the_bass() -> None:
    piece = waltz()
    for touch in (FEW, USUAL, MUCH):
        played = perform(piece, touch, 0)
        edges = played.tempo.to_seconds(np.array(played.pedals).reshape(-1, 2))
        assert np.diff(edges).sum() / played.length_seconds == pytest.approx(touch.pedal, abs=0.1)
        assert all(
            up % 3 == 0 and 0 < down % 3 < 0.5 for down, up in played.pedals
        )  # through the afterbeats
    assert perform(piece, replace(USUAL, pedal=0.0), 0).pedals == ()


def test_one_long_harmony_does_not_keep_the_others_from_the_pedal() -> None:
    """A last chord that lasts half of the time fits into no tenth; chords after it weren't
    considered.
    """
    piece = waltz(8)
    last = piece.notes["onset"] >= 21
    piece.notes["duration"][last] += 24
    played = perform(piece, FEW, 0)
    edges = played.tempo.to_seconds(np.array(played.pedals).reshape(-1, 2))
    assert np.diff(edges).sum() / played.length_seconds == pytest.approx(FEW.pedal, abs=0.05)


def test_a_page_does_not_show_how_it_is_played(
    run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    write_midi(waltz(), tmp_path / "waltz.mid")
    for name, more in (("plain", ()), ("played", ("--feel", "performance"))):
        command = ("apply", "waltz.mid", "-s", "chopin", "--model", tiny_package, *ONE, *more)
        assert run(*command, "-o", f"{name}.mid", "--score", f"{name}.musicxml").code == 0
    assert (tmp_path / "plain.mid").read_bytes() != (tmp_path / "played.mid").read_bytes()
    assert (tmp_path / "plain.musicxml").read_bytes() == (tmp_path / "played.musicxml").read_bytes()


def test_what_would_blur_is_played_without_pedal() -> None:
    """Half of the bars have a chromatic run; only the other half has the pedal."""
    run = make_notes(np.arange(0, 24, 0.5), [0.5] * 48, [60 + k % 12 for k in range(48)], part=1)
    tune = make_notes([0.0, 24.0], [24.0, 24.0], [79, 79], melody=True)
    bass = make_notes(np.arange(0, 48, 3.0), [3.0] * 16, [36, 43] * 8, part=2)
    piece = replace(
        waltz(), notes=np.sort(np.concatenate([tune, run, bass]), order=["onset", "pitch"])
    )
    played = perform(piece, replace(USUAL, pedal=0.45), 0)
    assert played.pedals
    assert min(down for down, _ in played.pedals) >= 24


def test_a_window_leaves_the_rest() -> None:
    piece = perform(waltz(), USUAL, 0)
    again = perform(piece, USUAL, 1, (12.0, 24.0))
    outside = (piece.notes["onset"] < 12) | (piece.notes["onset"] >= 24)
    stays = (again.notes["onset"] < 12) | (again.notes["onset"] >= 24)
    assert again.notes[stays].tolist() == piece.notes[outside].tolist()
    assert again.notes[~stays].tolist() != piece.notes[~outside].tolist()
    assert again.tempo is piece.tempo
    assert [p for p in again.pedals if not 12 <= p[0] < 24] == [
        p for p in piece.pedals if not 12 <= p[0] < 24
    ]


def test_pedals_are_in_the_file(tmp_path: Path) -> None:
    played = perform(waltz(), USUAL, 0)
    (tmp_path / "played.mid").write_bytes(midi_bytes(played))
    again = read_score(tmp_path / "played.mid", "score")
    assert np.allclose(again.pedals, played.pedals)
    assert read_score(tmp_path / "played.mid", "performance").pedals == ()


def test_a_tune_is_played(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    """The notes are those of the score feel.

    The score, rewritten bars and a replay are the same, too.
    """
    common = ("-s", "bach", "--model", tiny_package, *ONE)
    assert run("apply", "happy-birthday", *common, "-o", "score.mid").code == 0

    outcome = run(
        "apply", "happy-birthday", *common, "--feel", "performance", "-o", "played.mid", "--json"
    )
    assert (outcome.code, outcome.err) == (0, "")

    report: dict[str, Any] = json.loads(outcome.out)
    assert (report["feel"], report["on_beats"], report["melody_notes_kept"]) == (
        "performance",
        True,
        25,
    )

    score, played = (read_score(tmp_path / name, "score") for name in ("score.mid", "played.mid"))
    assert len(played.tempo.quarters) > 10
    assert steps(score) == steps(played)
    assert run("replay", "played.json", "--check").code == 0

    outcome = run("evaluate", "played.mid", "--original", "happy-birthday", "--json")
    assert json.loads(outcome.out)["melody_f1"] == 1

    outcome = run("apply", "played.mid", *common, "--bars", "3-4", "--seed", "5", "-o", "new.mid")
    assert (outcome.code, outcome.err) == (0, "")

    new = read_score(tmp_path / "new.mid", "score")
    changed = rows(played) ^ rows(new)
    assert changed
    assert all(7 <= row[1] / new.ticks_per_quarter < 13 and row[0] != "Melody" for row in changed)
    assert new.tempo.seconds_per_quarter.tolist() == played.tempo.seconds_per_quarter.tolist()
    assert run("replay", "new.json", "--check").code == 0

    (tmp_path / "played.json").unlink()
    assert run("replay", "new.json", "--check").code == 0


def steps(piece: Piece) -> set[tuple[int, int]]:
    return set(
        zip(
            np.round(piece.notes["onset"] * STEPS_PER_QUARTER).tolist(),
            piece.notes["pitch"].tolist(),
            strict=True,
        )
    )


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_examples_are_played_on_their_beats(name: str, tiny_package: Path) -> None:
    result = apply(Request(name, "chopin", SamplingConfig(1), "performance", model=tiny_package))
    assert result.report["melody_notes_kept"] == len(example(name).notes)
    assert len(result.piece.bars)


def test_arches() -> None:
    bars = bars_of([(0.0, 1, 4), (1.0, 3, 4)], 25.0)
    assert bars["start"].tolist() == [-2.0, *range(1, 25, 3)]
    found = arch(np.array([-2.0, 5.5, 13.0, 19.0, 25.0]), bars)
    assert found.tolist() == [0, 1, 0, 1, 0]


def test_velocities_are_the_styles() -> None:
    piece = waltz()
    for touch in (Touch(50.0, 64.0, 9.0, 0.5), Touch(66.0, 80.0, 16.0, 0.5)):
        found, melody = velocities(piece.notes, piece.bars, touch), piece.notes["melody"]
        assert np.median(found[~melody]) == pytest.approx(touch.accompaniment, abs=1)
        assert np.median(found[melody]) == pytest.approx(touch.melody, abs=1)
    spreads = [
        velocities(piece.notes, piece.bars, replace(USUAL, spread=wide))[~melody].std()
        for wide in (4.0, 7.0, 10.0)
    ]
    assert spreads == pytest.approx([4.0, 7.0, 10.0], rel=0.35)
    close = velocities(piece.notes, piece.bars, Touch(60.0, 61.0, 9.0, 0.5))
    assert np.median(close[melody]) - np.median(close[~melody]) >= SINGING


def test_touches() -> None:
    """Composers have their own, other styles their era's, and a blend the weighted mean."""
    bach, chopin = touch_of("bach"), touch_of("chopin")
    assert bach.pedal < 0.2 < 0.6 < chopin.pedal
    assert bach.spread < chopin.spread
    assert touch_of("chorales") == touch_of("baroque") != USUAL
    assert touch_of("palestrina") == USUAL
    assert touch_of("bach:3,chopin").pedal == pytest.approx(0.75 * bach.pedal + 0.25 * chopin.pedal)


def test_loudness_of_a_data_set(tiny_data: Path) -> None:
    """Only training performances count."""
    library = Library.load(tiny_data)
    assert loudness(library.view(library.select(feel="score"))) == {}
    assert loudness(library.view(library.select(split="validation"))) == {}
    found = loudness(library.view(library.select(feel="performance")))
    assert found.keys() == {"accompaniment", "melody", "spread"}
    assert all(0 < value < 127 for value in found.values())


def test_the_pedal_of_a_file(tmp_path: Path) -> None:
    piece = replace(waltz(), pedals=((0.0, 6.0), (12.0, 24.0)))
    (tmp_path / "pedalled.mid").write_bytes(midi_bytes(piece))
    assert pedalled(tmp_path / "pedalled.mid") == pytest.approx(18 / 48)
    with pytest.raises(InputError, match="no such file"):
        pedalled(tmp_path / "missing.mid")
