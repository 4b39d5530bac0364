//! Signatures of AWS, version 4, by the library that AWS keeps for it.
//!
//! Signing comes last and covers what is sent: method, path and query as they
//! were matched, the Host field, every field of the driver and the body. Left
//! out are only fields that belong to one connection or that proxies rewrite
//! (`connection`, `user-agent`, `accept-encoding`, `x-amzn-trace-id`).
//!
//! *Fields.* `authorization`, `date` and the fields of the signature itself are
//! dropped: SDKs set them. Of the other `x-amz-*` fields only `x-amz-target`,
//! which names the operation in the JSON protocols, may come from a driver. The
//! rest is refused: `x-amz-copy-source`, for one, would read with the operator's
//! keys what no rule allows, and dropping it would turn a copy into an empty
//! object.
//!
//! *Body.* It must be hashed before its first byte is sent, so it is collected,
//! up to 1 MiB. A larger one goes to S3 alone, over https, and with a length:
//! there `UNSIGNED-PAYLOAD` is part of the protocol, and TLS protects the body.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body_util::BodyExt;
use servo_policy::{Scheme, SecretSource};
use tokio::time::{Instant, timeout_at};

use super::authorize::{Authorize, Cache, Draft, Prepared};
use super::error::{AuthorizeError, SourceError};
use super::scrub::Patterns;
use super::secret::Secret;
use super::source::Source;
use crate::body::{Body, full};
use crate::error::{Phase, SendError};

/// The largest body that is collected.
const MOST: u64 = 1 << 20;

/// Fields that the signature makes itself.
const OWN: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::DATE,
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-amz-content-sha256"),
];

/// Fields that may be others when they arrive.
const UNSIGNED: [&str; 6] = [
    "authorization",
    "user-agent",
    "x-amzn-trace-id",
    "transfer-encoding",
    "connection",
    "accept-encoding",
];

pub(super) struct SigV4 {
    service: String,
    region: String,
    id: Source,
    key: Source,
    token: Option<Source>,
}

struct Keys {
    id: Secret,
    key: Secret,
    token: Option<Secret>,
}

impl Keys {
    /// What must not come back. The id is no secret: it is in every URL that is
    /// signed for others.
    fn secrets(&self) -> Vec<Secret> {
        [&self.key]
            .into_iter()
            .chain(&self.token)
            .cloned()
            .collect()
    }

    fn identity(&self) -> Identity {
        let token = self.token.as_ref().map(|token| token.text().to_owned());
        Credentials::new(self.id.text(), self.key.text(), token, None, "servo").into()
    }
}

#[async_trait]
impl Authorize for SigV4 {
    async fn authorize(
        &self,
        draft: &mut Draft<'_>,
        cache: &Cache,
    ) -> Result<Arc<Prepared>, AuthorizeError> {
        let keys = self.keys(draft.until).await?;
        let prepared = cache.get(keys.secrets(), |secrets| {
            Some((None, Patterns::new(secrets.iter().map(Secret::bytes))?))
        })?;
        self.sign(&keys, draft, SystemTime::now()).await?;
        Ok(prepared)
    }

    fn refused(&self, secret: &Secret) {
        for source in [&self.id, &self.key].into_iter().chain(&self.token) {
            source.refused(secret);
        }
    }
}

impl SigV4 {
    pub(super) fn load(
        service: &str,
        region: &str,
        (id, key, token): (&SecretSource, &SecretSource, Option<&SecretSource>),
    ) -> Result<Self, SourceError> {
        Ok(Self {
            service: service.to_owned(),
            region: region.to_owned(),
            id: Source::load(id)?,
            key: Source::load(key)?,
            token: token.map(Source::load).transpose()?,
        })
    }

    async fn keys(&self, until: Instant) -> Result<Keys, SourceError> {
        Ok(Keys {
            id: self.id.current(until).await?,
            key: self.key.current(until).await?,
            token: match &self.token {
                Some(token) => Some(token.current(until).await?),
                None => None,
            },
        })
    }

