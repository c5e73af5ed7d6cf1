//! A map from keys to values.

use super::key::hashed;
use crate::spec::{Data, Spec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::Hash;

/// A map, empty at first. Keys are independent of each other, so a history is judged key by key.
///
/// ```
/// use forkcheck::spec::{Map, MapOp, MapRet, Spec};
/// let mut map = Map::start(&());
/// assert_eq!(map.step(0, &MapOp::Put("a".to_string(), 7)), MapRet::Done);
/// assert_eq!(map.step(0, &MapOp::Get("a".to_string())), MapRet::Value(Some(7)));
/// assert_eq!(map.step(0, &MapOp::Remove("a".to_string())), MapRet::Done);
/// assert_eq!(map.step(0, &MapOp::Get("a".to_string())), MapRet::Value(None));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Map<K, V>(BTreeMap<K, V>);

/// An operation of [`Map`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MapOp<K, V> {
    /// Reads the value of a key.
    Get(K),
    /// Gives a key a value.
    Put(K, V),
    /// Removes a key's value, if it has one.
    Remove(K),
}

/// A result of [`Map`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MapRet<V> {
    /// The value, if the key has one.
    Value(Option<V>),
    /// The change was made.
    Done,
}

impl<K: Data + Ord + Hash, V: Data + Eq + Hash> Spec for Map<K, V> {
    type Setup = ();
    type Op = MapOp<K, V>;
    type Ret = MapRet<V>;
    fn start(_: &()) -> Self {
        Self(BTreeMap::new())
    }
    fn step(&mut self, _: usize, op: &MapOp<K, V>) -> MapRet<V> {
        match op {
            MapOp::Get(key) => return MapRet::Value(self.0.get(key).cloned()),
            MapOp::Put(key, value) => self.0.insert(key.clone(), value.clone()),
            MapOp::Remove(key) => self.0.remove(key),
        };
        MapRet::Done
    }
    fn only_reads(op: &MapOp<K, V>, _: &MapRet<V>) -> bool {
        matches!(op, MapOp::Get(_))
    }
    fn key(op: &MapOp<K, V>) -> u64 {
        match op {
            MapOp::Get(key) | MapOp::Put(key, _) | MapOp::Remove(key) => hashed(key),
        }
    }
}
