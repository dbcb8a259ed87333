"""Test the page in a real browser, on a real server.

The server has an untrained model of two layers.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from styletransfer.formats.midi_out import write_midi
from styletransfer.music.notes import Piece, bars_of, make_notes
from tests.tiny import random_piece

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = Path("/usr/bin/chromium")
api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed")

START_SECONDS, JOB_MS = 60, 120_000
ABC = "X:1\nT:A jig\nM:6/8\nL:1/8\nQ:3/8=60\nK:D\nA|d2f a2f|g2e c2A|d2f a2f|e2c d2|]\n"


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(model: Path | None, log: Path) -> Iterator[str]:
    """Start a server in its own process, with its own home, and yield its address."""
    port = free_port()
    command = [sys.executable, "-m", "styletransfer", "serve", "--port", str(port)]
    if model is not None:
        command += ["--model", str(model)]
    home = str(log.with_name("home"))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "STYLETRANSFER_HOME": home}
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{address}/api/examples", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def server(tiny_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from started(tiny_package, tmp_path_factory.mktemp("server") / "log")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        yield found
        found.close()


Opener = Callable[..., "Page"]


@pytest.fixture
def open_page(browser: Browser, server: str) -> Iterator[Opener]:
    """Open the page.

    No request may then leave this computer, and no script may fail.
    """
    contexts: list[BrowserContext] = []
    foreign: list[str] = []
    wrong: list[str] = []

    def opened(
        path: str = "/", width: int = 1440, height: int = 900, script: str = "", **options: Any
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, accept_downloads=True, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: foreign.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        if script:
            page.add_init_script(script)
        page.goto(server + path)
        page.wait_for_selector("body[data-ready]", timeout=30_000)
        return page

    yield opened
    for context in contexts:
        context.close()
    local = (server + "/", "data:", "blob:")
    assert [url for url in foreign if not url.startswith(local)] == []
    refused = re.compile(r"Failed to load resource: .* status of 4\d\d")
    assert [text for text in wrong if not refused.match(text)] == []


def until(page: Page, expression: str, argument: Any = None, seconds: float = 30) -> None:
    """Wait until a JavaScript expression is true.

    `wait_for_function` would need unsafe-eval.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(expression, argument):
        assert time.monotonic() < end, f"it never came: {expression}"
        page.wait_for_timeout(50)


def example(page: Page, title: str = "Happy Birthday to You") -> None:
    """Choose an example, and wait until it is on the desk."""
    page.get_by_role("button", name=title).click()
    page.wait_for_selector("#song-facts:not([hidden])")


def set_value(page: Page, name: str, value: str) -> None:
    """Set one of the settings under More."""
    page.evaluate("document.getElementById('more').open = true")
    if page.get_attribute(f"#{name}", "type") == "range":
        page.fill(f"#{name}", value)
    elif page.evaluate("id => document.getElementById(id).tagName", name) == "SELECT":
        page.select_option(f"#{name}", value)
    else:
        page.fill(f"#{name}", value)
        page.locator(f"#{name}").blur()


def wait_for_job(page: Page) -> None:
    """Wait until the running job is over and its score is shown."""
    page.wait_for_selector("#working", state="hidden", timeout=JOB_MS)
    page.wait_for_selector("#sheet:not([aria-busy])", timeout=JOB_MS)


def arrange(page: Page, candidates: str = "1") -> None:
    """Arrange the song that is on the desk."""
    set_value(page, "candidates", candidates)
    page.click("#arrange")
    page.wait_for_selector("#working", timeout=10_000)
    wait_for_job(page)
    assert not page.is_visible("#job-error"), page.inner_text("#job-error")
    page.wait_for_selector("#history li", timeout=10_000)


def kept(page: Page) -> dict[str, Any]:
    """Return the state that the page has stored."""
    found: dict[str, Any] = json.loads(
        page.evaluate("localStorage.getItem('styletransfer.state')") or "{}"
    )
    return found


def version(page: Page, name: str) -> dict[str, Any]:
    """Fetch a version from the server."""
    found: dict[str, Any] = page.evaluate(
        "async name => (await fetch(`api/versions/${name}`)).json()", name
    )
    return found


