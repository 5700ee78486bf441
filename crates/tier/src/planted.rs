//! Deliberate bugs, one line each, that the tests must see: `planted.sh`.

/// True while the bug `name` is switched on. Outside of `--cfg planted` it is the constant `false`.
macro_rules! planted {
    ($name:ident) => {{
        #[cfg(planted)]
        let on = crate::planted::is_planted(stringify!($name));
        #[cfg(not(planted))]
        let on = false;
        on
    }};
}

/// Whether the environment variable `EVANESCE_PLANTED` names this bug.
#[cfg(planted)]
pub(crate) fn is_planted(name: &str) -> bool {
    static NAME: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    NAME.get_or_init(|| std::env::var("EVANESCE_PLANTED").ok()).as_deref() == Some(name)
}
