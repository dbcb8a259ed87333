"""Which tokenizer: from a YAML file of ``configs/tokenizer``, or a model's folder."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from styletransfer.configuration import from_dict, read_config
from styletransfer.errors import InputError
from styletransfer.tokens.codec import Codec
from styletransfer.tokens.miditok_codec import MidiTokCodec
from styletransfer.tokens.tokenizer import PlainTokenizer

AnyCodec = Codec | PlainTokenizer
"""The two families; see :mod:`styletransfer.tokens.tokenizer`."""
KINDS: dict[str, type[AnyCodec]] = {"bars": Codec, "miditok": MidiTokCodec}
"""Every tokenizer, by the key that holds its settings in YAML; ``bars`` is the default one.

A new tokenizer is one more entry.
"""


def tokenizer_settings(path: str | Path) -> Any:
    """Return the settings of the one tokenizer that a YAML file describes.

    Raises:
        InputError: where the file can't be read, or doesn't describe one tokenizer.
    """
    return read_config(path, _settings)


def _settings(data: Any) -> Any:
    if not isinstance(data, dict) or len(data) != 1 or not set(data) <= set(KINDS):
        raise ValueError(f"give settings for one of {', '.join(KINDS)}")
    ((name, values),) = data.items()
    return from_dict(KINDS[name].settings, values)


def kind_of(settings: object) -> type[AnyCodec]:
    """Return the tokenizer that takes these settings."""
    return next(kind for kind in KINDS.values() if kind.settings is type(settings))


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
    codecs: list[AnyCodec] = [
        kind.load(folder / kind.file)
        for kind in KINDS.values()
        if issubclass(kind, PlainTokenizer) and kind.file in files
    ]
    codecs = codecs or [
        kind(vocabulary=vocabulary) for kind in KINDS.values() if issubclass(kind, Codec)
    ]
    for codec in codecs:
        if codec.hash == expected_hash:
            return codec
    raise InputError(
        f"{folder}: its weights were trained with another tokenizer ({expected_hash})."
    )


def tokenizer_files(codec: AnyCodec) -> dict[str, bytes]:
    """Return what a model's folder must hold beside the vocabulary, by name."""
    return {codec.file: codec.to_json()} if isinstance(codec, PlainTokenizer) else {}
