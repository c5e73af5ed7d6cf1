//! A case that failed, kept: in the file of its suite (`saved`), or as a word in a log (`tokens`).
//!
//! | file | content |
//! |---|---|
//! | `saved` | the file of a suite's cases: read, added to, replaced |
//! | `tokens` | one case as a word that can be pasted |
//! | `form` | the version of both, and the check of a case that a person may have edited |
//! | `file` | a file that programs share: its lock, and how it is replaced |

mod file;
mod form;
mod saved;
mod tokens;

pub(crate) use file::{Kept, lock, replace_file, text_of};
pub(crate) use saved::{entries, file_of, from_text, load, replace, save};
pub(crate) use tokens::{from_token, is_token, token, whose};
