//! One rule of a grant as the operator writes it, with everything that belongs
//! to it: which addresses it may reach, what it may use, which credential the
//! host adds.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Check;
use crate::credential::with_credentials;
use crate::folder::below;
use crate::placeholder::fill;
use crate::plaintext::Plaintext;
use crate::{
    Advice, Budget, ClientCertificateSpec, Credential, HttpGrant, Networks, PolicyError, Redirects,
    RuleLimitsSpec, Scheme,
};

with_credentials! {
    /// One rule as the operator writes it.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub struct HttpGrantSpec {
        /// `GET,POST https://host[:port]/path`; may hold `${config.key}`. A path means
        /// itself; with a slash at its end, everything below it; `*` is one segment. A
        /// host may be a network, in braces: `GET http://{10.20.0.0/16}:8080/metrics`.
        #[schemars(extend("examples" = ["GET https://prometheus.example/api/v1/"]))]
        pub rule: String,
        /// May it reach loopback, private and similar addresses?
        #[serde(default)]
        pub private: bool,
        /// Networks it may reach beside public addresses, by their names in the
        /// file's `networks` or as they are: `[office, 10.1.0.0/16]`. Narrower than
        /// `private`, hence not together with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub networks: Option<Vec<String>>,
        /// A file with the only certificate authority to trust for this rule;
        /// relative to the file that holds the grant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ca: Option<PathBuf>,
        /// What the rule may use, where that is less than the whole call may.
        #[serde(default)]
        pub limits: RuleLimitsSpec,
        /// Headers that the driver may set beside the harmless ones, such as
        /// `[x-scope-orgid]`. In any spelling: an underscore counts as a hyphen.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub headers: Vec<String>,
        /// Its requests only read, whatever their method: a dry run may make them.
        #[serde(default)]
        pub reads: bool,
        /// Which redirects the host follows: `none`, or those to the `same-origin` that
        /// the same rule allows. Without this a redirect is an answer like any other.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub redirects: Option<Redirects>,
        /// The certificate with which the host makes the rule's connections; beside
        /// any other credential.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub client_certificate: Option<ClientCertificateSpec>,
        /// May the credential be sent unencrypted, over plain http? Everyone on the
        /// way can read and use it then.
        #[serde(default)]
        pub plaintext: bool,
    }
}

/// What the rules of one grant are read against.
pub(crate) struct Surroundings<'a> {
    pub(crate) config: &'a serde_json::Value,
    pub(crate) base: &'a Path,
    pub(crate) networks: &'a Networks,
    /// None where the limits of the grant are themselves wrong.
    pub(crate) budget: Option<&'a Budget>,
}

impl HttpGrantSpec {
    /// The rule, understood. What is wrong with it goes to `wrong`, under `key`;
    /// none when there is no telling which requests it is about.
    pub(crate) fn resolve(
        &self,
        key: &str,
        around: &Surroundings<'_>,
        wrong: &mut Vec<PolicyError>,
    ) -> Option<HttpGrant> {
        let rule = match fill(&self.rule, around.config, &format!("{key}.rule")) {
            Ok(rule) => rule,
            Err(error) => {
                wrong.push(error);
                return None;
            }
        };
        let networks = match &self.networks {
            Some(items) => around
                .networks
                .resolve(items, &format!("{key}.networks"), wrong),
            None => Vec::new(),
        };
        let mut check = Check {
            config: around.config,
            base: around.base,
            key,
            wrong,
        };
        if self.private && self.networks.is_some() {
            check.refuse(
                "networks",
                Advice::new(
                    "`private: true` opens every private address already",
                    "keep one of `private` and `networks`",
                ),
            );
        }
        if self.ca.is_some() && rule.scheme == Scheme::Http {
            check.refuse(
                "ca",
                Advice::new(
                    "a plain http rule has no certificate to check",
                    "write https, or remove `ca`",
                ),
            );
        }
        let before = check.wrong.len();
        let credential = Credential::resolve(self, &mut check);
        let fine = check.wrong.len() == before;
        let clear = Plaintext {
            rule: &rule,
            near: self.private || !networks.is_empty(),
            spoken: self.plaintext,
            credential: credential.is_some(),
        };
        if fine && let Some(advice) = clear.advice() {
            let name = clear.name(credential.as_ref().map_or("bearer", Credential::key));
            check.refuse(name, advice);
        }
        let identity = self.client_certificate.as_ref();
        let identity = identity.map(|spec| spec.resolve(rule.scheme, &mut check));
        let headers = check.headers(&self.headers, credential.as_ref());
        if self.reads
            && let Some(problem) = rule.reads_in_vain()
        {
            check.refuse("reads", problem);
        }
        let limits = self
            .limits
            .resolve(&format!("{key}.limits"), around.budget, wrong);
        Some(HttpGrant {
            networks,
            limits,
            identity,
            credential,
            headers,
            reads: self.reads,
            redirects: self.redirects.unwrap_or_default(),
            ..HttpGrant::from((
                rule,
                self.private,
                self.ca.as_ref().map(|ca| below(around.base, ca)),
            ))
        })
    }
}
