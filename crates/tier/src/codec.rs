//! How a value is written in the server.

use std::error::Error;

/// What a codec says when it refuses.
pub(crate) type Refusal = Box<dyn Error + Send + Sync>;

/// How values are written in the server, and read back.
///
/// # Examples
///
/// ```
/// use evanesce_tier::Codec;
/// use std::error::Error;
///
/// /// Numbers as text, as `INCR` writes them.
/// struct Number;
///
/// impl Codec<i64> for Number {
///     fn encode(&self, value: &i64) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
///         Ok(value.to_string().into_bytes())
///     }
///
///     fn decode(&self, bytes: Vec<u8>) -> Result<i64, Box<dyn Error + Send + Sync>> {
///         Ok(String::from_utf8(bytes)?.parse()?)
///     }
/// }
/// assert_eq!(Number.decode(Number.encode(&7)?)?, 7);
/// # Ok::<_, Box<dyn Error + Send + Sync>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no codec for values of type `{V}`",
    note = "`.codec(..)` chooses one, before `.connect()`: `Bytes`, `Json` and `Postcard` (for what serde knows), or one of your own"
)]
pub trait Codec<V>: Send + Sync + 'static {
    /// Returns the bytes of a value.
    ///
    /// # Errors
    ///
    /// Why there are none. The call that wanted to write is then [`Error::Encode`](crate::Error::Encode).
    fn encode(&self, value: &V) -> Result<Vec<u8>, Refusal>;

    /// Returns the value of these bytes.
    ///
    /// # Errors
    ///
    /// Why there is none. The call that wanted to read is then [`Error::Decode`](crate::Error::Decode), and nothing
    /// is kept.
    fn decode(&self, bytes: Vec<u8>) -> Result<V, Refusal>;
}

/// Values that are bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bytes;

impl<V> Codec<V> for Bytes
where
    V: AsRef<[u8]> + TryFrom<Vec<u8>, Error: Into<Refusal>>,
{
    fn encode(&self, value: &V) -> Result<Vec<u8>, Refusal> {
        Ok(value.as_ref().to_vec())
    }

    fn decode(&self, bytes: Vec<u8>) -> Result<V, Refusal> {
        V::try_from(bytes).map_err(Into::into)
    }
}

/// Values as JSON. With the feature `json`.
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

#[cfg(feature = "json")]
impl<V> Codec<V> for Json
where
    V: serde::Serialize + serde::de::DeserializeOwned,
{
    fn encode(&self, value: &V) -> Result<Vec<u8>, Refusal> {
        Ok(serde_json::to_vec(value)?)
    }

    fn decode(&self, bytes: Vec<u8>) -> Result<V, Refusal> {
        Ok(serde_json::from_slice(&bytes)?)
    }
}

/// Values as postcard: small, and not for people to read. With the feature `postcard`.
#[cfg(feature = "postcard")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Postcard;

#[cfg(feature = "postcard")]
impl<V> Codec<V> for Postcard
where
    V: serde::Serialize + serde::de::DeserializeOwned,
{
    fn encode(&self, value: &V) -> Result<Vec<u8>, Refusal> {
        Ok(postcard::to_stdvec(value)?)
    }

    fn decode(&self, bytes: Vec<u8>) -> Result<V, Refusal> {
        match postcard::take_from_bytes(&bytes)? {
            (value, []) => Ok(value),
            (_, rest) => Err(format!("{} bytes too many", rest.len()).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_are_refused_where_they_are_no_text() {
        assert_eq!(Codec::<Vec<u8>>::decode(&Bytes, vec![255]).unwrap(), [255]);
        let text: String = Bytes.decode(b"ada".to_vec()).unwrap();
        assert_eq!(Bytes.encode(&text).unwrap(), b"ada");
        assert!(Codec::<String>::decode(&Bytes, vec![255]).is_err());
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_comes_back_and_garbage_is_refused() {
        let pair = (1_u32, "ada".to_owned());
        let back: (u32, String) = Json.decode(Json.encode(&pair).unwrap()).unwrap();
        assert_eq!(back, pair);
        assert!(Codec::<u32>::decode(&Json, b"1 2".to_vec()).is_err());
    }

    #[cfg(feature = "postcard")]
    #[test]
    fn postcard_comes_back_and_garbage_is_refused() {
        let pair = (1_u32, "ada".to_owned());
        let mut bytes = Postcard.encode(&pair).unwrap();
        assert_eq!(Codec::<(u32, String)>::decode(&Postcard, bytes.clone()).unwrap(), pair);
        bytes.push(0);
        assert!(Codec::<(u32, String)>::decode(&Postcard, bytes).is_err());
    }
}
