//! The crate that a symbol of the program is of, by the names that the compiler gives.

/// Returns the crate of a symbol; `None` for code in C, and for names that do not begin with a path.
pub(super) fn crate_of(symbol: &str) -> Option<&str> {
    if let Some(path) = symbol.strip_prefix("_ZN") {
        let (first, _) = identifier(path)?;
        let Some(inner) = first.strip_prefix("_$LT$") else {
            return Some(first);
        };
        // `<a::B as c::D>::e`: the implementation is in the crate of the type, or of the trait where the type is a foreign one.
        let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        return (inner[end..].starts_with("..")).then_some(&inner[..end]);
    }
    // Names of the second kind: the crate that the path begins with stands first, behind `C` and a number to tell versions apart.
    let path = symbol.strip_prefix("_R")?;
    let at = path.find('C')?;
    let rest = &path[at + 1..];
    let rest = match rest.strip_prefix('s') {
        Some(numbered) => numbered.split_once('_')?.1,
        None => rest,
    };
    identifier(rest).map(|(name, _)| name)
}

/// Returns a symbol as a path: its parts, as far as they are plain words.
pub(super) fn path_of(symbol: &str) -> String {
    let Some(mut rest) = symbol.strip_prefix("_ZN") else {
        return symbol.to_owned();
    };
    let mut parts = Vec::new();
    while let Some((part, after)) = identifier(rest) {
        // The last one tells versions apart.
        if !(part.len() == 17 && part.starts_with('h')) {
            parts.push(
                part.replace("_$LT$", "<")
                    .replace("$LT$", "<")
                    .replace("$GT$", ">")
                    .replace("$u20$", " ")
                    .replace("..", "::"),
            );
        }
        rest = after;
    }
    parts.join("::")
}

/// Splits an identifier off, which stands behind its length.
fn identifier(path: &str) -> Option<(&str, &str)> {
    let digits = path.find(|c: char| !c.is_ascii_digit())?;
    let length: usize = path[..digits].parse().ok()?;
    let name = path[digits..]
        .strip_prefix('_')
        .filter(|rest| rest.len() >= length);
    // An underscore parts the length from a name that begins with a digit or with an underscore, in names of the second kind.
    let rest = match name {
        Some(rest) if !path[digits..].starts_with("_$") => rest,
        _ => &path[digits..],
    };
    Some((rest.get(..length)?, rest.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_in_the_source() {
        for (symbol, path) in [
            (
                "_ZN7mycrate3foo3bar17h0123456789abcdefE",
                "mycrate::foo::bar",
            ),
            (
                "_ZN46_$LT$waits..Locked$u20$as$u20$a..Structure$GT$5apply17h0123456789abcdefE",
                "<waits::Locked as a::Structure>::apply",
            ),
            ("ring_push", "ring_push"),
        ] {
            assert_eq!(path_of(symbol), path);
        }
    }

    #[test]
    fn a_symbol_names_the_crate_of_its_path_and_of_the_type_that_it_implements() {
        for (symbol, of) in [
            (
                "_ZN9forkcheck7workers12instrumented4RUNS17h0123456789abcdefE",
                Some("forkcheck"),
            ),
            (
                "_ZN61_$LT$waits..Locked$u20$as$u20$forkcheck..structure..Structure$GT$5apply17h0123456789abcdefE",
                Some("waits"),
            ),
            (
                "_ZN53_$LT$$RF$T$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE",
                None,
            ),
            ("_RNvNtCs1234_7mycrate3foo3bar", Some("mycrate")),
            ("_RNvNtCsabc_9forkcheck7workers4RUNS", Some("forkcheck")),
            ("_RNvC7mycrate3foo", Some("mycrate")),
            ("ring_push", None),
            ("_ZN", None),
            ("_ZN99short", None),
        ] {
            assert_eq!(crate_of(symbol), of, "{symbol}");
        }
    }
}
