"""Which tokenizer: from a YAML file of ``configs/tokenizer``, or a model's folder."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from styletransfer.errors import InputError
from styletransfer.tokens.codec import Codec, CodecConfig
from styletransfer.tokens.miditok_codec import FILE_NAME, MidiTokCodec, MidiTokConfig

AnyCodec = Codec | MidiTokCodec


@dataclass(frozen=True)
class TokenizerConfig:
    """The settings of one of two tokenizers.

    ``bars`` is the default one, with bars and melodies; ``miditok`` is a plain MidiTok TSD.
    """

    bars: CodecConfig | None = None
    miditok: MidiTokConfig | None = None

    def __post_init__(self) -> None:
        if (self.bars is None) == (self.miditok is None):
            raise ValueError("give settings for bars or for miditok")


def codec_of_package(
    folder: Path, vocabulary: dict[str, int], files: Collection[str], expected_hash: str
) -> AnyCodec:
    """Load the tokenizer of a model's folder.

    Args:
        folder: the folder.
        vocabulary: the vocabulary in it.
        files: the names of the files in it.
        expected_hash: the hash of the tokenizer that the weights were trained with.

    Raises:
        InputError: where the folder has another tokenizer.
    """
    codec = (
        MidiTokCodec.load(folder / FILE_NAME)
        if FILE_NAME in files
        else Codec(vocabulary=vocabulary)
    )
    if codec.hash != expected_hash:
        raise InputError(
            f"{folder}: its weights were trained with another tokenizer ({expected_hash})."
        )
    return codec


def tokenizer_files(codec: AnyCodec) -> dict[str, bytes]:
    """Return what a model's folder must hold beside the vocabulary, by name."""
    return {FILE_NAME: codec.to_json()} if isinstance(codec, MidiTokCodec) else {}
