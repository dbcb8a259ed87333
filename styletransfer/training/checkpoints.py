"""Checkpoints that are whole: seal them, find the last one, and remove older ones.

A checkpoint is a folder of several files. A process that is killed leaves some of them out; where
the power goes, any of them may be short or empty, whatever the order in which they were written.
A sealed checkpoint is on the disk as a whole: its last file, the seal, lists the others' sizes.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from styletransfer.files import write_atomically

SEAL = "complete.json"
"""Last file of a checkpoint: the sizes in bytes of its other files."""
STATE = "trainer_state.json"
KEPT = 2
"""How many checkpoints a run keeps."""


def seal(folder: Path) -> None:
    """Bring a checkpoint's files to the disk, then write its seal.

    Raises:
        OSError: where the disk refuses.
    """
    sizes = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        sizes[path.relative_to(folder).as_posix()] = path.stat().st_size
    _sync_names(folder)

    write_atomically(folder / SEAL, json.dumps(sizes, indent=1).encode())
    _sync_names(folder)
    _sync_names(folder.parent)


def last_checkpoint(out: Path) -> Path | None:
    """Return a run's newest whole checkpoint.

    One without a seal, as older versions wrote them, is taken only where none has a seal, and its
    files can be read to their ends.
    """
    newest = _by_step(out)[::-1]
    sealed = next((path for path in newest if _keeps_its_seal(path)), None)
    return sealed or next((path for path in newest if _seems_whole(path)), None)


def remove_older(out: Path, best: str | None) -> None:
    """Remove all checkpoints but the last two whole ones, or the last and the best.

    Args:
        out: the run's folder.
        best: path of the checkpoint to be kept besides the last one; None for the one before it.
    """
    found = _by_step(out)
    whole = [path for path in found if _keeps_its_seal(path)]
    kept = [path for path in found if best and path.name == Path(best).name]
    kept += [path for path in whole[::-1] if path not in kept][: KEPT - len(kept)]
    for path in found:
        if path not in kept:
            shutil.rmtree(path, ignore_errors=True)


def _by_step(out: Path) -> list[Path]:
    """List a run's checkpoints, oldest first."""
    found = [path for path in out.glob("checkpoint-*") if path.name[11:].isdecimal()]
    return sorted(found, key=lambda path: int(path.name[11:]))


def _keeps_its_seal(folder: Path) -> bool:
    """Check that a checkpoint has a seal, and all files that it lists at their sizes."""
    sizes = _json_in(folder / SEAL)
    if not isinstance(sizes, dict) or STATE not in sizes:
        return False
    try:
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except OSError:
        return False


def _seems_whole(folder: Path) -> bool:
    """Check the files of a checkpoint that has no seal.

    PyTorch's files are archives with checksums; safetensors state how long they are.
    """
    if (folder / SEAL).exists() or _json_in(folder / STATE) is None:
        return False
    weights = [*folder.glob("model*.safetensors"), *folder.glob("adapter_model.safetensors")]
    states = [folder / "optimizer.pt", folder / "scheduler.pt", *folder.glob("rng_state*.pth")]
    return (
        len(weights) > 0
        and len(states) > 2
        and all(_is_whole_archive(path) for path in states)
        and all(_are_whole_weights(path) for path in weights)
    )


def _is_whole_archive(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, ValueError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile):
        return False


def _are_whole_weights(path: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            return len(file.keys()) > 0
    except (OSError, SafetensorError):
        return False


def _json_in(path: Path) -> Any:
    """Return what a JSON file holds, None where it can't be read."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _sync_names(folder: Path) -> None:
    """Bring a folder's list of files to the disk, on systems that can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
