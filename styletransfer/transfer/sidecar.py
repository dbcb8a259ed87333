"""The sidecar of an arrangement: a JSON file beside the MIDI file, from which the same bytes can be made again.

It holds the settings as :class:`.request.Request` has them, whatever fields that has; the *ingredients*, which are what
else the bytes depend on (hashes of the files that went in, versions, the kind of machine); each MIDI file with its hash and its
candidate; the melody that was taken; and the report of the run.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import styletransfer
from styletransfer.configuration import from_dict
from styletransfer.errors import InputError
from styletransfer.score.examples import EXAMPLES, example
from styletransfer.score.read import MAX_BYTES
from styletransfer.score.write import midi_bytes
from styletransfer.styles import CONFIG, IDIOM, WEIGHTS, moved_to, parse_style, with_absolute_folders
from styletransfer.transfer.inspection import melody_rows
from styletransfer.transfer.request import Request, Result
from styletransfer.transfer.touch import touch_of

if TYPE_CHECKING:
    from styletransfer.transfer.pipeline import Base

FORMAT = "styletransfer sidecar 1"
PLANNERS = ("harmoniser/manifest.json", "harmoniser/model.safetensors", "chords.safetensors", "figures.safetensors")
"""The assets on which chords and figures depend."""
SHOWN = 12  # characters of a hash in a message


@dataclass(frozen=True)
class Provenance:
    """``request``: what was asked for, with all paths absolute. ``ingredients``: what else the bytes depend on, by name."""

    request: Request
    ingredients: dict[str, str]

    def differences(self, now: Provenance) -> list[str]:
        """What isn't any more as it was, as ``torch (2.8.0 then, 2.9.1 now)``."""
        names = dict.fromkeys([*self.ingredients, *now.ingredients])
        pairs = [(name, self.ingredients.get(name, "none"), now.ingredients.get(name, "none")) for name in names]
        return [f"{name} ({_short(old)} then, {_short(new)} now)" for name, old, new in pairs if old != new]


@dataclass(frozen=True)
class Output:
    """A MIDI file beside the sidecar: its name, the number of the candidate in it, and its bytes' hash."""

    file: str
    candidate: int
    sha256: str

    def __post_init__(self) -> None:
        if not self.file or self.file != Path(self.file).name:
            raise ValueError("an output is no plain file name")


@dataclass(frozen=True)
class Sidecar:
    """A sidecar that was read."""

    path: Path
    provenance: Provenance
    outputs: list[Output]
    melody: list[dict[str, Any]]
    report: dict[str, Any]


def provenance_of(request: Request, base: Base) -> Provenance:
    """What an arrangement is made of, at the time at which it is made.

    Raises:
        InputError: where a file that goes in can't be read.
    """
    import torch

    from styletransfer.model.decoder import halves_pay

    song = request.song if _is_example(request.song) or not request.song else os.path.abspath(request.song)
    paths = {item.name: Path(os.path.abspath(getattr(request, item.name))) for item in _path_fields(request)}
    absolute = replace(request, song=song, style=with_absolute_folders(request.style), **paths)  # type: ignore[arg-type]
    ingredients = {"the song": song_hash(song), "the model": base.weights_hash, "the tokenizer": base.tokenizer_hash}
    for name, path in paths.items():
        if name != "model":
            ingredients[f"the file of --{name.replace('_', '-')}"] = digest(_bytes(path))
    for number, (style, _) in enumerate(parse_style(request.style)):
        files = [_bytes(style.path / file) for file in (WEIGHTS, CONFIG)] if style.path else []
        files += [_bytes(style.path / IDIOM)] if style.path and (style.path / IDIOM).is_file() else []
        files += [_bytes(style.piece)] if style.piece else []
        name = f"the example {style.name}" if style.piece else f"the adapter of {style.name}"
        name += f" ({number + 1})" if name in ingredients else ""  # two folders of one name
        ingredients[name] = digest(f"{style.era} {style.composer}".encode(), *files)
    if getattr(base.codec, "plans", False):
        assets = Path(str(resources.files("styletransfer"))) / "assets"
        ingredients["what plans the harmony"] = digest(*(_bytes(assets / name) for name in PLANNERS))
    ingredients["how the style is played"] = digest(repr(touch_of(request.style)).encode())
    ingredients |= {
        "styletransfer": styletransfer.__version__,
        "torch": version("torch"),
        "the machine": f"{platform.system()} {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
        + " bfloat16" * halves_pay(base.model.lm_head.weight.device),
    }
    return Provenance(absolute, ingredients)


