"""Test the learnt harmoniser.

Tested are frames, the network, sampling, rules of craft, chords that a user has fixed, and the
recipe.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from pretrain.harmoniser import losses, main
from pretrain.harmoniser_data import Example, Telling, whole
from styletransfer.errors import InputError
from styletransfer.formats.tunes import EXAMPLES, example
from styletransfer.model import harmoniser as net
from styletransfer.model.chord_frames import chord_frames, chord_table, frames_of
from styletransfer.model.craft import broken, opening_chords, settles
from styletransfer.model.harmonising import Settings, Shipped, propose, repeats, shipped_harmoniser
from styletransfer.music.chords import CHORD_DTYPE, ChordTable
from styletransfer.music.key import Key, key_scores
from styletransfer.music.notes import Piece, bars_of, make_notes
from styletransfer.music.qualities import QUALITIES
from styletransfer.music.tune_key import key_of_tune

MAJOR, MINOR, SEVENTH = (QUALITIES.index(name) for name in ("major", "minor", "dominant-seventh"))
FEW = Settings(count=6, seed=3)


def table_of(*rows: tuple[float, float, int, int, int]) -> ChordTable:
    return np.array(list(rows), CHORD_DTYPE)


@pytest.fixture(scope="module")
def tiny() -> Shipped:
    """Make a small network with random weights."""
    torch.manual_seed(0)
    config = net.HarmoniserConfig(
        ("bach",), ("baroque",), encoder=8, layers=1, decoder=16, fit=8, style=8
    )
    model = net.Harmoniser(config)
    model.train(False)
    return Shipped(model, {"pieces": {"bach": {"hymn": 9, "song": 1}, "baroque": {"keyboard": 9}}})


def moved(piece: Piece, semitones: int) -> Piece:
    notes = piece.notes.copy()
    notes["pitch"] += semitones
    return replace(piece, notes=notes, key_signatures=())


# frames


def test_frames_are_beats_within_bars() -> None:
    """A pick-up of a beat takes the last place of its bar; a rest is marked; halves of a beat
    differ.
    """
    notes = make_notes([0.0, 1.0, 1.5, 3.0], [1.0, 0.5, 0.5, 1.0], [67, 60, 62, 64], melody=True)
    bars = bars_of([(0.0, 1, 4), (1.0, 3, 4)], 4.0)
    frames = frames_of(notes, bars, 100)
    assert frames.start.tolist() == [-2, -1, 0, 1, 2, 3]
    assert frames.place.tolist() == [0, 1, 2, 0, 1, 2]
    assert frames.strength.tolist() == [3, 1, 1, 3, 1, 1]
    assert frames.tone.tolist() == [12, 12, 7, 0, 12, 4]
    assert frames.sound[3, 0, 0] == frames.sound[3, 1, 2] == 1
    assert frames.sound.sum() == 6


@pytest.mark.parametrize(
    ("metre", "frames"), [((6, 8), 2), ((3, 8), 3), ((2, 2), 4), ((12, 8), 4), ((5, 4), 5)]
)
def test_beats_of_metres(metre: tuple[int, int], frames: int) -> None:
    bars = bars_of([(0.0, *metre)], 0.1)
    assert len(frames_of(make_notes([0.0], [0.1], [60], melody=True), bars, 100)) == frames


def test_chords_go_to_frames_and_back() -> None:
    frames = frames_of(example("twinkle").notes, example("twinkle").bars, 100)
    rest = frames.end - 6
    table = table_of((0, 3, 0, 0, 0), (3, 2, 7, 4, 11), (5, 1, -1, -1, -1), (6, rest, 0, 0, 4))
    assert chord_table(chord_frames(table, frames), frames).tobytes() == table.tobytes()


# the network and sampling


def test_sampled_chances_are_those_of_training(tiny: Shipped) -> None:
    """The decoder works frame by frame in sampling and on all frames at once in training, with the
    same log-probabilities.
    """
    piece = moved(example("greensleeves"), 2)
    frames, key = (
        frames_of(piece.notes, piece.bars, piece.tempo.quarters_per_minute()),
        key_of_tune(piece),
    )
    proposals = propose(
        piece, replace(FEW, guarded=False, composer="bach", genre="song"), harmoniser=tiny
    )
    keys = np.zeros(24)
    keys[key.tonic + 12 * (key.mode == "minor")] = 1
    for table, nats in proposals[:3]:
        told = Example(
            0, (Telling(frames, 0, keys),), chord_frames(table, frames), "bach", "unknown", "song"
        )
        with torch.inference_mode():
            loss = losses(tiny.model, [whole(told, tiny.model.config)])
        assert float(loss["change"] + loss["chord"] + loss["bass"]) / len(frames) == pytest.approx(
            -nats, abs=1e-4
        )


def test_same_seed_same_chords(tiny: Shipped) -> None:
    one, two = (propose(example("ode-to-joy"), FEW, harmoniser=tiny) for _ in range(2))
    assert [(table.tobytes(), score) for table, score in one] == [
        (table.tobytes(), score) for table, score in two
    ]
    assert [score for _, score in one] == sorted((score for _, score in one), reverse=True)
    other = propose(example("ode-to-joy"), replace(FEW, seed=4), harmoniser=tiny)
    assert other[0][0].tobytes() != one[0][0].tobytes()


@pytest.mark.parametrize("strength", [1.0, 1.5])
def test_chords_move_with_the_tune(tiny: Shipped, strength: float) -> None:
    settings = replace(FEW, strength=strength, composer="bach")
    plain = moved(example("happy-birthday"), 0)
    for (here, one), (there, two) in zip(
        propose(plain, settings, harmoniser=tiny),
        propose(moved(plain, 3), settings, harmoniser=tiny),
        strict=True,
    ):
        assert one == pytest.approx(two, abs=1e-5)
        assert ((here["root"] + 3) % 12)[here["root"] >= 0].tolist() == there["root"][
            here["root"] >= 0
        ].tolist()


def test_what_is_fixed_stands(tiny: Shipped) -> None:
    """Every proposal has the spans that a user has fixed as they were given.

    They lie on beats or off them, at the end, too.
    """
    piece = example("auld-lang-syne")
    end = float(piece.bars["start"][-1] + piece.bars["length"][-1])
    fixed = table_of(
        (3, 2, 2, SEVENTH, 6),
        (7.25, 1.5, 9, MINOR, -1),
        (12, 1, -1, -1, -1),
        (end - 2, 2, 7, MAJOR, 7),
    )
    for table, _ in propose(piece, FEW, constraints=fixed, harmoniser=tiny):
        assert table["start"][0] == piece.bars["start"][0]
        assert np.allclose(table["start"][1:], (table["start"] + table["length"])[:-1])
        assert table["start"][-1] + table["length"][-1] == end
        for row in fixed:
            for quarter in (row["start"] + 0.01, row["start"] + row["length"] - 0.01):
                own = table[np.searchsorted(table["start"], quarter, side="right") - 1]
                assert (own["root"], own["quality"]) == (row["root"], row["quality"])
                assert own["bass"] == row["bass"] or (row["bass"] < 0 <= own["bass"])


def test_a_beginning_that_is_fixed(tiny: Shipped) -> None:
    piece = example("twinkle")
    first = propose(piece, FEW, harmoniser=tiny)[0][0]
    prefix = first[first["start"] < 8]
    prefix["length"][-1] = 8 - prefix["start"][-1]
    for table, _ in propose(piece, replace(FEW, seed=9), prefix=prefix, harmoniser=tiny):
        assert table[: len(prefix) - 1].tobytes() == prefix[:-1].tobytes()


def test_a_tune_needs_notes_and_no_bars(tiny: Shipped) -> None:
    piece = example("twinkle", "performance")
    assert len(propose(piece, FEW, harmoniser=tiny)[0][0])
    with pytest.raises(ValueError, match="without notes"):
        propose(replace(piece, notes=piece.notes[:0]), harmoniser=tiny)


def test_the_genre_is_the_styles(tiny: Shipped) -> None:
    assert tiny.genre(Settings(composer="bach")) == "hymn"
    assert tiny.genre(Settings(era="baroque")) == "song"
    assert tiny.genre(Settings(composer="nobody")) == "song"
    assert tiny.genre(Settings(composer="bach", sung=False)) == "keyboard"
    assert tiny.model.config.style_ids("nobody", "baroque", "song") == [0, 1, 1]


def test_the_key_is_of_the_signature() -> None:
    """A tune of few notes fits several keys: the signature decides among them, unless the tune
    contradicts it.
    """
    notes = make_notes([0.0, 1.0, 2.0, 3.0], [1.0] * 4, [62, 64, 67, 69], melody=True)
    piece = Piece(notes, "score", bars_of([(0.0, 4, 4)], 4.0))
    assert key_of_tune(piece) == Key(2, "minor")
    for sharps, key in ((1, Key(7, "major")), (2, Key(2, "major"))):
        assert key_of_tune(replace(piece, key_signatures=((0.0, sharps, False),))) == key
    assert key_of_tune(replace(example("ode-to-joy"), key_signatures=((0.0, -5, False),))) == Key(
        2, "major"
    )


# rules of craft


def rules(piece: Piece, key: Key, *rows: tuple[float, float, int, int, int]) -> dict[str, float]:
    """Return the result of :func:`broken` for chords counted from C."""
    frames = frames_of(piece.notes, piece.bars, 100)
    chords = chord_frames(table_of(*rows), frames)
    chords[:, [0, 2]] = (chords[:, [0, 2]] - key.tonic) % 12
    return broken(chords, piece.notes, frames, key)


def test_rules() -> None:
    """The tune has five bars in G, with a C sharp in the third."""
    pitch = [67, 71, 74, 71, 69, 66, 69, 72, 73, 69, 73, 69, 74, 66, 69, 66, 67]
    piece = Piece(
        make_notes(list(range(17)), [1.0] * 16 + [4.0], pitch, melody=True),
        "score",
        bars_of([(0.0, 4, 4)], 20.0),
    )
    key = Key(7, "major")
    good = rules(
        piece,
        key,
        (0, 4, 7, 0, 7),
        (4, 4, 2, 4, 2),
        (8, 4, 9, 0, 9),
        (12, 4, 2, 4, 2),
        (16, 4, 7, 0, 7),
    )
    assert good == {
        "cadence": 0,
        "contradiction": 0,
        "foreign": 0,
        "accidental": 0,
        "standstill": 0,
        "leaps": 1,
    }

    held = rules(piece, key, (0, 8, 7, 0, 7), (8, 4, 9, 1, 9), (12, 4, 0, 0, 0), (16, 4, 7, 0, 7))
    assert held["contradiction"] == 8 / 20
    assert held["accidental"] == 1
    assert held["cadence"] == pytest.approx(0.7)
    assert held["foreign"] > 0

    line = rules(piece, key, (0, 4, 7, 0, 7), (4, 4, 2, 4, 6), (8, 4, 9, 1, 4), (12, 8, 7, 0, 7))
    assert line["leaps"] == 0

    still = rules(piece, key, (0, 20, 7, 0, 7))
    assert still["standstill"] == 3 / 5
    assert still["leaps"] == 0
    assert still["cadence"] == 1


def test_repeats() -> None:
    """Bars A B A B' A B, and a bar of rests at each end of the second half."""
    bars = [[60, 64, 67, 64], [62, 65, 69, 65], [60, 64, 67, 64], [62, 65, 69, 71], [], []]
    bars += bars[:2] + [[]]
    rows = [
        (4 * bar + place, pitch)
        for bar, tune in enumerate(bars)
        for place, pitch in enumerate(tune)
    ]
    onset, pitch = (list(column) for column in zip(*rows, strict=True))
    notes = make_notes(onset, [1.0] * len(onset), pitch, melody=True)
    frames = frames_of(notes, bars_of([(0.0, 4, 4)], 36.0), 100)
    found = repeats(frames).reshape(-1, 4)
    assert found[[0, 1, 3, 4, 5, 8]].tolist() == [[-1] * 4] * 6
    assert found[2].tolist() == [0, 1, 2, 3]
    assert found[6].tolist() == [8, 9, 10, 11]  # the later of two bars
    assert found[7].tolist() == [4, 5, 6, 7]


