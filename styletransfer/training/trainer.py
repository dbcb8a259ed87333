"""Train a model with ``transformers.Trainer``.

A run can be stopped at any moment, resumed exactly, and ended in given minutes.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.utils.data import SequentialSampler
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from styletransfer.data.batches import MixtureConfig, PieceWindows, Windows
from styletransfer.data.library import Library, spread
from styletransfer.data.plain import PlainWindows
from styletransfer.errors import InputError
from styletransfer.files import write_atomically
from styletransfer.model.base import MelodyLlama, build_model, load_package, save_package
from styletransfer.model.decoder import multiplies_bfloat16
from styletransfer.model.weights import ModelConfig
from styletransfer.tokens.codec import Codec
from styletransfer.tokens.loading import AnyCodec, tokenizer_files
from styletransfer.training.checkpoints import last_checkpoint, remove_older, seal
from styletransfer.training.likelihood import bits_per_note
from styletransfer.training.optimizer import MuonAdamW, WarmupStableDecay


@dataclass(frozen=True)
class TrainConfig:
    """The settings of a training run.

    ``batch``: windows a step on each process. ``accumulate``: steps before the weights move.
    ``steps``: the most there may be. ``warmup``: steps in which the learning rate rises; in the
    last ``decay_share`` of the minutes or steps it falls to zero. ``evaluate_every``: steps between
    two validations, on whole pieces that are drawn once, ``evaluate_pieces`` of each feel.
    ``save_every``: steps between checkpoints. ``log_every``: steps between mean losses in the log.
    ``tokenizer``: a YAML file for :func:`~styletransfer.tokens.loading.tokenizer_settings`; empty
    for the default one.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    batch: int = 8
    accumulate: int = 1
    steps: int = 100_000
    learning_rate: float = 4e-3
    weight_decay: float = 0.1
    warmup: int = 100
    decay_share: float = 0.3
    evaluate_every: int = 250
    evaluate_pieces: int = 6
    save_every: int = 100
    log_every: int = 10
    tokenizer: str = ""
    seed: int = 1
    compile: bool = True

    def __post_init__(self) -> None:
        counts = (
            self.batch,
            self.accumulate,
            self.steps,
            self.save_every,
            self.evaluate_every,
            self.log_every,
        )
        if min(counts) < 1 or not 0 < self.decay_share <= 1:
            raise ValueError(
                "batch, accumulate, steps and intervals are positive, decay_share lies in (0, 1]"
            )
        if (
            self.learning_rate <= 0
            or min(self.weight_decay, self.warmup, self.evaluate_pieces, self.seed) < 0
        ):
            raise ValueError(
                "learning_rate is positive; weight_decay, warmup, evaluate_pieces and seed aren't"
                " negative"
            )


class WindowTrainer(Trainer):
    """A trainer that takes windows in order and validates in bits per note."""

    def __init__(
        self, *, library: Library, codec: AnyCodec, validation: dict[str, list[int]], **rest: Any
    ) -> None:
        super().__init__(**rest)
        self.library, self.codec, self.validation = library, codec, validation

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(range(self.args.max_steps * self.args.train_batch_size * 64))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint and seal it; only then may older ones go."""
        out = Path(str(self.args.output_dir))
        folder = out / f"checkpoint-{self.state.global_step}"
        if self.args.should_save:
            shutil.rmtree(folder, ignore_errors=True)  # one that wasn't whole
        self.accelerator.wait_for_everyone()

        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            seal(folder)
            remove_older(out, self.state.best_model_checkpoint)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measure and log bits per note of the validation pieces, by feel.

        The melody is given if windows with one are learnt from. Without validation pieces, there
        are no metrics.
        """
        if not self.validation:
            return {}
        model = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
        windows: Any = self.train_dataset
        context = int(model.config.max_position_embeddings)
        melody = isinstance(self.codec, Codec) and windows.mixture.melody_share > 0

        metrics, bits, notes = {}, 0.0, 0
        for feel, pieces in self.validation.items():
            result = bits_per_note(
                model,
                self.codec,
                self.library,
                pieces,
                context,
                with_melody=melody,
                with_chords=windows.mixture.plan_share > 0,
                with_references=windows.mixture.reference_share > 0,
            )
            metrics[f"eval_bits_per_note_{feel}"] = round(result.mean, 4)
            bits, notes = bits + float(result.bits.sum()), notes + int(result.notes.sum())
        metrics["eval_bits_per_note"] = round(bits / max(notes, 1), 4)

        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics


