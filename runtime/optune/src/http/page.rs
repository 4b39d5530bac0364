//! The page: four files in the binary, so that there is nothing to install
//! and nothing is fetched from elsewhere.

use axum::http::{HeaderName, header};
use axum::response::IntoResponse;

const HTML: &str = include_str!("../page/index.html");
const SCRIPT: &str = include_str!("../page/page.js");
const STYLE: &str = include_str!("../page/page.css");
const ICON: &str = include_str!("../page/icon.svg");

type File = ([(HeaderName, &'static str); 1], &'static str);

pub(super) async fn html() -> impl IntoResponse {
    file("text/html; charset=utf-8", HTML)
}

pub(super) async fn script() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", SCRIPT)
}

pub(super) async fn style() -> impl IntoResponse {
    file("text/css; charset=utf-8", STYLE)
}

pub(super) async fn icon() -> impl IntoResponse {
    file("image/svg+xml", ICON)
}

fn file(kind: &'static str, content: &'static str) -> File {
    ([(header::CONTENT_TYPE, kind)], content)
}
