"""Test how the choice among candidates affects the style.

Choices made by hand are rated by the judge that didn't learn from the ranker's pieces.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval import choice
from eval.systems import songs_in
from styletransfer.data.library import Library
from styletransfer.formats.midi_out import write_midi
from styletransfer.formats.read import read_song
from styletransfer.model.loading import melody_codec
from styletransfer.model.sampling import Candidate
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.idiom import shipped_idioms
from styletransfer.music.notes import NoteTable, make_notes
from styletransfer.tokens.plan import plan_of
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.ranking import rank
from styletransfer.transfer.request import Request
from styletransfer.transfer.source import find_melody
from tests.test_transfer_report import SONGS, StandIn
from tests.tiny import tune_of


def candidates(tune: NoteTable, count: int, seed: int) -> list[dict[str, Any]]:
    """Make random accompaniments, each in a register of its own."""
    rng, made = np.random.default_rng(seed), []
    for k in range(count):
        onset = np.sort(rng.integers(0, 20, 14)) / 2
        rest = make_notes(onset, np.full(14, 0.5), rng.integers(30 + 8 * k, 40 + 8 * k, 14))
        notes = np.concatenate([tune, rest])
        notes = notes[np.lexsort((notes["pitch"], notes["onset"]))]
        columns = {
            name: notes[name].astype(float).tolist() for name in ("onset", "duration", "pitch")
        }
        made.append(
            {
                "style": -1.0,
                "plain": -1.1,
                **columns,
                "melody": notes["melody"].astype(int).tolist(),
            }
        )
    return made


def lines_of(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as lines of JSON."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_chosen_and_their_judges(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tiny_data: Path,
) -> None:
    asked: list[tuple[str, str]] = []

    class Heard(StandIn):
        def probabilities(self, piece: Any, removed: Any = None) -> Any:
            asked.append(
                (
                    self.name,
                    "even" if piece.notes["pitch"][piece.notes["melody"]][0] % 12 == 0 else "odd",
                )
            )
            return super().probabilities(piece, removed)

    folder = tmp_path / "songs"
    folder.mkdir()
    for name, text in SONGS.items():
        (folder / f"{name}.abc").write_text(text)
    songs = {song.slug: song for song in songs_in(folder)}
    parts: list[set[str]] = []

    def idioms_in(library: Library, groups: set[str]) -> Any:
        parts.append(groups)
        return shipped_idioms()

    monkeypatch.setattr(choice, "load_judge", Heard)
    monkeypatch.setattr(choice, "idioms_in", idioms_in)
    rows = [
        {"melody": slug, "style": style, "candidates": candidates(song.melody.notes, 3, seed)}
        for seed, (slug, song) in enumerate(songs.items())
        for style in ("bach", "chopin")
    ]
    phrased = [
        row | {"candidates": candidates(songs[row["melody"]].melody.notes, 1, 9)}
        for row in rows[:1]
    ]
    report = choice.tell(rows, phrased, list(songs.values()), Library.load(tiny_data))
    assert len(parts) == 2
    assert parts[0]
    assert not parts[0] & parts[1]
    first, second = choice.JUDGES["composers"]
    assert {
        (f"{first}-b", "even"),
        (f"{first}-a", "odd"),
        (second, "even"),
        (second, "odd"),
    } == set(asked)

    chosen, idioms, one = {choice.WITH: [], choice.WITHOUT: []}, shipped_idioms(), StandIn()  # type: ignore[var-annotated]
    random, of_phrases = [], []
    for row in [*rows, *phrased]:
        worth, likely = [], []
        for kept in row["candidates"]:
            piece = songs[row["melody"]].melody.with_notes(choice.table_of(kept))
            tune = piece.notes["melody"]
            own = idioms.known(row["style"])
            assert own is not None
            alike = idioms.likeness(piece.notes[tune], piece.notes[~tune], own)
            tempo = piece.tempo.quarters_per_minute()
            total = rank.score(rank.Music(piece.notes[tune], piece.notes[~tune], tempo))["total"]
            worth.append((total, alike))
            likely.append(one.probabilities(piece)[one.labels.index(row["style"])])
        plain, alike = np.array(worth).T
        if row in phrased:
            of_phrases += likely
            continue
        chosen[choice.WITHOUT].append(likely[plain.argmax()])
        chosen[choice.WITH].append(likely[(plain + rank.WEIGHTS["idiom"] * alike).argmax()])
        random.append(np.mean(likely))
    chosen[choice.PHRASED] = [*of_phrases, *chosen[choice.WITH][1:]]
    for name, values in (*chosen.items(), (choice.RANDOM, random)):
        assert report["systems"][name]["probability"]["value"] == pytest.approx(
            np.mean(values), abs=1e-3
        )
    assert report["arrangements of several phrases"] == 1
    assert of_phrases[0] != chosen[choice.WITH][0]
    added = report[choice.PHRASES]["probability"]["value"]
    assert added == pytest.approx(
        np.mean(chosen[choice.PHRASED]) - np.mean(chosen[choice.WITH]), abs=1e-3
    )
    added = report[choice.IDIOM]["probability"]["value"]
    assert added == pytest.approx(
        np.mean(chosen[choice.WITH]) - np.mean(chosen[choice.WITHOUT]), abs=1e-3
    )

    page = tmp_path / "page.md"
    page.write_text("<!-- begin choice -->\n<!-- end choice -->\n")
    monkeypatch.setattr(choice, "MELODIES", folder)
    kept = lines_of(tmp_path / "rows.jsonl", rows)
    by_phrases = lines_of(tmp_path / "phrases.jsonl", phrased)
    out = tmp_path / "choice.json"
    call = [
        "tell",
        str(kept),
        str(by_phrases),
        *("--data", str(tiny_data), "--write", str(out), "--page", str(page)),
    ]
    assert choice.main(call) == 0
    assert json.loads(out.read_text()) == report
    assert choice.PHRASED in page.read_text()
    monkeypatch.setattr(choice, "ends_of", lambda plan: [2, 4])
    assert choice.main(call) == 2
    assert "even after chopin was not composed by phrases" in capsys.readouterr().err


@dataclass(frozen=True)
class Two(SamplingConfig):
    candidates: int = 2


def test_phrases_are_chosen_as_apply_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the measured composers, what the recipe composes is what the command writes."""
    monkeypatch.setenv(
        "STYLETRANSFER_WEIGHTS", str(Path(__file__).parents[1] / "eval" / "measured")
    )
    monkeypatch.setattr(choice, "SamplingConfig", Two)
    song = tmp_path / "song.mid"
    write_midi(tune_of(12), song)
    codec, result = melody_codec(), apply(Request(str(song), "chopin", Two()))
    assert [one["bars"] for one in result.report["phrases"]] == [[1, 8], [9, 12]]
    melody = result.melody
    assert melody is not None
    made = choice.table_of(
        choice.phrased(
            melody, "chopin", codec, plan_of(codec, codec.grid(melody)), shipped_idioms()
        )
    )
    first, second = (
        sorted(zip(one["onset"].round(3).tolist(), one["pitch"].tolist(), strict=True))
        for one in (made, result.notes)
    )
    assert first == second


