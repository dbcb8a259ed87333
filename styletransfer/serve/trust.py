"""Whom the server answers, how much it accepts, and what a page may do."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), midi=(self), autoplay=(self)",
}
LOCAL = ("localhost", "127.0.0.1", "::1")
SAFE = ("GET", "HEAD", "OPTIONS")


class TooLargeError(Exception):
    """A body is longer than the server accepts."""


@dataclass(frozen=True)
class Trusted:
    """An application that answers only those who mean it.

    A site whose name is made to point here (DNS rebinding) has the wrong ``Host``; another site's
    page that sends something has the wrong ``Origin``. ``public``: the origins under which a proxy
    serves it. ``anywhere``: it listens beyond this machine, so that addresses in numbers are its
    own, too. ``largest``: bytes of a body by the path's begin; others get the first one's.
    """

    app: ASGIApp
    public: tuple[str, ...] = ()
    anywhere: bool = False
    largest: tuple[tuple[str, int], ...] = (("/", 1 << 20),)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        reason = self._refused(scope["method"], headers)
        if reason:
            response = JSONResponse({"error": reason}, 403, {"connection": "close"})
            await response(scope, receive, with_headers)
            return
        limit = max(
            ((len(begin), size) for begin, size in self.largest if scope["path"].startswith(begin)),
            default=(0, 0),  # a target without a path, as in `OPTIONS *`
        )[1]
        told = headers.get("content-length", "0")
        if told.isdigit() and int(told) > limit:
            response = JSONResponse({"error": too_large(limit)}, 413, {"connection": "close"})
            await response(scope, receive, with_headers)
            return
        await self.app(scope, counted(receive, limit), with_headers)

    def _refused(self, method: str, headers: Headers) -> str | None:
        """Return why a request isn't answered, None if it is."""
        host = headers.get("host", "")
        names = {urlsplit(one).netloc for one in self.public}
        if host not in names and not self._is_own(host):
            return "this server isn't known by that name; give it with --public."
        if method in SAFE:
            return None
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if site not in ("same-origin", "none"):
            return "a page of another site may not send anything here."
        if origin is None or origin in self.public:
            return None
        if urlsplit(origin).netloc != host or urlsplit(origin).scheme not in ("http", "https"):
            return "a page of another site may not send anything here."
        return None

    def _is_own(self, host: str) -> bool:
        name = re.sub(r":\d+$", "", host).strip("[]").lower()
        if name in LOCAL:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.anywhere


def counted(receive: Receive, limit: int) -> Receive:
    """Pass on a request's body, with an error beyond so many bytes."""
    count = 0

    async def take() -> Message:
        nonlocal count
        message = await receive()
        count += len(message.get("body", b""))
        if count > limit:
            raise TooLargeError(too_large(limit))
        return message

    return take


def too_large(limit: int) -> str:
    """Return the sentence for what is larger than the server accepts."""
    return f"that is larger than {limit >> 20} MB, the most that is accepted."


def safe_name(text: str, otherwise: str = "song") -> str:
    """Return the letters, digits and hyphens of a name from outside.

    They make the name of a file to download.

    >>> safe_name("../My song (2).mid"), safe_name("…")
    ('My-song-2-mid', 'song')
    """
    return re.sub(r"[^\w-]+", "-", text).strip("-_")[:80] or otherwise


def shown_name(text: str | None) -> str:
    """Write a name from outside for people: its last part, on one line, not too long."""
    last = re.split(r"[/\\]", text or "")[-1]
    return "".join(letter for letter in last if letter.isprintable()).strip()[:120] or "song"
