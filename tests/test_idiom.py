"""Test idioms.

Measures are computed by hand, the discriminant by its definition, and what the ranker learns about
styles is checked.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from finetune import idioms as recipe
from finetune import train
from styletransfer.data.figures import DOUBT, excerpt_figures, profile_of_library
from styletransfer.data.library import Library
from styletransfer.errors import InputError
from styletransfer.folders import IDIOM
from styletransfer.formats.midi_out import write_midi
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.idiom import (
    FEWEST,
    LEAST,
    ON_BEATS,
    SHARPNESS,
    SIZE,
    SIZES,
    Idioms,
    StyleProfile,
    figures,
    load_profile,
    save_profile,
    shipped_idioms,
)
from styletransfer.music.notes import NoteTable, make_notes
from styletransfer.styles.card import Style
from styletransfer.styles.find import find_style
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.ranking.likeness import likeness, own_of, parts_of
from styletransfer.transfer.ranking.rank import WEIGHTS, Music, score
from styletransfer.transfer.request import Request
from tests.arrangements import random_arrangement
from tests.tiny import random_piece


def notes(*rows: tuple[float, float, int], melody: bool = False) -> NoteTable:
    """Make notes of (onset, duration, pitch)."""
    onset, duration, pitch = zip(*rows, strict=True)
    return make_notes(onset, duration, pitch, melody=melody)


def arranged(seed: int) -> tuple[NoteTable, NoteTable]:
    """Make a melody and an accompaniment."""
    piece = random_arrangement(seed)
    return piece.notes[piece.notes["melody"]], piece.notes[~piece.notes["melody"]]


TUNE = notes((0, 1, 72), (1, 1, 76), (2, 1, 79), (3, 1, 72), melody=True)
WALTZ = notes((0, 1, 48), (1, 0.5, 52), (1, 0.5, 55), (2.5, 0.5, 60), (3, 1, 48), (3, 1, 64))
NOTHING = TUNE[:0]


def part(found: NDArray[np.float64], name: str) -> list[float]:
    """Return a histogram's shares."""
    begin = sum(
        size for other, size in SIZES.items() if list(SIZES).index(other) < list(SIZES).index(name)
    )
    return [round(float(value) ** 2, 4) for value in found[begin : begin + SIZES[name]]]


def test_figures_by_hand() -> None:
    found = figures(TUNE, WALTZ)
    assert found.shape == (SIZE,) == ON_BEATS.shape
    assert part(found, "struck") == [0.5, 0.5, 0, 0, 0]
    assert {k: share for k, share in enumerate(part(found, "chords")) if share} == {
        3: 0.5,
        12: 0.5,
    }  # a third, a tenth
    assert part(found, "under")[0] == 1  # octaves, where the tune has a new note, too
    assert part(found, "bass")[7 + 2 : 7 + 6] == [0.3333, 0, 0, 0.3333]  # up a third, up a sixth
    assert part(found, "bass")[7 - 6] == 0.3333  # down an octave
    assert part(found, "degrees")[0] == 0.5
    assert part(found, "places") == [0.75, 0.25, 0, 0, 0]
    assert part(found, "durations")[3] == 0.5
    assert found[-1] == pytest.approx(np.log(6 / 4))
    assert not np.isnan(figures(TUNE, NOTHING)).any()
    assert not np.isnan(figures(NOTHING, NOTHING)).any()


def test_what_comes_after_the_tune_does_not_count() -> None:
    longer = np.concatenate([WALTZ, notes((4, 1, 30), (5, 1, 31))])
    assert figures(TUNE, longer).tolist() == figures(TUNE, WALTZ).tolist()


@pytest.mark.parametrize("shift", [-5, 2, 7])
def test_figures_are_the_same_in_every_key(shift: int) -> None:
    """The register is an exception."""
    moved = []
    for table in (TUNE, WALTZ):
        copy = table.copy()
        copy["pitch"] = copy["pitch"].astype(int) + shift
        moved.append(copy)
    one, other = figures(TUNE, WALTZ), figures(*moved)
    differ = {name for name in SIZES if part(one, name) != part(other, name)}
    assert differ == {"register"}


