"""Write and read sidecars, from which the same bytes can be made again.

A sidecar is a JSON file beside the MIDI file of an arrangement. It holds the settings as
:class:`.request.Request` has them, whatever fields that has; the *ingredients*, which are what else
the bytes depend on (hashes of the files that went in, versions, the kind of machine); each MIDI
file with its hash and its candidate; the melody that was taken; and the report of the run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from styletransfer.configuration import from_dict
from styletransfer.errors import InputError
from styletransfer.files import check_size, parse_json
from styletransfer.formats.midi_out import midi_bytes
from styletransfer.styles.blend import moved_to
from styletransfer.transfer.inspection import melody_rows
from styletransfer.transfer.provenance import Provenance, _bytes, _is_example, digest, song_hash
from styletransfer.transfer.request import Request
from styletransfer.transfer.result import Result

FORMAT = "styletransfer sidecar 1"


@dataclass(frozen=True)
class Output:
    """A MIDI file beside the sidecar.

    ``file``: its name. ``candidate``: the number of the candidate in it. ``sha256``: its bytes'
    hash.
    """

    file: str
    candidate: int
    sha256: str

    def __post_init__(self) -> None:
        if not self.file or self.file != Path(self.file).name:
            raise ValueError("an output is no plain file name")


@dataclass(frozen=True)
class Sidecar:
    """What a sidecar holds."""

    path: Path
    provenance: Provenance
    outputs: list[Output]
    melody: list[dict[str, Any]]
    report: dict[str, Any]


def sidecar_of(result: Result, files: list[tuple[str, int]], report: dict[str, Any]) -> bytes:
    """Make the sidecar of a result's MIDI files (name, number of the candidate).

    Raises:
        InputError: where the result is no arrangement of a song.
    """
    if result.provenance is None or result.melody is None:
        raise InputError("only the arrangement of a song has a sidecar.")
    data = {
        "format": FORMAT,
        "settings": asdict(result.provenance.request),
        "ingredients": result.provenance.ingredients,
        "outputs": [
            asdict(Output(name, k, digest(midi_bytes(result.candidates[k])))) for name, k in files
        ],
        "melody": taken_melody(result),
        "report": report,
    }
    text = json.dumps(data, ensure_ascii=False, indent=1, default=str) + "\n"
    return text.encode(errors="backslashreplace")  # file names that aren't UTF-8 as JSON escapes


def taken_melody(result: Result) -> list[dict[str, Any]]:
    """List the melody as it stands in the song, before it was moved by octaves.

    Rows are as :func:`.inspection.melody_rows` has them.
    """
    octaves = result.report.get("octaves_moved", 0)
    rows = melody_rows(result.melody) if result.melody else []
    return [row | {"pitch": row["pitch"] - 12 * octaves} for row in rows]


def read_sidecar(path: Path) -> Sidecar:
    """Read a sidecar.

    The song, and a piece that is the style, are looked for where they were, and beside the sidecar.

    Raises:
        InputError: where it is none, is damaged, is of a version with other settings, or the song
            is nowhere.
    """
    data = _data_in(path)
    try:
        settings = dict(data["settings"])
        ingredients = {str(key): str(value) for key, value in data["ingredients"].items()}
        outputs = [from_dict(Output, row) for row in data["outputs"]]
        if not outputs:
            raise ValueError("it names no outputs")
        if len({output.candidate for output in outputs}) < len(outputs):
            raise ValueError("it names a candidate twice")
        melody, report = list(data["melody"]), dict(data["report"])
        settings["song"] = _find_song(str(settings["song"]), ingredients.get("the song", ""), path)
        settings["style"] = moved_to(str(settings["style"]), path.parent)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not the sidecar of an arrangement ({error}).") from None

    try:
        request = from_dict(Request, settings)
    except (TypeError, ValueError) as error:
        made = ingredients.get("styletransfer", "another version")
        raise InputError(
            f"{path}: its settings (of styletransfer {made}) aren't those of this version"
            f" ({error})."
        ) from None

    if not all(0 <= output.candidate < request.sampling.candidates for output in outputs):
        raise InputError(f"{path}: it is damaged: it names a candidate that was never made.")
    return Sidecar(path, Provenance(request, ingredients), outputs, melody, report)


def midi_of(path: Path) -> Path:
    """Find the MIDI file of a sidecar, which is beside it; of several, the best candidate's.

    Raises:
        InputError: where the path is no sidecar's, or the MIDI file isn't there.
    """
    data = _data_in(path)
    try:
        midi = path.with_name(from_dict(Output, data["outputs"][0]).file)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"{path}: not the sidecar of an arrangement ({error}).") from None
    if not midi.is_file():
        raise InputError(
            f"{midi}: the arrangement isn't beside its sidecar;"
            f" put it back, or make it again with `styletransfer replay {path}`."
        )
    return midi


def _data_in(path: Path) -> dict[str, Any]:
    """Read the JSON of a sidecar.

    Raises:
        InputError: where it is none.
    """
    try:
        data = parse_json(_bytes(path))
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError("it has no such format")
    except UnicodeDecodeError:
        raise InputError(
            f"{path}: not the sidecar of an arrangement;"
            " name the .json file next to the arrangement."
        ) from None
    except ValueError as error:
        raise InputError(f"{path}: not the sidecar of an arrangement ({error}).") from None
    return data


def outputs_beside(folder: Path) -> set[str]:
    """Name the MIDI files in a folder that sidecars there list."""
    return {name for _, names, _ in _sidecars_in(folder) for name in names}


def report_beside(midi: Path) -> dict[str, Any] | None:
    """Find the report of the run that wrote a MIDI file, from the sidecar beside it.

    None where no sidecar lists the file.
    """
    return next(
        (report for _, names, report in _sidecars_in(midi.parent) if midi.name in names), None
    )


def sidecar_beside(midi: Path) -> Path | None:
    """Find the sidecar that lists a MIDI file, as :func:`report_beside` does."""
    return next((path for path, names, _ in _sidecars_in(midi.parent) if midi.name in names), None)


def _sidecars_in(folder: Path) -> Iterator[tuple[Path, set[str], dict[str, Any]]]:
    """Read the sidecars in a folder: path, names of the MIDI files, and report."""
    for path in sorted(folder.glob("*.json")):
        try:
            check_size(path)
            with path.open("rb") as file:
                if FORMAT.encode() not in file.read(2 * len(FORMAT) + 20):
                    continue
            data = parse_json(path.read_bytes())
            names, report = {str(row["file"]) for row in data["outputs"]}, dict(data["report"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # another program's, or damaged
        yield path, names, report


def _find_song(song: str, wanted: str, sidecar: Path) -> str:
    """Find the song where it was or beside the sidecar.

    Of the files of that name, the first with the right hash is taken, else the first.
    """
    if _is_example(song) or not song:
        return song
    there = [
        place for place in (song, str(sidecar.parent / Path(song).name)) if os.path.isfile(place)
    ]
    if not there:
        raise InputError(f"{song}: the song is no longer there; put it back, or next to {sidecar}.")
    return next((place for place in there if song_hash(place) == wanted), there[0])
