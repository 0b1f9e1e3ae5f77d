"""Bucket configs: made, listed, changed, given new credentials, tried, deleted.

- A place belongs to one bucket config of the whole installation: no other is equal, and none lies in it, unless an admin says so. Only an
  admin of the server may let one lie in another organisation's place: it could read what is there by the machine's credentials.
- What repositories use stays where it is: only its nickname and its credentials can be changed.
- Credentials are sealed and never told. They belong to one service: a bucket config that moves to another loses them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from sqlalchemy import Connection

from kist.catalog import buckets, repos, resealing
from kist.catalog.buckets import BucketRow
from kist.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from kist.ids import new_id
from kist.models import BucketCheck, BucketConfig, Platform, Repo
from kist.models.requests import (
    BucketName,
    CreateBucketConfig,
    DeleteBucketConfig,
    ListBucketRepos,
    ListBuckets,
    ModifyBucketConfig,
    Page,
    RotateCredentials,
)
from kist.operations import (
    CHECK_BUCKET_CONFIG,
    CREATE_BUCKET_CONFIG,
    DELETE_BUCKET_CONFIG,
    GET_BUCKET_CONFIG,
    LIST_BUCKET_CONFIGS,
    LIST_REPOS_FOR_BUCKET_CONFIG,
    MODIFY_BUCKET_CONFIG,
    ROTATE_CREDENTIALS,
    SET_DEFAULT_BUCKET_CONFIG,
)
from kist.service.credentials import sealed_form, settle
from kist.service.handlers import Handlers
from kist.service.naming import S3_FAMILY, Place, changed, parse
from kist.service.places import check_rules, credentials_place
from kist.service.rooms import Act, Rooms
from kist.service.trying import try_out

__all__ = ["HANDLERS", "reseal"]

HANDLERS = Handlers()

_NICKNAME: Final = re.compile(r"\w[\w.-]{2,63}")
_NAMED: Final = 5
_AT_ONCE: Final = 100
_SERVICES: Final = ("endpoint_url", "sts_endpoint_url", "role_arn", "external_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What a new bucket config is to be."""

    place: Place
    auth_method: str
    credentials: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moved:
    """Where a bucket config is to be, and where it was when that was found out; None: it stays."""

    before: BucketRow
    place: Place | None


@HANDLERS.look(LIST_BUCKET_CONFIGS)
def list_bucket_configs(act: Act, sql: Connection, request: ListBuckets) -> Page[BucketConfig]:
    """List the bucket configs of an organisation by nickname."""
    found = buckets.page(sql, act.standing.org_id, after=request.after, limit=request.limit + 1)
    items = [_shown(act, row, used) for row, used in found[: request.limit]]
    return Page(items=items, next=items[-1].nickname.casefold() if len(found) > request.limit else "")


@HANDLERS.look(GET_BUCKET_CONFIG)
def get_bucket_config(act: Act, sql: Connection, request: BucketName) -> BucketConfig:
    """Get a bucket config."""
    return _look(act, sql, _found(act, sql, request.nickname))


@HANDLERS.look(LIST_REPOS_FOR_BUCKET_CONFIG)
def list_repos_for_bucket_config(act: Act, sql: Connection, request: ListBucketRepos) -> Page[Repo]:
    """List the repositories that use a bucket config, those in the trash too, by name."""
    row = _found(act, sql, request.nickname)
    found = repos.of_bucket(sql, row.id, after=request.after, limit=request.limit + 1)
    shown = found[: request.limit]
    items = [repos.shown(one, trash_days=act.rooms.rules.trash_days) for one in shown]
    return Page(items=items, next=repos.place_of(shown[-1]) if len(found) > request.limit else "")


def _prepare_create(act: Act, request: CreateBucketConfig) -> _Made:
    place = parse(uri=request.uri, platform=request.platform, name=request.name, prefix=request.prefix, extra_config=request.extra_config)
    method, credentials = settle(place.platform, request.auth_method, request.credentials, extra_config=place.extra_config)
    check_rules(act.rooms.rules, place.platform, place.name, place.extra_config, look_up=False)
    return _Made(place=place, auth_method=method, credentials=credentials)


@HANDLERS.prepared_change(CREATE_BUCKET_CONFIG, _prepare_create)
def create_bucket_config(act: Act, sql: Connection, request: CreateBucketConfig, made: _Made) -> BucketConfig:
    """Make a bucket config; the first one of an organisation is its default. Nothing is sent to the store."""
    org_id, nickname, place = act.standing.org_id, _nickname(request.nickname), made.place
    buckets.lock_places(sql)
    _refuse_taken(act, sql, nickname)
    _refuse_overlap(act, sql, place.place, allow_nested=request.allow_nested)
    bucket_id = new_id()
    row = BucketRow(
        id=bucket_id,
        org_id=org_id,
        nickname=nickname,
        platform=place.platform,
        name=place.name,
        prefix=place.prefix,
        extra_config=place.extra_config,
        auth_method=made.auth_method,
        credentials=_sealed(act.rooms, bucket_id, made.credentials),
        place=place.place,
        is_default=not buckets.page(sql, org_id, after="", limit=1),
        created=act.now,
        created_by=act.who.name,
        updated=act.now,
    )
    buckets.add(sql, row)
    act.details["place"] = place.place
    return _shown(act, row, 0)