def sidecar_of(result: Result, files: list[tuple[str, int]], report: dict[str, Any]) -> bytes:
    """The sidecar's bytes, for MIDI files (name, number of the candidate) of a result.

    Raises:
        InputError: where the result is no arrangement of a song.
    """
    if result.provenance is None or result.melody is None:
        raise InputError("only the arrangement of a song has a sidecar.")
    data = {
        "format": FORMAT,
        "settings": asdict(result.provenance.request),
        "ingredients": result.provenance.ingredients,
        "outputs": [asdict(Output(name, k, digest(midi_bytes(result.candidates[k])))) for name, k in files],
        "melody": taken_melody(result),
        "report": report,
    }
    text = json.dumps(data, ensure_ascii=False, indent=1, default=str) + "\n"
    return text.encode(errors="backslashreplace")  # file names that aren't UTF-8 as JSON escapes


def taken_melody(result: Result) -> list[dict[str, Any]]:
    """The melody as it stands in the song, before it was moved by octaves; rows as :func:`.inspection.melody_rows` has them."""
    octaves = result.report.get("octaves_moved", 0)
    rows = melody_rows(result.melody) if result.melody else []
    return [row | {"pitch": row["pitch"] - 12 * octaves} for row in rows]


def read_sidecar(path: Path) -> Sidecar:
    """Read a sidecar; the song, and a piece that is the style, are looked for where they were, and beside the sidecar.

    Raises:
        InputError: where it is none, is damaged, is of a version with other settings, or the song is nowhere.
    """
    try:
        data = json.loads(_bytes(path))
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError("it has no such format")
        settings, ingredients = dict(data["settings"]), {str(key): str(value) for key, value in data["ingredients"].items()}
        outputs = [from_dict(Output, row) for row in data["outputs"]]
        if not outputs:
            raise ValueError("it names no outputs")
        melody, report = list(data["melody"]), dict(data["report"])
        settings["song"] = _find_song(str(settings["song"]), ingredients.get("the song", ""), path)
        settings["style"] = moved_to(str(settings["style"]), path.parent)
    except UnicodeDecodeError:
        raise InputError(f"{path}: not the sidecar of an arrangement; name the .json file beside the arrangement.") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: not the sidecar of an arrangement ({error}).") from None
    try:
        request = from_dict(Request, settings)
    except (TypeError, ValueError) as error:
        made = ingredients.get("styletransfer", "another version")
        raise InputError(f"{path}: its settings (of styletransfer {made}) aren't those of this version ({error}).") from None
    if not all(0 <= output.candidate < request.sampling.candidates for output in outputs):
        raise InputError(f"{path}: it is damaged, it names a candidate that was never made.")
    return Sidecar(path, Provenance(request, ingredients), outputs, melody, report)


def outputs_beside(folder: Path) -> set[str]:
    """The names of the MIDI files in a folder that sidecars there tell of."""
    return {name for _, names, _ in _sidecars_in(folder) for name in names}


def report_beside(midi: Path) -> dict[str, Any] | None:
    """The report of the run that wrote a MIDI file, from the sidecar beside it; None where no sidecar tells of the file."""
    return next((report for _, names, report in _sidecars_in(midi.parent) if midi.name in names), None)


def sidecar_beside(midi: Path) -> Path | None:
    """The sidecar from which :func:`report_beside` has it."""
    return next((path for path, names, _ in _sidecars_in(midi.parent) if midi.name in names), None)


def _sidecars_in(folder: Path) -> Iterator[tuple[Path, set[str], dict[str, Any]]]:
    """Every sidecar in a folder, with the names of its MIDI files and its report."""
    for path in sorted(folder.glob("*.json")):
        try:
            with path.open("rb") as file:
                if FORMAT.encode() not in file.read(2 * len(FORMAT) + 20):
                    continue
            data = json.loads(path.read_bytes())
            told = path, {str(row["file"]) for row in data["outputs"]}, dict(data["report"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue  # not ours, or damaged: it tells of nothing
        yield told


def song_hash(song: str) -> str:
    """The hash of a file, or of an example tune; of no song, that of nothing."""
    if not song:
        return digest()
    return digest(midi_bytes(example(song)) if _is_example(song) else _bytes(Path(song)))


def _find_song(song: str, wanted: str, sidecar: Path) -> str:
    """Where the song is: of the places that have a file of that name, the first with the right hash, else the first."""
    if _is_example(song) or not song:
        return song
    there = [place for place in (song, str(sidecar.parent / Path(song).name)) if os.path.isfile(place)]
    if not there:
        raise InputError(f"{song}: the song isn't there any more; put it back, or beside {sidecar}.")
    return next((place for place in there if song_hash(place) == wanted), there[0])


def _is_example(song: str) -> bool:
    return song in EXAMPLES and not os.path.lexists(song)


def _path_fields(request: Request) -> list[Any]:
    return [item for item in fields(request) if isinstance(getattr(request, item.name), Path)]


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: it is larger than {MAX_BYTES >> 20} MB.")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: it cannot be read ({reason}); check the name.") from None


def digest(*parts: bytes) -> str:
    """SHA-256 of bytes, as hex digits."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _short(value: str) -> str:
    return f"{value[:SHOWN]}…" if len(value) == 64 else value  # a hash