def test_equal_bars_keep_their_chords() -> None:
    tune = [60, 64, 67, 64, 65, 69, 72, 69, 67, 71, 74, 71, 60, 64, 67, 72] * 2
    notes = make_notes(list(range(32)), [1.0] * 32, tune, melody=True)
    piece = Piece(notes, "score", bars_of([(0.0, 4, 4)], 32.0))
    chords = propose(piece, Settings(count=8))[0][0]
    at = np.searchsorted(chords["start"], np.arange(32) + 0.5, side="right") - 1
    roots = chords["root"][at]
    assert (roots[:12] == roots[16:28]).mean() >= 0.75


def test_opening_and_end() -> None:
    piece = example("happy-birthday")
    frames, key = frames_of(piece.notes, piece.bars, 100), key_of_tune(piece)
    last = settles(piece.notes, frames, key)
    assert last is not None
    assert frames.start[last] == piece.notes["onset"][-1]
    assert settles(piece.notes[:-1], frames, key) is None
    allowed = opening_chords(frames, key)
    assert allowed is not None
    assert np.flatnonzero(allowed).tolist() == [MAJOR]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_guarded_tune_begins_and_ends_at_home(tiny: Shipped, name: str) -> None:
    piece = example(name)
    key = key_of_tune(piece)
    for table, _ in propose(piece, FEW, harmoniser=tiny):
        named = table[table["root"] >= 0]
        assert (named["root"][0] - key.tonic) % 12 in (0, 7)
        assert (table[-1]["root"], table[-1]["bass"]) == (key.tonic, key.tonic)
        assert table[-1]["quality"] == (MINOR if key.mode == "minor" else MAJOR)


