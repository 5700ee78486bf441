//! The packed words of a line and of a node, as narrow as the model allows.
//!
//! The model keeps what matters of DESIGN.md's words and drops their width: a line has at most three
//! cells, a fingerprint two bits, COUNT seven bits. Seven bits do not come round, because a
//! configuration has fewer slots than that (the argument U1), and the plants that shorten COUNT show
//! what happens if they do.

/// The state word of a node.
///
/// There are three living words, in place of every deadline: one that never expires, one that
/// expires when the clock comes to 1, and one whose deadline was over before the clock began.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct State(pub u8);

impl State {
    pub(crate) const DEAD: State = State(1);
    pub(crate) const NEVER: State = State(2);
    pub(crate) const UNTIL_ONE: State = State(3);
    pub(crate) const PAST: State = State(4);
    const MOVED: u8 = 0x40;
    const LIVE: u8 = 0x20;

    pub(crate) fn moved(to: u8, live: bool) -> State {
        State(State::MOVED | to | if live { State::LIVE } else { 0 })
    }
    pub(crate) fn is_moved(self) -> bool {
        self.0 & State::MOVED != 0
    }
    /// Of a moved node: its replacement.
    pub(crate) fn replacement(self) -> u8 {
        self.0 & SLOT
    }
    /// Of a moved node: whether its replacer judged it visible.
    pub(crate) fn was_live(self) -> bool {
        self.0 & State::LIVE != 0
    }
    pub(crate) fn is_over(self) -> bool {
        self == State::DEAD || self.is_moved()
    }
    pub(crate) fn is_due_at(self, clock: u8) -> bool {
        self == State::PAST || self == State::UNTIL_ONE && clock > 0
    }
}

const SLOT: u8 = 0x1f;

/// A cell of a line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct Cell(pub u8);

impl Cell {
    const DRAFT: u8 = 0x20;
    pub(crate) const MARK: u8 = 0x80;
    pub(crate) const UNUSED: Cell = Cell(0);
    /// DRAFT without a slot, so that VACANT is not zero: a late migration must not fill it.
    pub(crate) const VACANT: Cell = Cell(Cell::DRAFT);

    pub(crate) fn plain(slot: u8) -> Cell {
        Cell(slot)
    }
    pub(crate) fn draft(slot: u8) -> Cell {
        Cell(slot | Cell::DRAFT)
    }
    pub(crate) fn slot(self) -> u8 {
        self.0 & SLOT
    }
    pub(crate) fn names_none(self) -> bool {
        self.slot() == 0
    }
    pub(crate) fn is_draft(self) -> bool {
        self.0 & Cell::DRAFT != 0
    }
    pub(crate) fn is_marked(self) -> bool {
        self.0 & Cell::MARK != 0
    }
    pub(crate) fn without_draft(self) -> Cell {
        Cell(self.0 & !Cell::DRAFT)
    }
}

/// Two bits a cell: the fingerprints of `B`, or the presence in `A`.
fn field(word: u16, cell: usize) -> u16 {
    word >> (2 * cell) & 3
}

fn with_field(word: u16, cell: usize, value: u16) -> u16 {
    word & !(3 << (2 * cell)) | value << (2 * cell)
}

/// The word `A` of a line: a field for each cell, COUNT or the number of the next line, three flags.
///
/// The field of a cell that has its fingerprint here is the fingerprint. That of a cell that has it
/// in `B` is 1. Zero: not present.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct A(pub u16);

impl A {
    pub(crate) const BORN: u16 = 1 << 14;
    const CHAINED: u16 = 1 << 13;
    pub(crate) const FROZEN: u16 = 1 << 15;
    const COUNT: u16 = 0x7f << 6;

    pub(crate) fn born() -> A {
        A(A::BORN)
    }
    pub(crate) fn is_born(self) -> bool {
        self.0 & A::BORN != 0
    }
    pub(crate) fn is_chained(self) -> bool {
        self.0 & A::CHAINED != 0
    }
    pub(crate) fn is_frozen(self) -> bool {
        self.0 & A::FROZEN != 0
    }
    pub(crate) fn field(self, cell: usize) -> u16 {
        field(self.0, cell)
    }
    pub(crate) fn has(self, cell: usize) -> bool {
        self.field(cell) != 0
    }
    pub(crate) fn with(self, cell: usize, value: u16) -> A {
        A(with_field(self.0, cell, value))
    }
    pub(crate) fn without(self, cell: usize) -> A {
        self.with(cell, 0)
    }
    /// COUNT plus one, if COUNT has so many bits.
    pub(crate) fn counted(self, bits: u32) -> A {
        let mask = (1 << bits) - 1;
        A(self.0 & !A::COUNT | (((self.0 >> 6) + 1) & mask) << 6)
    }
    pub(crate) fn chained_to(self, overflow: u16) -> A {
        A(self.0 & !A::COUNT | A::CHAINED | overflow << 6)
    }
    /// Of a chained line: the number of the next one.
    pub(crate) fn next_line(self) -> u16 {
        (self.0 & A::COUNT) >> 6
    }
    /// COUNT, CHAINED and FROZEN: what a snapshot wants unchanged.
    pub(crate) fn history(self) -> u16 {
        self.0 & (A::COUNT | A::CHAINED | A::FROZEN)
    }
}

/// The word `B`: the fingerprints of the cells that have none in `A`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct B(pub u8);

impl B {
    pub(crate) fn field(self, cell: usize) -> u16 {
        field(u16::from(self.0), cell)
    }
    pub(crate) fn with(self, cell: usize, fingerprint: u16) -> B {
        B(with_field(u16::from(self.0), cell, fingerprint) as u8)
    }
}