class TimeBudget(TrainerCallback):
    """Start the decay when just enough time is left, and stop the run at its end.

    A checkpoint is written at the decay's start and kept: a later run continues from it. Without
    ``keep``, the run ends with the minutes even where steps have become slower, and its last step
    is validated like the others; a run that is resumed with more minutes than its decay began with
    decays that much more slowly.
    """

    def __init__(
        self,
        schedule: WarmupStableDecay,
        run: TrainConfig,
        minutes: float | None,
        *,
        keep: bool = True,
    ) -> None:
        self.schedule, self.run, self.minutes, self.keep = schedule, run, minutes, keep
        self.begin = time.monotonic()
        self.first: tuple[int, float] | None = None  # first step of this call, and when it ended

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        # A run that resumes from the checkpoint where a decay began decides again when to decay.
        if self.schedule.decay_start is not None and self.schedule.decay_start == state.global_step:
            self.schedule.decay_start = None
            if self.minutes is None:
                self._perhaps_decay(args, state, control)
        start, before = self.schedule.decay_start, self.schedule.minutes
        if (
            start is not None
            and not self.keep
            and before
            and self.minutes
            and self.minutes > before
        ):
            longer = round(self.schedule.decay_steps * self.minutes / before)
            self.schedule.decay_steps = max(min(longer, self.run.steps - start), 1)
            self.schedule.minutes = self.minutes

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self.schedule.decay_start is None:
            self._perhaps_decay(args, state, control)
        elif self.schedule.end is not None and state.global_step >= self.schedule.end:
            control.should_training_stop = True
        if (
            not self.keep
            and self.minutes is not None
            and _of_first_process(self._elapsed, args) >= 60 * self.minutes
        ):
            control.should_training_stop = True
        if not self.keep and control.should_training_stop:
            control.should_evaluate = control.should_save = True

    def _perhaps_decay(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl
    ) -> None:
        step = state.global_step
        left, whole = float(self.run.steps - step), float(self.run.steps)
        if self.minutes is not None:
            now = time.monotonic()
            if self.first is None:  # the first step compiles, and isn't typical of the speed
                self.first = step, now
                return
            pace = (now - self.first[1]) / (step - self.first[0])
            in_time = (self.minutes * 60 - self._elapsed) / pace
            left = min(left, _of_first_process(in_time, args))
            whole = left + step - self.first[0]
        if left <= whole * self.run.decay_share:
            self.schedule.decay_start, self.schedule.decay_steps = step, max(int(left), 1)
            self.schedule.minutes = self.minutes
            if self.keep:
                # The rotation of checkpoints spares the "best" one, so this one survives the decay.
                state.best_model_checkpoint = str(Path(str(args.output_dir)) / f"checkpoint-{step}")
                control.should_save = True

    @property
    def _elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.begin


def _of_first_process(value: float, args: TrainingArguments) -> float:
    """Return the first process's value in all of them.

    Their clocks differ, and processes that end after different steps wait for one another forever.
    """
    if not distributed.is_initialized():
        return value
    shared = [value]
    distributed.broadcast_object_list(shared, src=0, device=args.device)
    return shared[0]


class Shown(TrainerCallback):
    """Show on a progress bar how far the run is, by steps or by minutes."""

    def __init__(self, progress: Callable[[float], None], minutes: float | None) -> None:
        self.progress, self.minutes, self.begin = progress, minutes, time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        spent = (
            0.0 if self.minutes is None else (time.monotonic() - self.begin) / (60 * self.minutes)
        )
        self.progress(min(1.0, max(state.global_step / state.max_steps, spent)))


class RunLog(TrainerCallback):
    """Append what is logged to ``log.jsonl``, and print it unless ``quiet``.

    Each row has the step and the time.
    """

    def __init__(self, path: Path, tokens_a_step: int, *, quiet: bool = False) -> None:
        self.path, self.tokens_a_step, self.quiet = path, tokens_a_step, quiet

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any
    ) -> None:
        if not state.is_world_process_zero:
            return
        row = {
            "step": state.global_step,
            "tokens": state.global_step * self.tokens_a_step,
            "time": round(time.time(), 2),
        } | rest["logs"]
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        if not self.quiet:
            words = (
                f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
                for key, value in row.items()
            )
            print(" ".join(words), flush=True)


