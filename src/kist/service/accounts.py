"""Users: they log in and out, are made and changed by an admin of the server, and set their own passwords.

Whatever makes a login worthless (a new password, a disabled user) ends it at once: the sessions of browsers, and the keys that logging in
made. Keys that a user made on purpose stay valid after a new password, as they are revoked one by one.
"""

from dataclasses import dataclass
from datetime import timedelta

from msgspec import UNSET
from sqlalchemy import Connection

from kist.catalog import keys, logins, orgs, people
from kist.catalog.people import UserRow
from kist.errors import Conflict, Denied, InvalidInput, NotFound
from kist.ids import check_owner_name
from kist.models import IssuedKey, LoginLink, Me, Scope, User
from kist.models.requests import CreateUser, ListUsers, LogIn, ModifyUser, Nothing, Page, SetPassword, UserName
from kist.operations import CREATE_LOGIN_LINK, CREATE_USER, GET_ME, LIST_USERS, LOG_IN, LOG_OUT, MODIFY_USER, SET_PASSWORD
from kist.service import authentication, passwords, throttle, tokens
from kist.service.handlers import Handlers
from kist.service.keys import issue
from kist.service.orgs import visible_orgs
from kist.service.policy import Principal
from kist.service.rooms import Act, Rooms
from kist.service.users import add_user, check_email

__all__ = ["HANDLERS", "first_admin"]

HANDLERS = Handlers()
_ALL_ORGS = 1000


def _prove(act: Act, request: LogIn) -> Principal:
    return authentication.by_password(act.rooms, request.user, request.password, address=act.caller.address)


@HANDLERS.prepared_change(LOG_IN, _prove)
def log_in(act: Act, sql: Connection, request: LogIn, who: Principal) -> IssuedKey:
    """Give a token that ends with the login."""
    act.details["user"] = who.name
    ends = act.now + timedelta(days=act.rooms.rules.login_days)
    return issue(act, sql, who.id, who.name, kind="token", name=request.key_name, expires=ends, scope=Scope(), by_login=True)


@HANDLERS.change(LOG_OUT)
def log_out(act: Act, sql: Connection, _request: Nothing) -> None:
    """End the key, or the session of the browser, that this request carries."""
    key_id = act.who.key_id
    if not key_id:
        raise InvalidInput("this request carries no key that could be ended: on this machine nobody has to log in")
    if key_id.startswith(authentication.SESSION):
        logins.drop_sessions(sql, act.who.id, only=key_id.removeprefix(authentication.SESSION))
    else:
        keys.revoke(sql, act.who.id, key_id, act.now)


