//! Lists that come in pages.

use super::{response::Response, url::Url};

/// One page, as [`Request::pages`](super::Request::pages) shows it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Page<'a, T> {
    /// Its number; the first is 1.
    pub number: usize,
    /// Its body.
    pub value: &'a T,
    /// The answer that brought it.
    pub response: &'a Response,
}

impl<T> Page<'_, T> {
    /// The page that the head of this one links to as the next
    /// (`link: <...>; rel="next"`), if it does.
    pub fn link_next(&self) -> Option<Next> {
        self.response.link("next").map(Next::at)
    }
}

/// Where the next page is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next(Place);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    At(String),
    Query(String, String),
}

impl Next {
    /// At this address: absolute, or relative to that of the present page.
    pub fn at(address: impl Into<String>) -> Self {
        Self(Place::At(address.into()))
    }

    /// At the same address, with this value in the query instead of the one
    /// that the present page may have been asked for with.
    pub fn query(name: impl Into<String>, value: impl ToString) -> Self {
        Self(Place::Query(name.into(), value.to_string()))
    }

    pub(super) fn apply(&self, present: &Url) -> Result<Url, String> {
        match &self.0 {
            Place::At(address) => present.resolve(address),
            Place::Query(name, value) => {
                let mut url = present.clone();
                url.set_query(name, value);
                Ok(url)
            }
        }
    }
}
