//! A strict reader for the JSON of headers and claims.
//!
//! The whole document is read: duplicate names, text after the value and anything that RFC 8259
//! doesn't allow are refused at every depth, also inside members that no check looks at.
//!
//! `serde_json` doesn't fit for two reasons. An application can switch on features of it (such as
//! `arbitrary_precision`) that change what its visitors see, and it skips ignored text unchecked.
//! This reader takes one pass and copies only strings that have escapes.

use std::borrow::Cow;

/// The number of arrays and objects that may be nested.
const MAX_DEPTH: u32 = 32;

/// One JSON value. Strings borrow from the document unless they have escapes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// A number without fraction and exponent that fits into 64 bits.
    Int(i64),
    /// Any other number. It is always finite.
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    Object(Object<'a>),
}

/// The members of an object, in the order of the document. Each name occurs once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Object<'a> {
    /// Reads a document that is exactly one object, in UTF-8 without a byte order mark.
    pub(crate) fn parse(document: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(document).ok()?;
        let mut reader = Reader {
            text,
            rest: text.as_bytes(),
        };
        reader.skip_space();
        let Value::Object(object) = reader.value(0)? else {
            return None;
        };
        reader.skip_space();
        reader.rest.is_empty().then_some(object)
    }

    /// Returns the value of a member, or `None` if the object has no such member.
    pub(crate) fn member(&self, name: &str) -> Option<&Value<'a>> {
        self.0
            .iter()
            .find_map(|(known, value)| (known == name).then_some(value))
    }

    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns a member that has to be a string if it is present.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, NotAText> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(NotAText),
        }
    }

    /// Returns the names of the members, in the order of the document.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// Returns `true` if a name occurs twice.
    fn has_duplicates(&self) -> bool {
        // Comparing each pair is fastest for the few members of a token. Beyond them a sort keeps
        // the time bounded for a hostile document.
        if self.0.len() <= 16 {
            return self
                .names()
                .enumerate()
                .any(|(at, name)| self.names().take(at).any(|earlier| earlier == name));
        }

        let mut sorted: Vec<&str> = self.names().collect();
        sorted.sort_unstable();
        sorted
            .iter()
            .zip(sorted.iter().skip(1))
            .any(|(a, b)| a == b)
    }
}

/// The error for a member that is present but isn't a string.
pub(crate) struct NotAText;

