"""Train a style: an adapter, stopped early on held-out pieces, with a card."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback

from styletransfer.data.batches import MixtureConfig, Windows
from styletransfer.data.figures import profile_of_library
from styletransfer.data.library import Library, training_sequences
from styletransfer.data.touch import loudness
from styletransfer.errors import InputError
from styletransfer.files import write_atomically, write_folder_atomically
from styletransfer.folders import COPIES, IDIOM
from styletransfer.model.adapters import LoraSettings, attach, begin_as, save_adapter, style_token
from styletransfer.model.base import MelodyLlama, load_package
from styletransfer.model.weights import weights_hash
from styletransfer.music.copies import Copies
from styletransfer.music.idiom import save_profile
from styletransfer.music.notes import Feel
from styletransfer.styles.card import CARD, WEIGHTS, Card, Kind, Style
from styletransfer.tokens.codec import Codec
from styletransfer.tokens.controls import UNKNOWN
from styletransfer.training.checkpoints import last_checkpoint
from styletransfer.training.likelihood import Bits, bits_per_note
from styletransfer.training.optimizer import WarmupStableDecay
from styletransfer.training.trainer import (
    RunLog,
    Shown,
    TimeBudget,
    TrainConfig,
    WindowTrainer,
    arguments_of,
    keep_memory,
    validation_pieces,
)

USER_SLOT = "reserved-0"
"""The composer token of all users' styles: its row is in each adapter, not in the base."""
MOST_PASSES = 12.0
"""The most passes over the pieces when none is held out to show when to stop, or over those of a
feel of which there is little.
"""
Progress = Callable[[float], None]
HeldOut = dict[str, list[int]]
"""The held-out pieces of each feel, by their places in the library."""


@dataclass(frozen=True)
class FinetuneConfig:
    """How to train an adapter.

    ``lora``: its shape. ``mixture``: what windows are drawn from; none of them lacks the style's
    tag. ``steps``: the most there may be, of ``batch`` windows each. The learning rate rises over
    ``warmup`` steps and falls over the last ``decay_share`` of the steps or minutes. Up to
    ``evaluate_pieces`` held-out pieces of each feel are evaluated every ``evaluate_every`` steps,
    each time with a checkpoint; the run ends when they haven't improved ``patience`` times in a
    row.
    """

    lora: LoraSettings = field(default_factory=LoraSettings)
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    batch: int = 4
    steps: int = 400
    learning_rate: float = 1e-3
    warmup: int = 10
    decay_share: float = 0.9
    evaluate_every: int = 50
    evaluate_pieces: int = 6
    patience: int = 3
    seed: int = 1
    compile: bool = False

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise ValueError("patience is positive")
        _ = self.run

    @property
    def run(self) -> TrainConfig:
        """These settings for the trainer of whole models."""
        return TrainConfig(
            mixture=replace(self.mixture, drop_style=0.0, drop_composer=0.0),
            batch=self.batch,
            steps=self.steps,
            learning_rate=self.learning_rate,
            weight_decay=0.0,
            warmup=self.warmup,
            decay_share=self.decay_share,
            evaluate_every=self.evaluate_every,
            evaluate_pieces=self.evaluate_pieces,
            save_every=self.evaluate_every,
            seed=self.seed,
            compile=self.compile,
        )


@dataclass(frozen=True)
class StyleRun:
    """What one style learns from, how, and where it is written.

    ``library``: the style's pieces and no others, all labelled with its era and composer
    (:meth:`Library.view`). ``base``: the folder of the base model. ``work``: a folder for
    checkpoints; those of another run are removed from it. ``out``: the style's folder. ``start``:
    a style whose adapter the training begins with (a few pieces are learnt better from their era's
    adapter). ``minutes``: of training at most. ``licence`` and ``data``: for the card.
    """

    library: Library
    base: Path
    name: str
    kind: Kind
    config: FinetuneConfig
    work: Path
    out: Path
    start: Style | None = None
    minutes: float | None = None
    licence: str = ""
    data: str = ""


class _Base(NamedTuple):
    """The base model with its tokenizer, its hash, and its context in tokens."""

    model: MelodyLlama
    vocabulary: dict[str, int]
    codec: Codec
    hash: str
    context: int


