"""The description of the API, as OpenAPI 3.1 defines it."""

from __future__ import annotations

from typing import Any

from styletransfer.serve.settings import LIMITS

Schema = dict[str, Any]


def document() -> dict[str, Any]:
    """Return the description: a path for each route, and what the objects hold."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "styletransfer",
            "version": "1",
            "description": "Arrange songs for piano in the style of a composer or an era. "
            "Send a song, queue a job, follow its events, fetch the version. "
            "An error is an object with one sentence, `error`.",
        },
        "paths": _lists() | _songs() | _jobs() | _versions(),
        "components": {"schemas": SCHEMAS},
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
PART = _array(_object(number=WHOLE, name=TEXT, notes=WHOLE))
CHORD = _object(bar=WHOLE, beat=NUMBER, quarter=NUMBER, symbol=TEXT)
SHARED: dict[str, Schema] = {
    "id": TEXT,
    "name": TEXT,
    "feel": {"enum": ["score", "performance"]},
    "key": TEXT,
    "seconds": NUMBER,
    "first_bar": {"enum": [0, 1], "description": "0: the first bar is a pick-up"},
    "bars": _array(_ref("Bar")),
    "parts": PART,
    "notes": _array(_ref("Note")),
    "pedals": _array({"type": "array", "description": "second, value of controller 64"}),
}
SCHEMAS: dict[str, Schema] = {
    "Error": _object(error=TEXT),
    "Bar": {
        "type": "array",
        "description": "[start in quarters, length in quarters, numerator, denominator, second]",
        "items": NUMBER,
    },
    "Note": {
        "type": "array",
        "description": "[second, second of its end, pitch, velocity, part from 1, "
        "1 where it is melody, quarter, length in quarters]",
        "items": NUMBER,
    },
    "Song": _object(
        **SHARED,
        metre=MAYBE_TEXT,
        tempo={"type": "number", "description": "quarters per minute at the start"},
        melody_part={"type": ["integer", "null"]},
        melody=_object(notes=WHOLE, coverage=NUMBER),
        chords=_array(CHORD),
        symbols={"type": "integer", "description": "chord symbols in the file"},
        remarks=_array(TEXT),
        simplified=_array(_ref("Simplified")),
        melody_track=MAYBE_TEXT,
        transpose=WHOLE,
    ),
    "Version": _object(
        **SHARED,
        parent=MAYBE_TEXT,
        song=TEXT,
        title=TEXT,
        style=TEXT,
        options={"type": "object", "description": "as requested"},
        report={"type": "object", "description": "as `apply --json` prints it"},
        harmony=_array({"type": "object", "description": "the chords of a bar"}),
        candidates=_array({"type": "object", "description": "the scores of a candidate"}),
        bars_redone=MAYBE_TEXT,
    ),
    "Style": _object(
        name=TEXT,
        title=MAYBE_TEXT,
        kind=TEXT,
        era=TEXT,
        years=MAYBE_TEXT,
        pieces={"type": ["integer", "null"]},
        gain={"type": ["number", "null"], "description": "bits per note on held-out pieces"},
        sample=TEXT,
    ),
    "TimeRow": _object(seconds=NUMBER, on=_array(TEXT), off=_array(TEXT), bar=WHOLE),
    "Pages": _object(pages=WHOLE),
    "Assessment": {"type": "object", "description": "as `evaluate --json` prints it"},
    "Job": _object(job=TEXT),
    "Simplified": _object(symbol=TEXT, read=TEXT),
    "Queued": _object(job=TEXT, simplified=_array(_ref("Simplified"))),
}


def _answer(schema: Schema, code: str = "200", media: str = "application/json") -> Schema:
    """Return the responses of an operation."""
    good = {"description": "as asked", "content": {media: {"schema": schema}}}
    bad = {
        "description": "one sentence",
        "content": {"application/json": {"schema": _ref("Error")}},
    }
    return {code: good, "default": bad}


def _binary(media: str) -> Schema:
    return _answer({"type": "string", "contentMediaType": media}, media=media)


def _operation(
    summary: str, responses: Schema, body: Schema | None = None, **query: Schema
) -> Schema:
    """Return an operation.

    ``query`` holds the schemas of its parameters after the question mark.
    """
    found: Schema = {"summary": summary, "responses": responses}
    if query:
        found["parameters"] = [
            {"name": name, "in": "query", "schema": schema} for name, schema in query.items()
        ]
    if body is not None:
        found["requestBody"] = {"required": True, "content": body}
    return found


def _path(*names: str, **operations: Schema) -> Schema:
    """Return a path's item; ``names`` are its parameters."""
    item: Schema = dict(operations)
    if names:
        item["parameters"] = [
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": WHOLE if name == "n" else TEXT,
            }
            for name in names
        ]
    return item


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _form(schema: Schema) -> Schema:
    return {"multipart/form-data": {"schema": schema}}


