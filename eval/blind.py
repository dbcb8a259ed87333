r"""Hold a listening test that anyone can run, and analyse its answers.

Its page has blind pairs.

    python -m eval.blind page runs/blind songs/tunes ours=songs/ours composer=songs/composer \
        --key runs/blind-key.json
    python -m eval.blind analyse answers/*.json --key runs/blind-key.json

``page`` writes a folder that opens from a disk or any web server, with ``index.html``, sounds and
scores; it asks nothing of any other address. Each pair is one tune with two accompaniments: those
of the first version and of another one (``--every``: of any two versions). Each gets marks from 1
to 5 on the four scales of MIREX 2024's listening test, and the better one is named. Order and sides
are drawn by ``--seed``; the key states them; keep it from the raters. Their answers are kept in
their browser until they download them as a file of JSON.

The first argument after the folder holds the tunes, and each version's folder its accompaniments
under the same names: MIDI files whose first track is the tune, or in MIREX 2024's JSON
(:mod:`eval.mirex`) a lead sheet NAME.json and accompaniments NAME.json or NAME/sample_01.json.
Nothing but the notes distinguishes the versions: all are played equally loud, without pedal, in the
tune's tempo, and accompaniment notes in unison with the tune are left out.

``analyse`` prints what :mod:`eval.blind_answers` describes. ``eval/blind.md`` describes how to hold
a test.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import random
import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval import blind_answers
from eval.blind_answers import MARKS, SCALES
from eval.harmony import read_version, songs_in
from eval.jury import write_json
from eval.mirex import (
    accompaniment_file,
    notes_of,
    piece_of,
    read_accompaniment,
    read_sheet,
    with_hands,
)
from eval.page import template
from styletransfer.configuration import exit_code, recipe_parser
from styletransfer.errors import InputError
from styletransfer.files import write_folder_atomically
from styletransfer.formats.midi_out import midi_bytes
from styletransfer.music.notes import NoteTable, Piece
from styletransfer.outputs.sound import find_soundfont, play

TOGETHER = 1 / 24
"""Quarters within which notes begin together."""
SIDES = ("a", "b")

Samples = NDArray[np.float64]


class Pair(NamedTuple):
    """Two versions of a song, by their sides."""

    song: str
    a: str
    b: str


def pairs_of(songs: list[str], versions: list[str], *, every: bool, seed: int) -> list[Pair]:
    """Draw pairs in random order.

    Each two versions change sides in half of their songs.

    Args:
        songs: their names.
        versions: the first one is compared with the others.
        every: whether any two versions are compared.
        seed: of order and sides.
    """
    rng = random.Random(seed)
    two: Iterable[tuple[str, str]] = combinations(versions, 2)
    if not every:
        two = ((versions[0], name) for name in versions[1:])
    pairs = []
    for one, other in two:
        shuffled = rng.sample(songs, len(songs))
        turn = rng.randrange(2)
        for place, song in enumerate(shuffled):
            sides = (one, other) if (place + turn) % 2 else (other, one)
            pairs.append(Pair(song, *sides))
    rng.shuffle(pairs)
    return pairs


# --- versions -----------------------------------------------------------------------------------


def read_pieces(tunes: Path, folders: dict[str, Path], song: str, bars: int) -> dict[str, Piece]:
    """Read a song's tune, under the name "", and its versions, and cut them.

    Raises:
        InputError: where one is missing, or a version has another tune.
    """
    found = {}
    for name, folder in folders.items():
        tune, rest = _version(tunes, folder, song)
        rest = without_unisons(rest, tune.notes)
        found[""] = cut(with_hands(tune, rest[:0]), bars)
        found[name] = cut(with_hands(tune, rest), bars)
    return found


def _version(tunes: Path, folder: Path, song: str) -> tuple[Piece, NoteTable]:
    """Read a tune and a version of it, from MIDI files or MIREX 2024's JSON."""
    path = tunes / f"{song}.json"
    if not path.is_file():
        return read_version(tunes, folder, song)
    sheet = read_sheet(path)
    own = read_accompaniment(accompaniment_file(folder, song))
    return piece_of(sheet), notes_of(own, sheet.origin, 1, tune=False)


