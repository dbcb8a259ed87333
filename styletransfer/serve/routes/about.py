"""The description of the API, its options and examples, and the piano."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from styletransfer.serve.openapi import document
from styletransfer.serve.settings import Settings, option_table
from styletransfer.serve.state import state_of


async def api(request: Request) -> Response:
    """Answer with the description of the API."""
    return JSONResponse(document())


async def list_options(request: Request) -> Response:
    """Answer with every option, its default and its limits."""
    return JSONResponse(await asyncio.to_thread(_options, state_of(request).settings))


def _options(settings: Settings) -> dict[str, Any]:
    from styletransfer.serve.showing import available

    limits = {
        "song_bytes": settings.song_bytes,
        "training_bytes": settings.training_bytes,
        "queue": settings.queue,
        "versions": settings.versions,
    }
    return {"options": option_table(), "files": available(), "limits": limits}


async def list_examples(request: Request) -> Response:
    """Answer with the example tunes."""
    from styletransfer.formats.tunes import EXAMPLES

    return JSONResponse([{"name": name, "title": tune.title} for name, tune in EXAMPLES.items()])


async def soundfont(request: Request) -> Response:
    """Answer with a soundfont to play with."""
    from styletransfer.outputs.sound import find_soundfont

    path = await asyncio.to_thread(find_soundfont)
    headers = {"cache-control": "private, max-age=86400"}
    return FileResponse(path, media_type="audio/x-soundfont", headers=headers)
