"""Test choices phrase by phrase: where phrases end, and that nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from styletransfer.errors import InputError
from styletransfer.formats.midi_out import midi_bytes, write_midi
from styletransfer.model import sampling
from styletransfer.model.sampling import Candidate, sample, voices_of
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.notes import NoteTable
from styletransfer.tokens.controls import Controls
from styletransfer.tokens.plan import Plan, plan_of
from styletransfer.transfer.phrases import by_phrases, ends_of
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.ranking import rank
from styletransfer.transfer.request import Request
from styletransfer.transfer.result import Result
from tests.command import SONG_AFTER_BACH, Run, refused
from tests.tiny import codec, random_piece, save_tiny_package, tiny_model, tune_of

THREE = SamplingConfig(candidates=3, strength=1.0)


def plan(bars: int, upbeat: int = 0) -> Plan:
    return plan_of(codec(), codec().grid(tune_of(bars, upbeat)))


@pytest.mark.parametrize(
    ("bars", "upbeat", "ends"),
    [(3, 0, [3]), (8, 0, [8]), (8, 1, [9]), (11, 0, [11]), (12, 0, [8, 12]), (16, 1, [9, 17]),
     (19, 0, [8, 19]), (24, 0, [8, 16, 24])],
)  # fmt: skip
def test_phrases_are_of_eight_bars(bars: int, upbeat: int, ends: list[int]) -> None:
    assert ends_of(plan(bars, upbeat)) == ends


def test_phrases_of_bars_to_redo() -> None:
    assert ends_of(replace(plan(30), given=((),) * 4, stop=24)) == [12, 20, 24]
    assert ends_of(replace(plan(30), given=((),) * 4, stop=9)) == [9]


def test_the_chosen_phrase_is_continued() -> None:
    """Each phrase continues the best candidate of the one before.

    The progress never falls.
    """
    asked: list[tuple[int, int | None]] = []
    shares: list[float] = []

    def compose(part: Plan, progress: Any) -> list[Candidate]:
        asked.append((len(part.given), part.stop))
        progress(0.5)
        progress(1.0)
        new = (part.stop or 0) - len(part.given)
        return [Candidate([*map(list, part.given), *[[k]] * new], 0.0, 0.0) for k in (10, 20, 30)]

    def choose(found: list[Candidate], first: int, end: int) -> tuple[int, float]:
        return (1, 2.5) if first == 0 else (2, 1.5)

    candidates, chosen = by_phrases(plan(24), compose, choose, shares.append)
    assert asked == [(0, 8), (8, 16), (16, 24)]
    assert [one.bars for one in candidates] == [
        [[20]] * 8 + [[30]] * 8 + [[k]] * 8 for k in (10, 20, 30)
    ]
    assert [(one["bars"], one["candidate"], one["total"]) for one in chosen] == [
        ([0, 8], 1, 2.5),
        ([8, 16], 2, 1.5),
        ([16, 24], 2, 1.5),
    ]
    np.testing.assert_allclose(shares, [1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6, 1])


@pytest.mark.parametrize("done", [11, 16])
def test_a_stopped_phrase_is_the_last(done: int) -> None:
    """This holds even if Ctrl-C comes with the last note of a phrase."""

    def compose(part: Plan, progress: Any) -> list[Candidate]:
        return [
            Candidate([[k]] * (done if part.given else 8), 0.0, 0.0, bool(part.given))
            for k in (10, 20)
        ]

    candidates, chosen = by_phrases(plan(24), compose, lambda found, first, end: (0, 0.0))
    assert [len(one.bars) for one in candidates] == [done, done]
    assert len(chosen) == 1


def test_ctrl_c_while_a_phrase_is_chosen() -> None:
    def compose(part: Plan, progress: Any) -> list[Candidate]:
        return [Candidate([[k]] * (part.stop or 0), 0.0, 0.0) for k in (10, 20)]

    def choose(found: list[Candidate], first: int, end: int) -> tuple[int, float]:
        if first:
            raise KeyboardInterrupt
        return 0, 0.0

    candidates, chosen = by_phrases(plan(24), compose, choose, partial=True)
    assert [len(one.bars) for one in candidates] == [16, 16]
    assert len(chosen) == 1
    with pytest.raises(KeyboardInterrupt):
        by_phrases(plan(24), compose, choose)


def arranged(song: Path, package: Path, **more: Any) -> Result:
    return apply(Request(str(song), "bach", THREE, model=package, **more))


def inside(notes: NoteTable, begin: float, end: float) -> list[tuple[float, int]]:
    """Return onsets and pitches of the accompaniment between two places."""
    chosen = notes[
        ~notes["melody"] & (notes["onset"] >= begin - 1e-6) & (notes["onset"] < end - 1e-6)
    ]
    return sorted(chosen[["onset", "pitch"]].tolist())


@pytest.mark.parametrize("upbeat", [0, 1])
def test_each_phrase_is_the_best_of_its_candidates(
    upbeat: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a ranker that counts notes, the first phrase is the fullest.

    Whole arrangements show the candidates it was chosen from. The context holds all of it: a window
    slides for all candidates when the longest one is full.
    """
    tiny_package = save_tiny_package(tmp_path / "package", context=2048)
    true = rank.score

    def fullest(music: rank.Music) -> dict[str, float]:
        return true(music) | {"total": float(len(music.accompaniment))}

    monkeypatch.setattr(rank, "score", fullest)
    write_midi(tune_of(16, upbeat), tmp_path / "song.mid")
    whole = arranged(tmp_path / "song.mid", tiny_package, choose="whole")
    result = arranged(tmp_path / "song.mid", tiny_package)
    assert whole.report["phrases"] == []
    edge = 24.0 + upbeat
    first = [inside(one.notes, 0, edge) for one in whole.candidates]
    best = max(range(3), key=lambda k: len(first[k]))
    bars = [0, 8] if upbeat else [1, 8]
    last = [inside(one.notes, edge, 99) for one in result.candidates]
    fullest_last = max(range(3), key=lambda k: len(last[k]))
    assert result.report["phrases"] == [
        {"bars": bars, "candidate": best, "total": len(first[best])},
        {"bars": [9, 16], "candidate": fullest_last, "total": len(last[fullest_last])},
    ]
    assert all(inside(one.notes, 0, edge) == first[best] for one in result.candidates)
    assert len({str(one) for one in last}) == 3
    assert result.report["candidate"] == fullest_last
    assert result.report["melody_notes_kept"] == 48 + upbeat
    assert midi_bytes(arranged(tmp_path / "song.mid", tiny_package).piece) == midi_bytes(
        result.piece
    )


