//! Whether grants stay below their ceiling, and which of them do not.

use ipnet::IpNet;

use super::{Ceiling, HttpCeiling, refuse};
use crate::{
    Access, Advice, CredentialKind, Grants, HeaderName, HttpGrant, Method, PolicyError,
    PolicyErrors, Rule,
};

/// What a rule of a grant may reach.
#[derive(Clone, Copy)]
struct Reach<'a> {
    private: bool,
    networks: &'a [IpNet],
    headers: &'a [HeaderName],
}

impl Ceiling {
    /// Are the grants within the ceiling?
    ///
    /// # Errors
    /// Each grant that is wider, and by what.
    pub fn check(&self, grants: &Grants) -> Result<(), PolicyErrors> {
        let mut wrong = Vec::new();
        for grant in grants.http.iter() {
            let key = format!("grants.http[{}]", grant.id.0);
            self.check_rule(&key, grant, &mut wrong);
        }
        self.check_folders(grants, &mut wrong);
        if let (Some(most), Some(scratch)) = (self.scratch, grants.scratch)
            && scratch > most
        {
            let advice = Advice::new(
                format!("{scratch} is above the ceiling ({most})"),
                "lower it, or raise `ceiling.scratch`",
            );
            refuse(&mut wrong, "grants.scratch", advice);
        }
        for action in &grants.actions {
            let program = action.program();
            if let Some(programs) = &self.actions
                && !programs.iter().any(|allowed| allowed == program)
            {
                let advice = Advice::new(
                    format!("the ceiling does not allow {} to be run", program.display()),
                    "remove the action, or add the program to `ceiling.actions`",
                );
                refuse(
                    &mut wrong,
                    &format!("grants.actions.{}.run", action.name),
                    advice,
                );
            }
        }
        for (name, value, most) in self.limits.exceeded_by(&grants.budget) {
            let advice = Advice::new(
                format!("the limit `{name}` is {value}, above the ceiling ({most})"),
                format!("write `{name}: {most}` or less, or raise `ceiling.limits.{name}`"),
            );
            refuse(&mut wrong, &format!("grants.limits.{name}"), advice);
        }
        PolicyErrors::of(wrong).map_or(Ok(()), Err)
    }

    fn check_rule(&self, key: &str, grant: &HttpGrant, wrong: &mut Vec<PolicyError>) {
        let credential = match (&grant.credential, &grant.identity) {
            (Some(credential), _) => Some(credential.key()),
            (None, Some(_)) => Some(CredentialKind::ClientCertificate.key()),
            (None, None) => None,
        };
        if let (Some(false), Some(name)) = (self.credentials, credential) {
            let advice = Advice::new(
                "the ceiling allows no credentials",
                "remove it, or say `credentials: true` in `ceiling`",
            );
            refuse(wrong, &format!("{key}.{name}"), advice);
        }
        if let (Some(most), Some(rate)) = (self.limits.request_rate, grant.limits.rate)
            && rate.requests > most
        {
            let advice = Advice::new(
                format!(
                    "{rate} lets {} requests come within a second, above the ceiling ({most})",
                    rate.requests
                ),
                "lower it, or raise `ceiling.limits.request_rate`",
            );
            refuse(wrong, &format!("{key}.limits.rate"), advice);
        }
        let Some(ceiling) = &self.http else { return };
        let reach = Reach {
            private: grant.private,
            networks: &grant.networks,
            headers: &grant.headers,
        };
        if let Some((name, advice)) = wider(ceiling, &grant.rule, reach) {
            refuse(wrong, &format!("{key}.{name}"), advice);
        }
        if let Some(credential) = &grant.credential
            && let Some(own) = credential.own_request()
        {
            let reach = Reach {
                private: own.private,
                networks: &[],
                headers: &[],
            };
            if let Some((name, advice)) = wider(ceiling, own.rule, reach) {
                let name = if name == "rule" { own.address } else { name };
                refuse(wrong, &format!("{key}.{}.{name}", credential.key()), advice);
            }
        }
    }

    fn check_folders(&self, grants: &Grants, wrong: &mut Vec<PolicyError>) {
        let Some(ceiling) = &self.folders else { return };
        for (index, folder) in grants.folders.iter().enumerate() {
            let around: Vec<_> = ceiling
                .iter()
                .filter(|ceiling| folder.path.starts_with(&ceiling.path))
                .collect();
            let key = format!("grants.folders[{index}]");
            if around.is_empty() {
                let advice = Advice::new(
                    format!("{} is in no folder of the ceiling", folder.path.display()),
                    "grant another, or add it to `ceiling.folders`",
                );
                refuse(wrong, &format!("{key}.path"), advice);
            } else if folder.access == Access::Write
                && around.iter().all(|ceiling| ceiling.access == Access::Read)
            {
                let advice = Advice::new(
                    "the ceiling allows only reading there",
                    "write `access: read`, or say `access: write` in `ceiling.folders`",
                );
                refuse(wrong, &format!("{key}.access"), advice);
            }
        }
    }
}

/// By what a rule is wider than all rules of the ceiling together: the key that
/// is too wide, and the words.
fn wider(ceiling: &[HttpCeiling], rule: &Rule, reach: Reach<'_>) -> Option<(&'static str, Advice)> {
    let around = |method: Method| {
        ceiling
            .iter()
            .filter(move |c| c.rule.methods.contains(method) && c.rule.covers_target(rule))
    };
    let beyond: Vec<&str> = rule
        .methods
        .iter()
        .filter(|method| around(*method).next().is_none())
        .map(Method::as_str)
        .collect();
    if !beyond.is_empty() {
        let near = ceiling
            .iter()
            .find(|c| c.rule.touches(rule))
            .map(|c| format!(", which allows `{}` there", c.rule))
            .unwrap_or_default();
        let advice = Advice::new(
            format!(
                "{} {}{} is above the ceiling{near}",
                beyond.join(","),
                rule.origin(),
                rule.path
            ),
            "narrow it, or widen `ceiling.http`",
        );
        return Some(("rule", advice));
    }
    let reached = |method: Method| around(method).any(|c| c.reaches(reach));
    if rule.methods.iter().all(reached) {
        let headed = |method: Method| around(method).any(|c| c.reaches(reach) && c.names(reach));
        let advice = Advice::new(
            "the ceiling does not allow all of these headers there",
            "remove them, or add them as `headers` to the rule in `ceiling.http`",
        );
        let beyond = !rule.methods.iter().all(headed);
        return beyond.then_some(("headers", advice));
    }
    Some(if reach.private {
        let advice = Advice::new(
            "the ceiling does not allow private addresses there",
            "remove it, or say `private: true` in `ceiling.http`",
        );
        ("private", advice)
    } else {
        let advice = Advice::new(
            "the ceiling does not allow all of these networks there",
            "narrow them, or add them to the rule in `ceiling.http`",
        );
        ("networks", advice)
    })
}

impl HttpCeiling {
    fn reaches(&self, reach: Reach<'_>) -> bool {
        let held = |net: &IpNet| self.networks.iter().any(|outer| outer.contains(net));
        self.private || (!reach.private && reach.networks.iter().all(held))
    }

    fn names(&self, reach: Reach<'_>) -> bool {
        reach.headers.iter().all(|name| self.headers.contains(name))
    }
}
