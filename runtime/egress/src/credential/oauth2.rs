//! Tokens that are got with a client's own credentials (RFC 6749, section 4.4).
//!
//! The request for a token leaves through the same gate as any other, by a lane
//! with one rule: a POST to exactly the token's address, with that address's own
//! `private` and authority, and the client's id and secret as the rule's
//! credential. So it is vetted, capped, timed and recorded like the rest, is not
//! redirected, and the client's secret has one road only. The lane has places of
//! its own: a token is asked for by a request that holds one already, and at the
//! limit all would wait for each other.
//!
//! A token is used until a tenth of its life, at most a minute, is left; without
//! a stated life, for ten minutes. It is asked for by one request for all that
//! wait. When the resource's server answers 401, the next request has a new one;
//! the refused request is not repeated, since its body is gone and nobody
//! decided on a second one.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde::Deserialize;
use servo_policy::{Budget, HttpGrant, HttpRules, Rule, RuleId, SecretSource};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::authorize::{Authorize, Cache, Draft, Prepared};
use super::authorizer::Authorizer;
use super::error::{AuthorizeError, TokenError};
use super::field::{Field, Form, form_coded, sensitive};
use super::renewed::{Fetched, Renewed, Unavailable};
use super::scrub::Patterns;
use super::secret::{BadSecret, Secret};
use super::transport::{Transport, Transports};
use crate::body::full;
use crate::error::{EgressError, SendError};
use crate::meter::CallMeter;

/// The largest answer of a token's server.
const MOST: u64 = 64 << 10;

/// How long one token may take.
const TIME: Duration = Duration::from_secs(10);

/// How long a token is used whose life is not told.
const UNTOLD: Duration = Duration::from_secs(10 * 60);

/// What is left of a token's life when it is not used any more, at most.
const MARGIN: Duration = Duration::from_secs(60);

/// Nothing is trusted for longer.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct OAuth2 {
    tokens: Renewed<Token, TokenError>,
}

#[derive(Clone)]
struct Token {
    token: Secret,
    /// Not to come back from the resource's server either.
    client: Secret,
}

/// Asks for tokens.
struct TokenClient {
    transport: Arc<dyn Transport>,
    authorizer: Arc<Authorizer>,
    url: String,
    form: String,
}

impl OAuth2 {
    pub(super) fn load(
        rule: RuleId,
        (token, private, ca): (&Rule, bool, Option<&PathBuf>),
        (client_id, client_secret): (&str, &SecretSource),
        scope: &str,
        transports: &dyn Transports,
    ) -> Result<Self, EgressError> {
        let refuse = |problem: String| EgressError::Credential {
            rule: rule.0,
            problem,
        };
        let form = Form::Client {
            id: client_id.to_owned(),
        };
        let field = Field::load(header::AUTHORIZATION, form, client_secret).map_err(refuse)?;
        let authorizer = Authorizer::new(rule, Box::new(field), false);
        let mut grant = HttpGrant::from((token.clone(), private, ca.cloned()));
        grant.limits.response_bytes = Some(MOST);
        grant.limits.time = Some(TIME);
        let rules = HttpRules::new([grant]).map_err(|error| refuse(error.to_string()))?;
        let transport = transports.open(rules, &authorizer)?;
        let mut form = "grant_type=client_credentials".to_owned();
        if !scope.is_empty() {
            form.push_str("&scope=");
            form.push_str(&String::from_utf8_lossy(&form_coded(scope.as_bytes())));
        }
        let client = Arc::new(TokenClient {
            transport,
            authorizer,
            url: format!("{}{}", token.origin(), token.path),
            form,
        });
        Ok(Self {
            tokens: Renewed::new(Box::new(move || Arc::clone(&client).fetch())),
        })
    }

    /// The token and the client's secret.
    async fn token(&self, until: Instant) -> Result<Vec<Secret>, TokenError> {
        match self.tokens.get(until).await {
            Ok(Token { token, client }) => Ok(vec![token, client]),
            Err(Unavailable::Failed(error)) => Err(error),
            Err(Unavailable::Late) => Err(TokenError::Late),
        }
    }
}

