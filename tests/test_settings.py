"""The settings that a client is made with."""

from __future__ import annotations

import base64
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
    *(
        ({"base_url": f"https://{host}/api"}, "base_url must be a URL like")
        for host in (
            "v1.tempmailg.com\\.evil.example",
            "v1.tempmailg.com%2fevil",
            "v1.tempmailg.com%2Fevil.example",
            "127.0.0.1%00.evil.example",
            "example.com%",
            "exa\tmple.com",
            "example.com\n",
            "example..com",
            ".example.com",
            "-example.com",
            "example.com,evil.example",
            "a" * 64 + ".example",
            "ex\u2100mple.com",
            "stra\u00dfe.example",
            "127.1",
            "0x7f.0.0.1",
            "2130706433",
            "256.0.0.1",
            "[::1",
            "[fe80::1%25eth0]",
            "[v1.x]",
            "[::1].evil.example",
            "[::1]x:443",
            "x[::1]",
        )
    ),
    *(
        ({"base_url": f"https://example.com/{path}"}, "base_url must be a URL like")
        for path in ("a\\b", "api/../x", "api/%2e%2E/x", "%00", "%0a", "%", "%zz", "a b", "\u00fc", "<a>")
    ),
    ({"timeout": 0}, "timeout must be a positive number of seconds"),
    ({"timeout": float("inf")}, "timeout must be a positive number of seconds"),
    ({"timeout": 10**400}, "timeout must be a positive number of seconds"),
    ({"timeout": "5"}, "timeout must be a positive number of seconds"),
    ({"timeout": True}, "timeout must be a positive number of seconds"),
    ({"max_retries": -1}, "max_retries must be a whole number"),
    ({"max_retries": 1.5}, "max_retries must be a whole number"),
    ({"quota_reserve": -1}, "quota_reserve must be a whole number"),
    ({"user_agent": "a\r\nb"}, "user_agent must be printable"),
    ({"user_agent": 5}, "user_agent must be printable"),
    ({"user_agent": b"bytes"}, "user_agent must be printable"),
    ({"user_agent": "a" * 257}, "user_agent must have at most 256 characters, not 257"),
    ({"proxy": "proxy.example:3128"}, "proxy must be the URL of an HTTP proxy"),
    ({"proxy": "socks5://user:pw@proxy.example"}, "proxy must be the URL of an HTTP proxy"),
    ({"session": 5}, "session must be an aiohttp.client.ClientSession, not int"),
    ({"ssl_context": True}, "ssl_context must be an ssl.SSLContext, not bool"),
    ({"transport": 5}, "transport must be a tempmailg.transport.Transport, not int"),
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
    assert settings.resolve_key(None).reveal() == "from-environment"
    assert str(settings.resolve_base_url(None)) == "https://mail.example/api"
    monkeypatch.setenv("TEMPMAILG_BASE_URL", "")
    assert str(settings.resolve_base_url(None)) == "https://v1.tempmailg.com/api"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8025/api", "http://localhost/api", "http://[::1]:8/api"])
def test_plain_http_is_accepted_on_loopback(url: str) -> None:
    """A sandbox on this machine needs no certificate."""
    assert str(settings.resolve_base_url(url)) == url


@pytest.mark.parametrize("url", ["http://127.0.0.1.example.com", "http://localhost.example.com", "http://10.0.0.1"])
def test_a_host_that_only_looks_like_loopback_is_not(url: str) -> None:
    """Plain http to anything that is not this machine would show the key."""
    with pytest.raises(ConfigurationError, match="must be https"):
        settings.resolve_base_url(url)


SPELLINGS = {
    "HTTPS://V1.TempMailG.com/api/": "https://v1.tempmailg.com/api",
    "https://example.com:443": "https://example.com",
    "HTTP://LocalHost:80/": "http://localhost",
    "https://example.com:8443//": "https://example.com:8443",
    "https://b\u00fccher.example/Api": "https://xn--bcher-kva.example/Api",
    "https://[2001:DB8:0::1]:443/x/": "https://[2001:db8::1]/x",
    "https://192.0.2.1/a%2Fb": "https://192.0.2.1/a%2Fb",
}


@pytest.mark.parametrize("written", SPELLINGS)
def test_a_base_url_has_one_normal_form(written: str) -> None:
    """However a URL is spelled, scheme and host are in lower case and ASCII, and port and path are canonical."""
    parsed = settings.resolve_base_url(written)
    assert str(parsed) == SPELLINGS[written]
    assert settings.resolve_base_url(str(parsed)) == parsed


def test_a_proxys_password_stands_apart_from_its_url() -> None:
    """Credentials become a header's value that no repr and no cut of it shows; the URL is free of them."""
    proxy = settings.resolve_proxy("HTTP://user:p%40ss-word@Proxy.Example:3128/")
    assert proxy is not None
    assert (proxy.url, proxy.host) == ("http://proxy.example:3128", "proxy.example")
    assert proxy.authorization == "Basic " + base64.b64encode(b"user:p@ss-word").decode()
    assert "dXN" not in repr(proxy) + repr(proxy.authorization) + repr((proxy.authorization or "")[:80])
    assert settings.resolve_proxy("http://proxy.example:3128") == settings.Proxy(
        "http://proxy.example:3128", "proxy.example"
    )


def test_a_secret_is_neither_shown_nor_copied() -> None:
    """A Secret hides in every repr and refuses to be duplicated, yet redacts itself from texts."""
    secret = settings.Secret("hidden")
    assert "hidden" not in f"{secret} {secret!r}"
    assert secret.redact("a hidden b") == "a *** b"
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="never pickled"):
            duplicate(secret)
