"""Test the whole recipe of the transfer report, with a stand-in judge.

The model has two layers; intervals are computed by hand.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from eval import drawing, remedies, results, transfer_report
from eval.sampler import Sampler, code_hash, digest, file_hash
from eval.systems import BOTH, LABELS, REAL, Target, songs_in, systems_for, targets_of, wrong_target
from styletransfer import folders
from styletransfer.errors import InputError
from styletransfer.evaluation.excerpts import excerpts, performance_excerpt, score_excerpt, shuffled
from styletransfer.evaluation.judges import judge as judge_module
from styletransfer.evaluation.measures.overview import Reference, beside, measure, set_measures
from styletransfer.music.notes import Piece
from styletransfer.styles import card as styles
from styletransfer.styles.find import find_style
from styletransfer.transfer.ranking import rank
from styletransfer.transfer.ranking.likeness import likeness, parts_of
from tests.conftest import prepared
from tests.style_folders import adapter
from tests.tiny import random_piece

SONGS = {
    "even": "X:1\nT:Even\nM:4/4\nL:1/4\nQ:1/4=240\nK:C\nC D E F | G A G F | E D E F | G2 C2 |]\n",
    "odd": "X:1\nT:Odd\nM:3/4\nL:1/4\nQ:1/4=240\nK:G\nG A B | c B A | B G D | G3 |]\n",
}


class StandIn:
    """A judge by the mean pitch, low for bach, high for chopin; it counts its calls."""

    labels = ("bach", "chopin")

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.asked = 0

    def probabilities(
        self, piece: Piece, removed: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        self.asked += 1
        pitch = piece.notes["pitch"] if removed is None else piece.notes["pitch"][~removed]
        if len(pitch) < 8:
            raise InputError("too few notes.")
        high = 1 / (1 + np.exp((60.0 - pitch.mean()) / 4))
        return np.array([1 - high, high])


@pytest.fixture(scope="module")
def real_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepare scores and performances by two composers, in train and test."""
    from styletransfer.formats.midi_out import write_midi

    folder = tmp_path_factory.mktemp("music")
    rows = []
    for number in range(16):
        write_midi(
            random_piece(number, "performance" if number % 4 == 3 else "score", 36),
            folder / f"{number}.mid",
        )
        composer = "Frédéric Chopin" if number % 2 else "Johann Sebastian Bach"
        rows.append(
            {
                "file": f"{number}.mid",
                "composer": composer,
                "split": "test" if number < 6 else "train",
            }
        )
    return prepared(folder, rows, tmp_path_factory)


