//! How much is measured, and with what.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How much to do.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    Full,
    Quick,
    Smoke,
}

/// What rows are told.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    pub(crate) traces: Option<PathBuf>,
    pub(crate) origin: Option<PathBuf>,
}
