"""Bodies are read within bounds of size and number."""

import io
from contextlib import ExitStack

import pytest
from flask import Flask, Request

from service.bodies import LARGE_AT_ONCE, SMALL, Bodies, TooLarge, TooMany, TooSlow, Unreadable

APP = Flask(__name__)
LARGE = b"x" * (SMALL + 1)


def request(body: bytes, announced: int | None = None, stream: io.BytesIO | None = None) -> Request:
    """A request as gunicorn hands it over; without `announced` it came in chunks."""
    environ = {"wsgi.input": stream or io.BytesIO(body), "wsgi.input_terminated": True, "REQUEST_METHOD": "POST"}
    if announced is not None:
        environ["CONTENT_LENGTH"] = str(announced)
    return Request(environ)


class Broken(io.BytesIO):
    """A stream whose reading fails as web servers' own do, in a way of their own."""

    def read(self, size: int | None = -1) -> bytes:
        raise LookupError("invalid chunk")

    readinto = None  # type: ignore[assignment]


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, 2_000_000])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_up_to_the_cap_is_read_whole(size: int, chunked: bool) -> None:
    body = b"x" * size
    with APP.app_context(), Bodies(2_000_000).read(request(body, None if chunked else size)) as read:
        assert read == body


@pytest.mark.parametrize("announced", [None, 101, 10**15])
def test_a_body_beyond_it_is_not(announced: int | None) -> None:
    stream = io.BytesIO(b"x" * 1_000_000)
    with APP.app_context(), pytest.raises(TooLarge), Bodies(100).read(request(b"", announced, stream)):
        pass
    assert stream.tell() <= 101


def test_a_body_that_ends_early_is_not_taken_for_whole() -> None:
    with APP.app_context(), pytest.raises(TooSlow), Bodies(100).read(request(b"half", 8)):
        pass


def test_broken_framing_is_the_senders_fault() -> None:
    with APP.app_context(), pytest.raises(Unreadable), Bodies(100).read(request(b"", None, Broken())):
        pass


@pytest.mark.timeout(20)
def test_only_so_many_large_bodies_at_once() -> None:
    bodies = Bodies(2 * SMALL)
    with APP.app_context():
        with ExitStack() as held:
            for _ in range(LARGE_AT_ONCE):
                held.enter_context(bodies.read(request(LARGE)))
            with pytest.raises(TooMany), bodies.read(request(LARGE)):
                pass
            with bodies.read(request(b"small")) as small:
                assert small == b"small"
        for _ in range(2 * LARGE_AT_ONCE):
            with bodies.read(request(LARGE)) as large:
                assert large == LARGE
