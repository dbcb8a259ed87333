"""The pages of a score, and the times of their notes."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from styletransfer.errors import InputError
from styletransfer.serve.settings import TIMES


def layout_of(request: Request) -> str:
    layout = request.query_params.get("layout", "wide")
    if layout not in ("wide", "narrow"):
        raise InputError("`layout` is wide or narrow.")
    return layout


def page_of(request: Request, folder: Path, count: int) -> Response:
    if "n" in request.path_params:
        number = request.path_params["n"]
        if not 1 <= number <= count:
            raise HTTPException(404, f"there are {count} pages.")
        return FileResponse(folder / f"{number}.svg", media_type="image/svg+xml")
    if request.url.path.endswith("/timemap"):
        return FileResponse(folder / TIMES, media_type="application/json")
    return JSONResponse({"pages": count})
