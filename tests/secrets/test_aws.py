"""Secrets that lie in AWS Secrets Manager, tried on moto's server by botocore."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from moto.server import ThreadedMotoServer

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject
from ploinky.secrets.sources import SourceKind
from ploinky.secrets.stores import SecretStores
from ploinky.workspace.layout import Layout

ENVIRON = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing-secret-key",
    "AWS_REGION": "eu-central-1",
}
MANY = [f"NAME_{number:02}" for number in range(45)]
WITHOUT_BOTOCORE = """
import json, sys
from pathlib import Path
sys.modules["botocore"] = None
from ploinky.base.errors import PloinkyError
from ploinky.secrets.stores import SecretStores
from ploinky.workspace.layout import Layout
try:
    SecretStores(Layout(Path(sys.argv[1])), {}, lambda: json.loads(sys.argv[2])).sources("prod").find("X")
except PloinkyError as error:
    print(error.code, error.hint)
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client: Any = botocore.session.get_session().create_client(
        "secretsmanager",
        region_name="eu-central-1",
        endpoint_url=address,
        aws_access_key_id="testing",
        aws_secret_access_key="testing-secret-key",
    )
    whole = {"DB_PASSWORD": "prod-4711", "PORT": 5432}
    client.create_secret(Name="shop/prod", SecretString=json.dumps(whole))
    client.create_secret(Name="shop/text", SecretString="no object")
    for name in MANY:
        client.create_secret(Name=f"each/prod/{name}", SecretString=f"value of {name}")
    yield address
    server.stop()


def stores(layout: Layout, endpoint: str, environ: dict[str, str] = ENVIRON, **changes: str) -> SecretStores:
    store: JsonObject = {"type": "aws", "endpoint": endpoint, **changes}
    return SecretStores(layout, environ, lambda: {"stores": [store], "timeoutSeconds": 20})


def test_one_secret_holds_the_values_of_a_profile(layout: Layout, endpoint: str) -> None:
    sources = stores(layout, endpoint, secret="shop/{profile}").sources("prod")
    found = sources.find("DB_PASSWORD")
    assert found is not None
    assert (found.value, found.source) == ("prod-4711", SourceKind.AWS)
    assert sources.served_by(frozenset({found.source})) == "aws"
    port = sources.find("PORT")
    assert port is not None
    assert port.value == "5432"
    assert sources.find("OTHER") is None
    assert stores(layout, endpoint, secret="shop/{profile}").sources("dev").find("DB_PASSWORD") is None


def test_each_name_may_have_a_secret_of_its_own(layout: Layout, endpoint: str) -> None:
    sources = stores(layout, endpoint, prefix="each/{profile}/").sources("prod")
    sources.prefetch([*MANY, "NOT_THERE"])
    values = [found.value for name in MANY if (found := sources.find(name))]
    assert values == [f"value of {name}" for name in MANY]
    assert sources.find("NOT_THERE") is None


def test_what_is_wrong_is_told_without_a_value(layout: Layout, endpoint: str) -> None:
    with pytest.raises(PloinkyError, match="no JSON object") as caught:
        stores(layout, endpoint, secret="shop/text").sources("prod").find("X")
    assert caught.value.code == "SECRETS_STORE_REFUSED"
    away = stores(layout, "http://127.0.0.1:9", secret="shop/prod")
    with pytest.raises(PloinkyError) as caught:
        away.sources("prod").find("X")
    assert caught.value.code == "SECRETS_STORE_UNREACHABLE"
    for both in ({}, {"secret": "a", "prefix": "b"}):
        with pytest.raises(PloinkyError, match="either 'secret' or 'prefix'"):
            stores(layout, endpoint, ENVIRON, **both).sources("prod")


def test_without_the_extra_the_way_to_install_it_is_told(layout: Layout) -> None:
    config = {"stores": [{"type": "aws", "secret": "x"}]}
    argv = [sys.executable, "-c", WITHOUT_BOTOCORE, str(layout.root), json.dumps(config)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True, cwd=Path("/"))
    assert done.stdout.strip() == "EXTRA_MISSING Install it: pip install 'ploinky[aws]'"