/// The position in a document.
struct Reader<'a> {
    text: &'a str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: u32) -> Option<Value<'a>> {
        match self.rest.first()? {
            b'{' => self.object(depth).map(Value::Object),
            b'[' => self.list(depth).map(Value::List),
            b'"' => self.string().map(Value::Text),
            b't' => self.word(b"true", Value::Bool(true)),
            b'f' => self.word(b"false", Value::Bool(false)),
            b'n' => self.word(b"null", Value::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: u32) -> Option<Object<'a>> {
        self.open(b'{', depth)?;
        let mut members = Object(Vec::with_capacity(if depth == 0 { 12 } else { 0 }));
        if self.take(b'}') {
            return Some(members);
        }

        loop {
            let name = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            members.0.push((name, self.value(depth + 1)?));
            if !self.more(b'}')? {
                return (!members.has_duplicates()).then_some(members);
            }
        }
    }

    fn list(&mut self, depth: u32) -> Option<Vec<Value<'a>>> {
        self.open(b'[', depth)?;
        let mut items = Vec::new();
        if self.take(b']') {
            return Some(items);
        }
        loop {
            items.push(self.value(depth + 1)?);
            if !self.more(b']')? {
                return Some(items);
            }
        }
    }

    /// Reads an opening bracket, and refuses it if the nesting is too deep.
    fn open(&mut self, bracket: u8, depth: u32) -> Option<()> {
        self.expect(bracket)?;
        self.skip_space();
        (depth < MAX_DEPTH).then_some(())
    }

    /// Reads what follows an item: returns `true` after a comma and `false` after the closing
    /// bracket.
    fn more(&mut self, end: u8) -> Option<bool> {
        self.skip_space();
        if self.take(end) {
            return Some(false);
        }
        self.expect(b',')?;
        self.skip_space();
        Some(true)
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.expect(b'"')?;
        let plain = self.plain_text()?;
        if self.take(b'"') {
            return Some(Cow::Borrowed(plain));
        }

        let mut text = plain.to_owned();
        loop {
            self.expect(b'\\')?;
            text.push(self.escaped()?);
            text.push_str(self.plain_text()?);
            if self.take(b'"') {
                return Some(Cow::Owned(text));
            }
        }
    }

    /// Reads the text up to the next quote or backslash. Control characters are refused, since they
    /// have to be escaped.
    fn plain_text(&mut self) -> Option<&'a str> {
        let length = self
            .rest
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F))?;
        let start = self.text.len() - self.rest.len();
        self.advance(length);
        self.text.get(start..start + length)
    }

    /// Reads the rest of an escape, after its backslash.
    fn escaped(&mut self) -> Option<char> {
        let (&kind, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return None,
        })
    }

    /// Reads the digits of a `\u` escape, and the second half of a surrogate pair.
    ///
    /// Half of a pair alone isn't a character, so it is refused.
    fn unicode(&mut self) -> Option<char> {
        let first = self.hex()?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first);
        }
        self.expect(b'\\')?;
        self.expect(b'u')?;
        let second = self.hex()?;
        if !(0xDC00..0xE000).contains(&second) {
            return None;
        }
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
    }

    fn hex(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        digits.iter().try_fold(0, |value, digit| {
            Some(value * 16 + char::from(*digit).to_digit(16)?)
        })
    }

    fn number(&mut self) -> Option<Value<'a>> {
        let start = self.text.len() - self.rest.len();
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        let mut whole = true;
        if self.take(b'.') {
            whole = false;
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            whole = false;
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }

        let text = self.text.get(start..self.text.len() - self.rest.len())?;
        // A whole number that doesn't fit into 64 bits is read as a float, like in most JSON
        // readers.
        if let (true, Ok(int)) = (whole, text.parse()) {
            return Some(Value::Int(int));
        }
        let float: f64 = text.parse().ok()?;
        float.is_finite().then_some(Value::Float(float))
    }

    /// Skips at least one digit.
    fn digits(&mut self) -> Option<()> {
        let count = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.advance(count);
        (count > 0).then_some(())
    }

    fn word(&mut self, word: &[u8], value: Value<'a>) -> Option<Value<'a>> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(value)
    }

    fn skip_space(&mut self) {
        let count = self
            .rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
            .count();
        self.advance(count);
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.rest.first() == Some(&byte);
        if taken {
            self.advance(1);
        }
        taken
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    fn advance(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_parsers_disagree_on() {
        let bad = [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"x":[{"a":1,"a":2}]}"#,
            "\u{feff}{}",
            "{} {}",
            "[]",
            "",
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\udc00\ud800"}"#,
            r#"{"a":1e999}"#,
            r#"{"a":01}"#,
            r#"{"a":NaN}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":1,}"#,
            "{'a':1}",
        ];
        for document in bad {
            assert_eq!(Object::parse(document.as_bytes()), None, "{document}");
        }
        assert_eq!(Object::parse(b"{\"a\":\"\xff\"}"), None);
        let many: Vec<String> = (0..40).map(|n| format!("\"m{}\":{n}", n % 39)).collect();
        assert_eq!(
            Object::parse(format!("{{{}}}", many.join(",")).as_bytes()),
            None
        );
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(Object::parse(nested(31).as_bytes()).is_some());
        assert!(Object::parse(nested(32).as_bytes()).is_none());
        assert!(Object::parse(nested(100_000).as_bytes()).is_none());
    }

    #[test]
    fn reads_escapes_and_numbers() {
        let object =
            Object::parse(br#" { "a" : "\u00e9\ud83d\ude00\n\/" , "b": -0, "c": 1.5e3, "d": 9223372036854775808 } "#);
        let object = object.unwrap();
        assert_eq!(object.member("a"), Some(&Value::Text("é😀\n/".into())));
        assert_eq!(object.member("b"), Some(&Value::Int(0)));
        assert_eq!(object.member("c"), Some(&Value::Float(1500.0)));
        assert_eq!(
            object.member("d"),
            Some(&Value::Float(9_223_372_036_854_775_808.0))
        );
    }

    fn as_serde(value: &Value<'_>) -> serde_json::Value {
        match value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(truth) => (*truth).into(),
            Value::Int(int) => (*int).into(),
            Value::Float(float) => (*float).into(),
            Value::Text(text) => text.as_ref().into(),
            Value::List(items) => items.iter().map(as_serde).collect(),
            Value::Object(Object(members)) => members
                .iter()
                .map(|(name, value)| (name.clone().into_owned(), as_serde(value)))
                .collect(),
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                proptest::collection::btree_map(".{0,6}", inner, 0..5)
                    .prop_map(|members| members.into_iter().collect::<serde_json::Value>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_serde_json_writes_is_read_back(value in any_json()) {
            let document = serde_json::json!({ "v": value }).to_string();
            let object = Object::parse(document.as_bytes());
            prop_assert_eq!(object.as_ref().and_then(|o| o.member("v")).map(as_serde), Some(value));
        }

        #[test]
        fn accepts_nothing_that_serde_json_refuses(text in r#"[\{\}\[\]",:0-9a-u\\ \.eE\-]{0,40}"#) {
            if Object::parse(text.as_bytes()).is_some() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            }
        }

        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Object::parse(&bytes);
        }
    }
}
