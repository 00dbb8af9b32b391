"""The program in which YAML and Jsonnet of repositories are read: a child process that can lose nothing but itself.

Started by `adapters.render.client` with no network, limited memory and an empty environment. Reads requests on
standard input and writes answers on standard output, each a frame: 4 bytes of length (big-endian), JSON, and for a
request the content of the files it lists, one after the other.
"""

import sys
from collections.abc import Mapping
from typing import IO, Any

import orjson

from driftline.desired.manifests import Parsed, parse_files, parse_stream
from driftline.formats.yaml import Limits
from driftline.model.errors import Permanent


def read_exactly(stream: IO[bytes], size: int) -> bytes:
    """The next `size` bytes. Raises EOFError if the other side is gone."""
    content = stream.read(size)
    if len(content) != size:
        raise EOFError
    return content


def read_request(stream: IO[bytes]) -> tuple[dict[str, Any], list[tuple[str, bytes]]]:
    """One request and its files (name, content)."""
    request = orjson.loads(read_exactly(stream, int.from_bytes(read_exactly(stream, 4), "big")))
    return request, [(name, read_exactly(stream, size)) for name, size in request["files"]]


def answer(request: dict[str, Any], files: list[tuple[str, bytes]]) -> dict[str, Any]:
    """What comes of one request; a failure is an answer too."""
    try:
        parsed = _parsed(request, files)
    except Permanent as error:
        return {"error": error.message}
    except RecursionError:
        return {"error": f"{_names(files)}: nested too deeply"}
    except MemoryError:
        return {"error": f"{_names(files)}: needs more memory than a render may have"}
    return {"objects": parsed.objects, "origins": parsed.origins, "warnings": parsed.warnings}


def _parsed(request: dict[str, Any], files: list[tuple[str, bytes]]) -> Parsed:
    limits = Limits(**request["limits"])
    if request["what"] == "stream":
        name, content = files[0]
        return parse_stream(content, name, limits)
    if request["what"] == "jsonnet":
        from driftline.adapters.render.jsonnet import evaluate_all

        return evaluate_all(request, dict(files), limits)
    return parse_files(files, limits)


def _names(files: list[tuple[str, bytes]]) -> str:
    return files[0][0] if len(files) == 1 else f"one of {len(files)} files"


def encoded(value: Mapping[str, Any]) -> bytes:
    """An answer as a frame."""
    try:
        content = orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        content = orjson.dumps({"error": f"manifests: cannot be written as JSON: {error}"})
    return len(content).to_bytes(4, "big") + content


def main() -> None:
    """Answer requests until standard input ends."""
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            request, files = read_request(source)
        except EOFError:
            return
        target.write(encoded(answer(request, files)))
        target.flush()


if __name__ == "__main__":
    main()
