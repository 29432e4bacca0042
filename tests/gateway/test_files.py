"""Blobs, uploads and an agent's pages, through the real gateway."""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.stage import Stage, eventually, give_back, make_stage
from tests.gateway.web import Web, web_of

pytestmark = pytest.mark.bubblewrap
PICTURE = bytes(range(256)) * 400
ABOVE = [
    "..",
    "%2e%2e",
    "a/../../x",
    "..%2fx",
    ".ploinky/.secrets",
    ".Ploinky/x",
    "a//b",
    "a/.",
    "%00",
    "a\\b",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A workspace whose echo agent has pages; small limits, so that they can be reached."""
    runtime = Path(tempfile.mkdtemp(prefix="pf-", dir="/tmp"))
    stage = make_stage(tmp_path_factory.mktemp("files"), runtime)
    settings = json.loads(stage.layout.config_file.read_text())
    settings["blobs"] = {"eachBytes": 300_000, "totalBytes": 500_000}
    settings["gateway"]["maxUploadBytes"] = 200_000
    stage.layout.config_file.write_text(json.dumps(settings))
    site = stage.layout.repo("crew") / "echo" / "code" / "site"
    (site / "deep").mkdir(parents=True)
    (site / "index.html").write_text("<!doctype html><title>Harbour</title>")
    (site / "deep" / "app.js").write_text("export const tide = 1")
    (site / ".hidden").write_text("no")
    (site / "out").symlink_to(stage.root)
    stage.run("start", "echo")
    yield stage
    give_back(stage)
    shutil.rmtree(runtime)


@pytest.fixture(scope="module")
def web(place: Stage) -> Web:
    return web_of(place)


@pytest.fixture(scope="module")
def guest(place: Stage, web: Web) -> Web:
    """Somebody with a token of their own, who is not the owner."""
    return Web(web.host, web.port, place.run("token", "create", "guest").out.strip())


def add(web: Web, data: bytes, **headers: str) -> str:
    answer = web.send("POST", "/blobs", data, headers)
    assert answer.status == 201, answer.body
    assert answer.headers["location"] == answer.json["url"]
    url: str = answer.json["url"]
    return url


def blob_files(place: Stage) -> list[str]:
    return sorted(path.name for path in place.layout.blobs.glob("*"))


def test_a_blob_comes_back_as_it_was_with_its_name_and_type(web: Web, place: Stage) -> None:
    answer = web.send(
        "POST",
        "/blobs",
        PICTURE,
        {"content-type": "image/png", "x-filename": "..%2Fh%C3%A4fen%20%22x%22.png"},
    )
    facts = answer.json
    assert facts["name"] == 'häfen "x".png'
    assert (facts["size"], facts["type"], facts["owner"]) == (len(PICTURE), "image/png", "owner")
    assert facts["sha256"] == hashlib.sha256(PICTURE).hexdigest()
    back = web.send("GET", facts["url"])
    assert (back.status, back.body) == (200, PICTURE)
    assert back.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in back.headers["content-security-policy"]
    assert back.headers["x-content-type-options"] == "nosniff"
    head = web.send("HEAD", facts["url"])
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(PICTURE)))
    assert (place.layout.blobs / facts["id"]).stat().st_mode & 0o077 == 0
    assert web.send("GET", facts["url"], headers={"if-none-match": back.headers["etag"]}).status == 304
    assert web.send("DELETE", facts["url"]).status == 204


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=100-299", 206, 100, 300),
        ("bytes=102300-", 206, 102300, 102400),
        ("bytes=-10", 206, 102390, 102400),
        ("bytes=0-999999", 206, 0, 102400),
        ("bytes=5-2", 200, 0, 102400),
        ("bytes=0-1,4-5", 200, 0, 102400),
        ("lines=0-1", 200, 0, 102400),
        ("bytes=102400-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
    ],
)
def test_a_part_of_a_blob_can_be_fetched(web: Web, asked: str, status: int, start: int, end: int) -> None:
    url = add(web, PICTURE)
    answer = web.send("GET", url, headers={"range": asked})
    assert answer.status == status
    if status == 206:
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(PICTURE)}"
    if status == 416:
        assert answer.headers["content-range"] == f"bytes */{len(PICTURE)}"
    else:
        assert answer.body == PICTURE[start:end]
    assert web.send("DELETE", url).status == 204


def test_a_changed_blob_is_never_pieced_together(web: Web) -> None:
    url = add(web, b"old and gone")
    answer = web.send("GET", url, headers={"range": "bytes=0-2", "if-range": '"another"'})
    assert (answer.status, answer.body) == (200, b"old and gone")
    web.send("DELETE", url)


def test_blobs_have_a_quota_and_what_is_over_it_leaves_nothing(web: Web, place: Stage) -> None:
    before = blob_files(place)
    urls = [add(web, bytes(240_000)), add(web, bytes(240_000))]
    full = web.send("POST", "/blobs", bytes(100_000))
    assert full.status == 507
    assert b"DELETE /blobs/<id>" in full.body
    assert web.send("POST", "/blobs", bytes(300_001)).status == 413
    for url in urls:
        web.send("DELETE", url)
    assert blob_files(place) == before


def test_an_upload_that_breaks_off_leaves_nothing(web: Web, place: Stage) -> None:
    before = blob_files(place)
    with socket.create_connection((web.host, web.port), timeout=10) as line:
        head = f"POST /blobs HTTP/1.1\r\nhost: {web.host}:{web.port}\r\nauthorization: Bearer {web.token}\r\n"
        line.sendall(f"{head}content-length: 1000\r\n\r\nbeginning".encode())
        eventually(lambda: len(blob_files(place)) > len(before), "the upload to begin")
    eventually(lambda: blob_files(place) == before, "the upload to be forgotten")


def test_a_guest_reads_what_it_is_told_of_and_deletes_only_its_own(web: Web, guest: Web) -> None:
    theirs, own = add(web, b"the owner's"), add(guest, b"the guest's")
    assert guest.send("GET", theirs).body == b"the owner's"
    assert guest.send("DELETE", theirs).status == 403
    assert guest.send("GET", "/blobs").status == 403
    listed = {blob["url"]: blob["owner"] for blob in web.send("GET", "/blobs").json["blobs"]}
    assert (listed[theirs], listed[own]) == ("owner", "client:guest")
    assert guest.send("DELETE", own).status == 204
    assert web.send("DELETE", theirs).status == 204


def test_nobody_comes_to_blobs_or_uploads_without_a_token(web: Web) -> None:
    nobody = Web(web.host, web.port)
    assert nobody.send("POST", "/blobs", b"x").status == 401
    assert nobody.send("GET", f"/blobs/{'0' * 32}").status == 401
    assert nobody.send("PUT", "/upload/x", b"x").status == 401


@pytest.mark.parametrize("name", ["..", "%2e%2e%2fconfig.json", "0" * 31, "0" * 32, "x" * 32, "a/b"])
def test_no_path_leads_out_of_the_blobs(web: Web, name: str) -> None:
    assert web.send("GET", f"/blobs/{name}").status == 404


def test_an_upload_appears_in_the_workspace(web: Web, place: Stage) -> None:
    answer = web.send("PUT", "/upload/reports/2026/tide%20table.csv", b"a,b\n")
    assert (answer.status, answer.json) == (201, {"path": "reports/2026/tide table.csv", "size": 4})
    target = place.root / "reports" / "2026" / "tide table.csv"
    assert target.read_bytes() == b"a,b\n"
    assert web.send("PUT", "/upload/reports/2026/tide%20table.csv", b"other").status == 409
    assert target.read_bytes() == b"a,b\n"
    assert web.send("PUT", "/upload/reports/2026/tide%20table.csv?overwrite=true", b"other").status == 201
    assert target.read_bytes() == b"other"
    assert web.send("PUT", "/upload/reports/big", bytes(200_001)).status == 413
    assert sorted(path.name for path in (place.root / "reports").rglob("*")) == ["2026", "tide table.csv"]


@pytest.mark.parametrize("path", ABOVE)
def test_no_upload_leaves_the_workspace_or_enters_what_controls_it(web: Web, place: Stage, path: str) -> None:
    before = sorted(place.root.parent.rglob("*"))
    assert web.send("PUT", f"/upload/{path}", b"x").status in (400, 403)
    assert sorted(place.root.parent.rglob("*")) == before


def test_no_upload_goes_through_a_link(web: Web, place: Stage, tmp_path: Path) -> None:
    (place.root / "elsewhere").symlink_to(tmp_path)
    (tmp_path / "kept").write_text("kept")
    (place.root / "file-link").symlink_to(tmp_path / "kept")
    assert web.send("PUT", "/upload/elsewhere/x", b"x").status == 400
    assert web.send("PUT", "/upload/elsewhere/a/b", b"x").status == 400
    assert web.send("PUT", "/upload/file-link", b"x").status == 409
    assert web.send("PUT", "/upload/file-link?overwrite=true", b"new").status == 201  # the link is replaced
    assert (tmp_path / "kept").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]


def test_only_the_owner_uploads(guest: Web) -> None:
    assert guest.send("PUT", "/upload/x", b"x").status == 403


def test_an_agents_pages_are_shown_to_anyone_and_in_nobodys_name(web: Web) -> None:
    nobody = Web(web.host, web.port)
    page = nobody.send("GET", "/site/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "allow-same-origin" not in policy
    script = nobody.send("GET", "/site/deep/app.js")
    assert (script.body, script.headers["content-type"]) == (
        b"export const tide = 1",
        "text/javascript; charset=utf-8",
    )
    assert nobody.send("GET", "/site").headers["location"] == "/site/"
    assert nobody.send("GET", "/site/", headers={"if-none-match": page.headers["etag"]}).status == 304
    assert nobody.send("POST", "/site/", b"x").status == 405


@pytest.mark.parametrize(
    "path",
    [
        "../manifest.json",
        "%2e%2e/manifest.json",
        ".hidden",
        "out/.ploinky/config.json",
        "out/a",
        "deep",
        "no",
        "%00",
    ],
)
def test_nothing_but_the_pages_is_shown(web: Web, path: str) -> None:
    connection = http.client.HTTPConnection(web.host, web.port, timeout=20)
    connection.putrequest("GET", f"/site/{path}", skip_host=True)
    connection.putheader("host", f"{web.host}:{web.port}")
    connection.endheaders()
    assert connection.getresponse().status == 404
    connection.close()


def test_a_broken_upload_of_a_former_gateway_is_swept_away(place: Stage, web: Web) -> None:
    url = add(web, b"stays")
    (place.layout.blobs / ("1" * 32)).write_bytes(b"without facts")
    (place.layout.blobs / ("2" * 32 + ".part")).write_bytes(b"half")
    place.run("restart", "router")
    again = web_of(place)
    assert again.send("GET", url).body == b"stays"
    assert not [name for name in blob_files(place) if name.startswith(("1" * 32, "2" * 32))]
    assert again.send("DELETE", url).status == 204
