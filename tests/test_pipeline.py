"""Arrange with an untrained model: the tune, its timing and its bars stay intact.

This holds whatever is sampled.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from styletransfer.errors import InputError
from styletransfer.formats.midi_out import midi_bytes, note_ticks, write_midi
from styletransfer.formats.read import read_score, read_song
from styletransfer.formats.tunes import EXAMPLES, example
from styletransfer.model.base import save_package
from styletransfer.model.loading import load_model, shipped_model
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.ensemble import PIANO
from styletransfer.music.melody import extract_melody
from styletransfer.music.notes import NoteTable, Piece, TempoMap, bars_of, make_notes
from styletransfer.styles.find import find_style
from styletransfer.tokens.controls import COMPOSER_ERAS, ERAS
from styletransfer.transfer.free import generate
from styletransfer.transfer.performance.dynamics import SINGING
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.request import Request
from styletransfer.transfer.result import Result
from styletransfer.transfer.source import find_melody
from tests.style_folders import GOOD, adapter
from tests.tiny import codec, random_piece, short_song, tiny_model, tiny_sizes

ONE = SamplingConfig(candidates=1, strength=1.0)


def arranged(song: str | Path, package: Path, tmp_path: Path, **more: Any) -> tuple[Result, Piece]:
    """Return the result, and its file as another program would read it."""
    request = Request(str(song), **({"style": "chopin", "sampling": ONE, "model": package} | more))
    result = apply(request)
    write_midi(result.piece, tmp_path / "out.mid")
    return result, read_score(tmp_path / "out.mid", result.piece.feel)


def rows(notes: NoteTable, ticks: int) -> list[tuple[int, int, int]]:
    onset, end = note_ticks(notes, ticks)
    return sorted(zip(onset.tolist(), end.tolist(), notes["pitch"].tolist(), strict=True))


def check(source: Piece, result: Result, written: Piece) -> None:
    """Check the melody to the tick, and that everything about time is unchanged.

    The melody is moved by the octaves that the report names.
    """
    tune = source.notes[extract_melody(source)].copy()
    tune["pitch"] += 12 * result.report["octaves_moved"]
    assert written.ticks_per_quarter == source.ticks_per_quarter
    assert written.parts[0] == "Melody"
    assert set(written.parts) <= set(PIANO.names)
    assert rows(written.notes[written.notes["part"] == 0], written.ticks_per_quarter) == rows(
        tune, source.ticks_per_quarter
    )

    np.testing.assert_array_equal(written.tempo.quarters, source.tempo.quarters)
    np.testing.assert_allclose(
        written.tempo.seconds_per_quarter, source.tempo.seconds_per_quarter, atol=1e-6
    )
    report = result.report
    assert report["melody_notes_kept"] == report["melody_notes"] == len(tune)
    assert report["notes"] == len(result.piece.notes) == len(written.notes)
    assert report["notes"] > len(tune)

    if source.feel == "score":
        end = float((tune["onset"] + tune["duration"]).max())
        bars = source.bars[source.bars["start"] < end - 1e-6]
        np.testing.assert_array_equal(written.bars[: len(bars)], bars)
        assert written.key_signatures == source.key_signatures
        accompaniment = written.notes[written.notes["part"] > 0]
        assert (accompaniment["onset"] < bars["start"][-1] + bars["length"][-1]).all()


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_examples_keep_their_tune(name: str, tiny_package: Path, tmp_path: Path) -> None:
    result, written = arranged(name, tiny_package, tmp_path)
    check(example(name), result, written)
    np.testing.assert_allclose(
        result.piece.length_seconds, result.report["seconds_of_music"], atol=0.01
    )


def random_song(seed: int) -> Piece:
    """Make a melody and chords on ticks, 96 or 100 per quarter.

    With changes of metre, tempo and key, and a pick-up.
    """
    rng = np.random.default_rng(seed)
    ticks = (96, 100, 480)[seed % 3]
    signatures = [(0.0, 1, 4), (1.0, *((3, 4), (6, 8), (5, 4))[seed % 3])]
    first = signatures[1][0] + 2 * 4 * signatures[1][1] / signatures[1][2]
    signatures.append((first, 4, 4))
    length = np.where(rng.random(24) < 0.5, ticks, ticks // 2)
    onset = np.cumsum(length) - length[0]
    chords = np.arange(1, int(onset[-1] / ticks), 2)
    notes = make_notes(
        np.concatenate([onset / ticks, np.repeat(chords, 2)]),
        np.concatenate(
            [(length - rng.integers(0, 5, len(length))) / ticks, np.ones(2 * len(chords))]
        ),
        np.concatenate(
            [rng.integers(50 + 10 * (seed % 2), 80, 24), np.tile([40, 44], len(chords))]
        ),
        part=np.repeat([0, 1], [24, 2 * len(chords)]),
    )
    tempo = TempoMap(np.array([0.0, first]), np.array([0.6, 0.41]))
    keys = ((0.0, 2, False), (first, -3, True))
    bars = bars_of(signatures, float((notes["onset"] + notes["duration"]).max()))
    return Piece(notes, "score", bars, tempo, ticks, ("Lead vocal", "Chords"), keys)


@pytest.mark.parametrize("seed", range(4))
def test_songs_keep_their_tune_metre_tempo_and_key(
    seed: int, tiny_package: Path, tmp_path: Path
) -> None:
    song = tmp_path / "song.mid"
    write_midi(random_song(seed), song)
    source = read_score(song)
    assert source.feel == "score"
    assert len(source.tempo.quarters) == 2
    result, written = arranged(song, tiny_package, tmp_path)
    check(source, result, written)
    assert sings(result.piece) >= SINGING


def test_the_melody_track_may_be_named(tiny_package: Path, tmp_path: Path) -> None:
    """The named track lies below the flute: all its notes are kept, and none of the flute's."""
    notes = make_notes(
        [0, 1, 2, 3] * 2, [1.0] * 8, [84, 86, 88, 84, 72, 74, 76, 72], part=[0] * 4 + [1] * 4
    )
    song = tmp_path / "song.mid"
    write_midi(Piece(notes, "score", bars_of([(0.0, 4, 4)], 4.0), parts=("Flute", "Horn")), song)
    result, _ = arranged(song, tiny_package, tmp_path, melody_track="horn")
    assert result.piece.melody["pitch"].tolist() == [72, 74, 76, 72]
    with pytest.raises(InputError, match="1 Flute, 2 Horn"):
        arranged(song, tiny_package, tmp_path, melody_track="3")
    numbered = ("Violin 2", "Horn")
    write_midi(Piece(notes, "score", bars_of([(0.0, 4, 4)], 4.0), parts=numbered), song, force=True)
    for track, first in (("2", 72), ("violin", 84)):
        result = apply(Request(str(song), "chopin", ONE, model=tiny_package, melody_track=track))
        assert result.piece.melody["pitch"][0] == first