def test_the_discriminant_is_that_of_normal_distributions() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(SIZE, SIZE))
    covariance, means = root @ root.T / SIZE + np.eye(SIZE), rng.normal(size=(3, SIZE))
    one = Idioms(
        ("a", "b", "c"),
        ("x", "y", "y"),
        means,
        np.linalg.inv(covariance),
        rng.normal(size=SIZE),
        np.zeros(SIZE),
        {"b": -1.0, "y": -2.0},
    )
    found = rng.normal(size=(4, SIZE))
    logs = np.array(
        [SHARPNESS * multivariate_normal(mean, covariance).logpdf(found) for mean in means]
    ).T
    expected = logs - np.logaddexp.reduce(logs, 1, keepdims=True)
    np.testing.assert_allclose(one.log_probabilities(found), expected, atol=1e-8)
    assert (one.known("b"), one.known("y"), one.known("nobody")) == (
        StyleProfile((1,), -1.0),
        StyleProfile((1, 2), -2.0),
        None,
    )

    np.testing.assert_allclose(
        one.probability(found, StyleProfile((1, 2), -2.0)),
        np.log(np.exp(expected[:, 1:]).sum(1)),
        atol=1e-8,
    )
    mean = rng.normal(size=SIZE)
    four = np.append(logs[0], SHARPNESS * multivariate_normal(mean, covariance).logpdf(found[0]))
    likely = four[-1] - np.logaddexp.reduce(four)
    assert float(one.probability(found[0], StyleProfile(mean, 0.0))) == pytest.approx(likely)


def test_likeness_has_a_floor_and_a_ceiling() -> None:
    one, tune, rest = shipped_idioms(), *arranged(3)
    mean = figures(tune, rest)
    likely = float(one.probability(mean, StyleProfile(mean, 0.0)))
    found = [
        one.likeness(tune, rest, StyleProfile(mean, likely + short)) for short in (1.5, -1.5, 99.0)
    ]
    assert found == [pytest.approx(-1.5), 0, LEAST]  # more like him than he is himself is no better
    assert one.likeness(tune, rest[: FEWEST - 1], StyleProfile(mean, -99.0)) == LEAST


@pytest.mark.parametrize("seed", range(4))
def test_silence_is_nobodys_manner(seed: int) -> None:
    """The discriminant attributed silence to Bartók, and two notes more strongly than a whole
    accompaniment.
    """
    one, (tune, rest) = shipped_idioms(), arranged(seed)
    every = [one.known(name) for name in (*one.labels, *one.eras)]
    every += [own_of(find_style(name)) for name in ("chorales", "palestrina")]
    for own in every:
        assert own is not None
        assert (
            one.likeness(tune, NOTHING, own)
            == one.likeness(tune, rest[:2], own)
            == LEAST
            <= one.likeness(tune, rest, own)
        )


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    one = shipped_idioms()
    one.save(tmp_path / "idioms.safetensors")
    read = Idioms.load(tmp_path / "idioms.safetensors")
    assert (read.labels, read.eras, read.usual) == (one.labels, one.eras, one.usual)
    for name in ("means", "precision", "centre", "played"):
        np.testing.assert_array_equal(getattr(read, name), getattr(one, name))


def test_performances_show_nothing_of_beats() -> None:
    """A mean of performances counts by its other measures only, whatever it has for beats."""
    one, rng = shipped_idioms(), np.random.default_rng(0)
    played = one.played + rng.normal(size=SIZE) * 0.1
    other = np.where(ON_BEATS, 9.0, played)
    assert one.on_beats(played).tolist() == one.on_beats(other).tolist()
    weights = one.precision @ (one.on_beats(played) - one.centre)
    np.testing.assert_allclose(weights[ON_BEATS], 0, atol=1e-8)
    assert np.abs(weights[~ON_BEATS]).max() > 1e-3


