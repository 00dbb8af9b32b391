"""Unpack gzip as it comes, and stop where it grows beyond what was expected."""

import zlib
from collections.abc import Iterable, Iterator

_PIECE = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS


class NotGzip(Exception):
    """The data is no gzip, is damaged, or ends too early."""


def gunzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The unpacked content of one or more gzip members, in pieces of at most 256 KiB. Raises NotGzip.

    The caller counts, and stops when it has enough: nothing is unpacked before it is asked for.
    """
    inflate = zlib.decompressobj(_GZIP)
    started = False
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if inflate.eof:
                    # Zeros after the last member are padding, as gzip itself sees it.
                    rest = rest.lstrip(b"\0")
                    if not rest:
                        break
                    inflate = zlib.decompressobj(_GZIP)
                started = True
                made = inflate.decompress(rest, _PIECE)
                rest = inflate.unconsumed_tail or inflate.unused_data
                if made:
                    yield made
            while started and not inflate.eof and (made := inflate.decompress(b"", _PIECE)):
                yield made
    except zlib.error:
        raise NotGzip from None
    if not inflate.eof:
        raise NotGzip