def without_unisons(rest: NoteTable, tune: NoteTable) -> NoteTable:
    """Leave out accompaniment notes that begin with a note of the tune on its pitch."""
    together = np.abs(rest["onset"][:, None] - tune["onset"]) < TOGETHER
    same = rest["pitch"][:, None] == tune["pitch"]
    kept: NoteTable = rest[~(together & same).any(axis=1)]
    return kept


def cut(piece: Piece, bars: int) -> Piece:
    """Cut a piece after so many bars, a pick-up not counted."""
    kept = piece.bars[: bars + int(piece.bars["start"][0] < 0)]
    end = float(kept["start"][-1] + kept["length"][-1])
    notes = piece.notes[piece.notes["onset"] < end - TOGETHER].copy()
    notes["duration"] = np.minimum(notes["duration"], end - notes["onset"])
    return replace(piece, notes=notes, bars=kept)


# --- sound and score ----------------------------------------------------------------------------


def sounds_of(pieces: dict[str, Piece], font: Path) -> dict[str, bytes]:
    """Play tune and versions of a song into MP3 files, equally loud and mono."""
    import soundfile

    played: dict[str, Samples] = {}
    rate = 0
    for name, piece in pieces.items():
        samples, rate = soundfile.read(io.BytesIO(play(midi_bytes(piece), font, name or "tune")))
        played[name] = samples.mean(axis=1)
    loudness = {name: float(np.sqrt((one**2).mean())) for name, one in played.items()}
    lowest = min(loudness.values())

    files = {}
    for name, samples in played.items():
        buffer = io.BytesIO()
        quiet = samples * (lowest / loudness[name])
        soundfile.write(buffer, quiet, rate, format="MP3", subtype="MPEG_LAYER_III")
        files[name] = buffer.getvalue()
    return files


def score_of(piece: Piece, title: str) -> bytes:
    """Engrave a piece as one page of SVG, narrow enough for a phone."""
    from styletransfer.engraving.files import engraved
    from styletransfer.engraving.musicxml import musicxml_bytes
    from styletransfer.engraving.page import lay_out

    pages = engraved(musicxml_bytes(lay_out(piece), title), tall=True, narrow=True)
    if len(pages) > 1:
        raise InputError(f"{title}: its score is too long for one page; take fewer --bars.")
    return pages[0]


# --- the page -----------------------------------------------------------------------------------


def write_page(
    out: Path, pairs: list[Pair], tunes: Path, folders: dict[str, Path], bars: int, font: Path
) -> str:
    """Write the folder, and return the test's id: a digest of its sounds."""
    digest = hashlib.sha256()

    def write(folder: Path) -> None:
        for part in ("sounds", "scores"):
            (folder / part).mkdir(parents=True)
        songs: dict[str, tuple[dict[str, Piece], dict[str, bytes]]] = {}
        for number, pair in enumerate(pairs, start=1):
            if pair.song not in songs:
                pieces = read_pieces(tunes, folders, pair.song, bars)
                songs[pair.song] = pieces, sounds_of(pieces, font)
            pieces, sounds = songs[pair.song]
            for side, name in {"tune": "", "a": pair.a, "b": pair.b}.items():
                (folder / f"sounds/{number}-{side}.mp3").write_bytes(sounds[name])
                digest.update(sounds[name])
            for side in SIDES:
                title = f"Pair {number}, version {side.upper()}"
                score = score_of(pieces[getattr(pair, side)], title)
                (folder / f"scores/{number}-{side}.svg").write_bytes(score)
            print(f"pair {number} of {len(pairs)}", flush=True)
        text = _html(len(pairs), digest.hexdigest()[:12])
        (folder / "index.html").write_text(text, encoding="utf-8")

    write_folder_atomically(out, write)
    return digest.hexdigest()[:12]


def _html(pairs: int, test: str) -> str:
    """Fill the template."""
    page = template("blind.html.j2")
    return page.render(pairs=pairs, test=test, sides=SIDES, scales=SCALES, marks=MARKS)


