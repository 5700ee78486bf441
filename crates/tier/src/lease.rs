//! The right to load a key, one holder in the whole fleet (DESIGN.md, "Leases").

use tokio::runtime::Handle;

use crate::{
    slots::{slot, tag},
    wire::Session,
};

/// The name of the lease of a key: in a cluster it has the key's own slot, by the same hash tag.
pub(crate) fn name(key: &[u8]) -> Vec<u8> {
    if tag(key).is_some() {
        return [b"lease:", key].concat();
    }
    let name = [b"lease:{", key, b"}"].concat();
    if slot(&name) == slot(key) {
        return name;
    }
    // A key with a `}`, or an empty one, cannot be a tag: the first number that has its slot is one, and stands before it.
    let numbers =
        (0_u32..).map(|number| [b"lease:{", number.to_string().as_bytes(), b"}:", key].concat());
    numbers.into_iter().find(|name| slot(name) == slot(key)).unwrap_or(name)
}

/// A name for a holder that no other has: of the system's randomness, as a process that was forked or cloned has the same
/// generator as another.
pub(crate) fn holder() -> String {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        bytes = fastrand::u128(..).to_ne_bytes();
    }
    format!("{:032x}", u128::from_ne_bytes(bytes))
}

/// A lease that is held. Dropped before it has [ended](Held::ended), by a failure, a panic or a caller that goes, it is given back.
pub(crate) struct Held {
    /// `None`: it has ended.
    lease: Option<(Session, Vec<u8>, String)>,
}

impl Held {
    /// `holder` holds the lease of this name, unless the holder is empty.
    pub(crate) fn new(session: Session, lease: Vec<u8>, holder: String) -> Self {
        Self { lease: (!holder.is_empty()).then_some((session, lease, holder)) }
    }

    /// It has ended in the server.
    pub(crate) fn ended(&mut self) {
        self.lease = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some((session, lease, holder)) = self.lease.take() else { return };
        // Without a runtime, at the end of a program, it ends by itself.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { session.release(&lease, &holder).await });
        }
    }
}

#[cfg(all(test, not(evanesce_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_lease_has_the_tag_of_its_key() {
        assert_eq!(name(b"a"), b"lease:{a}");
        assert_eq!(name(b"user:{7}:name"), b"lease:user:{7}:name");
    }

    #[test]
    fn a_lease_has_the_slot_of_its_key() {
        for key in [&b"a"[..], b"user:{7}:name", b"{}a", b"a}b", b"", b"}"] {
            assert_eq!(slot(&name(key)), slot(key), "{}", key.escape_ascii());
        }
        assert_ne!(name(b"{}a"), name(b"{}b"));
    }

    #[test]
    fn holders_differ() {
        assert_ne!(holder(), holder());
    }
}
