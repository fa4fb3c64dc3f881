"""An ASGI application asked from a test without a socket; one event loop for all requests, as in a server."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Self

import httpx
from starlette.types import ASGIApp


class AsgiClient:
    """Asks ``app`` as httpx would over a network; use it as a context manager."""

    def __init__(self, app: ASGIApp, base_url: str = "http://localhost") -> None:
        self.loop = asyncio.new_event_loop()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url=base_url)
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._client.aclose(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def request(self, method: str, path: str, **what: Any) -> httpx.Response:
        """The answer; ``what`` as for ``httpx.Client.request``."""
        asked = self._client.request(method, path, **what)
        return asyncio.run_coroutine_threadsafe(asked, self.loop).result(60)

    def get(self, path: str, **what: Any) -> httpx.Response:
        """``GET``."""
        return self.request("GET", path, **what)

    def post(self, path: str, **what: Any) -> httpx.Response:
        """``POST``."""
        return self.request("POST", path, **what)
