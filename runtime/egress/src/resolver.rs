//! Names to addresses, vetted on the way.
//!
//! The HTTP client asks [`Vetting`] for the addresses of a host at the moment
//! it dials, and dials what it is given. So one lookup serves the check and the
//! connection, and a name that answers differently a second later (rebinding)
//! gains nothing. A kept connection needs no lookup: its address was vetted.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use async_trait::async_trait;
use hyper_util::client::legacy::connect::dns::Name;
use servo_policy::{AddressClass, HttpRules, RuleId, address_class, is_allowed};
use tower::Service;

use crate::classify::{AddressRefused, ResolveFailed};

/// Addresses tried per connection. A name with more is trying something.
const MOST_ADDRESSES: usize = 16;

/// Looks names up. Tests count the questions.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// The addresses of `host`.
    ///
    /// # Errors
    /// The lookup failed.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver: `/etc/hosts`, DNS, whatever this machine uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let found = tokio::net::lookup_host((host, port)).await?;
        Ok(found.collect())
    }
}

/// Who dials, and hence which addresses may be dialled.
#[derive(Clone)]
pub(crate) enum Reach {
    /// A driver, under this one of its rules.
    Rule(HttpRules, RuleId),
    /// Servo itself.
    Own,
}

impl Reach {
    fn admits(&self, ip: IpAddr) -> Result<(), AddressClass> {
        match self {
            Self::Rule(rules, id) => match rules.get(*id) {
                Some(grant) => grant.admits(ip),
                None => Err(address_class(ip)),
            },
            Self::Own => may_call(ip),
        }
    }
}

/// May servo itself dial `ip`, which a name led to?
pub(crate) fn may_call(ip: IpAddr) -> Result<(), AddressClass> {
    let class = address_class(ip);
    if is_allowed(class, true) {
        Ok(())
    } else {
        Err(class)
    }
}

/// The resolver of one client: answers with addresses that it may reach.
#[derive(Clone)]
pub(crate) struct Vetting {
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) port: u16,
    pub(crate) reach: Reach,
}

type BoxError = Box<dyn Error + Send + Sync>;

type Vetted = vec::IntoIter<SocketAddr>;

impl Vetting {
    async fn look_up(self, host: String) -> Result<Vetted, BoxError> {
        let found = self.resolver.resolve(&host, self.port).await;
        let found = found.map_err(|error| ResolveFailed(Some(error)))?;
        let mut refused = None;
        let mut vetted: Vec<SocketAddr> = Vec::with_capacity(found.len().min(MOST_ADDRESSES));
        for address in found {
            match self.reach.admits(address.ip()) {
                Ok(()) if vetted.len() < MOST_ADDRESSES => vetted.push(address),
                Ok(()) => {}
                Err(class) => refused = refused.or(Some(class)),
            }
        }
        match (vetted.is_empty(), refused) {
            (false, _) => Ok(vetted.into_iter()),
            (true, Some(class)) => Err(AddressRefused(class).into()),
            (true, None) => Err(ResolveFailed(None).into()),
        }
    }
}

/// For the plain client.
impl Service<Name> for Vetting {
    type Response = Vetted;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Vetted, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.clone().look_up(name.as_str().to_owned()))
    }
}

/// For the usual client.
impl reqwest::dns::Resolve for Vetting {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let vetted = self.clone().look_up(name.as_str().to_owned());
        Box::pin(async move { Ok(Box::new(vetted.await?) as reqwest::dns::Addrs) })
    }
}
