"""The two OpenAPI descriptions that come with the package: of the API, and of the sandbox's control routes."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

__all__ = ["contract", "control_contract"]


def contract(base_url: str) -> dict[str, Any]:
    """Return the description of the API, its server being the given one."""
    return _described("openapi.json", base_url)


def control_contract(base_url: str) -> dict[str, Any]:
    """Return the description of the control routes, their server being the given one."""
    return _described("openapi-control.json", base_url)


def _described(name: str, base_url: str) -> dict[str, Any]:
    text = resources.files("tempmailg.sandbox").joinpath(name).read_text("utf-8")
    return {**json.loads(text), "servers": [{"url": base_url}]}
