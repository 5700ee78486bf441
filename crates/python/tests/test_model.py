"""Any sequence of calls, beside a dict with deadlines."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from evanesce import KeyValueStore, ManualClock, TtlMap

KEYS = st.one_of(
    st.integers(0, 8), st.integers(0, 4).map(lambda n: n * (2**61 - 1)), st.sampled_from(["a", "b", b"a", (1,), None]),
)
SPANS = st.one_of(st.none(), st.integers(0, 6), st.just(10**30))
ABSENT = object()


class Model(RuleBasedStateMachine):
    cls = KeyValueStore

    @initialize()
    def begin(self):
        self.clock = ManualClock()
        self.store = self.cls(clock=self.clock)
        self.now, self.held, self.count = 0, {}, 0

    def alive(self, key):
        value, deadline = self.held.get(key, (ABSENT, None))
        return value if deadline is None or self.now < deadline else ABSENT

    def deadline(self, span):
        return None if span is None or span > 10**9 else self.now + span

    @rule(key=KEYS, span=SPANS)
    def put(self, key, span):
        self.count += 1
        self.store.put(key, self.count, span)
        self.held[key] = self.count, self.deadline(span)

    @rule(key=KEYS)
    def delete(self, key):
        was = self.alive(key)
        try:
            del self.store[key]
            assert was is not ABSENT
        except KeyError:
            assert was is ABSENT
        self.held.pop(key, None)

    @rule(key=KEYS, span=SPANS)
    def touch(self, key, span):
        was = self.alive(key)
        assert self.store.touch(key, span) == (was is not ABSENT)
        if was is not ABSENT:
            self.held[key] = was, self.deadline(span)

    @rule(key=KEYS)
    def get(self, key):
        assert self.store.get(key, ABSENT) is self.alive(key) or self.store.get(key) == self.alive(key)

    @rule(key=KEYS)
    def ttl(self, key):
        try:
            left = self.store.ttl(key)
            deadline = self.held[key][1]
            assert self.alive(key) is not ABSENT
            assert left == (None if deadline is None else deadline - self.now)
        except KeyError:
            assert self.alive(key) is ABSENT

    @rule(by=st.integers(0, 4))
    def advance(self, by):
        self.clock.advance(by)
        self.now += by

    @rule()
    def sweep(self):
        self.store.sweep()
        assert len(self.store) == len(list(self.store))

    @rule()
    def clear(self):
        self.store.clear()
        self.held.clear()

    @rule()
    def copy(self):
        self.store = self.store.copy()

    @invariant()
    def holds_what_is_alive(self):
        if hasattr(self, "held"):
            assert set(self.store) == {key for key in self.held if self.alive(key) is not ABSENT}


class MapModel(Model):
    cls = TtlMap

    @rule(key=KEYS)
    def pop(self, key):
        assert self.store.pop(key, ABSENT) == self.alive(key)
        self.held.pop(key, None)

    @rule(key=KEYS, span=SPANS)
    def setdefault(self, key, span):
        self.count += 1
        was = self.alive(key)
        assert self.store.setdefault(key, self.count, span) == (self.count if was is ABSENT else was)
        if was is ABSENT:
            self.held[key] = self.count, self.deadline(span)


class BoundedModel(RuleBasedStateMachine):
    """With a maximum, sizes and a listener: each value that was put is there, or has been told of, once."""

    @initialize(cls=st.sampled_from([KeyValueStore, TtlMap]), sized=st.booleans(), idle=st.booleans())
    def begin(self, cls, sized, idle):
        self.clock, self.count, self.held, self.ends, self.sized = ManualClock(), 0, {}, [], sized
        options = {"getsizeof": lambda value: value % 5} if sized else {}
        options.update({"time_to_idle": 4} if idle else {})
        self.store = cls(maxsize=6, eviction_listener=self.told, clock=self.clock, **options)

    def told(self, key, value, cause):
        # What it raised would go to the unraisable hook.
        self.ends.append((self.held.pop(value, ABSENT), key, cause))

    @rule(key=KEYS, span=SPANS)
    def put(self, key, span):
        self.count += 1
        if span != 0:
            self.held[self.count] = key
        self.store.put(key, self.count, span)
        assert self.store.get(key, ABSENT) == (ABSENT if span == 0 else self.count)

    @rule(key=KEYS)
    def get(self, key):
        value = self.store.get(key, ABSENT)
        assert value is ABSENT or self.held[value] == key

    @rule(key=KEYS)
    def pop(self, key):
        value = self.store.pop(key, ABSENT)
        assert value not in self.held and key not in self.store

    @rule(key=KEYS, span=SPANS)
    def touch(self, key, span):
        self.store.touch(key, span)

    @rule(by=st.integers(0, 4))
    def advance(self, by):
        self.clock.advance(by)

    @rule()
    def sweep(self):
        self.store.sweep()
        assert dict(self.store.items()) == {key: value for value, key in self.held.items()}
        assert self.store.currsize == (sum(value % 5 for value in self.held) if self.sized else len(self.held))

    @rule()
    def clear(self):
        self.store.clear()
        assert not self.held

    @invariant()
    def is_not_over_its_maximum_and_tells_once(self):
        if hasattr(self, "store"):
            assert self.store.currsize <= 6
            assert all(put == key for put, key, _ in self.ends)
            assert {cause for *_, cause in self.ends} <= {"expired", "explicit", "replaced", "size"}


for model in [Model, MapModel, BoundedModel]:
    model.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestModel, TestMapModel, TestBoundedModel = Model.TestCase, MapModel.TestCase, BoundedModel.TestCase
