"""Globs as Argo CD's users write them (gobwas/glob), in time linear in the text. Called wherever a pattern is given.

`*` any text, `?` one character, `[a-z]`, `[!a-z]`, `{a,b}` either, backslash escapes. With a separator, `*` and `?`
stop at it and `**` does not (`**/` may also match nothing at all).
"""

from functools import lru_cache
from itertools import pairwise

from driftline.model.errors import Permanent

Token = tuple[str, str]
_TEXT, _ONE, _CLASS, _STAR, _DEEP, _FOLDERS = "text", "one", "class", "star", "deep", "folders"
_LONGEST = 1024
_MOST_ALTERNATIVES = 256


def matches(pattern: str, text: str, separator: str = "") -> bool:
    """Whether the whole of `text` fits `pattern`. Raises Permanent for a pattern that is none."""
    return any(_fits(tokens, text, separator) for tokens in _compiled(pattern, separator))


def is_glob(text: str) -> bool:
    """Whether `text` holds anything that a glob gives a meaning to."""
    return any(char in text for char in "*?[{")


@lru_cache(maxsize=512)
def _compiled(pattern: str, separator: str) -> tuple[tuple[Token, ...], ...]:
    if len(pattern) > _LONGEST:
        raise Permanent(f"glob {pattern[:40]}...: longer than {_LONGEST} characters")
    return tuple(_tokens(one, separator) for one in _alternatives(pattern))


def _alternatives(pattern: str) -> list[str]:
    """The pattern with its braces written out, outermost first: `a{b,c}` is `ab` and `ac`."""
    done: list[str] = []
    todo = [pattern]
    while todo:
        if len(done) + len(todo) > _MOST_ALTERNATIVES:
            raise Permanent(f"glob {pattern[:80]}: more than {_MOST_ALTERNATIVES} alternatives")
        one = todo.pop()
        span = _braces(one)
        if span is None:
            done.append(one)
            continue
        start, commas, end = span
        edges = [start, *commas, end]
        todo += [one[:start] + one[a + 1 : b] + one[end + 1 :] for a, b in pairwise(edges)]
    return done


def _braces(pattern: str) -> tuple[int, list[int], int] | None:
    """Where the first pair of braces opens, its commas stand and it closes; None without one."""
    depth, start, commas, position = 0, 0, list[int](), 0
    while position < len(pattern):
        char = pattern[position]
        if char == "\\":
            position += 1
        elif char == "[" and (close := _class_end(pattern, position)):
            position = close
        elif char == "{":
            depth += 1
            start = position if depth == 1 else start
        elif char == "," and depth == 1:
            commas.append(position)
        elif char == "}" and depth:
            depth -= 1
            if not depth:
                return start, commas, position
        position += 1
    if depth:
        raise Permanent(f"glob {pattern[:80]}: a brace is not closed")
    return None


def _class_end(pattern: str, start: int) -> int:
    """The position of the bracket that closes a character class, 0 if none does."""
    first = start + 2 if pattern[start + 1 : start + 2] in ("!", "^") else start + 1
    return max(pattern.find("]", first + 1), 0)


def _tokens(pattern: str, separator: str) -> tuple[Token, ...]:
    """A pattern without braces, as tokens."""
    tokens: list[Token] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "*":
            run = len(pattern[position:]) - len(pattern[position:].lstrip("*"))
            position += run
            if separator and run > 1 and pattern[position : position + 1] == separator:
                tokens.append((_FOLDERS, ""))
                position += 1
            else:
                tokens.append((_DEEP if run > 1 or not separator else _STAR, ""))
            continue
        if char == "?":
            tokens.append((_ONE, ""))
        elif char == "[" and (end := _class_end(pattern, position)):
            tokens.append((_CLASS, pattern[position + 1 : end]))
            position = end
        else:
            if char == "\\" and position + 1 < len(pattern):
                position += 1
            literal = pattern[position]
            if tokens and tokens[-1][0] == _TEXT:
                literal = tokens.pop()[1] + literal
            tokens.append((_TEXT, literal))
        position += 1
    return tuple(tokens)


def _fits(tokens: tuple[Token, ...], text: str, separator: str) -> bool:
    """Follow all places in the text that the tokens so far can have reached, so that nothing is tried twice."""
    places = {0}
    for kind, value in tokens:
        places = _step(kind, value, places, text, separator)
        if not places:
            return False
    return len(text) in places


def _step(kind: str, value: str, places: set[int], text: str, separator: str) -> set[int]:
    """Where one token leads from each of the places."""
    length = len(text)
    if kind == _TEXT:
        return {place + len(value) for place in places if text.startswith(value, place)}
    if kind == _DEEP:
        return set(range(min(places), length + 1))
    if kind == _FOLDERS:
        first = min(places)
        return places | {at + 1 for at in range(first, length) if text[at] == separator}
    if kind == _STAR:
        found: set[int] = set()
        for place in places:
            while place not in found:
                found.add(place)
                if place == length or text[place] == separator:
                    break
                place += 1
        return found
    inside = (place for place in places if place < length and text[place] != separator)
    return {place + 1 for place in inside if kind == _ONE or _in_class(value, text[place])}


def _in_class(body: str, char: str) -> bool:
    """Whether a character is in `abc`, `a-z`, or not in what follows a leading `!` or `^`."""
    negated = body[:1] in ("!", "^")
    members = body[1:] if negated else body
    found = position = 0
    while position < len(members):
        if members[position + 1 : position + 2] == "-" and position + 2 < len(members):
            found |= members[position] <= char <= members[position + 2]
            position += 3
        else:
            found |= members[position] == char
            position += 1
    return bool(found) != negated
