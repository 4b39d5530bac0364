//! What is found, and what passes.

#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::spellings::spellings;
use super::*;

const SECRET: &str = "s3cr3t/to+ken \"x\"";

fn patterns(secrets: &[&str]) -> Arc<Patterns> {
    Arc::new(Patterns::new(secrets.iter().map(|s| s.as_bytes())).unwrap())
}

fn clean(patterns: &Arc<Patterns>, pieces: &[&[u8]]) -> (Vec<u8>, u64) {
    let mut scrubber = Scrubber::new(Arc::clone(patterns));
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&scrubber.push(piece));
    }
    out.extend_from_slice(&scrubber.finish());
    (out, scrubber.found)
}

#[test]
fn e2_found_across_every_border() {
    let patterns = patterns(&[SECRET]);
    for spelling in spellings(SECRET.as_bytes()) {
        let text = [b"<<", &**spelling, b">>"].concat();
        let expected = [b"<<", &*vec![b'*'; spelling.len()], b">>"].concat();
        for first in 0..text.len() {
            for second in first..text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                let (out, found) = clean(&patterns, &pieces);
                assert_eq!(out, expected);
                assert_eq!(found, 1);
            }
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(clean(&patterns, &bytes).0, expected);
    }
}

#[test]
fn e2_finds_that_overlap_are_all_taken_out() {
    let one = |secrets: &[&str], text: &str| {
        let (out, found) = clean(&patterns(secrets), &[text.as_bytes()]);
        (String::from_utf8(out).unwrap(), found)
    };
    assert_eq!(
        one(&["abcdabcd"], "xabcdabcdabcd"),
        ("x************".to_owned(), 1)
    );
    assert_eq!(
        one(&["abcdefgh", "efghijkl"], "abcdefghijkl!"),
        ("************!".to_owned(), 1)
    );
    assert_eq!(
        one(&["abcdefgh", "xabcdefghy"], "xabcdefghy abcdefgh"),
        ("********** ********".to_owned(), 2)
    );
    assert_eq!(one(&["abcdefgh"], "abcdefg"), ("abcdefg".to_owned(), 0));
}

#[test]
fn only_what_may_become_a_secret_is_held_back() {
    let mut scrubber = Scrubber::new(patterns(&["0123456789"]));
    assert_eq!(&*scrubber.push(b"data: 1\n\n"), b"data: 1\n\n");
    assert_eq!(&*scrubber.push(b"data: 0123"), b"data: ");
    assert_eq!(scrubber.held.bytes.len(), 4);
    assert_eq!(&*scrubber.push(b"4"), b"");
    assert_eq!(&*scrubber.push(b"x"), b"01234x");
    let mut most = 0;
    for _ in 0..10_000 {
        scrubber.push(b"012345678");
        most = most.max(scrubber.held.bytes.len());
    }
    assert_eq!(most, 9);
}

#[test]
fn e3_fields_of_a_response() {
    let basic = STANDARD.encode(format!("user:{SECRET}"));
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (
            "location",
            "http://evil.test/?t=s3cr3t%2Fto%2Bken%20%22x%22".to_owned(),
        ),
        ("set-cookie", format!("a={SECRET}; Path=/")),
        ("set-cookie", format!("b={basic}")),
        ("x-plain", "nothing".to_owned()),
    ] {
        headers.append(name, value.parse().unwrap());
    }
    headers.append("x-longsecret-1", "1".parse().unwrap());
    let found = patterns(&[SECRET, "LongSecret"]).clean_fields(&mut headers);
    assert_eq!(found, 4);
    assert_eq!(headers["x-plain"], "nothing");
    assert!(!headers.contains_key("x-longsecret-1"));
    let all = format!("{headers:?}");
    assert!(all.contains("a=****"), "{all}");
    for part in ["s3cr3t", "ken", &basic[6..12]] {
        assert!(!all.contains(part), "{all}");
    }
}

#[tokio::test]
async fn e2_bodies_keep_their_length_and_end_with_their_last_piece() {
    use http_body_util::BodyExt;

    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let body = |text: &str| {
        let told = Arc::clone(&told);
        let report: Report = Box::new(move |found| told.lock().unwrap().push(found));
        let body = crate::body::full(text.to_owned());
        Scrubbed::new(body, patterns(&["0123456789"]), 0, report)
    };
    let mut scrubbed = body("a 0123456789 b 01234");
    assert_eq!(scrubbed.size_hint().exact(), Some(20));
    let piece = scrubbed.frame().await.unwrap().unwrap().into_data();
    assert_eq!(piece.unwrap(), "a ********** b 01234");
    assert!(scrubbed.is_end_stream());
    assert!(scrubbed.frame().await.is_none());
    assert_eq!(*told.lock().unwrap(), [1]);
    drop(scrubbed);
    drop(body("nothing"));
    assert_eq!(*told.lock().unwrap(), [1], "told once, and only finds");
}

