"""A PostgreSQL of the tests' own: a temporary cluster that syncs, behind a Unix socket and a password."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

INSTALL = "apt-get install -y --no-install-recommends postgresql"
PASSWORD = "s3cret-of-the-tests"
PATIENCE_SECONDS = 60
OWNER = "postgres"  # whom Debian's package makes; the programs refuse to run as root


def programs() -> Path | None:
    """The folder of the newest server on this machine; None without one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


class Cluster:
    """One server; `database()` makes an empty database and gives its URL.

    Its locale orders text as people do, not by bytes: the ledger must not depend on it.
    """

    def __init__(self) -> None:
        found = programs()
        if found is None:
            pytest.skip(f"PostgreSQL is not installed here: {INSTALL}")
        self._programs = found
        self._as_owner = ["runuser", "-u", OWNER, "--"] if os.geteuid() == 0 else []
        self._folder = Path(tempfile.mkdtemp(prefix="tiercel-postgres-"))
        self._port = random.SystemRandom().randrange(20_000, 60_000)  # names the socket; nothing listens on a network
        self._names = itertools.count()
        self._server: subprocess.Popen[bytes] | None = None
        self._make()
        self.start()

    def _make(self) -> None:
        key = self._folder / "password"
        key.write_text(PASSWORD)
        if self._as_owner:
            shutil.chown(self._folder, OWNER)
            shutil.chown(key, OWNER)
        made = subprocess.run(
            [
                *self._as_owner, self._programs / "initdb", "-D", self._folder / "data", "-U", "tiercel",
                "--auth=scram-sha-256", f"--pwfile={key}", "--encoding=UTF8", "--locale=C",
                "--locale-provider=icu", "--icu-locale=en",
            ],
            cwd="/", capture_output=True, text=True,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr

    def start(self) -> None:
        """Start the server and wait until it answers; it ends with this process, however that ends."""
        settings = {
            "port": self._port, "unix_socket_directories": self._folder, "listen_addresses": "",
            "max_connections": 200,
        }  # fmt: skip
        given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        as_owner = [f"--reuid={OWNER}", f"--regid={OWNER}", "--init-groups"] if self._as_owner else []
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                ["setpriv", *as_owner, "--pdeathsig", "INT", self._programs / "postgres", "-D", self._folder / "data",
                 *given],
                cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                psycopg.connect(self._address("postgres")).close()
                return
            except psycopg.OperationalError:
                told = (self._folder / "log").read_text("utf-8", "replace")[-2000:]
                assert self._server.poll() is None, told
                assert time.monotonic() < deadline, told
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT in order (`pg_ctl stop -m fast`), SIGQUIT at once (`-m immediate`), as in a crash."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(PATIENCE_SECONDS)
            self._server = None

    def close(self) -> None:
        """Stop the server and leave nothing; in no order, which would write out every database first."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder)

    def database(self, options: str = "") -> str:
        """The URL of a new, empty database."""
        name = f"ledger{next(self._names)}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} {options}")
        return f"postgresql://tiercel:{PASSWORD}@/{name}?host={self._folder}&port={self._port}"

    def command(self, statement: str) -> None:
        """Run a statement that no transaction may hold, as the server's owner."""
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _address(self, name: str) -> str:
        return f"host={self._folder} port={self._port} user=tiercel password={PASSWORD} dbname={name}"
