"""Who a token belongs to: the owner's, the agents' signed ones and the clients', as the router wants them."""

from __future__ import annotations

from ploinky.router.callers import OWNER, Caller, CallerKind
from ploinky.secrets.client_tokens import ClientToken, ClientTokens
from ploinky.secrets.tokens import OwnerToken, TokenSigner


class Verifier:
    """The workspace's ``TokenVerifier``."""

    def __init__(self, owner: OwnerToken, signer: TokenSigner, clients: ClientTokens) -> None:
        self._owner = owner
        self._signer = signer
        self._clients = clients

    def verify(self, token: str) -> Caller | None:
        if self._owner.verify(token):
            return OWNER
        client = self._clients.verify(token)
        if client is not None:
            return _client(client)
        known = self._signer.verify(token)
        return None if known is None else Caller(CallerKind.AGENT, known.agent)

    def act_as(self, name: str) -> Caller | None:
        kind, _, who = name.partition(":")
        if kind == CallerKind.ASSISTANT and who:
            return Caller(CallerKind.ASSISTANT, who)
        known = self._clients.find(who) if kind == CallerKind.CLIENT else None
        return None if known is None else _client(known)


def _client(token: ClientToken) -> Caller:
    return Caller(CallerKind.CLIENT, token.name, frozenset(token.scopes), token.agents)
