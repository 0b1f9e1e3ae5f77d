"""Puts a service together: the one list of the rooms, and of the operations that each of them does.

A room is imported when one of its operations is first called: a command needs one or two of them, and to load them all takes longer than
most commands do. A server calls `load_rooms` when it starts, so that it never mixes with what is installed while it runs.
"""

from functools import partial
from importlib import import_module
from typing import Final

from kist.service.dispatch import Service
from kist.service.handlers import Handlers
from kist.service.rooms import Rooms

__all__ = ["ROOMS", "load_rooms", "make_service"]

# fmt: off
ROOMS: Final[dict[str, tuple[str, ...]]] = {
    "access": ("open_repo",),
    "accounts": (
        "log_in", "log_out", "get_me", "set_password", "list_users", "create_user", "modify_user", "create_login_link",
    ),
    "auditing": ("list_audit", "verify_audit"),
    "buckets": (
        "list_bucket_configs", "create_bucket_config", "get_bucket_config", "modify_bucket_config", "set_default_bucket_config",
        "delete_bucket_config", "rotate_credentials", "check_bucket_config", "list_repos_for_bucket_config",
    ),
    "content": (
        "list_objects", "head_object", "read_object", "put_object", "put_ref_entry", "forget_versions", "collect_repo",
    ),
    "jobs": ("list_jobs", "get_job", "move_repo"),
    "keys": ("list_keys", "create_key", "revoke_key", "list_service_keys", "create_service_key", "revoke_service_key"),
    "mounts": ("list_mounts", "set_mount", "remove_mount"),
    "making": ("create_repo", "import_repo"),
    "moving": ("move_repo",),
    "orgs": (
        "list_orgs", "create_org", "get_org", "modify_org", "delete_org", "list_members", "set_member", "remove_member",
        "list_service_accounts", "create_service_account", "modify_service_account", "delete_service_account",
    ),
    "repos": ("list_repos", "describe_repo", "modify_repo", "delete_repo", "restore_repo"),
    "sharing": ("list_roles", "grant_role", "revoke_role"),
}
# fmt: on
"""The modules of `kist.service` with handlers, each with the operations that it has handlers of; moving goes on as a job."""


def make_service(rooms: Rooms) -> Service:
    """Return the service of an installation, which does all operations."""
    names = {name for operations in ROOMS.values() for name in operations}
    return Service(rooms, later={name: partial(_handlers_of, name) for name in names})


def load_rooms() -> None:
    """Import all rooms now."""
    for room in ROOMS:
        _handlers_in(room)


def _handlers_of(operation: str) -> list[Handlers]:
    return [_handlers_in(room) for room, operations in ROOMS.items() if operation in operations]


def _handlers_in(room: str) -> Handlers:
    handlers: Handlers = import_module(f"kist.service.{room}").HANDLERS
    return handlers
