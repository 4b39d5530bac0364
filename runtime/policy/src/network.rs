//! Networks by address, and by the names that an operator gives them.
//!
//! A network that can be written in two ways can be reviewed as one and applied
//! as the other (`10.1.2.3/8` reads like one machine and means sixteen
//! million), so there is one spelling: the canonical address, whose bits beyond
//! the prefix are zero. Networks wider than a class A block are refused: they
//! are a slip or a way to write "everywhere", which nothing here may mean.
//! Names are defined once, at the top of the operator's file, so that the
//! office is the same office in every grant.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::address::judged;
use crate::host::HostError;
use crate::{AddressClass, Advice, PolicyError, PolicyErrors, address_class, is_allowed};

/// The shortest prefixes.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 16;

const FORM: &str = "write a network as 10.20.0.0/16 or fd00:1::/32";

/// How alike two names must be for one to be a slip for the other, from 0 to 1.
const ALIKE: f64 = 0.8;

/// The networks that an operator has given names. The default has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(BTreeMap<String, Vec<IpNet>>);

impl Networks {
    /// Understands `networks:` of the operator's file.
    ///
    /// # Errors
    /// All that is wrong, by key, such as `networks.office[1]`.
    pub fn parse(spec: &BTreeMap<String, Vec<String>>) -> Result<Self, PolicyErrors> {
        let mut wrong = Vec::new();
        let mut named = BTreeMap::new();
        for (name, items) in spec {
            let mut refuse =
                |key: String, advice: Advice| wrong.push(PolicyError::Grant { key, advice });
            let key = format!("networks.{name}");
            if !is_name(name) {
                let advice = Advice::new(
                    format!("{name:?} is not a name of a network"),
                    "use lower-case letters, digits and hyphens, starting with a letter, at most 63",
                );
                refuse(key.clone(), advice);
            }
            if items.is_empty() {
                let advice = Advice::new(
                    "the network is empty",
                    "list at least one, such as 10.1.0.0/16",
                );
                refuse(key.clone(), advice);
            }
            let mut nets: Vec<IpNet> = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                match parse(item) {
                    Ok(net) if nets.contains(&net) => refuse(
                        format!("{key}[{index}]"),
                        Advice::new(format!("{net} is listed twice"), "remove one of the two"),
                    ),
                    Ok(net) => nets.push(net),
                    Err((_, problem, hint)) => {
                        refuse(format!("{key}[{index}]"), Advice::new(problem, hint));
                    }
                }
            }
            named.insert(name.clone(), nets);
        }
        match PolicyErrors::of(wrong) {
            Some(errors) => Err(errors),
            None => Ok(Self(named)),
        }
    }

    /// The networks of a list of names and networks; what is wrong with it goes
    /// to `wrong`, under `key`.
    pub(crate) fn resolve(
        &self,
        items: &[String],
        key: &str,
        wrong: &mut Vec<PolicyError>,
    ) -> Vec<IpNet> {
        let mut nets: Vec<IpNet> = Vec::new();
        if items.is_empty() {
            let advice = Advice::new(
                "the list is empty, which opens nothing",
                "name a network, or remove the key",
            );
            wrong.push(PolicyError::Grant {
                key: key.to_owned(),
                advice,
            });
        }
        for (index, item) in items.iter().enumerate() {
            match self.look_up(item) {
                Ok(found) => {
                    for net in found {
                        if !nets.contains(&net) {
                            nets.push(net);
                        }
                    }
                }
                Err(advice) => wrong.push(PolicyError::Grant {
                    key: format!("{key}[{index}]"),
                    advice,
                }),
            }
        }
        nets
    }

    fn look_up(&self, item: &str) -> Result<Vec<IpNet>, Advice> {
        if !is_name(item) {
            return parse(item)
                .map(|net| vec![net])
                .map_err(|(_, problem, hint)| Advice::new(problem, hint));
        }
        if let Some(nets) = self.0.get(item) {
            return Ok(nets.clone());
        }
        let slip = self
            .0
            .keys()
            .map(|name| (strsim::jaro_winkler(item, name), name))
            .filter(|(alike, _)| *alike >= ALIKE)
            .max_by(|one, other| one.0.total_cmp(&other.0))
            .map(|(_, name)| format!("did you mean `{name}`? "))
            .unwrap_or_default();
        let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        let known = if names.is_empty() {
            "no network has a name yet: define it in `networks` at the top of the file".to_owned()
        } else {
            format!("the names in `networks` are {}", names.join(", "))
        };
        Err(Advice::new(
            format!("there is no network `{item}`"),
            format!("{slip}{known}"),
        ))
    }
}