def test_an_example_is_shown_at_once(open_page: Opener) -> None:
    page = open_page()
    assert not page.is_visible("#arrange")
    example(page)
    facts = [page.inner_text(f"#fact-{name}") for name in ("key", "metre", "bars", "length")]
    assert facts == ["F major", "3/4", "9", "0:13"]
    assert page.inner_text("#fact-melody") == "25 notes, 100 % of the time"
    assert page.inner_text("#stage-title") == "Happy Birthday to You"
    label = page.get_attribute("#roll-canvas", "aria-label")
    assert label == "25 notes in 9 bars, F major"
    page.wait_for_selector("#sheet > svg", timeout=30_000)
    assert page.locator("#sheet g.note").count() == 25
    assert page.is_visible("#arrange")


def test_a_file_with_another_melody_and_transposed(open_page: Opener, tmp_path: Path) -> None:
    path = tmp_path / "two parts.mid"
    write_midi(random_piece(3, "score"), path)
    page = open_page()
    page.set_input_files("#file", path)
    page.wait_for_selector("#song-facts:not([hidden])")
    assert page.inner_text("#song-name") == "two parts"
    assert page.inner_text("#fact-metre") == "3/4"
    names = page.locator("#melody-track option").all_inner_texts()
    assert [name.split(" (")[0] for name in names] == ["1. Melody", "2. Bass"]
    assert page.input_value("#melody-track") == "1"
    before = page.inner_text("#fact-melody")
    with page.expect_response(lambda answer: "/api/songs/" in answer.url):
        page.select_option("#melody-track", "2")
    until(page, "text => document.getElementById('fact-melody').textContent !== text", before)
    assert kept(page)["reading"] == {"melody_track": 2}
    key = page.inner_text("#fact-key")
    with page.expect_response(lambda answer: "/api/songs/" in answer.url):
        page.select_option("#transpose", "1")
    until(page, "text => document.getElementById('fact-key').textContent !== text", key)
    assert page.input_value("#melody-track") == "2"


def test_pasted_abc_and_typed_chords(open_page: Opener) -> None:
    page = open_page()
    page.click("#paste summary")
    page.fill("#abc", ABC)
    page.click("#read-abc")
    page.wait_for_selector("#song-facts:not([hidden])")
    assert page.inner_text("#song-name") == "A jig"
    assert page.inner_text("#fact-key") == "D major"
    assert page.inner_text("#fact-metre") == "6/8"
    assert page.inner_text("#fact-tempo") == "♩. = 60"
    page.click("#other-song")
    page.fill("#abc", "F | C7 | Dm Bb C7 | F")
    page.click("#read-abc")
    until(page, "document.getElementById('song-name').textContent === 'chords'")
    assert page.inner_text("#fact-bars") == "4"
    chords = page.locator("#lane button").all_inner_texts()
    assert chords[:3] == ["F", "C7", "Dm"]


def test_a_bad_file_is_refused_in_a_sentence(open_page: Opener, tmp_path: Path) -> None:
    path = tmp_path / "broken.mid"
    path.write_bytes(b"MThd and nothing more")
    page = open_page()
    page.set_input_files("#file", path)
    page.wait_for_selector("#song-error:not([hidden])")
    sentence = page.inner_text("#song-error")
    assert sentence.startswith("broken")
    assert sentence.endswith(".")
    assert "Traceback" not in sentence
    assert "/" not in sentence
    assert page.locator("#song-error[role=alert]").count() == 1
    example(page)
    assert not page.is_visible("#song-error")


def test_a_dropped_file_is_read(open_page: Opener) -> None:
    page = open_page()
    page.evaluate(
        """text => {
          const data = new DataTransfer();
          data.items.add(new File([text], "dropped.abc"));
          for (const kind of ["dragenter", "dragover", "drop"]) {
            document.body.dispatchEvent(
              new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
          }
        }""",
        ABC,
    )
    page.wait_for_selector("#song-facts:not([hidden])")
    assert page.inner_text("#song-name") == "dropped"


