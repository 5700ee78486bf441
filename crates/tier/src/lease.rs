//! The right to load a key, one holder in the whole fleet (DESIGN.md, "Leases").

use tokio::runtime::Handle;

use crate::wire::Session;

/// The name of the lease of a key: in a cluster on the key's own node, by its hash tag.
///
/// (There is no such name for a key without a tag that has a `}`. Outside of a cluster that does not matter.)
pub(crate) fn name(key: &[u8]) -> Vec<u8> {
    if has_tag(key) { [b"lease:", key].concat() } else { [b"lease:{", key, b"}"].concat() }
}

/// Whether a part of the key in braces says where it is.
fn has_tag(key: &[u8]) -> bool {
    let open = key.iter().position(|byte| *byte == b'{');
    open.is_some_and(|open| {
        key[open + 1..].iter().position(|byte| *byte == b'}').is_some_and(|length| length > 0)
    })
}

/// A name for a holder that no other has.
pub(crate) fn holder() -> String {
    format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
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
        assert_eq!(name(b"{}a"), b"lease:{{}a}");
    }

    #[test]
    fn holders_differ() {
        assert_ne!(holder(), holder());
    }
}
