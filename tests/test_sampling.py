"""Test decoding with a model of two layers and random weights.

Tested are the cache, the sliding window, seeds and the style's strength.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.generate import Generating, by_transformers, by_us, job
from styletransfer.errors import InputError
from styletransfer.model import decoder, sampling
from styletransfer.model.base import as_llama
from styletransfer.model.decoder import Decoder
from styletransfer.model.sampling import Candidate, Voice, sample, voices_of
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.notes import Feel, Piece, bars_of, make_notes
from styletransfer.tokens.codec import FREE_BAR_STEPS
from styletransfer.tokens.controls import Controls
from styletransfer.tokens.grammar import MelodyGrammar
from styletransfer.tokens.plan import Plan, free_plan, plan_of
from styletransfer.training.likelihood import windows_of
from tests.tiny import codec, tiny_model

BACH = Controls("score", "baroque", "bach")
CHOPIN = replace(BACH, era="romantic", composer="chopin")
PERFORMED = Controls("performance", "romantic", "chopin")


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_model(context=2048)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return short_plan("score")


def short_plan(feel: Feel, notes: int = 4) -> Plan:
    """Plan a rising scale of quarters in 2/4, or of half seconds.

    There is a bar for every two, or four, notes.
    """
    onset = np.arange(notes) / (1 if feel == "score" else 2)
    table = make_notes(onset, np.full(notes, 0.4), 72 + np.arange(notes), melody=True)
    if feel == "score":
        return plan_of(
            codec(), codec().grid(Piece(table, feel, bars_of([(0.0, 2, 4)], float(notes))))
        )
    return plan_of(codec(), codec().grid_of(feel, table, bars_of([], 0.0)[:0]))


def voices(model: Any, controls: Controls, strength: float) -> list[Voice]:
    """Return the voices of a style that the base knows by its control tokens."""
    return voices_of(model, [(model, controls, 1.0)], strength)


def run(model: Any, plan: Plan, controls: Controls = BACH, **settings: Any) -> list[Candidate]:
    config = SamplingConfig(**({"candidates": 1, "strength": 1.0} | settings))
    return sample(voices(model, controls, config.strength), codec(), plan, config)


def test_same_seed_same_result(model: Any, plan: Plan) -> None:
    first, again = (run(model, plan, candidates=3, strength=1.5, seed=4) for _ in range(2))
    assert first == again
    assert run(model, plan, candidates=3, strength=1.5, seed=5) != first


def test_candidates_differ_and_each_holds_the_melody(model: Any, plan: Plan) -> None:
    candidates = run(model, plan, candidates=4)
    assert len({str(candidate.bars) for candidate in candidates}) == 4
    for candidate in candidates:
        assert len(candidate.bars) == plan.bars
        for ids, melody in zip(candidate.bars, plan.melody or (), strict=True):
            assert set(melody) <= set(codec().decode_events(ids))


def test_temperature_zero_takes_the_likeliest(model: Any, plan: Plan) -> None:
    """It doesn't depend on the seed, and all candidates are the same."""
    first, second = run(model, plan, candidates=2, temperature=0.0, seed=1)
    (other,) = run(model, plan, temperature=0.0, seed=2)
    assert first.bars == second.bars == other.bars
    assert run(model, plan, seed=1)[0].style_logprob < first.style_logprob


class Checked(Decoder):
    """A decoder that compares every step with whole forward passes.

    Each sequence has a pass alone and without padding.
    """

    starts = checks = widest = 0
    atol, rtol = 2e-3, 1e-3
    first: list[list[int]] | None = None

    def __init__(self, models: Sequence[Any], rows: int) -> None:
        super().__init__(models, rows)
        self.alone = [model for model in models for _ in range(rows)]

    def start(self, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
        self.sequences = [list(ids) for ids in sequences]
        type(self).starts += 1
        if type(self).first is None:
            type(self).first = [list(ids) for ids in sequences]
        return self.compare(super().start(sequences))

    def step(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        for ids, more in zip(self.sequences, tokens, strict=True):
            ids += more
        type(self).widest = max(self.widest, *map(len, tokens))
        return self.compare(super().step(tokens), [len(more) for more in tokens])

    def compare(self, logits: torch.Tensor, counts: Sequence[int] = ()) -> torch.Tensor:
        """Check all logits of some steps.

        ``counts`` are those of the last tokens of each sequence, 1 by default.
        """
        if counts and self.length % 9:
            return logits
        type(self).checks += 1
        assert max(map(len, self.sequences)) <= self.alone[0].config.max_position_embeddings
        wholes = []
        for ids, model, count in zip(
            self.sequences, self.alone, counts or [1] * len(self.sequences), strict=True
        ):
            wholes.append(model(input_ids=torch.tensor([ids])).logits[0, len(ids) - count :])
        torch.testing.assert_close(logits, torch.cat(wholes), atol=self.atol, rtol=self.rtol)
        return logits


@pytest.mark.parametrize(
    ("cpus", "has", "kernels", "pays"),
    [
        ("vendor_id\t: GenuineIntel", True, "AVX512", True),
        ("vendor_id\t: GenuineIntel", True, "AVX2", False),
        ("vendor_id\t: GenuineIntel", False, "AVX512", False),
        ("vendor_id : AuthenticAMD", True, "AVX512", False),
    ],
)
def test_halves_are_for_who_gains_by_them(
    cpus: str, has: bool, kernels: str, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: kernels)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"processor\t: 0\n{cpus}\n")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has)
    decoder._maker.cache_clear()
    assert decoder.halves_pay(torch.device("cpu")) == pays
    assert not decoder.halves_pay(torch.device("meta"))
    decoder._maker.cache_clear()


