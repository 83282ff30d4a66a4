"""Who may come in: Host, Origin, token, and limits on sizes and rates."""

import hmac
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection
from http.cookies import CookieError, SimpleCookie
from typing import Literal, NamedTuple
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Requests per second and at once: with the token, and without it. They are counted apart, so that
#: strangers cannot use up what a viewer may ask for.
_RATES = {True: (50.0, 200.0), False: (10.0, 100.0)}
#: Number of addresses whose rates are remembered.
_MOST_ADDRESSES = 256
#: Longest path and query, and longest headers together, in bytes.
_MOST_QUERY, _MOST_HEADERS = 2048, 16_384

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self' {socket}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
#: Whether the page may ask for camera and microphone; nothing else of the browser is used.
_PERMISSIONS = {
    allowed: f"camera=({who}), microphone=({who}), geolocation=(), display-capture=()"
    for allowed, who in ((True, "self"), (False, ""))
}


class Ticket:
    """Opens the page once, in place of the token: the address with which a browser is started can
    be read by everybody on the machine, and the token must not be."""

    def __init__(self) -> None:
        self._word: str | None = None

    def issue(self) -> str:
        """A new ticket; one that was issued before is void."""
        self._word = secrets.token_urlsafe(24)
        return self._word

    def take(self, word: str) -> bool:
        """Whether this is the ticket. It is void from then on."""
        if self._word is None or not hmac.compare_digest(
            word.encode(errors="replace"), self._word.encode()
        ):
            return False
        self._word = None
        return True


class Door(NamedTuple):
    """What a request must have.

    `hosts` are the possible values of the header Host, `origins` those of Origin. `cookie` is the
    name of the cookie with the token; `secure` says whether TLS is used. `ticket` opens the page
    once without the token.
    """

    token: str
    hosts: frozenset[str]
    origins: frozenset[str]
    cookie: str
    secure: bool
    ticket: Ticket


class Refusals:
    """Counts what was refused, by reason."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, reason: str) -> None:
        """Counts a refusal: "host", "origin", "token", "method", "size", "rate", "message",
        "viewers", "picture"."""
        self.counts[reason] += 1


class Rates:
    """How many requests an address may make: a bucket that fills evenly, up to a burst.

    Args:
        clock: seconds, growing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[tuple[str, bool], tuple[float, float]] = OrderedDict()

    def allow(self, address: str, known: bool) -> bool:
        """Whether the address may make one more request. `known`: with the token."""
        rate, burst = _RATES[known]
        now = self._clock()
        left, then = self._buckets.pop((address, known), (burst, now))
        left = min(burst, left + (now - then) * rate)
        allowed = left >= 1
        self._buckets[(address, known)] = (left - 1 if allowed else left, now)
        while len(self._buckets) > _MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return allowed


class Admission:
    """ASGI middleware: refuses what may not come in, and adds the safety headers to all answers.

    Args:
        app: gets what is allowed.
        door: what a request must have.
        refusals: counts the rest.
        rates: limits the number of requests.
        devices: whether the page may ask for camera and microphone.
        posts: the paths that take POST.
    """

    def __init__(
        self,
        app: ASGIApp,
        door: Door,
        refusals: Refusals,
        rates: Rates | None = None,
        *,
        devices: bool = False,
        posts: Collection[str] = (),
    ) -> None:
        self._app = app
        self._door = door
        self._refusals = refusals
        self._rates = rates or Rates()
        self._posts = posts
        self._headers = {**_HEADERS, "permissions-policy": _PERMISSIONS[devices]}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        by_address = any(self._given(scope, name) is not None for name in ("token", "ticket"))
        refusal = self._refusal(scope, headers)
        sets_cookie = refusal is None and by_address and scope["type"] == "http"

        async def answer(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                self._add_headers(message, headers.get("host", ""), sets_cookie)
            await send(message)

        if refusal is None:
            await self._app(scope, receive, answer)
            return
        reason, status, words = refusal
        self._refusals.add(reason)
        response = PlainTextResponse(f"{words}\n", status)
        if scope["type"] == "websocket":
            await receive()
        await response(scope, receive, answer)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[str, int, str] | None:
        """Reason, status and words for what is refused."""
        client = scope.get("client")
        known = self._has_token(scope, headers)
        if not self._rates.allow(client[0] if client else "", known):
            return "rate", 429, "too many requests; wait a moment"
        if headers.getlist("host") != [headers.get("host")] or (
            headers["host"].lower() not in self._door.hosts
        ):
            return "host", 421, "this page is not served under that name"
        if any(origin not in self._door.origins for origin in headers.getlist("origin")):
            return "origin", 403, "pages of other sites may not read this one"
        if scope["type"] == "http" and scope["method"] not in (
            ("GET", "HEAD", "POST") if scope["path"] in self._posts else ("GET", "HEAD")
        ):
            return "method", 405, "there is nothing to change here: only GET"
        if len(scope["raw_path"]) + len(scope["query_string"]) > _MOST_QUERY:
            return "size", 414, "the address is too long"
        if sum(len(name) + len(value) for name, value in headers.raw) > _MOST_HEADERS:
            return "size", 431, "the headers are too long"
        if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
            return "size", 413, "a request may have no body"
        if not known and not self._has_ticket(scope):
            return "token", 403, "take the whole address that the terminal shows: its token is new"
        return None

    def _has_token(self, scope: Scope, headers: Headers) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = [self._given(scope, "token"), bearer if scheme.lower() == "bearer" else None]
        if not any(given):
            given.append(self._cookie(headers))
        expected = self._door.token.encode()
        return any(
            word is not None and hmac.compare_digest(word.encode(errors="replace"), expected)
            for word in given
        )

    def _has_ticket(self, scope: Scope) -> bool:
        """Whether the page is asked for with the ticket, which is void then."""
        given = self._given(scope, "ticket")
        is_page = scope["type"] == "http" and scope["path"] == "/"
        return is_page and given is not None and self._door.ticket.take(given)

    def _given(self, scope: Scope, name: Literal["token", "ticket"]) -> str | None:
        """The token or the ticket in the address."""
        query = scope["query_string"][:_MOST_QUERY].decode("latin-1")
        return next(iter(parse_qs(query).get(name, [])), None)

    def _cookie(self, headers: Headers) -> str | None:
        try:
            cookies = SimpleCookie(headers.get("cookie", "")[:8192])
        except CookieError:
            return None
        morsel = cookies.get(self._door.cookie)
        return None if morsel is None else morsel.value

    def _add_headers(self, message: Message, host: str, sets_cookie: bool) -> None:
        added = MutableHeaders(scope=message)
        scheme = "wss" if self._door.secure else "ws"
        # Not every browser takes 'self' for the socket, too.
        socket = f"{scheme}://{host}" if host.lower() in self._door.hosts else ""
        added["content-security-policy"] = _POLICY.format(socket=socket)
        for name, value in self._headers.items():
            added[name] = value
        if sets_cookie and message.get("status") == 200:
            limits = "Path=/; HttpOnly; SameSite=Strict" + "; Secure" * self._door.secure
            added.append("set-cookie", f"{self._door.cookie}={self._door.token}; {limits}")
