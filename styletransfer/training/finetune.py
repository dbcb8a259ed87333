"""A style from pieces: a LoRA adapter on the base, stopped early on held-out pieces, with a
card.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback

from styletransfer.data.batches import MixtureConfig, Windows
from styletransfer.data.figures import own_figures
from styletransfer.data.library import Library, training_sequences, write_folder
from styletransfer.data.touch import loudness
from styletransfer.errors import InputError
from styletransfer.folders import COPIES, IDIOM
from styletransfer.model.adapters import LoraSettings, attach, begin_as, save_adapter, style_token
from styletransfer.model.base import load_package
from styletransfer.model.weights import weights_hash, write_atomically
from styletransfer.music.copies import Copies
from styletransfer.music.idiom import save_own
from styletransfer.music.notes import Feel
from styletransfer.styles.card import CARD, WEIGHTS, Card, Kind, Style
from styletransfer.tokens.codec import Codec
from styletransfer.tokens.controls import UNKNOWN
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
    last_checkpoint,
    validation_pieces,
)

USER_SLOT = "reserved-0"  # one slot does for all styles of users: a style's row is in its adapter, not in the base
MOST_PASSES = 12.0  # over pieces without any held out to tell when to stop, or of the feel that a style has little of
Progress = Callable[[float], None]


@dataclass(frozen=True)
class FinetuneConfig:
    """How an adapter is trained.

    ``lora``: its shape. ``mixture``: what windows are drawn from; the style's tag is never left out
    of one. ``steps`` at the most, of ``batch`` windows; the rate rises over ``warmup`` steps and
    falls over the last ``decay_share`` of the steps or minutes. The held-out pieces, up to
    ``evaluate_pieces`` of each feel, are heard every ``evaluate_every`` steps, each time with a
    checkpoint; the run ends when they haven't got better ``patience`` times in a row.
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
        """The same for the trainer of whole models."""
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


def finetune(
    library: Library,
    base: Path,
    name: str,
    kind: Kind,
    config: FinetuneConfig,
    work: Path,
    out: Path,
    *,
    start: Style | None = None,
    minutes: float | None = None,
    licence: str = "",
    data: str = "",
    progress: Progress | None = None,
) -> Card:
    """Train a style and write its folder; a run that was killed goes on from ``work``, which is
    removed at the end.

    Args:
        library: the style's pieces and no others, all labelled with the style's era and composer
        (:meth:`Library.view`).
        base: the folder of the base model.
        name: the style's name. kind: what it is.
        config: see there. work: a folder for checkpoints; one of another run there is started anew.
        out: the folder to write; it appears whole or not at all, in place of an older one.
        start: a style whose adapter the training begins with (small pieces of data begin better
        with their era's).
        minutes: of training at the most. licence, data: for the card.
        progress: called with the share done.
    """
    keep_memory()
    model, vocabulary, manifest = load_package(base)
    codec = Codec()
    if codec.hash != manifest["tokenizer_hash"]:
        raise InputError(
            f"{base}: its tokens are not those of this version; a style can't be trained on it."
        )
    context = int(model.config.max_position_embeddings)
    piece = library.pieces[0]
    held_out = validation_pieces(library, config.evaluate_pieces)
    run = config.run if held_out else _blind(config.run, library, context)
    run = replace(
        run, mixture=replace(run.mixture, score_share=_score_share(run, library, context))
    )
    identity = {
        "config": asdict(config),
        "base": weights_hash(manifest),
        "data": library.hash,
        "name": name,
    }
    if start is not None and start.path is not None:
        identity["start"] = hashlib.sha256((start.path / WEIGHTS).read_bytes()).hexdigest()
    _own_work(work, identity)
    pieces = [i for feel in held_out.values() for i in feel]
    plain = library.view(range(len(library)), era=UNKNOWN, composer=UNKNOWN)
    before = bits_per_note(model, codec, plain, pieces, context, with_melody=True)
    torch.manual_seed(config.seed)
    adapted = attach(model, config.lora, vocabulary, style_token(piece.era, piece.composer))
    if start is not None:
        begin_as(adapted, config.lora, start)
    trained = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, run.learning_rate, (0.9, 0.99), weight_decay=run.weight_decay
    )
    schedule = WarmupStableDecay(run.warmup)
    more = {
        "load_best_model_at_end": True,
        "metric_for_best_model": "bits_per_note",
        "greater_is_better": False,
    }
    arguments = arguments_of(run, work, disable_tqdm=True, **(more if pieces else {}))
    callbacks: list[TrainerCallback] = [
        TimeBudget(schedule, run, minutes, keep=False),
        RunLog(work / "log.jsonl", run.batch * context, quiet=True),
    ]
    if pieces:
        callbacks.append(EarlyStoppingCallback(config.patience))
    if progress:
        callbacks.append(Shown(progress, minutes))
    windows = Windows(library, codec, run.mixture, context, run.seed)
    trainer = WindowTrainer(
        library=library,
        codec=codec,
        validation=held_out,
        model=adapted,
        args=arguments,
        train_dataset=windows,
        eval_dataset=windows,
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)),
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    arguments.restore_callback_states_from_checkpoint = bool(
        pieces
    )  # how long the held-out pieces haven't got better
    last = last_checkpoint(work)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    adapted = trainer.accelerator.unwrap_model(trainer.model, keep_torch_compile=False)
    learnt = [one for one in library.pieces if one.split == "train"]
    steps = trainer.state.global_step
    card = Card(
        name=name,
        kind=kind,
        era=piece.era,
        composer=piece.composer,
        base=weights_hash(manifest),
        tokenizer_hash=codec.hash,
        pieces=len(learnt),
        minutes=round(sum(one.seconds for one in learnt) / 60, 1),
        notes=sum(one.count for one in learnt),
        held_out=len(pieces),
        base_bits=_mean(before),
        style_bits=trainer.state.best_metric,  # of the checkpoint that was loaded at the end
        licence=licence,
        data=data,
        rank=config.lora.rank,
        steps=steps,
        tokens=steps * run.batch * context,
        begun_as=start.name if start else "",
        touch=loudness(library),
    )

    def write(folder: Path) -> None:
        save_adapter(adapted, folder, card, readme_of(card))
        if kind == "user":  # what others learn from is in the index that comes with the package
            Copies.build(training_sequences(library), library.hash).save(folder / COPIES)
            if (own := own_figures(library)) is not None:  # as are their accompaniments' figures
                save_own(folder / IDIOM, own)

    _publish(out, write)
    shutil.rmtree(work)
    return card