# --- the command --------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> int:
    """Write the page of a test, or analyse its answers."""
    parser = recipe_parser(__doc__)
    parser.prog = "python -m eval.blind"
    commands = parser.add_subparsers(dest="command", required=True)
    page = commands.add_parser("page", help="write the page and its key")
    page.add_argument("out", type=Path, help="the folder to write")
    page.add_argument("tunes", type=Path, help="a folder of tunes")
    page.add_argument(
        "versions",
        nargs="+",
        metavar="NAME=FOLDER",
        help="the first one is compared with the others",
    )
    page.add_argument("--key", type=Path, help="the key to write; by default OUT-key.json")
    page.add_argument("--lists", type=Path, help="a JSON file of lists of songs")
    page.add_argument("--part", help="the list to take")
    page.add_argument("--songs", type=int, help="how many songs to draw; all by default")
    page.add_argument("--every", action="store_true", help="compare any two versions")
    page.add_argument("--bars", type=int, default=12, help="bars of each song")
    page.add_argument("--seed", type=int, default=0, help="of songs, order and sides")
    page.add_argument("--soundfont", type=Path, help="what plays the sounds")

    analyse = commands.add_parser("analyse", help="print what the answers say")
    analyse.add_argument("answers", type=Path, nargs="+", help="files that raters downloaded")
    analyse.add_argument("--key", type=Path, nargs="+", required=True, help="of their tests")
    analyse.add_argument(
        "--unknown", action="store_true", help="leave out pieces that a rater knew already"
    )
    analyse.add_argument("--write", type=Path, help="the JSON file to write")
    arguments = parser.parse_args(argv)

    return exit_code(lambda: make(arguments) if arguments.command == "page" else report(arguments))


def make(arguments: argparse.Namespace) -> int:
    """Draw the pairs, and write page and key."""
    out: Path = arguments.out
    key: Path = arguments.key or out.with_name(f"{out.name}-key.json")
    named = [version.partition("=") for version in arguments.versions]
    folders = {name: Path(folder) for name, _, folder in named if name and folder}
    if len(folders) != len(named) or len(folders) < 2:
        raise InputError("name two or more versions, each as NAME=FOLDER under a name of its own.")
    if key.resolve().is_relative_to(out.resolve()):
        raise InputError(f"{key}: the key would be in the page's folder; name another place.")
    if key.exists():
        raise InputError(f"{key}: it exists, and its answers need it; name another key.")
    if out.exists() and not (out / "index.html").is_file():
        raise InputError(f"{out}: it exists and holds no index.html; name another folder.")
    if arguments.bars < 1:
        raise InputError(f"--bars {arguments.bars}: give a number of 1 or more.")

    sheets = sorted(path.stem for path in arguments.tunes.glob("*.json"))
    songs = songs_in(arguments.tunes, arguments.lists, arguments.part)
    songs = songs or sheets
    if arguments.songs is not None:
        if not 1 <= arguments.songs <= len(songs):
            raise InputError(f"--songs {arguments.songs}: there are {len(songs)} songs.")
        songs = sorted(random.Random(arguments.seed).sample(songs, arguments.songs))
    if not songs:
        raise InputError(f"{arguments.tunes}: it has no tunes.")

    pairs = pairs_of(songs, list(folders), every=arguments.every, seed=arguments.seed)
    font = find_soundfont(arguments.soundfont)
    test = write_page(out, pairs, arguments.tunes, folders, arguments.bars, font)
    rows = {str(number): pair._asdict() for number, pair in enumerate(pairs, start=1)}
    head = {"test": test, "seed": arguments.seed, "versions": list(folders)}
    key.parent.mkdir(parents=True, exist_ok=True)
    write_json(key, head | {"pairs": rows})
    print(f"{out}: {len(pairs)} pairs; the key is {key}: keep it from the raters")
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Print the analysis of answers."""
    found = blind_answers.report_of(arguments.answers, arguments.key, unknown=arguments.unknown)
    print("\n".join(blind_answers.tables(found)))
    if arguments.write:
        write_json(arguments.write, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
