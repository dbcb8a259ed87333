"""Print assessments of pieces and trials of styles."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from styletransfer.errors import InputError
from styletransfer.evaluation.assessment import assess, label_of
from styletransfer.terminal import print

if TYPE_CHECKING:
    from styletransfer.evaluation.measures.originality import NgramIndex

MOST = 4
"""The most labels that are shown; JSON has all of them."""


def print_assessments(
    files: list[str], style: str | None, original: str | None, data: Path | None, as_json: bool
) -> None:
    """Assess files and print what was found.

    As JSON it is one object for one file, a list for several.
    """
    from styletransfer.formats.read import read_song
    from styletransfer.music.copies import shipped_copies

    label = _label(style) if style else None
    song = read_song(original) if original else None
    index = _index(data) if data else shipped_copies()
    reports = []
    for file in files:
        piece = read_song(file)
        played = song is not None and song.feel == "score" and piece.feel == "performance"
        on_beats = read_song(file, "score") if played else None
        try:
            found = assess(piece, original=song, on_beats=on_beats, index=index, label=label)
        except InputError as error:
            raise InputError(f"{file}: {error}") from error
        report = {"input": file} | found.report(label)
        reports.append(report)
        if not as_json:
            _print(report)
    if as_json:
        print(json.dumps(reports[0] if len(reports) == 1 else reports))


def print_trial(report: dict[str, Any], as_json: bool) -> None:
    """Print the findings of :func:`styletransfer.trial.trial`."""
    if as_json:
        print(json.dumps(report))
        return
    for file, reason in report["left_out"]:
        print(f"left out: {file}: {reason}")

    target = report["target"]
    print(
        f"{len(report['melodies'])} melodies, strength {report['strength']:g}, one version of each"
    )
    if target is None:
        print("the judges have no label for this style; here is what they take it for")
    for name, one in report["systems"].items():
        line = f"{name:<18} melody F1 {_interval(one['melody_f1'])}"
        if target is not None:
            line += f"   taken for {target} {_interval(one['accuracy'])}"
            line += f"   its probability {_interval(one['probability'])}"
        print(line)
        print(f"{'':<18} {_likeliest(one['composers'])};  {_likeliest(one['eras'])}")


def _print(report: dict[str, Any]) -> None:
    print(report["input"])
    print(f"  composer     {_likeliest(report['composers'])}")
    print(f"  era          {_likeliest(report['eras'])}")
    for name, parts in report["evidence"].items():
        print(
            f"  {name:<12} {', '.join(f'{feature} {part:+.2f}' for feature, part in parts.items())}"
        )

    if "style" in report:
        print(f"  {report['style']:<12} {report['style_probability']:.0%}")
    if report["melody_f1"] is not None:
        moved = (
            f", {report['melody_moved_semitones']:+d} semitones"
            if report["melody_moved_semitones"]
            else ""
        )
        print(f"  melody kept  F1 {report['melody_f1']:.2f}{moved}")

    where = f" of {report['longest_match_in']}" if report["longest_match_in"] else ""
    run = (
        f"{report['longest_match_notes']} notes{where}"
        if report["longest_match_notes"]
        else "no run of 12 notes"
    )
    print(f"  found in training pieces: {run}")


def _likeliest(probabilities: dict[str, float]) -> str:
    rows = sorted(probabilities.items(), key=lambda row: -row[1])[:MOST]
    return ", ".join(f"{name} {value:.0%}" for name, value in rows)


def _interval(found: tuple[float, float | None, float | None]) -> str:
    value, low, high = found
    if low is None:  # a single melody has no interval
        return f"{value:.2f}"
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def _label(style: str) -> str:
    """Name the judges' label that a style stands for, a composer or an era."""
    from styletransfer.styles.find import find_style

    asked = find_style(style)
    label = label_of(asked.composer, asked.era)
    if label is None:
        raise InputError(f"--style {style}: the judges know neither it nor its era.")
    return label


def _index(data: Path) -> NgramIndex:
    """Load the index of a prepared data set's training pieces, kept in its folder."""
    from styletransfer.data.library import Library
    from styletransfer.evaluation.measures.originality import training_indexes

    return training_indexes(
        Library.load(data), data, lambda said: print(said, file=sys.stderr), ["intervals"]
    )[0]
