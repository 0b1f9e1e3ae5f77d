"""What a branch holds: the merge of its heads by the letter of the specification, for everybody the same, however they forked."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.parts import CountingStore, a_file, a_store, an_entry, examples, repository, rooms_on, stored_tree

from kist.engine.nodes import EMPTY, Root
from kist.engine.records import RefEntry
from kist.engine.rooms import Rooms
from kist.engine.states import NOTHING, record_of
from kist.stores.memory import MemoryStore

Files = dict[str, bytes]
PATHS = ("a", "b/c", "b/d", "e", "f")


class Writers:
    """Entries of one branch, with what the tree of each holds, as writers with different views of it make them."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.entries: list[RefEntry] = []
        self.files: dict[bytes, Files] = {}

    def write(self, files: Files, parents: Sequence[RefEntry] = (), *, seq: int | None = None) -> RefEntry:
        """Commit a version with these files on top of some heads."""
        root = stored_tree(self.rooms, [a_file(path, content) for path, content in files.items()])
        highest = max((parent.seq for parent in parents), default=0)
        entry = an_entry(self.rooms, root, parents, seq=seq or highest + 1, time=len(self.entries) + 1)
        assert self.rooms.authority.commit(entry)
        self.entries.append(entry)
        self.files[entry.version] = files
        return entry

    def ancestors(self, versions: set[bytes]) -> set[bytes]:
        """Return versions and all their ancestors."""
        parents = {entry.version: {parent for parent, _ in record_of(entry).parents} for entry in self.entries}
        todo, found = set(versions), set()
        while todo:
            version = todo.pop()
            found.add(version)
            todo |= parents[version] - found
        return found

    def merged(self, versions: list[bytes]) -> Files:
        """Fold versions by the letter of §8.2."""
        if not versions:
            return {}
        if len(versions) == 1:
            return self.files[versions[0]]
        *before, last = versions
        common = self.ancestors(set(before)) & self.ancestors({last})
        best = {one for one in common if not any(one in self.ancestors({other}) for other in common - {one})}
        numbers = {entry.version: entry.seq for entry in self.entries}
        base = self.merged(sorted(best, key=lambda one: (numbers[one], one)))
        ours, theirs = self.merged(before), self.files[last]
        result = dict(ours)
        for path in {*base, *theirs}:
            if base.get(path) == theirs.get(path):
                continue
            if base.get(path) != ours.get(path) != theirs.get(path) and self.latest(before, path) > self.latest([last], path):
                continue
            result.pop(path, None)
            if path in theirs:
                result[path] = theirs[path]
        return result

    def latest(self, versions: list[bytes], path: str) -> tuple[int, bytes]:
        """Return time and id of the last version in the history of some that changed a path."""
        found = (0, b"")
        for version in self.ancestors(set(versions)):
            [record] = [record_of(entry) for entry in self.entries if entry.version == version]
            before = self.merged([parent for parent, _ in record.parents])
            if before.get(path) != self.files[version].get(path):
                found = max(found, (record.time, version))
        return found


def a_writer(store: MemoryStore | None = None) -> Writers:
    return Writers(rooms_on(store or a_store(authority="fork")))


def content_of(rooms: Rooms, root: Root) -> Files:
    """Return the files of a tree: what they hold is in their hashes."""
    names = {a_file("x", bytes([n])).hash: bytes([n]) for n in range(256)}
    return {entry.path: names[entry.hash] for entry in rooms.trees.entries(root)}


def state_of(rooms: Rooms) -> Files:
    return content_of(rooms, rooms.state("main").root)


def test_a_branch_that_does_not_exist_holds_nothing() -> None:
    assert a_writer().rooms.state("main") == NOTHING


def test_the_state_of_one_head_is_its_tree() -> None:
    writers = a_writer()
    head = writers.write({"a": b"1"})
    state = writers.rooms.state("main")
    assert (state.heads, state.root.id, state.highest, state.time) == ((head,), record_of(head).tree, 1, 1)


def test_heads_that_touched_different_paths_are_joined() -> None:
    writers = a_writer()
    base = writers.write({"a": b"1", "e": b"1"})
    writers.write({"a": b"2", "e": b"1"}, [base])
    writers.write({"a": b"1", "e": b"1", "f": b"3"}, [base])
    assert state_of(writers.rooms) == {"a": b"2", "e": b"1", "f": b"3"}


def test_on_one_path_the_later_change_wins() -> None:
    writers = a_writer()
    base = writers.write({"a": b"1"})
    for content in (b"2", b"3"):
        writers.write({"a": content}, [base])
    assert state_of(writers.rooms) == {"a": b"3"}


def test_a_later_version_that_changed_something_else_does_not_bring_back_what_was_replaced() -> None:
    writers = a_writer()
    base = writers.write({"a": b"1"})
    one = writers.write({"a": b"2"}, [base])
    writers.write({"a": b"3"}, [base])
    writers.write({"a": b"2", "e": b"4"}, [writers.write({"a": b"2", "f": b"4"}, [one])])
    assert state_of(writers.rooms) == {"a": b"3", "e": b"4"}


def test_heads_without_a_common_ancestor_are_joined_on_the_empty_tree() -> None:
    writers = a_writer()
    writers.write({"a": b"1"})
    writers.write({"e": b"2"})
    assert state_of(writers.rooms) == {"a": b"1", "e": b"2"}


def test_what_one_head_removed_stays_removed() -> None:
    writers = a_writer()
    base = writers.write({"a": b"1", "e": b"1"})
    writers.write({"e": b"1"}, [base])
    writers.write({"a": b"1", "e": b"2"}, [base])
    assert state_of(writers.rooms) == {"e": b"2"}


