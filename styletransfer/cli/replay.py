"""The command ``replay``: make an arrangement again from its sidecar, to the byte."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from styletransfer.cli.apply import Bar
from styletransfer.errors import InputError
from styletransfer.files import write_bytes
from styletransfer.formats.midi_out import midi_bytes
from styletransfer.outputs.plan import Outputs
from styletransfer.styles.blend import pieces_in
from styletransfer.terminal import print
from styletransfer.transfer.provenance import digest, provenance_of
from styletransfer.transfer.sidecar import Sidecar, read_sidecar, taken_melody

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Replayed:
    """The outcome of a replay.

    ``files``: the bytes of the MIDI files, in the order of the sidecar's outputs. ``differing``:
    the names of those that differ. ``same_melody``: whether the same melody was used.
    """

    files: list[bytes]
    differing: list[str]
    same_melody: bool


def differences(sidecar: Sidecar) -> list[str]:
    """List the ingredients of an arrangement that have changed, a phrase each.

    No music is made for this.

    Raises:
        InputError: if the model or a style is no longer there.
    """
    from styletransfer.model.loading import load_model

    request = sidecar.provenance.request
    return sidecar.provenance.differences(provenance_of(request, load_model(request.model)))


def replay(sidecar: Sidecar, progress: Callable[[float], None] | None = None) -> Replayed:
    """Make an arrangement again.

    Raises:
        InputError: if that can't be done at all.
    """
    from styletransfer.transfer.pipeline import apply

    result = apply(sidecar.provenance.request, progress)
    if max(output.candidate for output in sidecar.outputs) >= len(result.candidates):
        raise InputError(f"{sidecar.path}: it names a candidate that doesn't exist.")
    files = [midi_bytes(result.candidates[output.candidate]) for output in sidecar.outputs]
    pairs = zip(sidecar.outputs, files, strict=True)
    differing = [output.file for output, data in pairs if digest(data) != output.sha256]
    return Replayed(files, differing, taken_melody(result) == sidecar.melody)


def print_replay(
    path: Path, out: Path | None, check: bool, anyway: bool, force: bool, bar: Bar
) -> None:
    """Make an arrangement again, and report that it is the same.

    It is written, or with ``check`` only compared.

    Raises:
        InputError: naming the differences: before the work if the ingredients differ and ``anyway``
            isn't given, after it if the bytes differ. With ``anyway`` different bytes are written
            too.
    """
    sidecar = read_sidecar(path)
    if (last := sidecar.report.get("stopped_after_bar")) is not None:
        raise InputError(
            f"{path}: that run was stopped after bar {last}, so it can't be made again;"
            " run `apply` again."
        )

    several = len(sidecar.outputs) > 1
    outputs = Outputs(
        out or Path(f"{path.stem}-replay.mid"),
        force=force,
        every=len(sidecar.outputs) if several else 0,
    )
    if not check:
        request = sidecar.provenance.request
        outputs.check(None, (path, request.song, *pieces_in(request.style)))

    different = differences(sidecar)
    if different and not anyway:
        raise InputError(
            f"{path}: the bytes may differ because of {' and '.join(different)};"
            " add --anyway to continue."
        )
    for phrase in different:
        print(f"differs: {phrase}")

    with bar(f"{path.stem}") as progress:
        replayed = replay(sidecar, progress)
    if not check and (anyway or not replayed.differing):
        for target, data in zip(outputs.midis, replayed.files, strict=True):
            write_bytes(target, data, force)
            print(target)

    if replayed.differing:
        cause = (
            "as its ingredients differ" if different else "though no recorded ingredient differs"
        )
        melody = "the same melody" if replayed.same_melody else "another melody"
        raise InputError(
            f"{path}: {', '.join(replayed.differing)} came out with different bytes, {cause};"
            f" {melody} was used."
        )

    for output in sidecar.outputs:
        there = path.parent / output.file
        changed = there.is_file() and digest(there.read_bytes()) != output.sha256
        since = " had; that file has changed since" if changed else ""
        print(f"the same bytes as {output.file}{since}")
