"""Who is in the console: signed session cookies, forms that only our own pages may send, the demo's one-time link.

A session names a key of the home and when it ends, signed with a secret of the home, so that any worker can read it
and none has to remember it; taking the key out of the home ends its sessions. One that is left before its end stands in
a file of the home until then. A form carries a word derived from the session and is taken from our own origin alone.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from datetime import timedelta
from pathlib import Path

from starlette.requests import Request

from features.errors import NotAllowed
from serving.key_file import write_private
from serving.settings import Clock

COOKIE = "tiercel_session"
LASTS = timedelta(hours=8)
_SECRET_BYTES = 32
_PARTS = 4  # of a cookie: ticket, end, name, signature


class ForeignForm(NotAllowed):
    """The form does not come from a page of this console."""

    slug = "foreign-form"


class Sessions:
    """Session cookies of one home. `clock` is live even where the home's own stands still."""

    def __init__(self, home: Path, clock: Clock | None = None) -> None:
        self._path = home / "keys" / "console.secret"
        self._left = home / "keys" / "console.left"
        self._clock = clock or Clock()
        self._invitation: str | None = None

    def begin(self, ticket: str) -> str:
        """The cookie of a session of the key with this ticket, from now on."""
        ends, name = str(int((self._clock.now() + LASTS).timestamp())), secrets.token_hex(8)
        return f"{ticket}.{ends}.{name}.{self._mac('session', ticket, ends, name)}"

    def ticket(self, cookie: str | None) -> str | None:
        """The ticket of a session that has not ended; None for any other text."""
        parts = (cookie or "").split(".")
        if len(parts) != _PARTS:
            return None
        ticket, ends, name, mac = parts
        if not (ends.isascii() and ends.isdigit() and len(ends) < 16):
            return None
        is_ours = hmac.compare_digest(mac.encode(), self._mac("session", ticket, ends, name).encode())
        stands = is_ours and int(ends) > self._now() and name not in self._sessions_left()
        return ticket if stands else None

    def leave(self, cookie: str | None) -> None:
        """End a session before its time, in every worker of the home."""
        if cookie is None or self.ticket(cookie) is None:
            return
        _, ends, name, _ = cookie.split(".")
        left = {name: ends for name, ends in self._sessions_left().items() if int(ends) > self._now()}
        write_private(self._left, json.dumps(left | {name: ends}))

    def _sessions_left(self) -> dict[str, str]:
        """Sessions that somebody left, with when they would have ended."""
        try:
            return dict(json.loads(self._left.read_text("ascii")))
        except FileNotFoundError:
            return {}

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def form_word(self, cookie: str) -> str:
        """The word that forms of this session carry."""
        return self._mac("form", cookie)

    def check_form(self, request: Request, word: str | None, *, word_wanted: bool) -> None:
        """Raise ForeignForm unless a page of this origin sent the form, with the session's word where it is wanted.

        Browsers say in Sec-Fetch-Site where a request comes from; older ones name the Origin of every form.
        """
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        own = f"{request.url.scheme}://{request.headers.get('host', '')}"
        if site != "same-origin" if site is not None else origin != own:
            raise ForeignForm("the form was not sent by a page of this console", todo="open the page again",
                              zh="这份表单不是由本控制台的页面提交的，请重新打开页面")  # fmt: skip
        expected = self.form_word(request.cookies.get(COOKIE, ""))
        if word_wanted and not hmac.compare_digest((word or "").encode(), expected.encode()):
            raise ForeignForm("the form belongs to another session", todo="open the page again",
                              zh="这份表单属于另一次登录，请重新打开页面")  # fmt: skip

    def invite(self) -> str:
        """A word that opens one session once; a later invitation takes its place."""
        self._invitation = secrets.token_urlsafe(24)
        return self._invitation

    def accepts(self, word: str) -> bool:
        """Whether the word is the invitation that still stands."""
        return self._invitation is not None and hmac.compare_digest(word.encode(), self._invitation.encode())

    def spend(self, word: str) -> bool:
        """Whether the invitation stood; it stands no longer."""
        stood = self.accepts(word)
        if stood:
            self._invitation = None
        return stood

    def _mac(self, *parts: str) -> str:
        return hmac.new(self._secret(), "\n".join(parts).encode(), hashlib.sha256).hexdigest()

    def _secret(self) -> bytes:
        """The home's secret, made at its first use by whichever worker comes first."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._path.with_name(f".{self._path.name}.{os.getpid()}.{secrets.token_hex(4)}")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_SECRET_BYTES))
            try:
                os.link(draft, self._path)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
            return self._path.read_bytes()