@pytest.fixture
def place(
    tmp_path: Path, tiny_package: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """Return the command's arguments.

    They are two songs, two styles with untrained adapters, and a stand-in judge.
    """
    from styletransfer.model.adapters import LoraSettings, attach, save_adapter, style_token
    from styletransfer.model.base import load_package
    from styletransfer.model.loading import _styled
    from styletransfer.model.weights import weights_hash
    from styletransfer.styles.card import Card

    shipped = tmp_path / "styles"
    for name, era in (("bach", "baroque"), ("chopin", "romantic")):
        model, vocabulary, manifest = load_package(tiny_package)
        made = attach(model, LoraSettings(rank=2), vocabulary, style_token(era, name))
        tokens = manifest["tokenizer_hash"]
        card = Card(
            name, "composer", era, name, weights_hash(manifest), tokens, 1, 1.0, 100, rank=2
        )
        save_adapter(made, shipped / name, card, "")
    monkeypatch.setattr(folders, "shipped", lambda: shipped)
    monkeypatch.setattr(judge_module, "load_judge", StandIn)
    monkeypatch.setattr(judge_module, "judges", lambda: ("first", "second"))
    songs = tmp_path / "songs"
    songs.mkdir()
    for name, text in SONGS.items():
        (songs / f"{name}.abc").write_text(text)
    _styled.cache_clear()
    call = [
        "--data",
        str(real_data),
        "--melodies",
        str(songs),
        "--model",
        str(tiny_package),
        "--work",
        str(tmp_path / "work"),
    ]
    call += [
        "--composers",
        "bach",
        "chopin",
        "--eras",
        "--composers-judges",
        "first",
        "second",
        "--seeds",
        "2",
    ]
    yield [*call, *(f"--{name}={tmp_path / file}" for name, file in FILES.items())]
    _styled.cache_clear()


FILES = {"out": "transfer.json", "page": "transfer.html", "results": "RESULTS.md"}


def test_the_recipe_and_its_page(
    place: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All systems run; a second run samples and measures nothing again; the page refers to nothing
    outside.
    """
    (tmp_path / "RESULTS.md").write_text(
        "# Results\n\n<!-- begin leak -->\nmine\n<!-- end leak -->\n"
    )
    assert transfer_report.main(place) == 0
    report = json.loads((tmp_path / "transfer.json").read_text())
    part = report["groups"]["composers"]
    assert part["systems"] == list(LABELS)
    counts = {name: part["judges"]["first"]["systems"][name]["outputs"] for name in LABELS}
    assert {counts[name] for name in ("base", "tag", "adapter", "tag+adapter", "wrong")} == {
        8
    }  # 2 songs, 2 styles, 2 seeds
    assert {counts[name] for name in ("melody", "chords", "real scores", "shuffled")} == {4}
    made = sorted((tmp_path / "work" / "outputs").iterdir())
    assert (
        len(made) == 2 * 2 + 3 * 2 * 2 * 2
    )  # the base once a song and seed; the wrong ones are those of the other style
    told = {(row["system"], row["target"], row["melody"], row["seed"]): row for row in part["rows"]}
    assert (
        told["wrong", "bach", "odd", 1]["output"]
        == told["tag+adapter", "chopin", "odd", 1]["output"]
    )
    assert told["base", "bach", "odd", 0]["output"] == told["base", "chopin", "odd", 0]["output"]
    assert told["tag", "bach", "odd", 0]["output"] != told["tag", "bach", "odd", 1]["output"]
    arranged = [
        row
        for row in part["rows"]
        if row["system"] in ("tag", "adapter", "tag+adapter", "chords", "melody")
    ]
    assert {row["measures"]["content.melody_f1"] for row in arranged} == {1.0}  # locked
    assert all(
        "content.melody_f1" not in row["measures"] for row in part["rows"] if row["system"] in REAL
    )
    assert part["measures"]["melody"]["means"]["content.melody_f1"]["value"] == 1

    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.json")}
    monkeypatch.setattr(Sampler, "_voices", lambda *_: pytest.fail("sampled again"))
    monkeypatch.setattr("eval.scoring.measure", lambda *_, **__: pytest.fail("measured again"))
    assert transfer_report.main(place) == 0
    again = json.loads((tmp_path / "transfer.json").read_text())
    assert again == report
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.json")}

    page = (tmp_path / "transfer.html").read_text()
    assert not re.findall(r"https?:|//cdn|<script|<link|@import|url\(", page)
    sources = re.findall(r'(?:src|href)="([^"]{0,40})', page)
    assert sources
    kinds = ("data:audio/wav;base64,", "data:image/svg+xml;base64,")
    assert all(source.startswith(kinds) for source in sources)
    for label in LABELS.values():
        assert page.count(label) >= 3, label
    assert page.count(kinds[1]) >= 2 + 10
    pictures = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', page)
    assert all(b"<svg" in base64.b64decode(picture) for picture in pictures)
    assert "Confusion matrices" in page
    assert len(page) < 15e6
    text = (tmp_path / "RESULTS.md").read_text()
    assert "mine" in text  # another recipe's part
    assert text.count("<!-- begin transfer -->") == 1
    assert "| tag + adapter | 8 |" in text
    assert "| system | seed 1 | seed 2 | mean | standard deviation |" in text
    for seed in range(2):
        right = [
            np.argmax(row["judged"]["first"]["whole"])
            for row in part["rows"]
            if (row["system"], row["seed"]) == ("tag", seed)
        ]
        wanted = [
            part["targets"].index(row["target"])
            for row in part["rows"]
            if (row["system"], row["seed"]) == ("tag", seed)
        ]
        assert part["by_seed"]["first"]["tag"][seed]["value"] == pytest.approx(
            np.mean(np.equal(right, wanted)), abs=1e-4
        )


def test_each_seed_has_the_adapters_of_a_training_run(
    place: list[str], tmp_path: Path, tiny_package: Path
) -> None:
    """Two runs of untrained adapters that differ in one weight: seed k is made by run k, in the
    half of its song.
    """
    runs = [tmp_path / "first", tmp_path / "second"]
    for number, run in enumerate(runs):
        for half in "AB":
            shutil.copytree(tmp_path / "styles" / "bach", run / f"bach-{half}")
            weights = load_file(run / f"bach-{half}" / styles.WEIGHTS)
            weights = {name: array + number + (half == "B") / 2 for name, array in weights.items()}
            save_file(weights, run / f"bach-{half}" / styles.WEIGHTS)

    sampler = Sampler(tmp_path / "outputs", remedies.ONE, tiny_package)
    target = targets_of(["bach"], sampler.base.weights_hash, runs)[0][0]
    songs = songs_in(tmp_path / "songs")
    jobs = [(BOTH, song, target, seed) for song in songs for seed in range(2)]
    assert sorted(len(batch) for batch in sampler.batches(jobs)) == [1] * 4

    told = [sampler.key(job) for job in jobs]
    wanted = [
        file_hash(runs[seed] / f"bach-{song.half}" / styles.WEIGHTS) for _, song, _, seed in jobs
    ]
    assert [one["adapter"] for one in told] == wanted
    assert len(set(wanted)) == 4
    assert [one["sampling"]["seed"] - remedies.ONE.seed for one in told] == [0, 1, 0, 1]


def test_remedies_beside_what_ships(
    place: list[str], tmp_path: Path, tiny_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is measured on the same songs and styles; a remedy equal to what ships adds nothing; the
    ranker chooses.
    """
    monkeypatch.setattr(remedies, "load_judge", StandIn)
    tried = {
        remedies.SHIPPED: remedies.Remedy(),
        "cold": remedies.Remedy(sampling=replace(remedies.ONE, temperature=0.0)),
        "same": remedies.Remedy(adapters=tmp_path / "styles"),
        "two": remedies.Remedy(seeds=2),
    }
    songs = songs_in(tmp_path / "songs")
    report = remedies.tried(tried, songs, ("bach", "chopin"), tmp_path / "work", tiny_package)
    assert report["melodies"] == 2
    first, second = transfer_report.JUDGES["composers"]
    assert set(report["systems"]) == set(tried)
    assert report["systems"]["same"] == report["systems"][remedies.SHIPPED]
    assert {one["value"] for one in report["differences"]["same"].values()} == {0}
    assert report["systems"]["cold"] != report["systems"]["same"]
    told = report["systems"]["two"]
    assert {
        f"{name} {part} accuracy" for name in (first, second) for part in ("whole", "rest")
    } <= set(told)
    rows = remedies.table(report).splitlines()
    assert [row.split(" | ")[0].strip("| ") for row in rows[2:]] == [*tried, "chance"]

    sampler = Sampler(tmp_path / "work" / "outputs", remedies.ONE, tiny_package)
    target = targets_of(("bach",), sampler.base.weights_hash)[0][0]
    jobs = [(BOTH, songs[0], target, seed) for seed in range(2)]
    worth = []
    for job in jobs:
        piece = sampler.read(job)[1]
        melody = piece.notes["melody"]
        tempo = piece.tempo.quarters_per_minute()
        notes = (piece.notes[melody], piece.notes[~melody])
        alike = likeness(parts_of("bach"), *notes)
        scores = rank.score(rank.Music(*notes, tempo, idiom=alike))
        worth.append(scores["total"])
    chosen = remedies.best(sampler, jobs)
    assert chosen.notes.tolist() == sampler.read(jobs[int(np.argmax(worth))])[1].notes.tolist()


def test_what_has_no_adapter_is_left_out(place: list[str], tmp_path: Path) -> None:
    (tmp_path / "styles" / "chopin").rename(tmp_path / "elsewhere")
    assert transfer_report.main(place) == 0
    part = json.loads((tmp_path / "transfer.json").read_text())["groups"]["composers"]
    assert not {"adapter", "tag+adapter", "wrong"} & set(part["systems"])
    assert "left out: tag + adapter (chopin has no adapter)." in part["remarks"]
    assert (
        "left out: tag + adapter (chopin has no adapter)." in (tmp_path / "RESULTS.md").read_text()
    )


def test_a_missing_folder_is_a_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert transfer_report.main(["--data", str(tmp_path)]) == 2
    assert "not a prepared data set" in capsys.readouterr().err


def test_no_target_keeps_its_own_style() -> None:
    targets = [
        Target(find_style(name), {})
        for name in ("bach", "beethoven", "chopin", "schubert", "liszt")
    ]
    wrong = [found.name for target in targets if (found := wrong_target(targets, target))]
    assert wrong == ["chopin", "schubert", "liszt", "bach", "beethoven"]
    assert wrong_target(targets[:1], targets[0]) is None
    why = "left out: adapter only (bach, beethoven, chopin, schubert, liszt have no adapter)."
    assert systems_for(targets)[1][0] == why


def test_halves_cross(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The arrangements of half A's adapter are rated by the judge of half B; a judge without halves
    rates both, with a remark.
    """
    monkeypatch.setattr(judge_module, "load_judge", StandIn)
    monkeypatch.setattr(judge_module, "judges", lambda: ("j1", "j1-a", "j1-b", "j2"))
    benches, remarks = transfer_report.benches_of(["j1", "j2"], True)
    names = {
        name: {half: judge.name for half, judge in bench.judges.items()}
        for name, bench in benches.items()
    }  # type: ignore[attr-defined]
    assert names == {"j1": {"A": "j1-b", "B": "j1-a"}, "j2": {"A": "j2", "B": "j2"}}
    assert remarks == ["j2 has no halves: it was trained on the pieces of both adapters."]

    card = styles.Card("bach", "composer", "baroque", "bach", "base", "tokens", 1, 1.0, 100)
    runs = [tmp_path / "first", tmp_path / "second"]
    for half in "AB":
        for run in runs:
            adapter(run / f"bach-{half}", card)

    targets, said = targets_of(["bach", "chopin"], "base", runs)
    bach = targets[0].adapters
    assert {half: [one.path for one in ones] for half, ones in bach.items()} == {
        half: [run / f"bach-{half}" for run in runs] for half in "AB"
    }
    assert targets[1].adapters == {}
    assert said[0].startswith("chopin has no adapters of two halves in first, second")


def test_excerpts_have_their_length() -> None:
    piece = random_piece(0, "score", 36)  # 3/4
    cut = score_excerpt(piece, 17.0, 1.0)
    assert cut is not None
    assert cut.bars["start"].tolist() == [0, 3, 6, 9, 12, 15]
    assert (cut.notes["onset"] + cut.notes["duration"]).max() <= 18
    last = piece.bars["start"][-1] + piece.bars["length"][-1]
    begin = last - 18
    inside = (piece.notes["onset"] >= begin) & (piece.notes["onset"] < last)
    assert cut.notes["pitch"].tolist() == piece.notes["pitch"][inside].tolist()
    assert score_excerpt(piece, 1000.0, 0.0) is None
    played = performance_excerpt(random_piece(1, "performance", 36), 40, 0.5)
    assert played is not None
    assert len(played.notes) == 40
    assert played.notes["onset"][0] == 0


def test_excerpts_use_every_piece(real_data: Path) -> None:
    from styletransfer.data.library import Library

    library = Library.load(real_data)
    scores = library.select(split="test", feel="score")
    found = excerpts(library, scores, [18.0] * (2 * len(scores) + 1), most_a_piece=2)
    assert found[-1] is None
    assert {one.id for one in found if one} == {library.pieces[index].id for index in scores}


def test_shuffled_notes_keep_their_distribution() -> None:
    piece = random_piece(3, "score")
    noise = shuffled(piece, np.random.default_rng(0))
    for name in ("pitch", "duration"):
        assert sorted(noise.notes[name]) == sorted(piece.notes[name])
    np.testing.assert_allclose(
        sorted(np.diff(noise.notes["onset"])), sorted(np.diff(piece.notes["onset"])), atol=1e-9
    )
    assert noise.notes["pitch"].tolist() != piece.notes["pitch"].tolist()


def test_a_piece_beside_itself() -> None:
    pieces = [random_piece(seed, "score", 36) for seed in range(4)]
    reference = Reference.of(pieces)
    found = measure(pieces[0])
    near = beside(pieces[0], found.numbers, reference)
    assert near["fit.intervals"] > 0.5
    six = [
        near[f"distance.{name}"]
        for name in ("chord_entropy", "chord_tones", "consonance", "melody_distance")
    ]
    assert all(0 <= value < 3 for value in six)
    assert not any(name.startswith("content") for name in found.numbers)
    same = set_measures(reference.features, reference)
    assert same["overlap"] > 0.6
    assert np.isnan(same["frechet"])  # too few


def test_what_decides_is_in_the_hash() -> None:
    assert code_hash(["model.sampling"]) != code_hash(["model.decoder"])
    piece = random_piece(0, "score")
    other = piece.notes.copy()
    other["pitch"][0] += 1
    assert digest(piece) == digest(random_piece(0, "score"))
    assert digest(piece) != digest(piece.with_notes(other))


def test_a_clip_is_mu_law() -> None:
    """G.711's known codes: silence is 0xFF, full scale up 0x80, down 0x00."""
    sound = drawing.mu_law_wave(np.array([0.0, 1.0, -1.0, 0.5]))
    assert sound[:4] == b"RIFF"
    assert int.from_bytes(sound[20:22], "little") == 7
    assert sound[-4:-1] == bytes([0xFF, 0x80, 0x00])
    assert int.from_bytes(sound[4:8], "little") == len(sound) - 8
    assert base64.b64decode(drawing.embedded(sound).split(",")[1]) == sound


def test_numbers_in_tables() -> None:
    assert results.number({"value": 0.5, "low": 0.25, "high": 0.75}) == "0.500 (0.250 to 0.750)"
    assert results.number({"value": 0.0047, "low": None, "high": None}, ".2%") == "0.47 %"
    assert results.number({"value": None, "low": None, "high": None}) == ""
