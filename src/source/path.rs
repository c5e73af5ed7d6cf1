//! A path of fields, as in the source.

/// A path of fields, as in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path(pub(super) Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) kind: PartKind,
    /// The text between the brackets after it.
    pub(super) index: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartKind {
    /// A variable, including `self`: another name for it means the same word.
    Variable,
    /// A named field, or a method of the structure that returns a reference.
    Field,
    /// A field of a tuple.
    Number,
}

impl Path {
    /// Returns the last field, with the tuple numbers after it and the indexes that are numbers in
    /// the source; a variable if there is no field.
    pub(crate) fn short(&self) -> String {
        let mut fields = self.0.iter();
        let last = fields.rposition(|part| part.kind != PartKind::Number);
        self.text(last.unwrap_or(0))
    }

    /// Returns the whole path. It omits `self` before a field, and any other variable where the
    /// index of an element is not known: two variables then mean one array or two.
    pub(crate) fn full(&self) -> String {
        let from = match self.0.as_slice() {
            [first, second, ..] if second.kind == PartKind::Field => {
                let says_more = first.name != "self" && self.unknown_indexes() == 0;
                usize::from(first.kind == PartKind::Variable && !says_more)
            }
            _ => 0,
        };
        self.text(from)
    }

    fn text(&self, from: usize) -> String {
        let part = |part: &Part| match part.number() {
            Some(index) => format!("{}[{index}]", part.name),
            None => part.name.clone(),
        };
        let parts: Vec<String> = self.0[from..].iter().map(part).collect();
        parts.join(".")
    }

    /// Returns the path with this index, if it is an element of an array.
    pub(crate) fn at(mut self, index: usize) -> Self {
        if let Some(last) = self.0.last_mut()
            && last.index.is_some()
        {
            last.index = Some(index.to_string());
        }
        self
    }

    /// Returns whether it is only the name of a variable.
    pub(crate) fn is_variable(&self) -> bool {
        self.0.iter().all(|part| part.kind != PartKind::Field)
    }

    /// Returns the number of indexes that are no numbers in the source, which does not say the
    /// element.
    pub(crate) fn unknown_indexes(&self) -> usize {
        let parts = self.0.iter();
        parts
            .filter(|part| part.index.is_some() && part.number().is_none())
            .count()
    }
}

impl Part {
    /// Adds an index after the existing ones.
    pub(super) fn take_index(&mut self, index: String) {
        self.index = Some(match self.index.take() {
            Some(first) => format!("{first}][{index}"),
            None => index,
        });
    }
    pub(super) fn number(&self) -> Option<usize> {
        self.index.as_ref()?.parse().ok()
    }
}