def readme_of(card: Card, *, measured: bool = False) -> str:
    """The card for people, in the form that model hubs show; ``measured``: what the card says of
    held-out pieces was said by the same recipe without them."""
    if card.gain is None:
        heard = "No piece was held out: how much was learnt is not known."
    else:
        heard = (
            f"On {card.held_out} held-out pieces, the same that told when to stop, given their melody: {card.base_bits:.2f} "
            f"bits a note under the base without a style, {card.style_bits:.2f} under this one, a gain of {card.gain:.2f}."
        )
        if measured:
            heard += " That is of the same recipe without these pieces; this adapter has learnt from them, too."
    return f"""---
library_name: peft
tags: [music, symbolic-music, lora, styletransfer]
license: {"cc-by-nc-sa-4.0" if card.kind != "user" else "other"}
---
# {card.name}

A style for `styletransfer`: a LoRA adapter of rank {card.rank} on its base model (weights {card.base}).

    styletransfer apply happy-birthday --style {card.name}

- learnt from {card.pieces} pieces, {card.minutes:.0f} minutes, {card.notes:,} notes: {card.data or "the user's own"}
- {card.steps} steps, {card.tokens:,} tokens{f", begun with the adapter of {card.begun_as}" if card.begun_as else ""}
- control tokens: era {card.era}, composer {card.composer}
- licence: {card.licence or "that of the pieces, and the base model's CC BY-NC-SA 4.0"}

{heard}
"""


def _blind(run: TrainConfig, library: Library, context: int) -> TrainConfig:
    """The run where nothing is held out: a few passes over the pieces, and no validation."""
    steps = min(
        run.steps, max(10, round(sum(_most_windows(library, context).values()) / run.batch))
    )
    return replace(run, steps=steps, evaluate_every=steps + 1, save_every=run.save_every)


def _score_share(run: TrainConfig, library: Library, context: int) -> float:
    """The run's share of windows of scores, moved so far that neither feel's pieces are learnt more
    often than :data:`MOST_PASSES` times while the other feel has more to give: a single score would
    be learnt by heart."""
    most = {
        feel: count / (run.steps * run.batch)
        for feel, count in _most_windows(library, context).items()
    }
    if sum(most.values()) <= 1:
        return most["score"] / (sum(most.values()) or 1)
    return min(max(run.mixture.score_share, 1 - most["performance"]), most["score"])


def _most_windows(library: Library, context: int) -> dict[Feel, float]:
    """How many windows of each feel make :data:`MOST_PASSES` over its training pieces; a note is
    about four tokens.
    """
    notes: dict[Feel, int] = {"score": 0, "performance": 0}
    for one in library.pieces:
        if one.split == "train":
            notes[one.feel] += one.count
    return {feel: MOST_PASSES * count * 4 / context for feel, count in notes.items()}


def _own_work(work: Path, identity: dict[str, Any]) -> None:
    """Make ``work`` this run's: what another run left there is removed, anything else refused."""
    text = json.dumps(identity, indent=1, sort_keys=True)
    if work.exists() and any(work.iterdir()) and not (work / "run.json").exists():
        raise InputError(f"{work}: holds something else than a run; name another folder.")
    if work.exists() and any(work.iterdir()) and (work / "run.json").read_text() != text:
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    write_atomically(work / "run.json", text.encode())


def _publish(out: Path, write: Callable[[Path], None]) -> None:
    """Write a style's folder whole, in place of an older style and of nothing else."""
    replaceable(out)
    write_folder(out, write)


def replaceable(out: Path) -> None:
    """Refuse a folder of something else than a style.

    Raises:
        InputError: where ``out`` is one.
    """
    if out.exists() and not (out / CARD).exists():
        raise InputError(f"{out}: holds something else than a style; choose another name.")


def _mean(found: Bits) -> float | None:
    return round(found.mean, 4) if len(found.notes) else None
