"""A connection to OBS Studio through obs-websocket, protocol 5.

The protocol: https://github.com/obsproject/obs-websocket/blob/master/docs/generated/protocol.md
"""

import base64
import hashlib
import itertools
import json
import logging
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import websocket

from acpilot.clock import NS, now
from acpilot.errors import AcpilotError

_log = logging.getLogger(__name__)

OUTPUT_EVENTS = 1 << 6
"""Subscription to the events of recording and streaming."""
SETUP_EVENTS = 1 << 1
"""Subscription to the events of profiles and scene collections."""
_RPC_VERSION = 1
_SERIAL_FRAME = 1
_HELLO, _IDENTIFY, _IDENTIFIED, _EVENT, _REQUEST, _RESPONSE, _BATCH, _BATCH_RESPONSE = 0, 1, 2, 5, 6, 7, 8, 9
_WRONG_PASSWORD, _UNSUPPORTED_RPC = 4009, 4010


class ObsError(AcpilotError):
    """OBS cannot be reached or refuses something."""


class ConnectionLostError(ObsError):
    """The connection broke, or OBS did not answer in time."""

    def __init__(self, message: str, close_code: int | None = None) -> None:
        super().__init__(message)
        self.close_code = close_code
        """With which OBS closed the connection, if it said so."""


class RequestRefusedError(ObsError):
    """OBS answered a request with an error."""

    def __init__(self, request: str, code: int, comment: str) -> None:
        super().__init__(f"OBS refused {request} (code {code}{': ' + comment if comment else ''})")
        self.code = code


class RecordingEndedError(ObsError):
    """OBS records no more, and was not asked to stop."""


