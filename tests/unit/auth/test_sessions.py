"""Signing in: right, wrong, too often; what ends a session."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from driftline.adapters.store.engine import Store
from driftline.adapters.store.tables import metadata
from driftline.model.errors import Permanent
from service.auth import passwords, tokens
from service.auth.accounts import CredentialKind
from service.auth.sessions import Sessions, Throttle, TooManyLogins, first_admin
from service.auth.storage import StoredAccounts
from tests.kit.accounts import MemoryAccounts

PASSWORD = "correct horse battery"
HERE = "192.0.2.7"


@pytest.fixture
def accounts() -> MemoryAccounts:
    return MemoryAccounts()


@pytest.fixture
def sessions(accounts: MemoryAccounts) -> Sessions:
    made = Sessions(accounts)
    made.create_account("ada", ("role:admin",), PASSWORD)
    return made


@pytest.mark.covers("AUTH-02")
def test_a_login_opens_a_session_that_ends_by_itself(sessions: Sessions, accounts: MemoryAccounts) -> None:
    signed_in = sessions.login("ada", PASSWORD, HERE)
    assert signed_in
    found = sessions.identify(signed_in.token)
    assert found
    assert (found.account.name, found.kind) == ("ada", CredentialKind.SESSION)
    accounts.forward(timedelta(hours=24))
    assert sessions.identify(signed_in.token) is None


def test_every_login_has_a_token_of_its_own_that_is_stored_nowhere(
    sessions: Sessions, accounts: MemoryAccounts
) -> None:
    opened = [sessions.login("ada", PASSWORD, HERE) for _ in range(3)]
    assert len({each.token for each in opened if each}) == 3
    for each in opened:
        assert each
        assert each.token not in repr(accounts)
        assert each.token not in repr(each)


@pytest.mark.covers("AUTH-02")
def test_logging_out_ends_the_session(sessions: Sessions) -> None:
    signed_in = sessions.login("ada", PASSWORD, HERE)
    assert signed_in
    sessions.logout(signed_in.token)
    assert sessions.identify(signed_in.token) is None
    sessions.logout("nonsense")


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ada", "wrong password"),
        ("ada", ""),
        ("ada", PASSWORD + " "),
        ("ada", "\ud800"),
        ("ADA", PASSWORD),
        ("nobody", PASSWORD),
        ("", PASSWORD),
        ("a\x00da", PASSWORD),
        ("x" * 1000, PASSWORD),
        ("ada", "x" * 1_000_000),
    ],
)
def test_a_wrong_login_opens_nothing(sessions: Sessions, name: str, password: str) -> None:
    assert sessions.login(name, password, HERE) is None


def test_an_account_without_a_password_and_a_locked_one_cannot_sign_in(
    sessions: Sessions, accounts: MemoryAccounts
) -> None:
    accounts.add("sso", (), "")
    assert sessions.login("sso", "", HERE) is None
    accounts.set_enabled("ada", False)
    assert sessions.login("ada", PASSWORD, HERE) is None


@pytest.mark.covers("AUTH-03")
def test_after_five_failures_the_right_password_is_refused_for_five_minutes(
    sessions: Sessions, accounts: MemoryAccounts
) -> None:
    for number in range(5):
        assert sessions.login("ada", "wrong password", f"192.0.2.{number}") is None
    assert sessions.login("ada", PASSWORD, "198.51.100.1") is None
    accounts.forward(timedelta(seconds=299))
    assert sessions.login("ada", PASSWORD, "198.51.100.1") is None
    accounts.forward(timedelta(seconds=2))
    assert sessions.login("ada", PASSWORD, "198.51.100.1")


@pytest.mark.covers("AUTH-03")
def test_a_success_forgets_the_failures_of_the_account(sessions: Sessions) -> None:
    for _ in range(3):
        for _ in range(4):
            assert sessions.login("ada", "wrong password", HERE) is None
        assert sessions.login("ada", PASSWORD, HERE) is not None


@pytest.mark.covers("AUTH-03")
def test_one_address_cannot_try_many_accounts(accounts: MemoryAccounts) -> None:
    sessions = Sessions(accounts, throttle=Throttle(per_address=6))
    sessions.create_account("ada", (), PASSWORD)
    for number in range(6):
        assert sessions.login(f"user{number}", "password1", HERE) is None
    assert sessions.login("ada", PASSWORD, HERE) is None
    assert sessions.login("ada", PASSWORD, "198.51.100.1") is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8::1", "2001:db8::ffff"), ("::ffff:192.0.2.7", "192.0.2.7"), ("fe80::1%eth0", "fe80::2")],
)
def test_addresses_that_one_sender_has_count_as_one(accounts: MemoryAccounts, one: str, other: str) -> None:
    sessions = Sessions(accounts, throttle=Throttle(per_address=1))
    sessions.create_account("ada", (), PASSWORD)
    assert sessions.login("bob", "wrong password", one) is None
    assert sessions.login("ada", PASSWORD, other) is None
    assert sessions.login("ada", PASSWORD, "2001:db8:1::1") is not None


def test_a_thousand_other_names_do_not_push_a_count_out(
    accounts: MemoryAccounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "is_right", lambda password, hashed: bool(hashed) and password == PASSWORD)
    sessions = Sessions(accounts)
    sessions.create_account("ada", (), PASSWORD)
    for number in range(5):
        sessions.login("ada", "wrong password", f"192.0.2.{number}")
    for number in range(1000):
        sessions.login(f"user{number}", "wrong password", f"10.0.{number // 250}.{number % 250}")
    assert sessions.login("ada", PASSWORD, HERE) is None


def test_failures_survive_a_restart(tmp_path: Path) -> None:
    def started() -> Sessions:
        return Sessions(StoredAccounts(Store(f"sqlite:///{tmp_path}/driftline.db")))

    with Store(f"sqlite:///{tmp_path}/driftline.db").write() as db:
        metadata.create_all(db)
    started().create_account("ada", (), PASSWORD)
    for _ in range(5):
        assert started().login("ada", "wrong password", HERE) is None
    assert started().login("ada", PASSWORD, "198.51.100.1") is None


def test_guesses_sent_together_are_counted_one_by_one(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    real = passwords.is_right

    def counting(password: str, hashed: str) -> bool:
        checked.append(password)
        return real(password, hashed)

    monkeypatch.setattr(passwords, "is_right", counting)

    def guess(number: int) -> str:
        try:
            return "in" if sessions.login("ada", f"guess number {number}", HERE) else "refused"
        except TooManyLogins:
            return "busy"

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(guess, range(500)))
    assert set(answers) <= {"refused", "busy"}
    assert len(checked) == 5


def test_an_unknown_name_takes_as_long_as_a_known_one(accounts: MemoryAccounts) -> None:
    sessions = Sessions(accounts, throttle=Throttle(per_account=100, per_address=1000))
    sessions.create_account("ada", (), PASSWORD)

    def cost(name: str) -> float:
        times = []
        for _ in range(9):
            started = time.thread_time()
            sessions.login(name, "wrong password", HERE)
            times.append(time.thread_time() - started)
        return statistics.median(times)

    known, unknown, impossible = cost("ada"), cost("nobody"), cost("a\x00b")
    assert known < 1.5 * unknown < 2.25 * known
    assert known < 1.5 * impossible < 2.25 * known


@pytest.mark.covers("AUTH-01")
def test_another_password_ends_sessions_and_tokens(sessions: Sessions) -> None:
    signed_in = sessions.login("ada", PASSWORD, HERE)
    _, api = sessions.create_token("ada", None, "robot")
    assert signed_in
    assert sessions.identify(api)
    sessions.set_password("ada", "another password")
    assert sessions.identify(signed_in.token) is None
    assert sessions.identify(api) is None
    assert sessions.login("ada", PASSWORD, HERE) is None
    assert sessions.login("ada", "another password", HERE) is not None


@pytest.mark.parametrize("password", ["short", "", "x" * 300, "tab\there and there", "\ud800surrogate"])
def test_passwords_that_will_not_do(sessions: Sessions, password: str) -> None:
    with pytest.raises(Permanent, match="account ada: a password has"):
        sessions.set_password("ada", password)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a\n", "-x", "a" * 65, "ada\x00"])
def test_names_that_will_not_do(sessions: Sessions, name: str) -> None:
    with pytest.raises(Permanent, match="a name has"):
        sessions.create_account(name, (), PASSWORD)


def test_an_account_is_not_made_twice_and_what_is_not_there_is_said(sessions: Sessions) -> None:
    with pytest.raises(Permanent, match="account ada: exists already"):
        sessions.create_account("ada", (), PASSWORD)
    with pytest.raises(Permanent, match="there is no such account"):
        sessions.set_password("nobody", PASSWORD)
    with pytest.raises(Permanent, match="there is no such account"):
        sessions.create_token("nobody", None)


@pytest.mark.covers("AUTH-01")
def test_api_tokens_end_when_they_should(sessions: Sessions, accounts: MemoryAccounts) -> None:
    made, token = sessions.create_token("ada", timedelta(days=1), "deploy\x00 robot\n")
    assert made.note == "deploy robot"
    found = sessions.identify(token)
    assert found
    assert (found.kind, found.id) == (CredentialKind.API, made.id)
    accounts.forward(timedelta(days=1))
    assert sessions.identify(token) is None
    with pytest.raises(Permanent, match="ten years"):
        sessions.create_token("ada", timedelta(days=5000))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "dls_",
        "dls_" + "A" * 43,
        "dlt_" + "A" * 44,
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsImlzcyI6ImFyZ29jZCJ9.",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbjpsb2dpbiJ9.c2lnbmF0dXJl",
        "dls_" + "ü" * 43,
        "dls_" + "A" * 43 + "\n",
        "\ud800",
    ],
)
def test_nothing_else_is_a_token(sessions: Sessions, token: str) -> None:
    assert sessions.identify(token) is None


def test_tokens_are_random_and_scanners_know_them() -> None:
    made = {tokens.new_token(kind) for kind in CredentialKind for _ in range(100)}
    assert len(made) == 200
    assert all(tokens.is_token(each) for each in made)
    assert {each[:4] for each in made} == {"dls_", "dlt_"}


def test_the_first_admins_password_is_random_and_told_once(accounts: MemoryAccounts) -> None:
    password = first_admin(accounts)
    assert password
    assert len(password) == 30
    assert first_admin(accounts) is None
    signed_in = Sessions(accounts).login("admin", password, HERE)
    assert signed_in
    assert signed_in.account.roles == ("role:admin",)
    assert signed_in.account.initial_password
    assert password != first_admin(MemoryAccounts())
