"""Choose the tokenizer of a training run, which may be trained first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from styletransfer.data.batches import MixtureConfig
from styletransfer.data.library import Library
from styletransfer.data.plain import training_tables
from styletransfer.errors import InputError
from styletransfer.files import write_atomically
from styletransfer.tokens.codec import Codec
from styletransfer.tokens.loading import AnyCodec, kind_of, tokenizer_settings
from styletransfer.tokens.tokenizer import PlainTokenizer


def tokenizer_of_run(config: str, library: Library, mixture: MixtureConfig, out: Path) -> AnyCodec:
    """Return the tokenizer that a YAML file describes; without a file, the default.

    Raises:
        InputError: as :func:`made_tokenizer`.
    """
    return made_tokenizer(tokenizer_settings(config), library, mixture, out) if config else Codec()


def made_tokenizer(settings: Any, library: Library, mixture: MixtureConfig, out: Path) -> AnyCodec:
    """Return the tokenizer of these settings, made now or loaded from ``out``.

    Merges are learnt from training pieces only. A plain tokenizer is saved in ``out``, from which a
    run that continues takes it.

    Raises:
        InputError: where ``out`` holds the tokenizer of other settings.
    """
    kind = kind_of(settings)
    if issubclass(kind, PlainTokenizer) and (out / kind.file).exists():
        saved = kind.load(out / kind.file)
        if not saved.has(settings):
            raise InputError(
                f"{out / kind.file}: holds a tokenizer with other settings; "
                "give another --out folder"
            )
        return saved

    codec = kind.make(settings, lambda notes: training_tables(library, notes, mixture))
    if isinstance(codec, PlainTokenizer):
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(out / codec.file, codec.to_json())
    return codec