KEYBOARD = """
const input = { name: "Keys", onmidimessage: null };
window.strike = (time, ...data) => input.onmidimessage?.({ data, timeStamp: time });
navigator.requestMIDIAccess = async () => ({ inputs: new Map([["1", input]]) });
"""


def test_a_song_is_played_in(open_page: Opener) -> None:
    page = open_page(script=KEYBOARD)
    page.click("#record summary")
    page.click("#record-button")
    until(page, "document.getElementById('record-state').textContent.includes('Keys')")
    for number, pitch in enumerate((60, 62, 64, 65, 67, 65, 64, 62, 60)):
        page.evaluate("([t, p]) => strike(5000 + t, 0x90, p, 80)", [400 * number, pitch])
        page.evaluate("([t, p]) => strike(5000 + t, 0x80, p, 0)", [400 * number + 350, pitch])
    assert page.inner_text("#record-state") == "9 notes"
    page.click("#record-button")
    page.wait_for_selector("#song-facts:not([hidden])")
    assert page.inner_text("#fact-melody").startswith("9 notes")
    assert page.inner_text("#song-name") == "recording"


def test_styles_are_found_and_blended(open_page: Opener) -> None:
    page = open_page()
    example(page)
    count = page.locator("#styles input").count()
    assert count > 50
    page.fill("#style-search", "dvorak")
    names = page.locator("#styles b").all_inner_texts()
    page.fill("#style-search", "CHOPIN")
    assert page.locator("#styles b").all_inner_texts() == ["Chopin"]
    assert "Chopin" not in names
    page.check("#style-chopin")
    page.fill("#style-search", "nobody")
    assert page.is_visible("#style-none")
    page.fill("#style-search", "")
    page.get_by_role("button", name="Baroque", exact=True).click()
    assert 1 < page.locator("#styles input").count() < count
    page.select_option("#blend-style", "bach")
    page.fill("#blend-slider", "25")
    assert page.inner_text("#blend-text") == "75 % Frédéric Chopin, 25 % Johann Sebastian Bach"
    set_value(page, "candidates", "1")
    with page.expect_request("**/api/jobs") as sent:
        page.click("#arrange")
    assert sent.value.post_data_json["style"] == "chopin:0.75,bach:0.25"
    wait_for_job(page)


def test_notes_appear_while_they_are_made(open_page: Opener) -> None:
    """The events have the notes before the version, and the roll draws them."""
    listen = """
    window.heard = [];
    const Source = window.EventSource;
    window.EventSource = class extends Source {
      addEventListener(name, listener) {
        super.addEventListener(name, (event) => {
          window.heard.push([name, event.data.length]);
          listener(event);
        });
      }
    };
    """
    page = open_page(script=listen)
    example(page, "Greensleeves")
    arrange(page, "2")
    names = [name for name, _ in page.evaluate("heard")]
    assert names[0] == "queued"
    assert names[-1] == "done"
    assert "notes" in names[: names.index("done")]
    assert "progress" in names
    assert names.index("melody") < names.index("notes")


def test_an_arrangement_with_everything_around_it(open_page: Opener) -> None:
    page = open_page()
    example(page)
    arrange(page)
    found = version(page, kept(page)["version"])
    assert len(found["notes"]) > 25
    label = page.get_attribute("#roll-canvas", "aria-label")
    assert label == f"{len(found['notes'])} notes in 9 bars, {found['key']}"
    assert page.inner_text("#stage-title") == "Happy Birthday to You, after Johann Sebastian Bach"

    report = page.inner_text("#report")
    assert "25 of 25 notes" in report
    page.wait_for_selector("#sheet > svg", timeout=30_000)
    assert page.locator("#sheet g.note").count() >= 25

    kinds = {"MIDI": b"MThd", "MusicXML": b"<?xml", "Recipe (JSON)": b"{", "WAV": b"RIFF"}
    for name, start in kinds.items():
        with page.expect_download(timeout=60_000) as waiting:
            page.get_by_role("link", name=name, exact=True).click()
        path = waiting.value.path()
        assert path.read_bytes()[: len(start)] == start, name

    page.click("#assess")
    page.wait_for_selector("#verdict-numbers", timeout=60_000)
    verdict = page.inner_text("#verdict")
    assert verdict.startswith("It sounds mo")
    assert "% of the melody is kept." in verdict
    assert not page.is_visible("#verdict meter")  # numbers come last, on request
    assert page.locator("#verdict meter").count() >= 8


