"""Judges: trained on made-up styles, saved and loaded, and unsure about noise."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from styletransfer.data.library import PieceInfo
from styletransfer.errors import InputError
from styletransfer.evaluation.crossfit import half_of, halves
from styletransfer.evaluation.intervals import confusion_draws
from styletransfer.evaluation.judges.blocks import NAMES, SIZE, block_columns
from styletransfer.evaluation.judges.features import features, piece_features
from styletransfer.evaluation.judges.judge import Judge, judges, load_judge, save_judge
from styletransfer.evaluation.judges.measures import (
    agreement,
    feel_pairs,
    kappa,
    majority_by,
    measure,
    scores_of,
)
from styletransfer.evaluation.judges.training import (
    Examples,
    calibrated,
    calibration,
    cross_validate,
    example_weights,
    feel_bias,
    judged,
    noise,
    read_examples,
    shuffled,
    train_linear,
    train_network,
)
from styletransfer.music.notes import Piece, bars_of, make_notes

LABELS = ("arpeggios", "chords", "scales")
Made = tuple[NDArray[np.float16], NDArray[np.str_]]


def music(style: str, seed: int, notes: int = 240) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Make onsets in quarters and pitches of a made-up style in a random key."""
    rng = np.random.default_rng(seed)
    root, count = int(rng.integers(40, 52)), notes // 4
    degree = rng.choice([0, 5, 7, 9], count)
    if style == "chords":
        pitch = root + np.repeat(degree, 4) + np.tile([0, 16, 19, 24], count)
        return np.repeat(np.arange(count) * 1.0, 4), pitch
    if style == "arpeggios":
        return np.arange(4 * count) * 0.25, root + np.repeat(degree, 4) + np.tile(
            [0, 7, 12, 16], count
        )
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12])[
        np.abs(np.cumsum(rng.choice([-1, 1], 4 * count))) % 8
    ]
    return np.arange(4 * count) * 0.5, root + 20 + scale


def rows_of(style: str, seeds: range) -> NDArray[np.float32]:
    return np.concatenate([features(*music(style, seed), "score") for seed in seeds])


@pytest.fixture(scope="module")
def made() -> Made:
    rng = np.random.default_rng(0)
    parts = {style: rows_of(style, range(20)) for style in LABELS}
    noisy = np.concatenate(
        [
            features(*noise(rng)(*music(style, seed)), "score")
            for style in LABELS
            for seed in range(15)
        ]
        + [
            features(*shuffled(rng)(*music(style, seed)), "score")
            for style in LABELS
            for seed in range(15)
        ]
    )
    rows = np.concatenate([*parts.values(), noisy]).astype(np.float16)
    names = [style for style, part in parts.items() for _ in part] + [
        LABELS[k % 3] for k in range(len(noisy))
    ]
    return rows, np.array(names)


@pytest.fixture(scope="module")
def linear(made: Made) -> Judge:
    rows, labels = made
    return train_linear("j1-made-up", rows, labels, np.ones(len(labels)))


@pytest.fixture(scope="module")
def network(made: Made) -> Judge:
    rows, labels = made
    return train_network("j2-made-up", rows, labels, np.ones(len(labels)))


def piece_of(style: str, seed: int) -> Piece:
    onset, pitch = music(style, seed)
    melody = np.arange(len(onset)) % 4 == 3
    notes = make_notes(onset, np.full(len(onset), 0.25), pitch, melody=melody)
    return Piece(notes, "score", bars_of([(0.0, 4, 4)], float(onset.max()) + 1))


@pytest.mark.parametrize("family", ["linear", "network"])
def test_new_music_of_a_known_style_is_recognised(
    family: str, request: pytest.FixtureRequest
) -> None:
    judge: Judge = request.getfixturevalue(family)
    for style in LABELS:
        for seed in range(100, 105):
            found = judge.probabilities(piece_of(style, seed))
            assert found.sum() == pytest.approx(1)
            assert judge.labels[found.argmax()] == style
            assert judge.segment_probabilities(piece_of(style, seed)).shape == (1, 3)


