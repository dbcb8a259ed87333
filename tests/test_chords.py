"""``--chords keep``: the song's own harmony, found beat by beat, and an accompaniment that is held to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from styletransfer.model.settings import SamplingConfig
from styletransfer.score.notes import Feel, Piece, bars_of, make_notes
from styletransfer.score.write import write_midi
from styletransfer.tokens.chords import PASSING
from styletransfer.tokens.codec import STEPS_PER_QUARTER
from styletransfer.tokens.grammar import plan_of
from styletransfer.transfer.chords import harmony_of
from styletransfer.transfer.pipeline import apply, find_melody
from styletransfer.transfer.request import Request
from tests.command import ONE, Run, refused
from tests.tiny import codec, short_song

PROGRESSION = ((48, 52, 55), (53, 57, 60), (43, 47, 50, 53), (45, 48, 52))  # C, F, G7, A minor: two quarters each


def song(feel: Feel = "score") -> Piece:
    """A tune in C over a chord every two quarters, struck or broken, and two quarters without any."""
    tune = [72, 76, 77, 81, 74, 79, 76, 72, 76, 72]
    rows = [(float(k), 1.0, pitch, 0) for k, pitch in enumerate(tune)]
    for number, chord in enumerate(PROGRESSION):
        for k, pitch in enumerate(chord):
            broken = number == 1
            rows.append((2.0 * number + (0.5 * k if broken else 0), 0.5 if broken else 2.0, pitch, 1))
    onset, length, pitch, part = np.array(rows).T
    notes = make_notes(onset, length, pitch.astype(int), part=part.astype(int), melody=part == 0)
    bars = bars_of([(0.0, 2, 4)], 10.0)
    return Piece(notes, feel, bars if feel == "score" else bars[:0], parts=("Melody", "Chords"))


def test_the_chords_of_a_song() -> None:
    source = song()
    melody, octaves = find_melody(source)
    plan = plan_of(codec(), codec().grid(melody))
    harmony = harmony_of(source, melody, octaves, codec(), plan)
    assert harmony.start.tolist() == [STEPS_PER_QUARTER * k for k in range(10)]
    found = [set(np.flatnonzero(row).tolist()) for row in harmony.tones]
    wanted = [{pitch % 12 for pitch in chord} for chord in PROGRESSION for _ in range(2)]
    assert found == [*wanted, *[set(range(12))] * 2]
    assert harmony.longest(0, 60) == 4 * STEPS_PER_QUARTER  # C is of C and of F
    assert harmony.longest(0, 61) == PASSING
    assert harmony.longest(6 * STEPS_PER_QUARTER, 64) > 1000
    assert harmony.allows(12).all()  # between the beats


@pytest.mark.parametrize("feel", ["score", "performance"])
def test_the_accompaniment_is_held_to_them(feel: Feel, tiny_package: Path, tmp_path: Path) -> None:
    """On every beat only tones of its chord begin, and none lasts into a chord that it isn't of."""
    path = tmp_path / "song.mid"
    write_midi(song(feel), path)
    sampling = SamplingConfig(candidates=1, strength=1.0, temperature=3.0)
    request = Request(str(path), "bach", sampling, feel, model=tiny_package, chords="keep")
    result = apply(request)
    around = result.piece.notes[~result.piece.notes["melody"]]
    chords = [*PROGRESSION, tuple(range(12))]
    struck = 0
    for note in around:
        begin, end = float(note["onset"]), float(note["onset"] + note["duration"])
        tone, passing = int(note["pitch"]) % 12, float(note["duration"]) <= PASSING / STEPS_PER_QUARTER + 1e-6
        touched = [{pitch % 12 for pitch in chords[k]} for k in range(5) if begin < 2 * k + 2 - 1e-6 and end > 2 * k + 1e-6]
        fits = all(tone in chord for chord in touched)
        on_beat = abs(begin - round(begin)) < 1e-6
        struck += on_beat and begin < 8
        assert fits or (passing and not on_beat), (begin, end, tone, touched)
    assert struck > 3
    free = apply(Request(str(path), "bach", sampling, feel, model=tiny_package))
    assert free.report["chords"] == "new"
    assert free.piece.notes.tolist() != result.piece.notes.tolist()


def test_a_tune_alone_has_none(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    short_song(tmp_path / "song.mid")
    common = ("apply", "song.mid", "-s", "bach", "--model", tiny_package, *ONE)
    refused(run(*common, "--chords", "keep"), "melody alone", "--chords keep")
    refused(run(*common, "--chords", "some"), "--chords some")
    assert run(*common).code == 0
    common = ("apply", "song-bach.mid", "-s", "bach", "--model", tiny_package, *ONE)
    assert run(*common, "--bars", "1", "--chords", "keep", "-o", "again.mid").code == 0
    assert run("replay", "again.json", "--check").code == 0