def test_composers_are_known_by_scores_or_by_performances() -> None:
    """Three composers differ in one measure.

    Two have scores and performances, one has performances alone.
    """
    rng, names = np.random.default_rng(0), ["bach", "chopin", "debussy"]
    centres = {name: 2.0 * np.eye(SIZE)[k] for k, name in enumerate(names)}

    def drawn(composers: list[str], shift: float) -> recipe.Excerpts:
        every = [name for name in composers for _ in range(400)]
        found = np.array([centres[name] + shift + rng.normal(size=SIZE) for name in every])
        return found, np.array(every), np.array([f"{name}{k % 20}" for k, name in enumerate(every)])

    scores, performances = drawn(names[:2], 0.0), drawn(names, 5.0)
    made, logs = recipe.learnt(scores, performances, 20, 60)
    assert set(made.labels) == set(names)
    assert made.eras == tuple(
        {"bach": "baroque", "chopin": "romantic", "debussy": "modern"}[name] for name in made.labels
    )
    later, writers, _ = drawn(names, 0.0)
    told = recipe.recognition(made.log_probabilities(later), writers, made.labels)
    assert all(
        row["taken"] > 0.6 and row["own"] > row["others"] + 1 for row in told["composers"].values()
    )
    own = {
        name: float(logs[scores[1] == name, made.labels.index(name)].mean())
        for name in ("bach", "chopin")
    }
    mean = pytest.approx(np.mean(list(own.values())))
    assert made.usual == own | {
        "debussy": mean,
        "baroque": own["bach"],
        "romantic": own["chopin"],
        "modern": mean,
    }
    # no excerpt of a fold is in the means that it is held against, nor a performance of the same
    # work
    folds = dict(
        zip(
            sorted(set(scores[2].tolist())),
            np.random.default_rng(0).permutation(40) % recipe.FOLDS,
            strict=True,
        )
    )
    held = np.array([folds[work] == folds["bach7"] for work in scores[2].tolist()])
    alone = recipe.means_of(
        recipe.some(scores, ~held),
        recipe.some(performances, ~np.isin(performances[2], scores[2][held])),
        10,
        30,
    )
    np.testing.assert_allclose(logs[held], alone.log_probabilities(scores[0][held]))


def test_what_ships_recognises_its_composers() -> None:
    one = shipped_idioms()
    assert {"bach", "mozart", "beethoven", "chopin", "schubert", "debussy"} <= set(one.labels)
    assert one.log_probabilities(one.means).argmax(1).tolist() == list(range(len(one.labels)))
    assert {"baroque", "classical", "romantic", "modern"} == set(one.eras)
    np.testing.assert_allclose(one.precision, one.precision.T, atol=1e-2)


def test_a_style_is_a_composer_an_era_or_its_own_mean(tmp_path: Path) -> None:
    one = shipped_idioms()
    assert own_of(find_style("bach")) == StyleProfile(
        (one.labels.index("bach"),), one.usual["bach"]
    )
    assert own_of(find_style("baroque")) == StyleProfile(
        tuple(map(one.labels.index, ("bach", "scarlatti"))), one.usual["baroque"]
    )

    mine = Style("mine", "user", "baroque", "reserved-0", tmp_path)
    assert own_of(mine) is None

    mean = np.arange(SIZE) / SIZE
    save_profile(tmp_path / IDIOM, StyleProfile(mean, -1.25))
    found = own_of(mine)
    assert found is not None

    np.testing.assert_allclose(found.who, mean, atol=1e-6)
    assert found.usual == -1.25

    chorales = own_of(find_style("chorales"))
    assert chorales is not None
    assert np.shape(chorales.who) == (SIZE,)

    (tmp_path / IDIOM).write_bytes(b"no such thing")
    with pytest.raises(InputError, match="not the means of a style's figures"):
        load_profile(tmp_path / IDIOM)

    save_profile(tmp_path / IDIOM, StyleProfile(mean[1:], -1.25))
    with pytest.raises(InputError, match="version"):
        load_profile(tmp_path / IDIOM)


def test_a_blend_is_like_its_parts_by_their_weights() -> None:
    tune, rest = arranged(1)
    bach, chopin = (likeness(parts_of(name), tune, rest) for name in ("bach", "chopin"))
    assert bach != chopin
    assert likeness(parts_of("bach:3,chopin:1"), tune, rest) == pytest.approx(
        0.75 * bach + 0.25 * chopin
    )


def test_apply_reports_it_and_ranks_by_it(tiny_package: Path) -> None:
    """For a score it depends on the style; for a performance nothing is known."""
    told = {}
    for style in ("bach", "chopin"):
        result = apply(Request("twinkle", style, SamplingConfig(candidates=3), model=tiny_package))
        told[style] = [one["idiom"] for one in result.report["candidates"]]
        rests = [piece.notes[~piece.notes["melody"]] for piece in result.candidates]
        assert result.melody is not None
        expected = [likeness(parts_of(style), result.melody.notes, rest) for rest in rests]
        np.testing.assert_allclose(
            told[style], expected, atol=0.15
        )  # as they were before the grid of the file
    assert told["bach"] != told["chopin"]
    assert min(told["bach"]) < 0