@pytest.mark.parametrize("first", [3.998, 0.99, 2.99])
def test_a_first_bar_of_odd_length(first: float, tiny_package: Path, tmp_path: Path) -> None:
    """A pick-up between two steps put notes before the beginning.

    The file was never finished.
    """
    notes = make_notes(np.arange(12) * 1.0, np.ones(12), np.tile([72, 74, 76, 77], 3))
    bars = bars_of([(0.0, 4, 4), (round(first * 480) / 480, 4, 4)], 12.0)
    assert (bars["start"][0] < 0) == (first < 3.9)  # a tick short of its metre is no pick-up
    write_midi(Piece(notes, "score", bars, parts=("Tune",)), tmp_path / "song.mid")
    result, _ = arranged(tmp_path / "song.mid", tiny_package, tmp_path, feel="score")
    assert result.report["on_beats"]
    assert result.report["melody_notes_kept"] == 12
    assert result.piece.notes["onset"].min() == 0


def test_a_coarse_file_gets_the_ticks_that_an_accompaniment_needs(
    tiny_package: Path, tmp_path: Path
) -> None:
    notes = make_notes(np.arange(8) * 1.0, np.ones(8), np.tile([72, 74, 76, 77], 2))
    song = Piece(notes, "score", bars_of([(0.0, 4, 4)], 8.0), ticks_per_quarter=1, parts=("Tune",))
    write_midi(song, tmp_path / "song.mid")
    result, written = arranged(tmp_path / "song.mid", tiny_package, tmp_path)
    assert written.ticks_per_quarter == 96
    assert result.report["melody_notes_kept"] == 8
    assert (written.notes["onset"] % 1 > 0).any()


def sings(piece: Piece) -> float:
    """Return by how much the melody is louder than the accompaniment.

    It is the difference of their median velocities.
    """
    melody = piece.notes["melody"]
    return float(
        np.median(piece.notes["velocity"][melody]) - np.median(piece.notes["velocity"][~melody])
    )


@pytest.mark.parametrize("seed", range(3))
def test_performances_keep_their_tune(seed: int, tiny_package: Path, tmp_path: Path) -> None:
    song = tmp_path / "song.mid"
    write_midi(random_piece(seed, "performance"), song)
    source = read_score(song)
    assert source.feel == "performance"
    result, written = arranged(song, tiny_package, tmp_path)
    check(source, result, written)
    assert len(set(result.piece.notes["velocity"].tolist())) > 3
    assert sings(result.piece) >= SINGING


def test_a_performance_may_be_taken_for_a_score(tiny_package: Path, tmp_path: Path) -> None:
    song = tmp_path / "song.mid"
    write_midi(random_piece(1, "performance"), song)
    result, written = arranged(song, tiny_package, tmp_path, feel="score")
    assert (result.report["feel"], result.report["on_beats"]) == ("score", True)
    check(read_score(song, "score"), result, written)


@pytest.mark.parametrize("style", [*COMPOSER_ERAS, *ERAS, "bach:3,chopin"])
def test_every_style_works(style: str, tiny_package: Path, tmp_path: Path) -> None:
    sampling = SamplingConfig(2, strength=1.5)
    result, _ = arranged(
        short_song(tmp_path / "song.mid"), tiny_package, tmp_path, style=style, sampling=sampling
    )
    assert result.report["style"] == style
    assert result.report["melody_notes_kept"] == 4
    assert len(result.report["candidates"]) == 2
    best = result.report["candidates"][result.report["candidate"]]
    assert best["total"] == max(one["total"] for one in result.report["candidates"])


