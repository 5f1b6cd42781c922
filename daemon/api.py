"""The operator's HTTP surface: health, readiness, metrics, the dashboard and the status API.

ListenError
└── PortInUse   another process has the port: stop it or choose another one
"""

import errno
import hmac
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Final, Protocol

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.dashboard.page import CONTENT_SECURITY_POLICY, render
from daemon.dashboard.snapshot import Snapshot, allocation_json, as_json, risk_json

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  names to compare with, nothing is bound to them here
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class ListenError(Exception):
    """The operator surface could not listen on its address."""


class PortInUse(ListenError):
    """Another process listens on the address; the message says which and what to do."""


class OperatorSurface(Protocol):
    """What the daemon tells its operator."""

    def metrics(self) -> bytes:
        """All metrics in the Prometheus text format."""

    def healthy(self) -> bool:
        """Whether the daemon itself still makes progress; touches no dependency."""

    def components(self) -> Mapping[str, tuple[bool, str]]:
        """Every required component: whether it is up, and a detail in plain words."""

    def snapshot(self) -> Snapshot:
        """What the dashboard and the status show now."""

    def api_token(self) -> str | None:
        """The token that the API asks for; None or empty switches the API off."""


RequestObserver = Callable[[str, str, int, float], None]
"""Called after each request with route, method, status and seconds; `other` stands for routes that do not exist."""


def create_app(
    surface: OperatorSurface,
    *,
    hosts: Collection[str] = (),
    on_request: RequestObserver | None = None,
    on_refused: Callable[[str], None] | None = None,
) -> FastAPI:
    """The application over one surface.

    hosts: names under which it may be addressed beside the loopback names; a wildcard (0.0.0.0, ::) admits every literal address, which
    DNS rebinding cannot forge. on_refused: called with the reason (no_token_configured, missing, wrong, host) of a refused request.
    """
    app = FastAPI(title="allocd", docs_url=None, redoc_url=None, openapi_url=None)
    refused = on_refused or (lambda _reason: None)
    _add_probes(app, surface)
    _add_pages(app, surface, refused)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(_Guard, hosts=frozenset(hosts), on_request=on_request, on_refused=refused)
    return app


def _add_probes(app: FastAPI, surface: OperatorSurface) -> None:
    @app.get("/-/healthy")
    def healthy() -> PlainTextResponse:
        return PlainTextResponse("healthy\n") if surface.healthy() else PlainTextResponse("not healthy\n", status_code=503)

    @app.get("/-/ready")
    def ready() -> JSONResponse:
        components = {name: {"up": up, "detail": detail} for name, (up, detail) in surface.components().items()}
        all_up = all(component["up"] for component in components.values())
        return JSONResponse({"ready": all_up, "components": components}, status_code=200 if all_up else 503)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(surface.metrics(), headers={"Content-Type": METRICS_TYPE})


def _add_pages(app: FastAPI, surface: OperatorSurface, refused: Callable[[str], None]) -> None:
    def authorized(authorization: Annotated[str, Header()] = "") -> None:
        token = surface.api_token()
        if not token:
            refused("no_token_configured")
            raise HTTPException(403, "the API is off: set API_TOKEN and restart to use it")
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
            refused("wrong" if given else "missing")
            raise HTTPException(401, "send Authorization: Bearer <API_TOKEN>", headers={"WWW-Authenticate": "Bearer"})

    @app.get("/")
    def dashboard() -> HTMLResponse:
        return HTMLResponse(render(surface.snapshot()))

    @app.get("/api/v1/status", dependencies=[Depends(authorized)])
    def status() -> JSONResponse:
        return JSONResponse(as_json(surface.snapshot()))

    @app.get("/api/v1/risk", dependencies=[Depends(authorized)])
    def risk() -> JSONResponse:
        return JSONResponse(risk_json(surface.snapshot()))

    @app.get("/api/v1/allocation", dependencies=[Depends(authorized)])
    def allocation() -> JSONResponse:
        return JSONResponse(allocation_json(surface.snapshot()))


def _failed(_request: Request, _error: Exception) -> PlainTextResponse:
    return PlainTextResponse("the daemon could not answer; its log says why\n", status_code=500, headers=dict(SECURITY_HEADERS))


class _Guard:
    """Refuses foreign Host headers, adds the security headers to each answer and reports each request."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str], on_request: RequestObserver | None, on_refused: Callable[[str], None]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts) | LOOPBACK_NAMES
        self._on_request = on_request
        self._on_refused = on_refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        try:
            await self._checked(scope)(scope, receive, guarded)
        finally:
            if self._on_request is not None:
                route = getattr(scope.get("route"), "path", "other")
                self._on_request(route, scope["method"], status, time.perf_counter() - started)

    def _checked(self, scope: Scope) -> ASGIApp:
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        if host_allowed(host, self._hosts):
            return self._app
        self._on_refused("host")
        return PlainTextResponse("this name is not served here\n", status_code=421)


def host_allowed(header: str, hosts: Collection[str]) -> bool:
    """Whether a Host header names one of `hosts`, or a literal address when `hosts` holds a wildcard."""
    bracketed, _, _ = header.partition("]")
    name = bracketed[1:] if header.startswith("[") else header.rpartition(":")[0] or header
    return name.lower() in hosts or (not WILDCARDS.isdisjoint(hosts) and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class HttpServer:
    """Serves an application on a thread of its own. Port 0 takes a free port; `port` is the real one after `start`."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._app = app
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Bind, then serve; returns when requests are answered. Raises PortInUse or ListenError at once, before anything is started."""
        listener = _bound_socket(self.host, self.port)
        self.port = listener.getsockname()[1]
        self._server = _Server(_server_config(self._app))
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="http", daemon=True)
        self._thread.start()
        if not self._server.answering.wait(10.0):
            raise ListenError(f"the HTTP server on {self.host}:{self.port} did not come up within 10 s")

    def stop(self) -> None:
        """Stop within two seconds, cutting off whoever is still connected. Harmless when not started."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(1.5)
        self._server.force_exit = True
        self._thread.join(0.5)
        self._server = self._thread = None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answering.set()


def _server_config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        loop="asyncio",
        http="h11",
        limit_concurrency=64,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
    )


def _bound_socket(host: str, port: int) -> socket.socket:
    where = f"{host}:{port}"
    listener: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        if listener is not None:
            listener.close()
        if error.errno == errno.EADDRINUSE:
            advice = f"stop the process that has it (`ss -ltnp 'sport = :{port}'` names it) or set ALLOCD_LISTEN_PORT to a free port"
            raise PortInUse(f"{where} is already in use: {advice}") from error
        raise ListenError(f"cannot listen on {where}: {error.strerror}; check ALLOCD_LISTEN_HOST and ALLOCD_LISTEN_PORT") from error
    return listener