def train(
    library: Library,
    codec: AnyCodec,
    run: TrainConfig,
    out: Path,
    minutes: float | None = None,
    start: Path | None = None,
) -> Path:
    """Train a model, or resume the run whose checkpoint is in ``out``.

    A run that was killed resumes from its last checkpoint, with the same losses. After its end,
    ``out`` keeps the checkpoint from before the decay, and another call continues from there.

    Args:
        library: what to learn from.
        codec: the tokenizer.
        run: the settings.
        out: the folder of checkpoints, the log and the model.
        minutes: of training at most.
        start: a model's folder with whose weights a fresh run begins. Its windows are others than
            those of the run that made it; its steps and tokens count in the new manifest.

    Returns:
        The folder of the finished model, ``out/final``.

    Raises:
        InputError: where ``out`` holds a run with other settings, data or tokenizer.
    """
    keep_memory()
    out.mkdir(parents=True, exist_ok=True)
    model, identity = _begin(library, codec, run, start)
    _same_run(out / "run.json", identity)

    narrow = _precision_of(out) == "bfloat16"
    optimizer = MuonAdamW(model, run.learning_rate, run.weight_decay, narrow=narrow)
    schedule = WarmupStableDecay(run.warmup)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    arguments = arguments_of(run, out, disable_tqdm=not sys.stderr.isatty())

    windows = _windows_of_run(library, codec, run, _seen_before(identity)["steps"])
    windows.lists = model.features.lists if torch.cuda.is_available() else None
    world = max(int(arguments.world_size), 1)
    log = RunLog(out / "log.jsonl", run.batch * run.accumulate * run.model.context * world)
    trainer = WindowTrainer(
        library=library,
        codec=codec,
        validation=validation_pieces(library, run.evaluate_pieces),
        model=model,
        args=arguments,
        train_dataset=windows,
        eval_dataset=windows,
        optimizers=(optimizer, scheduler),
        callbacks=[TimeBudget(schedule, run, minutes), log],
    )
    _start_or_resume(trainer, model, out)
    if trainer.is_world_process_zero():
        about = identity | {"model": asdict(run.model)}
        _save_final(trainer, out / "final", about, log.tokens_a_step)
        _drop_decayed(out, schedule)
    return out / "final"


def _start_or_resume(trainer: WindowTrainer, model: MelodyLlama, out: Path) -> None:
    trainer.remove_callback(PrinterCallback)  # RunLog prints
    last = last_checkpoint(out)
    origin = f"continuing from {last.name}" if last else "from the start"
    print(f"{model.num_parameters():,} parameters, {origin}", flush=True)
    trainer.train(resume_from_checkpoint=str(last) if last else None)


def _seen_before(identity: dict[str, Any]) -> dict[str, int]:
    """Return the ``steps`` and ``tokens`` of the weights that a run began with."""
    before: dict[str, int] = identity.get("start", {"steps": 0, "tokens": 0})
    return before


def _save_final(
    trainer: WindowTrainer, folder: Path, about: dict[str, Any], tokens_a_step: int
) -> None:
    """Write the finished model as a folder of weights.

    ``about`` is its manifest, but for the steps and tokens that it has seen.
    """
    before, steps, codec = _seen_before(about), trainer.state.global_step, trainer.codec
    seen = {
        "steps": before["steps"] + steps,
        "tokens": before["tokens"] + steps * tokens_a_step,
    }
    model = trainer.accelerator.unwrap_model(trainer.model, keep_torch_compile=False)
    save_package(model, folder, codec.vocabulary, about | seen, tokenizer_files(codec))


def _begin(
    library: Library, codec: AnyCodec, run: TrainConfig, start: Path | None
) -> tuple[MelodyLlama, dict[str, Any]]:
    """Make a run's model as it is at the first step, and what identifies the run."""
    torch.manual_seed(run.seed)
    model = build_model(run.model, codec.vocabulary)

    left_out = ("log_every", "tokenizer")
    settings = {key: value for key, value in asdict(run).items() if key not in left_out}
    identity: dict[str, Any] = {
        "run": settings | {"steps": None},
        "tokenizer_hash": codec.hash,
        "data_hash": library.hash,
    }

    all_pieces = not any(piece.split != "train" for piece in library.pieces)
    if start is not None:
        before = _start_from(start, model, codec, run)
        all_pieces |= bool(before.pop("all_pieces"))
        identity["start"] = before
    if all_pieces:
        identity["all_pieces"] = True
    return model, identity


def _windows_of_run(
    library: Library, codec: AnyCodec, run: TrainConfig, steps: int
) -> PieceWindows:
    """Return the windows that a run learns from, those of a codec of its kind.

    ``steps``: those before this run, whose windows were others.
    """
    seed = run.seed + steps
    if isinstance(codec, Codec):
        return Windows(library, codec, run.mixture, run.model.context, seed)
    return PlainWindows(library, codec, run.mixture, run.model.context, seed)


def arguments_of(run: TrainConfig, out: Path, **more: Any) -> TrainingArguments:
    """Return the run's settings as ``transformers.Trainer`` takes them."""
    return TrainingArguments(
        output_dir=str(out),
        per_device_train_batch_size=run.batch,
        gradient_accumulation_steps=run.accumulate,
        max_steps=run.steps,
        max_grad_norm=1.0,
        bf16=_precision_of(out) == "bfloat16",
        use_cpu=not torch.cuda.is_available(),
        torch_compile=run.compile,
        logging_steps=run.log_every,
        save_strategy="steps",
        save_steps=run.save_every,
        eval_strategy="steps",
        eval_steps=run.evaluate_every,
        report_to=[],
        seed=run.seed,
        dataloader_num_workers=0 if not torch.cuda.is_available() else 8,
        remove_unused_columns=False,
        average_tokens_across_devices=True,  # the mean over all tokens, as with one process
        ddp_find_unused_parameters=False,
        **more,
    )


