"""Take credentials out of free text. The text half of `driftline.model.masking`, which everyone else imports.

Each pattern runs in linear time: repetitions are bounded or possessive, and start at a fixed character or at a word's
beginning, so that a hostile text of a megabyte costs about as much as a harmless one.
"""

import base64
import binascii
import re
from collections.abc import Callable
from functools import lru_cache

HIDDEN = "***"
"""What stands where a credential stood."""

_SENSITIVE = re.compile(
    r"(?:password|passwd|passphrase|pwd|secrets?|tokens?|apikey|accesskey|secretkey|privatekey|accountkey|clientkey|"
    r"sharedkey|clientkeydata|authorization|cookies?|credentials?|datakeys?|kubeconfig|signature|connectionstring)\Z"
)
_QUERY_NAMES = frozenset({"sig", "sign", "key", "code", "auth", "jwt", "pass", "pw", "x-amz-credential"})
_PROSE = re.compile(
    r"(?:a|an|as|at|be|can|cannot|duplicate|does|expected|field|forbidden|has|in|internal|invalid|is|key|kind|missing|must|"
    r"name|no|none|not|null|of|or|required|should|the|to|too|true|false|unsupported|unknown|value|was|will)?\Z"
)
_BLUNT = frozenset({"secret", "secrets", "token", "tokens", "signature", "credential", "credentials", "cookies"})

_Sub = str | Callable[[re.Match[str]], str]


@lru_cache(2048)
def sensitive_name(name: str) -> bool:
    """Whether a value called `name` is a credential: `DB_PASSWORD`, `clientSecret`, `x-api-key`; not `secretName`."""
    return bool(_SENSITIVE.search(re.sub(r"[^a-z]", "", name[-64:].lower())))


def _query(found: re.Match[str]) -> str:
    name = found[2].lower()
    return f"{found[1]}{found[2]}={HIDDEN}" if name in _QUERY_NAMES or sensitive_name(name) else found[0]


def _userinfo(found: re.Match[str]) -> str:
    return found[0] if found[0] in ("://git@", "://hg@") else f"://{HIDDEN}@"


def _bearer(found: re.Match[str]) -> str:
    """`Bearer expected` in a sentence stays; what looks like a credential goes."""
    return f"{found[1]} {HIDDEN}" if len(found[2]) >= 20 or re.search(r"\d", found[2]) else found[0]


def _basic(found: re.Match[str]) -> str:
    try:
        decoded = base64.b64decode(found[2] + "=" * (-len(found[2]) % 4), validate=True)
    except (binascii.Error, ValueError):
        return found[0]
    return f"{found[1]} {HIDDEN}" if b":" in decoded else found[0]


def _assigned(found: re.Match[str]) -> str:
    """One `name=value` or `name: value`; prose such as `token: expected` stays."""
    name, separator, value = found[1], found[2], found[3]
    word = value.strip("\"'").rstrip(".,:;").lower()
    if ":" in separator:
        blunt = re.sub(r"[^a-z]", "", name.lower()) in _BLUNT
        if _PROSE.match(word) or (blunt and len(word) < 16 and not re.search(r"\d", word)):
            return found[0]
    return f"{name}{separator}{HIDDEN}"


_WORDS = (
    "password|passwd|passphrase|pwd|secrets?|tokens?|api[_-]?key|access[_-]?key(?:[_-]?id)?|secret[_-]?key|"
    "private[_-]?key|account[_-]?key|shared[_-]?key|client[_-]?key[_-]?data|credentials?|cookies|signature|data[_-]?keys"
)
_QUOTED = (
    r"\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.)*+'?"
    r"|\\\"(?:[^\"\\\n]|\\[^\"])*+(?:\\\")?"  # a string inside a string
)

_TOKENS = (
    r"(?<![A-Za-z0-9_])(?:"
    r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16}(?![A-Z0-9])"  # AWS key ids
    r"|gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}"
    r"|gl(?:pat|dt|rt|cbt|ptt|ft|soat|imt|agent|oas)-[\w-]{16,255}"
    r"|xox[a-z]-[\w-]{8,255}|xapp-[\w-]{8,255}"  # Slack
    r"|AIza[\w-]{30,60}|ya29\.[\w.-]{10,2048}|GOCSPX-[\w-]{20,60}"  # Google
    r"|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,255}|sk-[\w-]{20,255}"
    r"|npm_[A-Za-z0-9]{30,60}|pypi-[\w-]{20,2048}|dckr_pat_[\w-]{20,255}|hv[sbr]\.[\w-]{20,2048}"
    r"|SG\.[\w-]{16,64}\.[\w-]{16,64}|AGE-SECRET-KEY-1[0-9A-Z]{20,80}"
    r")"
)

