"""A client of the gateway's web face for tests: RPC and events over plain HTTP, with the owner's token."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ploinky.operations.endpoint import owner_token
from tests.cli.stage import Stage


@dataclass(frozen=True)
class WebAnswer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Web:
    """One gateway; ``token`` empty: nobody."""

    host: str
    port: int
    token: str = ""

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> WebAnswer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request(method, path, body, {**self.authorization, **(headers or {})})
            answer = connection.getresponse()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return WebAnswer(answer.status, fields, answer.read())
        finally:
            connection.close()

    def post(self, value: Any, **headers: str) -> WebAnswer:
        """POST ``value`` (bytes as they are, all else as JSON) to ``/rpc``."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.send("POST", "/rpc", body, {"content-type": "application/json", **headers})

    def ask(self, method: str, **params: Any) -> Any:
        """The whole answer to one call."""
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = self.post(call)
        assert answer.status == 200, answer.body
        assert answer.json["id"] == 1
        return answer.json

    def call(self, method: str, **params: Any) -> Any:
        """The result of one call that ends well."""
        answer = self.ask(method, **params)
        assert "result" in answer, answer
        return answer["result"]

    def error(self, method: str, **params: Any) -> Any:
        """The error of one call that fails."""
        answer = self.ask(method, **params)
        assert "error" in answer, answer
        return answer["error"]

    @contextmanager
    def events(self, query: str = "", after: str | None = None) -> Iterator[Iterator[tuple[str, Any]]]:
        """Events as (id, value); they end with the connection."""
        headers = {**self.authorization, **({"last-event-id": after} if after else {})}
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request("GET", f"/events{query}", headers=headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            assert answer.getheader("content-type") == "text/event-stream"
            assert answer.readline().startswith(b"retry:")  # from now on nothing is missed
            yield _parsed(answer)
        finally:
            connection.close()

    @property
    def authorization(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"} if self.token else {}


def web_of(stage: Stage) -> Web:
    """The gateway of a stage, as its owner."""
    found = stage.endpoint
    return Web(found.host, found.port, owner_token(stage.layout) or "")


def _parsed(answer: http.client.HTTPResponse) -> Iterator[tuple[str, Any]]:
    event_id, data = "", ""
    while line := answer.readline():
        text = line.decode().rstrip("\n")
        if text.startswith("id: "):
            event_id = text[4:]
        elif text.startswith("data: "):
            data = text[6:]
        elif not text and data:
            yield event_id, json.loads(data)
            event_id, data = "", ""
