//! What our documents say of the peers, run against them: a test fails when a peer has changed, or when a sentence was
//! wrong. Each names the document and the sentence that it backs; where a sentence is changed, its test goes with it.

mod claims {
    mod common;
    mod dashmap;
    mod moka;
    mod moka_expiry;
    mod ours;
    mod packages;
    mod papaya;
    mod quick_cache;
    mod redis;
    mod scc;
}
