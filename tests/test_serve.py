"""Test the API of ``serve`` on an untrained model: requests and answers."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from filelock import FileLock
from starlette.requests import Request
from starlette.testclient import TestClient

from styletransfer.errors import InputError
from styletransfer.serve.app import ROUTES, create_app
from styletransfer.serve.jobs import FullError, Job, Jobs
from styletransfer.serve.leftovers import LOCK, PREFIX, mark_work, sweep, work_folder
from styletransfer.serve.openapi import document
from styletransfer.serve.routes.jobs import _listed
from styletransfer.serve.routes.versions import MEDIA
from styletransfer.serve.settings import LIMITS, Settings, option_table, origins
from styletransfer.serve.state import body_of
from styletransfer.serve.trust import HEADERS, safe_name, shown_name
from styletransfer.serve.workers import Worker
from tests.tiny import random_piece, tune_of

ABC = 'X:1\nT:Air\nM:3/4\nL:1/4\nK:G\n"G"GAB|"D7"dcA|"G"BAG|"G"G3|\n'
BASE = "http://localhost:8765"
PATIENCE = 60.0
QUICK = {"candidates": 1, "strength": 1, "style": "bach"}


@pytest.fixture(scope="module")
def client(tiny_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Start a server on an untrained model, which keeps few songs and versions."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLETRANSFER_HOME", str(home))
        settings = Settings(model=tiny_package, queue=3, song_bytes=200_000, readers=1)
        with TestClient(create_app(settings), base_url=BASE) as made:
            yield made


def midi(seed: int = 3) -> bytes:
    from styletransfer.formats.midi_out import midi_bytes

    return midi_bytes(random_piece(seed, "score"))


def song(client: TestClient, **given: Any) -> dict[str, Any]:
    """Send a song from JSON or from bytes under a name; return it as it was read."""
    if "file" in given:
        answer = client.post("/api/songs", files={"file": given["file"]})
    else:
        answer = client.post("/api/songs", json=given)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def events(client: TestClient, job: str) -> list[tuple[str, dict[str, Any]]]:
    """Return all events of a job, to the last."""
    text = client.get(f"/api/jobs/{job}/events").text
    rows = re.findall(r"^event: (.*)\ndata: (.*)$", text, re.MULTILINE)
    return [(event, json.loads(data)) for event, data in rows]


def arranged(client: TestClient, **asked: Any) -> dict[str, Any]:
    """Return the version that a job makes."""
    answer = client.post("/api/jobs", json=asked)
    assert answer.status_code == 202, answer.text
    last, told = events(client, answer.json()["job"])[-1]
    assert last == "done", told
    version: dict[str, Any] = client.get(f"/api/versions/{told['version']}").json()
    return version


def refused(answer: Any, status: int, *words: str) -> None:
    """Check that an answer is one sentence, and no more."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error.endswith(".")
    assert "\n" not in error
    assert "/tmp" not in error
    for word in words:
        assert word in error


@pytest.fixture(scope="module")
def version(client: TestClient) -> dict[str, Any]:
    """Arrange a short tune."""
    return arranged(client, song=song(client, file=("Air.mid", midi()))["id"], **QUICK)


def test_the_document_matches_the_routes() -> None:
    told = {
        (path, method.upper())
        for path, item in document()["paths"].items()
        for method in item
        if method != "parameters"
    }
    routes = {
        (re.sub(r":int\}", "}", route.path), method)
        for route in ROUTES
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert told == routes


def test_the_document_refers_to_what_it_has() -> None:
    made = document()
    for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(made)):
        assert name in made["components"]["schemas"]