def test_a_merge_of_the_heads_changes_nothing() -> None:
    writers = a_writer()
    base = writers.write({"a": b"1"})
    two = [writers.write({"a": b"1", "e": b"2"}, [base]), writers.write({"a": b"3"}, [base])]
    before = state_of(writers.rooms)
    writers.write(before, two)
    assert state_of(writers.rooms) == before == {"a": b"3", "e": b"2"}
    assert len(writers.rooms.state("main").heads) == 1


def criss_cross() -> Writers:
    """Two writers merge the same two heads, differently, and go on."""
    writers = a_writer()
    base = writers.write({"a": b"0", "e": b"0"})
    one, two = writers.write({"a": b"1", "e": b"0"}, [base]), writers.write({"a": b"0", "e": b"2"}, [base])
    left = writers.write({"a": b"1", "e": b"2", "f": b"5"}, [one, two])
    right = writers.write({"a": b"1", "e": b"2", "b/c": b"6"}, [one, two])
    writers.write({"a": b"7", "e": b"2", "f": b"5"}, [left])
    writers.write({"a": b"1", "e": b"8", "b/c": b"6"}, [right])
    return writers


def test_heads_that_crossed_are_merged_on_the_merge_of_their_best_ancestors() -> None:
    assert state_of(criss_cross().rooms) == {"a": b"7", "e": b"8", "f": b"5", "b/c": b"6"}


def test_everybody_sees_the_same_tree_whatever_they_saw_before() -> None:
    writers = criss_cross()
    roots = {rooms_on(writers.rooms.store).state("main").root.id for _ in range(3)}
    warm = rooms_on(writers.rooms.store)
    list(warm.authority.entries("heads/main"))
    assert roots == {warm.state("main").root.id}


def test_a_state_is_made_durable_before_anybody_builds_on_it() -> None:
    rooms = criss_cross().rooms
    writer = rooms.writer()
    state = rooms.durable(writer, rooms.state("main"))
    other = rooms_on(rooms.store)
    assert content_of(other, state.root) == state_of(rooms)


def test_a_reader_of_forks_writes_nothing() -> None:
    store = a_store(authority="fork")
    writers = a_writer(store)
    base = writers.write({"a": b"0"})
    for content in (b"1", b"2", b"3"):
        writers.write({"a": content}, [base])
    counting = CountingStore(store)
    reader = repository(counting)
    assert reader.stat("a").size == 1
    assert [one.path for one in reader.tree()] == ["a"]
    assert len(reader.log()) == 4
    assert counting.requests["put"] == counting.requests["create"] == 0


@pytest.mark.parametrize("count", [3, 5, 8])
def test_many_heads_at_once(count: int) -> None:
    writers = a_writer()
    base = writers.write({})
    for number in range(count):
        writers.write({f"f{number}": bytes([number])}, [base])
    assert state_of(writers.rooms) == {f"f{number}": bytes([number]) for number in range(count)}


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_any_history_of_forks_gives_what_the_specification_says(data: st.DataObject) -> None:
    writers = a_writer()
    for step in range(data.draw(st.integers(1, 10))):
        known = writers.entries
        seen = data.draw(st.sets(st.integers(max(0, len(known) - 5), len(known) - 1), min_size=1)) if known else set()
        view = writers.ancestors({known[number].version for number in seen})
        previous = {parent for version in view for entry in known if entry.version == version for parent, _ in record_of(entry).parents}
        heads = sorted((one for one in known if one.version in view - previous), key=lambda one: (one.seq, one.version))
        files = dict(writers.merged([head.version for head in heads]))
        for path in data.draw(st.sets(st.sampled_from(PATHS), max_size=2)):
            files[path] = bytes([step + 1])
        for path in data.draw(st.sets(st.sampled_from(PATHS), max_size=1)):
            files.pop(path, None)
        writers.write(files, heads, seq=max((one.seq for one in known if one.version in view), default=0) + 1)
    heads = list(writers.rooms.state("main").heads)
    expected = writers.merged([head.version for head in heads])
    assert state_of(writers.rooms) == expected
    assert state_of(rooms_on(writers.rooms.store)) == expected


def test_the_base_of_a_merge_is_the_best_common_ancestor() -> None:
    writers = Writers(rooms_on(a_store()))
    one = writers.write({"a": b"1"})
    two = writers.write({"a": b"2"}, [one])
    three = an_entry(writers.rooms, stored_tree(writers.rooms, []), [one], seq=2, time=9)
    states = writers.rooms.states
    assert states.common_base_of([(two.version, two.place)], (three.version, three.place)).id == record_of(one).tree
    assert states.common_base_of([(two.version, two.place)], (one.version, one.place)).id == record_of(one).tree
    assert states.common_base_of([], (one.version, one.place)) == EMPTY


def test_best_ancestors_are_found_where_numbers_do_not_grow_along_a_merge() -> None:
    writers = Writers(rooms_on(a_store()))
    start = writers.write({"a": b"0"})
    line = [start]
    for number in range(1, 9):
        line.append(
            an_entry(writers.rooms, stored_tree(writers.rooms, [a_file("a", bytes([number]))]), line[-1:], seq=number + 1, time=10 + number)
        )
    low = an_entry(writers.rooms, stored_tree(writers.rooms, [a_file("a", b"9")]), [start, line[7]], seq=2, time=30)
    base = writers.rooms.states.common_base_of([(low.version, low.place)], (line[8].version, line[8].place))
    assert base.id == record_of(line[7]).tree
