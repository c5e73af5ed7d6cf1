//! Names of the steps of a process: in saved cases, in tokens, and where one execution is compared
//! with another.

use super::Access;
use crate::source;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::HashMap;

/// A step of a process, by a name that survives changes of the code around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Place {
    /// The operation that the step belongs to, counted from 0; `None` while the process attaches or
    /// detaches.
    pub operation: Option<u16>,
    /// The word that it accesses, by the last field of its path in the source (`tail`, or `data` of
    /// `slots[i].data`), or another kind of step: `spin`, `alive`. The names of variables are not
    /// part of it, so renaming one changes nothing.
    #[serde(deserialize_with = "last_field")]
    pub word: String,
    /// The number of the step among those of its operation on this word, counted from 1.
    pub nth: u32,
}

impl Place {
    /// Names the `nth` step of an operation on a word, counted from 1.
    pub fn new(operation: Option<u16>, word: impl Into<String>, nth: u32) -> Self {
        let word = word.into();
        Self {
            operation,
            word,
            nth,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { word, nth, .. } = self;
        write!(f, "{word}")?;
        if *nth > 1 {
            write!(f, " ({nth}. time)")
        } else {
            Ok(())
        }
    }
}

/// Reads `word`. Earlier versions put the field before it, or the variable that led to it, in
/// front.
fn last_field<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let word = String::deserialize(from)?;
    Ok(word.rsplit('.').next().unwrap_or_default().to_owned())
}

/// Names the steps of one incarnation of a process, in the order in which it takes them.
#[derive(Default)]
pub(crate) struct Names {
    /// The number of accesses to each word in each operation.
    touched: HashMap<(Option<usize>, String), u32>,
}

impl Names {
    /// Returns the name of the next step, which is of this kind and at this place in the source.
    pub(crate) fn next(
        &mut self,
        operation: Option<usize>,
        access: Access,
        (file, line, column): (&str, u32, u32),
    ) -> Place {
        let word = match access {
            Access::Spin => "spin".to_owned(),
            Access::Alive => "alive".to_owned(),
            Access::Timeout => "timeout".to_owned(),
            _ => source::field(file, line, column).unwrap_or_else(|| "word".to_owned()),
        };
        let nth = self.touched.entry((operation, word.clone())).or_default();
        *nth += 1;
        Place {
            operation: operation.map(|number| number as u16),
            word,
            nth: *nth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_an_earlier_version_wrote_is_read_as_it_is_written_now() {
        let now: Place = ron::from_str(r#"(operation: Some(0), word: "done", nth: 2)"#).unwrap();
        for word in ["p.done", "page.done", "done"] {
            let text = format!(r#"(operation: Some(0), word: "{word}", nth: 2)"#);
            assert_eq!(ron::from_str::<Place>(&text).unwrap(), now);
            let earlier = Place {
                word: word.into(),
                ..now.clone()
            };
            let token = postcard::to_stdvec(&earlier).unwrap();
            assert_eq!(postcard::from_bytes::<Place>(&token).unwrap(), now);
        }
    }

    #[test]
    fn steps_on_one_word_are_counted_in_each_operation() {
        let mut names = Names::default();
        let mut next = |operation, access| {
            let place = names.next(operation, access, ("no/such/file.rs", 1, 1));
            (place.word, place.nth)
        };
        assert_eq!(next(None, Access::Load), ("word".into(), 1));
        assert_eq!(next(Some(0), Access::Load), ("word".into(), 1));
        assert_eq!(next(Some(0), Access::Spin), ("spin".into(), 1));
        assert_eq!(next(Some(0), Access::Store), ("word".into(), 2));
        // Detaching continues the count of attaching.
        assert_eq!(next(None, Access::Load), ("word".into(), 2));
    }
}
