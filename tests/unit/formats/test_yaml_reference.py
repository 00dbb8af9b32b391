"""Our reader against sigs.k8s.io/yaml, over a corpus recorded from the real thing (`reference/make.py`)."""

import json
from pathlib import Path
from typing import Any

import pytest

from driftline.formats.yaml import load_documents
from driftline.model.errors import Permanent

RECORDED = [json.loads(line) for line in (Path(__file__).parent / "reference/yaml.jsonl").read_text().splitlines()]

MORE_LENIENT = {'a: "\\/"\n', "%YAML 1.2\n---\na: 1\n"}
"""YAML 1.2 spellings that libyaml knows and go-yaml v2 does not; their meaning is not in doubt."""

DUPLICATES = {"a: 1\na: 2\n", "a: {b: 1, b: 2}\n", "1: a\n'1': b\n"}
"""Go keeps one of the two, of the last pair a random one. Here they are errors."""


def as_go_numbers(value: Any) -> Any:
    """Recorded JSON writes 1e19 as an integer that no 64 bits hold: the API server reads it as a float, as we do."""
    if isinstance(value, dict):
        return {key: as_go_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_go_numbers(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return float(value)
    return value


def ours(text: str) -> Any:
    """What we make of a text: its single document, None for nothing, or the error."""
    try:
        found = load_documents(text.encode(), "f.yaml")
    except Permanent as error:
        return error
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.covers("GEN-03")
def test_every_recorded_text_means_what_it_means_to_kubernetes() -> None:
    wrong = []
    for case in RECORDED:
        text, found = case["yaml"], ours(case["yaml"])
        if text in MORE_LENIENT:
            assert case["error"]
        elif text in DUPLICATES or case.get("error"):
            if not isinstance(found, Permanent):
                wrong.append((text, "an error", found))
        elif repr(found) != repr(in_order(as_go_numbers(case["json"]), found)):
            wrong.append((text, case["json"], found))
    assert wrong == []
    assert len(RECORDED) > 2000


def in_order(value: Any, like: Any) -> Any:
    """The recorded value with its keys in our order, so that `repr` can tell 1 from 1.0 and from True."""
    if isinstance(value, dict) and isinstance(like, dict) and value.keys() == like.keys():
        return {key: in_order(value[key], like[key]) for key in like}
    if isinstance(value, list) and isinstance(like, list) and len(value) == len(like):
        return [in_order(one, other) for one, other in zip(value, like, strict=True)]
    return value
