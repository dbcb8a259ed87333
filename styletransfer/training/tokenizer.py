"""Choose the tokenizer of a training run, which may be trained first."""

from __future__ import annotations

from pathlib import Path

from styletransfer.configuration import load_config
from styletransfer.data.batches import MixtureConfig
from styletransfer.data.library import Library
from styletransfer.data.plain import training_tables
from styletransfer.errors import InputError
from styletransfer.files import write_atomically
from styletransfer.tokens.codec import Codec
from styletransfer.tokens.loading import AnyCodec, TokenizerConfig
from styletransfer.tokens.miditok_codec import FILE_NAME, MidiTokCodec, MidiTokConfig


def tokenizer_of_run(config: str, library: Library, mixture: MixtureConfig, out: Path) -> AnyCodec:
    """Return the tokenizer that a YAML file describes; without a file, the default.

    Merges are learnt from training pieces only, and saved as ``out/tokenizer.json``, from which a
    run that continues takes them.

    Raises:
        InputError: where ``out`` holds the tokenizer of other settings.
    """
    if not config:
        return Codec()
    settings = load_config(TokenizerConfig, config)
    if settings.miditok is None:
        return Codec(settings.bars)
    return plain_tokenizer(settings.miditok, library, mixture, out)


def plain_tokenizer(
    settings: MidiTokConfig, library: Library, mixture: MixtureConfig, out: Path
) -> MidiTokCodec:
    """Return the plain tokenizer of these settings, trained or loaded from ``out``."""
    saved = out / FILE_NAME
    if saved.exists():
        codec = MidiTokCodec.load(saved)
        if not codec.has(settings):
            raise InputError(
                f"{saved}: holds a tokenizer with other settings; give another --out folder"
            )
        return codec
    codec = MidiTokCodec.train(settings, training_tables(library, settings.bpe_notes, mixture))
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(saved, codec.to_json())
    return codec
