"""The modes of ``apply`` in which the melody isn't locked note for note."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from styletransfer.formats.midi_out import note_ticks, write_midi
from styletransfer.formats.read import read_score
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.chord_names import chords_of_line, line_of
from styletransfer.music.key import Key
from styletransfer.music.notes import Feel, Piece, bars_of, make_notes
from styletransfer.transfer.continuation import chords_after
from styletransfer.transfer.ornaments import FREED, structural_notes
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.request import Request
from tests.command import ONE, Run, refused
from tests.tiny import random_piece, short_song

SAMPLING = SamplingConfig(candidates=1, strength=1.0)


def notes_at(piece: Piece) -> set[tuple[int, int]]:
    """Return tick and pitch of every melody note."""
    onset, _ = note_ticks(piece.notes, piece.ticks_per_quarter)
    melody = piece.notes["melody"]
    return set(zip(onset[melody].tolist(), piece.notes["pitch"][melody].tolist(), strict=True))


@pytest.mark.parametrize("feel", ["score", "performance"])
def test_ornaments_leave_the_structural_notes(
    feel: Feel, tiny_package: Path, tmp_path: Path
) -> None:
    """At least 90 % of the onsets stay with their pitch.

    They are one line in the part of the melody, with ornaments between them.
    """
    song = tmp_path / "song.mid"
    write_midi(random_piece(5, feel, 12), song)
    result = apply(
        Request(str(song), "bach", SAMPLING, feel, model=tiny_package, keep="ornamented")
    )
    assert result.melody is not None

    told, piece, report = result.melody, result.piece, result.report
    held = structural_notes(told)
    assert held.mean() >= 1 - FREED
    assert notes_at(told.with_notes(told.notes[held])) <= notes_at(piece)
    assert report["melody_notes_kept"] >= 0.9 * report["melody_notes"]

    line = piece.notes[piece.notes["melody"]]
    assert report["ornaments"] == len(line) - held.sum() > 0

    ends = (line["onset"] + line["duration"])[:-1]
    assert (ends <= line["onset"][1:] + 1e-6).all()
    assert (line["part"] == 0).all()

    last = told.notes[-1]
    assert line[-1]["onset"] == last["onset"]
    assert line[-1]["duration"] == last["duration"]


def test_which_notes_are_structural() -> None:
    """At most a tenth of the short notes between the beats is free, the shortest first.

    The first and the last note never are.
    """
    onset = np.concatenate([np.arange(9.0), [9.0, 9.25, 9.5, 9.75, 9.875, 10.0]])
    length = np.diff(np.append(onset, 10.25))
    piece = Piece(
        make_notes(onset, length, np.arange(60, 75)), "score", bars_of([(0.0, 4, 4)], 11.0)
    )
    assert onset[~structural_notes(piece)].tolist() == [9.75]
    assert structural_notes(piece.with_notes(piece.notes[:9])).all()


def test_regenerated_music_is_only_shown_the_melody(
    tiny_package: Path, tmp_path: Path, run: Run
) -> None:
    """The remaining melody is in its own part, and counted; the same seed gives the same music."""
    write_midi(random_piece(5, "score", 12), tmp_path / "song.mid")
    common = ("-s", "bach", "--model", tiny_package, *ONE)
    outcome = run("apply", "song.mid", *common, "--mode", "regenerate", "--json")
    report = json.loads(outcome.out)
    assert report["mode"] == "regenerate"
    assert report["melody_notes_kept"] < report["melody_notes"]
    assert [row["bar"] for row in report["harmony"]] == [
        1,
        2,
        3,
        4,
    ]  # the plan, which the model is told, too
    written = read_score(tmp_path / "song-bach.mid")
    tune = [written.parts[part] == "Melody" for part in written.notes["part"]]
    assert sum(tune) == report["melody_notes_kept"]
    assert report["notes"] == len(written.notes) > 0
    assert run("replay", "song-bach.json", "--check").code == 0


def test_modes_that_do_not_go_together_are_refused(run: Run, tmp_path: Path) -> None:
    short_song(tmp_path / "song.mid")
    for words, message in (
        ("--mode sing", "--mode sing"),
        ("--keep most", "--keep most"),
        ("--mode regenerate --keep ornamented", "keeps no notes"),
        ("--bars 1 --keep ornamented", "--bars keeps"),
        ("--bars 1 --mode regenerate", "--bars keeps"),
    ):
        refused(run("apply", "song.mid", "-s", "bach", *words.split()), message)


@pytest.mark.parametrize("feel", ["score", "performance"])
def test_continuing_after_the_tune(
    feel: Feel, tiny_package: Path, tmp_path: Path, run: Run
) -> None:
    """The arrangement is the same as without it.

    The requested seconds follow, without the part of the tune.
    """
    write_midi(random_piece(5, feel, 9), tmp_path / "song.mid")
    common = (
        "song.mid",
        "-s",
        "bach",
        "--model",
        tiny_package,
        *ONE,
        "--feel",
        feel,
        "--temperature",
        "3",
    )
    assert run("apply", *common, "-o", "tune.mid").code == 0

    outcome = run("apply", *common, "--mode", "continue", "--seconds", "5", "-o", "more.mid")
    assert (outcome.code, outcome.err) == (0, "")

    tune, more = (read_score(tmp_path / name, feel) for name in ("tune.mid", "more.mid"))
    melody = tune.notes["part"] == tune.parts.index("Melody")
    end = float((tune.onset_seconds + tune.duration_seconds)[melody].max())
    columns = ["onset", "pitch", "velocity"]
    made = set(tune.notes[columns].tolist())
    assert made <= set(more.notes[columns].tolist())

    new = np.array([row not in made for row in more.notes[columns].tolist()])
    assert new.sum() > 3
    assert more.notes["onset"][new].min() >= tune.notes["onset"].max()
    assert end + 2 < more.onset_seconds.max() < end + 5
    assert (more.onset_seconds + more.duration_seconds)[new].max() <= end + 5 + 0.01
    assert {more.parts[part] for part in more.notes["part"][new]} <= {
        "Accompaniment, right hand",
        "Accompaniment, left hand",
    }
    assert run("replay", "more.json", "--check").code == 0


@pytest.mark.parametrize("feel", ["score", "performance"])
def test_the_continuation_closes_in_the_tunes_key(
    feel: Feel, tiny_package: Path, tmp_path: Path, run: Run
) -> None:
    """The last bar has a full chord with the root lowest, until the end.

    No dissonant note is held into it.
    """
    pitch = [72, 76, 79, 76, 72, 76, 79, 72]  # C major
    notes = make_notes([k / 2 for k in range(8)], [0.5] * 8, pitch, melody=True)
    bars = bars_of([(0.0, 2, 4)], 4.0)
    write_midi(
        Piece(notes, feel, bars if feel == "score" else bars[:0], parts=("Melody",)),
        tmp_path / "song.mid",
    )
    common = (
        "song.mid",
        "-s",
        "bach",
        "--model",
        tiny_package,
        *ONE,
        "--feel",
        feel,
        "--temperature",
        "3",
    )
    for seed in ("1", "2", "3"):
        name = f"more-{seed}.mid"
        call = (
            "apply",
            *common,
            "--mode",
            "continue",
            "--seconds",
            "6",
            "--seed",
            seed,
            "-o",
            name,
        )
        assert run(*call).code == 0
        more = read_score(tmp_path / name, feel)
        end = (more.onset_seconds + more.duration_seconds).max()
        sounding = more.notes["pitch"][
            more.onset_seconds + more.duration_seconds > end - 0.02
        ].astype(int)
        assert len(sounding) >= 3
        assert sounding.min() % 12 == 0
        assert set(sounding % 12) in ({0}, {0, 4}, {0, 4, 7})
        last = more.onset_seconds.max()
        assert (more.onset_seconds > last - 0.02).sum() >= 3
        assert end - last > 0.4


def test_the_harmony_continues_after_the_tune(tiny_package: Path, tmp_path: Path, run: Run) -> None:
    """The tune's chords follow once more, from its first whole bar, up to dominant and tonic.

    The report has all of them.
    """
    pitch = [67, 72, 76, 79, 76, 72, 74, 71, 72]  # a pick-up and two bars of C major
    notes = make_notes([k / 1.0 for k in range(9)], [1.0] * 9, pitch, melody=True)
    song = Piece(notes, "score", bars_of([(0.0, 1, 4), (1.0, 4, 4)], 9.0), parts=("Melody",))
    write_midi(song, tmp_path / "song.mid")
    words = ("--mode", "continue", "--seconds", "10", "--chords", "C Am | F C", "--json")
    report = json.loads(
        run("apply", "song.mid", "-s", "bach", "--model", tiny_package, *ONE, *words).out
    )
    symbols = [[chord["symbol"] for chord in row["chords"]] for row in report["harmony"][1:]]
    assert symbols[:3] == [["C", "Am"], ["F", "C"], ["C", "Am"]]
    assert symbols[-2][-1] == "G7"
    assert symbols[-1] == ["C"]
    assert report["harmony"][-1]["cadence"] == "authentic"
    written = read_score(tmp_path / "song-bach.mid", "score")
    assert len(written.bars) == len(report["harmony"])


@pytest.mark.parametrize("count", [1, 2, 3, 7, 11])
def test_a_next_verse(count: int) -> None:
    """It begins as the tune does, and ends as it does where there is room for both.

    The tune's own chords don't change.
    """
    bars = bars_of([(0.0, 3, 4)], 3.0 * (8 + count))
    line = "C | F | Dm | Em | Am | F | G7 | C"
    tune = chords_of_line(line, bars[:8])
    table = chords_after(tune, bars, 8, Key(0, "major"))
    told = line_of(table, bars, Key(0, "major"))
    assert told[:8] == line.split(" | ")
    assert table["length"].sum() == pytest.approx(3.0 * len(bars))
    wanted = {1: "C", 2: "C G7 | C", 3: "C | F G7 | C", 7: "C | F | Dm | Am | F | G7 | C"}
    wanted[11] = "C | F | Dm | Em | Am | F | G7 | Am | F | G7 | C"
    assert " | ".join(told[8:]) == wanted[count]


def test_seconds_belong_to_continue(run: Run, tmp_path: Path) -> None:
    short_song(tmp_path / "song.mid")
    for words in ("--mode continue", "--seconds 9", "--mode regenerate --seconds 9"):
        refused(run("apply", "song.mid", "-s", "bach", *words.split()), "go together")
    for seconds in ("0", "4000", "nan"):
        refused(
            run("apply", "song.mid", "-s", "bach", "--mode", "continue", "--seconds", seconds),
            "from 1 to 3600",
        )