@HANDLERS.look(GET_ME)
def get_me(act: Act, sql: Connection, _request: Nothing) -> Me:
    """Tell who asks, and where they have a role."""
    who = act.who
    user = people.by_id(sql, who.id) if who.kind == "user" else None
    org = orgs.by_id(sql, who.org_id) if who.org_id else None
    return Me(
        name=who.name.rpartition("/")[2],
        kind="user" if who.kind == "user" else "service-account",
        org=org.name if org else "",
        email=user.email if user else "",
        admin=who.admin,
        scope=who.scope,
        orgs=tuple(visible_orgs(sql, who, after="", limit=_ALL_ORGS)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _NewPassword:
    was: str | None
    hashed: str


def _hash_own(act: Act, request: SetPassword) -> _NewPassword:
    with act.rooms.database.reading() as sql:
        user = _known(people.by_id(sql, act.who.id), act.who.name)
    if user.password is not None:
        tried = f"password of {user.id}"
        throttle.attempt(act.rooms, tried, act.caller.address)
        if not passwords.check(user.password, request.old_password):
            raise Denied("the old password is wrong: nothing was changed")
        throttle.forgive(act.rooms, tried, act.caller.address)
    return _NewPassword(was=user.password, hashed=passwords.hash_password(request.password))


@HANDLERS.prepared_change(SET_PASSWORD, _hash_own)
def set_password(act: Act, sql: Connection, _request: SetPassword, new: _NewPassword) -> None:
    """Set the password, and end all other logins."""
    if not people.change_password(sql, act.who.id, new.hashed, was=new.was):
        raise Conflict("the password was changed meanwhile: log in with that one")
    _end_logins(act, sql, act.who.id, but=act.who.key_id)


@HANDLERS.look(LIST_USERS)
def list_users(_act: Act, sql: Connection, request: ListUsers) -> Page[User]:
    """List users by name."""
    rows = people.page(sql, after=request.after, limit=request.limit + 1)
    more = len(rows) > request.limit
    return Page(items=[_told(row) for row in rows[: request.limit]], next=rows[request.limit - 1].name.casefold() if more else "")


def _hash_new(_act: Act, request: CreateUser) -> str | None:
    return None if request.password is None else passwords.hash_password(request.password)


@HANDLERS.prepared_change(CREATE_USER, _hash_new)
def create_user(act: Act, sql: Connection, request: CreateUser, hashed: str | None) -> User:
    """Make a user, with a personal organisation of the same name."""
    name = check_owner_name(request.name, what="user")
    act.details["admin"] = request.admin
    return _told(add_user(sql, name, email=check_email(request.email), password=hashed, admin=request.admin, now=act.now))


def _hash_other(_act: Act, request: ModifyUser) -> str | None:
    return passwords.hash_password(request.password) if isinstance(request.password, str) else None


@HANDLERS.prepared_change(MODIFY_USER, _hash_other)
def modify_user(act: Act, sql: Connection, request: ModifyUser, hashed: str | None) -> User:
    """Change a user; somebody always stays who manages the server."""
    people.lock_admins(sql)
    user = _known(people.find(sql, request.user), request.user)
    values: dict[str, object] = {}
    if request.email is not UNSET:
        values["email"] = check_email(request.email) or None
    if request.admin is not UNSET:
        values["admin"] = request.admin
    if request.disabled is not UNSET:
        values["disabled"] = request.disabled
    act.details.update(values)
    if hashed is not None:
        values["password"] = hashed
        act.details["password"] = "new"  # noqa: S105  that there is one, not which
    if not values:
        return _told(user)
    lasting = values.get("admin", user.admin) and not values.get("disabled", user.disabled)
    if user.admin and not user.disabled and not lasting and not people.other_admin(sql, user.id):
        raise Conflict(f"{user.name} is the last admin of this server: make another one first")
    people.change(sql, user.id, **values)
    if hashed is not None or values.get("disabled"):
        _end_logins(act, sql, user.id)
    return _told(_known(people.by_id(sql, user.id), request.user))


@HANDLERS.change(CREATE_LOGIN_LINK)
def create_login_link(act: Act, sql: Connection, request: UserName) -> LoginLink:
    """Make a link that logs a user in, once."""
    return _link(act.rooms, sql, _known(people.find(sql, request.user), request.user))


def first_admin(rooms: Rooms, name: str = "admin") -> LoginLink | None:
    """Make the first user of a server, who manages it, and a link to log in with; None if there is anybody who could log in.

    Raises:
        InvalidInput: the name can't be.
        StoreError: the database failed.
    """
    check_owner_name(name, what="user")

    def change(sql: Connection) -> LoginLink | None:
        people.lock_admins(sql)
        if missed := people.never_in(sql):
            return _link(rooms, sql, missed)
        if people.anybody(sql):
            return None
        return _link(rooms, sql, add_user(sql, name, admin=True, now=rooms.now()))

    return rooms.database.change(change)


def _link(rooms: Rooms, sql: Connection, user: UserRow) -> LoginLink:
    if user.disabled:
        raise Conflict(f"{user.name} is disabled: enable the user first")
    token, now = tokens.new_secret(), rooms.now()
    expires = now + timedelta(minutes=rooms.rules.link_minutes)
    logins.drop_ended(sql, now)
    logins.add_link(sql, hashed=rooms.keyring.digest(token.encode(), use="link"), user_id=user.id, expires=expires)
    return LoginLink(user=user.name, token=token, expires=expires)


def _end_logins(act: Act, sql: Connection, user_id: str, *, but: str = "") -> None:
    """End all logins of a user, but the one by this key or session."""
    session = but.removeprefix(authentication.SESSION) if but.startswith(authentication.SESSION) else ""
    logins.drop_sessions(sql, user_id, but=session)
    logins.drop_user_links(sql, user_id)
    keys.revoke_logins(sql, user_id, act.now, but=but)


def _known(user: UserRow | None, name: str) -> UserRow:
    if user is None:
        raise NotFound(f"there is no user {name!r}")
    return user


def _told(row: UserRow) -> User:
    return User(id=row.id, name=row.name, email=row.email, admin=row.admin, disabled=row.disabled, created=row.created)
