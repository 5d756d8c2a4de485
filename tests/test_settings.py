"""What a client is told when it is made."""

from __future__ import annotations

import copy
import pickle
from typing import Any, cast

import pytest
from support.scripted import ScriptedTransport

from tempmailg import AsyncClient, ConfigurationError
from tempmailg import _settings as settings

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"api_key": None}, "no API key: pass api_key=… or set TEMPMAILG_API_KEY"),
    ({"api_key": ""}, "the API key is empty"),
    ({"api_key": "two words"}, "the API key holds a space"),
    ({"api_key": "key\r\nX-Evil: 1"}, "the API key holds a space, a line end"),
    ({"api_key": "schlüssel"}, "the API key holds"),
    ({"api_key": b"bytes"}, "api_key must be text, not bytes"),
    ({"base_url": "http://example.com/api"}, "base_url must be https"),
    ({"base_url": "ftp://example.com"}, "base_url must be a URL like"),
    ({"base_url": "https://"}, "base_url must be a URL like"),
    ({"base_url": "https://exa mple.com"}, "base_url must be a URL like"),
    ({"base_url": "https://user:pw@example.com"}, "must not hold credentials"),
    ({"base_url": "https://example.com/api?x=1"}, "must end with its path"),
    ({"base_url": "https://example.com/api#x"}, "must end with its path"),
    ({"base_url": "https://example.com:0"}, "base_url must be a URL like"),
    ({"base_url": "https://example.com:x"}, "base_url must be a URL like"),
    ({"base_url": 5}, "base_url must be a URL like"),
    ({"timeout": 0}, "timeout must be a positive number of seconds"),
    ({"timeout": float("inf")}, "timeout must be a positive number of seconds"),
    ({"timeout": "5"}, "timeout must be a positive number of seconds"),
    ({"timeout": True}, "timeout must be a positive number of seconds"),
    ({"max_retries": -1}, "max_retries must be a whole number"),
    ({"max_retries": 1.5}, "max_retries must be a whole number"),
    ({"quota_reserve": -1}, "quota_reserve must be a whole number"),
    ({"user_agent": "a\r\nb"}, "user_agent must be printable"),
    ({"proxy": "proxy.example:3128"}, "proxy must be the URL of an HTTP proxy"),
    ({"proxy": "socks5://user:pw@proxy.example"}, "proxy must be the URL of an HTTP proxy"),
    ({"transport": ScriptedTransport(), "proxy": "http://proxy.example"}, "transport replaces"),
]


@pytest.mark.parametrize(
    ("options", "text"), REFUSED, ids=[" ".join(options) + ": " + text for options, text in REFUSED]
)
def test_a_wrong_setting_is_refused_with_advice_and_without_secrets(options: dict[str, Any], text: str) -> None:
    """A client that could not work is not made; the error names the setting and repeats no key and no password."""
    with pytest.raises(ConfigurationError, match=text) as caught:
        AsyncClient(**cast("dict[str, Any]", {"api_key": "key", **options}))
    assert "X-Evil" not in str(caught.value)
    assert "pw" not in str(caught.value)


def test_key_and_url_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments the two environment variables decide."""
    monkeypatch.setenv("TEMPMAILG_API_KEY", "from-environment")
    monkeypatch.setenv("TEMPMAILG_BASE_URL", "https://mail.example/api/")
    assert settings.key_of(None).reveal() == "from-environment"
    assert settings.base_url_of(None) == "https://mail.example/api"
    monkeypatch.setenv("TEMPMAILG_BASE_URL", "")
    assert settings.base_url_of(None) == "https://v1.tempmailg.com/api"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8025/api", "http://localhost/api", "http://[::1]:8/api"])
def test_plain_http_is_accepted_on_loopback(url: str) -> None:
    """A sandbox on this machine needs no certificate."""
    assert settings.base_url_of(url) == url


@pytest.mark.parametrize("url", ["http://127.0.0.1.example.com", "http://localhost.example.com", "http://10.0.0.1"])
def test_a_host_that_only_looks_like_loopback_is_not(url: str) -> None:
    """Plain http to anything that is not this machine would show the key."""
    with pytest.raises(ConfigurationError, match="must be https"):
        settings.base_url_of(url)


def test_a_secret_is_neither_shown_nor_copied() -> None:
    """A Secret hides in every repr and refuses to be duplicated, yet redacts itself from texts."""
    secret = settings.Secret("hidden")
    assert "hidden" not in f"{secret} {secret!r}"
    assert secret.redact("a hidden b") == "a *** b"
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="never pickled"):
            duplicate(secret)