def test_noise_and_shuffled_notes_get_low_confidence(linear: Judge) -> None:
    rng = np.random.default_rng(7)
    real, mixed, random = [], [], []
    for seed in range(100, 110):
        notes = music("chords", seed)
        for found, onset_pitch in (
            (real, notes),
            (mixed, shuffled(rng)(*notes)),
            (random, noise(rng)(*notes)),
        ):
            found.append(
                linear.aggregate(linear.log_probabilities(features(*onset_pitch, "score"))).max()
            )
    assert np.mean(real) > 0.8
    assert np.mean(mixed) < 0.6
    assert np.mean(random) < 0.6


def test_permuted_labels_give_chance(made: Made) -> None:
    rows, labels = made
    keep = np.arange(60)  # without the noise
    rng = np.random.default_rng(3)
    judge = train_linear("permuted", rows[keep], rng.permutation(labels[keep]), np.ones(60))
    new = {
        style: judge.log_probabilities(rows_of(style, range(200, 215))).argmax(axis=1)
        for style in LABELS
    }
    right = np.mean([np.array(judge.labels)[found] == style for style, found in new.items()])
    assert right < 0.67


def test_inference_is_that_of_scikit_learn(made: Made, linear: Judge) -> None:
    """J1 is trained again by hand; J2's arrays are put into a network that learnt something else,
    from which the judge is then built.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    rows, labels = made
    inputs = (rows[:, linear.columns].astype(np.float32) - linear.mean) / np.float32(linear.scale)
    model = LogisticRegression(max_iter=300, tol=1e-3).fit(inputs, labels)
    np.testing.assert_allclose(
        np.exp(linear.log_probabilities(rows)), model.predict_proba(inputs), atol=1e-4
    )
    network = MLPClassifier((5,), max_iter=400, tol=1.0, random_state=0).fit(inputs, labels)
    layers = tuple(zip(network.coefs_, network.intercepts_, strict=True))
    judge = replace(linear, layers=layers)
    np.testing.assert_allclose(
        np.exp(judge.log_probabilities(rows)), network.predict_proba(inputs), atol=1e-4
    )


def test_two_labels_are_two_rows(made: Made) -> None:
    rows, labels = made
    judge = train_linear("two", rows[:40], labels[:40], np.ones(40))
    assert judge.layers[0][0].shape[1] == 2
    assert (
        np.array(judge.labels)[judge.log_probabilities(rows[:40]).argmax(axis=1)] == labels[:40]
    ).all()


@pytest.mark.parametrize("family", ["linear", "network"])
def test_evidence_adds_up(family: str, request: pytest.FixtureRequest) -> None:
    """All parts, with those of the biases, make the label's logit above the mean logit."""
    judge: Judge = request.getfixturevalue(family)
    rows = piece_features(piece_of("chords", 300))
    parts = judge.contributions(rows, "chords").sum(axis=1)
    logits = judge.log_probabilities(rows)
    wanted = logits[:, 1] - logits.mean(axis=1)
    zero = replace(judge, layers=tuple((w, np.zeros_like(b)) for w, b in judge.layers))
    if family == "linear":
        bias = judge.layers[0][1]
        np.testing.assert_allclose(parts + bias[1] - bias.mean(), wanted, atol=1e-4)
    plain = zero.log_probabilities(rows)
    np.testing.assert_allclose(
        zero.contributions(rows, "chords").sum(axis=1), plain[:, 1] - plain.mean(axis=1), atol=1e-4
    )
    evidence = judge.evidence(piece_of("chords", 300), "chords", count=5)
    assert len(evidence) == 5
    assert all(name in NAMES for name, _ in evidence)
    assert [abs(value) for _, value in evidence] == sorted(
        (abs(value) for _, value in evidence), reverse=True
    )
    with pytest.raises(InputError, match="not among the labels"):
        judge.evidence(piece_of("chords", 300), "bach")


def test_removed_notes_change_the_verdict_as_if_they_were_not_there(linear: Judge) -> None:
    piece = piece_of("chords", 12)
    rest = Piece(piece.notes[~piece.notes["melody"]], "score", piece.bars)
    np.testing.assert_array_equal(
        linear.probabilities(piece, piece.notes["melody"]), linear.probabilities(rest)
    )