def validation_pieces(library: Library, count: int) -> dict[str, list[int]]:
    """Choose up to ``count`` validation pieces of each feel, evenly spread.

    They have at most 3,000 notes; where all are longer, the two shortest are taken.
    """
    chosen = {}
    for feel in ("score", "performance"):
        every = sorted(
            library.select(split="validation", feel=feel), key=lambda i: library.pieces[i].count
        )
        pool = sorted(i for i in every if library.pieces[i].count <= 3000) or every[:2]
        if pool and count:
            chosen[feel] = spread(pool, count)
    return chosen


def _start_from(
    folder: Path, model: MelodyLlama, codec: AnyCodec, run: TrainConfig
) -> dict[str, int]:
    """Fill a fresh model with a folder's weights.

    Tokens are matched by name; the context may be another. A new token keeps its fresh row; a
    control's row that is added to every token begins at zero, so that the model predicts what it
    did.

    Returns:
        The ``steps`` and ``tokens`` that the weights have seen, and whether they have seen held-out
        pieces (``all_pieces``, 0 or 1).
    """
    other, vocabulary, manifest = load_package(folder)
    sizes = replace(ModelConfig(**manifest["model"]), context=run.model.context)
    if set(vocabulary) - set(codec.vocabulary) or sizes != run.model:
        raise InputError(
            f"{folder}: its tokens or its sizes are not those of this run; give another --from"
            " folder"
        )

    theirs = torch.tensor(list(vocabulary.values()))
    ours = torch.tensor([codec.vocabulary[name] for name in vocabulary])
    state = other.state_dict()
    for name, table in model.features.named_parameters():  # also those that the other model lacks
        state.setdefault(f"features.{name}", torch.zeros_like(table))

    for name in ("model.embed_tokens.weight", "features.style.weight"):
        rows = model.get_parameter(name).detach()
        if name.startswith("features"):
            rows = torch.zeros_like(rows)
        rows[ours] = state[name][theirs]
        state[name] = rows
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state)
    return {name: int(manifest.get(name, 0)) for name in ("steps", "tokens", "all_pieces")}


def keep_memory() -> None:
    """Let glibc keep freed memory.

    Returning large activations to the system at every step costs four fifths of the speed.
    """
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        if hasattr(library, "mallopt"):
            library.mallopt(-3, 1 << 30)  # mmap threshold
            library.mallopt(-1, (1 << 31) - 1)  # trim threshold
            library.mallopt(-2, 1 << 28)  # top pad


def _precision_of(out: Path) -> str:
    """Return the type that a run multiplies in, ``bfloat16`` or ``float32``.

    It is decided once and kept in the run's folder, so that the run resumes as it began and all its
    processes agree.
    """
    path = out / "precision"
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=out) as file:
            file.write("bfloat16" if _bf16_pays() else "float32")
            file.flush()
            with suppress(FileExistsError):  # the first of several processes decides
                os.link(file.name, path)
    return path.read_text()


def _bf16_pays() -> bool:
    """Try whether to train in bfloat16.

    A CPU that has the instructions may still be faster in float32.
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    if not multiplies_bfloat16():
        return False
    seconds: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    for _ in range(25):  # in turns, so that other work on the machine slows both
        for dtype, runs in seconds.items():
            left, right = torch.ones(4096, 256, dtype=dtype), torch.ones(256, 704, dtype=dtype)
            begin = time.perf_counter()
            left @ right
            runs.append(time.perf_counter() - begin)
    # Autocast's conversions would use up a smaller gain.
    return min(seconds[torch.bfloat16]) < 0.7 * min(seconds[torch.float32])


def _same_run(path: Path, identity: dict[str, Any]) -> None:
    """Write what identifies a run, or refuse a folder that holds another run."""
    text = json.dumps(identity, indent=1, sort_keys=True)
    if path.exists() and path.read_text() != text:
        raise InputError(
            f"{path.parent}: holds a run with other settings, data or tokenizer; give another --out"
            " folder"
        )
    write_atomically(path, text.encode())


def _drop_decayed(out: Path, schedule: WarmupStableDecay) -> None:
    """Remove the decay's checkpoints, so that a run continues from before it."""
    for path in out.glob("checkpoint-*"):
        if schedule.decay_start is not None and int(path.name.split("-")[1]) > schedule.decay_start:
            shutil.rmtree(path)