def _lists() -> Schema:
    """Describe the lists to choose from, and how a style is added."""
    files = _array({"type": "string", "contentMediaType": "application/octet-stream"})
    training = _form(_object(name=TEXT, era=TEXT, minutes=NUMBER, files=files))
    one = _operation("A short piece in a style", _binary("audio/wav"))

    return {
        "/api": _path(get=_operation("This description", _answer({"type": "object"}))),
        "/api/options": _path(
            get=_operation(
                "Defaults and limits of the options, kinds of files, limits of uploads",
                _answer(_object(options={"type": "object"}, files=_array(TEXT))),
            )
        ),
        "/api/examples": _path(
            get=_operation("The example tunes", _answer(_array(_object(name=TEXT, title=TEXT))))
        ),
        "/api/styles": _path(
            get=_operation("The styles", _answer(_array(_ref("Style")))),
            post=_operation(
                "Learn a style from a .zip or several files", _answer(_ref("Job"), "202"), training
            ),
        ),
        "/api/styles/{name}/sample.wav": _path("name", get=one),
        "/api/soundfont": _path(
            get=_operation("A soundfont to play with", _binary("audio/x-soundfont"))
        ),
    }


def _songs() -> Schema:
    """Describe the paths of songs."""
    note = {"type": "array", "description": "[second, seconds, pitch, velocity]", "items": NUMBER}
    given = _json(
        {
            "oneOf": [
                _object(example=TEXT),
                _object(abc=TEXT),
                _object(chords=TEXT, metre=TEXT, tempo=NUMBER),
                _object(notes=_array(note), name=TEXT),
            ]
        }
    ) | _form(_object(file={"type": "string", "contentMediaType": "application/octet-stream"}))
    change = _json(_object(melody_track={"type": ["string", "integer", "null"]}, transpose=WHOLE))

    return {
        "/api/songs": _path(post=_operation("Send a song", _answer(_ref("Song"), "201"), given)),
        "/api/songs/{id}": _path(
            "id",
            get=_operation("A song", _answer(_ref("Song"))),
            post=_operation(
                "Take another part as the melody, or transpose", _answer(_ref("Song")), change
            ),
        ),
        "/api/songs/{id}/file": _path(
            "id",
            get=_operation("Its file, as it is arranged", _binary("application/octet-stream")),
        ),
        **_shown("/api/songs/{id}"),
    }


def _jobs() -> Schema:
    """Describe the paths of jobs."""
    options = {
        name: {k: v for k, v in row.items() if k != "default"} for name, row in LIMITS.items()
    }
    job = {
        "oneOf": [
            {"required": ["song", "style"], **_object(song=TEXT, style=TEXT, **options)},
            {"required": ["version", "bars"], **_object(version=TEXT, style=TEXT, **options)},
        ]
    }

    events = (
        "Its events, as server-sent events from the first on: queued {position}, "
        "progress {share, seconds_left}, melody {notes}, notes {candidate, phrase, bar, notes}, "
        "chosen {phrase, candidate}, stage {title}, remark {text}, and at last done {version}, "
        "stopped {version or null} or failed {error}"
    )

    return {
        "/api/jobs": _path(
            post=_operation(
                "Arrange a song, or rewrite some bars of a version; `simplified` lists the chords "
                "of which a triad or a seventh chord is played",
                _answer(_ref("Queued"), "202"),
                _json(job),
            )
        ),
        "/api/jobs/{id}/events": _path(
            "id", get=_operation(events, _answer(TEXT, media="text/event-stream"))
        ),
        "/api/jobs/{id}/stop": _path(
            "id", post=_operation("Stop it; what is done is kept", _answer(_ref("Job"), "202"))
        ),
    }


def _versions() -> Schema:
    """Describe the paths of versions."""
    kinds = {"enum": ["mid", "musicxml", "svg", "pdf", "wav", "ogg", "mp3", "json", "png"]}
    return {
        "/api/versions/{id}": _path("id", get=_operation("A version", _answer(_ref("Version")))),
        "/api/versions/{id}/file": _path(
            "id",
            get=_operation(
                "As a file to download", _binary("application/octet-stream"), type=kinds
            ),
        ),
        "/api/versions/{id}/assessment": _path(
            "id", get=_operation("Whose music it sounds like", _answer(_ref("Assessment")))
        ),
        **_shown("/api/versions/{id}"),
    }


def _shown(begin: str) -> Schema:
    """Describe the paths of the sound and the pages of a song or a version."""
    layout = {"enum": ["wide", "narrow"], "default": "wide"}
    count = _operation("How many pages it has", _answer(_ref("Pages")), layout=layout)
    page = _operation("A page", _binary("image/svg+xml"), layout=layout)
    times = _operation(
        "When the notes of the pages sound", _answer(_array(_ref("TimeRow"))), layout=layout
    )
    return {
        f"{begin}/sound.wav": _path("id", get=_operation("As sound", _binary("audio/wav"))),
        f"{begin}/pages": _path("id", get=count),
        f"{begin}/pages/{{n}}.svg": _path("id", "n", get=page),
        f"{begin}/timemap": _path("id", get=times),
    }
