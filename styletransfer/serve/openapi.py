"""The description of the API, as OpenAPI 3.1 has it."""

from __future__ import annotations

from typing import Any


def document() -> dict[str, Any]:
    """The description."""
    return {"openapi": "3.1.0", "info": {"title": "styletransfer", "version": "1"}, "paths": {}}