/// Does the address lie in one of the networks? An address that embeds another
/// is judged by what it embeds.
pub(crate) fn within(nets: &[IpNet], ip: IpAddr) -> bool {
    let ip = judged(ip);
    nets.iter().any(|net| net.contains(&ip))
}

/// A network in its one spelling.
pub(crate) fn parse(text: &str) -> Result<IpNet, HostError> {
    let refuse = |at: usize, problem: String, hint: &'static str| Err((at, problem, hint));
    let shown = || text.chars().take(50).collect::<String>();
    let Some((address, bits)) = text.split_once('/') else {
        return match text.parse::<IpAddr>() {
            Ok(_) => refuse(
                text.len(),
                format!("{:?} has no length of its prefix", shown()),
                "for this one address write /32 behind it, or /128 for IPv6",
            ),
            Err(_) => refuse(
                0,
                format!("{:?} is neither a network nor a name of one", shown()),
                FORM,
            ),
        };
    };
    let Ok(ip) = address.parse::<IpAddr>() else {
        return refuse(0, format!("{:?} is not a network", shown()), FORM);
    };
    if ip.to_string() != address.to_ascii_lowercase() {
        let hint = "write the address as it is usually printed, such as fd00:1::";
        return refuse(0, "this is not the canonical spelling".to_owned(), hint);
    }
    let bits_at = address.len() + 1;
    let plain =
        bits.bytes().all(|byte| byte.is_ascii_digit()) && (bits == "0" || !bits.starts_with('0'));
    let (widest, longest) = match ip {
        IpAddr::V4(_) => (WIDEST_V4, 32),
        IpAddr::V6(_) => (WIDEST_V6, 128),
    };
    let bits = match bits.parse::<u8>() {
        Ok(bits) if plain && bits <= longest => bits,
        _ => {
            let problem = "the length of the prefix is not a number that fits".to_owned();
            return refuse(bits_at, problem, FORM);
        }
    };
    if bits < widest {
        let hint = "write networks of at least /8, or /16 for IPv6; nothing means everywhere";
        return refuse(bits_at, format!("/{bits} is wider than a network is"), hint);
    }
    let net = match ip {
        IpAddr::V4(ip) => Ipv4Net::new(ip, bits).map(IpNet::V4),
        IpAddr::V6(ip) => Ipv6Net::new(ip, bits).map(IpNet::V6),
    };
    let Ok(net) = net else {
        return refuse(bits_at, "the prefix is too long".to_owned(), FORM);
    };
    if net.trunc() != net {
        let hint = "write zeros behind the prefix, as in 10.20.0.0/16, or a longer prefix";
        return refuse(
            0,
            format!("the network is {}, not {text}", net.trunc()),
            hint,
        );
    }
    check_use(&net).map_err(|(problem, hint)| (0, problem, hint))?;
    Ok(net)
}

/// Refuses networks in which nothing can ever be reached: writing one down
/// would be a grant that does nothing.
fn check_use(net: &IpNet) -> Result<(), (String, &'static str)> {
    let (first, last) = (net.network(), net.broadcast());
    if net.network().is_ipv6() && judged(first).is_ipv4() && judged(last).is_ipv4() {
        let problem = format!("{net} is made of IPv4 addresses written as IPv6");
        return Err((problem, "write the IPv4 network that is meant"));
    }
    let class = address_class(first);
    if class == address_class(last) && !is_allowed(class, true) {
        let hint = if class == AddressClass::Metadata {
            "a metadata service is reached only by a rule whose host is that very address, with \
             `private: true`"
        } else {
            "remove it; nothing can be reached there"
        };
        return Err((format!("{net} is {}", class.describe()), hint));
    }
    Ok(())
}

/// The usual forms of names here: no digit, dot, colon or slash in front, so
/// that none looks like an address.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 63
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// This machine, in either family.
pub(crate) fn is_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::is_loopback(&ip),
        IpAddr::V6(ip) => Ipv6Addr::is_loopback(&ip),
    }
}
