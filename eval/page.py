"""The transfer report as an HTML page that stands alone: tables, confusion matrices, plots, piano
rolls, and sound.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path
from typing import Any

from eval.drawing import Point, clip, embedded, piano_roll, scatter
from eval.results import headline, preamble, tables
from eval.systems import LABELS, REAL, REAL_SCORES, SHUFFLED

AUDIO_BYTES = 7_500_000
"""Of all clips together; base64 adds a third, and the page stays below 15 MB."""

LONGEST_CLIP = 30.0
"""Seconds of a clip at most."""

STYLE_SHEET = """
:root { color-scheme: light dark; --ink: #23232b; --paper: #fff; --line: #d8d8e0; --soft: #f5f5f8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8ee; --paper: #18181d; --line: #3a3a44; --soft: #222229; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto; max-width: 1200px;
  padding: 1.5rem; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; margin: .4rem 0 1.2rem; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .6rem; text-align: left; white-space: nowrap; }
th { background: var(--soft); } .note { color: inherit; opacity: .75; margin: 0; }
.grid2 { display: flex; flex-wrap: wrap; gap: 1rem 2rem; } .matrix td { text-align: center; min-width: 3.2em; }
.roll { width: 100%; height: auto; background: var(--soft); } .roll path { fill: none; } .roll .bar { stroke: var(--line); }
.plot { width: 520px; max-width: 100%; font-size: 11px; } .plot text { fill: currentColor; }
.plot .frame { fill: none; stroke: var(--line); } .plot .grid { stroke: var(--line); stroke-dasharray: 2 3; }
.plot .level { stroke: currentColor; stroke-dasharray: 6 3; opacity: .6; }
figure { margin: 0 0 1rem; flex: 1 1 420px; min-width: 0; } figcaption { font-weight: 600; } audio { width: 100%; }
"""


def write_page(report: dict[str, Any], path: Path, soundfont: Path | None = None) -> None:
    """Write the page; without sound where there is no soundfont, which it says."""
    from styletransfer.files import write_atomically

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, html(report, soundfont).encode())


def html(report: dict[str, Any], soundfont: Path | None = None) -> str:
    """The whole page."""
    body = [
        "<h1>Style transfer, measured</h1>",
        *(f"<p>{escape(line)}</p>" for line in preamble(report)),
    ]
    for kind, part in report["groups"].items():
        title = f"{kind.capitalize()}: {', '.join(part['targets'])}"
        remarks = "".join(f"<li>{escape(remark)}</li>" for remark in part["remarks"])
        body.append(f"<h2>{escape(title)}</h2><p>{escape(headline(part))}</p><ul>{remarks}</ul>")
        body += [_trade_off(part), _confusions(part)]
        body += [_table(table.title, table.note, table.head, table.rows) for table in tables(part)]
    body += [_examples(report["examples"], soundfont), _melodies(report["melodies"])]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Style transfer, measured</title><style>{STYLE_SHEET}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _table(title: str, note: str, head: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    about = f'<h3>{escape(title)}</h3><p class="note">{escape(note)}</p>'
    return f'{about}<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'


def _trade_off(part: dict[str, Any]) -> str:
    """Style (accuracy of the first judge) against what is left of the melody, and against
    chroma.
    """
    systems = next(iter(part["judges"].values()))["systems"]
    plots = []
    for measure, title in (
        ("content.melody_f1", "melody note F1"),
        ("content.chroma", "chroma cosine with the melody"),
    ):
        points, levels = [], []
        for name in part["systems"]:
            found = systems.get(name, {}).get("style", {}).get("whole", {}).get("accuracy")
            if found is None or found["value"] is None:
                continue
            if name in (REAL_SCORES, SHUFFLED):
                levels.append(Point(LABELS[name].split(" (")[0], 0.0, found["value"]))
            kept = part["measures"][name]["means"].get(measure)
            if name not in REAL and kept is not None and kept["value"] is not None:
                points.append(
                    Point(LABELS[name], kept["value"], found["value"], found["low"], found["high"])
                )
        plots.append(
            f"<figure>{scatter(points, levels, title, 'accuracy: judged as the target')}</figure>"
        )
    return f'<h3>Style against melody</h3><div class="grid2">{"".join(plots)}</div>'


def _confusions(part: dict[str, Any]) -> str:
    """One small matrix a system: rows are targets, columns what the judge hears, shares of the
    row.
    """
    first, judge = next(iter(part["judges"].items()))
    blocks = []
    for half in ("whole", "rest"):
        for name in part["systems"]:
            found = judge["systems"].get(name, {}).get("confusion", {}).get(half, {})
            if not found or not any(map(sum, found.values())):
                continue
            head = "".join(f"<th>{escape(label)}</th>" for label in judge["labels"])
            lines = []
            for target, row in found.items():
                shares = [count / max(sum(row), 1) for count in row]
                cells = "".join(
                    f'<td style="background:rgb(61 126 166 / {share:.2f})">{share:.2f}</td>'
                    for share in shares
                )
                lines.append(f"<tr><th>{escape(target)}</th>{cells}</tr>")
            title = LABELS[name] + (", without the melody" if half == "rest" else "")
            table = (
                f'<table class="matrix"><tr><th>asked for</th>{head}</tr>{"".join(lines)}</table>'
            )
            blocks.append(f'<div><b>{escape(title)}</b><div class="wide">{table}</div></div>')
    return f'<h3>Confusion matrices, judge {escape(first)}</h3><div class="grid2">{"".join(blocks)}</div>'


def _examples(examples: list[dict[str, Any]], soundfont: Path | None) -> str:
    """Piano rolls and players of every system, side by side; what is the same for all styles is
    there once.
    """
    from styletransfer.errors import InputError

    distinct = {one["output"]: one["piece"] for one in examples}
    seconds = min(LONGEST_CLIP, AUDIO_BYTES / (16_000 * max(len(distinct), 1)))
    sounds: dict[str, str] = {}
    try:
        for name, piece in distinct.items():
            sounds[name] = embedded(clip(piece, seconds, soundfont))
    except InputError as error:
        print(f"the page has no sound: {error}", file=sys.stderr)
    body = [f"<h2>To see and to hear</h2><p>The first {seconds:.0f} seconds of each.</p>"]
    for melody, target in dict.fromkeys((one["melody"], one["target"]) for one in examples):
        body.append(f"<h3>{escape(melody)}, {escape(target)}</h3>")
        mine = [
            one["piece"] for one in examples if (one["melody"], one["target"]) == (melody, target)
        ]
        ends = [
            begin + length
            for piece in mine
            for begin, length in zip(piece["onset"], piece["duration"], strict=True)
        ]
        span = min(seconds, max(ends, default=1.0))
        figures, again = [], []
        for one in examples:
            if (one["melody"], one["target"]) != (melody, target):
                continue
            label = LABELS[one["system"]]
            if one["output"] not in sounds and sounds:
                again.append(label)
                continue
            sound = sounds.pop(one["output"], "")
            player = f'<audio controls preload="none" src="{sound}"></audio>' if sound else ""
            roll = piano_roll(one["piece"], f"{label}: {melody}, {target}", span)
            figures.append(
                f"<figure><figcaption>{escape(label)}</figcaption>{roll}{player}</figure>"
            )
        body.append(f'<div class="grid2">{"".join(figures)}</div>')
        body.append(f'<p class="note">As above: {escape("; ".join(again))}.</p>' if again else "")
    return "".join(body)


def _melodies(melodies: list[dict[str, Any]]) -> str:
    head = ("melody", "bars", "notes", "metre", "key", "octaves moved")
    rows = tuple(tuple(str(value) for value in one.values()) for one in melodies)
    return f"<h2>Melodies</h2>{_table('', '', head, rows)}"
