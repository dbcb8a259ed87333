"""Read damaged files of every format: each soon gives a piece or one sentence.

    python -m benchmarks.fuzz FOLDER… [--tries 1000] [--seed 0] [--only MuseScore]

Files of the folders (``corpus``: music21's) are damaged in up to six places: bytes are set, cut
out, doubled or replaced; elements of XML, also of XML in an archive, are cut out, doubled, moved
into another one, or given another text. It reports of each format how many were read, how many were
refused, the longest time of the processor, and the memory beyond the first file's. What ends in a
traceback, or takes longer than ten seconds, is kept in ``--keep``.
"""

from __future__ import annotations

import importlib.util
import io
import random
import resource
import signal
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from pathlib import Path
from types import FrameType
from xml.etree.ElementTree import Element, ParseError, fromstring, tostring

from styletransfer.configuration import recipe_parser
from styletransfer.errors import InputError
from styletransfer.formats.read import READERS, Reader, read_score

SECONDS = 10
TEXTS = ("", "0", "-9", "1.5", "nan", "99999999999", "1/0", "-3/4", "999/1", "half", "C", "\u266f")
LARGEST = 400_000
"""Bytes of a file that is damaged; larger ones only take longer."""


class TooSlow(Exception):
    """A file took longer than :data:`SECONDS`."""


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Damage a file: its elements, where it is XML, or its bytes."""
    if data[:2] == b"PK" and rng.random() < 0.8:
        return damaged_archive(data, rng)
    if data.lstrip()[:1] == b"<" and rng.random() < 0.8:
        return damaged_xml(data, rng)

    changed = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at, span = rng.randrange(len(changed) + 1), rng.randint(1, 12)
        match rng.choice(("set", "cut", "double", "move", "end", "digit")):
            case "set":
                changed[at : at + 1] = bytes((rng.randrange(256),))
            case "cut":
                del changed[at : at + span]
            case "double":
                changed[at:at] = changed[at : at + span] * rng.choice((1, 2, 50))
            case "move":
                begin = rng.randrange(len(changed) + 1)
                changed[at : at + span] = changed[begin : begin + span]
            case "end" if rng.random() < 0.2:
                del changed[max(at, 1) :]
            case _:
                digits = [
                    k for k in range(at, min(at + 400, len(changed))) if 48 <= changed[k] < 58
                ]
                if digits:
                    changed[rng.choice(digits)] = rng.randrange(48, 58)

    return bytes(changed)


def damaged_xml(data: bytes, rng: random.Random) -> bytes:
    """Damage XML, which stays XML."""
    try:
        root = fromstring(data)
    except ParseError:
        return data[: len(data) // 2]
    for _ in range(rng.randint(1, 6)):
        parents = [element for element in root.iter() if len(element)]
        if not parents:
            break
        parent, other = rng.choice(parents), rng.choice(parents)
        child = rng.choice(list(parent))
        match rng.choice(("cut", "double", "move", "text", "attribute", "rename")):
            case "cut":
                parent.remove(child)
            case "double":
                parent.insert(rng.randrange(len(parent) + 1), child)
            case "move" if other not in set(child.iter()):
                other.insert(rng.randrange(len(other) + 1), child)
            case "text":
                child.text = rng.choice(TEXTS)
            case "attribute" if child.attrib:
                child.set(rng.choice(list(child.attrib)), rng.choice(TEXTS))
            case _:
                swapped = Element(rng.choice(list(other)).tag, child.attrib)
                swapped.text = child.text
                swapped.extend(list(child))
                parent[list(parent).index(child)] = swapped

    return tostring(root)


def damaged_archive(data: bytes, rng: random.Random) -> bytes:
    """Damage one file of an archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w") as new:
        scores = [name for name in old.namelist() if name.endswith(("xml", "mscx"))]
        chosen = rng.choice(scores or old.namelist())
        for name in old.namelist():
            content = old.read(name)
            if name == chosen:
                content = damaged(content, rng)
            if name == chosen or len(content) < 5000:
                new.writestr(name, content)
    return packed.getvalue()


def outcome(path: Path) -> str:
    """Read a file, and return ``read``, ``refused``, or what went wrong."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # CPU time, as other processes may be running
    try:
        read_score(path)
        return "read"
    except InputError as error:
        one = "\n" not in str(error) and str(error).endswith(".")
        return "refused" if one else f"no sentence: {error}"
    except TooSlow:
        return f"more than {SECONDS} s"
    except Exception:
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def tried(
    reader: Reader, files: list[Path], tries: int, seed: int, keep: Path
) -> tuple[Counter[str], float, int]:
    """Read so many damaged files of a format.

    Returned are the outcomes, the longest time, and the memory in bytes.
    """
    rng = random.Random(f"{reader.name} {seed}")
    found, slowest, before = Counter[str](), 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(tries):
            source = rng.choice(files)
            path = Path(folder, f"song{source.suffix}")
            path.write_bytes(damaged(source.read_bytes(), rng))
            start = time.process_time()
            what = outcome(path)
            slowest = max(slowest, time.process_time() - start)
            if what not in {"read", "refused"}:
                print(f"{reader.name} {turn} ({source.name}): {what}")
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{reader.name}-{turn}{source.suffix}").write_bytes(path.read_bytes())
                what = "wrong"
            found[what] += 1
            before = before or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return found, slowest, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


def main(argv: list[str] | None = None) -> None:
    parser = recipe_parser(__doc__)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--tries", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="the name of one format")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-kept"))
    arguments = parser.parse_args(argv)

    corpus = importlib.util.find_spec("music21")
    folders = [
        Path(str(corpus and corpus.origin)).parent / "corpus" if name == "corpus" else Path(name)
        for name in arguments.folders
    ]

    for reader in READERS:
        if arguments.only not in {None, reader.name}:
            continue
        files = sorted(
            path
            for folder in folders
            for path in folder.rglob("*")
            if path.suffix.lower() in reader.suffixes and 0 < path.stat().st_size < LARGEST
        )
        if files:
            found, slowest, memory = tried(
                reader, files, arguments.tries, arguments.seed, arguments.keep
            )
            print(
                f"{reader.name}: {found.total()} tried, {found['read']} read, {found['refused']} "
                f"refused, {found['wrong']} wrong; at most {slowest:.1f} s, {memory >> 20} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
