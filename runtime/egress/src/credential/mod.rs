//! What the host adds to the requests of a rule, and takes out of the answers.
//!
//! A driver never holds a secret. It sends a request without one; when a rule
//! has allowed it, the rule's [`Authorizer`] adds the rule's credential as the last
//! thing before the request is sent, and looks for it in what comes back. So a
//! credential goes where its rule goes and nowhere else: there is no name by
//! which a driver could ask for it, redirects are not followed, and no other
//! rule knows it.
//!
//! - The field that carries the credential is *inserted*: a driver's own field
//!   of that name is gone, whatever it held.
//! - A value is got again when its source changes ([`source`], [`oauth2`]), and
//!   a request whose value cannot be got is not sent.
//! - Values are wiped when their last user is done ([`secret`]). What the HTTP
//!   and TLS libraries copy into their own buffers, and the matcher that looks
//!   for a value, are freed and not wiped.
//! - The answer is looked through in its head and its body ([`scrub`]), for the
//!   value in the usual alphabets ([`spellings`]) and escapes ([`escapes`]). That needs an answer that can
//!   be read, so the host asks for one without encoding, refuses any other
//!   unless the rule lets the host undo it, and asks for no parts of an answer
//!   (`range`), since a part of a secret would not be found.

mod authorize;
mod authorizer;
mod command;
mod error;
mod escapes;
mod field;
mod kinds;
mod matcher;
mod oauth2;
mod renewed;
mod scrub;
mod secret;
mod sigv4;
mod source;
mod spellings;
mod transport;

pub(crate) use self::authorize::Draft;
pub(crate) use self::authorizer::{Authorized, Authorizer};
pub(crate) use self::kinds::load;
pub(crate) use self::scrub::Report;
pub(crate) use self::transport::{Transport, Transports};
