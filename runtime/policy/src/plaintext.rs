//! Whether a credential may travel unencrypted.

use crate::{Advice, HostPattern, Rule, Scheme, network};

/// A rule, and what was said about it.
pub(crate) struct Plaintext<'a> {
    pub(crate) rule: &'a Rule,
    /// The rule reaches other than public addresses.
    pub(crate) near: bool,
    /// The operator has said `plaintext: true`.
    pub(crate) spoken: bool,
    /// There is a credential.
    pub(crate) credential: bool,
}

impl Plaintext<'_> {
    /// What is wrong, and the remedy.
    pub(crate) fn advice(&self) -> Option<Advice> {
        let here = match &self.rule.host {
            HostPattern::Ip(ip) => self.near && network::is_loopback(*ip),
            _ => false,
        };
        match (self.rule.scheme, self.credential) {
            (Scheme::Https, _) if self.spoken => Some(Advice::new(
                "https is encrypted",
                "remove `plaintext`, or write http if that is meant",
            )),
            (Scheme::Http, false) if self.spoken => Some(Advice::new(
                "there is no credential that could be read on the way",
                "remove `plaintext`",
            )),
            (Scheme::Http, true) if !self.spoken && !here => Some(Advice::new(
                "plain http shows the credential to everyone on the way",
                "write https, or say `plaintext: true` if that is meant",
            )),
            _ => None,
        }
    }

    /// The key that the problem is about: the one that was said, or the one
    /// that makes it necessary to say something.
    pub(crate) fn name(&self, otherwise: &'static str) -> &'static str {
        if self.spoken { "plaintext" } else { otherwise }
    }
}
