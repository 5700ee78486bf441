//! Hash functions that are good, bad and worse.

use arbitrary::Arbitrary;
use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// A hash function chosen at run time (so that one map type serves all).
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashing {
    /// `SipHash` with fixed keys.
    Sip,
    /// The integer itself.
    Identity,
    /// One hash for all keys.
    Constant,
    /// Four hashes for all keys.
    FewBits,
    /// Distinct hashes that differ only in their lower half.
    LowHalf,
    /// Distinct hashes that differ only in their upper half.
    HighHalf,
    /// Distinct hashes whose product with the golden ratio of 2^64 has one upper half.
    TiesGolden,
    /// The same with the multiplier of `FxHash`.
    TiesFx,
    /// The same with the multiplier of `rustc-hash` 2.
    TiesRustc,
}

impl Hashing {
    pub const ALL: [Self; 9] = [
        Self::Sip,
        Self::Identity,
        Self::Constant,
        Self::FewBits,
        Self::LowHalf,
        Self::HighHalf,
        Self::TiesGolden,
        Self::TiesFx,
        Self::TiesRustc,
    ];
}

/// An upper half for the hashes that share one.
const UPPER: u64 = 0xc3a5_c85c_0000_0000;

/// The number whose product with the odd `multiplier` is `product`.
fn divide(product: u64, multiplier: u64) -> u64 {
    let mut inverse = multiplier; // right in 3 bits; each round doubles them
    for _ in 0..5 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(multiplier.wrapping_mul(inverse)));
    }
    assert_eq!(inverse.wrapping_mul(multiplier), 1);
    product.wrapping_mul(inverse)
}

impl BuildHasher for Hashing {
    type Hasher = ChosenHasher;

    fn build_hasher(&self) -> ChosenHasher {
        ChosenHasher { hashing: *self, sip: DefaultHasher::new(), last: 0 }
    }
}

#[derive(Clone, Debug)]
pub struct ChosenHasher {
    hashing: Hashing,
    sip: DefaultHasher,
    last: u64,
}

impl Hasher for ChosenHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.sip.write(bytes);
        for byte in bytes {
            self.last = self.last.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.sip.write_u64(n);
        self.last = n;
    }

    fn finish(&self) -> u64 {
        let low = self.last & 0xffff_ffff;
        match self.hashing {
            Hashing::Sip => self.sip.finish(),
            Hashing::Identity => self.last,
            Hashing::Constant => 0x0123_4567_89ab_cdef,
            Hashing::FewBits => self.last & 3,
            Hashing::LowHalf => UPPER | low,
            Hashing::HighHalf => low << 32 | 0x89ab_cdef,
            Hashing::TiesGolden => divide(UPPER | low, 0x9e37_79b9_7f4a_7c15),
            Hashing::TiesFx => divide(UPPER | low, 0x517c_c1b7_2722_0a95),
            Hashing::TiesRustc => divide(UPPER | low, 0xf135_7aea_2e62_a9c5),
        }
    }
}