ATTENTION = """
import torch
from styletransfer.model.decoder import halves_pay
kind = torch.bfloat16 if halves_pay(torch.device("cpu")) else torch.float32
some = torch.ones(1, 4, 64, 64, dtype=kind)
torch.nn.functional.scaled_dot_product_attention(some, some, some, is_causal=True)
"""


@pytest.mark.parametrize("kernels", ["default", "avx2"])
def test_fewer_instructions_than_the_machine_has(kernels: str) -> None:
    """With ``ATEN_CPU_CAPABILITY=default``, ``apply`` used to end in a traceback ("pack_vnni2 is
    only supported when avx512 is supported"): the CPU was asked, not PyTorch.
    """
    environment = os.environ | {"ATEN_CPU_CAPABILITY": kernels}
    subprocess.run([sys.executable, "-c", ATTENTION], env=environment, check=True)


@pytest.fixture(params=["float32", "bfloat16"])
def checked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Checked]:
    halves = request.param == "bfloat16"
    monkeypatch.setattr(decoder, "halves_pay", lambda _: halves)
    if halves:
        monkeypatch.setattr(Checked, "atol", 0.1)
        monkeypatch.setattr(Checked, "rtol", 0.1)
    monkeypatch.setattr(sampling, "Decoder", Checked)
    monkeypatch.setattr(Checked, "starts", 0)
    monkeypatch.setattr(Checked, "checks", 0)
    monkeypatch.setattr(Checked, "first", None)
    return Checked


@pytest.mark.parametrize("feel", ["score", "performance"])
def test_the_cache_gives_what_whole_passes_give(feel: Feel, checked: type[Checked]) -> None:
    """It does so even after the window has slid, several times.

    Rows of different lengths are padded to one.
    """
    plan = short_plan(feel, notes=12)
    controls = PERFORMED if feel == "performance" else BACH
    one, two = run(tiny_model(context=96), plan, controls, candidates=2, strength=1.5)
    assert checked.starts >= 4
    assert checked.checks > 2 * checked.starts
    assert sum(map(len, one.bars)) + sum(map(len, two.bars)) > 200


def test_models_that_decode_together_give_what_each_gives_alone(
    checked: type[Checked], plan: Plan
) -> None:
    """A blend: two models with different weights, and the first again without a style, each with
    rows of its own.
    """
    one, other = (tiny_model(context=96, seed=seed) for seed in (0, 1))
    mixed = voices_of(one, [(one, BACH, 0.7), (other, CHOPIN, 0.3)], 1.5)
    assert [voice.weight for voice in mixed] == pytest.approx([1.05, 0.45, -0.5])
    blend = sample(mixed, codec(), plan, SamplingConfig(candidates=2))
    assert checked.checks > 5
    assert blend != run(one, plan, candidates=2, strength=1.5)


def test_a_bar_longer_than_the_context_is_decoded_too(checked: type[Checked]) -> None:
    """A whole song in one bar: the prompt alone was longer than the context, which no decoder can
    read.
    """
    onset = np.arange(0, 32, 0.5)
    table = make_notes(
        onset, np.full(len(onset), 0.4), 60 + np.arange(len(onset)) % 12, melody=True
    )
    plan = plan_of(codec(), codec().grid(Piece(table, "score", bars_of([(0.0, 32, 4)], 32.0))))
    (candidate,) = run(tiny_model(context=128), plan, temperature=0.5)
    assert {e for events in plan.melody or () for e in events} <= set(
        codec().decode_events(candidate.bars[0])
    )
    assert checked.starts < sum(map(len, candidate.bars)) / 20


