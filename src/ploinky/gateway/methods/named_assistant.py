"""What the rows of assistants share: how a request names one, and its session."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ploinky.assistants.assistant import Assistant
from ploinky.assistants.sessions import MAX_SESSION_ID, ChannelKind, Session, require_session_id
from ploinky.gateway.rpc.method import Call, Params

ProfileId = Annotated[str, Field(min_length=1, max_length=64)]
SessionId = Annotated[str, Field(min_length=1, max_length=MAX_SESSION_ID)]


class OfAssistant(Params):
    """``profileId``: which assistant; left out, the first configured. An unknown one is an error."""

    profile_id: ProfileId | None = None


class OfSession(OfAssistant):
    """``sessionId``: which conversation; any text."""

    session_id: SessionId


class SessionParams(OfSession):
    """A session with where it comes from."""

    channel_id: str | None = None
    channel_kind: Annotated[ChannelKind, Field(strict=False)] = ChannelKind.WEB
    user_id: str | None = None

    def session(self) -> Session:
        return Session(require_session_id(self.session_id), self.channel_kind, self.channel_id, self.user_id)


def assistant_of(call: Call, params: OfAssistant) -> Assistant:
    """Raises NotFoundError ``NO_ASSISTANT``."""
    return call.services.household.require(params.profile_id)
