"""Runs the server on the port asked for, or on the next free one, and says where."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI
from rich.console import Console

from features.errors import UserMistake
from serving.app import opened_app
from serving.console.doors import INVITED
from serving.envelope import Enveloping
from serving.security import KeyRing
from serving.settings import Settings

_TRIED_PORTS = 50


def run(settings: Settings) -> None:
    """Serve until interrupted; raises UserMistake where no port is free, and why the home cannot be opened."""
    app = opened_app(settings)
    listening = _listening(settings.host, settings.port)
    host, port = listening.getsockname()[:2]
    key = settings.home / "keys" / "service.key"
    whose = f"the service role's key stands in {key}" if key.exists() else "run `tiercel keys` for API keys"
    out, place = Console(soft_wrap=True), f"http://{host}:{port}"
    out.print(f"API at {place}  (described at /openapi.json; {whose})", markup=False)
    out.print(f"Console at {place}{_way_in(app, settings)}", markup=False)
    config = uvicorn.Config(app, log_level="warning", access_log=False, http=Enveloping)
    uvicorn.Server(config).run(sockets=[listening])


def _way_in(app: FastAPI, settings: Settings) -> str:
    """Where the console is entered: by a link that opens once, in a home that has a key for whom it lets in."""
    if KeyRing(settings.home).ticket_of(INVITED) is None:
        return "/console/login  (sign in with a key)"
    return (
        f"/console/enter/{app.state.sessions.invite()}  (the link opens once, for {INVITED}; then sign in with a key)"
    )


def _listening(host: str, port: int) -> socket.socket:
    """A bound socket on the first free port from `port` on."""
    for tried in range(port, port + _TRIED_PORTS if port else 1):
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, tried))
        except OSError:
            bound.close()
            continue
        return bound
    raise UserMistake("no free port", value=f"{port} to {port + _TRIED_PORTS - 1}", todo="name another with --port")
