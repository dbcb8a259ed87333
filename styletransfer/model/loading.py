"""Load bases and the styles on them by their folders, once each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from styletransfer.errors import InputError
from styletransfer.folders import weights_folder
from styletransfer.music.notes import Feel
from styletransfer.styles.blend import parse_style
from styletransfer.styles.card import Style
from styletransfer.tokens.codec import Codec
from styletransfer.tokens.loading import AnyCodec, codec_of_package

if TYPE_CHECKING:
    from styletransfer.model.sampling import Voice
    from styletransfer.model.weights import Weights


@dataclass(frozen=True)
class Base:
    """A base model with its tokenizer, of either kind.

    ``weights_hash`` and ``tokenizer_hash``: those that its adapters' cards name. ``all_pieces``:
    whether it has learnt from validation and test pieces, too.
    """

    model: Weights
    codec: AnyCodec
    weights_hash: str
    tokenizer_hash: str
    all_pieces: bool = False


def load_model(folder: Path | None = None) -> Base:
    """Load a base model from a folder, or the one that comes with the package."""
    return _loaded(folder or shipped_model())


@lru_cache(maxsize=2)
def _loaded(folder: Path) -> Base:
    from styletransfer.model.weights import load_weights, weights_hash

    model, vocabulary, manifest = load_weights(folder)
    codec = codec_of_package(folder, vocabulary, manifest["sha256"], manifest["tokenizer_hash"])
    return Base(
        model,
        codec,
        weights_hash(manifest),
        manifest["tokenizer_hash"],
        manifest.get("all_pieces", False),
    )


def measured_model(folder: Path | None = None) -> Base:
    """Load a base model that is to be measured on held-out pieces.

    Raises:
        InputError: where it has learnt from them.
    """
    base = load_model(folder)
    if base.all_pieces:
        raise InputError(
            f"{folder or shipped_model()}: has learnt from validation and test pieces, and can't be"
            " measured on them; for a model that can, set STYLETRANSFER_WEIGHTS=eval/measured."
        )
    return base


def melody_codec(folder: Path | None = None) -> Codec:
    """Return the tokenizer of a base model that can follow a melody.

    Raises:
        InputError: where it can't.
    """
    codec = load_model(folder).codec
    if not isinstance(codec, Codec):
        raise InputError(
            f"{folder}: this model's plain tokenizer knows no melodies; it can only generate."
        )
    return codec


def voices_in(
    style: str,
    feel: Feel,
    quarters_per_minute: float,
    strength: float,
    folder: Path | None,
    tune: str = "",
) -> list[Voice]:
    """Return the predictions that make up a style or a blend, for the sampler.

    Args:
        style: a name or a blend.
        feel, quarters_per_minute, tune: control tokens of the music.
        strength: of the style, as in :class:`styletransfer.model.settings.SamplingConfig`.
        folder: of the base; the shipped one where it is None.

    Raises:
        InputError: where the base doesn't know a style's composer.
    """
    from styletransfer.model.sampling import voices_of

    names, asked = load_model(folder).codec.vocabulary, parse_style(style)
    for one, _ in asked:
        if f"COMPOSER_{one.composer}" not in names:
            raise InputError(
                f"--style {one.name}: this base model is older than that name and doesn't know it."
            )

    styles = [
        (
            load_style(one, folder),
            replace(one.controls(feel, quarters_per_minute), tune=tune),
            weight,
        )
        for one, weight in asked
    ]
    return voices_of(load_model(folder).model, styles, strength)


def load_style(style: Style, folder: Path | None = None) -> Weights:
    """Load a style's model: a base with the style's adapter.

    With another base than their own, shipped composers and eras have their control token alone.
    """
    return _styled(style, folder or shipped_model())


@lru_cache(maxsize=8)
def _styled(style: Style, folder: Path) -> Weights:
    from styletransfer.model.adapters import load_adapter

    base = load_model(folder)
    foreign = style.card is not None and style.card.base != base.weights_hash
    if foreign and style.kind in ("composer", "era") and style.ships:
        return base.model
    return load_adapter(base.model, base.weights_hash, base.tokenizer_hash, style)


def shipped_model() -> Path:
    """Return the folder of the base that is used where no other is given."""
    return weights_folder() / "base"
