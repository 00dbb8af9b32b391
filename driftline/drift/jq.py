"""The part of jq that `ignoreDifferences` is written in: paths, iteration and `select`. Pure, and always ends quickly.

Understood: `.a.b`, `."a-b"`, `.["a"]`, `.[0]`, `.[]`, `?` after any of them, `|`, `,` between whole paths, and
`select(...)` of comparisons (`==`, `!=`) with a string, number, true, false or null, of bare paths (present and
not false), of `startswith`, `endswith`, `contains` and `test` (literal text, `^`, `$` and `.*`), joined by `and`, `or`,
`not` and parentheses. Anything else is refused with its position, never guessed.
"""

import fnmatch
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from driftline.drift.paths import NOTHING, Pointer

Found = Iterator[tuple[Pointer, Any]]
Step = Callable[[Pointer, Any], Found]
Condition = Callable[[Any], bool]

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<number>-?[0-9]+(?:\.[0-9]+)?)|(?P<field>\.[A-Za-z_][A-Za-z0-9_]*)"""
    r"""|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>==|!=|[.\[\]()|,?]))"""
)
_LONGEST: Final = 2000
_TEXT_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": lambda text, part: part in text,
    "test": lambda text, pattern: fnmatch.fnmatchcase(text, pattern),
}


class NotUnderstood(ValueError):
    """The expression is outside the supported part of jq; the text says where."""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def places(expression: str, body: Any) -> list[Pointer]:
    """The places in `body` that a path expression names; none where it does not fit. Raises NotUnderstood."""
    return [pointer for pointer, _ in compiled(expression)((), body) if pointer]


def compiled(expression: str) -> Step:
    """Parse an expression. Raises NotUnderstood."""
    return _Parser(expression).parse()


class _Parser:
    def __init__(self, expression: str) -> None:
        self._text = expression
        self._tokens = list(_tokens(expression))
        self._next = 0

    def parse(self) -> Step:
        step = self._alternatives()
        if self._next < len(self._tokens):
            raise self._unexpected()
        return step

    def _alternatives(self) -> Step:
        steps = [self._pipe()]
        while self._accept(","):
            steps.append(self._pipe())
        return steps[0] if len(steps) == 1 else lambda at, body: (found for one in steps for found in one(at, body))

    def _pipe(self) -> Step:
        steps = [self._term()]
        while self._accept("|"):
            steps.append(self._term())
        return _chain(steps)

    def _term(self) -> Step:
        if self._accept("("):
            inner = self._alternatives()
            self._expect(")")
            return inner
        if self._accept("select"):
            self._expect("(")
            condition = self._any()
            self._expect(")")
            return lambda at, body: iter([(at, body)] if condition(body) else [])
        return self._path()

    def _path(self) -> Step:
        steps: list[Step] = []
        while True:
            token = self._peek()
            if token is None:
                break
            if token.kind == "field":
                self._next += 1
                steps.append(_member(token.text[1:]))
            elif token.text == ".":
                self._next += 1
                following = self._peek()
                if following is not None and following.kind == "string":
                    self._next += 1
                    steps.append(_member(orjson.loads(following.text)))
                elif steps or (following is not None and following.text == "."):
                    raise self._unexpected()
                else:
                    steps.append(lambda at, body: iter([(at, body)]))
            elif token.text == "[" and steps:
                self._next += 1
                steps.append(self._bracket())
            elif token.text == "?" and steps:
                self._next += 1  # A path that does not fit names nothing here, with `?` or without.
            else:
                break
        if not steps:
            raise self._unexpected()
        return _chain(steps)

    def _bracket(self) -> Step:
        token = self._peek()
        if self._accept("]"):
            return _each
        if token is not None and token.kind in ("string", "number"):
            self._next += 1
            self._expect("]")
            key = orjson.loads(token.text)
            if isinstance(key, int | str):
                return _member(key)
        raise self._unexpected()

    def _any(self) -> Condition:
        conditions = [self._all()]
        while self._accept("or"):
            conditions.append(self._all())
        return conditions[0] if len(conditions) == 1 else lambda body: any(one(body) for one in conditions)

    def _all(self) -> Condition:
        conditions = [self._condition()]
        while self._accept("and"):
            conditions.append(self._condition())
        return conditions[0] if len(conditions) == 1 else lambda body: all(one(body) for one in conditions)

    def _condition(self) -> Condition:
        if self._accept("("):
            found = self._any()
            self._expect(")")
        else:
            found = self._comparison()
        while self._accept("|"):
            self._expect("not")
            found = _negated(found)
        return found

    def _comparison(self) -> Condition:
        path = self._path()
        if self._accept("=="):
            wanted = self._literal()
            return lambda body: any(_equal(value, wanted) for value in _values(path, body))
        if self._accept("!="):
            wanted = self._literal()
            return lambda body: any(not _equal(value, wanted) for value in _values(path, body))
        position = self._next
        if self._accept("|"):
            token = self._peek()
            if token is not None and token.text in _TEXT_TESTS:
                self._next += 1
                return self._text_test(path, token.text)
            self._next = position
        return lambda body: any(value is not None and value is not False for value in _values(path, body))

    def _text_test(self, path: Step, name: str) -> Condition:
        self._expect("(")
        token = self._peek()
        argument = self._literal()
        self._expect(")")
        if not isinstance(argument, str):
            raise self._unexpected(token)
        if name == "test":
            argument = self._glob(argument, token)
        test = _TEXT_TESTS[name]
        return lambda body: any(isinstance(value, str) and test(value, argument) for value in _values(path, body))

    def _glob(self, pattern: str, token: _Token | None) -> str:
        """A regular expression of literal text, anchors and `.*`, as a glob: no expression can run for ever."""
        start, end = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
        inner = pattern[1 if start else 0 : len(pattern) - 1 if end else len(pattern)]
        pieces = [re.sub(r"\\([.\-/$^])", r"\1", piece) for piece in inner.split(".*")]
        if any(re.search(r"(?<!\\)[*+?\[\](){}|^$]|\\[A-Za-z]|(?<!\\)\.", piece) for piece in inner.split(".*")):
            raise self._unexpected(token)
        glob = "*".join(re.sub(r"([*?\[])", r"[\1]", piece) for piece in pieces)
        return ("" if start else "*") + glob + ("" if end else "*")

    def _literal(self) -> Any:
        token = self._peek()
        if token is not None and (token.kind in ("string", "number") or token.text in ("true", "false", "null")):
            self._next += 1
            return orjson.loads(token.text)
        raise self._unexpected()

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _accept(self, text: str) -> bool:
        token = self._peek()
        if token is None or token.text != text or token.kind == "string":
            return False
        self._next += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._unexpected()

    def _unexpected(self, token: _Token | None = None) -> NotUnderstood:
        token = token or self._peek()
        where = f"{token.text} at character {token.at + 1}" if token else "its end"
        return NotUnderstood(f"jq path {self._text!r}: not understood at {where}; use a path with [] and select(...)")


def _tokens(text: str) -> Iterator[_Token]:
    if len(text) > _LONGEST:
        raise NotUnderstood(f"jq path of {len(text)} characters: at most {_LONGEST} are read")
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise NotUnderstood(f"jq path {text!r}: not understood at character {at + 1}")
        if match.lastgroup == "string":
            _checked(text, match)
        yield _Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))
        at = match.end()


def _checked(text: str, match: re.Match[str]) -> None:
    try:
        orjson.loads(match["string"])
    except orjson.JSONDecodeError:
        raise NotUnderstood(f"jq path {text!r}: {match['string']} is no JSON string") from None


def _chain(steps: list[Step]) -> Step:
    def run(at: Pointer, body: Any) -> Found:
        found = [(at, body)]
        for step in steps:
            found = [after for place, value in found for after in step(place, value)]
        return iter(found)

    return steps[0] if len(steps) == 1 else run


def _member(key: str | int) -> Step:
    def step(at: Pointer, body: Any) -> Found:
        if isinstance(body, dict) and isinstance(key, str):
            # A field that is not there still has a value for `select`: null.
            yield (*at, key), body.get(key, NOTHING)
        elif isinstance(body, list) and isinstance(key, int) and -len(body) <= key < len(body):
            yield (*at, key % len(body)), body[key]

    return step


def _each(at: Pointer, body: Any) -> Found:
    if isinstance(body, dict):
        yield from (((*at, name), value) for name, value in body.items())
    elif isinstance(body, list):
        yield from (((*at, index), value) for index, value in enumerate(body))


def _values(path: Step, body: Any) -> list[Any]:
    return [None if value is NOTHING else value for _, value in path((), body)] or [None]


def _equal(left: Any, right: Any) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _negated(condition: Condition) -> Condition:
    return lambda body: not condition(body)