def test_compose_keeps_rows_that_tell_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_data: Path
) -> None:
    """Only songs with several phrases are composed, and existing rows are kept."""
    folder = tmp_path / "songs"
    folder.mkdir()
    (folder / "short.abc").write_text(SONGS["even"])
    write_midi(tune_of(12), folder / "long.mid")
    (song,) = [
        replace(one, melody=find_melody(read_song(str(folder / "long.mid")))[0])
        for one in songs_in(folder)
    ]
    asked: list[str] = []

    def by_phrases(plan: Any, compose: Any, choose: Any) -> Any:
        asked.append("made")
        return [Candidate([[]] * plan.bars, -1.0, -1.0)], [{"candidate": 0}]

    monkeypatch.setattr(choice, "songs", lambda: [*songs_in(folder), replace(song, slug="long")])
    monkeypatch.setattr(choice, "idioms_in", lambda library, groups: shipped_idioms())
    monkeypatch.setattr(choice, "measured_model", lambda: None)
    monkeypatch.setattr(choice, "by_phrases", by_phrases)
    monkeypatch.setattr(choice, "COMPOSERS", ("bach", "chopin"))
    for _ in range(2):
        assert choice.main(["compose", str(tmp_path / "rows.jsonl"), "--data", str(tiny_data)]) == 0
        assert len(asked) == 2
    rows = choice.rows_of(tmp_path / "rows.jsonl")
    assert [(row["melody"], row["style"]) for row in rows] == [("long", "bach"), ("long", "chopin")]
    (kept,) = rows[0]["candidates"]
    np.testing.assert_array_equal(choice.table_of(kept)["pitch"], song.melody.notes["pitch"])
