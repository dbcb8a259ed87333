"""Versions on disk, in a folder each.

Every kind of file can be made from it later.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer.music.notes import Piece, TempoMap
from styletransfer.serve.reading import bar_rows, first_bar, note_rows, pedal_rows
from styletransfer.serve.settings import ARRANGEMENT, VERSION
from styletransfer.styles.blend import shown
from styletransfer.styles.names import song_title
from styletransfer.transfer.result import Result
from styletransfer.transfer.sidecar import read_sidecar

PIECE, MELODY = "piece.npz", "melody.npz"
SIDECAR = str(Path(ARRANGEMENT).with_suffix(".json"))


@dataclass(frozen=True)
class Kept(Result):
    """A version that was read again; ``called``: what it is, in words."""

    called: str = ""

    @property
    def title(self) -> str:
        """What it is, in words."""
        return self.called


def keep(result: Result, folder: Path, about: dict[str, Any]) -> dict[str, Any]:
    """Keep a result beside its MIDI file, and return the version object of the API.

    Args:
        result: an arrangement.
        folder: of the version.
        about: what else the object states, including the song's ``name``.
    """
    write_piece(result.piece, folder / PIECE)
    if result.melody is not None:
        write_piece(result.melody, folder / MELODY)

    piece, report = result.piece, result.report
    version = about | {
        "title": f"{song_title(result.piece.title, about['name'])}, in the style of"
        f" {shown(report['style'])}",
        "style": report["style"],
        "report": {key: value for key, value in report.items() if key not in ("harmony",)},
        "harmony": report["harmony"],
        "key": report["key"],
        "feel": piece.feel,
        "seconds": round(piece.length_seconds, 3),
        "first_bar": first_bar(piece),
        "bars": bar_rows(piece),
        "parts": [
            {
                "number": number,
                "name": part,
                "notes": int((piece.notes["part"] == number - 1).sum()),
            }
            for number, part in enumerate(piece.parts, 1)
        ],
        "notes": note_rows(piece),
        "pedals": pedal_rows(piece),
        "candidates": report["candidates"],
        "bars_redone": report["bars"],
    }
    (folder / VERSION).write_text(json.dumps(version, default=str), encoding="utf-8")
    return version


def kept(folder: Path) -> Kept:
    """Read a version as a result, as :func:`keep` left it."""
    version = json.loads((folder / VERSION).read_text(encoding="utf-8"))
    provenance = read_sidecar(folder / SIDECAR).provenance
    melody = read_piece(folder / MELODY) if (folder / MELODY).exists() else None
    piece = read_piece(folder / PIECE)
    report = version["report"] | {"harmony": version["harmony"]}
    return Kept(
        piece, report, provenance.request, melody, (piece,), provenance, called=version["title"]
    )


def write_piece(piece: Piece, path: Path) -> None:
    """Write a piece without its chord symbols, which an arrangement has in its report."""
    plain = {
        item.name: getattr(piece, item.name)
        for item in fields(Piece)
        if item.name not in ("notes", "bars", "tempo", "chords")
    }
    np.savez(
        path,
        notes=piece.notes,
        bars=piece.bars,
        quarters=piece.tempo.quarters,
        seconds_per_quarter=piece.tempo.seconds_per_quarter,
        plain=np.array(json.dumps(plain)),
    )


def read_piece(path: Path) -> Piece:
    """Read a piece that :func:`write_piece` wrote."""
    with np.load(path, allow_pickle=False) as data:
        plain = json.loads(str(data["plain"]))
        tempo = TempoMap(data["quarters"], data["seconds_per_quarter"])
        notes, bars = data["notes"], data["bars"]
    for name in ("parts", "remarks", "sung"):
        plain[name] = tuple(plain[name])
    for name in ("key_signatures", "pedals"):
        plain[name] = tuple(map(tuple, plain[name]))
    return Piece(notes, bars=bars, tempo=tempo, **plain)