def drag_bars(page: Page, first: int, last: int) -> None:
    """Drag over the roll from one bar to another."""
    page.locator("#roll-canvas").scroll_into_view_if_needed()
    found = version(page, kept(page)["version"])
    starts = [max(0.0, row[4]) for row in found["bars"]]
    number = found["first_bar"]
    box = page.locator("#roll-canvas").bounding_box()
    assert box is not None
    wide = float(page.evaluate("document.getElementById('roll-inner').style.width.slice(0, -2)"))
    ends = [*starts[1:], found["seconds"]]
    scale = (wide - 12) / max(found["seconds"], ends[-1]) if wide > box["width"] else None
    if scale is None:
        pytest.fail("the roll shows less than it is wide")
    seen = float(page.evaluate("document.getElementById('roll').scrollLeft"))
    left, right = (
        box["x"] + (starts[bar - number] + ends[bar - number]) / 2 * scale - seen
        for bar in (first, last)
    )
    y = box["y"] + box["height"] / 2
    page.mouse.move(left, y)
    page.mouse.down()
    page.mouse.move(right, y, steps=6)
    page.mouse.up()


def outside(found: dict[str, Any], first: int, last: int) -> list[tuple[float, ...]]:
    """Return a version's notes that begin outside some bars.

    They are (quarter, pitch, quarters, part).
    """
    rows = {number: row for number, row in enumerate(found["bars"], found["first_bar"])}
    begin, end = rows[first][0], rows[last][0] + rows[last][1]
    return sorted(
        (note[6], note[2], note[7], note[4])
        for note in found["notes"]
        if not begin - 1e-3 <= note[6] < end - 1e-3
    )


def test_bars_are_redone_and_nothing_else(open_page: Opener) -> None:
    page = open_page()
    example(page, "Greensleeves")
    arrange(page)
    before = version(page, kept(page)["version"])
    drag_bars(page, 2, 4)
    assert [page.input_value(f"#bar-{end}") for end in ("from", "to")] == ["2", "4"]
    page.fill("#redo-seed", "7")
    page.locator("#roll").focus()
    page.keyboard.press("r")
    page.wait_for_selector("#working", timeout=10_000)
    wait_for_job(page)
    until(page, "document.querySelectorAll('#history li').length === 2")
    after = version(page, kept(page)["version"])
    assert after["parent"] == before["id"]
    assert outside(after, 2, 4) == outside(before, 2, 4)
    assert len(outside(before, 2, 4)) > 30
    assert "bars 2\u20134 redone, seed 7" in page.inner_text("#history [aria-current]")

    page.select_option("#compare", before["id"])
    until(page, "document.getElementById('compare-text').textContent !== ''")
    added, gone = map(int, re.findall(r"\d+", page.inner_text("#compare-text")))
    assert added - gone == len(after["notes"]) - len(before["notes"])

    page.locator("#roll").focus()
    page.keyboard.press("z")
    until(
        page,
        "id => JSON.parse(localStorage.getItem('styletransfer.state')).version === id",
        before["id"],
    )
    assert page.locator("#history li").count() == 2


