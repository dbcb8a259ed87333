"""Record what an arrangement is made of: settings and ingredients.

From these, the same bytes can be made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import asdict, dataclass, fields, replace
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import styletransfer
from styletransfer.errors import InputError
from styletransfer.files import read_bounded
from styletransfer.folders import IDIOM, weights_folder
from styletransfer.formats.midi_out import midi_bytes
from styletransfer.formats.tunes import EXAMPLES, example
from styletransfer.styles.blend import parse_style, with_absolute_folders
from styletransfer.styles.card import CONFIG, WEIGHTS
from styletransfer.styles.touch import touch_of
from styletransfer.transfer.request import Request

if TYPE_CHECKING:
    from styletransfer.model.loading import Base


PLANNERS = (
    "harmoniser/manifest.json",
    "harmoniser/model.safetensors",
    "chords.safetensors",
    "figures.safetensors",
)
"""The assets on which chords and figures depend."""


SHOWN = 12
"""Characters of a hash in a message."""


@dataclass(frozen=True)
class Provenance:
    """What an arrangement is made of.

    ``request``: what was asked for, with all paths absolute. ``ingredients``: what else the bytes
    depend on, by name.
    """

    request: Request
    ingredients: dict[str, str]

    def differences(self, now: Provenance) -> list[str]:
        """List what has changed since, as ``torch (2.8.0 then, 2.9.1 now)``."""
        names = dict.fromkeys([*self.ingredients, *now.ingredients])
        pairs = [
            (name, self.ingredients.get(name, "none"), now.ingredients.get(name, "none"))
            for name in names
        ]
        return [
            f"{name} ({_short(old)} then, {_short(new)} now)"
            for name, old, new in pairs
            if old != new
        ]


def provenance_of(request: Request, base: Base) -> Provenance:
    """Record what an arrangement is made of, when it is made.

    Raises:
        InputError: where a file that goes in can't be read.
    """
    import torch

    from styletransfer.model.decoder import halves_pay

    song = (
        request.song
        if _is_example(request.song) or not request.song
        else os.path.abspath(request.song)
    )
    paths = {
        item.name: Path(os.path.abspath(getattr(request, item.name)))
        for item in _path_fields(request)
    }
    absolute = replace(request, song=song, style=with_absolute_folders(request.style), **paths)  # type: ignore[arg-type]
    ingredients = {
        "the song": song_hash(song),
        "the model": base.weights_hash,
        "the tokenizer": base.tokenizer_hash,
    }
    for name, path in paths.items():
        if name != "model":
            ingredients[f"the file of --{name.replace('_', '-')}"] = digest(_bytes(path))
    ingredients |= _style_ingredients(request.style)
    if getattr(base.codec, "plans", False):
        assets = Path(str(resources.files("styletransfer"))) / "assets"
        ingredients["what plans the harmony"] = digest(
            *(_bytes(assets / name) for name in PLANNERS)
        )
    ingredients["how the style is played"] = digest(repr(touch_of(request.style)).encode())

    capability = torch.backends.cpu.get_cpu_capability()
    machine = f"{platform.system()} {platform.machine()} {capability}"
    if halves_pay(base.model.lm_head.weight.device):
        machine += " bfloat16"
    ingredients |= {
        "styletransfer": styletransfer.__version__,
        "torch": version("torch"),
        "the machine": machine,
    }
    return Provenance(absolute, ingredients)


def request_hash(request: Request, style: str) -> str:
    """Hash a request: its settings and what is in its files, wherever they are.

    Args:
        request: what is asked for.
        style: what :func:`style_hash` gives for it.

    Raises:
        InputError: where the song or the chords can't be read.
    """
    settings = asdict(request) | {"song": song_hash(request.song), "style": style, "model": ""}
    if os.path.isfile(request.chords):
        settings["chords"] = digest(_bytes(Path(request.chords)))
    return digest(json.dumps(settings, sort_keys=True).encode())


def style_hash(request: Request) -> str:
    """Hash a request's style and model with the version that is to use them.

    Nothing is loaded.

    Raises:
        InputError: where a file of them can't be read.
    """
    base = weights_folder() / "base" if request.model is None else request.model
    return digest(
        styletransfer.__version__.encode(),
        _bytes(base / "manifest.json"),
        repr([(one.name, weight) for one, weight in parse_style(request.style)]).encode(),
        repr(_style_ingredients(request.style)).encode(),
        repr(touch_of(request.style)).encode(),
    )


def _style_ingredients(text: str) -> dict[str, str]:
    """Hash the files of a style or a blend, by what they are."""
    found: dict[str, str] = {}
    for number, (style, _) in enumerate(parse_style(text)):
        files = [_bytes(style.path / file) for file in (WEIGHTS, CONFIG)] if style.path else []
        files += (
            [_bytes(style.path / IDIOM)] if style.path and (style.path / IDIOM).is_file() else []
        )
        files += [_bytes(style.piece)] if style.piece else []
        name = f"the example {style.name}" if style.piece else f"the adapter of {style.name}"
        name += f" ({number + 1})" if name in found else ""  # two folders of one name
        found[name] = digest(f"{style.era} {style.composer}".encode(), *files)
    return found


def song_hash(song: str) -> str:
    """Hash a file, or an example tune; no song has the hash of nothing."""
    if not song:
        return digest()
    return digest(midi_bytes(example(song)) if _is_example(song) else _bytes(Path(song)))


def _is_example(song: str) -> bool:
    return song in EXAMPLES and not os.path.lexists(song)


def _path_fields(request: Request) -> list[Any]:
    return [item for item in fields(request) if isinstance(getattr(request, item.name), Path)]


def _bytes(path: Path) -> bytes:
    try:
        return read_bounded(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: it cannot be read ({reason}); check the name.") from None


def digest(*parts: bytes) -> str:
    """Hash bytes: SHA-256 as hex digits."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _short(value: str) -> str:
    return f"{value[:SHOWN]}…" if len(value) == 64 else value  # a hash