#[async_trait]
impl Authorize for OAuth2 {
    async fn authorize(
        &self,
        draft: &mut Draft<'_>,
        cache: &Cache,
    ) -> Result<Arc<Prepared>, AuthorizeError> {
        let secrets = self.token(draft.until).await?;
        let prepared = cache.get(secrets, prepare)?;
        prepared.insert(draft, header::AUTHORIZATION)?;
        Ok(prepared)
    }

    fn refused(&self, secret: &Secret) {
        self.tokens.refused(|kept| kept.token.is(secret));
    }
}

impl TokenClient {
    fn fetch(
        self: Arc<Self>,
    ) -> Pin<Box<dyn Future<Output = Result<Fetched<Token>, TokenError>> + Send>> {
        Box::pin(async move {
            let until = Instant::now() + TIME;
            let asked = tokio::time::timeout_at(until, self.ask()).await;
            let (token, good_for) = asked.map_err(|_| TokenError::Asked("no answer in time"))??;
            let client = self
                .authorizer
                .last_secret()
                .ok_or(TokenError::Asked("its own credential cannot be had"))?;
            Ok(Fetched {
                value: Token { token, client },
                good_for,
            })
        })
    }

    async fn ask(&self) -> Result<(Secret, Duration), TokenError> {
        let mut request = Request::new(full(self.form.clone()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.url.parse().map_err(|_| TokenError::Answer)?;
        for (name, value) in [
            (header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
            (header::ACCEPT, "application/json"),
        ] {
            request
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        let meter = CallMeter::new(&Budget {
            wall: TIME,
            request_time: TIME,
            response_bytes: MOST,
            ..Budget::default()
        });
        let response = self
            .transport
            .send(request, &meter)
            .await
            .map_err(|error| TokenError::Asked(asked(&error)))?;
        let status = response.status();
        let mut body = response.into_body();
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| TokenError::Asked(asked(&error.as_send_error())))?;
            let data = frame.into_data().unwrap_or_default();
            grow(&mut bytes, data.len());
            bytes.extend_from_slice(&data);
        }
        if status == StatusCode::OK {
            parse(&bytes)
        } else {
            Err(refusal(status, &bytes))
        }
    }
}

/// Makes room without leaving a copy behind.
fn grow(bytes: &mut Zeroizing<Vec<u8>>, more: usize) {
    if bytes.capacity() - bytes.len() < more {
        let mut larger = Zeroizing::new(Vec::with_capacity(2 * (bytes.len() + more)));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
}

/// The kind of a failure. The text of the error is the driver's to read and
/// may be about the token's rule, which is none of its business.
fn asked(error: &SendError) -> &'static str {
    match error {
        SendError::AddressDenied(_) => {
            "its address is private; write `private: true` beside `token_url`"
        }
        SendError::Resolve => "its name could not be resolved",
        SendError::Connect(_) => "no connection",
        SendError::Tls(_) => "no protected connection",
        SendError::Timeout(_) => "no answer in time",
        SendError::TooLarge { .. } => "its answer is larger than 64 KiB",
        SendError::Credential(_) => "the client's secret cannot be had",
        _ => "the exchange failed",
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    #[serde(default)]
    expires_in: Option<Seconds>,
}

/// A number; some servers write it as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

fn parse(bytes: &[u8]) -> Result<(Secret, Duration), TokenError> {
    let answer: Answer = serde_json::from_slice(bytes).map_err(|_| TokenError::Answer)?;
    let token = Zeroizing::new(answer.access_token.into_bytes());
    if !answer.token_type.eq_ignore_ascii_case("bearer") {
        return Err(TokenError::Kind);
    }
    if token.ends_with(b"\n") {
        return Err(TokenError::Token(BadSecret::Lines));
    }
    let token = Secret::new(token).map_err(TokenError::Token)?;
    let life = match answer.expires_in {
        None => return Ok((token, UNTOLD)),
        Some(Seconds::Number(seconds)) => seconds,
        Some(Seconds::Text(text)) => text.parse().map_err(|_| TokenError::Answer)?,
    };
    let life = Duration::try_from_secs_f64(life)
        .map_err(|_| TokenError::Answer)?
        .min(LONGEST);
    Ok((token, life - MARGIN.min(life / 10)))
}

fn refusal(status: StatusCode, bytes: &[u8]) -> TokenError {
    let code = serde_json::from_slice::<Refusal>(bytes).map(|refusal| refusal.error);
    match code.as_deref() {
        Ok("invalid_client") => TokenError::Client,
        Ok("invalid_scope") => TokenError::Scope,
        Ok("unauthorized_client") => TokenError::Grant("unauthorized_client"),
        Ok("unsupported_grant_type") => TokenError::Grant("unsupported_grant_type"),
        Ok("invalid_request") => TokenError::Grant("invalid_request"),
        Ok("invalid_grant") => TokenError::Grant("invalid_grant"),
        _ if status == StatusCode::UNAUTHORIZED => TokenError::Client,
        _ => TokenError::Status(status.as_u16()),
    }
}

/// What a token puts into a request, and what must not come back.
fn prepare(secrets: &[Secret]) -> Option<(Option<HeaderValue>, Patterns)> {
    let token = secrets.first()?.bytes();
    let mut value = Zeroizing::new(Vec::with_capacity(token.len() + 7));
    value.extend_from_slice(b"Bearer ");
    value.extend_from_slice(token);
    let patterns = Patterns::new(secrets.iter().map(Secret::bytes))?;
    Some((Some(sensitive(value)?), patterns))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn life(answer: &str) -> Result<Duration, TokenError> {
        parse(answer.as_bytes()).map(|(_, good_for)| good_for)
    }

    #[test]
    fn answers_of_a_token_server() {
        let seconds = |seconds| Ok(Duration::from_secs(seconds));
        let answer =
            |rest: &str| format!(r#"{{"access_token":"abc","token_type":"Bearer"{rest}}}"#);
        assert_eq!(life(&answer(r#","expires_in":3600"#)), seconds(3540));
        assert_eq!(life(&answer(r#","expires_in":"100""#)), seconds(90));
        assert_eq!(life(&answer(r#","expires_in":0"#)), seconds(0));
        assert_eq!(life(&answer("")), Ok(UNTOLD));
        assert_eq!(
            life(&answer(r#","expires_in":1e300"#)),
            Err(TokenError::Answer)
        );
        assert_eq!(
            life(&answer(r#","expires_in":-1"#)),
            Err(TokenError::Answer)
        );
        for (text, error) in [
            ("", TokenError::Answer),
            ("[]", TokenError::Answer),
            (r#"{"access_token":"abc"}"#, TokenError::Answer),
            (
                r#"{"access_token":"abc","token_type":"mac"}"#,
                TokenError::Kind,
            ),
            (
                r#"{"access_token":"","token_type":"bearer"}"#,
                TokenError::Token(BadSecret::Empty),
            ),
            (
                r#"{"access_token":"a\r\nb: c","token_type":"bearer"}"#,
                TokenError::Token(BadSecret::Lines),
            ),
            (
                r#"{"access_token":"abc\n","token_type":"bearer"}"#,
                TokenError::Token(BadSecret::Lines),
            ),
        ] {
            assert_eq!(life(text), Err(error), "{text}");
        }
    }

    #[test]
    fn refusals_of_a_token_server() {
        let told = |status: u16, text: &str| {
            refusal(StatusCode::from_u16(status).unwrap(), text.as_bytes())
        };
        assert_eq!(
            told(401, r#"{"error":"invalid_client"}"#),
            TokenError::Client
        );
        assert_eq!(told(401, "no"), TokenError::Client);
        assert_eq!(told(400, r#"{"error":"invalid_scope"}"#), TokenError::Scope);
        assert_eq!(told(302, ""), TokenError::Status(302));
        assert_eq!(
            told(500, r#"{"error":"hunter22"}"#),
            TokenError::Status(500)
        );
    }
}
