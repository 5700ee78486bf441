//! Hashing of states, fast.

use std::hash::Hasher;

/// A multiply-and-fold hasher. Bytes are taken together to words; what says how many follow (the
/// variant of an enum, a length) is a byte as well.
#[derive(Default)]
pub(crate) struct Mixer {
    hash: u64,
    word: u64,
    bits: u32,
}

impl Mixer {
    fn mix(&mut self, value: u64) {
        let word = self.hash ^ value.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x517C_C1B7_2722_0A95;
        let product = u128::from(word) * 0xD6E8_FEB8_6659_FD93;
        self.hash = product as u64
            ^ (product >> 64) as u64
            ^ value.rotate_left(32)
            ^ self.hash.rotate_left(5);
    }

    pub(crate) fn flush(&mut self) {
        if self.bits > 0 {
            self.mix(self.word);
            (self.word, self.bits) = (0, 0);
        }
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        debug_assert_eq!(self.bits, 0, "flush first");
        self.hash ^ self.hash >> 29
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u8(byte);
        }
    }
    fn write_u8(&mut self, value: u8) {
        self.word |= u64::from(value) << self.bits;
        self.bits += 8;
        if self.bits == 64 {
            self.flush();
        }
    }
    fn write_usize(&mut self, value: usize) {
        self.write_u8(value as u8);
    }
    fn write_isize(&mut self, value: isize) {
        self.write_usize(value.cast_unsigned());
    }
    fn write_u64(&mut self, value: u64) {
        self.flush();
        self.mix(value);
    }
}

/// For keys that are hashes.
#[derive(Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only whole hashes are kept");
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
