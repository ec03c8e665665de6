"""What fuzz tests share: how many cases, always the same ones in the ordinary suite, and how a valid file is spoilt."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

UNHURRIED = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}


def few(cases: int) -> Any:
    """So many cases, the same ones every time: for the ordinary suite."""
    return pytest.param(settings(max_examples=cases, derandomize=True, **UNHURRIED), id="few")


def many(cases: int) -> Any:
    """So many cases, others every time: only with `pytest -m long`."""
    return pytest.param(settings(max_examples=cases, **UNHURRIED), id="many", marks=pytest.mark.long)


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """A valid file with a few bytes flipped, cut out or put in, or lines doubled."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        begins = draw(st.integers(0, len(content)))
        ends = min(len(content), begins + draw(st.integers(0, 40)))
        kind = draw(st.sampled_from(("flip", "cut", "end", "insert", "double")))
        if kind == "flip" and begins < len(content):
            content[begins] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del content[begins:ends]
        elif kind == "end":
            del content[begins:]
        elif kind == "insert":
            content[begins:begins] = draw(st.sampled_from(SPITEFUL) | st.binary(max_size=6))
        elif kind == "double":
            lines = bytes(content).splitlines(keepends=True)
            chosen = draw(st.integers(0, max(0, len(lines) - 1)))
            content = bytearray(b"".join([*lines[: chosen + 1], *lines[chosen : chosen + 1], *lines[chosen + 1 :]]))
    return bytes(content)


SPITEFUL = (*(bytes([byte]) for byte in b"\",;\t\r\n\0\xff\xe9'=/[{"), b"../", b"&a ", b"*a")