/// A secret of one or two characters once starred every such character of an
/// answer: broken JSON, ids of nothing but stars, status ok.
#[test]
fn field_04_what_cannot_be_told_from_data_is_let_through() {
    for secret in ["1", "ab", "1234567", "00000000", "abcabcabcabc"] {
        let text = format!(r#"{{"id":1234567,"abc":"abcabcabcabc{secret}00000000"}}"#);
        assert_eq!(
            clean(&patterns(&[secret]), &[text.as_bytes()]),
            (text.into(), 0)
        );
    }
    let text = b"x abcd1234 y";
    let (out, found) = clean(&patterns(&["a", "abcd1234"]), &[text]);
    assert_eq!((&*out, found), (&b"x ******** y"[..], 1));
}

#[test]
fn a_text_of_escapes_and_of_halves_of_a_secret_passes_unchanged() {
    let patterns = patterns(&["aB3+d=e/"]);
    let text = br#"%61B3%2Bd aB3\u002bd &#97;B3&plus;d aB3+%0A aB3\n+ %% \ & a+b"#;
    for size in [1, 2, 3, 7, 1000] {
        let pieces: Vec<&[u8]> = text.chunks(size).collect();
        assert_eq!(clean(&patterns, &pieces), (text.to_vec(), 0), "{size}");
    }
}

/// One secret as the libraries named write it, each a test of its own, whole and
/// byte by byte. Written by those libraries, not by ours.
macro_rules! spelled {
    ($($name:ident: $text:expr,)*) => { $(
        #[test]
        fn $name() {
            let patterns = patterns(&[r#"aB/3+d=e"f<g>&'h"#]);
            let text = format!("<< {} >>", $text);
            let whole = clean(&patterns, &[text.as_bytes()]);
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(whole, clean(&patterns, &pieces));
            assert_eq!(whole.1, 1, "{text}");
            let shown = String::from_utf8(whole.0).unwrap();
            // Padding says nothing.
            let left = shown.replace(r"\u003d", "");
            let left: String = left.chars().filter(|c| c.is_alphanumeric()).collect();
            assert!(left.len() <= 4, "{shown}");
            assert_eq!(shown.len(), text.len());
        }
    )* };
}

mod e2 {
    use super::*;

    spelled! {
        plain: r#"aB/3+d=e"f<g>&'h"#,
        percent_python_quote: "aB/3%2Bd%3De%22f%3Cg%3E%26%27h",
        percent_python_quote_all: "aB%2F3%2Bd%3De%22f%3Cg%3E%26%27h",
        percent_lower: "aB%2f3%2bd%3de%22f%3cg%3e%26%27h",
        percent_javascript: "aB%2F3%2Bd%3De%22f%3Cg%3E%26'h",
        percent_uri: "aB/3+d=e%22f%3Cg%3E&'h",
        percent_everything: "%61%42%2F%33%2B%64%3D%65%22%66%3C%67%3E%26%27%68",
        percent_twice: "aB%252F3%252Bd%253De%2522f%253Cg%253E%2526%2527h",
        json: r#"aB/3+d=e\"f<g>&'h"#,
        json_php: r#"aB\/3+d=e\"f<g>&'h"#,
        json_go: r#"aB/3+d=e\"f\u003cg\u003e\u0026'h"#,
        json_gson: r#"aB/3+d\u003de\"f\u003cg\u003e\u0026\u0027h"#,
        json_dotnet: r#"aB/3\u002Bd=e\u0022f\u003Cg\u003E\u0026\u0027h"#,
        json_twice: r#"aB/3+d=e\\\"f<g>&'h"#,
        json_twice_gson: r#"aB/3+d\\u003de\\\"f\\u003cg\\u003e\\u0026\\u0027h"#,
        python_repr: r#"aB/3+d=e"f<g>&\'h"#,
        script_hex: r#"aB\x2f3\x2bd\x3de\x22f\x3cg\x3e\x26\x27h"#,
        shell: r#"aB/3+d=e\"f\<g\>\&\'h"#,
        html_python: "aB/3+d=e&quot;f&lt;g&gt;&amp;&#x27;h",
        html_go: "aB/3+d=e&#34;f&lt;g&gt;&amp;&#39;h",
        html_php: "aB/3+d=e&quot;f&lt;g&gt;&amp;&#039;h",
        html_named: "aB&sol;3&plus;d&equals;e&quot;f&lt;g&gt;&amp;&apos;h",
        html_mustache: "aB&#x2F;3+d&#x3D;e&quot;f&lt;g&gt;&amp;&#39;h",
        html_twice: "aB/3+d=e&amp;quot;f&amp;lt;g&amp;gt;&amp;amp;&amp;#39;h",
        json_in_html: r#"aB/3+d\u003de\&quot;f\u003cg\u003e\u0026\u0027h"#,
        url_in_php_json: r#"aB\/3%2Bd%3De%22f%3Cg%3E%26%27h"#,
        hex_lower: "61422f332b643d6522663c673e262768",
        hex_upper: "61422F332B643D6522663C673E262768",
        base64: "YUIvMytkPWUiZjxnPiYnaA==",
        base64_url: "YUIvMytkPWUiZjxnPiYnaA",
        base64_in_json: r"YUIvMytkPWUiZjxnPiYnaA\u003d\u003d",
        base64_wrapped: "YUIvMytk\nPWUiZjxn\nPiYnaA==",
        base64_wrapped_crlf: "YUIvMytkPWUi\r\nZjxnPiYnaA==",
        base64_wrapped_in_json: r"YUIvMytkPWUi\nZjxnPiYnaA==",
    }
}
