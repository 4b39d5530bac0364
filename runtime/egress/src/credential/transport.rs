//! The road of requests that a credential needs for itself, as for a token.
//!
//! They leave through the same gate as any other, but the gate is made of
//! credentials: so it is seen here as what a credential asks of it.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Request, Response};
use servo_policy::HttpRules;

use super::authorizer::Authorizer;
use crate::body::Body;
use crate::error::{EgressError, SendError};
use crate::meter::CallMeter;

/// Sends what its rules allow.
#[async_trait]
pub(crate) trait Transport: Send + Sync {
    async fn send(
        &self,
        request: Request<Body>,
        call: &CallMeter,
    ) -> Result<Response<Body>, SendError>;
}

/// Makes transports, each with rules and a credential of its own.
pub(crate) trait Transports {
    fn open(
        &self,
        rules: HttpRules,
        client: &Arc<Authorizer>,
    ) -> Result<Arc<dyn Transport>, EgressError>;
}