def test_every_option_has_limits_that_hold() -> None:
    from styletransfer.transfer.request import request_of

    table = option_table()
    assert table.keys() == LIMITS.keys()
    for name, row in table.items():
        more = {"mode": "continue"} if name == "seconds" else {}
        if name in ("metre", "tempo"):
            more = {"chords": "F | C7"}
        given = None if name in ("metre", "tempo") else "twinkle"
        values = row.get("enum") or [row[k] for k in ("minimum", "maximum") if k in row]
        for value in values:
            if name == "mode":
                more = {"seconds": 5.0} if value == "continue" else {}
            request_of(given, "bach", None, **{name: value}, **more)
        if "minimum" in row and name != "seed":
            with pytest.raises(InputError):
                request_of(given, "bach", None, **{name: row["minimum"] - 1}, **more)


def test_lists(client: TestClient) -> None:
    styles = {row["name"]: row for row in client.get("/api/styles").json()}
    assert styles["bach"]["title"] == "Johann Sebastian Bach"
    assert styles["bach"]["era"] == "baroque"
    assert {"name": "twinkle", "title": "Twinkle, Twinkle, Little Star"} in client.get(
        "/api/examples"
    ).json()
    assert client.get("/api/options").json()["options"]["candidates"]["default"] == 8


def test_a_file_is_read(client: TestClient) -> None:
    found = song(client, file=("My song.mid", midi()))
    assert found["name"] == "My song"
    assert found["metre"] == "3/4"
    assert found["melody"]["notes"] == sum(row[5] for row in found["notes"])
    assert found["parts"][found["melody_part"] - 1]["name"] == "Melody"
    assert found["bars"][1][:4] == [3.0, 3.0, 3, 4]
    assert client.get(f"/api/songs/{found['id']}").json() == found


def test_another_melody_and_another_key(client: TestClient) -> None:
    found = song(client, file=("a.mid", midi()))
    address = f"/api/songs/{found['id']}"
    other = client.post(address, json={"melody_track": 2}).json()
    assert other["melody_part"] == 2
    moved = client.post(address, json={"melody_track": None, "transpose": 2}).json()
    assert moved["melody_part"] == 1
    assert [row[2] for row in moved["notes"]] == [row[2] + 2 for row in found["notes"]]
    assert client.post(address, json={"transpose": 0}).json() == found
    refused(client.post(address, json={"melody_track": 9}), 400, "melody track", "9")
    refused(client.post(address, json={"transpose": 99}), 400, "transpose")


def test_abc_keeps_its_chords(client: TestClient) -> None:
    found = song(client, abc=ABC)
    assert found["name"] == "Air"
    assert [row["symbol"] for row in found["chords"]] == ["G", "D7", "G", "G"]
    client.post(f"/api/songs/{found['id']}", json={"transpose": 5})
    made = arranged(client, song=found["id"], chords="keep", **QUICK)
    assert [row["chords"][0]["symbol"] for row in made["harmony"][:2]] == ["C", "G7"]


def test_chords_alone(client: TestClient) -> None:
    found = song(client, chords="F | C7 | F", metre="3/4", tempo=90)
    assert found["notes"] == []
    assert found["bars"][1][:4] == [3.0, 3.0, 3, 4]
    assert [row["symbol"] for row in found["chords"]] == ["F", "C7", "F"]
    made = arranged(client, song=found["id"], **QUICK)
    assert not any(row[5] for row in made["notes"])


def test_what_was_played_in(client: TestClient) -> None:
    rows = [[0.5 * k, 0.45, 60 + k % 5, 80] for k in range(16)]
    found = song(client, notes=rows)
    assert [row[2] for row in found["notes"]] == [row[2] for row in rows]
    assert found["notes"][3][0] == pytest.approx(1.5, abs=0.01)


def test_an_arrangement(client: TestClient, version: dict[str, Any]) -> None:
    assert version["title"] == "Air, in the style of J. S. Bach"
    assert version["report"]["melody_notes_kept"] == version["report"]["melody_notes"] > 0
    assert version["parent"] is None
    assert version["options"] == {"candidates": 1, "strength": 1}
    assert len(version["candidates"]) == 1
    assert len(version["harmony"]) == len(version["bars"])


