//! How much a JSON text would become in memory, before anything is built.
//!
//! A byte of text can become a hundred bytes of records: `{"a":{}}` is one map
//! with a table of its own for every few bytes. So values, objects and depth
//! are counted first, in one pass that takes no memory.

/// Most values: a hundred metrics with an hour of points each have two thirds
/// of it.
const MAX_VALUES: usize = 300_000;
/// Most objects, of which each takes some hundred bytes.
const MAX_OBJECTS: usize = 10_000;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;

/// Why a text is too heavy, in words; none when it is not.
pub(super) fn too_heavy(json: &[u8]) -> Option<String> {
    let (mut values, mut objects, mut depth, mut deepest) = (1_usize, 0_usize, 0_usize, 0_usize);
    let (mut in_text, mut escaped) = (false, false);
    for byte in json {
        if in_text {
            in_text = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b',' => values += 1,
            b'{' | b'[' => {
                objects += usize::from(*byte == b'{');
                values += 1;
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let table = [
        (values, MAX_VALUES, "values"),
        (objects, MAX_OBJECTS, "objects"),
        (deepest, MAX_DEPTH, "levels"),
    ];
    table
        .into_iter()
        .find(|(found, most, _)| found > most)
        .map(|(found, most, what)| format!("it has {found} {what}; at most {most} are read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_not_what_stands_in_texts() {
        assert_eq!(too_heavy(br#"{"a": [1, 2, {"b": null}]}"#), None);
        let text = format!(
            r#"{{"a": "{}\"{}"}}"#,
            "{,[".repeat(400_000),
            "{".repeat(20_000)
        );
        assert_eq!(too_heavy(text.as_bytes()), None);
        let table = [
            (format!("[{}0]", "0,".repeat(MAX_VALUES)), "values"),
            (format!("[{}0]", "{},".repeat(MAX_OBJECTS + 1)), "objects"),
            ("[".repeat(MAX_DEPTH + 1), "levels"),
        ];
        for (json, what) in table {
            assert!(too_heavy(json.as_bytes()).unwrap().contains(what));
        }
    }
}