def finetune(run: StyleRun, progress: Progress | None = None) -> Card:
    """Train a style and write its folder, in place of an older one.

    The folder appears whole or not at all. A run that was killed continues from its folder
    ``work``, which is removed at the end.

    Args:
        run: what to learn.
        progress: called with the share that is done.

    Raises:
        InputError: where the base has other tokens, or a folder holds something else.
    """
    keep_memory()
    base = _load_base(run.base)
    held_out = validation_pieces(run.library, run.config.evaluate_pieces)
    _claim_work(run, base)

    before = _bits_before(run, base, held_out)
    trainer = _trainer(run, base, held_out, progress)
    last = last_checkpoint(run.work)
    trainer.train(resume_from_checkpoint=str(last) if last else None)

    card = _card(run, base, before, trainer)
    _publish(run.out, partial(_write_style, run, card, trainer))
    shutil.rmtree(run.work)
    return card


def _load_base(folder: Path) -> _Base:
    model, vocabulary, manifest = load_package(folder)
    codec = Codec()
    if codec.hash != manifest["tokenizer_hash"]:
        raise InputError(
            f"{folder}: its tokens are not those of this version; a style can't be trained on it."
        )
    context = int(model.config.max_position_embeddings)
    return _Base(model, vocabulary, codec, weights_hash(manifest), context)


def _claim_work(run: StyleRun, base: _Base) -> None:
    """Claim the folder ``work``: remove another run's files, refuse anything else."""
    identity = {
        "config": asdict(run.config),
        "base": base.hash,
        "data": run.library.hash,
        "name": run.name,
    }
    if run.start is not None and run.start.path is not None:
        weights = (run.start.path / WEIGHTS).read_bytes()
        identity["start"] = hashlib.sha256(weights).hexdigest()
    text = json.dumps(identity, indent=1, sort_keys=True)

    work, used = run.work, run.work.exists() and any(run.work.iterdir())
    if used and not (work / "run.json").exists():
        raise InputError(f"{work}: holds something other than a run; name another folder.")
    if used and (work / "run.json").read_text() != text:
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    write_atomically(work / "run.json", text.encode())


def _bits_before(run: StyleRun, base: _Base, held_out: HeldOut) -> Bits:
    """Return held-out pieces' bits per note under the base without a style."""
    library = run.library
    plain = library.view(range(len(library)), era=UNKNOWN, composer=UNKNOWN)
    pieces = [index for feel in held_out.values() for index in feel]
    return bits_per_note(base.model, base.codec, plain, pieces, base.context, with_melody=True)


def _trainer(
    run: StyleRun, base: _Base, held_out: HeldOut, progress: Progress | None
) -> WindowTrainer:
    """Make the trainer of a new adapter on the base."""
    train = _train_config(run, base.context, bool(held_out))
    torch.manual_seed(train.seed)
    piece, lora = run.library.pieces[0], run.config.lora
    adapted = attach(base.model, lora, base.vocabulary, style_token(piece.era, piece.composer))
    if run.start is not None:
        begin_as(adapted, lora, run.start)

    trained = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, train.learning_rate, (0.9, 0.99), weight_decay=train.weight_decay
    )
    schedule = WarmupStableDecay(train.warmup)

    callbacks: list[TrainerCallback] = [
        TimeBudget(schedule, train, run.minutes, keep=False),
        RunLog(run.work / "log.jsonl", train.batch * base.context, quiet=True),
    ]
    best: dict[str, Any] = {}
    if held_out:
        callbacks.append(EarlyStoppingCallback(run.config.patience))
        best = {
            "load_best_model_at_end": True,
            "metric_for_best_model": "bits_per_note",
            "greater_is_better": False,
        }
    if progress:
        callbacks.append(Shown(progress, run.minutes))

    windows = Windows(run.library, base.codec, train.mixture, base.context, train.seed)
    trainer = WindowTrainer(
        library=run.library,
        codec=base.codec,
        validation=held_out,
        model=adapted,
        args=arguments_of(train, run.work, disable_tqdm=True, **best),
        train_dataset=windows,
        eval_dataset=windows,
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)),
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _card(run: StyleRun, base: _Base, before: Bits, trainer: WindowTrainer) -> Card:
    """Make the card of a style that has been trained."""
    learnt = [piece for piece in run.library.pieces if piece.split == "train"]
    first, steps = run.library.pieces[0], trainer.state.global_step
    return Card(
        name=run.name,
        kind=run.kind,
        era=first.era,
        composer=first.composer,
        base=base.hash,
        tokenizer_hash=base.codec.hash,
        pieces=len(learnt),
        minutes=round(sum(piece.seconds for piece in learnt) / 60, 1),
        notes=sum(piece.count for piece in learnt),
        held_out=len(before.notes),
        base_bits=round(before.mean, 4) if len(before.notes) else None,
        style_bits=trainer.state.best_metric,  # of the checkpoint that was loaded at the end
        licence=run.licence,
        data=run.data,
        rank=run.config.lora.rank,
        steps=steps,
        tokens=steps * run.config.batch * base.context,
        begun_as=run.start.name if run.start else "",
        touch=loudness(run.library),
    )


