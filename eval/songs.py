r"""Cut held-out tunes, alone and with the composer's accompaniment.

These songs are for comparing versions.

    python -m eval.songs --data data/prepared \
        --sources data/lieder-scores data/polish-songs data/mutopia --split test --out songs

:mod:`styletransfer.evaluation.songs` defines what a song is. Its excerpt has ``--bars`` bars, or
with ``--fewest`` as many as there are from that number on. The command writes ``tunes/NAME.mid``,
``composer/NAME.mid`` (its first track is the tune) and ``songs.json``: what each song is, which of
two lists it is in (every third song of a style is *final*, for a last look; the others are for
*decisions*), and why other pieces were left out.

``--avoid FILE`` leaves out songs that were used before, and their content groups: FILE is a
``songs.json``, or any other JSON or lines of text with ids of pieces or names of songs. ``--only
FILE``, a ``songs.json``, makes its songs again, under its names.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from styletransfer.configuration import exit_code, recipe_parser
from styletransfer.data.library import SPLITS, Library, PieceInfo
from styletransfer.data.sources import opened, source_files, source_name
from styletransfer.errors import InputError
from styletransfer.evaluation.songs import Rule, name_of, numbered, songs_of
from styletransfer.files import write_folder_atomically
from styletransfer.formats.midi_out import write_midi
from styletransfer.music.composers import UNKNOWN
from styletransfer.music.notes import Piece

FINAL = 3  # every third song is a final one
STYLE = "romantic"  # where neither the composer nor the era of a song is known


def about(piece: PieceInfo, found: Piece) -> dict[str, Any]:
    """Describe a song, as ``songs.json`` has it."""
    tune, bar = int((found.notes["part"] == 0).sum()), found.bars[0]
    style = next((one for one in (piece.composer, piece.era) if one != UNKNOWN), STYLE)
    return {
        "piece": piece.id,
        "title": piece.title,
        "composer": piece.composer,
        "era": piece.era,
        "style": style,
        "metre": f"{bar['numerator']}/{bar['denominator']}",
        "bars": len(found.bars),
        "tune_notes": tune,
        "accompaniment_notes": len(found.notes) - tune,
    }


def lists_of(songs: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Deal songs out to two lists, by style and then by the hash of their names."""
    by_style: dict[str, list[str]] = defaultdict(list)
    for name in sorted(songs, key=lambda one: hashlib.sha256(one.encode()).digest()):
        by_style[songs[name]["style"]].append(name)
    ranked = [name for style in sorted(by_style) for name in by_style[style]]
    final = ranked[FINAL - 1 :: FINAL]
    return {"decision": sorted(set(ranked) - set(final)), "final": sorted(final)}


def write_songs(
    out: Path, found: list[tuple[PieceInfo, Piece]], names: list[str], head: dict[str, Any]
) -> dict[str, Any]:
    """Write the folder, replacing an older one; return what is in ``songs.json``."""
    songs = {
        name: about(*one)
        for name, one in sorted(zip(names, found, strict=True), key=lambda pair: pair[0])
    }
    report = head | lists_of(songs) | {"songs": songs}

    def write(folder: Path) -> None:
        for name in ("tunes", "composer"):
            (folder / name).mkdir(parents=True)
        for name, (_, piece) in zip(names, found, strict=True):
            tune = piece.notes[piece.notes["part"] == 0]
            write_midi(piece, folder / "composer" / f"{name}.mid")
            write_midi(
                replace(piece, notes=tune, parts=piece.parts[:1]), folder / "tunes" / f"{name}.mid"
            )
        text = json.dumps(report, ensure_ascii=False, indent=1)
        (folder / "songs.json").write_text(f"{text}\n", encoding="utf-8")

    write_folder_atomically(out, write)
    return report


def words_of(path: Path) -> frozenset[str]:
    """Read all strings of a JSON file, its keys among them, or the lines of a text.

    Raises:
        InputError: if the file can't be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: it can't be read ({error}).") from None
    try:
        return frozenset(_strings(json.loads(text)))
    except ValueError:
        return frozenset(line.strip() for line in text.splitlines())


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for one in value:
            yield from _strings(one)
        if isinstance(value, dict):
            yield from _strings(list(value.values()))


def songs_in(path: Path) -> dict[str, str]:
    """Read the songs of a ``songs.json``: their names by the ids of their pieces.

    Raises:
        InputError: if the file isn't one.
    """
    try:
        songs = json.loads(path.read_text(encoding="utf-8"))["songs"]
        return {song["piece"]: name for name, song in songs.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: it isn't a songs.json ({error}).") from None


def main(argv: list[str] | None = None) -> int:
    """Cut songs and write their folder."""
    parser = recipe_parser(__doc__)
    parser.prog = "python -m eval.songs"
    parser.add_argument(
        "--data", type=Path, required=True, help="made by `styletransfer data prepare`"
    )
    parser.add_argument(
        "--sources",
        type=Path,
        nargs="+",
        required=True,
        help="folders or archives that it was made of",
    )
    parser.add_argument("--split", choices=SPLITS, default="test", help="where songs come from")
    parser.add_argument("--bars", type=int, default=16, help="of each song")
    parser.add_argument(
        "--fewest", type=int, help="the fewest bars that will do (--bars by default)"
    )
    parser.add_argument(
        "--avoid", type=Path, nargs="+", default=[], metavar="FILE", help="used before"
    )
    parser.add_argument("--only", type=Path, metavar="FILE", help="make these again")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    arguments = parser.parse_args(argv)

    return exit_code(lambda: make(arguments))


def make(arguments: argparse.Namespace) -> int:
    """Find songs, write them, and print how many there are."""
    fewest = arguments.fewest or arguments.bars
    avoid = frozenset().union(*map(words_of, arguments.avoid))
    rule = Rule(arguments.bars, fewest, avoid, songs_in(arguments.only) if arguments.only else {})
    library = Library.load(arguments.data)
    if arguments.out.exists() and not (arguments.out / "songs.json").is_file():
        raise InputError(
            f"{arguments.out}: it exists and holds no songs.json; name another folder."
        )

    with ExitStack() as stack:
        files = {
            file.id: file.path
            for source in arguments.sources
            for file in source_files(stack.enter_context(opened(source)), source_name(source))
        }
        found = list(songs_of(library, arguments.split, files, rule))
    songs = [(piece, one) for piece, one in found if not isinstance(one, str)]
    if not songs:
        raise InputError(f"{arguments.data}: it has no such songs in its {arguments.split} split.")

    left_out = Counter(one for _, one in found if isinstance(one, str))
    names = numbered([rule.only.get(piece.id) or name_of(piece) for piece, _ in songs])
    head = {
        "split": arguments.split,
        "bars": [fewest, rule.bars],
        "left_out": dict(sorted(left_out.items())),
    }
    report = write_songs(arguments.out, songs, names, head)
    print(
        f"{arguments.out}: {len(songs)} songs, {len(report['final'])} of them final; "
        f"left out: {head['left_out']}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