def test_what_is_heard_on_the_way_is_what_comes_out(client: TestClient) -> None:
    """Bars are reported while they are decoded; the chosen ones are those of the version."""
    given = song(client, example="happy-birthday")["id"]
    asked = {"song": given, "style": "bach", "candidates": 2}
    told = events(client, client.post("/api/jobs", json=asked).json()["job"])
    assert [event for event, _ in told][:1] == ["queued"]
    assert all(0 <= data["share"] <= 1 for event, data in told if event == "progress")
    version = client.get(f"/api/versions/{told[-1][1]['version']}").json()
    bars = [data for event, data in told if event == "notes"]
    assert {data["candidate"] for data in bars} == {0, 1}
    assert {data["bar"] for data in bars} == set(range(len(version["bars"])))
    best = version["report"]["candidate"]
    heard = sorted(
        (n[6], n[2]) for data in bars if data["candidate"] == best for n in data["notes"]
    )
    assert heard == sorted((n[6], n[2]) for n in version["notes"] if not n[5])
    melody = next(data["notes"] for event, data in told if event == "melody")
    assert [n[2] for n in melody] == [n[2] for n in version["notes"] if n[5]]


def test_bars_made_again(client: TestClient, version: dict[str, Any]) -> None:
    begin, end = version["bars"][2][4], version["bars"][4][4]
    asked = {"version": version["id"], "bars": "3-4", "seed": 7, "chords": "C | G7"}
    again = arranged(client, candidates=1, **asked)

    def around(one: dict[str, Any]) -> list[list[float]]:
        return sorted(row for row in one["notes"] if row[5] or not begin <= row[0] < end)

    assert around(again) == around(version)
    assert again["parent"] == version["id"]
    assert again["bars_redone"] == "3-4"
    assert [row["chords"][0]["symbol"] for row in again["harmony"][2:4]] == ["C", "G7"]
    asked = {"version": version["id"], "bars": "90-91", "candidates": 1}
    last, told = events(client, client.post("/api/jobs", json=asked).json()["job"])[-1]
    assert last == "failed"
    assert "/" not in told["error"].replace("styletransfer-music", "")


MAGIC = {
    "mid": b"MThd",
    "pdf": b"%PDF",
    "wav": b"RIFF",
    "png": b"\x89PNG",
    "ogg": b"OggS",
    "mp3": b"\xff",
}


@pytest.mark.parametrize("kind", MEDIA)
def test_files_to_download(client: TestClient, version: dict[str, Any], kind: str) -> None:
    if kind not in client.get("/api/options").json()["files"]:
        answer = client.get(f"/api/versions/{version['id']}/file?type={kind}")
        refused(answer, 400, "install")
        return
    answer = client.get(f"/api/versions/{version['id']}/file?type={kind}")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].endswith(f'"Air-bach.{kind}"')
    assert answer.headers["content-type"].startswith(MEDIA[kind])
    assert answer.content.startswith(
        MAGIC.get(kind, answer.content[:1] if kind == "json" else b"<")
    )


def test_a_sidecar_makes_the_same_bytes_again(
    client: TestClient, version: dict[str, Any], tmp_path: Path
) -> None:
    from styletransfer.formats.midi_out import midi_bytes
    from styletransfer.transfer.pipeline import apply
    from styletransfer.transfer.sidecar import read_sidecar

    address = f"/api/versions/{version['id']}/file"
    (tmp_path / "Air.mid").write_bytes(midi())
    (tmp_path / "Air-bach.json").write_bytes(client.get(address, params={"type": "json"}).content)
    sidecar = read_sidecar(tmp_path / "Air-bach.json")
    assert sidecar.outputs[0].file == "Air-bach.mid"
    made = midi_bytes(apply(sidecar.provenance.request).piece)
    assert made == client.get(address, params={"type": "mid"}).content


def test_names_in_any_script(client: TestClient) -> None:
    made = arranged(client, song=song(client, file=("../歌 1.mid", midi()))["id"], **QUICK)
    for kind in ("mid", "json"):
        answer = client.get(f"/api/versions/{made['id']}/file?type={kind}")
        assert unquote(answer.headers["content-disposition"]).endswith(f"歌-1-bach.{kind}")


