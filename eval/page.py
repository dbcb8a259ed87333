"""Write the transfer report as an HTML page that stands alone.

It has the tables, confusion matrices, plots, piano rolls and sound; its layout is the template
``page.html.j2``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from eval.drawing import Point, clip, embedded, piano_roll, scatter
from eval.results import HALVES, outputs, preamble, summary, tables
from eval.systems import LABELS, REAL, REAL_SCORES, SHUFFLED

AUDIO_BYTES = 7_500_000
"""The most bytes of all clips together; base64 adds a third, and the page stays below 15 MB."""

LONGEST_CLIP = 30.0
"""The longest clip, in seconds."""

TRADE_OFF = {
    "content.melody_f1": "melody note F1",
    "content.chroma": "chroma cosine with the melody",
}
"""Measures of what is left of the melody that accuracy is plotted against."""


def write_page(report: dict[str, Any], path: Path, soundfont: Path | None = None) -> None:
    """Write the page; without a soundfont it has no sound, and a message says so."""
    from styletransfer.files import write_atomically

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, html(report, soundfont).encode())


def template(name: str) -> Template:
    """Load a template of this folder, whose values are escaped and have to be there."""
    layout = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return layout.get_template(name)


def html(report: dict[str, Any], soundfont: Path | None = None) -> str:
    """Fill the template with a report."""
    distinct = {one["output"]: one["piece"] for one in report["examples"]}
    seconds = min(LONGEST_CLIP, AUDIO_BYTES / (16_000 * max(len(distinct), 1)))
    sounds = _sounds(distinct, seconds, soundfont)
    return template("page.html.j2").render(
        preamble=preamble(report),
        summary=summary(report),
        groups=[_group(kind, part) for kind, part in report["groups"].items()],
        seconds=seconds,
        examples=list(_examples(report["examples"], sounds, seconds)),
        melodies=[list(one.values()) for one in report["melodies"]],
    )


def _group(kind: str, part: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows of a group of styles."""
    judge, reported = next(iter(part["judges"].items()))
    return {
        "title": f"{kind.capitalize()}: {', '.join(part['targets'])}",
        "outputs": outputs(part),
        "remarks": part["remarks"],
        "plots": [_trade_off(part, measure, title) for measure, title in TRADE_OFF.items()],
        "judge": judge,
        "labels": reported["labels"],
        "confusions": list(_confusions(part, reported)),
        "tables": list(tables(part)),
    }


def _trade_off(part: dict[str, Any], measure: str, title: str) -> str:
    """Plot the accuracy of the first judge against a measure of the melody."""
    systems = next(iter(part["judges"].values()))["systems"]
    points, levels = [], []
    for name in part["systems"]:
        found = systems.get(name, {}).get("style", {}).get("whole", {}).get("accuracy")
        if found is None or found["value"] is None:
            continue
        if name in (REAL_SCORES, SHUFFLED):
            levels.append(Point(LABELS[name].split(" (")[0], 0.0, found["value"]))

        kept = part["measures"][name]["means"].get(measure)
        if name not in REAL and kept is not None and kept["value"] is not None:
            ends = found["low"], found["high"]
            points.append(Point(LABELS[name], kept["value"], found["value"], *ends))
    return scatter(points, levels, title, "accuracy: judged as the target")


def _confusions(part: dict[str, Any], judge: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each system's confusion matrix: shares of verdicts for each target.

    Each target has a row.
    """
    for half, title in HALVES.items():
        for name in part["systems"]:
            found = judge["systems"].get(name, {}).get("confusion", {}).get(half, {})
            if any(map(sum, found.values())):
                rows = [
                    (target, [count / max(sum(row), 1) for count in row])
                    for target, row in found.items()
                ]
                yield {"title": f"{LABELS[name]}, {title}", "rows": rows}


def _sounds(pieces: dict[str, Any], seconds: float, soundfont: Path | None) -> dict[str, str]:
    """Render the pieces by name.

    Where sound is not to be had, there is none, and that is reported.
    """
    from styletransfer.errors import InputError

    try:
        return {name: embedded(clip(piece, seconds, soundfont)) for name, piece in pieces.items()}
    except InputError as error:
        print(f"the page has no sound: {error}", file=sys.stderr)
        return {}


def _examples(
    examples: list[dict[str, Any]], sounds: dict[str, str], seconds: float
) -> Iterator[dict[str, Any]]:
    """Yield all systems' outputs for each melody and style, a shared one once."""
    shown: set[str] = set()
    for melody, target in dict.fromkeys((one["melody"], one["target"]) for one in examples):
        mine = [one for one in examples if (one["melody"], one["target"]) == (melody, target)]
        ends = [
            begin + length
            for one in mine
            for begin, length in zip(one["piece"]["onset"], one["piece"]["duration"], strict=True)
        ]
        span = min(seconds, max(ends, default=1.0))

        figures, again = [], []
        for one in mine:
            label = LABELS[one["system"]]
            if one["output"] in shown:
                again.append(label)
                continue
            shown.add(one["output"])
            roll, sound = piano_roll(one["piece"], span), sounds.get(one["output"], "")
            figures.append({"label": label, "roll": roll, "sound": sound})
        yield {"title": f"{melody}, {target}", "figures": figures, "again": again}