def test_same_seed_same_bytes(tiny_package: Path, tmp_path: Path) -> None:
    path = str(short_song(tmp_path / "song.mid"))

    def song(seed: int, style: str = "bach") -> bytes:
        sampling = SamplingConfig(candidates=2, strength=1.5, seed=seed)
        return midi_bytes(apply(Request(path, style, sampling, model=tiny_package)).piece)

    assert song(3) == song(3)
    assert song(3) != song(4)
    assert song(3) != song(3, "chopin")


def test_a_low_melody_moves_up_unless_forbidden(tiny_package: Path, tmp_path: Path) -> None:
    notes = make_notes(np.arange(8.0), np.ones(8), [40, 43, 45, 40, 47, 45, 43, 40])
    source = Piece(notes, "score", bars_of([(0.0, 4, 4)], 8.0))
    assert find_melody(source)[1] == 2
    assert find_melody(source, keep_register=True)[1] == 0
    song = tmp_path / "song.mid"
    write_midi(source, song)
    for keep, octaves in ((False, 2), (True, 0)):
        result, written = arranged(song, tiny_package, tmp_path, keep_register=keep)
        assert result.report["octaves_moved"] == octaves
        check(source, result, written)
        (tmp_path / "out.mid").unlink()


def test_a_melody_is_not_moved_off_the_end_of_midi() -> None:
    """A low tune with one very high note was moved to pitches above 127.

    These can't be written to a file.
    """
    notes = make_notes(np.arange(5.0), np.ones(5), [40, 41, 42, 43, 120])
    melody, octaves = find_melody(Piece(notes, "score", bars_of([(0.0, 4, 4)], 5.0)))
    assert octaves == 0
    assert melody.notes["pitch"].max() == 120


def test_composing_freely(tiny_package: Path) -> None:
    """It lasts about as long as was asked for, and is the same for the same seed."""
    first, again, other = (
        generate("debussy", 8, SamplingConfig(1, seed=s), tiny_package) for s in (1, 1, 2)
    )
    assert midi_bytes(first.piece) == midi_bytes(again.piece) != midi_bytes(other.piece)
    assert len(first.piece.notes) == first.report["notes"] > 0
    assert first.piece.onset_seconds.max() < 8
    assert not first.piece.notes["melody"].any()
    for seconds in (0.5, 4000):
        with pytest.raises(InputError, match="from 1 to 3600"):
            generate("debussy", seconds, ONE, tiny_package)


def test_progress_ends_at_one(tiny_package: Path) -> None:
    shares: list[float] = []
    apply(Request("frere-jacques", "mozart", ONE, model=tiny_package), shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_examples_are_read_by_name() -> None:
    np.testing.assert_array_equal(read_song("twinkle").notes, example("twinkle").notes)


def test_damaged_or_foreign_weights_are_refused(tmp_path: Path) -> None:
    """There are a flipped byte, a foreign tokenizer, and a folder that isn't a model."""
    sizes = vars(tiny_sizes(64))
    folders = [tmp_path / name for name in ("damaged", "foreign")]
    for folder, digest in zip(folders, (codec().hash, "0" * 16), strict=True):
        save_package(
            tiny_model(64), folder, codec().vocabulary, {"model": sizes, "tokenizer_hash": digest}
        )
    weights = folders[0] / "model-00001.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    for folder, message in zip(
        [*folders, tmp_path], ("damaged", "another tokenizer", "not a model"), strict=True
    ):
        with pytest.raises(InputError, match=message):
            load_model(folder)


def test_weights_may_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = replace(GOOD, name="chopin", kind="composer", composer="chopin")
    adapter(tmp_path / "weights" / "styles" / "chopin", card)
    monkeypatch.setenv("STYLETRANSFER_WEIGHTS", str(tmp_path / "weights"))
    assert find_style("chopin").path == tmp_path / "weights" / "styles" / "chopin"
    assert find_style("chopin").ships
    assert shipped_model() == tmp_path / "weights" / "base"
    assert find_style("bach").path is None


def test_weights_survive_the_package(tiny_package: Path) -> None:
    """Weights ship in half precision; rotary frequencies and tied head are rebuilt."""
    import torch

    from styletransfer.model.base import load_package

    model = tiny_model(64)
    folder = tiny_package.parent / "again"
    save_package(
        model,
        folder,
        codec().vocabulary,
        {"model": vars(tiny_sizes(64)), "tokenizer_hash": codec().hash},
    )
    loaded, vocabulary, _ = load_package(folder)
    assert list(vocabulary.items()) == list(codec().vocabulary.items())
    ids = torch.arange(60)[None]
    with torch.inference_mode():
        torch.testing.assert_close(
            loaded(input_ids=ids).logits, model(input_ids=ids).logits, atol=0.05, rtol=0.01
        )
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
