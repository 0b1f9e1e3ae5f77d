"""The parts of one open repository, put together in one place, for the modules that each do one thing with it."""

from dataclasses import dataclass

from kist.engine.cache import Cache
from kist.engine.clock import Clock
from kist.engine.entries import sort_key
from kist.engine.index import KnownFrames
from kist.engine.nodes import Root, Totals
from kist.engine.objects import Objects, Writer
from kist.engine.records import Format
from kist.engine.refs import CommitAuthority
from kist.engine.states import State, States
from kist.engine.trees import Trees
from kist.engine.updates import update_tree
from kist.stores.protocols import Store

__all__ = ["Rooms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What belongs to one open repository; `grace` is that of collecting, in seconds; `author` is who saves, where that is known."""

    store: Store
    format: Format
    authority: CommitAuthority
    objects: Objects
    trees: Trees
    states: States
    cache: Cache | None
    clock: Clock
    grace: float
    author: str = ""

    def writer(self) -> Writer:
        """Return a writer for one change."""
        return Writer(self.store, KnownFrames(self.cache, self.store) if self.cache else None)

    def state(self, branch: str) -> State:
        """Return what a branch holds now.

        Raises:
            IntegrityError: what must be read is damaged.
            StoreError: the store failed.
        """
        return self.states.of_line(self.authority.line(f"heads/{branch}"))

    def durable(self, writer: Writer, state: State) -> State:
        """Return the state with its tree in the store: the merge of several heads is only in memory until somebody commits on it."""
        if len(state.heads) < 2:  # noqa: PLR2004 - the tree of one head is stored
            return state
        record = self.states.record(state.heads[0].version, state.heads[0].place)
        first = Root(record.tree, record.place)
        changes = [((new or old).path, new) for old, new in self.trees.differences(first, state.root)]  # type: ignore[union-attr]  # one is there
        root, _ = update_tree(
            self.trees, writer, first, ((sort_key(path), entry) for path, entry in changes), changed=lambda _old, _new: None
        )
        writer.flush()
        return state._replace(root=root)

    def totals(self, root: Root) -> Totals:
        """Return what a whole tree holds."""
        return self.trees.totals(root, "")
