"""The server: its routes, its errors, and how it starts and ends.

What takes long is done elsewhere, see :mod:`styletransfer.serve.workers`.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from styletransfer.errors import InputError
from styletransfer.serve.jobs import FullError, Jobs, sentence
from styletransfer.serve.leftovers import LOCK, PREFIX, sweep
from styletransfer.serve.routes import about, jobs, songs, styles, versions
from styletransfer.serve.settings import MEGABYTE, Settings
from styletransfer.serve.state import State
from styletransfer.serve.trust import HEADERS, LOCAL, TooLargeError, Trusted
from styletransfer.serve.workers import Pool, Worker, WorkerLostError

PAGE = Path(__file__).parent / "page"
MOST_CONNECTIONS = 256
"""Connections at a time; any more are answered with 503."""


def failure(status: int) -> Callable[[Request, Exception], Response]:
    """Make the handler that answers an error with one sentence."""

    def answer(request: Request, error: Exception) -> Response:
        text = error.detail if isinstance(error, HTTPException) else str(error)
        code = error.status_code if isinstance(error, HTTPException) else status
        headers = {"retry-after": "30"} if code == 503 else None
        return JSONResponse({"error": sentence(text or "that took too long.")}, code, headers)

    return answer


def gone(request: Request, error: Exception) -> Response:
    """Answer where something was removed while it was being requested."""
    return JSONResponse({"error": "that isn't kept here any more; make it again."}, 404)


def fault(request: Request, error: Exception) -> Response:
    """Answer where the program is at fault; its log states what happened."""
    kind = type(error).__name__
    told = f"a fault of this program ({kind}); please report it."
    return JSONResponse({"error": told}, 500, HEADERS)


ROUTES = [
    Route("/api", about.api),
    Route("/api/options", about.list_options),
    Route("/api/examples", about.list_examples),
    Route("/api/styles", styles.list_styles, methods=["GET"]),
    Route("/api/styles", styles.add_style, methods=["POST"]),
    Route("/api/styles/{name}/sample.wav", styles.style_sample),
    Route("/api/songs", songs.add_song, methods=["POST"]),
    Route("/api/songs/{id}", songs.get_song, methods=["GET"]),
    Route("/api/songs/{id}", songs.change_song, methods=["POST"]),
    Route("/api/songs/{id}/file", songs.song_file),
    Route("/api/songs/{id}/sound.wav", songs.song_sound),
    Route("/api/songs/{id}/pages", songs.song_pages),
    Route("/api/songs/{id}/pages/{n:int}.svg", songs.song_pages),
    Route("/api/songs/{id}/timemap", songs.song_pages),
    Route("/api/jobs", jobs.add_job, methods=["POST"]),
    Route("/api/jobs/{id}/events", jobs.job_events),
    Route("/api/jobs/{id}/stop", jobs.stop_job, methods=["POST"]),
    Route("/api/versions/{id}", versions.get_version),
    Route("/api/versions/{id}/file", versions.version_file),
    Route("/api/versions/{id}/sound.wav", versions.version_sound),
    Route("/api/versions/{id}/pages", versions.version_pages),
    Route("/api/versions/{id}/pages/{n:int}.svg", versions.version_pages),
    Route("/api/versions/{id}/timemap", versions.version_pages),
    Route("/api/versions/{id}/assessment", versions.assessment),
    Route("/api/soundfont", about.soundfont),
]


def create_app(settings: Settings | None = None) -> Starlette:
    """Make the application, with its workers while it runs."""
    settings = settings or Settings()

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = FileLock(folder / LOCK)
        lock.acquire()
        for name in ("songs", "versions", "uploads", "training"):
            (folder / name).mkdir()
        before, tempfile.tempdir = tempfile.tempdir, str(folder / "uploads")
        heavy = Worker("heavy", folder, settings.model)
        readers = [Worker("light", folder, settings.model) for _ in range(settings.readers)]
        queue = Jobs(heavy, settings.queue)
        state = app.state.serve = State(settings, folder, queue, Pool(readers))
        running = asyncio.create_task(queue.run())
        try:
            state.later(asyncio.to_thread(sweep, folder.parent))
            for reader in readers:
                state.later(_begin(reader))
            yield
        finally:
            for task in (running, *state.tasks):
                task.cancel()
            await asyncio.gather(running, *state.tasks, return_exceptions=True)
            await asyncio.gather(*(one.end() for one in (heavy, *readers)))
            tempfile.tempdir = before
            lock.release()
            shutil.rmtree(folder, ignore_errors=True)

    largest = (
        ("/", MEGABYTE),
        ("/api/songs", settings.song_bytes + MEGABYTE // 16),
        ("/api/styles", settings.training_bytes + MEGABYTE),
    )
    trusted = Middleware(
        Trusted,
        public=settings.public,
        anywhere=settings.host not in LOCAL,
        largest=largest,
    )
    return Starlette(
        routes=[*ROUTES, Mount("/", Page(directory=PAGE, html=True, check_dir=False))],
        middleware=[trusted],
        exception_handlers={
            InputError: failure(400),
            HTTPException: failure(400),
            TooLargeError: failure(413),
            FullError: failure(503),
            WorkerLostError: failure(500),
            TimeoutError: failure(408),
            ClientDisconnect: failure(400),
            FileNotFoundError: gone,
            Exception: fault,
        },
        lifespan=life,
    )


async def _begin(worker: Worker) -> None:
    """Start a worker before it is needed; if that fails, the first task reports it."""
    with suppress(OSError):
        await worker.start()


class Page(StaticFiles):
    """The page's own files, requested again each time and sent where they changed."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        """Respond with a file, as :class:`StaticFiles` does."""
        response = super().file_response(*arguments, **named)
        response.headers["cache-control"] = "no-cache"
        return response


def serve(settings: Settings, *, browse: bool = False) -> None:
    """Serve until Ctrl-C.

    Args:
        settings: how.
        browse: whether a browser is opened.

    Raises:
        InputError: where it can't listen there.
    """
    import uvicorn

    if not 0 <= settings.port <= 65_535:
        raise InputError(f"--port {settings.port}: give a number from 0 to 65535.")
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server((settings.host, settings.port), family=family, backlog=256)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"--port {settings.port}: it can't listen there ({reason}); give another."
        ) from None
    port = listening.getsockname()[1]
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{shown}:{port}"
    print(f"{url} (Ctrl-C ends it)", flush=True)
    if browse:
        threading.Timer(0.5, webbrowser.open, [url]).start()
    config = uvicorn.Config(
        create_app(settings),
        log_level="warning",
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=2,
        proxy_headers=False,
    )
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
