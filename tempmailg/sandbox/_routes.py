"""From method and path to a route and its arguments, for the API and for the control routes alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, Protocol, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

from attrs import frozen

from tempmailg.sandbox._answers import Refusal

__all__ = ["Match", "Route", "Routes"]


class Route(Protocol):
    """What a table of routes needs to know of each."""

    @property
    def method(self) -> str:
        """The HTTP method."""
        ...

    @property
    def path(self) -> str:
        """The path, a parameter in braces."""
        ...

    @property
    def query(self) -> tuple[str, ...]:
        """The names of the query parameters."""
        ...


R = TypeVar("R", bound=Route)


@frozen
class Match(Generic[R]):
    """A route, and the decoded arguments of the request that it is for."""

    route: R
    arguments: Mapping[str, str]


class Routes(Generic[R]):
    """A table of routes.

    Args:
        routes: The routes.
        what: What they are called in a refusal, such as ``control route``.
    """

    def __init__(self, routes: Iterable[R], *, what: str) -> None:
        self._what = what
        self._methods: dict[tuple[str | None, ...], dict[str, R]] = {}
        for route in routes:
            self._methods.setdefault(_template(route.path), {})[route.method] = route

    def __iter__(self) -> Iterator[R]:
        return (route for methods in self._methods.values() for route in methods.values())

    def find(self, method: str, target: str) -> Match[R]:
        """Find the route of a request.

        Args:
            method: The HTTP method.
            target: Path and query as they stand on the wire.

        Raises:
            Refusal: There is none: 404, 405 with the methods that there are, or 400 for a path that is no UTF-8.
        """
        path, _, query = target.partition("?")
        segments = _segments(path)
        methods = self._methods_at(segments)
        route = methods.get(method)
        if route is None:
            allowed = ", ".join(sorted(methods))
            raise Refusal(405, f"This {self._what} answers {allowed}.", ("Allow", allowed))
        return Match(route, _arguments(route, segments, query))

    def methods(self, target: str) -> list[str]:
        """Return the methods that a path answers.

        Raises:
            Refusal: There is no such path.
        """
        return sorted(self._methods_at(_segments(target.partition("?")[0])))

    def _methods_at(self, segments: tuple[str, ...]) -> Mapping[str, R]:
        for template, methods in self._methods.items():
            if len(template) == len(segments) and all(
                fixed in (None, segment) for fixed, segment in zip(template, segments, strict=True)
            ):
                return methods
        raise Refusal(404, f"There is no such {self._what}.")


def _segments(path: str) -> tuple[str, ...]:
    try:
        return tuple(unquote_to_bytes(segment).decode() for segment in path.split("/")[1:])
    except UnicodeDecodeError:
        raise Refusal(400, "The path is not UTF-8.") from None


def _template(path: str) -> tuple[str | None, ...]:
    """Return a path's segments, None for a parameter."""
    return tuple(None if segment.startswith("{") else segment for segment in path.split("/")[1:])


def _arguments(route: Route, segments: tuple[str, ...], query: str) -> dict[str, str]:
    template = route.path.split("/")[1:]
    arguments = {name[1:-1]: value for name, value in zip(template, segments, strict=True) if name.startswith("{")}
    if route.query:
        given = dict(parse_qsl(query, keep_blank_values=True))
        arguments.update((name, given[name]) for name in route.query if name in given)
    return arguments
