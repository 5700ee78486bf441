//! Nothing: the gate is `benches/instructions.rs`.