@pytest.mark.parametrize("family", ["linear", "network"])
def test_a_judge_is_read_as_it_was_written(
    family: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    judge = replace(
        request.getfixturevalue(family), sharpness=1.7, growth=0.4, card={"training": {"pieces": 3}}
    )
    save_judge(judge, tmp_path)
    assert judges(tmp_path) == (judge.name,)
    again = load_judge(judge.name, tmp_path)
    np.testing.assert_array_equal(
        again.probabilities(piece_of("scales", 1)), judge.probabilities(piece_of("scales", 1))
    )
    assert (again.labels, again.card, again.sharpness, again.growth) == (
        judge.labels,
        judge.card,
        1.7,
        0.4,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{judge.name}.json",
        f"{judge.name}.safetensors",
    ]


def test_a_damaged_judge_is_refused(linear: Judge, tmp_path: Path) -> None:
    save_judge(linear, tmp_path)
    arrays, head = tmp_path / f"{linear.name}.safetensors", tmp_path / f"{linear.name}.json"
    content, text = arrays.read_bytes(), head.read_text()
    with pytest.raises(InputError, match="no such judge"):
        load_judge("j9", tmp_path)

    for bad_arrays, bad_text, why in (
        (content[:-1], text, "SHA-256"),
        (content[:-4] + b"\x00\x00\xc0\x7f", text, "SHA-256"),
        (b"", text, "SHA-256"),
        (content, text[: len(text) // 2], "damaged"),
        (content, text.replace('"sharpness": 1.0', '"sharpness": "loud"'), "damaged"),
        (content, text.replace('"labels"', '"names"'), "damaged"),
        (content, json.dumps({**json.loads(text), "features": "0" * 64}), "other features"),
        (content, json.dumps({**json.loads(text), "labels": ["one"]}), "lead from"),
        (content, "[]", "damaged"),
    ):
        arrays.write_bytes(bad_arrays)
        head.write_text(bad_text)
        with pytest.raises(InputError, match=why):
            load_judge(linear.name, tmp_path)
    arrays.unlink()
    head.write_text(text)
    with pytest.raises(InputError, match="damaged"):
        load_judge(linear.name, tmp_path)


@pytest.mark.skipif(not judges(), reason="no judges are shipped yet")
def test_shipped_judges_are_small_and_sound() -> None:
    from styletransfer.evaluation.judges.judge import FOLDER

    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 5_000_000
    piece = piece_of("chords", 1)
    for name in judges():
        judge = load_judge(name)
        assert judge.probabilities(piece).shape == (len(judge.labels),)
        assert list(judge.labels) == sorted(judge.labels)
        assert judge.card["test"]["pieces"]["accuracy"][0] > 0.5
    assert {
        f"{family}-{kind}"
        for family in ("j1", "j2")
        for kind in ("composers-13", "composers-5", "eras")
    } <= set(judges())


def test_calibration_finds_the_right_sharpness() -> None:
    """Log-probabilities of pieces with one excerpt are four times too confident."""
    rng = np.random.default_rng(0)
    true = rng.dirichlet(np.ones(4) * 0.7, 4000)
    truth = [int(rng.choice(4, p=row)) for row in true]
    sharpness, _ = calibration([4 * np.log(row)[None] for row in np.maximum(true, 1e-9)], truth)
    assert sharpness == pytest.approx(0.25, rel=0.25)


def test_calibration_distinguishes_witnesses_from_echoes() -> None:
    """Independent excerpts are summed (growth 1), copies of one excerpt are not (growth 0)."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 400)
    evidence = rng.normal(size=(400, 16, 3)) + 0.8 * np.eye(3)[truth][:, None]
    logits = 0.8 * evidence  # the log-likelihood ratio of unit normals that differ by 0.8
    alone = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    assert calibration(list(alone), truth.tolist())[1] >= 0.8
    assert calibration([np.repeat(one[:1], 16, axis=0) for one in alone], truth.tolist())[1] <= 0.2


def test_calibrated_keeps_the_arrays(linear: Judge, made: Made) -> None:
    rows, labels = made
    scores = [linear.log_probabilities(rows[k : k + 1]) for k in range(60)]
    judge = calibrated(linear, scores, labels[:60].tolist(), {"a": 1})
    assert judge.layers is linear.layers
    assert judged(judge, scores).shape == (60, 3)


def test_weights_even_out_composers_and_long_pieces() -> None:
    """16 excerpts of one piece count four times one of another; the rare label's sum grows toward
    the common one's.
    """
    weight = example_weights(["a"] * 32, ["score"] * 32, [0] * 16 + list(range(1, 17)))
    assert weight[:16].sum() / weight[16] == pytest.approx(4)
    assert weight.mean() == pytest.approx(1)
    assert example_weights(["a"] * 400 + ["b"], ["score"] * 401, list(range(401)))[-1] == 5.0
    weight = example_weights(["a"] * 90 + ["b"] * 10, ["score"] * 100, list(range(100)))
    assert weight[:90].sum() / weight[90:].sum() == pytest.approx(9**0.3)


def test_examples_of_the_tiny_data(tiny_data: Path) -> None:
    from styletransfer.data.library import Library

    library = Library.load(tiny_data)
    examples = read_examples(library, range(len(library)))
    assert examples.rows.shape == (len(examples.piece), SIZE)
    assert set(examples.piece) == set(range(len(library)))
    assert (
        examples.piece[examples.of([3, 4])]
        == np.repeat([3, 4], [(examples.piece == k).sum() for k in (3, 4)])
    ).all()
    bare = read_examples(library, [0, 1], without_melody=True, longest=60)
    assert len(bare.piece) == 2
    notes = library.notes(0)[:60]
    rest = notes[~notes["melody"]]
    again = features(rest["onset"].astype(float), rest["pitch"], library.pieces[0].feel)
    np.testing.assert_array_equal(bare.rows[0], again[0].astype(np.float16))


def test_cross_validation_never_hears_its_own_fold() -> None:
    """Labels that can only be known piece by piece: a judge that has seen the piece is right,
    another is at chance.
    """
    rng = np.random.default_rng(0)
    own = rng.random((12, SIZE)).astype(np.float16)
    piece = np.repeat(np.arange(12), 8)
    rows, labels = own[piece], np.array(["x", "y", "z"])[rng.integers(0, 3, 12)][piece]
    feels = np.full(96, "score")
    _, leaky = cross_validate(rows, piece, labels, feels, np.tile(np.arange(2), 48))
    names, clean = cross_validate(rows, piece, labels, feels, piece % 2)
    assert (np.array(names)[leaky.argmax(axis=1)] == labels).mean() == 1
    assert (np.array(names)[clean.argmax(axis=1)] == labels).mean() < 0.7
    assert Examples(rows, piece).of([1], 3).tolist() == [8, 10, 13]


def test_scores_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, f1_score

    rng = np.random.default_rng(0)
    truth, probabilities = rng.integers(0, 4, 300), rng.dirichlet(np.ones(4), 300)
    guess = probabilities.argmax(axis=1)
    found = measure(
        list("abcd"),
        [list("abcd")[k] for k in truth],
        probabilities,
        [str(k // 3) for k in range(300)],
        draws=500,
    )
    assert found["accuracy"][0] == pytest.approx(accuracy_score(truth, guess), abs=1e-4)
    assert found["weighted_f1"][0] == pytest.approx(
        f1_score(truth, guess, average="weighted"), abs=1e-4
    )
    assert found["macro_f1"][0] == pytest.approx(f1_score(truth, guess, average="macro"), abs=1e-4)
    assert list(found["f1"].values()) == pytest.approx(
        f1_score(truth, guess, average=None).tolist(), abs=1e-4
    )
    for key in ("accuracy", "weighted_f1", "macro_f1"):
        value, low, high = found[key]
        assert low < value < high


def test_calibration_error_by_hand() -> None:
    """Two items at .9, one of them right, and two at .6, both right: (2 * .4 + 2 * .4) / 4."""
    found = measure(
        ["a", "b"],
        ["a", "b", "a", "a"],
        np.array([[0.9, 0.1]] * 2 + [[0.6, 0.4]] * 2),
        list("wxyz"),
        draws=10,
    )
    assert found["calibration_error"] == pytest.approx(0.4)
    assert found["confusion"] == [[3, 0], [1, 0]]


def test_draws_keep_groups_together() -> None:
    own = np.zeros((4, 2, 2))
    own[[0, 1], 0, 0] = 1
    own[[2, 3], 1, 0] = 1
    drawn = confusion_draws(own, ["g", "g", "h", "h"], np.random.default_rng(0), 200)
    assert set(drawn[:, 0, 0]) == {0, 2, 4}
    assert (drawn.sum(axis=(1, 2)) == 4).all()
    assert np.isnan(scores_of(np.array([[2.0, 0], [0, 0]]))["f1"][1])


def info(number: int, **values: object) -> PieceInfo:
    fields = {
        "id": f"p{number}", "file": f"{number}.mid", "source": "s", "title": "",
        "composer": "bach", "era": "baroque",
        "feel": "score", "split": "train", "group": f"g{number}", "notes": (0, 100), "bars": (0, 0),
        "quarters_per_minute": 120.0, "seconds": 60.0,
    }  # fmt: skip
    return PieceInfo(**{**fields, **values})  # type: ignore[arg-type]


def test_halves_are_stable_balanced_and_of_training_groups() -> None:
    rng = np.random.default_rng(0)
    pieces = [
        info(
            k,
            composer=("bach", "liszt")[k % 2],
            group=f"g{k // 3 * 2 + k % 2}",
            notes=(0, int(rng.integers(100, 9000))),
        )
        for k in range(90)
    ]
    pieces.append(info(99, split="test", group="held"))
    found = halves(pieces)
    assert found == halves(pieces[::-1])
    assert set(found) == {piece.group for piece in pieces[:-1]}
    for composer in ("bach", "liszt"):
        total = Counter[str]()
        for piece in pieces[:-1]:
            if piece.composer == composer:
                total[found[piece.group]] += piece.count
        assert abs(total["A"] - total["B"]) < 0.1 * sum(total.values())
    assert half_of("g0", pieces) == found["g0"] == half_of("g0", found)
    with pytest.raises(KeyError):
        half_of("held", pieces)


def test_pairs_of_feels() -> None:
    """A score and a performance of one movement are a pair; the whole sonata and one movement are
    not.
    """
    pieces = [
        info(0, group="g"), info(1, group="g", feel="performance", notes=(0, 110)),
        info(2, group="g", feel="performance", notes=(0, 115)),
        info(3, group="g", feel="performance", notes=(0, 400)), info(4),
    ]  # fmt: skip
    across, within = feel_pairs(pieces, range(5))
    assert (across, within) == ([(0, 1), (0, 2)], [(1, 2)])
    known = {0: np.array([0.8, 0.2]), 1: np.array([0.6, 0.4]), 2: np.array([0.2, 0.8])}
    assert agreement(across, known) == {"pairs": 2, "same_verdict": 0.5, "distance": 0.4}
    assert agreement([], known)["same_verdict"] is None


def test_a_feature_that_reveals_the_feel_is_not_read(made: Made) -> None:
    rows, labels = made
    scores = np.array([[0.0, 1, 0], [1, 0, 0]])
    assert feel_bias(scores, scores + [0.1, 0.6, 0.2]).tolist() == pytest.approx([0.2, 1.2, np.inf])
    assert feel_bias(scores, scores).tolist() == [0, 0, 0]
    fair = np.arange(SIZE) % 2 == 0
    assert fair[train_linear("fair", rows[:60], labels[:60], np.ones(60), fair=fair).columns].all()


def test_kappa_and_year_baseline_by_hand() -> None:
    first, second = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    assert kappa(first, second, 2) == pytest.approx((0.75 - 0.5) / 0.5)
    years, labels = ["04", "04", "04", "06", "06"], ["a", "a", "b", "b", "c"]
    assert majority_by(years, labels, np.array([0, 1, 2, 0, 1])) == ["a", "a", "a", "c", "b"]


def test_the_melody_block_hears_the_melody() -> None:
    """An end-to-end look at one column: scales climb by seconds, arpeggios don't."""
    column = block_columns("interval 1 notes later")
    scales, arpeggios = (
        rows_of("scales", range(3))[:, column],
        rows_of("arpeggios", range(3))[:, column],
    )
    assert scales[:, 24 + 2].min() > arpeggios[:, 24 + 2].max()