    async fn sign(
        &self,
        keys: &Keys,
        draft: &mut Draft<'_>,
        now: SystemTime,
    ) -> Result<(), AuthorizeError> {
        clean(draft.headers).map_err(AuthorizeError::Request)?;
        let body = self.body(draft).await.map_err(AuthorizeError::Request)?;
        if let Some(length) = *draft.length
            && length > 0
        {
            draft.headers.insert(header::CONTENT_LENGTH, length.into());
        }
        let signed = self.signature(
            settings(is_s3(&self.service)),
            keys,
            draft.method.as_str(),
            &draft.target.url(),
            draft.headers,
            match &body {
                Some(bytes) => SignableBody::Bytes(bytes),
                None => SignableBody::UnsignedPayload,
            },
            now,
        )?;
        for (name, value) in signed {
            draft.headers.insert(name, value);
        }
        if let Some(bytes) = body {
            *draft.body = full(bytes);
        }
        Ok(())
    }

    /// The fields to add.
    #[allow(clippy::too_many_arguments)]
    fn signature(
        &self,
        settings: SigningSettings,
        keys: &Keys,
        method: &str,
        url: &str,
        headers: &HeaderMap,
        body: SignableBody<'_>,
        now: SystemTime,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, AuthorizeError> {
        let mut fields = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            let value = value.to_str().map_err(|_| {
                AuthorizeError::Request(SendError::Request(
                    "a signed request's fields must be ASCII without control characters",
                ))
            })?;
            fields.push((name.as_str(), value));
        }
        let identity = keys.identity();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(now)
            .settings(settings)
            .build()
            .map_err(|_| AuthorizeError::Signature)?
            .into();
        let request = SignableRequest::new(method, url, fields.into_iter(), body)
            .map_err(|_| AuthorizeError::Signature)?;
        let (instructions, _signature) = sign(request, &params)
            .map_err(|_| AuthorizeError::Signature)?
            .into_parts();
        let (fields, _query) = instructions.into_parts();
        fields
            .into_iter()
            .map(|field| {
                let mut value =
                    HeaderValue::from_str(field.value()).map_err(|_| AuthorizeError::Signature)?;
                let name = HeaderName::from_static(field.name());
                value.set_sensitive(field.sensitive() || name == header::AUTHORIZATION);
                Ok((name, value))
            })
            .collect()
    }

    /// The body as it will be sent, or none where it goes unsigned.
    async fn body(&self, draft: &mut Draft<'_>) -> Result<Option<Bytes>, SendError> {
        if draft.length.is_some_and(|length| length > MOST) {
            return if is_s3(&self.service) && draft.target.scheme == Scheme::Https {
                Ok(None)
            } else {
                Err(SendError::TooLarge { limit: MOST })
            };
        }
        let most = draft.most.min(MOST);
        let collected = collect(draft.body, most, *draft.length);
        let bytes = timeout_at(draft.until, collected)
            .await
            .map_err(|_| SendError::Timeout(Phase::Total))??;
        *draft.length = Some(bytes.len() as u64);
        Ok(Some(bytes))
    }
}

/// Collects a body, which must be as long as was said.
async fn collect(body: &mut Body, most: u64, declared: Option<u64>) -> Result<Bytes, SendError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.as_send_error())?;
        bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
        if bytes.len() as u64 > most {
            return Err(SendError::TooLarge { limit: most });
        }
    }
    if declared.is_some_and(|declared| declared != bytes.len() as u64) {
        return Err(SendError::Request(
            "the body is not as long as its content-length says",
        ));
    }
    Ok(bytes.freeze())
}

/// Removes what the signature sets, and refuses what would speak for it.
fn clean(headers: &mut HeaderMap) -> Result<(), SendError> {
    for name in &OWN {
        headers.remove(name);
    }
    let foreign =
        |name: &HeaderName| name.as_str().starts_with("x-amz-") && name.as_str() != "x-amz-target";
    if headers.keys().any(foreign) {
        return Err(SendError::Request(
            "in a signed request, `x-amz-target` is the only `x-amz-*` field a driver may set",
        ));
    }
    Ok(())
}

fn is_s3(service: &str) -> bool {
    service == "s3" || service.starts_with("s3-") || service == "s3express"
}

/// S3 takes paths as they are, and the hash of the body in a field.
fn settings(s3: bool) -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.excluded_headers = Some(UNSIGNED.into_iter().map(Cow::Borrowed).collect());
    if s3 {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    settings
}

#[cfg(test)]
mod tests;
