"""Sealed values: what opens them, what does not, and how keys are replaced."""

import os
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import LargeBinary, select

from driftline.adapters.sealing import Sealer, context, generate_key, parse_keys
from driftline.adapters.store import clusters, renders, repositories, rotation, syncs
from driftline.adapters.store.declarations import Declaration, declare
from driftline.adapters.store.engine import Store
from driftline.adapters.store.jobs import Request, claim, request
from driftline.adapters.store.repositories import NewRepository
from driftline.adapters.store.rotation import SEALED, rotate_all
from driftline.adapters.store.syncs import save_step
from driftline.adapters.store.tables import metadata, sync
from driftline.model.errors import Permanent

OLD, NEW = (parse_keys(generate_key())[0] for _ in range(2))
HERE = context("cluster", "access", "prod")


@given(content=st.binary(max_size=2000), compress=st.booleans())
def test_what_is_sealed_opens_to_the_same(content: bytes, compress: bool) -> None:
    sealed = Sealer([OLD]).seal(content, HERE, compress)
    assert Sealer([NEW, OLD]).open(sealed, HERE) == content
    if len(content) > 8:
        assert content not in sealed


@given(data=st.data())
def test_one_changed_bit_is_noticed(data: st.DataObject) -> None:
    sealed = bytearray(Sealer([OLD]).seal(b"password", HERE))
    at = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[at // 8] ^= 1 << (at % 8)
    with pytest.raises(Permanent):
        Sealer([OLD]).open(bytes(sealed), HERE)


def test_a_value_does_not_open_in_another_row() -> None:
    sealed = Sealer([OLD]).seal(b"password", HERE)
    with pytest.raises(Permanent, match=r"cluster\.access:dev: .* belongs to another row"):
        Sealer([OLD]).open(sealed, context("cluster", "access", "dev"))


def test_a_missing_key_is_named_without_being_shown() -> None:
    sealed = Sealer([OLD]).seal(b"password", HERE)
    with pytest.raises(Permanent, match="DRIFTLINE_DATA_KEYS does not hold"):
        Sealer([NEW]).open(sealed, HERE)
    for cut in (b"", b"x", sealed[:10], b"\x09" + sealed[1:]):
        with pytest.raises(Permanent):
            Sealer([OLD]).open(cut, HERE)
    assert OLD.hex() not in repr(Sealer([OLD])) + repr(vars(Sealer([OLD])).keys())


def test_compression_makes_renders_small() -> None:
    manifest = b"apiVersion: v1\nkind: ConfigMap\n" * 200
    assert len(Sealer([OLD]).seal(manifest, HERE, compress=True)) < len(manifest) / 10


def test_keys_are_read_newest_first_and_bad_ones_named_by_position() -> None:
    text = f" {generate_key()} , {generate_key().rstrip('=')},"
    assert [len(key) for key in parse_keys(text)] == [32, 32]
    secret = "c2hvcnQ"
    for bad in ("", " , ", f"{generate_key()},{secret}", f"{generate_key()},!!!"):
        with pytest.raises(Permanent) as raised:
            parse_keys(bad)
        assert secret not in str(raised.value)
    with pytest.raises(Permanent, match="key 2 has 5 bytes, want 32"):
        parse_keys(f"{generate_key()},{secret}")


def test_a_plan_digest_survives_rotation_and_differs_without_the_key() -> None:
    before = Sealer([OLD]).plan_digest(b"plan")
    rotated = Sealer([NEW, OLD])
    assert before == Sealer([OLD]).plan_digest(b"plan")
    assert rotated.digest_fits(b"plan", before)
    assert not rotated.digest_fits(b"another plan", before)
    assert not Sealer([NEW]).digest_fits(b"plan", before)
    assert rotated.plan_digest(b"plan") != before
    assert not rotated.digest_fits(b"plan", "")


def test_every_binary_column_is_in_the_rotation() -> None:
    binary = {
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert {(table.name, column) for table, column, _ in SEALED} == binary


def fill(store: Store, sealer: Sealer) -> int:
    """Something sealed in every column that can be; returns the id of the sync."""
    app = store.transact(lambda db: declare(db, Declaration("shop", {}))).ids["shop"]
    number = store.transact(lambda db: syncs.create(db, app, "git"))
    assert number is not None
    held = store.transact(lambda db: claim(db, request(db, Request("sync", "s")), "w", rotation_lease()))
    assert held is not None
    hook = repositories.new_hook_id()
    repository = NewRepository(
        "https://example.org/shop",
        "example.org/shop",
        credentials=sealer.seal(b"password", context("repository", "credentials", hook)),
        hook_secret=sealer.seal(b"hook", context("repository", "hook_secret", hook)),
    )
    access = sealer.seal(b"kubeconfig", HERE)
    store.transact(lambda db: repositories.save(db, repository, hook))
    store.transact(lambda db: clusters.save(db, "prod", "https://prod", access))
    store.transact(lambda db: clusters.save(db, "in-cluster", "https://kubernetes.default.svc", None))
    for key in (f"render-{turn}" for turn in range(rotation.BATCH + 5)):
        sealed = sealer.seal(key.encode(), context("render", "sealed", key), compress=True)
        store.transact(lambda db, key=key, sealed=sealed: renders.put(db, key, sealed, 1, ""))  # type: ignore[misc]
    plan = sealer.seal(b"plan", context("sync", "plan", f"{app}/d1"))
    store.transact(lambda db: save_step(db, held, number, plan=plan, plan_digest="d1"))
    return number


def rotation_lease() -> timedelta:
    return timedelta(seconds=30)


def test_rotation_reaches_every_sealed_value_and_then_the_old_key_can_go(store: Store) -> None:
    number = fill(store, Sealer([OLD]))
    assert rotate_all(store, Sealer([NEW, OLD])) == 2 + 1 + (rotation.BATCH + 5) + 1
    assert rotate_all(store, Sealer([NEW, OLD])) == 0
    only_new = Sealer([NEW])
    with store.read() as db:
        for table, column, identity in SEALED:
            for sealed, *names in db.execute(select(table.c[column], *(table.c[each] for each in identity))):
                if sealed is not None:
                    assert only_new.open(sealed, context(table.name, column, "/".join(map(str, names))))
        plan, app = db.execute(select(sync.c.plan, sync.c.application_id).where(sync.c.id == number)).one()
    assert only_new.open(plan, context("sync", "plan", f"{app}/d1")) == b"plan"


def test_a_value_that_no_key_opens_stops_the_rotation_by_name(store: Store) -> None:
    fill(store, Sealer([os.urandom(32)]))
    with pytest.raises(Permanent, match=r"repository\.credentials"):
        rotate_all(store, Sealer([NEW, OLD]))
