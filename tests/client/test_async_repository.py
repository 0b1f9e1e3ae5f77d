"""A repository for event loops: the same as for threads, and the loop goes on meanwhile."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from kist import AsyncRepository, errors, open_repository


@pytest.fixture
def repository(tmp_path: Path) -> AsyncRepository:
    return AsyncRepository(open_repository(tmp_path / "repository", create=True))


def ran[T](work: Callable[[], Coroutine[object, object, T]]) -> T:
    return asyncio.run(work())


def test_what_is_saved_is_read(repository: AsyncRepository, tmp_path: Path) -> None:
    async def work() -> None:
        version = await repository.save("data/a.txt", b"content", message="why", labels={"raw"})
        assert (await repository.read("data/a.txt"), (await repository.stat("data/a.txt")).labels) == (b"content", frozenset({"raw"}))
        assert [one.id for one in await repository.log("data")] == [version.id]
        await repository.restore("data", tmp_path / "out")
        await repository.export("data", tmp_path / "out.tar.gz")

    ran(work)
    assert (tmp_path / "out" / "a.txt").read_bytes() == b"content"
    assert (tmp_path / "out.tar.gz").stat().st_size > 0


def test_names_and_ids_need_no_waiting(repository: AsyncRepository) -> None:
    blocking = repository.blocking
    assert (repository.id, repository.name, repository.authority) == (blocking.id, blocking.name, "create")
    assert repr(repository) == f"Async{blocking!r}"


def test_several_changes_are_one_version(repository: AsyncRepository) -> None:
    async def work() -> None:
        await repository.save("old", b"0")
        async with repository.transaction("many") as change:
            await change.put("a", b"1")
            await change.move("a", "b")
            await change.duplicate("b", "c")
            await change.delete("old")
        assert change.version == await repository.version()
        assert [info.path for info in await repository.tree()] == ["b", "c"]
        assert [version.message for version in await repository.log()] == ["many", ""]

    ran(work)


def test_changes_that_fail_change_nothing(repository: AsyncRepository) -> None:
    async def fail() -> None:
        async with repository.transaction("many") as change:
            await change.put("a", b"1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        ran(fail)
    assert repository.blocking.log() == []


def test_a_file_is_read_in_parts(repository: AsyncRepository) -> None:
    async def work() -> None:
        await repository.save("a", b"0123456789")
        async with await repository.open("a") as file:
            assert (await file.read(4), file.tell(), await file.seek(-2, 2), await file.read()) == (b"0123", 4, 8, b"89")
        with pytest.raises(ValueError, match="closed"):
            await file.read()

    ran(work)


def test_a_walk_goes_through_all(repository: AsyncRepository) -> None:
    names = [f"{number:04d}" for number in range(2500)]

    async def work() -> list[str]:
        async with repository.transaction() as change:
            for name in names:
                await change.put(name, b"")
        return [info.path async for info in repository.walk()]

    assert ran(work) == names


def test_refs_and_differences(repository: AsyncRepository) -> None:
    async def work() -> None:
        await repository.save("a", b"1")
        await repository.tag("first")
        await repository.branch("dev")
        await repository.save("a", b"2", branch="dev")
        await repository.merge("dev")
        assert (list(await repository.tags()), sorted(await repository.branches())) == (["first"], ["dev", "main"])
        assert [one.change for one in await repository.diff("first", "main")] == ["modified"]
        await repository.move("a", "b")
        await repository.delete("b")
        assert (await repository.verify()).ok

    ran(work)


def test_errors_are_the_same(repository: AsyncRepository) -> None:
    async def work() -> None:
        await repository.read("missing")

    with pytest.raises(errors.NotFound):
        ran(work)


def test_the_event_loop_goes_on_while_something_is_saved(repository: AsyncRepository) -> None:
    class Slow:
        """A source that goes on only once the event loop did."""

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self.loop, self.left = loop, 3

        def read(self, _size: int = -1) -> bytes:
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self.loop).result(timeout=30)
            self.left -= 1
            return b"part" if self.left >= 0 else b""

        def readinto(self, buffer: bytearray) -> int:
            part = self.read()
            buffer[: len(part)] = part
            return len(part)

    async def work() -> bytes:
        await repository.save("a", Slow(asyncio.get_running_loop()))  # type: ignore[arg-type]
        return await repository.read("a")

    assert ran(work) == b"part" * 3
