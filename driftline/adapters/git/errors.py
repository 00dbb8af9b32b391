"""What git's complaints mean for people, and for the retry: its English text becomes Temporary or Permanent here."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from driftline.model.errors import Permanent, Temporary

_LOGIN = "check the credentials with `driftline repo add`"
_LONGEST_WAIT = timedelta(hours=1)
_TRACE = re.compile(r"^\d\d:\d\d:\d\d\.\d+ http\.c:\d+ .*$\n?", re.MULTILINE)
_RETRY_AFTER = re.compile(r"http\.c:\d+ +<= Recv header: retry-after:[ \t]*([^\r\n]+)", re.IGNORECASE)
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/\s@']*@")
_STATUS = re.compile(r"^(?:fatal|error): .*The requested URL returned error: (\d{3})", re.MULTILINE)
_REMOTE_LINE = re.compile(r"^remote: .*$\n?", re.MULTILINE)

# Cause, then the complaints that mean it. What the remote side prints itself arrives as "remote: ..." lines, which are
# taken out before: a host must not be able to talk us into anything.
_PERMANENT: tuple[tuple[str, ...], ...] = (
    (
        "host key unknown; add the host's key to known_hosts",
        r"^No \S+ host key is known",
        r"^Host key verification failed",
    ),
    (
        f"authentication failed; {_LOGIN}",
        r"Permission denied \(",
        r"Authentication failed for",
        r"could not read (?:Username|Password)",
    ),
    (f"the SSH private key cannot be read; {_LOGIN}", r"error in libcrypto", r"^Load key .*: "),
    (
        "certificate not trusted; give the CA that signed it",
        r"server certificate verification failed",
        r"SSL certificate problem",
        r"certificate subject name",
        r"no alternative certificate",
    ),
    (
        "is not a repository, or these credentials may not see it; check the URL and the credentials",
        r"repository '.*' not found",
        r"does not appear to be a git repository",
        r"not valid: is this a git repository",
    ),
    (
        "this transport is not allowed; use https or ssh",
        r"^fatal: (?:protocol|transport) '.*' not (?:allowed|supported)",
    ),
    ("holds an object that is malformed or dangerous; repair its history", r"fsck error", r"in fsck of"),
    ("redirects elsewhere; give the new URL", r"^fatal: unable to (?:update url base from redirection|redirect)"),
)
_TEMPORARY: tuple[tuple[str, ...], ...] = (
    (
        "host unknown; check the URL and this machine's DNS",
        r"Could not resolve (?:host|hostname)",
        r"Name or service not known",
        r"Temporary failure in name resolution",
    ),
    (
        "connection refused; is the host up?",
        r"Connection refused",
        r"Couldn't connect to server",
        r"Failed to connect",
    ),
    ("the host does not answer in time", r"timed out", r"Timeout was reached", r"Operation too slow"),
    ("the host cannot be reached from here", r"No route to host", r"Network is unreachable"),
    ("no space left for its mirror; free some or lower the quota", r"No space left on device", r"Disk quota exceeded"),
    (
        "the connection broke off; it is tried again",
        r"early EOF",
        r"unexpected disconnect",
        r"hung up unexpectedly",
        r"Connection (?:reset|closed)",
        r"RPC failed",
        r"Recv failure",
        r"transfer closed",
        r"(?:index-pack|unpack-objects) failed",
        r"bad (?:line length|pack header)",
        r"expected (?:flush|'packfile')",
    ),
)
_CORRUPT = re.compile(
    r"^(?:fatal|error): (?:object file .* is empty|loose object .* is corrupt|packed object .* is corrupt|"
    r"inflate: data stream error|bad object |unable to read tree|unable to read [0-9a-f]{40}|"
    r"packfile .* (?:is far too short|cannot be mapped|index not opened|does not match index|claims to have)|"
    r"file .*\.idx is too small|non-monotonic index|index file .* is corrupt|missing blob object|missing tree object|"
    r"missing commit object|Could not read [0-9a-f]{40}|failed to read object|"
    r"refs/\S+ does not point to a valid object|cannot read object|revision walk setup failed|not a git repository)",
    re.MULTILINE,
)
_MISSING_REF = re.compile(r"^fatal: couldn't find remote ref (\S+)$", re.MULTILINE)
_REF_CLASH = re.compile(r"cannot lock ref '[^']+': '([^']+)' exists; cannot create", re.MULTILINE)
_REF_CLASH_BELOW = re.compile(r"cannot lock ref '([^']+)': there (?:is|are) (?:still|a non-empty)", re.MULTILINE)
_NOT_OFFERED = re.compile(r"not our ref|unadvertised object|does not allow request for", re.MULTILINE)
_OTHER_HASH = re.compile(r"mismatched algorithms: client sha1; server sha256")


def explain(shown: str, errors: str, secrets: Iterable[str] = ()) -> Temporary | Permanent:
    """Name the kind of a failure from what git wrote to stderr; `shown` is the URL for people.

    Unknown complaints count as temporary and are quoted, credentials taken out.
    """
    delay = retry_after(errors)
    text = _TRACE.sub("", errors)
    if status := _STATUS.search(text):
        return _by_status(shown, int(status[1]), delay)
    own = _REMOTE_LINE.sub("", text)
    if cause := _cause(own, _PERMANENT):
        return Permanent(f"{shown}: {cause}")
    wait = [delay] if delay else []
    if cause := _cause(own, _TEMPORARY):
        return Temporary(f"{shown}: {cause}", *wait)
    return Temporary(f"{shown}: git failed: {scrub(text, secrets)}", *wait)


def _cause(errors: str, table: tuple[tuple[str, ...], ...]) -> str:
    for cause, *patterns in table:
        if any(re.search(pattern, errors, re.MULTILINE) for pattern in patterns):
            return cause
    return ""


def _by_status(shown: str, status: int, delay: timedelta | None) -> Temporary | Permanent:
    if status in (401, 403, 407):
        return Permanent(f"{shown}: authentication failed (HTTP {status}); {_LOGIN}")
    if 300 <= status < 400:
        return Permanent(f"{shown}: redirects elsewhere (HTTP {status}); give the new URL")
    if status == 429:
        return Temporary(f"{shown}: the host asks for fewer requests (HTTP 429)", delay or timedelta(minutes=1))
    if status in (404, 410):
        return Permanent(f"{shown}: is not a repository (HTTP {status}); check the URL and the credentials")
    if status >= 500 or status == 408:
        return Temporary(f"{shown}: the host failed (HTTP {status})", delay or timedelta(seconds=10))
    return Permanent(f"{shown}: the host refused (HTTP {status}); check the URL and the credentials")


def retry_after(errors: str, now: datetime | None = None) -> timedelta | None:
    """The wait that the host asked for, at most an hour; None if it asked for none. Source: RFC 9110, 10.2.3."""
    found = _RETRY_AFTER.findall(errors)
    if not found:
        return None
    asked = str(found[-1]).strip()
    if asked.isdecimal():
        return min(timedelta(seconds=int(asked[:9])), _LONGEST_WAIT)
    try:
        wait = parsedate_to_datetime(asked) - (now or datetime.now(UTC))
    except (ValueError, TypeError):
        return None
    return min(max(wait, timedelta(0)), _LONGEST_WAIT)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """One short line of git's text without credentials: the known ones, and any that stand in a URL."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = _USERINFO.sub(r"\1", text)
    words = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return words[:300] or "it gave no reason"


def corrupt(errors: str) -> bool:
    """Whether git complains about the mirror itself, so that a new one would help."""
    return _CORRUPT.search(_REMOTE_LINE.sub("", _TRACE.sub("", errors))) is not None


def missing_ref(errors: str) -> str | None:
    """The ref that was asked for and that the remote does not have."""
    match = _MISSING_REF.search(errors)
    return match[1] if match else None


def clashing_ref(errors: str) -> tuple[str, bool] | None:
    """A ref of the mirror that stands where a new one has to go, and whether it is all refs below that name."""
    if match := _REF_CLASH.search(errors):
        return match[1], False
    if match := _REF_CLASH_BELOW.search(errors):
        return match[1], True
    return None


def not_offered(errors: str) -> bool:
    """Whether the remote refuses to hand out a commit by its id."""
    return _NOT_OFFERED.search(errors) is not None


def other_hash(errors: str) -> bool:
    """Whether the remote names objects by SHA-256 and the mirror was made for SHA-1."""
    return _OTHER_HASH.search(errors) is not None