def test_pages(client: TestClient, version: dict[str, Any]) -> None:
    pytest.importorskip("verovio")
    for address in (f"/api/versions/{version['id']}", f"/api/songs/{version['song']}"):
        count = client.get(f"{address}/pages").json()["pages"]
        assert count >= 1
        pages = "".join(client.get(f"{address}/pages/{n + 1}.svg").text for n in range(count))
        assert "<style" not in pages
        assert ' style="' not in pages.replace('font-style="', "")
        times = client.get(f"{address}/timemap").json()
        seconds = [row["seconds"] for row in times]
        assert seconds == sorted(seconds)
        ids = {name for row in times for name in row["on"]}
        assert ids
        assert all(f'id="{name}"' in pages for name in ids)
        refused(client.get(f"{address}/pages/{count + 1}.svg"), 404, "pages")
        refused(client.get(f"{address}/pages?layout=huge"), 400, "layout")
    times = client.get(f"/api/versions/{version['id']}/timemap").json()
    begun = [row["seconds"] for row in times if row["on"]]
    melody = [row[0] for row in version["notes"] if row[5]]
    assert all(min(abs(at - one) for one in begun) < 1e-3 for at in melody)
    assert times[-1]["bar"] == len(version["bars"])


def test_an_assessment(client: TestClient) -> None:
    found = arranged(client, song=song(client, example="ode-to-joy")["id"], **QUICK)
    report = client.get(f"/api/versions/{found['id']}/assessment").json()
    assert sum(report["composers"].values()) == pytest.approx(1, abs=1e-3)
    assert report["style"] == "bach"
    assert report["melody_f1"] == 1.0
    assert report["evidence"]["bach"]
    assert report["longest_match_notes"] >= 0


def test_sound(client: TestClient, version: dict[str, Any]) -> None:
    for address in (f"/api/versions/{version['id']}", f"/api/songs/{version['song']}"):
        assert client.get(f"{address}/sound.wav").content.startswith(b"RIFF")
    assert client.get("/api/soundfont").content[8:12] == b"sfbk"


BAD = [
    ({"example": "nothing"}, "example"),
    ({"abc": "X:1\nK:C\n"}, "notes"),
    ({"chords": "/etc/passwd"}, "chord symbol"),
    ({"chords": "F | Q"}, "Q"),
    ({"notes": [[0, 1, 200, 80]]}, "beyond"),
    ({"notes": [[0, 1]]}, "note"),
    ({"notes": []}, "notes"),
    ({"example": "twinkle", "abc": ABC}, "one of"),
    ({}, "one of"),
]


@pytest.mark.parametrize(("body", "word"), BAD)
def test_an_invalid_song(client: TestClient, body: dict[str, Any], word: str) -> None:
    refused(client.post("/api/songs", json=body), 400, word)


def test_an_invalid_file(client: TestClient) -> None:
    for name, data in (("../../a.mid", b"MThd\0\0"), ("a.exe", b"MZ"), ("", b""), ("a.mid", b"")):
        answer = client.post("/api/songs", files={"file": (name, data)})
        refused(answer, 400)
    refused(client.post("/api/songs", files={"other": ("a.mid", midi())}), 400, "`file`")
    refused(
        client.post("/api/songs", content=b"{", headers={"content-type": "application/json"}), 400
    )
    refused(
        client.post("/api/songs", content=b"[]", headers={"content-type": "application/json"}), 400
    )
    refused(client.post("/api/songs", content=b"{}", headers={"content-type": "text/plain"}), 415)


