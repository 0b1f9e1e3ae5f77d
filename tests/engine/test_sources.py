"""The content of many entries."""

from pathlib import Path

from kist.engine.opening import open_repository


def test_an_export_tells_items_and_bytes_as_they_pass(tmp_path: Path) -> None:
    repository = open_repository(tmp_path / "repository", create=True)
    with repository.transaction() as change:
        change.put("data/small", b"x" * 10)
        change.put("data/large", bytes(1_000_000))
    told: list[tuple[int, int]] = []
    repository.export("data", tmp_path / "t.tar", progress=lambda items, size_bytes: told.append((items, size_bytes)))
    assert (sum(items for items, _ in told), sum(size_bytes for _, size_bytes in told)) == (2, 1_000_010)
    assert len(told) > 2
