"""Jsonnet files to objects, inside the render helper (GEN-05). Imports come from the files of the request only."""

import re
from collections.abc import Mapping
from typing import Any

from driftline.desired.jsonnet import places
from driftline.desired.manifests import Parsed
from driftline.formats.yaml import Limits, load_documents
from driftline.model.errors import Permanent

_MOST_FRAMES = 200
_SHOWN = 600


def evaluate_all(request: Mapping[str, Any], files: Mapping[str, bytes], limits: Limits) -> Parsed:
    """Evaluate the main files of a request. Each gives an object or a list of objects.

    `request` holds `mains`, `search` (directories) and the variables as [name, value, is_code] in `ext` and `tla`.
    Raises Permanent with Jsonnet's own words.
    """
    objects: list[Any] = []
    origins: list[str] = []
    for main in request["mains"]:
        (value,) = load_documents(_evaluate(main, request, files), main, limits) or [None]
        found = value if isinstance(value, list) else [value]
        objects += [each for each in found if each is not None]
        origins += [main for each in found if each is not None]
    return Parsed(tuple(objects), tuple(origins))


def _evaluate(main: str, request: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    import _jsonnet

    search = tuple(request["search"])

    def found(directory: str, name: str) -> tuple[str, bytes]:
        for place in places(f"{directory.strip('/')}/x".lstrip("/"), name, search):
            if place in files:
                return place, files[place]
        raise RuntimeError(f"{name}: no such file in this repository")

    variables = {
        "ext_vars": {name: value for name, value, code in request["ext"] if not code},
        "ext_codes": {name: value for name, value, code in request["ext"] if code},
        "tla_vars": {name: value for name, value, code in request["tla"] if not code},
        "tla_codes": {name: value for name, value, code in request["tla"] if code},
    }
    try:
        text = files[main].decode()
        result: str = _jsonnet.evaluate_snippet(main, text, import_callback=found, max_stack=_MOST_FRAMES, **variables)
    except UnicodeDecodeError:
        raise Permanent(f"{main}: not valid UTF-8 text") from None
    except RuntimeError as error:
        raise Permanent(_named(main, str(error))) from None
    return result.encode()


def _named(main: str, text: str) -> str:
    """Jsonnet's error with the file first: its first line, and where in the files that was."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = re.sub(r"^(?:STATIC|RUNTIME) ERROR: ", "", lines[0]) if lines else "failed"
    place = next((line.split("\t")[0] for line in lines[1:] if ":" in line), "")
    shown = f"{first} (at {place})" if place and place.split(":")[0] not in first else first
    return (shown if shown.startswith(main) else f"{main}: {shown}")[:_SHOWN]