WRONG = [
    ({"style": "/etc/passwd"}, "style"),
    ({"style": "owner/name"}, "style"),
    ({"style": "sonata.mid"}, "style"),
    ({"candidates": 17}, "16"),
    ({"candidates": "8"}, "candidates"),
    ({"strength": 9}, "strength"),
    ({"chords": "/etc/passwd"}, "chord symbol"),
    ({"model": "/tmp"}, "model"),
    ({"mode": "continue", "seconds": 3000}, "seconds"),
    ({"song": 5}, "song"),
]


@pytest.mark.parametrize(("asked", "word"), WRONG)
def test_an_invalid_job(
    client: TestClient, version: dict[str, Any], asked: dict[str, Any], word: str
) -> None:
    body = {"song": version["song"], "style": "bach"} | asked
    refused(client.post("/api/jobs", json=body), 400, word)


def test_what_does_not_exist(client: TestClient) -> None:
    for address in (
        "songs/abc",
        "versions/abc",
        "versions/../../etc",
        "jobs/abc/events",
        "nothing",
    ):
        assert client.get(f"/api/{address}").status_code == 404
    refused(client.post("/api/jobs", json={"song": "x", "style": "bach"}), 404, "song")
    refused(client.post("/api/jobs/x/stop"), 404, "job")
    refused(client.get("/api/styles/nobody/sample.wav"), 404, "style")


def test_uploads_have_limits(client: TestClient) -> None:
    refused(client.post("/api/songs", files={"file": ("a.mid", bytes(300_000))}), 413, "larger")

    def endless() -> Iterator[bytes]:
        for _ in range(300):
            yield b" " * 10_000

    kind = {"content-type": "application/json"}
    refused(client.post("/api/songs", content=endless(), headers=kind), 413, "larger")
    refused(client.post("/api/jobs", content=bytes(2 << 20), headers=kind), 413, "larger")


def test_a_body_must_come_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("styletransfer.serve.state.BODY_SECONDS", 0.05)

    async def receive() -> Any:
        await asyncio.sleep(PATIENCE)

    headers = [(b"content-type", b"application/json")]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    with pytest.raises(TimeoutError):
        asyncio.run(body_of(request))


def test_other_sites_are_refused(client: TestClient) -> None:
    """They are a name that was made to point here, and a page of another site that sends data."""
    refused(client.get("/api/styles", headers={"host": "evil.example:8765"}), 403, "name")
    refused(client.get("/api/styles", headers={"host": "192.168.0.7:8765"}), 403, "name")
    body = {"example": "twinkle"}
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"sec-fetch-site": "cross-site"},
    ):
        refused(client.post("/api/songs", json=body, headers=headers), 403, "another site")
    good = {"origin": BASE, "sec-fetch-site": "same-origin"}
    assert client.post("/api/songs", json=body, headers=good).status_code == 201


def test_a_proxy_is_known_by_its_name() -> None:
    public = origins(["https://Music.example.org/"])
    assert public == ("https://music.example.org",)
    with TestClient(create_app(Settings(public=public, readers=1)), base_url=BASE) as client:
        headers = {"host": "music.example.org", "origin": public[0]}
        assert client.post("/api/jobs/x/stop", headers=headers).status_code == 404
        headers["origin"] = "https://other.example.org"
        assert client.post("/api/jobs/x/stop", headers=headers).status_code == 403


def test_a_strict_policy_on_every_answer(client: TestClient) -> None:
    for address in ("/api", "/api/nothing", "/nothing", "/"):
        answer = client.get(address)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
    assert "unsafe" not in HEADERS["content-security-policy"]


def test_names_from_outside_are_never_paths() -> None:
    for name in ("../../etc/passwd", "a/b\\c", "..", "", "con\0", "a\nb", "x" * 500, '"; rm'):
        assert re.fullmatch(r"[\w-]{1,80}", safe_name(name))
        assert len(shown_name(name)) <= 120
        assert not set(shown_name(name)) & set("/\\\n\0")


def long_job(client: TestClient) -> str:
    """Queue a job that takes some seconds at least."""
    from styletransfer.formats.midi_out import midi_bytes

    given = song(client, file=("long.mid", midi_bytes(tune_of(200))))
    asked = {"song": given["id"], "style": "bach", "candidates": 16}
    job: str = client.post("/api/jobs", json=asked).json()["job"]
    return job