def test_both_branches_are_given_the_melody(checked: type[Checked], model: Any, plan: Plan) -> None:
    """The branch without style began without the first bars' melody: the other branch had used up
    its tokens.
    """
    run(model, plan, candidates=2, strength=1.5)
    assert checked.first is not None
    styled, plain = checked.first[:2], checked.first[2:]
    size = len(BACH.tokens())
    assert [ids[size:] for ids in styled] == [ids[size:] for ids in plain]
    assert len(styled[0]) > size + 2
    assert {tuple(codec().names[i] for i in ids[:size]) for ids in plain} == {
        tuple(BACH.without_style().tokens())
    }


def test_strength_one_is_the_style_alone(model: Any, plan: Plan) -> None:
    """The branch without style isn't computed, with the same result as with it at a strength close
    to one.
    """
    (alone,), (guided,) = run(model, plan, strength=1.0), run(model, plan, strength=1.0 + 1e-9)
    assert alone.bars == guided.bars
    assert alone.style_logprob == pytest.approx(guided.style_logprob, abs=1e-4)
    assert alone.base_logprob == 0
    assert guided.base_logprob < 0


def test_strength_zero_is_the_base_alone(model: Any, plan: Plan) -> None:
    (none,), (unknown,) = (
        run(model, plan, strength=0.0),
        run(model, plan, BACH.without_style(), strength=1.0),
    )
    assert none == unknown
    assert none != run(model, plan, strength=1.0)[0]


def test_guidance_extrapolates_between_the_predictions() -> None:
    """plain + strength x (style - plain), in log-probabilities."""
    logits = torch.randn(6, 11, generator=torch.Generator().manual_seed(0))
    log = torch.log_softmax(logits, -1).double().numpy()
    for strength in (0.5, 1.5, 3.0):
        guided, style, plain = sampling.guide(logits, voices(None, BACH, strength))
        np.testing.assert_array_equal(style, log[:3])
        np.testing.assert_array_equal(plain, log[3:])
        np.testing.assert_allclose(guided, log[3:] + strength * (log[:3] - log[3:]), atol=1e-12)
    guided, style, _ = sampling.guide(logits, voices(None, BACH, 1.0))
    assert guided.shape == (6, 11)
    np.testing.assert_array_equal(guided, style)


def test_a_finished_row_does_not_disturb_the_others(model: Any, plan: Plan) -> None:
    """A candidate that is longer than the others is the same as by itself."""
    for seed in range(8):
        rows = run(model, plan, candidates=4, seed=seed)
        lengths = [sum(map(len, row.bars)) for row in rows]
        if lengths[0] > min(lengths) + 5:
            break
    assert lengths[0] > min(lengths) + 5
    (alone,) = run(model, plan, seed=seed)
    assert alone.bars == rows[0].bars
    assert alone.style_logprob == pytest.approx(rows[0].style_logprob, abs=1e-4)


def test_free_composition_has_its_length_and_reports_its_progress(model: Any) -> None:
    shares: list[float] = []
    plan = free_plan("performance", 2, FREE_BAR_STEPS, "BAR_free")
    config = SamplingConfig(candidates=1, strength=1.0)
    (candidate,) = sample(voices(model, PERFORMED, 1.0), codec(), plan, config, shares.append)
    assert len(candidate.bars) == 2
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_draws_follow_the_distribution() -> None:
    """Frequencies of 4,000 draws; tokens forbidden by the mask or
    outside the nucleus never occur.
    """
    logits = np.log(np.array([0.4, 0.3, 0.2, 0.1]))
    mask = np.array([True, True, True, False])
    rng = np.random.default_rng(0)

    def share(config: SamplingConfig) -> list[float]:
        draws = [sampling.draw(logits, mask, config, rng) for _ in range(4000)]
        return [draws.count(k) / 4000 for k in range(4)]

    config = SamplingConfig(temperature=1.0, top_p=1.0)
    np.testing.assert_allclose(share(config), [4 / 9, 3 / 9, 2 / 9, 0], atol=0.03)
    np.testing.assert_allclose(share(replace(config, top_p=0.7)), [4 / 7, 3 / 7, 0, 0], atol=0.03)
    np.testing.assert_allclose(
        share(replace(config, temperature=0.5)), [16 / 29, 9 / 29, 4 / 29, 0], atol=0.03
    )
    assert share(replace(config, top_p=0.01)) == [1, 0, 0, 0]
    assert share(replace(config, temperature=0.0)) == [1, 0, 0, 0]


def test_which_pitch_is_drawn_cooler_than_whether_there_is_one() -> None:
    """With two pitches and two other tokens, the pitches' total probability stays the same, and
    their odds are sharpened.
    """
    chances = np.array([0.3, 0.2, 0.4, 0.1])
    pitches, mask = np.array([True, True, False, False]), np.ones(4, bool)
    rng, config = np.random.default_rng(0), SamplingConfig(temperature=1.0, top_p=1.0)
    draws = [sampling.draw(np.log(chances), mask, config, rng, pitches) for _ in range(6000)]
    sharp = chances[:2] ** (1 / sampling.PITCH_TEMPERATURE)
    expected = [*(0.5 * sharp / sharp.sum()), 0.4, 0.1]
    np.testing.assert_allclose(np.bincount(draws, minlength=4) / 6000, expected, atol=0.02)
    assert expected[0] > 0.3 > expected[1]
    assert sampling.draw(np.log(chances), mask, SamplingConfig(temperature=0.0), rng, pitches) == 2


