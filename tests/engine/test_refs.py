"""The one commit point: who gets a number, what is known after an error, and which entries are heads where nobody can be refused."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.parts import CountingStore, PlainStore, a_store, an_entry, damage, examples, keys, rooms_on

from kist.engine.records import RefEntry, slot
from kist.engine.refs import CreateAuthority, ForkAuthority, check_entry, encode_entry, entry_seal, ref_prefix
from kist.engine.rooms import Rooms
from kist.errors import AlreadyExists, IntegrityError, NotFound, StoreError
from kist.stores.memory import MemoryStore
from kist.testing.faulty import Fault, FaultyStore

MAIN = "refs/heads/main/"


class Remembering:
    """Ref entries by key, as a cache remembers them."""

    def __init__(self) -> None:
        self.known: dict[str, bytes] = {}

    def entry(self, key: str) -> bytes | None:
        return self.known.get(key)

    def remember_entry(self, key: str, data: bytes) -> None:
        self.known[key] = data


@pytest.fixture
def rooms() -> Rooms:
    return rooms_on(a_store())


@pytest.fixture
def forked() -> Rooms:
    return rooms_on(a_store(authority="fork"), checkpoint_every=5)


def committed(rooms: Rooms, count: int, *, ref: str = "heads/main", first: int = 1) -> list[RefEntry]:
    """Commit a chain of entries."""
    chain: list[RefEntry] = []
    for seq in range(first, first + count):
        entry = an_entry(rooms, parents=chain[-1:], ref=ref, seq=seq)
        assert rooms.authority.commit(entry)
        chain.append(entry)
    return chain


def create_on(rooms: Rooms, store: FaultyStore) -> CreateAuthority:
    return CreateAuthority(store, rooms.format.id, sleep=lambda _: None)


# Entries


def test_an_entry_comes_back_from_its_key(rooms: Rooms) -> None:
    entry = an_entry(rooms)
    assert check_entry(rooms.format.id, "heads/main", MAIN + slot(1), encode_entry(entry)) == entry


@pytest.mark.parametrize(
    ("repo", "ref", "key"),
    [
        ("0" * 32, "heads/main", MAIN + slot(1)),
        ("", "heads/dev", "refs/heads/dev/" + slot(1)),
        ("", "heads/main", MAIN + slot(2)),
        ("", "heads/main", MAIN + slot(1) + "-" + "0" * 32),
        ("", "tags/main", "refs/tags/main/" + slot(1)),
    ],
)
def test_an_entry_that_was_moved_is_found_out(rooms: Rooms, repo: str, ref: str, key: str) -> None:
    data = encode_entry(an_entry(rooms))
    with pytest.raises(IntegrityError, match="belongs elsewhere"):
        check_entry(repo or rooms.format.id, ref, key, data)


def test_an_entry_that_was_damaged_is_found_out(rooms: Rooms) -> None:
    committed(rooms, 1)
    assert isinstance(rooms.store, MemoryStore)
    damage(rooms.store, MAIN + slot(1))
    with pytest.raises(IntegrityError, match="damaged"):
        rooms.authority.line("heads/main")


def test_a_remembered_entry_is_not_read_again_and_still_checked(rooms: Rooms) -> None:
    [entry] = committed(rooms, 1)
    memory, store = Remembering(), CountingStore(rooms.store)  # type: ignore[arg-type]  # it is a memory store
    authority = CreateAuthority(store, rooms.format.id, memory)
    authority.line("heads/main")  # from here on what is remembered counts
    assert [authority.at("heads/main", 1) for _ in range(3)] == [[entry]] * 3
    assert store.reads == 1
    memory.known[MAIN + slot(1)] = b"damaged"
    with pytest.raises(IntegrityError):
        authority.at("heads/main", 1)


@pytest.mark.parametrize("others", [1, 2, 3])
def test_what_is_remembered_of_a_repository_that_went_back_in_time_is_forgotten(rooms: Rooms, others: int) -> None:
    memory = Remembering()
    backup = {meta.key: rooms.store.get(meta.key) for meta in rooms.store.list()}
    committed(rooms, 2)
    reader = CreateAuthority(rooms.store, rooms.format.id, memory)  # type: ignore[arg-type]  # it is a memory store
    list(reader.entries("heads/main"))
    for key in [meta.key for meta in rooms.store.list("refs/")]:
        if key not in backup:
            rooms.store.delete(key)
    entries = committed(rooms, others)
    assert list(reader.entries("heads/main")) == entries[::-1]
    again = CreateAuthority(rooms.store, rooms.format.id, memory)  # type: ignore[arg-type]  # it is a memory store
    assert [again.at("heads/main", number) for number in range(1, others + 1)] == [[entry] for entry in entries]


# create


def test_a_ref_that_does_not_exist_has_no_line(rooms: Rooms) -> None:
    assert rooms.authority.line("heads/main") is None
    assert list(rooms.authority.entries("heads/main")) == rooms.authority.at("heads/main", 1) == []


def test_the_head_is_the_newest_entry(rooms: Rooms) -> None:
    chain = committed(rooms, 3)
    line = rooms.authority.line("heads/main")
    assert line is not None
    assert (line.heads, line.highest) == ((chain[-1],), 3)


def test_entries_come_newest_first(rooms: Rooms) -> None:
    chain = committed(rooms, 50)
    assert list(rooms.authority.entries("heads/main")) == chain[::-1]
    assert list(rooms.authority.entries("heads/main", seq=3)) == chain[2::-1]
    assert list(rooms.authority.all_entries("heads/main")) == chain[::-1]


def test_a_branch_that_starts_late_ends_there(rooms: Rooms) -> None:
    chain = committed(rooms, 3, ref="heads/dev", first=7)
    assert list(rooms.authority.entries("heads/dev")) == chain[::-1]


def test_an_entry_is_found_by_its_number(rooms: Rooms) -> None:
    chain = committed(rooms, 3)
    assert (rooms.authority.at("heads/main", 2), rooms.authority.at("heads/main", 9)) == ([chain[1]], [])


def test_other_keys_below_a_ref_are_no_entries(rooms: Rooms) -> None:
    [entry] = committed(rooms, 1)
    rooms.store.put(MAIN + "0000", b"?")
    rooms.store.put(MAIN + "readme", b"?")
    line = rooms.authority.line("heads/main")
    assert line is not None
    assert line.heads == (entry,)


def test_looking_at_the_head_takes_two_requests(rooms: Rooms) -> None:
    committed(rooms, 30)
    store = CountingStore(rooms.store)  # type: ignore[arg-type]  # it is a memory store
    CreateAuthority(store, rooms.format.id).line("heads/main")
    assert sum(store.requests.values()) == 2


def test_of_two_writers_of_one_number_the_first_wins(rooms: Rooms) -> None:
    one, two = an_entry(rooms), an_entry(rooms, time=5)
    assert (rooms.authority.commit(one), rooms.authority.commit(two)) == (True, False)
    assert rooms.authority.at("heads/main", 1) == [one]


@pytest.mark.parametrize(
    "fault", [Fault.LOST_RESPONSE, Fault.OWN_WRITE_412, Fault.ERROR_BEFORE, Fault.SPURIOUS_409, Fault.DUPLICATE, Fault.LATE]
)
def test_a_writer_knows_that_it_won_whatever_the_answer_was(rooms: Rooms, fault: Fault) -> None:
    store = FaultyStore(rooms.store)  # type: ignore[arg-type]  # it is a memory store
    entry = an_entry(rooms)
    store.fail_next(fault, verb="create")
    assert create_on(rooms, store).commit(entry)
    assert rooms.authority.at("heads/main", 1) == [entry]


@pytest.mark.parametrize("fault", [Fault.ERROR_BEFORE, Fault.SPURIOUS_409, Fault.LATE])
def test_a_writer_knows_that_it_lost_whatever_the_answer_was(rooms: Rooms, fault: Fault) -> None:
    [first] = committed(rooms, 1)
    store = FaultyStore(rooms.store)  # type: ignore[arg-type]  # it is a memory store
    store.fail_next(fault, verb="create")
    assert not create_on(rooms, store).commit(an_entry(rooms, time=5))
    store.flush()
    assert rooms.authority.at("heads/main", 1) == [first]


def test_a_writer_that_can_not_find_out_says_so(rooms: Rooms) -> None:
    store = FaultyStore(rooms.store, rates={Fault.LOST_RESPONSE: 1, Fault.ERROR_BEFORE: 1})  # type: ignore[arg-type]  # it is a memory store
    with pytest.raises(StoreError, match="nobody knows"):
        create_on(rooms, store).commit(an_entry(rooms))


def test_a_writer_that_comes_between_the_try_and_the_answer_wins(rooms: Rooms) -> None:
    other = an_entry(rooms, time=5)
    store = FaultyStore(rooms.store, on_stall=lambda *_: None)  # type: ignore[arg-type]  # it is a memory store
    store.on_stall = lambda *_: rooms.store.put(MAIN + slot(1), encode_entry(other))
    store.fail_next(Fault.STALL, verb="create")
    assert not create_on(rooms, store).commit(an_entry(rooms))
    assert rooms.authority.at("heads/main", 1) == [other]


def test_nobody_takes_a_taken_slot_by_the_store_alone(rooms: Rooms) -> None:
    committed(rooms, 1)
    assert isinstance(rooms.store, MemoryStore)
    with pytest.raises(AlreadyExists):
        rooms.store.create(MAIN + slot(1), b"")


# fork


def line_of(rooms: Rooms, ref: str = "heads/main") -> list[RefEntry]:
    line = rooms.authority.line(ref)
    return list(line.heads) if line else []


def highest(rooms: Rooms) -> int:
    line = rooms.authority.line("heads/main")
    return line.highest if line else 0


def test_a_chain_has_one_head(forked: Rooms) -> None:
    chain = committed(forked, 4)
    assert line_of(forked) == [chain[-1]]


def test_two_entries_of_one_number_are_both_heads_by_their_versions(forked: Rooms) -> None:
    base = committed(forked, 2)
    two = [an_entry(forked, parents=base[-1:], seq=3, txn=bytes([n]) * 16, time=n) for n in (9, 1)]
    assert all(map(forked.authority.commit, two))
    assert line_of(forked) == sorted(two, key=lambda entry: entry.version)
    assert forked.authority.at("heads/main", 3) == two[::-1]
    assert forked.authority.doubled("heads/main") == {3}


def test_an_entry_that_saw_both_heads_is_the_one_head(forked: Rooms) -> None:
    two = [an_entry(forked, txn=bytes([n]) * 16) for n in (1, 2)]
    merge = an_entry(forked, parents=two, seq=2)
    assert all(map(forked.authority.commit, [*two, merge]))
    assert line_of(forked) == [merge]


def test_a_head_may_have_a_lower_number_than_another(forked: Rooms) -> None:
    base = committed(forked, 1)
    late = an_entry(forked, parents=base, seq=2, txn=b"l" * 16)
    chain = [an_entry(forked, parents=base, seq=2, txn=b"a" * 16)]
    chain.append(an_entry(forked, parents=chain, seq=3))
    assert all(map(forked.authority.commit, [*chain, late]))
    assert line_of(forked) == [late, chain[-1]]
    assert highest(forked) == 3


def test_on_a_long_chain_only_the_head_is_read(forked: Rooms) -> None:
    committed(forked, 30)
    store = CountingStore(forked.store)  # type: ignore[arg-type]  # it is a memory store
    assert ForkAuthority(store, forked.format.id).line("heads/main") is not None
    assert store.reads == 1


@pytest.mark.parametrize("fault", [Fault.LOST_RESPONSE, Fault.ERROR_BEFORE, Fault.DUPLICATE, Fault.LATE])
def test_a_forking_writer_puts_again_until_it_knows(forked: Rooms, fault: Fault) -> None:
    store = FaultyStore(forked.store)  # type: ignore[arg-type]  # it is a memory store
    entry = an_entry(forked)
    store.fail_next(fault, verb="put")
    assert ForkAuthority(store, forked.format.id).commit(entry)
    assert line_of(forked) == [entry]


def test_a_forking_writer_that_can_not_find_out_says_so(forked: Rooms) -> None:
    store = FaultyStore(forked.store, rates={Fault.ERROR_BEFORE: 1})  # type: ignore[arg-type]  # it is a memory store
    with pytest.raises(StoreError, match="nobody knows"):
        ForkAuthority(store, forked.format.id).commit(an_entry(forked))


def test_of_two_tags_of_one_name_the_smallest_transaction_counts(forked: Rooms) -> None:
    two = [an_entry(forked, ref="tags/one", seq=0, txn=bytes([n]) * 16) for n in (9, 1)]
    assert all(map(forked.authority.commit, two))
    assert line_of(forked, "tags/one") == [two[1]]
    assert list(forked.authority.entries("tags/one")) == [two[1]]
    assert list(forked.authority.all_entries("tags/one")) == [two[1], two[0]]


def test_an_entry_settles_once_it_is_listed(forked: Rooms) -> None:
    [entry] = committed(forked, 1)
    line = forked.authority.settled(entry)
    assert line is not None
    assert line.heads == (entry,)


def test_every_so_many_numbers_a_checkpoint_is_written(forked: Rooms) -> None:
    for entry in committed(forked, 5):
        forked.authority.settled(entry)
    names = [key.rpartition("/")[2] for key in keys(forked.store, "refs/checkpoints/main/")]
    assert {name.split("-")[0] for name in names} == {slot(5)}
    assert sum(name.endswith("-proposed") for name in names) == 1
    assert len(names) == 2


def settled(rooms: Rooms, entries: list[RefEntry]) -> None:
    for entry in entries:
        assert rooms.authority.commit(entry)
        assert rooms.authority.settled(entry) is not None


def test_below_a_checkpoint_nothing_is_listed(forked: Rooms) -> None:
    chain = committed(forked, 5)
    forked.authority.settled(chain[-1])
    more = an_entry(forked, parents=chain[-1:], seq=6)
    settled(forked, [more])
    late = an_entry(forked, parents=chain[:2], seq=3)
    forked.authority.commit(late)
    assert line_of(forked) == [more]


def test_who_wrote_below_a_proposed_checkpoint_must_write_again(forked: Rooms) -> None:
    chain = committed(forked, 5)
    forked.authority.settled(chain[-1])
    late = an_entry(forked, parents=chain[:2], seq=3)
    forked.authority.commit(late)
    assert forked.authority.settled(late) is None
    again = an_entry(forked, parents=chain[-1:], seq=6)
    settled(forked, [again])
    assert line_of(forked) == [again]


def test_a_proposal_alone_bounds_nothing(forked: Rooms) -> None:
    [first, *rest] = committed(forked, 5)
    forked.authority.settled(rest[-1])
    [finished] = [key for key in keys(forked.store, "refs/checkpoints/main/") if not key.endswith("-proposed")]
    forked.store.delete(finished)
    late = an_entry(forked, parents=[first], seq=2)
    forked.authority.commit(late)
    assert line_of(forked) == [late, rest[-1]]


def test_heads_below_a_checkpoint_stay_heads(forked: Rooms) -> None:
    base = committed(forked, 3)
    two = [an_entry(forked, parents=base[-1:], seq=4, txn=bytes([n]) * 16) for n in (1, 2)]
    five = an_entry(forked, parents=two[:1], seq=5)
    for entry in (*two, five):
        forked.authority.commit(entry)
    forked.authority.settled(five)
    assert line_of(forked) == [two[1], five]
    six = an_entry(forked, parents=[five], seq=6)
    forked.authority.commit(six)
    assert line_of(forked) == [two[1], six]
    seven = an_entry(forked, parents=[two[1], six], seq=7)
    forked.authority.commit(seven)
    assert line_of(forked) == [seven]


def test_a_checkpoint_of_another_branch_is_found_out(forked: Rooms) -> None:
    for entry in committed(forked, 5):
        forked.authority.settled(entry)
    for key in keys(forked.store, "refs/checkpoints/main/"):
        forked.store.put(key.replace("/main/", "/dev/"), forked.store.get(key))
    with pytest.raises(IntegrityError, match="belongs elsewhere"):
        forked.authority.line("heads/dev")


def test_a_damaged_checkpoint_is_found_out(forked: Rooms) -> None:
    for entry in committed(forked, 5):
        forked.authority.settled(entry)
    assert isinstance(forked.store, MemoryStore)
    [finished] = [key for key in keys(forked.store, "refs/checkpoints/main/") if not key.endswith("-proposed")]
    damage(forked.store, finished)
    with pytest.raises(IntegrityError):
        forked.authority.line("heads/main")


def closure(entries: list[RefEntry], seen: set[int]) -> set[int]:
    """Return a view with everything that it builds on."""
    seals = {entry_seal(entry): number for number, entry in enumerate(entries)}
    todo, found = list(seen), set()
    while todo:
        number = todo.pop()
        if number not in found:
            found.add(number)
            todo += [seals[one] for one in entries[number].previous]
    return found


def heads_of(entries: list[RefEntry]) -> list[RefEntry]:
    """Return the entries that are nobody's ancestor, by the letter."""
    previous = {one for entry in entries for one in entry.previous}
    return sorted(
        (entry for entry in entries if entry_seal(entry) not in previous), key=lambda entry: (entry.seq, entry.version, entry.txn)
    )


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_heads_are_the_entries_that_are_nobodys_ancestor(data: st.DataObject) -> None:
    rooms = rooms_on(a_store(authority="fork"))
    entries: list[RefEntry] = []
    for _ in range(data.draw(st.integers(1, 12))):
        missed = data.draw(st.sets(st.integers(max(0, len(entries) - 3), len(entries) - 1))) if entries else set()
        view = closure(entries, set(range(len(entries))) - missed)
        listed = [entries[number] for number in sorted(view)]
        seq = max((entry.seq for entry in listed), default=0) + 1
        entry = an_entry(
            rooms, parents=heads_of(listed), seq=seq, txn=bytes([data.draw(st.integers(0, 255))]) + len(entries).to_bytes(15, "big")
        )
        rooms.authority.commit(entry)
        entries.append(entry)
        assert line_of(rooms) == heads_of(entries)