def worker(client: TestClient) -> Any:
    return client.app.state.serve.jobs.worker  # type: ignore[attr-defined]


def until(done: Any, seconds: float = 2 * PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
def test_a_bounded_queue_with_positions(client: TestClient, version: dict[str, Any]) -> None:
    first = long_job(client)
    jobs = client.app.state.serve.jobs  # type: ignore[attr-defined]
    until(lambda: jobs.current is not None)
    asked = {"song": version["song"], **QUICK}
    others = [client.post("/api/jobs", json=asked).json()["job"] for _ in range(3)]
    answer = client.post("/api/jobs", json=asked)
    refused(answer, 503, "waiting")
    assert int(answer.headers["retry-after"]) > 0
    assert [jobs.all[one].events[-1][1]["position"] for one in others] == [1, 2, 3]

    client.post(f"/api/jobs/{others[0]}/stop")
    assert events(client, others[0])[-1] == ("stopped", {"version": None})
    assert jobs.all[others[1]].events[-1] == ("queued", {"position": 1})
    client.post(f"/api/jobs/{first}/stop")
    assert events(client, first)[-1][0] == "stopped"
    for one in others[1:]:
        assert events(client, one)[-1][0] == "done"


@pytest.mark.slow
def test_stop_leaves_what_is_done(client: TestClient) -> None:
    job = long_job(client)
    jobs = client.app.state.serve.jobs  # type: ignore[attr-defined]
    until(
        lambda: (
            {data["candidate"] for name, data in jobs.all[job].events if name == "notes"}
            >= set(range(16))
        )
    )
    client.post(f"/api/jobs/{job}/stop")
    last, told = events(client, job)[-1]
    assert last == "stopped"
    version = client.get(f"/api/versions/{told['version']}").json()
    bar = version["report"]["stopped_after_bar"]
    assert bar is not None
    assert len(version["bars"]) == bar < 200


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced(client: TestClient, version: dict[str, Any]) -> None:
    job = long_job(client)
    jobs = client.app.state.serve.jobs  # type: ignore[attr-defined]
    until(lambda: any(name == "progress" for name, _ in jobs.all[job].events))
    os.kill(worker(client).process.pid, signal.SIGKILL)
    last, told = events(client, job)[-1]
    assert last == "failed"
    assert "signal 9" in told["error"]
    assert arranged(client, song=version["song"], **QUICK)["notes"] == version["notes"]


@pytest.mark.slow
def test_a_job_that_does_not_stop_is_ended(
    client: TestClient, version: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("styletransfer.serve.jobs.STUBBORN", 0.5)
    job = long_job(client)
    jobs = client.app.state.serve.jobs  # type: ignore[attr-defined]
    until(lambda: any(name == "progress" for name, _ in jobs.all[job].events))
    os.kill(worker(client).process.pid, signal.SIGSTOP)
    client.post(f"/api/jobs/{job}/stop")
    assert events(client, job)[-1][0] == "failed"
    assert arranged(client, song=version["song"], **QUICK)["notes"] == version["notes"]


def test_a_reader_that_dies_is_replaced(client: TestClient) -> None:
    reader = client.app.state.serve.readers.workers[0]  # type: ignore[attr-defined]
    os.kill(reader.process.pid, signal.SIGKILL)
    until(lambda: client.post("/api/songs", json={"example": "twinkle"}).status_code == 201)


def pieces(count: int = 3) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}.mid", midi(number))
    return buffer.getvalue()


def test_an_invalid_style(client: TestClient) -> None:
    for fields, files, word in (
        ({"name": "bach"}, {"files": ("a.zip", pieces())}, "comes with"),
        ({"name": "../x"}, {"files": ("a.zip", pieces())}, "name"),
        ({"name": "mine"}, {"files": ("a.txt", b"x")}, "pieces"),
        ({"name": "mine", "era": "stone"}, {"files": ("a.zip", pieces())}, "era"),
        ({"name": "mine", "minutes": "-1"}, {"files": ("a.zip", pieces())}, "minutes"),
    ):
        refused(client.post("/api/styles", data=fields, files=files), 400, word)
    answer = client.post("/api/styles", data={"name": "mine"}, files={"files": ("a.zip", b"PK")})
    last, told = events(client, answer.json()["job"])[-1]
    assert last == "failed"
    assert "archive" in told["error"]
    assert not list((client.app.state.serve.folder / "training").iterdir())  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_style_is_learnt(client: TestClient) -> None:
    fields = {"name": "mine", "era": "baroque", "minutes": "0.02"}
    answer = client.post("/api/styles", data=fields, files={"files": ("a.zip", pieces())})
    assert answer.status_code == 202, answer.text
    told = events(client, answer.json()["job"])
    assert told[-1] == ("done", {"version": None, "style": "mine"})
    assert any("less than 30 minutes" in data["text"] for name, data in told if name == "remark")
    styles = {row["name"]: row for row in client.get("/api/styles").json()}
    assert styles["mine"]["kind"] == "user"
    given = song(client, example="happy-birthday")["id"]
    assert arranged(client, song=given, **(QUICK | {"style": "mine"}))["style"] == "mine"


def test_only_so_much_is_kept_and_nothing_remains(tiny_package: Path) -> None:
    settings = Settings(model=tiny_package, songs=2, readers=1)
    with TestClient(create_app(settings), base_url=BASE) as client:
        folder = client.app.state.serve.folder  # type: ignore[attr-defined]
        found = [song(client, example="twinkle")["id"] for _ in range(3)]
        assert {path.name for path in (folder / "songs").iterdir()} == set(found[1:])
        refused(client.get(f"/api/songs/{found[0]}"), 404, "song")
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_what_is_too_much_or_no_text_is_refused_at_once(client: TestClient) -> None:
    refused(client.post("/api/songs", json={"chords": "C " * 11_000}), 400, "characters")
    long = {"chords": "C | " * 4_000, "tempo": 100}
    refused(client.post("/api/songs", json=long), 400, "minutes")
    surrogate = b'{"abc": "\\ud800"}'
    answer = client.post(
        "/api/songs", content=surrogate, headers={"content-type": "application/json"}
    )
    refused(answer, 400, "half a character")


def test_bars_of_a_song_are_refused(client: TestClient) -> None:
    song = client.post("/api/songs", json={"example": "twinkle"}).json()["id"]
    wanted = {"song": song, "style": "bach", "bars": "2-3"}
    refused(client.post("/api/jobs", json=wanted), 400, "`version`")


def test_half_a_line_is_no_message() -> None:
    """A process that was killed may leave half of its last line."""
    from styletransfer.serve.workers import _message

    assert _message(b'{"call": 1, "event": "pro') is None
    assert _message(b'{"call": 1}\n') == {"call": 1}


def test_typed_chords_are_named(client: TestClient, version: dict[str, Any]) -> None:
    """An unknown chord is named; for a simplified one, the answer states what is played."""
    given = {"song": version["song"], "style": "bach"}
    refused(client.post("/api/jobs", json=given | {"chords": "F | Quux C7"}), 400, "'Quux'")
    refused(client.post("/api/songs", json={"chords": "F | H7"}), 400, "'H7'")

    typed = song(client, chords="C | Gsus4 | Cmaj9 | C")
    assert typed["simplified"] == [
        {"symbol": "Gsus4", "read": "G"},
        {"symbol": "Cmaj9", "read": "Cmaj7"},
    ]
    assert song(client, example="twinkle")["simplified"] == []
    answer = client.post("/api/jobs", json=given | QUICK | {"chords": "Gsus4 | C"}).json()
    assert answer["simplified"] == [{"symbol": "Gsus4", "read": "G"}]
    client.post(f"/api/jobs/{answer['job']}/stop")
    events(client, answer["job"])


def test_a_sample_is_made_once(client: TestClient, version: dict[str, Any]) -> None:
    """It is made when it is first requested, and kept, for the next server, too."""
    jobs = client.app.state.serve.jobs.all  # type: ignore[attr-defined]
    heard = [client.get("/api/styles/romantic/sample.wav") for _ in range(2)]
    assert [answer.status_code for answer in heard] == [200, 200], heard[0].text
    assert heard[0].content.startswith(b"RIFF")
    assert heard[0].content == heard[1].content
    assert [job.arguments["style"] for job in jobs.values() if job.task == "sample"] == ["romantic"]
    cache = Path(os.environ["STYLETRANSFER_HOME"]) / "cache" / "samples"
    assert [path.name.split("-")[0] for path in cache.iterdir()] == ["romantic"]


def test_samples_give_way_to_arrangements(tmp_path: Path) -> None:
    def job(name: str, *, urgent: bool) -> Job:
        return Job(name, "arrange" if urgent else "sample", {}, dict, urgent=urgent)

    async def queue() -> None:
        jobs = Jobs(Worker("heavy", tmp_path), most=2)
        jobs.current = job("plays", urgent=False)
        jobs.current.running = True
        jobs.add(job("waits", urgent=False))
        assert not jobs.current.stopping

        jobs.add(job("wanted", urgent=True))
        assert [one.id for one in jobs.waiting] == ["wanted", "waits"]
        assert jobs.current.stopping

        jobs.add(job("second", urgent=True))  # samples take no places from other jobs
        with pytest.raises(FullError, match="2 jobs"):
            jobs.add(job("third", urgent=True))

    asyncio.run(queue())


def test_an_arrangement_has_its_time(tiny_package: Path) -> None:
    """It is ended with a sentence, and nothing of it stays."""
    settings = Settings(model=tiny_package, readers=1, arranging_seconds=0.01)
    with TestClient(create_app(settings), base_url=BASE) as client:
        given = song(client, example="twinkle")["id"]
        job = client.post("/api/jobs", json={"song": given} | QUICK).json()["job"]
        last, told = events(client, job)[-1]
        assert last == "failed"
        assert told["error"].startswith("that took more than 0 seconds, the most")
        folder = client.app.state.serve.folder  # type: ignore[attr-defined]
        assert not list((folder / "versions").iterdir())


def test_what_killed_servers_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a running server works in stays.

    So does a training of the command line, which can continue.
    """
    monkeypatch.setenv("STYLETRANSFER_HOME", str(tmp_path / "home"))
    temporary = tmp_path / "tmp"
    for name in ("dead", "alive", "foreign"):
        (temporary / f"{PREFIX}{name}" / "training" / "1").mkdir(parents=True)
        if name != "foreign":
            (temporary / f"{PREFIX}{name}" / LOCK).touch()
    for name in ("dead", "alive"):
        mark_work(name)
    work_folder("terminal").mkdir()
    mark_work("terminal")

    held = (temporary / f"{PREFIX}alive" / LOCK, work_folder("alive") / "lock")
    with FileLock(held[0]), FileLock(held[1]):
        sweep(temporary)
    assert {path.name for path in temporary.iterdir()} == {f"{PREFIX}alive", f"{PREFIX}foreign"}
    kept = {path.name for path in work_folder("alive").parent.iterdir()}
    assert kept == {work_folder("alive").name, work_folder("terminal").name}


def test_styles_go_by_any_name(client: TestClient) -> None:
    """They go by any name that the command line takes, but never by a path."""
    assert _listed("Chopin") == "chopin"
    assert _listed("J.S. Bach:0.7, CHOPIN:0.3") == "bach:0.7,chopin:0.3"
    for name in ("nobody", "../bach", "owner/bach", str(Path(__file__).parent)):
        with pytest.raises(InputError, match="no such style"):
            _listed(name)