def test_the_accompaniments_pitches_are_those_of_scores_without_the_tunes() -> None:
    """The melody's first note is due on the first step: whether it comes now isn't a choice of
    pitch.
    """
    for feel in ("score", "performance"):
        line = MelodyGrammar(codec(), short_plan(feel))
        for index in list(line.forced):
            line.push(index)
        names = {codec().names[index] for index in np.flatnonzero(line.pitches())}
        assert "Pitch_72" not in names
        assert ("Pitch_60" in names) == (feel == "score")
        assert all(name.startswith("Pitch_") for name in names)


@pytest.mark.parametrize(
    "wrong", [{"candidates": 0}, {"temperature": -1}, {"top_p": 0}, {"strength": 9}, {"seed": -1}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(
        InputError, match=f"--{next(iter(wrong)).replace('_', '-')} .*: give a number from"
    ):
        SamplingConfig(**wrong)


def wandering_tune() -> Piece:
    """Make forty bars in C major, then forty in F sharp major."""
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 7, 4, 2, 0])
    pitch = np.concatenate([72 + scale[np.arange(80) % 12], 66 + scale[np.arange(80) % 12]])
    onset = np.arange(160.0)
    return Piece(
        make_notes(onset, np.full(160, 0.9), pitch, melody=True),
        "score",
        bars_of([(0.0, 2, 4)], 160.0),
    )


def key_of(ids: Sequence[int]) -> str:
    return next(codec().names[index] for index in ids if codec().names[index].startswith("KEY_"))


def test_the_controls_state_the_key_of_the_bars_to_come(
    checked: type[Checked], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While decoding, they are updated whenever the window slides.

    The windows that are used to count bits have them, too.
    """
    told: list[set[str]] = []
    start = Checked.start

    def noted(self: Checked, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
        told.append({key_of(ids) for ids in sequences})
        return start(self, sequences)

    monkeypatch.setattr(Checked, "start", noted)
    grid = codec().grid(wandering_tune())
    run(tiny_model(context=96), plan_of(codec(), grid), strength=1.5)
    assert told[0] == {"KEY_C-major"}
    assert {"KEY_F#-major"} in told[-4:]  # of the last notes alone there is no key
    windows = windows_of(codec(), grid, BACH, 96, with_melody=True)
    assert key_of(windows[0].ids.tolist()) == "KEY_C-major"
    assert "KEY_F#-major" in {key_of(window.ids.tolist()) for window in windows[-4:]}
    assert {
        key_of(window.ids.tolist())
        for window in windows_of(codec(), grid, BACH, 96, with_melody=False)
    } == {"KEY_unknown"}


@pytest.fixture
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep keys and values unrounded.

    Tokens then don't depend on the order of a sum.
    """
    monkeypatch.setattr(decoder, "halves_pay", lambda _: False)


@pytest.mark.usefixtures("float32")
def test_songs_of_a_batch_are_what_each_is_alone(model: Any, plan: Plan) -> None:
    """With different melodies and controls and the same models, the samples of one don't depend on
    its neighbours.
    """
    config = SamplingConfig(candidates=2, strength=1.5, seed=3)
    asked = [
        (voices(model, BACH, 1.5), plan),
        (voices(model, PERFORMED, 1.5), short_plan("performance", 6)),
    ]
    together = sampling.sample_songs(asked, codec(), config)
    alone = [sample(one, codec(), its, config) for one, its in asked]
    assert [[found.bars for found in song] for song in together] == [
        [found.bars for found in song] for song in alone
    ]


def test_songs_of_a_batch_share_their_models(model: Any, plan: Plan) -> None:
    with pytest.raises(ValueError, match="same models and weights"):
        sampling.sample_songs(
            [(voices(model, BACH, 1.5), plan), (voices(model, BACH, 1.0), plan)],
            codec(),
            SamplingConfig(),
        )


@pytest.mark.usefixtures("float32")
def test_greedy_tokens_are_those_of_transformers(tiny_package: Path) -> None:
    """``generate`` has the grammar as its logits processor, and one or several candidates."""
    task = job("happy-birthday", "bach", tiny_package)
    theirs = by_transformers(task, Generating.of(as_llama(task.voice.model)), 2, greedy=True)
    assert theirs == by_us(task, 2, greedy=True)
    assert theirs[0] == by_us(task, 1, greedy=True)[0]
    assert len(theirs[0]) == task.plan.bars