def _prepare_modify(act: Act, request: ModifyBucketConfig) -> _Moved:
    with act.rooms.database.reading() as sql:
        row = _found(act, sql, request.nickname)
    said = {name: getattr(request, name) for name in ("uri", "platform", "name", "prefix", "extra_config")}
    if all(one is None for one in said.values()):
        return _Moved(before=row, place=None)
    place = changed(row.platform, row.name, row.prefix, row.extra_config, said=said)
    check_rules(act.rooms.rules, place.platform, place.name, place.extra_config, look_up=False)
    same = (place.place, place.platform, place.extra_config) == (row.place, row.platform, dict(row.extra_config))
    return _Moved(before=row, place=None if same else place)


@HANDLERS.prepared_change(MODIFY_BUCKET_CONFIG, _prepare_modify)
def modify_bucket_config(act: Act, sql: Connection, request: ModifyBucketConfig, moved: _Moved) -> BucketConfig:
    """Change a bucket config; only its nickname while repositories use it."""
    buckets.lock_places(sql)
    row = _found(act, sql, request.nickname, hold=True)
    values: dict[str, object] = {}
    if request.new_nickname is not None and (nickname := _nickname(request.new_nickname)) != row.nickname:
        if nickname.casefold() != row.nickname.casefold():
            _refuse_taken(act, sql, nickname)
        values["nickname"] = nickname
    if moved.place is not None:
        if (row.id, row.place, row.extra_config) != (moved.before.id, moved.before.place, moved.before.extra_config):
            raise Conflict(f"the bucket config {row.nickname!r} was changed by somebody else just now: look at it and ask again")
        _refuse_used(sql, row, "be changed but for its nickname and its credentials")
        _refuse_overlap(act, sql, moved.place.place, allow_nested=request.allow_nested, but=row.id)
        values |= _moving(act, row, moved.place)
    if values:
        buckets.modify(sql, row.id, values, now=act.now)
    return _look(act, sql, _found(act, sql, str(values.get("nickname", row.nickname))))


@HANDLERS.change(SET_DEFAULT_BUCKET_CONFIG)
def set_default_bucket_config(act: Act, sql: Connection, request: BucketName) -> BucketConfig:
    """Make a bucket config the one that new repositories are on."""
    buckets.lock_places(sql)
    row = _found(act, sql, request.nickname, hold=True)
    buckets.make_default(sql, row.org_id, row.id)
    return _look(act, sql, _found(act, sql, request.nickname))


@HANDLERS.change(DELETE_BUCKET_CONFIG)
def delete_bucket_config(act: Act, sql: Connection, request: DeleteBucketConfig) -> None:
    """Delete a bucket config that no repository uses; what lies in the bucket stays."""
    if not (request.imsure and request.imreallysure):
        raise InvalidInput("imsure and imreallysure must be set to True")
    buckets.lock_places(sql)
    row = _found(act, sql, request.nickname, hold=True)
    _refuse_used(sql, row, "be deleted")
    buckets.remove(sql, row.id)
    act.details["place"] = row.place


@HANDLERS.change(ROTATE_CREDENTIALS)
def rotate_credentials(act: Act, sql: Connection, request: RotateCredentials) -> BucketConfig:
    """Give a bucket config new credentials, or another way to ask."""
    if not request.auth_method and not request.credentials:
        raise InvalidInput("what are the new credentials? give credentials={…}, or an auth_method that needs none")
    row = _found(act, sql, request.nickname, hold=True)
    asked = request.auth_method or ("role" if row.auth_method == "role" else "")
    method, credentials = settle(row.platform, asked, request.credentials, extra_config=row.extra_config)
    sealed = _sealed(act.rooms, row.id, credentials)
    buckets.modify(sql, row.id, {"auth_method": method, "credentials": sealed}, now=act.now)
    act.details["auth_method"] = method
    return _look(act, sql, _found(act, sql, request.nickname))


@HANDLERS.work(CHECK_BUCKET_CONFIG)
def check_bucket_config(act: Act, request: BucketName) -> BucketCheck:
    """Try what the place of a bucket config can do, below a random name that is removed again."""
    with act.rooms.database.reading() as sql:
        row = _found(act, sql, request.nickname)
    return try_out(act.rooms, row)


def reseal(rooms: Rooms) -> int:
    """Seal all that an old key has sealed by the current one, while all else goes on; return how many secrets that were.

    Raises:
        IntegrityError: one of them does not open; those before it are done.
    """
    done = 0
    while True:
        with rooms.database.reading() as sql:
            found = resealing.old(sql, rooms.keyring, limit=_AT_ONCE)
        if not found:
            return done
        for one in found:
            done += rooms.database.change(partial(_resealed, rooms, one))