class Writing:
    """A writer of a forked branch as the specification has it: list, put, list again, and put anew if that is asked for.

    Whenever the store stalls, which is between any two of its requests, another writer may do something.
    """

    def __init__(self, store: MemoryStore, seed: int, others: Callable[[], None]) -> None:
        self.store = FaultyStore(store, seed=seed, rates={Fault.STALL: 0.2, Fault.STALL_AFTER: 0.2}, on_stall=lambda *_: others())
        self.rooms = rooms_on(store)
        self.authority = ForkAuthority(self.store, self.rooms.format.id, checkpoint_every=3)
        self.acknowledged: list[RefEntry] = []
        self.busy = False

    def write(self) -> None:
        """Write one entry, for good."""
        if self.busy:
            return
        self.busy = True
        for _ in range(50):
            line = self.authority.line("heads/main")
            entry = an_entry(self.rooms, parents=line.heads if line else (), seq=line.highest + 1 if line else 1)
            self.authority.commit(entry)
            if self.authority.settled(entry) is not None:
                self.acknowledged.append(entry)
                break
        self.busy = False


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 2), min_size=4, max_size=12))
def test_nothing_that_was_acknowledged_is_lost_by_forks_and_checkpoints(seed: int, turns: list[int]) -> None:
    store, dice = a_store(authority="fork"), random.Random(seed)
    writers: list[Writing] = []
    writers += [Writing(store, dice.randrange(2**32), lambda: dice.choice(writers).write()) for _ in range(3)]
    for turn in turns:
        writers[turn].write()
    line = ForkAuthority(store, writers[0].rooms.format.id, checkpoint_every=3).line("heads/main")
    assert line is not None
    stored = list(ForkAuthority(store, writers[0].rooms.format.id).all_entries("heads/main"))
    numbers = {stored.index(head) for head in line.heads}
    reached = [stored[number] for number in closure(stored, numbers)]
    assert all(entry in reached for writer in writers for entry in writer.acknowledged)


def test_a_store_without_conditions_is_enough() -> None:
    rooms = rooms_on(PlainStore(a_store(authority="fork")))
    assert line_of(rooms) == []
    assert len(committed(rooms, 3)) == 3
    assert [entry.seq for entry in rooms.authority.entries("heads/main")] == [3, 2, 1]
    assert [entry.seq for entry in rooms.authority.entries("heads/main", seq=2)] == [2, 1]


def test_an_entry_of_a_chain_that_vanished_is_noticed(rooms: Rooms) -> None:
    committed(rooms, 3)
    rooms.store.delete(ref_prefix("heads/main") + slot(2))
    assert [entry.seq for entry in rooms.authority.entries("heads/main")] == [3]
    with pytest.raises(NotFound):
        rooms.store.get(ref_prefix("heads/main") + slot(2))