_HINTS = ("passw", "passphrase", "pwd", "secret", "token", "key", "credential", "cookies", "signature")
_PREFIXES = (
    *("akia", "asia", "agpa", "aida", "aroa", "anpa", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    *("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-", "glimt-", "glagent-", "gloas-"),
    *("xox", "xapp-", "aiza", "ya29.", "gocspx-", "_live_", "_test_", "sk-", "npm_", "pypi-", "dckr_pat_"),
    *("hvs.", "hvb.", "hvr.", "sg.", "age-secret-key"),
)

# Each rule: what must occur (in lower case) for it to be worth trying, the pattern, and what stands in its place. Most
# texts are short and harmless, and looking for a plain word is a hundred times cheaper than trying a pattern.
_RULES: tuple[tuple[tuple[str, ...], re.Pattern[str], _Sub], ...] = (
    (
        ("private key",),
        re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)", re.S),
        HIDDEN,
    ),
    (("://",), re.compile(r"://[^\s/?#\"'<>]{1,1024}@"), _userinfo),
    # A password with an unescaped slash in it; a port before a path with an @ is not one.
    (("://",), re.compile(r"://[^\s/?#@:\"'<>]{0,256}:(?!\d{1,5}[/?#\s])[^\s\"'<>@]{1,512}@"), _userinfo),
    (("hooks.slack",), re.compile(r"(?i)(://hooks\.slack(?:-gov)?\.com/)[^\s\"'<>|)]++"), rf"\1{HIDDEN}"),
    (("/api/webhooks/",), re.compile(r"(?i)(://[\w.-]{1,80}/api/webhooks/)[^\s\"'<>|)]++"), rf"\1{HIDDEN}"),
    (("=",), re.compile(r"([?&;])([\w.\-%\[\]]{1,64})=[^\s&;#\"'<>]++"), _query),
    (
        ("authorization", "cookie", "token", "x-api-key"),
        re.compile(
            r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]{0,24}token|private-token|x-api-key)"
            r"([\"']?\s{0,4}:[\s\[\"']{0,6})[^\s\"'][^\r\n\"']*+"
        ),
        rf"\1\2{HIDDEN}",
    ),
    (("bearer",), re.compile(r"(?i)\b(bearer)\s{1,4}([\w.~+/=-]{8,}+)"), _bearer),
    (("basic",), re.compile(r"(?i)\b(basic)\s{1,4}([A-Za-z0-9+/]{8,}+)={0,2}"), _basic),
    (_HINTS, re.compile(rf"(?i)(--?[\w-]{{0,24}}(?:{_WORDS})\s{{1,4}})(?!-)(?:{_QUOTED}|\S++)"), rf"\1{HIDDEN}"),
    (
        _HINTS,
        re.compile(rf"(?i)((?:{_WORDS})\\?[\"']\s{{0,4}}:\s{{0,4}})(?:{_QUOTED}|[^\s,}}\]\"'\\\[{{]++)"),
        rf'\1"{HIDDEN}"',
    ),
    (_HINTS, re.compile(rf"(?i)({_WORDS})(\s{{0,3}}[=:]\s{{0,3}}|>)(?!>)({_QUOTED}|[^\s<]++)"), _assigned),
    (("eyj",), re.compile(r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?"), HIDDEN),  # JSON web tokens
    (_PREFIXES, re.compile(_TOKENS), HIDDEN),
    # SQLAlchemy's errors end with the statement's parameters.
    (("[parameters: ",), re.compile(r"\[parameters: [^\n]*+"), f"[parameters: {HIDDEN}]"),
    # Kubernetes' decoder quotes the bytes around an error.
    (("...|",), re.compile(r"\.\.\.\|[^\n]*+"), f"...|{HIDDEN}|..."),
)

_WORTH = re.compile("|".join(sorted({re.escape(hint) for hints, _, _ in _RULES for hint in hints})))
"""Finds whether any rule is worth trying: without a hint in it, a text is harmless."""

_SECRET_BLOCK = re.compile(
    r"((?:\bdata|stringData)\\?\"?\s{0,4}:\s{0,4})(?:\{(?:[^{}\"]|\"(?:[^\"\\]|\\.)*+\"?)*+\}?|map\[[^\]]*+\]?)", re.S
)
_YAML_BLOCK = re.compile(r"\s*(?:data|stringData):\s*\Z")


def scrub(text: str) -> str:
    """`text` without credentials: URLs, headers, assignments, keys, tokens of known shapes, printed Secrets.

    What is left stays readable; doing it twice changes nothing more. Raises nothing.
    """
    lower = text.lower()
    if not _WORTH.search(lower):
        return text
    for hints, pattern, instead in _RULES:
        if any(hint in lower for hint in hints):
            text = pattern.sub(instead, text)
    if "Secret" in text:
        text = _SECRET_BLOCK.sub(rf"\1{HIDDEN}", text)
        text = _without_yaml_data(text) if "ata:" in text else text
    return text


def _without_yaml_data(text: str) -> str:
    """Hide what is indented below `data:` and `stringData:` of a manifest printed as YAML."""
    lines: list[str] = []
    depth = -1
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip())
        if depth >= 0 and line.strip() and indent <= depth:
            depth = -1
        if depth >= 0 and line.strip():
            if lines[-1].strip() != HIDDEN:
                lines.append(f"{' ' * (depth + 2)}{HIDDEN}")
            continue
        lines.append(line)
        if _YAML_BLOCK.match(line):
            depth = indent
    return "\n".join(lines)
