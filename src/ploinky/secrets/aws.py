"""AWS Secrets Manager, by botocore (the optional extra ``aws``).

Asks for one secret that holds a JSON object, or for a secret per name in batches of twenty. Who we are is
found as every AWS tool does: variables, profile, role. botocore blocks, so it runs in a thread.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import anyio.to_thread

from ploinky.base.errors import PloinkyError
from ploinky.secrets.remote import Reach, unreachable
from ploinky.secrets.remote_settings import PROFILE_MARK, AwsSettings
from ploinky.secrets.sources import SourceKind

_BATCH = 20
_ABSENT = frozenset({"ResourceNotFoundException"})
_DENIED = frozenset(
    {
        "AccessDeniedException",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "ExpiredTokenException",
        "InvalidSignatureException",
        "IncompleteSignature",
        "DecryptionFailure",
    }
)


class AwsSecretsManager:
    """One secret, or the secrets of one prefix, in one region."""

    kind = SourceKind.AWS

    def __init__(self, settings: AwsSettings, reach: Reach) -> None:
        self._settings = settings
        self._reach = reach

    async def fetch(self, profile: str, names: frozenset[str]) -> Mapping[str, str]:
        return await anyio.to_thread.run_sync(self._fetch, profile, names, abandon_on_cancel=True)

    def _fetch(self, profile: str, names: frozenset[str]) -> Mapping[str, str]:
        exceptions = _require_botocore()
        try:
            client = self._client()
            if self._settings.secret is not None:
                return self._from_one(client, self._settings.secret.replace(PROFILE_MARK, profile), names)
            assert self._settings.prefix is not None
            return self._from_many(client, self._settings.prefix.replace(PROFILE_MARK, profile), names)
        except exceptions.ClientError as error:
            raise _refused(str(error.response.get("Error", {}).get("Code", "unknown"))) from None
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
            raise _denied("there are no credentials") from None
        except (exceptions.BotoCoreError, exceptions.HTTPClientError) as error:
            raise unreachable(self.kind.value, type(error).__name__) from None

    def _client(self) -> Any:
        import botocore.session
        from botocore.config import Config

        environ, seconds = self._reach.environ, self._reach.timeout_s
        session = botocore.session.Session(profile=environ.get("AWS_PROFILE"))
        return session.create_client(
            "secretsmanager",
            region_name=self._settings.region
            or environ.get("AWS_REGION")
            or environ.get("AWS_DEFAULT_REGION"),
            endpoint_url=self._settings.endpoint,
            aws_access_key_id=environ.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=environ.get("AWS_SESSION_TOKEN"),
            config=Config(connect_timeout=seconds / 2, read_timeout=seconds, retries={"max_attempts": 1}),
        )

    def _from_one(self, client: Any, secret: str, names: frozenset[str]) -> Mapping[str, str]:
        try:
            answer = client.get_secret_value(SecretId=secret)
        except client.exceptions.ResourceNotFoundException:
            return {}
        try:
            values = json.loads(answer.get("SecretString", ""))
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise PloinkyError(
                "SECRETS_STORE_REFUSED",
                f"The secret {secret} of AWS Secrets Manager holds no JSON object.",
                hint='Store {"NAME": "value", ...} in it, or use "prefix" for a secret per name.',
            )
        return {
            name: values[name] if isinstance(values[name], str) else json.dumps(values[name])
            for name in names
            if values.get(name) is not None
        }

    def _from_many(self, client: Any, prefix: str, names: frozenset[str]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for batch in _batches(sorted(names)):
            answer = client.batch_get_secret_value(SecretIdList=[prefix + name for name in batch])
            for fault in answer.get("Errors", ()):
                if fault.get("ErrorCode") not in _ABSENT:
                    raise _refused(str(fault.get("ErrorCode")))
            for each in answer.get("SecretValues", ()):
                name = str(each["Name"]).removeprefix(prefix)
                if name in names and "SecretString" in each:
                    found[name] = each["SecretString"]
        return found


def _batches(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _BATCH):
        yield names[start : start + _BATCH]


def _require_botocore() -> Any:
    try:
        import botocore.exceptions
    except ImportError:
        raise PloinkyError(
            "EXTRA_MISSING",
            "AWS Secrets Manager is configured, and botocore is not installed.",
            hint="Install it: pip install 'ploinky[aws]'",
        ) from None
    return botocore.exceptions


def _refused(code: str) -> PloinkyError:
    if code in _DENIED:
        return _denied(code)
    return PloinkyError(
        "SECRETS_STORE_REFUSED",
        f"AWS Secrets Manager refused: {code}.",
        hint="See region, secret and prefix in .ploinky/config.json under secrets.stores.",
    )


def _denied(reason: str) -> PloinkyError:
    return PloinkyError(
        "SECRETS_STORE_DENIED",
        f"AWS Secrets Manager did not let us in: {reason}.",
        hint="See that credentials are set (aws sts get-caller-identity) and that their policy allows"
        " secretsmanager:GetSecretValue and BatchGetSecretValue.",
    )
