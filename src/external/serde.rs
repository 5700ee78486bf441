//! Maps and sets in serde's formats: each entry with the time it has left.
//!
//! A map is a map of keys to pairs, of the value and the time left, which is none for an entry that never
//! expires: in JSON `{"a": [1, {"secs": 60, "nanos": 0}], "b": [2, null]}`. A set is a sequence of pairs of
//! element and time left. What is read starts to count then: the time in between is not taken off.

use core::{
    fmt,
    hash::{BuildHasher, Hash},
    time::Duration,
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

use crate::{
    clock::{Deadline, Ttl},
    map::TtlMap,
    pinned::EntryRef,
    set::TtlSet,
};

impl<K, V, S> Serialize for TtlMap<K, V, S>
where
    K: Serialize,
    V: Serialize,
{
    /// Writes the visible entries, each with the time it has left when it is come to.
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        let pinned = self.pin();
        // Some formats are to be told first how many there are, and entries expire meanwhile.
        let entries: Vec<_> = pinned.iter_entries().collect();
        serializer.collect_map(entries.iter().map(|e| (e.key(), (e.value(), time_left(e)))))
    }
}

impl<T, S> Serialize for TtlSet<T, S>
where
    T: Serialize,
{
    /// Writes the visible elements, each with the time it has left when it is come to.
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        let pinned = self.as_map().pin();
        let entries: Vec<_> = pinned.iter_entries().collect();
        serializer.collect_seq(entries.iter().map(|e| (e.key(), time_left(e))))
    }
}

fn time_left<K, V>(entry: &EntryRef<'_, K, V>) -> Option<Duration> {
    match entry.ttl() {
        Ttl::Never => None,
        Ttl::Remaining(left) => Some(left),
    }
}

impl<'de, K, V, S> Deserialize<'de> for TtlMap<K, V, S>
where
    K: Deserialize<'de> + Hash + Eq,
    V: Deserialize<'de>,
    S: BuildHasher + Default,
{
    /// Reads a map with default options: the time each entry had left counts from now. For a map with options,
    /// give a reference to it as the seed.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = Self::default();
        DeserializeSeed::deserialize(&map, deserializer)?;
        Ok(map)
    }
}

impl<'de, T, S> Deserialize<'de> for TtlSet<T, S>
where
    T: Deserialize<'de> + Hash + Eq,
    S: BuildHasher + Default,
{
    /// Reads a set with default options: the time each element had left counts from now. For a set with options,
    /// give a reference to it as the seed.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let set = Self::default();
        DeserializeSeed::deserialize(&set, deserializer)?;
        Ok(set)
    }
}

impl<'de, K, V, S> DeserializeSeed<'de> for &TtlMap<K, V, S>
where
    K: Deserialize<'de> + Hash + Eq,
    V: Deserialize<'de>,
    S: BuildHasher,
{
    type Value = ();

    /// Inserts what it reads, the time left counted from now by this map's clock. If the input is wrong, what came
    /// before the error is in the map.
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(EntriesOf(self))
    }
}

impl<'de, T, S> DeserializeSeed<'de> for &TtlSet<T, S>
where
    T: Deserialize<'de> + Hash + Eq,
    S: BuildHasher,
{
    type Value = ();

    /// Inserts what it reads, the time left counted from now by this set's clock. If the input is wrong, what came
    /// before the error is in the set.
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(ElementsOf(self))
    }
}

struct EntriesOf<'m, K, V, S>(&'m TtlMap<K, V, S>);

impl<'de, K, V, S> Visitor<'de> for EntriesOf<'_, K, V, S>
where
    K: Deserialize<'de> + Hash + Eq,
    V: Deserialize<'de>,
    S: BuildHasher,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of keys to pairs of a value and the time it has left, if any")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some((key, (value, left))) = entries.next_entry()? {
            put(self.0, key, value, left)?;
        }
        Ok(())
    }
}

struct ElementsOf<'s, T, S>(&'s TtlSet<T, S>);

impl<'de, T, S> Visitor<'de> for ElementsOf<'_, T, S>
where
    T: Deserialize<'de> + Hash + Eq,
    S: BuildHasher,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence of pairs of an element and the time it has left, if any")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some((element, left)) = elements.next_element()? {
            put(self.0.as_map(), element, (), left)?;
        }
        Ok(())
    }
}

/// Puts an entry that has so long to live, not by the map's default TTL.
fn put<K, V, S, E>(map: &TtlMap<K, V, S>, key: K, value: V, left: Option<Duration>) -> Result<(), E>
where
    K: Hash + Eq,
    S: BuildHasher,
    E: Error,
{
    map.try_reserve(1).map_err(E::custom)?;
    let pinned = map.pin();
    match left {
        Some(left) => pinned.insert_with_ttl(key, value, left),
        None => pinned.insert_with_deadline(key, value, Deadline::NEVER),
    };
    Ok(())
}