@dataclass(frozen=True)
class Address:
    """Where OBS listens, and its password. The password is left out of every representation."""

    host: str = "localhost"
    port: int = 4455
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether it is this machine, whose clock and folders OBS then shares."""
        if self.host in {"localhost", "::1"} or self.host.startswith("127."):
            return True
        try:
            found = {info[4][0] for info in socket.getaddrinfo(self.host, self.port)}
            own = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), self.port)}
        except OSError:
            return False
        return bool(found & own)


class Connection:
    """One websocket to OBS; a context manager. Use it in one thread at a time.

    Raises:
        ObsError: OBS is not there, speaks another protocol or wants another password; the message says which and
            what to do.
    """

    def __init__(self, address: Address, *, events: int = 0, timeout: float = 10.0) -> None:
        self.address, self.timeout = address, timeout
        self._numbers = itertools.count(1)
        self._events: deque[tuple[int, dict[str, Any]]] = deque()  # that came while an answer was waited for
        self._socket = self._open()
        try:
            self._identify(events)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; may be called twice, and from another thread to wake one that waits."""
        with suppress(OSError, websocket.WebSocketException):
            self._socket.shutdown()  # type: ignore[no-untyped-call]

    def request(self, kind: str, **data: Any) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            RequestRefusedError: OBS answered with an error.
            ConnectionLostError: no answer.
        """
        number = str(next(self._numbers))
        _log.debug("%s %s", kind, data)
        self._send(_REQUEST, {"requestType": kind, "requestId": number, "requestData": data})
        answer = self._wait_for(_RESPONSE, number, kind)
        status = answer["requestStatus"]
        if not status["result"]:
            _log.debug("%s refused: %s", kind, status)
            raise RequestRefusedError(kind, status["code"], status.get("comment", ""))
        return answer.get("responseData") or {}

    def at_next_tick(self, kind: str) -> tuple[int, dict[str, Any]]:
        """Have OBS run a request at the next tick of its video clock: the instant of the answer's arrival, and it.

        Raises:
            ConnectionLostError: no answer.
        """
        number = str(next(self._numbers))
        requests = [{"requestType": kind}]
        self._send(_BATCH, {"requestId": number, "executionType": _SERIAL_FRAME, "requests": requests})
        answer = self._wait_for(_BATCH_RESPONSE, number, kind)
        return self._arrival, answer["results"][0]["responseData"]

    def next_event(self, timeout: float) -> tuple[int, str, dict[str, Any]] | None:
        """Wait for an event: instant of its arrival, its kind and its data; None when there was none in time.

        Raises:
            ConnectionLostError: the connection broke.
        """
        if not self._events:
            self._keep_event(self._receive(timeout))
        if not self._events:
            return None
        arrival, data = self._events.popleft()
        _log.debug("event %s %s", data["eventType"], data.get("eventData"))
        return arrival, data["eventType"], data.get("eventData") or {}

    def _open(self) -> websocket.WebSocket:
        host = f"[{self.address.host}]" if ":" in self.address.host else self.address.host
        try:
            return websocket.create_connection(
                f"ws://{host}:{self.address.port}",
                timeout=self.timeout,
                http_no_proxy=["*"],
                sockopt=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            )
        except ConnectionRefusedError:
            raise ObsError(
                f"nothing answers at {self.address}: start OBS Studio and tick 'Enable WebSocket server' under "
                "Tools > WebSocket Server Settings (OBS 28 or newer), or give the right --obs-host and --obs-port"
            ) from None
        except (socket.gaierror, UnicodeError, websocket.WebSocketAddressException):
            raise ObsError(f"there is no machine named {self.address.host!r}: check --obs-host") from None
        except (TimeoutError, websocket.WebSocketTimeoutException):
            raise ObsError(
                f"OBS at {self.address} does not answer: is the machine on, and does its firewall let port "
                f"{self.address.port} through?"
            ) from None
        except (OSError, websocket.WebSocketException) as error:
            raise ObsError(
                f"what listens at {self.address} is not obs-websocket ({_first_line(error)}): check --obs-port"
            ) from None

    def _identify(self, events: int) -> None:
        try:
            hello = self._receive(self.timeout)
        except ConnectionLostError:
            hello = None
        if hello is None or hello.get("op") != _HELLO:
            raise ObsError(
                f"what listens at {self.address} does not speak protocol 5 of obs-websocket (port 4444 was that of "
                "protocol 4): update OBS Studio to 28 or newer, and use its port, 4455 by default"
            )
        data: dict[str, Any] = hello["d"]
        identify: dict[str, Any] = {"rpcVersion": _RPC_VERSION, "eventSubscriptions": events}
        if challenge := data.get("authentication"):
            if not self.address.password:
                raise ObsError(
                    f"OBS at {self.address} asks for a password: set OBS_PASSWORD in the environment, or write "
                    "it into the file that acpilot doctor names (OBS shows it under Tools > WebSocket Server Settings)"
                )
            identify["authentication"] = _answer(self.address.password, challenge["salt"], challenge["challenge"])
        self._send(_IDENTIFY, identify)
        try:
            while (reply := self._receive(self.timeout)) is not None and reply.get("op") != _IDENTIFIED:
                pass
        except ConnectionLostError as lost:
            if lost.close_code == _WRONG_PASSWORD:
                raise ObsError(
                    f"OBS at {self.address} does not take the password: look it up in OBS under Tools > WebSocket "
                    "Server Settings > Show Connect Info"
                ) from None
            if lost.close_code == _UNSUPPORTED_RPC:
                raise ObsError(
                    f"OBS at {self.address} (obs-websocket {data.get('obsWebSocketVersion')}) does not speak version "
                    f"{_RPC_VERSION} of the protocol: use OBS Studio 28 or newer"
                ) from None
            raise
        if reply is None:
            raise ObsError(f"OBS at {self.address} does not answer: restart it")

    def _send(self, op: int, data: dict[str, Any]) -> None:
        try:
            self._socket.send(json.dumps({"op": op, "d": data}))
        except (OSError, websocket.WebSocketException) as error:
            raise ConnectionLostError(f"the connection to OBS at {self.address} broke: {_first_line(error)}") from None

    def _wait_for(self, op: int, number: str, kind: str) -> dict[str, Any]:
        deadline = now() + round(self.timeout * NS)
        while (remaining := (deadline - now()) / NS) > 0:
            message = self._receive(remaining)
            if message is not None and message["op"] == op and message["d"]["requestId"] == number:
                answer: dict[str, Any] = message["d"]
                return answer
            self._keep_event(message)
        raise ConnectionLostError(
            f"OBS at {self.address} did not answer {kind} within {self.timeout:g} s: does it show a dialog?"
        )

    def _keep_event(self, message: dict[str, Any] | None) -> None:
        if message is not None and message["op"] == _EVENT:
            self._events.append((self._arrival, message["d"]))

    def _receive(self, timeout: float) -> dict[str, Any] | None:
        """The next message, or None; ``_arrival`` is its instant."""
        self._socket.settimeout(max(timeout, 0.001))
        try:
            op, raw = self._socket.recv_data()
        except websocket.WebSocketTimeoutException:
            return None
        except (OSError, websocket.WebSocketException) as error:
            raise ConnectionLostError(f"the connection to OBS at {self.address} broke: {_first_line(error)}") from None
        self._arrival = now()
        if op == websocket.ABNF.OPCODE_CLOSE:
            raise ConnectionLostError(f"OBS at {self.address} closed the connection", int.from_bytes(raw[:2], "big"))
        try:
            message = json.loads(raw)
        except ValueError:
            return None
        return message if isinstance(message, dict) else None


def _answer(password: str, salt: str, challenge: str) -> str:
    secret = base64.b64encode(hashlib.sha256((password + salt).encode()).digest()).decode()
    return base64.b64encode(hashlib.sha256((secret + challenge).encode()).digest()).decode()


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
