//! JSON for the script element of a page. It is written here so that users of the library do not
//! compile another crate for it, whose implementations of `PartialEq` would also be in scope where
//! their code compares with `into()`.

/// A value that can be written as JSON.
pub(super) trait ToJson {
    fn write(&self, to: &mut String);
}

/// Returns JSON that is safe in a script element: it has no `<`, so `</script>` cannot end the
/// element and `<!--` cannot begin a comment in it.
pub(super) fn json(value: &impl ToJson) -> String {
    let mut text = String::new();
    value.write(&mut text);
    text
}

/// Writes an object of these fields, whose names need no escapes.
pub(super) fn object<'a>(to: &mut String, fields: &[(&str, &'a (dyn ToJson + 'a))]) {
    to.push('{');
    for (number, (name, value)) in fields.iter().enumerate() {
        to.push_str(if number > 0 { ",\"" } else { "\"" });
        to.push_str(name);
        to.push_str("\":");
        value.write(to);
    }
    to.push('}');
}

/// Writes a list of these values.
pub(super) fn list<'a, T: ToJson + ?Sized + 'a>(
    to: &mut String,
    values: impl IntoIterator<Item = &'a T>,
) {
    to.push('[');
    for (number, value) in values.into_iter().enumerate() {
        if number > 0 {
            to.push(',');
        }
        value.write(to);
    }
    to.push(']');
}

impl ToJson for str {
    fn write(&self, to: &mut String) {
        to.push('"');
        for c in self.chars() {
            match c {
                '"' | '\\' => to.extend(['\\', c]),
                // Control characters must be escaped in a string, and U+2028 ends a line in older
                // JavaScript.
                '\0'..='\x1f' | '<' | '\u{2028}' | '\u{2029}' => {
                    to.push_str(&format!("\\u{:04x}", u32::from(c)));
                }
                _ => to.push(c),
            }
        }
        to.push('"');
    }
}

impl ToJson for String {
    fn write(&self, to: &mut String) {
        self.as_str().write(to);
    }
}

impl ToJson for bool {
    fn write(&self, to: &mut String) {
        to.push_str(if *self { "true" } else { "false" });
    }
}

/// Numbers that JavaScript holds: up to 2^53.
macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl ToJson for $number {
            fn write(&self, to: &mut String) {
                to.push_str(&self.to_string());
            }
        }
    )*};
}
numbers!(u32 usize i64);

impl<T: ToJson + ?Sized> ToJson for &T {
    fn write(&self, to: &mut String) {
        (**self).write(to);
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn write(&self, to: &mut String) {
        match self {
            Some(value) => value.write(to),
            None => to.push_str("null"),
        }
    }
}

impl<T: ToJson> ToJson for [T] {
    fn write(&self, to: &mut String) {
        list(to, self);
    }
}

impl<T: ToJson, const N: usize> ToJson for [T; N] {
    fn write(&self, to: &mut String) {
        list(to, self);
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn write(&self, to: &mut String) {
        list(to, self);
    }
}

impl<A: ToJson, B: ToJson> ToJson for (A, B) {
    fn write(&self, to: &mut String) {
        list::<dyn ToJson>(to, [&self.0 as &dyn ToJson, &self.1]);
    }
}

impl<A: ToJson, B: ToJson, C: ToJson> ToJson for (A, B, C) {
    fn write(&self, to: &mut String) {
        list::<dyn ToJson>(to, [&self.0 as &dyn ToJson, &self.1, &self.2]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_text_is_read_back_as_it_was_and_has_no_markup(
            texts in proptest::collection::vec(any::<String>(), 0..4),
            number in any::<u32>(),
        ) {
            let written = json(&(&texts, Some(number), [None, Some(true)]));
            let read: serde_json::Value = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(read, serde_json::json!([texts, number, [null, true]]));
            prop_assert!(!written.contains('<'));
        }
    }

    #[test]
    fn what_a_script_or_a_string_would_end_at_is_escaped() {
        let text = "</script>\u{2028}\"\\\n\u{1}<!--é";
        let written = json(&text);
        assert_eq!(
            written,
            "\"\\u003c/script>\\u2028\\\"\\\\\\u000a\\u0001\\u003c!--é\""
        );
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }
}
