//! One server or a cluster: where a key is asked for.

use std::{future::Future, sync::Arc};

use crate::{
    cluster::Cluster,
    error::Error,
    gate::{Gate, Origin},
    link::{KeptOpen, Link, State},
    request::At,
};

/// What a tier is in front of.
pub(crate) enum Servers {
    One { link: Arc<Link>, _open: KeptOpen },
    Cluster(Arc<Cluster>),
}

impl Servers {
    /// The gate of the server that has the key, as far as is known.
    pub(crate) fn gate(&self, key: &[u8]) -> Result<Arc<Gate>, Error> {
        match self {
            Self::One { link, .. } => Ok(Arc::clone(&link.gate)),
            Self::Cluster(cluster) => cluster.gate(key),
        }
    }

    /// A request to the server that has the key, as far as is known.
    pub(crate) fn route(&self, key: &[u8]) -> Result<At, Error> {
        match self {
            Self::One { link, .. } => {
                let origin = Origin::now(&link.gate);
                Ok(At { session: link.session()?, origin, may_keep: true })
            }
            Self::Cluster(cluster) => cluster.route(key),
        }
    }

    /// Asks the server that has the key.
    pub(crate) async fn at<T, Fut>(
        &self,
        key: &[u8],
        mut ask: impl FnMut(At) -> Fut,
    ) -> Result<T, Error>
    where
        Fut: Future<Output = Result<T, Error>>,
    {
        match self {
            Self::One { .. } => ask(self.route(key)?).await,
            Self::Cluster(cluster) => cluster.at(key, ask).await,
        }
    }

    pub(crate) fn state(&self) -> State {
        match self {
            Self::One { link, .. } => link.state(),
            Self::Cluster(cluster) => cluster.state(),
        }
    }

    pub(crate) fn forget_all(&self) {
        match self {
            Self::One { link, .. } => link.gate.forget_all(),
            Self::Cluster(cluster) => cluster.forget_all(),
        }
    }
}
