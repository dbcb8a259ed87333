"""Try a style on a folder of melodies, and let the judges say what they hear.

The judges took no part in making the style. Each melody is arranged once in the style and once
without any (strength 0), so that nothing is selected; they are compared with the melody alone.
Intervals are bootstrap percentiles over melodies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer.errors import InputError
from styletransfer.evaluation.assessment import Assessment, assess, label_of, with_melody
from styletransfer.evaluation.intervals import Interval, ratio_interval
from styletransfer.formats.read import SCORE_SUFFIXES, read_song
from styletransfer.model.settings import SamplingConfig
from styletransfer.styles.find import find_style
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.request import Request

SYSTEMS = ("the melody alone", "no style", "the style")


def trial(
    style: str,
    folder: Path,
    sampling: SamplingConfig,
    model: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Try a style on every melody of a folder.

    Args:
        style: its name, folder or Hub id.
        folder: of MIDI, MusicXML, ABC or kern files; sub-folders too; of a tune book the first
            tune.
        sampling: strength, temperature and seed; a single candidate is made, whatever it says.
        model: as :class:`~styletransfer.transfer.request.Request` has it.
        progress: called with the share that is done.

    Returns:
        ``target`` (the label of the judges that the style should be taken for, None where they know
        none such), ``melodies``, ``left_out`` (files that couldn't be read, and why), and
        ``systems``: for each the mean probability of every composer and era, the share taken for
        the target, its mean probability and the melody's note F1, the last three with intervals
        (value, low, high).

    Raises:
        InputError: where there is no such style or no readable melody.
    """
    asked = find_style(style)
    files = _songs_in(folder)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SYSTEMS}
    left_out: list[tuple[str, str]] = []
    used: list[str] = []
    for number, file in enumerate(files):
        name = file.relative_to(folder).as_posix()
        try:
            found = _assessed(file, style, sampling, model)
        except InputError as error:
            left_out.append((name, str(error)))
            continue
        used.append(name)
        for system, one in zip(SYSTEMS, found, strict=True):
            rows[system].append(
                {"composers": one.composers, "eras": one.eras, "melody_f1": one.melody_f1}
            )
        if progress:
            progress((number + 1) / len(files))

    if not used:
        reason = f" ({left_out[0][0]}: {left_out[0][1]})" if left_out else ""
        raise InputError(f"{folder}: has no melody that can be arranged{reason}.")
    label = label_of(asked.composer, asked.era)
    systems = {name: _summary(rows[name], used, label) for name in SYSTEMS}
    return {
        "style": style,
        "target": label,
        "strength": sampling.strength,
        "melodies": used,
        "left_out": left_out,
    } | {"systems": systems}


def _songs_in(folder: Path) -> list[Path]:
    every = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in every if path.suffix.lower() in SCORE_SUFFIXES)


def _assessed(
    file: Path, style: str, sampling: SamplingConfig, model: Path | None
) -> list[Assessment]:
    """Assess a melody alone, arranged without a style, and in it (:data:`SYSTEMS`)."""
    song = with_melody(read_song(str(file)))
    found = [assess(song.with_notes(song.melody), original=song)]
    for strength in (0.0, sampling.strength):
        settings = replace(sampling, candidates=1, strength=strength)
        made = apply(Request(str(file), style, settings, model=model))
        found.append(assess(made.piece, original=song))
    return found


def _summary(rows: list[dict[str, Any]], names: list[str], label: str | None) -> dict[str, Any]:
    def interval(values: list[float]) -> tuple[float, float | None, float | None]:
        found: Interval = ratio_interval(
            np.array(values), np.ones(len(values)), names, np.random.default_rng(0)
        )
        return (
            (found.value, found.low, found.high) if found.groups > 1 else (found.value, None, None)
        )

    summary: dict[str, Any] = {
        group: {
            one: float(np.mean([row[group][one] for row in rows])) for one in sorted(rows[0][group])
        }
        for group in ("composers", "eras")
    }
    summary["melody_f1"] = interval([row["melody_f1"] for row in rows])
    if label is not None:
        kind = "composers" if label in rows[0]["composers"] else "eras"
        summary["accuracy"] = interval([float(next(iter(row[kind])) == label) for row in rows])
        summary["probability"] = interval([row[kind][label] for row in rows])
    return summary
