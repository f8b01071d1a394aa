"""Which object speaks for a model, and the account behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bot.catalogue.catalogue import ChatModel, ChatProtocol
from bot.catalogue.media import PROVIDER_PROTOCOLS, MediaModel, MediaProtocol
from bot.errors import AnswerMalformed, ModelNotFound
from bot.providers.base import ChatProvider, MediaProvider, ProviderBalance
from bot.providers.chat_completions import ChatCompletions
from bot.providers.http import ProviderHttp
from bot.providers.openai_video import OpenAIVideo
from bot.providers.responses import Responses
from bot.providers.tasks import Tasks
from bot.providers.wire import as_amount, as_mapping

_PROTOCOLS: Mapping[ChatProtocol, Callable[[ProviderHttp], ChatProvider]] = {
    ChatProtocol.RESPONSES: Responses,
    ChatProtocol.CHAT_COMPLETIONS: ChatCompletions,
}

_MEDIA_PROTOCOLS: Mapping[MediaProtocol, Callable[[ProviderHttp], MediaProvider]] = {
    MediaProtocol.TASKS: Tasks,
    MediaProtocol.OPENAI_VIDEO: OpenAIVideo,
}


class ChatProviders:
    """Every chat protocol over one provider's host."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http
        self._by_protocol = {protocol: make(http) for protocol, make in _PROTOCOLS.items()}

    def for_model(self, model: ChatModel) -> ChatProvider:
        """Return who speaks the model's protocol; the loader knows only providers we have."""
        assert model.provider == self._http.provider, model.id
        return self._by_protocol[model.protocol]

    async def balance(self) -> ProviderBalance:
        """Ask for the operator's account: `GET /credits`, enveloped (providers.md 1.2).

        Amounts are typed integer there while charges are fractional, so any number will do.
        Raises `ProviderError`.
        """
        body = await self._http.get("credits")
        account = as_mapping(body.get("data")) or body
        balance = as_amount(account.get("balance"))
        if balance is None:
            raise AnswerMalformed(provider=self._http.provider, status=200)
        return ProviderBalance(
            balance=balance,
            total_purchased=as_amount(account.get("total_purchased")),
            total_consumed=as_amount(account.get("total_consumed")),
        )


class MediaProviders:
    """Who makes pictures and videos: one host with its key for each provider that is set up."""

    def __init__(self, *hosts: ProviderHttp) -> None:
        self._by_provider = {
            http.provider: _MEDIA_PROTOCOLS[PROVIDER_PROTOCOLS[http.provider]](http)
            for http in hosts
        }

    def available(self, model: MediaModel) -> bool:
        """Say whether the model's provider is set up: without VIDEO_API_KEY its models are off."""
        return model.provider in self._by_provider

    def for_model(self, model: MediaModel) -> MediaProvider:
        """Return who makes it. Raises `ModelNotFound` when its provider is off."""
        return self.for_provider(model.provider, model=model.id)

    def for_provider(self, provider: str, *, model: str | None = None) -> MediaProvider:
        """Return who speaks for a stored job, whose model may have left the catalogue.

        Raises `ModelNotFound` when the provider is off.
        """
        found = self._by_provider.get(provider)
        if found is None:
            raise ModelNotFound(provider=provider, model=model)
        return found
