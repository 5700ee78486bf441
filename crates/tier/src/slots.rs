//! Hash slots: which one a key has, and sets of them.

/// How many there are.
pub(crate) const SLOTS: u16 = 16_384;

/// The number of a hash slot.
pub(crate) type Slot = u16;

/// The slot of a key: of its hash tag, if it has one.
pub(crate) fn slot(key: &[u8]) -> Slot {
    crc16(tag(key).unwrap_or(key)) % SLOTS
}

/// The part of a key in braces that alone says where it is: from the first `{` to the next `}`, if something is between them.
pub(crate) fn tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|byte| *byte == b'{')?;
    let rest = &key[open + 1..];
    let length = rest.iter().position(|byte| *byte == b'}')?;
    (length > 0).then(|| &rest[..length])
}

/// CRC-16/XMODEM, a byte at a time.
const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "below 256")]
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let [high, _] = crc.to_be_bytes();
        (crc << 8) ^ TABLE[usize::from(high ^ byte)]
    })
}

/// A set of slots.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Slots(Box<[u64; SLOTS as usize / 64]>);

impl Slots {
    pub(crate) fn new() -> Self {
        Self(Box::new([0; SLOTS as usize / 64]))
    }

    pub(crate) fn contains(&self, slot: Slot) -> bool {
        self.0[usize::from(slot / 64)] & 1 << (slot % 64) != 0
    }

    /// Adds those from `first` to `last`. What is no slot is left out.
    pub(crate) fn add(&mut self, first: Slot, last: Slot) {
        for slot in first..=last.min(SLOTS - 1) {
            self.0[usize::from(slot / 64)] |= 1 << (slot % 64);
        }
    }

    pub(crate) fn remove(&mut self, slot: Slot) {
        if slot < SLOTS {
            self.0[usize::from(slot / 64)] &= !(1 << (slot % 64));
        }
    }
}

#[cfg(all(test, not(evanesce_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_slots_that_servers_give_them() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        // As CLUSTER KEYSLOT says.
        for (key, its) in [("", 0), ("foo", 12_182), ("somekey", 11_058), ("{foo}.bar", 12_182)] {
            assert_eq!(slot(key.as_bytes()), its, "{key}");
        }
    }

    #[test]
    fn a_tag_is_the_first_one_that_is_not_empty() {
        assert_eq!(tag(b"a{b}{c}"), Some(&b"b"[..]));
        assert_eq!(tag(b"a{{b}}"), Some(&b"{b"[..]));
        for without in [&b"a"[..], b"{}a{b}", b"{a", b"a}b"] {
            assert_eq!(tag(without), None);
        }
    }

    #[test]
    fn a_set_has_what_was_added() {
        let mut slots = Slots::new();
        slots.add(60, 70);
        slots.add(16_383, 60_000);
        slots.remove(64);
        slots.remove(60_000);
        let has: Vec<_> = (0..SLOTS).filter(|slot| slots.contains(*slot)).collect();
        assert_eq!(has, [60, 61, 62, 63, 65, 66, 67, 68, 69, 70, 16_383]);
    }
}