def _write_style(run: StyleRun, card: Card, trainer: WindowTrainer, folder: Path) -> None:
    """Write the adapter and its card, and of a user's style what its pieces show."""
    adapted = trainer.accelerator.unwrap_model(trainer.model, keep_torch_compile=False)
    save_adapter(adapted, folder, card, readme_of(card))

    # For shipped styles, one index of copies and one table of idioms serve all.
    if run.kind == "user":
        library = run.library
        Copies.build(training_sequences(library), library.hash).save(folder / COPIES)
        if (profile := profile_of_library(library)) is not None:
            save_profile(folder / IDIOM, profile)


def readme_of(card: Card, *, measured: bool = False) -> str:
    """Write a style's model card, in the form that model hubs show.

    Args:
        card: what is known of the style.
        measured: whether its bits per note were measured on the same recipe's adapter that learnt
            without the held-out pieces.
    """
    if card.gain is None:
        result = "No piece was held out, so it is not known how much was learnt."
    else:
        result = (
            f"On {card.held_out} held-out pieces, which also determined when to stop, given their"
            f" melody: {card.base_bits:.2f} bits per note under the base without a style,"
            f" {card.style_bits:.2f} under this one, a gain of {card.gain:.2f}."
        )
        if measured:
            result += (
                " This was measured on an adapter made by the same recipe without these pieces;"
                " this adapter has learnt from them, too."
            )
    source = card.data or "the user's own"
    learnt = f"{card.pieces} pieces, {card.minutes:.0f} minutes, {card.notes:,} notes: {source}"
    licence = card.licence or "that of the pieces, and the base model's CC BY-NC-SA 4.0"
    begun = f", begun with the adapter of {card.begun_as}" if card.begun_as else ""
    return f"""---
library_name: peft
tags: [music, symbolic-music, lora, styletransfer]
license: {"cc-by-nc-sa-4.0" if card.kind != "user" else "other"}
---
# {card.name}

A style for `styletransfer`: a LoRA adapter of rank {card.rank} on its base model
(weights {card.base}).

    styletransfer apply happy-birthday --style {card.name}

- learnt from {learnt}
- {card.steps} steps, {card.tokens:,} tokens{begun}
- control tokens: era {card.era}, composer {card.composer}
- licence: {licence}

{result}
"""


def _train_config(run: StyleRun, context: int, held_out: bool) -> TrainConfig:
    """Return the run's settings, fitted to how much music there is of each feel."""
    train = run.config.run if held_out else _blind(run.config.run, run.library, context)
    share = _score_share(train, run.library, context)
    return replace(train, mixture=replace(train.mixture, score_share=share))


def _blind(run: TrainConfig, library: Library, context: int) -> TrainConfig:
    """Return settings without held-out pieces: a few passes, no validation."""
    windows = sum(_most_windows(library, context).values())
    steps = min(run.steps, max(10, round(windows / run.batch)))
    return replace(run, steps=steps, evaluate_every=steps + 1, save_every=run.save_every)


def _score_share(run: TrainConfig, library: Library, context: int) -> float:
    """Return which share of the windows is of scores.

    It is the settings' share, moved so far that neither feel's pieces are learnt more often than
    :data:`MOST_PASSES` times while the other feel has more to give: a single score would be learnt
    by heart.
    """
    count = run.steps * run.batch
    most = {feel: windows / count for feel, windows in _most_windows(library, context).items()}
    if sum(most.values()) <= 1:
        return most["score"] / (sum(most.values()) or 1)
    return min(max(run.mixture.score_share, 1 - most["performance"]), most["score"])


def _most_windows(library: Library, context: int) -> dict[Feel, float]:
    """Count the windows of each feel in :data:`MOST_PASSES` over its training pieces.

    A note is taken as four tokens.
    """
    notes: dict[Feel, int] = {"score": 0, "performance": 0}
    for piece in library.pieces:
        if piece.split == "train":
            notes[piece.feel] += piece.count
    return {feel: MOST_PASSES * count * 4 / context for feel, count in notes.items()}


def _publish(out: Path, write: Callable[[Path], None]) -> None:
    """Write a style's folder, in place of an older style and of nothing else."""
    check_replaceable(out)
    write_folder_atomically(out, write)


def check_replaceable(out: Path) -> None:
    """Refuse to replace a folder that holds something else than a style.

    Raises:
        InputError: where ``out`` holds something else.
    """
    if out.exists() and not (out / CARD).exists():
        raise InputError(f"{out}: holds something other than a style; choose another name.")
