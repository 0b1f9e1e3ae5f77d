"""Repositories: what is made, found, changed, shared, deleted and brought back, by whom, and what is left if it fails."""

import json
import threading
from pathlib import Path

import pytest
from tests.service.houses import House

from kist.engine.opening import open_repository
from kist.errors import AlreadyExists, Busy, Conflict, Denied, InvalidInput, KistError, NotFound, Unsupported
from kist.models import Repo
from kist.models.requests import (
    CreateOrg,
    CreateRepo,
    CreateServiceAccount,
    DeleteRepo,
    GrantRole,
    ImportRepo,
    ListAudit,
    ListRepos,
    ModifyRepo,
    MoveRepo,
    RepoName,
    RoleName,
)
from kist.operations import (
    CREATE_ORG,
    CREATE_REPO,
    CREATE_SERVICE_ACCOUNT,
    DELETE_REPO,
    DESCRIBE_REPO,
    GRANT_ROLE,
    IMPORT_REPO,
    LIST_AUDIT,
    LIST_REPOS,
    LIST_ROLES,
    MODIFY_REPO,
    MOVE_REPO,
    RESTORE_REPO,
    REVOKE_ROLE,
)
from kist.service import jobs
from kist.service.rooms import Caller

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Which database it is does not matter."""


def named(house: House, caller: Caller | None = None, **wanted: object) -> list[str]:
    """Return the names that a list has."""
    page = house.do(LIST_REPOS, ListRepos(org="lab", **wanted), caller or house.anna)  # type: ignore[arg-type]
    return [repo.name for repo in page.items]


def delete(house: House, name: str) -> Repo:
    return house.do(DELETE_REPO, DeleteRepo(org="lab", repo=name, imsure=True, imreallysure=True), house.anna)


def restore(house: House, name: str) -> Repo:
    return house.do(RESTORE_REPO, RepoName(org="lab", repo=name), house.anna)


def places(folder: Path) -> list[str]:
    """Return the repositories that lie in a folder."""
    return sorted(path.parent.name for path in folder.glob("**/format"))


# Making


def test_a_repository_is_made_under_a_prefix_of_its_own_at_the_default_bucket_config(house: House) -> None:
    repo = house.repo("cube", description="air", metadata={"site": "A"})
    assert (repo.full_name, repo.bucket_config, repo.kind, repo.status, repo.created_by) == ("lab/cube", "shelf", "files", "online", "anna")
    assert repo.prefix.endswith("_cube")
    assert len(repo.prefix) == len("12345678_cube")
    assert open_repository(house.folder / "shelf" / repo.prefix).authority == "create"


def test_two_repositories_of_one_name_never_have_one_prefix(house: House) -> None:
    first = house.repo("cube")
    delete(house, "cube")
    assert house.repo("cube").prefix != first.prefix


def test_a_bucket_config_may_be_named(house: House) -> None:
    repo = house.repo("cube", bucket_config_nickname="ATTIC")
    assert (repo.bucket_config, places(house.folder / "attic")) == ("attic", [repo.prefix])


def test_without_any_bucket_config_it_must_be_said(house: House) -> None:
    house.do(CREATE_ORG, CreateOrg(name="empty"), house.anna)
    error = house.refused(CREATE_REPO, CreateRepo(org="empty", name="cube"), house.anna)
    assert isinstance(error, NotFound)
    assert "default bucket config" in str(error)


def test_where_the_store_can_not_decide_the_catalog_does(house: House) -> None:
    assert open_repository(house.folder / "shelf" / house.repo("cube", authority="catalog").prefix).authority == "catalog"


@pytest.mark.parametrize("name", ["cube", "CUBE"])
def test_a_name_that_is_taken_is_refused_and_leaves_nothing(house: House, name: str) -> None:
    house.repo("cube")
    before = places(house.folder)
    assert isinstance(house.refused(CREATE_REPO, CreateRepo(org="lab", name=name), house.anna), AlreadyExists)
    assert places(house.folder) == before


def test_of_many_who_make_one_name_one_does_and_nothing_is_left_of_the_others(house: House) -> None:
    errors: list[KistError] = []

    def make() -> None:
        try:
            house.repo("cube")
        except KistError as error:
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [type(error) for error in errors] == [AlreadyExists] * 5
    assert len(places(house.folder)) == 1


@ON_ONE
@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"name": "settings"}, InvalidInput),
        ({"name": "cube", "bucket_config_nickname": "nowhere"}, NotFound),
        ({"name": "cube", "kind": "arrays"}, Unsupported),
        ({"name": "cube", "metadata": {"x": "y" * 4096}}, InvalidInput),
        ({"name": "cube", "metadata": {"x": 2**70}}, InvalidInput),
        ({"name": "cube", "metadata": {"x": "\0"}}, InvalidInput),
        ({"name": "cube", "metadata": {"": 1}}, InvalidInput),
        ({"name": "cube", "metadata": {"x": float("nan")}}, InvalidInput),
    ],
    ids=str,
)
def test_what_can_not_be_made_is_refused_before_anything_is_stored(house: House, facts: dict[str, object], kind: type[KistError]) -> None:
    assert isinstance(house.refused(CREATE_REPO, CreateRepo(org="lab", **facts), house.anna), kind)  # type: ignore[arg-type]
    assert places(house.folder) == []


def test_readers_and_strangers_make_nothing(house: House) -> None:
    assert isinstance(house.refused(CREATE_REPO, CreateRepo(org="lab", name="x"), house.cleo), Denied)
    assert isinstance(house.refused(CREATE_REPO, CreateRepo(org="lab", name="x"), house.dora), NotFound)
    assert house.do(CREATE_REPO, CreateRepo(org="lab", name="x"), house.ben).name == "x"


# Taking in


def lying(house: House, prefix: str) -> str:
    """Make a repository without the catalog, and return its id."""
    repo = open_repository(house.folder / "shelf" / prefix, create=True)
    repo.save("a", b"1")
    return repo.id


def take_in(house: House, name: str, prefix: str, bucket: str | None = None) -> Repo:
    return house.do(IMPORT_REPO, ImportRepo(org="lab", name=name, prefix=prefix, bucket_config_nickname=bucket), house.anna)


def test_a_repository_that_lies_in_the_bucket_is_taken_in_with_its_versions(house: House) -> None:
    lying(house, "old/one")
    assert take_in(house, "one", "/old/one/").prefix == "old/one"
    repo = house.opened("one", house.ben)
    assert repo.save("a", b"2").number == 2
    assert repo.read("a", ref="v1") == b"1"


@ON_ONE
@pytest.mark.parametrize("prefix", ["old/one", "old", "old/one/packs", ""])
def test_what_overlaps_with_another_repository_is_refused(house: House, prefix: str) -> None:
    lying(house, "old/one")
    take_in(house, "one", "old/one")
    with pytest.raises(Conflict, match="'one'"):
        take_in(house, "two", prefix)


def test_what_overlaps_through_another_bucket_config_is_refused_too(house: House) -> None:
    lying(house, "old/one")
    house.bucket("inner", platform="local", name=str(house.folder / "shelf" / "old"), allow_nested=True)
    take_in(house, "one", "one", "inner")
    for bucket, prefix in (("shelf", "old/one"), ("shelf", "old"), ("shelf", ""), ("inner", "")):
        with pytest.raises(Conflict):
            take_in(house, "two", prefix, bucket)


def test_neighbours_do_not_overlap(house: House) -> None:
    for prefix in ("old/one", "old/on", "old/one2"):
        lying(house, prefix)
        take_in(house, prefix.replace("/", "-"), prefix)
    assert len(named(house)) == 3


def test_where_no_repository_lies_none_is_taken_in(house: House) -> None:
    with pytest.raises(NotFound, match="nothing"):
        take_in(house, "one", "nothing")


@ON_ONE
@pytest.mark.parametrize("prefix", ["../attic", "a/../b", "a//b", "a\0"])
def test_a_prefix_that_leads_elsewhere_is_refused(house: House, prefix: str) -> None:
    with pytest.raises(InvalidInput):
        take_in(house, "one", prefix)


# Finding


@pytest.fixture
def library(house: House) -> House:
    """Some repositories to be found."""
    house.repo("Air-quality", description="Sensors in 100% of the valley", metadata={"site": "A", "year": 2026})
    house.repo("water", description="lakes_and rivers", metadata={"site": "B", "year": 2026}, bucket_config_nickname="attic")
    house.repo("soil", metadata={"site": "A", "nested": {"x": [1, 2]}})
    return house


FOUND: list[tuple[dict[str, object], list[str]]] = [
    ({}, ["Air-quality", "soil", "water"]),
    ({"search": "AIR"}, ["Air-quality"]),
    ({"search": "valley"}, ["Air-quality"]),
    ({"search": "0%"}, ["Air-quality"]),
    ({"search": "_"}, ["water"]),
    ({"search": "i"}, ["Air-quality", "soil", "water"]),
    ({"search": "nothing"}, []),
    ({"metadata": '{"site": "A"}'}, ["Air-quality", "soil"]),
    ({"metadata": '{"site": "A", "year": 2026.0}'}, ["Air-quality"]),
    ({"metadata": '{"nested": {"x": [1, 2]}}'}, ["soil"]),
    ({"metadata": '{"site": "C"}'}, []),
    ({"metadata": '{"site": "A"}', "search": "soil"}, ["soil"]),
    ({"bucket_config": "attic"}, ["water"]),
    ({"kind": "arrays"}, []),
    ({"kind": "files", "limit": 2}, ["Air-quality", "soil"]),
    ({"deleted": True}, []),
]


def test_repositories_are_found(library: House, subtests: pytest.Subtests) -> None:
    for wanted, found in FOUND:
        with subtests.test(str(wanted)):
            assert named(library, None, **wanted) == found


@pytest.mark.parametrize("wanted", [{}, {"search": "i"}, {"metadata": '{"many": 1}'}])
def test_a_list_comes_in_pages(library: House, wanted: dict[str, object]) -> None:
    for name in ("Air-quality", "soil", "water"):
        library.do(MODIFY_REPO, ModifyRepo(org="lab", repo=name, add_metadata={"many": 1}), library.anna)
    seen, after = [], ""
    while True:
        page = library.do(LIST_REPOS, ListRepos(org="lab", limit=1, after=after, **wanted), library.anna)  # type: ignore[arg-type]
        seen += [repo.name for repo in page.items]
        after = page.next
        if not after:
            break
    assert seen == ["Air-quality", "soil", "water"]


@ON_ONE
@pytest.mark.parametrize("metadata", ["{", "[1]", '"a"', "[" * 1000])
def test_a_filter_that_is_no_object_is_refused(library: House, metadata: str) -> None:
    assert isinstance(library.refused(LIST_REPOS, ListRepos(org="lab", metadata=metadata), library.anna), InvalidInput)


def test_guests_see_what_they_have_a_role_for_and_nothing_else(library: House) -> None:
    assert isinstance(library.refused(LIST_REPOS, ListRepos(org="lab"), library.dora), NotFound)
    library.grant("soil", "dora", "reader")
    assert named(library, library.dora) == ["soil"]
    assert isinstance(library.refused(DESCRIBE_REPO, RepoName(org="lab", repo="water"), library.dora), NotFound)


def test_names_are_found_whatever_their_case(library: House) -> None:
    assert library.do(DESCRIBE_REPO, RepoName(org="LAB", repo="WATER"), library.cleo).name == "water"


# Changing


def modify(house: House, **change: object) -> Repo:
    return house.do(MODIFY_REPO, ModifyRepo(org="lab", repo="soil", **change), house.anna)  # type: ignore[arg-type]


def test_a_repository_gets_another_name_by_which_it_is_found_from_then_on(library: House) -> None:
    repo = library.opened("soil", library.ben)
    repo.save("a", b"1")
    assert modify(library, new_name="earth").full_name == "lab/earth"
    assert named(library, search="earth") == ["earth"]
    assert named(library, metadata='{"site": "A"}') == ["Air-quality", "earth"]
    assert library.opened("earth", library.ben).read("a") == b"1"
    assert isinstance(library.refused(DESCRIBE_REPO, RepoName(org="lab", repo="soil"), library.anna), NotFound)


def test_only_the_case_of_a_name_may_change(library: House) -> None:
    assert modify(library, new_name="Soil").name == "Soil"


@ON_ONE
@pytest.mark.parametrize(("name", "kind"), [("Water", AlreadyExists), ("settings", InvalidInput)])
def test_a_name_that_can_not_be_had_changes_nothing(library: House, name: str, kind: type[KistError]) -> None:
    with pytest.raises(kind):
        modify(library, new_name=name, description="changed")
    assert library.do(DESCRIBE_REPO, RepoName(org="lab", repo="soil"), library.anna).description == ""


def test_metadata_are_added_removed_and_updated(library: House) -> None:
    found = modify(library, add_metadata={"new": None}, remove_metadata=["nested"], update_metadata={"site": "Z"})
    assert found.metadata == {"site": "Z", "new": None}
    assert named(library, metadata='{"site": "Z"}') == ["soil"]
    assert named(library, metadata='{"site": "A"}') == ["Air-quality"]


@ON_ONE
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"add_metadata": {"x": 1}, "update_metadata": {"x": 2}}, InvalidInput),
        ({"add_metadata": {"x": 1}, "remove_metadata": ["x"]}, InvalidInput),
        ({"update_metadata": {"site": 1}, "remove_metadata": ["site"]}, InvalidInput),
        ({"add_metadata": {"site": 1}}, AlreadyExists),
        ({"remove_metadata": ["x"]}, NotFound),
        ({"update_metadata": {"x": 1}}, NotFound),
        ({"add_metadata": {"x": "y" * 4000}}, InvalidInput),
    ],
    ids=str,
)
def test_metadata_that_contradict_each_other_change_nothing(library: House, change: dict[str, object], kind: type[KistError]) -> None:
    if "y" in json.dumps(change):
        modify(library, add_metadata={"w": "w" * 100})
    before = library.do(DESCRIBE_REPO, RepoName(org="lab", repo="soil"), library.anna).metadata
    with pytest.raises(kind):
        modify(library, **change)
    assert library.do(DESCRIBE_REPO, RepoName(org="lab", repo="soil"), library.anna).metadata == before


def test_writers_change_no_facts(library: House) -> None:
    assert isinstance(library.refused(MODIFY_REPO, ModifyRepo(org="lab", repo="soil", description="x"), library.ben), Denied)


# Deleting


@ON_ONE
@pytest.mark.parametrize("flags", [{}, {"imsure": True}, {"imreallysure": True}])
def test_to_delete_both_flags_must_be_set(library: House, flags: dict[str, bool]) -> None:
    error = library.refused(DELETE_REPO, DeleteRepo(org="lab", repo="soil", **flags), library.anna)
    assert isinstance(error, InvalidInput)
    assert str(error) == "imsure and imreallysure must be set to True"


def test_what_is_deleted_is_not_there_any_more_and_can_be_restored(library: House) -> None:
    library.opened("soil", library.ben).save("a", b"1")
    library.grant("soil", "dora", "reader")
    gone = delete(library, "soil")
    assert (gone.status, (gone.purge_at - gone.updated).days if gone.purge_at else None) == ("deleted", 7)
    assert named(library) == ["Air-quality", "water"]
    assert named(library, deleted=True) == ["soil"]
    assert isinstance(library.refused(DESCRIBE_REPO, RepoName(org="lab", repo="soil"), library.anna), NotFound)
    assert isinstance(
        library.refused(DELETE_REPO, DeleteRepo(org="lab", repo="soil", imsure=True, imreallysure=True), library.anna), NotFound
    )
    assert (restore(library, "soil").status, library.opened("soil", library.dora, access="read").read("a")) == ("online", b"1")


def test_an_opened_repository_that_is_deleted_takes_no_more_commits(library: House) -> None:
    repo = library.opened("soil", library.ben, inside=True)
    delete(library, "soil")
    with pytest.raises(NotFound):
        repo.save("a", b"1")


def test_a_name_may_be_taken_while_its_repository_is_deleted(library: House) -> None:
    delete(library, "soil")
    library.repo("soil")
    with pytest.raises(AlreadyExists, match="another name"):
        restore(library, "soil")
    modify(library, new_name="soil2")
    assert restore(library, "soil").metadata["site"] == "A"


def test_of_several_deleted_ones_the_last_is_restored(library: House) -> None:
    delete(library, "soil")
    library.clock.wait(hours=1)
    library.repo("soil", description="second")
    delete(library, "soil")
    assert restore(library, "soil").description == "second"


def test_what_is_not_deleted_is_not_restored(library: House) -> None:
    with pytest.raises(Conflict, match="not deleted"):
        restore(library, "soil")


def test_after_its_days_nothing_is_left(library: House) -> None:
    gone = delete(library, "soil")
    library.clock.wait(days=6, hours=23)
    jobs.sweep(library.rooms)
    assert jobs.run_now(library.rooms) is None
    library.clock.wait(hours=2)
    with pytest.raises(NotFound, match="any more"):
        restore(library, "soil")
    jobs.sweep(library.rooms)
    done = jobs.run_now(library.rooms)
    assert done is not None
    assert (done.operation, done.state) == ("purge_repo", "done")
    assert gone.prefix not in places(library.folder)
    assert (named(library, deleted=True), named(library)) == ([], ["Air-quality", "water"])


def test_only_what_is_a_repositorys_own_is_purged(library: House) -> None:
    lying(library, "old/one")
    library.folder.joinpath("shelf/old/one/notes.txt").write_text("mine")
    take_in(library, "one", "old/one")
    delete(library, "one")
    library.clock.wait(days=8)
    jobs.sweep(library.rooms)
    jobs.run_now(library.rooms)
    assert [path.name for path in library.folder.joinpath("shelf/old/one").iterdir() if path.is_file()] == ["notes.txt"]


def test_what_is_being_moved_is_not_deleted(library: House) -> None:
    library.do(MOVE_REPO, MoveRepo(org="lab", repo="soil", bucket_config_nickname="attic"), library.anna)
    assert isinstance(library.refused(MOVE_REPO, MoveRepo(org="lab", repo="soil", bucket_config_nickname="attic"), library.anna), Busy)


# Roles


def test_roles_for_one_repository_are_given_listed_and_taken(library: House) -> None:
    library.do(CREATE_SERVICE_ACCOUNT, CreateServiceAccount(org="lab", name="robot"), library.anna)
    for principal in ("dora", "robot"):
        library.grant("soil", principal, "reader")
    library.grant("soil", "LAB/robot", "writer")
    roles = library.do(LIST_ROLES, RepoName(org="lab", repo="soil"), library.cleo).items
    assert [(one.principal, one.kind, one.role) for one in roles] == [
        ("dora", "user", "reader"),
        ("lab/robot", "service-account", "writer"),
    ]
    library.do(REVOKE_ROLE, RoleName(org="lab", repo="soil", principal="dora"), library.anna)
    assert isinstance(library.refused(DESCRIBE_REPO, RepoName(org="lab", repo="soil"), library.dora), NotFound)
    assert isinstance(library.refused(REVOKE_ROLE, RoleName(org="lab", repo="soil", principal="dora"), library.anna), NotFound)


@ON_ONE
@pytest.mark.parametrize("principal", ["nobody", "lab/nobody", "other/robot"])
def test_nobody_gets_no_role(library: House, principal: str) -> None:
    assert isinstance(
        library.refused(GRANT_ROLE, GrantRole(org="lab", repo="soil", principal=principal, role="reader"), library.anna), NotFound
    )


def test_each_change_leaves_a_line_in_the_log(library: House) -> None:
    modify(library, description="x")
    delete(library, "soil")
    restore(library, "soil")
    lines = library.do(LIST_AUDIT, ListAudit(org="lab", target="soil"), library.anna).items
    assert [line.operation for line in lines] == ["restore_repo", "delete_repo", "modify_repo", "create_repo"]
