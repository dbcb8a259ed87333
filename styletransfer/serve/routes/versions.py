"""Versions: shown, engraved, downloaded, judged."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from styletransfer.errors import InputError
from styletransfer.files import write_bytes
from styletransfer.serve.routes.pages import layout_of, page_of
from styletransfer.serve.state import Version, state_of, version_of

MEDIA = {
    "mid": "audio/midi",
    "musicxml": "application/vnd.recordare.musicxml+xml",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "mp3": "audio/mpeg",
    "json": "application/json",
    "png": "image/png",
}
"""The kinds of files of a version."""


async def get_version(request: Request) -> Response:
    """Answer with a version."""
    version = version_of(request, request.path_params["id"])
    return JSONResponse(await asyncio.to_thread(version.read))


async def version_pages(request: Request) -> Response:
    """Answer with the pages of a version, as with those of a song."""
    version, layout = version_of(request, request.path_params["id"]), layout_of(request)
    count = await state_of(request).ask("version_pages", folder=str(version.folder), layout=layout)
    return page_of(request, version.folder / f"pages-{layout}", count)


async def version_file(request: Request) -> Response:
    """Answer with a version as a file."""
    kind = request.query_params.get("type", "mid")
    if kind not in MEDIA:
        raise InputError(f"`type` is one of {', '.join(MEDIA)}.")
    return await _file(request, kind, attached=True)


async def version_sound(request: Request) -> Response:
    """Answer with a version as sound."""
    return await _file(request, "wav", attached=False)


async def _file(request: Request, kind: str, *, attached: bool) -> Response:
    version = version_of(request, request.path_params["id"])
    name = await state_of(request).ask("export", folder=str(version.folder), kind=kind)
    path, called = version.folder / name, version.called(kind)
    if kind == "json":
        path = await asyncio.to_thread(_sidecar, version, path)
    return FileResponse(path, media_type=MEDIA[kind], filename=called if attached else None)


def _sidecar(version: Version, path: Path) -> Path:
    """Write a sidecar to download, and return its path.

    Its files are beside it, under the names that they are saved by.
    """
    target = path.with_name("export.json")
    data = json.loads(path.read_text(encoding="utf-8"))
    if Path(data["settings"]["song"]).is_absolute():
        data["settings"]["song"] = version.source
    for output in data["outputs"]:
        output["file"] = version.called("mid")
    write_bytes(target, json.dumps(data, ensure_ascii=False, indent=1).encode() + b"\n", True)
    return target


async def assessment(request: Request) -> Response:
    """Answer with whose music a version sounds like, and what it kept."""
    version = version_of(request, request.path_params["id"])
    report = await state_of(request).ask(
        "assess",
        folder=str(version.folder),
        song=version.asked.get("song"),
        style=version.style,
    )
    return JSONResponse(report)
