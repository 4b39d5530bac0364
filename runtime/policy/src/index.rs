//! Which rules can be about a host, found without looking at all of them.
//!
//! A driver of a large application has a rule for each of its hundred services,
//! and a decision is made for every request. The index answers with the few
//! rules whose host fits, the narrowest pattern first and within it the narrowest
//! path first, so that the first rule that also fits the rest is the answer.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::{Host, HostPattern, HttpGrant};

/// Rules by host. Positions are those of the list it was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    names: HashMap<Box<str>, Vec<usize>>,
    addresses: HashMap<IpAddr, Vec<usize>>,
    /// Of every network, the longest prefix first.
    networks: Vec<usize>,
    /// By what stands behind the first label, its dot included.
    wildcards: HashMap<Box<str>, Vec<usize>>,
}

impl Index {
    pub(crate) fn new(grants: &[HttpGrant]) -> Self {
        let mut index = Self::default();
        let mut order: Vec<usize> = (0..grants.len()).collect();
        order.sort_by_cached_key(|at| {
            let rule = grants.get(*at).map(|grant| &grant.rule);
            std::cmp::Reverse(rule.map(|rule| (rule.host.specificity(), rule.path.specificity())))
        });
        for at in order {
            let Some(grant) = grants.get(at) else {
                continue;
            };
            match &grant.rule.host {
                HostPattern::Exact(name) => index.names.entry(name.clone()).or_default(),
                HostPattern::Ip(ip) => index.addresses.entry(*ip).or_default(),
                HostPattern::Network(_) => &mut index.networks,
                HostPattern::OneLevelWildcard(suffix) => {
                    index.wildcards.entry(suffix.clone()).or_default()
                }
            }
            .push(at);
        }
        index
    }

    /// The rules that may be about a host, the most specific one first. Those of
    /// networks are to be asked whether they are.
    #[inline]
    pub(crate) fn candidates(&self, host: &Host) -> impl Iterator<Item = usize> {
        let (first, then) = match host {
            Host::Name(name) => {
                let suffix = name.find('.').and_then(|at| name.get(at..));
                (
                    self.names.get(name),
                    suffix.and_then(|suffix| self.wildcards.get(suffix)),
                )
            }
            Host::Ip(ip) => (self.addresses.get(ip), Some(&self.networks)),
        };
        first.into_iter().chain(then).flatten().copied()
    }
}
