//! Finds the element of an array that a word is. An access tells the address of a word, not that of
//! its array. The array's length in its definition and the positions of other words may leave only
//! one possibility.

use crate::case::Step;
use crate::source::{self, Element};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Notes the element in steps on arrays that are fields of the structure of this name and size,
/// where only one is possible.
pub(super) fn number(steps: &mut [Step], structure: &str, size: usize) {
    let mut sources: HashMap<(&str, u32, u32), Option<Element>> = HashMap::new();
    let elements: Vec<Option<Element>> = steps
        .iter()
        .map(|step| {
            let (file, line, column) = (&*step.file, step.line, step.column);
            let element = sources.entry((file, line, column));
            element
                .or_insert_with(|| source::element(file, line, column, structure))
                .clone()
        })
        .collect();
    let mut arrays: BTreeMap<&str, Array> = BTreeMap::new();
    for (step, element) in steps.iter().zip(&elements) {
        if let (Some(offset), Some(element)) = (step.offset, element) {
            let array = arrays.entry(&element.field).or_default();
            (array.len, array.stride) = (element.len, element.stride);
            array.touched.insert(offset);
            array
                .known
                .extend(element.index.map(|index| (offset, index)));
        }
    }
    let all: BTreeSet<usize> = steps.iter().filter_map(|step| step.offset).collect();
    let first: BTreeMap<&str, usize> = arrays
        .iter()
        .filter_map(|(field, array)| Some((*field, array.first(&all, size)?)))
        .collect();
    let found: Vec<Option<usize>> = steps
        .iter()
        .zip(&elements)
        .map(|(step, element)| {
            let field = element.as_ref()?.field.as_str();
            let (array, first) = (arrays.get(field)?, *first.get(field)?);
            array.index(first, step.offset?)
        })
        .collect();
    for (step, element) in steps.iter_mut().zip(found) {
        step.element = element;
    }
}

/// An array, as far as an execution shows it.
#[derive(Default)]
struct Array {
    len: usize,
    stride: Option<usize>,
    /// The offsets of its elements in the structure.
    touched: BTreeSet<usize>,
    /// The steps whose index is in the source.
    known: BTreeSet<(usize, usize)>,
}

impl Array {
    /// Returns the offset of its first element, if only one is possible in a structure of this size
    /// in which these offsets were touched.
    fn first(&self, all: &BTreeSet<usize>, size: usize) -> Option<usize> {
        let low = *self.touched.first()?;
        let Some(stride) = self.stride else {
            // All its elements were touched.
            return (self.touched.len() == self.len && self.fits(low)).then_some(low);
        };
        let span = self.len.checked_mul(stride).filter(|&span| span <= size)?;
        // The whole elements that fit below the lowest one that was touched.
        let below = low.min(span - stride) / stride;
        let possible = (0..=below).map(|elements| low - elements * stride);
        let possible = possible.filter(|&first| {
            let mut within = all.range(first..first + span);
            first + span <= size
                && within.all(|word| self.touched.contains(word))
                && self.fits(first)
        });
        let mut possible = possible.fuse();
        match (possible.next(), possible.next()) {
            (Some(first), None) => Some(first),
            _ => None,
        }
    }

    /// Returns whether all that is known of it fits an array that begins there.
    fn fits(&self, first: usize) -> bool {
        let touched = self.touched.iter();
        touched
            .map(|&offset| self.index(first, offset))
            .all(|index| index.is_some())
            && self
                .known
                .iter()
                .all(|&(offset, index)| self.index(first, offset) == Some(index))
    }

    fn index(&self, first: usize, offset: usize) -> Option<usize> {
        let index = match self.stride {
            Some(stride) => {
                let distance = offset.checked_sub(first)?;
                (distance % stride == 0).then_some(distance / stride)?
            }
            None => self.touched.iter().position(|&touched| touched == offset)?,
        };
        (index < self.len).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the first element of an array of 8-byte words.
    fn first(
        len: usize,
        touched: &[usize],
        known: &[(usize, usize)],
        others: &[usize],
    ) -> Option<usize> {
        let array = Array {
            len,
            stride: Some(8),
            touched: touched.iter().copied().collect(),
            known: known.iter().copied().collect(),
        };
        let all = touched.iter().chain(others).copied().collect();
        // The structure has room for five words.
        array.first(&all, 40)
    }

    #[test]
    fn an_array_is_placed_where_only_one_place_is_possible() {
        // The array is at the start of the structure, at its end, beside another word, or its index
        // is in the source.
        assert_eq!(first(4, &[0], &[], &[]), Some(0));
        assert_eq!(first(4, &[32], &[], &[]), Some(8));
        assert_eq!(first(4, &[8], &[], &[32, 36]), Some(0));
        assert_eq!(first(4, &[24], &[], &[4]), Some(8));
        assert_eq!(first(3, &[16], &[(16, 2)], &[]), Some(0));
        assert_eq!(first(3, &[8, 24], &[], &[]), Some(8));
        assert_eq!(first(4, &[0, 8, 16, 24], &[], &[]), Some(0));
    }

    #[test]
    fn where_two_are_possible_or_none_there_is_none() {
        assert_eq!(first(4, &[8], &[], &[]), None);
        assert_eq!(first(4, &[16, 24], &[], &[]), None);
        assert_eq!(
            first(2, &[0, 16], &[], &[]),
            None,
            "too far from each other"
        );
        assert_eq!(first(2, &[0, 12], &[], &[]), None);
        assert_eq!(
            first(4, &[0], &[(0, 1)], &[]),
            None,
            "the source says otherwise"
        );
        assert_eq!(first(4, &[0], &[], &[16]), None, "another word within");
        assert_eq!(first(usize::MAX, &[0], &[], &[]), None);
    }

    #[test]
    fn of_an_array_of_anything_all_elements_have_to_be_touched() {
        let array = |touched: &[usize]| Array {
            len: 3,
            stride: None,
            touched: touched.iter().copied().collect(),
            known: BTreeSet::new(),
        };
        let all = BTreeSet::new();
        let whole = array(&[16, 48, 80]);
        assert_eq!(whole.first(&all, 128), Some(16));
        assert_eq!(whole.index(16, 80), Some(2));
        assert_eq!(array(&[16, 48]).first(&all, 128), None);
    }
}
