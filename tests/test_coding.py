"""The content codings: whatever the pieces in which a body arrives, the same bytes or the same error come out."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from tempmailg import IncompleteResponseError
from tempmailg._coding import PIECE, DecodedBody, codings_of, decoded

BODY = b'{"messages": []}' * 50_000


def raw_deflate(data: bytes) -> bytes:
    """Return data compressed without zlib's wrapping."""
    return zlib.compress(data, wbits=-zlib.MAX_WBITS)


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw deflate": raw_deflate,
}


def pieces_of(data: bytes, size: int) -> list[bytes]:
    """Return data in pieces of a size."""
    return [data[at : at + size] for at in range(0, len(data), size)]


async def read_all(pieces: Iterable[bytes], *codings: str) -> bytes:
    """Return what a coded body stands for."""
    arriving = iter(pieces)

    async def read() -> bytes:
        return next(arriving, b"")

    body, found = DecodedBody(read, codings), b""
    while piece := await body.read():
        assert len(piece) <= PIECE
        found += piece
    return found


@pytest.mark.parametrize("size", [1, 7, 16 * 1024 + 1, 1_000_000])
@pytest.mark.parametrize("coding", PACK)
async def test_a_body_is_the_same_however_it_arrives(coding: str, size: int) -> None:
    """A decoder takes a body byte by byte as well as in one piece, with zlib's wrapping or without it."""
    packed = PACK[coding](BODY)
    assert await read_all(pieces_of(packed, size), coding.removeprefix("raw ")) == BODY


@given(
    members=st.lists(st.binary(max_size=60), min_size=1, max_size=4),
    gap=st.binary(max_size=0) | st.just(b"\0" * 5),
    junk=st.binary(max_size=40).map(lambda junk: b"\x1e" + junk) | st.just(b""),
    size=st.integers(1, 50),
)
async def test_members_are_joined_and_junk_behind_them_is_ignored(
    members: list[bytes], gap: bytes, junk: bytes, size: int
) -> None:
    """A gzip body may have several members, zeros between them, and anything behind them."""
    packed = gap.join(gzip.compress(member) for member in members) + junk
    assert await read_all(pieces_of(packed, size), "gzip") == b"".join(members)


@given(data=st.binary(max_size=200), size=st.integers(1, 300), more=st.data())
async def test_a_cut_body_is_never_taken_for_a_whole_one(data: bytes, size: int, more: st.DataObject) -> None:
    """Wherever a body is cut, be it in its trailer or in the header of a further member, that is an error."""
    coding = more.draw(st.sampled_from(["gzip", "deflate"]))
    packed = PACK[coding](data)
    if coding == "gzip":
        packed += gzip.compress(b"second member")
    whole = {0, len(gzip.compress(data))} if coding == "gzip" else {0}
    at = more.draw(st.integers(0, len(packed) - 1).filter(lambda at: at not in whole))
    with pytest.raises(IncompleteResponseError, match=f"it was cut off, and its {coding} encoding has no end"):
        await read_all(pieces_of(packed[:at], size), coding)


async def test_no_bytes_stand_for_no_bytes() -> None:
    """A deletion that is answered with an empty body in gzip is no cut answer."""
    assert await read_all([], "gzip") == b""
    assert await read_all([], "gzip", "deflate") == b""


@pytest.mark.parametrize("packed", [b"plain text", gzip.compress(BODY)[:-8] + b"\1\2\3\4" * 2])
async def test_bytes_in_another_coding_are_broken(packed: bytes) -> None:
    """What is no gzip, or has another check sum than its trailer says, is an error."""
    with pytest.raises(IncompleteResponseError, match="its gzip encoding is broken"):
        await read_all([packed], "gzip")


async def test_a_further_member_that_is_none_is_junk() -> None:
    """Bytes behind a member that only begin like another one are ignored as well."""
    assert await read_all([gzip.compress(b"body") + b"\x1f\x8b\x08\xff" + b"junk" * 9], "gzip") == b"body"


@given(chain=st.lists(st.sampled_from(["gzip", "deflate"]), min_size=1, max_size=3), size=st.integers(1, 400))
async def test_codings_are_undone_from_the_last_to_the_first(chain: list[str], size: int) -> None:
    """Several codings, one over another, are read in the order of the header."""
    packed = b"body" * 100
    for coding in chain:
        packed = PACK[coding](packed)
    assert await read_all(pieces_of(packed, size), *chain) == b"body" * 100


@pytest.mark.parametrize("value", [None, "", "identity", "Identity , none", "br", "gzip, br", "gzip, gzip, gzip, gzip"])
def test_a_body_that_cannot_or_need_not_be_decoded_is_read_as_it_is(value: str | None) -> None:
    """Nothing stands between the reader and a body without a coding, or with one that was not asked for."""

    async def read() -> bytes:
        return b""

    headers = CIMultiDict({} if value is None else {"Content-Encoding": value})
    assert decoded(read, headers) is read


def test_the_names_of_codings_are_read_in_any_case_and_from_all_lines() -> None:
    """One header with a list is the same as several, and the old name of gzip is gzip."""
    headers = CIMultiDict[str]([("content-encoding", "X-GZIP , identity"), ("Content-Encoding", "Deflate")])
    assert codings_of(headers) == ("gzip", "deflate")
