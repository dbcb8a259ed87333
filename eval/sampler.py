"""Keep what the model writes, a file for each output.

Each is named by a hash of all that decides it.

A run that was stopped continues, and systems that ask for the same output share it (the wrong tag
and adapter of one style are the right ones of another).
"""

from __future__ import annotations

import ast
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.systems import ADAPTER, BASE, BOTH, TAG, Job
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.notes import Piece
from styletransfer.styles.card import WEIGHTS, Style

if TYPE_CHECKING:
    from styletransfer.model.loading import Base
    from styletransfer.model.sampling import Candidate, Voice

DECIDING = (
    "model.decoder", "model.features", "model.sampling", "model.weights",
    "tokens.codec", "tokens.controls", "tokens.grammar", "tokens.plan",
)  # fmt: skip
"""Modules whose code decides what is sampled; their comments and docstrings don't."""

MOST_ROWS = 8
"""Sequences of a batch; with more, reading their past at every step costs all that is gained."""


def digest(*parts: Any) -> str:
    """Hash plain values and pieces, in 24 hexadecimal digits."""
    hashed = hashlib.sha256()
    for part in parts:
        if isinstance(part, Piece):
            for array in (
                part.notes,
                part.bars,
                part.tempo.quarters,
                part.tempo.seconds_per_quarter,
            ):
                hashed.update(array.tobytes())
            hashed.update(part.feel.encode())
        else:
            hashed.update(json.dumps(part, sort_keys=True).encode())
    return hashed.hexdigest()[:24]


def code_hash(modules: Sequence[str]) -> str:
    """Hash what modules of the package do: their syntax trees without docstrings."""
    trees = []
    for module in modules:
        spec = find_spec(f"styletransfer.{module}")
        assert spec is not None
        assert spec.origin is not None
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):
                node.body = [  # type: ignore[attr-defined]
                    one
                    for one in body
                    if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
                ]
        trees.append(ast.dump(tree))
    return digest(trees)


class Sampler:
    """Outputs of the model, kept in a folder.

    Args:
        folder: where outputs are, and where new ones are put.
        sampling: the settings; candidates don't count, as each output is a single one.
        model: a folder of weights, instead of those that ship.
    """

    def __init__(self, folder: Path, sampling: SamplingConfig, model: Path | None = None) -> None:
        self.folder, self.sampling, self.model_folder = (
            folder,
            replace(sampling, candidates=1),
            model,
        )

    @cached_property
    def base(self) -> Base:
        """The base model."""
        from styletransfer.model.loading import measured_model

        return measured_model(self.model_folder)

    @cached_property
    def _code(self) -> str:
        return code_hash(DECIDING)

    def key(self, job: Job) -> dict[str, Any]:
        """Collect all that decides an output, except the songs in the same batch."""
        system, song, target, seed = job
        adapter = self._adapter(job)
        tags = target if system in (TAG, BOTH) else None
        return {
            "code": self._code,
            "base": self.base.weights_hash,
            "tokens": self.base.tokenizer_hash,
            "adapter": file_hash(adapter.path / WEIGHTS) if adapter and adapter.path else None,
            "tags": [tags.style.era, tags.style.composer] if tags else None,
            "sampling": asdict(self._sampling(seed)) | {"candidates": None},
            "melody": digest(song.melody),
        }

    def path(self, job: Job) -> Path:
        """Name the file of an output."""
        return self.folder / f"{digest(self.key(job))}.json"

    def batches(self, jobs: Sequence[Job]) -> list[list[Job]]:
        """Group the jobs by what they ask of the model, songs of similar length together.

        Outputs that are there don't change a batch, as the end of a song moves the windows of the
        others; a batch of which nothing is missing is left out.
        """
        alike: dict[Any, list[Job]] = {}
        for job in jobs:
            adapter = self._adapter(job)
            alike.setdefault((job[0], adapter.path if adapter else None, job[3]), []).append(job)
        found = []
        for group in alike.values():
            group.sort(key=lambda job: job[1].quarters)
            found += [group[k : k + MOST_ROWS] for k in range(0, len(group), MOST_ROWS)]
        return [batch for batch in found if not all(self.path(job).exists() for job in batch)]

    def make(self, jobs: Sequence[Job]) -> None:
        """Sample a batch's jobs, all of one seed, and keep them."""
        from styletransfer.files import write_atomically
        from styletransfer.model.loading import melody_codec
        from styletransfer.model.sampling import sample_songs
        from styletransfer.tokens.plan import plan_of

        begin = time.monotonic()
        codec = melody_codec(self.model_folder)
        songs = [(self._voices(job), plan_of(codec, codec.grid(job[1].melody))) for job in jobs]
        found = sample_songs(songs, codec, self._sampling(jobs[0][3]))
        seconds = (time.monotonic() - begin) / len(jobs)
        self.folder.mkdir(parents=True, exist_ok=True)
        for job, (candidate,) in zip(jobs, found, strict=True):
            kept = {"key": self.key(job), **asdict(candidate), "seconds": round(seconds, 2)}
            write_atomically(self.path(job), (json.dumps(kept) + "\n").encode())

    def candidate(self, job: Job) -> Candidate:
        """Read what was sampled."""
        from styletransfer.model.sampling import Candidate

        kept = json.loads(self.path(job).read_text(encoding="utf-8"))
        return Candidate(kept["bars"], kept["style_logprob"], kept["base_logprob"])

    def read(self, job: Job) -> tuple[str, Piece]:
        """Read an output that was made: its id, and the arrangement."""
        from styletransfer.model.loading import melody_codec
        from styletransfer.tokens.plan import plan_of
        from styletransfer.transfer.assemble import assemble

        codec = melody_codec(self.model_folder)
        melody = job[1].melody
        plan = plan_of(codec, codec.grid(melody))
        return self.path(job).stem, assemble(melody, codec, plan, self.candidate(job))

    def _sampling(self, seed: int) -> SamplingConfig:
        return replace(self.sampling, seed=self.sampling.seed + seed)

    @staticmethod
    def _adapter(job: Job) -> Style | None:
        """Find the adapter's style; seed k has that of training run k.

        Returns:
            None for a system without adapters.
        """
        system, song, target, seed = job
        if not target or system not in (ADAPTER, BOTH):
            return None
        runs = target.adapters[song.half]
        return runs[seed % len(runs)]

    def _voices(self, job: Job) -> list[Voice]:
        """Return the predictions that are mixed.

        An adapter without a tag reads the controls of no style.
        """
        from styletransfer.model.sampling import voices_of
        from styletransfer.tokens.controls import Controls

        system, song, target, _ = job
        tempo = song.melody.tempo.quarters_per_minute()
        controls = Controls(song.melody.feel, quarters_per_minute=tempo)
        if target and system in (TAG, BOTH):
            controls = target.style.controls(song.melody.feel, tempo)
        model = self.base.model
        adapter = self._adapter(job)
        if adapter:
            from styletransfer.model.loading import load_style

            model = load_style(adapter, self.model_folder)
        strength = 0.0 if system == BASE else self.sampling.strength
        return voices_of(self.base.model, [(model, controls, 1.0)], strength)


def file_hash(path: Path) -> str:
    """Hash a file's bytes (SHA-256)."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
