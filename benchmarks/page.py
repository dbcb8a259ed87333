"""Measure the page in a browser.

    python -m benchmarks.page [--browser /usr/bin/chromium]

It prints how soon the empty page is painted, and how smoothly the piano roll of a song of five
minutes scrolls. Both are what Chromium itself reports: its paint timing, and the frames of its
tracing. Run it on a quiet machine; the load is printed with the numbers.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.apply import processor
from benchmarks.serve import serving
from styletransfer.configuration import recipe_parser
from styletransfer.formats.midi_out import write_midi
from styletransfer.music.notes import Piece, bars_of, make_notes

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PORT = 8797
OPENED = 10
"""How many times the page is opened, each time with an empty cache."""
PIXELS, SPEED = 8_000, 1_600
"""How far the scrolling gesture goes, and its pixels per second."""
FRAMES = "disabled-by-default-devtools.timeline.frame"
WAIT_MS = 120_000


def five_minutes(path: Path) -> None:
    """Write a song of five minutes with eight notes a second."""
    onset = np.arange(0, 600, 0.25)
    pitch = 48 + (np.arange(len(onset)) * 7) % 36
    notes = make_notes(onset, np.full(len(onset), 0.25), pitch)
    write_midi(Piece(notes, "score", bars_of([(0.0, 4, 4)], 600.0), parts=("Melody",)), path)


def first_paint(browser: Browser, address: str) -> float:
    """Open the page with an empty cache; return the milliseconds to its contents."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(address, timeout=WAIT_MS)
    page.wait_for_selector("body[data-ready]", timeout=WAIT_MS)
    paints = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    context.close()
    return float(paints)


def scrolled(page: Page) -> list[dict[str, Any]]:
    """Scroll the roll by a gesture, and return the events of its frames.

    They are traced: ``BeginFrame``, ``DrawFrame``, ``DroppedFrame``, with times in microseconds.
    """
    session = page.context.new_cdp_session(page)
    events: list[dict[str, Any]] = []
    over: list[bool] = []
    session.on("Tracing.dataCollected", lambda data: events.extend(data["value"]))
    session.on("Tracing.tracingComplete", lambda data: over.append(True))
    box = page.locator("#roll").bounding_box()
    assert box is not None
    session.send("Tracing.start", {"transferMode": "ReportEvents", "categories": FRAMES})
    session.send(
        "Input.synthesizeScrollGesture",
        {
            "x": box["x"] + box["width"] / 2,
            "y": box["y"] + box["height"] / 2,
            "xDistance": -PIXELS,
            "speed": SPEED,
        },
    )
    session.send("Tracing.end")
    while not over:
        page.wait_for_timeout(50)
    return events


def report(browser: Browser, address: str) -> list[str]:
    """Measure, and return lines to print."""
    paints = sorted(first_paint(browser, address) for _ in range(OPENED))
    lines = [
        f"first contents painted after {statistics.median(paints):.0f} ms "
        f"(median of {OPENED}; slowest {paints[-1]:.0f} ms)"
    ]
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address, timeout=WAIT_MS)
    page.wait_for_selector("body[data-ready]", timeout=WAIT_MS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "five minutes.mid"
        five_minutes(path)
        page.set_input_files("#file", path)
        page.wait_for_selector("#song-facts:not([hidden])", timeout=WAIT_MS)
    page.wait_for_selector("#sheet:not([aria-busy])", timeout=WAIT_MS)

    found = scrolled(page)
    times = sorted(one["ts"] for one in found if one["name"] == "DrawFrame")
    dropped = sum(one["name"] == "DroppedFrame" for one in found)
    if len(times) < 2:
        return [*lines, "no frame was drawn while it scrolled"]
    gaps = np.diff(times) / 1000
    seconds = (times[-1] - times[0]) / 1e6
    lines.append(
        f"scrolling: {(len(times) - 1) / seconds:.0f} frames a second over {seconds:.1f} s, "
        f"{dropped} dropped; 95 % of the frames within {np.percentile(gaps, 95):.0f} ms"
    )
    return lines


def main() -> None:
    """Run it."""
    from playwright.sync_api import sync_playwright

    parser = recipe_parser(__doc__)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--port", type=int, default=PORT)
    given = parser.parse_args()

    print(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    with serving(given.port), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=given.browser, args=["--no-sandbox"])
        for line in report(browser, f"http://127.0.0.1:{given.port}"):
            print(line, flush=True)
        browser.close()


if __name__ == "__main__":
    main()