def test_bars_are_chosen_on_the_score_and_by_keys(open_page: Opener) -> None:
    page = open_page()
    example(page)
    page.wait_for_selector("#sheet > svg", timeout=30_000)
    page.locator("#sheet").scroll_into_view_if_needed()
    boxes = [page.locator("#sheet g.measure").nth(place).bounding_box() for place in (3, 5)]
    (x, y), (to_x, to_y) = [
        (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes if box
    ]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(to_x, to_y, steps=6)
    page.mouse.up()
    ends = [page.input_value(f"#bar-{end}") for end in ("from", "to")]
    assert ends == ["3", "5"]  # of a tune with a pick-up, which is bar 0
    assert page.locator("#sheet rect.band").count() == 3
    assert page.is_disabled("#redo-button")  # there is no arrangement yet

    page.keyboard.press("Escape")
    assert page.input_value("#bar-from") == ""

    page.locator("#roll").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")

    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert [page.input_value(f"#bar-{end}") for end in ("from", "to")] == ["3", "4"]


def test_a_chord_is_changed_and_its_bar_redone(open_page: Opener) -> None:
    page = open_page()
    example(page)
    arrange(page)
    before = version(page, kept(page)["version"])
    row = next(row for row in before["harmony"] if row["bar"] == 4)
    page.get_by_role("button", name=f"{row['chords'][0]['symbol']}, bar 4", exact=True).click()
    page.keyboard.type("Dm")
    page.keyboard.press("Enter")
    page.wait_for_selector("#working", timeout=10_000)
    wait_for_job(page)
    until(page, "document.querySelectorAll('#history li').length === 2")
    after = version(page, kept(page)["version"])
    now = next(row for row in after["harmony"] if row["bar"] == 4)
    assert now["chords"][0]["symbol"] == "Dm"
    assert outside(after, 4, 4) == outside(before, 4, 4)
    assert page.get_by_role("button", name="Dm, bar 4", exact=True).count() == 1


def test_chords_that_are_typed(open_page: Opener) -> None:
    """An unknown chord is named, and a simplified one is mentioned.

    The history states what has changed.
    """
    page = open_page()
    example(page)
    arrange(page)
    row = next(row for row in version(page, kept(page)["version"])["harmony"] if row["bar"] == 4)
    old = row["chords"][0]["symbol"]

    def retype(symbol: str) -> None:
        page.get_by_role("button", name=f"{old}, bar 4", exact=True).click()
        page.keyboard.press("ControlOrMeta+a")
        page.keyboard.type(symbol)
        page.keyboard.press("Enter")

    retype("Quux")
    page.wait_for_selector("#job-error:not([hidden])")
    assert page.inner_text("#job-error").startswith("“Quux” isn")
    retype("Esus4")
    until(page, "document.getElementById('job-note').textContent.startsWith('Esus4 is played')")
    wait_for_job(page)
    until(page, "document.querySelectorAll('#history li').length === 2")
    newest = page.inner_text("#history li:first-child")
    assert f"bar 4 redone ({old} → Esus4)" in newest


def arrange_long(page: Page, piece: Piece, folder: Path, *, candidates: int) -> None:
    """Begin to arrange a song that takes a while, called "long"."""
    path = folder / "long.mid"
    write_midi(piece, path)
    page.set_input_files("#file", path)
    page.wait_for_selector("#song-facts:not([hidden])")
    set_value(page, "candidates", str(candidates))
    page.click("#arrange")
    page.wait_for_selector("#working", timeout=10_000)


def test_what_is_written_is_no_original(open_page: Opener, tmp_path: Path) -> None:
    """While it is being written, the title and the switch show it; a stopped one states that."""
    page = open_page()
    arrange_long(page, random_piece(7, "score", quarters=240), tmp_path, candidates=1)
    title = page.inner_text("#stage-title")
    assert title.startswith("long, after Johann Sebastian Bach")
    assert title.endswith("being written")
    assert page.get_attribute("#show-original", "aria-pressed") == "false"
    assert page.get_attribute("#show-arrangement", "aria-pressed") == "true"

    until(page, "document.getElementById('progress').value > 0.15", seconds=JOB_MS / 1000)
    page.click("#stop")
    page.wait_for_selector("#working", state="hidden", timeout=JOB_MS)
    until(page, "document.getElementById('stage-title').innerText.includes('stopped after bar')")
    assert "stopped after bar" in page.inner_text("#history")
    assert not page.is_disabled("#show-original")


def test_a_sample_of_a_style(open_page: Opener) -> None:
    """It is made when it is first requested, with a sign of that; again, it is there at once."""
    page = open_page(script=PLAYED)
    example(page)
    button = page.get_by_role("button", name="Hear Franz Schubert", exact=True)
    button.click()
    assert button.get_attribute("aria-busy") == "true"
    until(page, "window.played === 1", seconds=JOB_MS / 1000)
    assert button.get_attribute("aria-busy") is None
    button.click()  # silences it
    button.click()
    until(page, "window.played === 2")
    assert not page.is_visible("#sample-error")


PLAYED = """
window.played = 0;
HTMLMediaElement.prototype.play = async function () { window.played += 1; };
"""


LISTEN = """
window.peak = () => 0;
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (this instanceof AudioWorkletNode) {
    const meter = this.context.createAnalyser();
    connect.call(this, meter);
    const samples = new Float32Array(meter.fftSize);
    window.peak = () => {
      meter.getFloatTimeDomainData(samples);
      return Math.max(...samples.map(Math.abs));
    };
  }
  return connect.call(this, target, ...rest);
};
"""


def test_it_sounds_and_the_cursor_moves(open_page: Opener) -> None:
    page = open_page(script=LISTEN)
    example(page)
    arrange(page)
    page.click("#play")
    until(page, "peak() > 0.003", seconds=30)
    assert page.inner_text("#sound-state") == ""
    until(page, "document.querySelectorAll('#sheet .sounding').length > 0")
    until(page, "document.getElementById('clock').textContent >= '0:02'")
    assert page.get_attribute("#play", "aria-label") == "Pause"

    for part in range(3):
        page.click(f"#part-{part}")
    until(page, "peak() < 0.003", seconds=15)  # everything is muted
    for part in range(3):
        page.click(f"#part-{part}")
    until(page, "peak() > 0.003", seconds=15)

    page.keyboard.press("a")
    assert page.get_attribute("#show-original", "aria-pressed") == "true"
    assert page.get_attribute("#play", "aria-pressed") == "true"  # it plays on
    page.locator("#roll").focus()
    page.keyboard.press(" ")
    assert page.get_attribute("#play", "aria-pressed") == "false"
    clock = page.inner_text("#clock")
    page.wait_for_timeout(400)
    assert page.inner_text("#clock") == clock


def test_without_a_synthesiser_the_server_plays(open_page: Opener) -> None:
    """If no soundfont arrives, the server's sound is played, and the page says so."""
    page = open_page()
    page.route("**/api/soundfont", lambda route: route.fulfill(status=404, json={"error": "none."}))
    example(page)
    with page.expect_response("**/sound.wav") as answer:
        page.click("#play")
    assert answer.value.ok
    until(page, "document.getElementById('clock').textContent >= '0:01'")
    assert page.inner_text("#sound-state").startswith("The synthesiser could not start")
    page.click("#play")
    assert page.get_attribute("#play", "aria-pressed") == "false"


def test_a_loop_and_the_tempo(open_page: Opener) -> None:
    page = open_page()
    example(page)
    page.fill("#bar-from", "2")
    page.locator("#bar-from").blur()
    page.click("#loop")
    page.fill("#tempo", "150")
    assert page.inner_text("#tempo-value") == "150 %"
    page.click("#play")
    times = []
    for _ in range(30):
        page.wait_for_timeout(150)
        times.append(int(page.input_value("#position")))
    page.click("#play")
    assert page.get_attribute("#loop", "aria-pressed") == "true"
    assert any(later < earlier for earlier, later in pairwise(times))
    begin, end = 1000 * 2.2 / 13.4, 1000 * 3.9 / 13.3  # bar 2 of 13 seconds, whose quarter is 0.56
    assert all(begin - 20 <= now <= end + 60 for now in times if now > begin)


def test_work_is_stopped(open_page: Opener, tmp_path: Path) -> None:
    """A song of many bars is stopped; the page says what is left, and keeps working."""
    page = open_page()
    arrange_long(page, random_piece(5, "score", quarters=600), tmp_path, candidates=4)
    page.click("#stop")
    page.wait_for_selector("#working", state="hidden", timeout=JOB_MS)
    assert page.is_visible("#arrange")
    assert page.inner_text("#live").startswith("Stopped")


def test_a_reload_keeps_the_state(open_page: Opener) -> None:
    page = open_page()
    example(page, "Ode to Joy")
    page.check("#style-schubert")
    set_value(page, "strength", "2")
    arrange(page)
    before, facts = kept(page), page.inner_text("#history")
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert kept(page) == before
    assert page.inner_text("#history") == facts
    assert page.inner_text("#stage-title") == "Ode to Joy, after Franz Schubert"
    assert page.is_checked("#style-schubert")
    assert page.input_value("#strength") == "2"


def test_a_reload_follows_what_runs(open_page: Opener, tmp_path: Path) -> None:
    path = tmp_path / "long.mid"
    write_midi(random_piece(6, "score", quarters=120), path)
    page = open_page()
    page.set_input_files("#file", path)
    page.wait_for_selector("#song-facts:not([hidden])")
    set_value(page, "candidates", "2")
    page.click("#arrange")
    page.wait_for_selector("#working", timeout=10_000)
    page.reload()
    page.wait_for_selector("body[data-ready]")
    wait_for_job(page)
    page.wait_for_selector("#history li", timeout=30_000)
    assert not page.is_visible("#job-error")


def test_a_link_makes_it_again(open_page: Opener, server: str) -> None:
    page = open_page("/#example=frere-jacques&style=chopin&seed=11&candidates=3&transpose=2")
    page.wait_for_selector("#song-facts:not([hidden])")
    assert page.is_checked("#style-chopin")
    assert [page.input_value(f"#{name}") for name in ("seed", "candidates", "transpose")] == [
        "11",
        "3",
        "2",
    ]
    assert page.url == f"{server}/"
    page.evaluate("navigator.clipboard.writeText = async (text) => (window.copied = text)")
    arrange(page)
    page.click("#copy-link")
    until(page, "window.copied")
    link = page.evaluate("copied")
    assert link.startswith(f"{server}/#example=frere-jacques&transpose=2&style=chopin")
    assert "seed=11" in link


def test_german_and_back(open_page: Opener) -> None:
    page = open_page(locale="de-AT")
    assert page.get_attribute("html", "lang") == "de"
    example(page, "Greensleeves")
    assert page.inner_text("#fact-key") == "a-Moll"
    assert page.inner_text("#arrange") == "Arrangieren"
    set_value(page, "chords", "line")
    page.fill("#chord-line", "F | Quux")
    page.click("#arrange")
    page.wait_for_selector("#job-error:not([hidden])")
    assert page.inner_text("#job-error").startswith("„Quux“ ist kein Akkord;")
    page.select_option("#language", "en")
    until(page, "document.documentElement.lang === 'en'")
    assert page.inner_text("#fact-key") == "A minor"
    assert page.inner_text("#arrange") == "Arrange"
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.get_attribute("html", "lang") == "en"


@pytest.mark.parametrize("width", [360, 768, 1440, 2200])
def test_nothing_is_wider_than_the_window(open_page: Opener, width: int) -> None:
    page = open_page(width=width, height=900, locale="de-DE")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    example(page)
    arrange(page)
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    roll, sheet = (page.locator(f".{name}-panel").bounding_box() for name in ("roll", "score"))
    assert roll is not None
    assert sheet is not None
    assert (sheet["x"] > roll["x"] + roll["width"]) == (width >= 1400)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page: Opener, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    source = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    page = open_page(color_scheme=scheme)

    def check() -> list[str]:
        page.evaluate(source)  # the policy forbids a script element, not this
        found = page.evaluate("axe.run()")
        return [
            f"{one['id']}: {node['html'][:100]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]

    assert check() == []
    example(page)
    arrange(page)
    page.evaluate("document.getElementById('more').open = true")
    page.click("#assess")
    page.wait_for_selector("#verdict-numbers", timeout=60_000)
    page.click("#verdict-numbers > summary")
    page.wait_for_selector("#verdict .bars-list")
    page.wait_for_timeout(400)
    assert check() == []
    page.keyboard.press("Escape")
    page.locator("#roll").focus()
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")
    assert check() == []


def test_the_whole_way_by_keys(open_page: Opener) -> None:
    """An arrangement is made from the empty page without a pointer; the focus is always visible."""
    page = open_page()

    def tab_to(selector: str, most: int = 60) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate("s => document.activeElement.matches(s)", selector):
                return
        pytest.fail(f"{selector} is not reached")

    tab_to("#examples button")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("#song-facts:not([hidden])")
    tab_to("#styles input")
    before = page.evaluate("document.activeElement.value")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.value") != before
    assert kept(page)["settings"]["style"] == page.evaluate("document.activeElement.value")
    set_value(page, "candidates", "1")
    tab_to("#arrange")
    page.keyboard.press("Enter")
    page.wait_for_selector("#working", timeout=10_000)
    wait_for_job(page)
    page.wait_for_selector("#history li")


def test_only_what_is_visible_is_drawn(open_page: Opener, tmp_path: Path) -> None:
    """Of five minutes of music, a frame draws the notes in the window and no others."""
    path = tmp_path / "five minutes.mid"
    onset = np.arange(0, 600, 0.25)
    pitch = 48 + (np.arange(len(onset)) * 7) % 36
    notes = make_notes(onset, np.full(len(onset), 0.25), pitch)
    write_midi(Piece(notes, "score", bars_of([(0.0, 4, 4)], 600.0), parts=("Melody",)), path)
    count = """
    window.drawn = 0;
    const round = CanvasRenderingContext2D.prototype.roundRect;
    CanvasRenderingContext2D.prototype.roundRect = function (...rest) {
      window.drawn += 1;
      return round.apply(this, rest);
    };
    """
    page = open_page(script=count)
    page.set_input_files("#file", path)
    page.wait_for_selector("#song-facts:not([hidden])")
    assert page.inner_text("#fact-length") == "5:00"

    page.wait_for_timeout(300)
    drawn = page.evaluate(
        """async () => {
          const roll = document.getElementById("roll");
          const frames = [];
          for (let k = 0; k < 20; k++) {
            window.drawn = 0;
            roll.scrollLeft = k * 500;
            await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
            frames.push(window.drawn);
          }
          return frames;
        }"""
    )
    assert max(drawn) < 400  # of 2,400
    assert min(drawn[1:]) > 20


def test_a_style_is_asked_for_and_cancelled(open_page: Opener, tmp_path: Path) -> None:
    files = []
    for number in range(3):
        files.append(tmp_path / f"{number}.mid")
        write_midi(random_piece(number, "score"), files[-1])

    page = open_page()
    example(page)
    page.click("#train-button")
    page.fill("#train-name", "My Style")
    page.set_input_files("#train-files", files)
    page.click("#train-go")
    assert page.evaluate("document.getElementById('train-name').validity.patternMismatch")

    page.fill("#train-name", "mine")
    page.click("#train-go")
    until(
        page,
        "document.getElementById('train-error').textContent"
        " || !document.getElementById('train-progress').hidden",
    )
    page.click("#train-cancel")
    until(
        page,
        "document.getElementById('train-error').textContent"
        " || document.getElementById('train-text').textContent.includes('Stopped')",
        seconds=JOB_MS / 1000,
    )
    assert not page.is_disabled("#train-go")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from started(None, tmp_path_factory.mktemp("real") / "log")


@pytest.mark.slow
def test_the_shipped_model(browser: Browser, real: str) -> None:
    """With the shipped weights, the tune stays, a hand accompanies it, and bars are redone."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(real)
    page.wait_for_selector("body[data-ready]", timeout=30_000)
    example(page)
    arrange(page)
    before = version(page, kept(page)["version"])
    assert before["report"]["melody_notes_kept"] == 25
    assert {note[4] for note in before["notes"]} == {1, 2, 3}
    page.fill("#bar-from", "5")
    page.fill("#bar-to", "8")
    page.locator("#bar-to").blur()
    page.click("#redo-button")
    page.wait_for_selector("#working", timeout=10_000)
    wait_for_job(page)
    until(page, "document.querySelectorAll('#history li').length === 2")
    after = version(page, kept(page)["version"])
    assert outside(after, 5, 8) == outside(before, 5, 8)
    assert after["notes"] != before["notes"]
    page.close()