def _resealed(rooms: Rooms, one: resealing.Sealed, sql: Connection) -> bool:
    return resealing.reseal(sql, rooms.keyring, one)


def _nickname(text: str) -> str:
    """Return a nickname without the spaces around it.

    Raises:
        InvalidInput: it is none.
    """
    nickname = text.strip()
    if not _NICKNAME.fullmatch(nickname):
        raise InvalidInput(
            f"{nickname[:64]!r} is no nickname: it has at least 3 characters and at most 64: letters, digits, '.', '_' and '-'"
        )
    return nickname


def _found(act: Act, sql: Connection, nickname: str, *, hold: bool = False) -> BucketRow:
    """Return a bucket config of the organisation.

    Raises:
        NotFound: there is none of this nickname.
    """
    row = buckets.get(sql, act.standing.org_id, nickname, hold=hold)
    if row is None:
        raise NotFound(
            f"the organisation {act.standing.org!r} has no bucket config {nickname.strip()!r}: kist bucket list shows those it has"
        )
    return row


def _refuse_taken(act: Act, sql: Connection, nickname: str) -> None:
    if buckets.get(sql, act.standing.org_id, nickname) is not None:
        raise AlreadyExists(f"the organisation {act.standing.org!r} has a bucket config {nickname!r} already: choose another nickname")


def _refuse_overlap(act: Act, sql: Connection, place: str, *, allow_nested: bool, but: str = "") -> None:
    """Refuse a place that another bucket config has, or that lies in one's, or in which one's lies. Of other organisations nothing is told.

    Raises:
        Conflict: it is one.
    """
    for other in buckets.overlapping(sql, place, but=but):
        ours = other.org_id == act.standing.org_id
        if allow_nested and other.place != place and (ours or act.who.admin):
            continue
        whose = f"the bucket config {other.nickname!r}" if ours else "a bucket config of another organisation"
        if other.place == place:
            raise Conflict(f"this is the place of {whose} already: a place has one bucket config; take that one, or another prefix")
        hint = "allow_nested=True lets it be" if ours else "only an admin of this server can let it be, by allow_nested=True"
        raise Conflict(f"this place overlaps that of {whose}, one lies in the other: take another prefix; {hint}")


def _refuse_used(sql: Connection, row: BucketRow, what: str) -> None:
    """Refuse to touch what repositories use.

    Raises:
        Conflict: some do; the message names them.
    """
    count = buckets.count_repos(sql, row.id)
    if not count:
        return
    named = [f"{name} (in the trash)" if gone else name for name, gone in buckets.names_of_repos(sql, row.id, limit=_NAMED)]
    more = f" and {count - len(named)} more" if count > len(named) else ""
    raise Conflict(
        f"the bucket config {row.nickname!r} can't {what} while repositories use it: {', '.join(named)}{more}; "
        "move them to another one first (kist repo move), or delete them; those in the trash count until they are purged"
    )


def _moving(act: Act, row: BucketRow, place: Place) -> dict[str, object]:
    """Return what changes of a bucket config that moves: its credentials stay only where they are for the same service.

    Raises:
        InvalidInput: nothing could be asked for there as it is asked now.
    """
    act.details["place"] = place.place
    values: dict[str, object] = {
        "platform": place.platform,
        "name": place.name,
        "prefix": place.prefix,
        "extra_config": place.extra_config,
        "place": place.place,
    }
    if place.platform in {"local", "memory"}:
        return {**values, "auth_method": "ambient", "credentials": None}
    same = place.realm == row.place.partition("/")[0] and all(row.extra_config.get(key) == place.extra_config.get(key) for key in _SERVICES)
    if row.auth_method == "role" and not (same and place.platform in S3_FAMILY and "role_arn" in place.extra_config):
        raise InvalidInput("it is asked for by a role of another service: choose another auth_method first (rotate_credentials)")
    if row.credentials is not None and not same:
        values["credentials"] = None
        act.details["credentials"] = "dropped, for they are of another service"
    return values


def _sealed(rooms: Rooms, bucket_id: str, credentials: Mapping[str, str]) -> bytes | None:
    content = sealed_form(credentials)
    return None if content is None else rooms.keyring.seal(content, place=credentials_place(bucket_id))


def _look(act: Act, sql: Connection, row: BucketRow) -> BucketConfig:
    return _shown(act, row, buckets.count_repos(sql, row.id))


def _shown(act: Act, row: BucketRow, used: int) -> BucketConfig:
    return BucketConfig(
        id=row.id,
        org=act.standing.org,
        nickname=row.nickname,
        platform=cast("Platform", row.platform),
        name=row.name,
        prefix=row.prefix,
        extra_config=dict(row.extra_config),
        auth_method=row.auth_method,
        is_default=row.is_default,
        repos=used,
        created=row.created,
        created_by=row.created_by,
        updated=row.updated,
    )