def test_a_performance_has_no_idiom(tiny_package: Path, tmp_path: Path) -> None:
    write_midi(random_piece(1, "performance"), tmp_path / "played.mid")
    request = Request(
        str(tmp_path / "played.mid"), "bach", SamplingConfig(candidates=1), model=tiny_package
    )
    assert apply(request).report["candidates"][0]["idiom"] == 0


def test_the_ranker_weighs_it() -> None:
    like, unlike = (score(Music(TUNE, WALTZ, idiom=value))["total"] for value in (-1.0, -3.0))
    assert like - unlike == pytest.approx(2 * WEIGHTS["idiom"], abs=1e-3)


def test_a_users_pieces_have_a_mean(tiny_data: Path) -> None:
    """It comes from training pieces only, and its weight shrinks it towards the composers' mean."""
    library = Library.load(tiny_data)
    bach = library.view(library.select(composer="bach", feel="score"))
    found, pieces = excerpt_figures(bach, bach.select(split="train"))
    count = len(set(pieces.tolist()))
    assert count < len(bach)
    own, one = profile_of_library(bach), shipped_idioms()
    assert own is not None
    np.testing.assert_allclose(
        own.who - one.centre, count / (count + DOUBT) * (found.mean(0) - one.centre)
    )
    played = profile_of_library(library.view(library.select(composer="bach", feel="performance")))
    assert played is not None
    assert np.isfinite(played.who).all()
    assert profile_of_library(library.view([])) is None


def test_what_is_usual_is_of_other_pieces(tiny_data: Path) -> None:
    library, one = Library.load(tiny_data), shipped_idioms()
    chopin = library.view(library.select(composer="chopin", feel="score"))
    found, pieces = excerpt_figures(chopin, chopin.select(split="train"))
    each, held = sorted(set(pieces.tolist())), []
    for piece in each:
        others = found[pieces != piece].mean(0) - one.centre
        mean = one.centre + (len(each) - 1) / (len(each) - 1 + DOUBT) * others
        held.append(one.probability(found[pieces == piece], StyleProfile(mean, 0.0)).mean())
    own = profile_of_library(chopin)
    assert own is not None
    assert own.usual == pytest.approx(np.mean(held))


def test_the_recipe_reads_a_library(
    tiny_data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Chopin is known from four scores, Bach from two performances."""
    monkeypatch.setattr(recipe, "ENOUGH", 2)
    monkeypatch.setattr(recipe, "EXCERPTS", 2)
    monkeypatch.setattr(recipe, "FOLDS", 2)
    monkeypatch.setattr(recipe, "ASSET", tmp_path / "idioms.safetensors")
    monkeypatch.setattr(train, "OTHERS", {})
    out = tmp_path / "idioms.json"
    assert recipe.main(["--data", str(tiny_data), "--write", str(out)]) == 0
    made, found = Idioms.load(recipe.ASSET), json.loads(out.read_text())
    assert made.labels == ("bach", "chopin")
    row = found["training scores, other works"]
    assert set(row) == {"chance", "taken", "own", "others", "composers"}
    assert set(row["composers"]) <= set(made.labels)
    assert set(made.usual) == {"bach", "baroque", "chopin", "romantic"}
    assert {name: pytest.approx(value, abs=1e-3) for name, value in made.usual.items()} == found[
        "usual"
    ]


def test_half_the_works_make_other_means(tiny_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "ENOUGH", 2)
    monkeypatch.setattr(recipe, "EXCERPTS", 2)
    monkeypatch.setattr(recipe, "FOLDS", 2)
    library = Library.load(tiny_data)
    groups = {Path(piece.file).stem: piece.group for piece in library.pieces}
    parts = [{groups[number] for number in half} for half in (("2", "5", "8"), ("4", "7", "10"))]
    halves = [recipe.idioms_in(library, part) for part in parts]
    assert halves[0].labels == halves[1].labels == ("chopin",)
    assert np.abs(halves[0].means - halves[1].means).max() > 1e-3
    scores = recipe.excerpts_of(library, "train", "score")
    own = scores[0][np.isin(scores[2], sorted(parts[0]))]
    np.testing.assert_allclose(halves[0].means[0], own.mean(0))