# training and files


def test_a_batch_is_learnt_by_heart(tiny: Shipped) -> None:
    torch.manual_seed(1)
    piece = example("frere-jacques")
    frames = frames_of(piece.notes, piece.bars, 100)
    chords = chord_frames(table_of((0, 6, 5, 0, 5), (6, 4, 0, 4, 4), (10, 30, 5, 0, 9)), frames)
    telling = Telling(frames, 0, key_scores(piece.notes).ravel())
    told = whole(Example(0, (telling,), chords, "bach", "baroque", "song"), tiny.model.config)
    model = net.Harmoniser(replace(tiny.model.config, dropout=0.0))
    optimizer = torch.optim.AdamW(model.parameters(), 0.03)
    for _ in range(60):
        found = losses(model, [told])
        loss = (found["change"] + found["chord"] + found["bass"]) / found["frames"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_a_folder_is_checked(tiny: Shipped, tmp_path: Path) -> None:
    weights = save({name: tensor.half() for name, tensor in tiny.model.state_dict().items()})
    manifest = net.manifest_of(tiny.model.config, weights, minutes=1)
    (tmp_path / "model.safetensors").write_bytes(weights)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    model, told = net.load_harmoniser(tmp_path)
    assert told["minutes"] == 1
    assert model.config == tiny.model.config
    assert propose(example("twinkle"), FEW, harmoniser=Shipped(model, told))
    (tmp_path / "model.safetensors").write_bytes(weights[:-1] + b"x")
    with pytest.raises(InputError, match="damaged"):
        net.load_harmoniser(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"version": 0}))
    with pytest.raises(InputError, match="not a harmoniser of this version"):
        net.load_harmoniser(tmp_path)


def test_the_recipe(tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second of training writes a folder that proposes chords and
    records what it was made from.
    """
    assert (
        main(["--data", str(tiny_data), "--out", str(tmp_path / "made"), "--minutes", "0.02"]) == 0
    )
    model, manifest = net.load_harmoniser(tmp_path / "made")
    assert manifest["pieces"]["chopin"] == {"song": 4}
    assert 0 < manifest["validation"]["nats"] < 10
    assert "validation nats" in capsys.readouterr().out
    assert propose(
        example("twinkle"), replace(FEW, composer="chopin"), harmoniser=Shipped(model, manifest)
    )


def test_the_shipped_one_leads_home() -> None:
    """Its proposals for a plain tune change chords, and end with a dominant and the tonic."""
    shipped = shipped_harmoniser()
    assert {"bach", "schubert"} <= set(shipped.model.config.composers)
    table = propose(
        example("happy-birthday"), Settings(composer="schubert", era="romantic", count=16)
    )[0][0]
    assert len(table) >= 6
    before = table[table["root"] != table["root"][-1]][-1]
    assert (before["root"] - table["root"][-1]) % 12 in (7, 11)