def test_an_end_is_open_only_at_the_end(
    tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []
    true = rank.score
    monkeypatch.setattr(rank, "score", lambda music: told.append(music.closes) or true(music))
    write_midi(tune_of(16), tmp_path / "song.mid")
    arranged(tmp_path / "song.mid", tiny_package)
    assert (
        told == [False] * 3 + [True] * 3 + [True] * 3
    )  # the last phrase, and the whole for the report


@pytest.mark.parametrize("feel", ["score", "performance"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"mode": "regenerate"}, {"keep": "ornamented"}, {"mode": "continue", "seconds": 4.0}],
)
def test_every_mode(
    feel: Any, settings: dict[str, Any], tiny_package: Path, tmp_path: Path
) -> None:
    song = random_piece(5, feel, 42 if feel == "score" else 50)
    write_midi(song, tmp_path / "song.mid")
    result = arranged(tmp_path / "song.mid", tiny_package, feel=feel, **settings)
    assert [one["bars"] for one in result.report["phrases"]][:1] == [[1, 8]]
    if settings.get("mode") != "regenerate" and "keep" not in settings:
        assert result.report["melody_notes_kept"] == result.report["melody_notes"]


def test_a_silent_phrase(tiny_package: Path, tmp_path: Path) -> None:
    write_midi(tune_of(28, silent=range(7, 18)), tmp_path / "song.mid")
    result = arranged(tmp_path / "song.mid", tiny_package)
    assert [one["bars"] for one in result.report["phrases"]] == [
        [1, 8],
        [9, 16],
        [17, 24],
        [25, 28],
    ]
    assert result.report["melody_notes_kept"] == 51


def test_one_candidate_has_no_choice(tiny_package: Path, tmp_path: Path) -> None:
    write_midi(tune_of(16), tmp_path / "song.mid")
    one = SamplingConfig(candidates=1, strength=1.0)
    asked = [Request(str(tmp_path / "song.mid"), "bach", one, model=tiny_package)]
    results = [apply(request) for request in (*asked, replace(asked[0], choose="whole"))]
    assert midi_bytes(results[0].piece) == midi_bytes(results[1].piece)
    assert results[0].report["phrases"] == []


def test_bars_out_of_reach_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given bars are read from as far back as the context reaches.

    Reading from further back gives the same.
    """
    model = tiny_model(context=192)
    voices = voices_of(model, [(model, Controls("score", "baroque", "bach", 100.0), 1.0)], 1.0)
    (first,) = sample(voices, codec(), replace(plan(30), stop=20), replace(THREE, candidates=1))
    going_on = replace(plan(30), given=tuple(map(tuple, first.bars)), stop=24)
    assert sampling._unread(going_on, 192) > 0
    near = sample(voices, codec(), going_on, THREE)
    monkeypatch.setattr(sampling, "_unread", lambda plan, context: 0)
    assert near == sample(voices, codec(), going_on, THREE)
    assert all(one.bars[:20] == first.bars for one in near)


def test_command(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    """``--all`` writes whole arrangements, which differ from the beginning."""
    write_midi(tune_of(12), tmp_path / "song.mid")
    common = (*SONG_AFTER_BACH, "--model", tiny_package)
    refused(run(*common, "--choose", "bars"), "--choose bars", "phrases or whole")
    assert run(*common, "--all", "-o", "every.mid").code == 0
    assert run(*common, "--choose", "whole", "-o", "whole.mid").code == 0
    assert (tmp_path / "every-1.mid").read_bytes() == (tmp_path / "whole.mid").read_bytes()
    assert run(*common, "-o", "phrases.mid").code == 0
    assert run("replay", "phrases.json", "--check").code == 0
    assert run("replay", "every.json", "--check").code == 0
    with pytest.raises(InputError, match="--choose"):
        Request("song.mid", "bach", choose="best")  # type: ignore[arg-type]
