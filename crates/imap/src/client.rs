//! Reads what a server says: for tests, and for clients that know what they asked.

/// One response: its words, in order, without the line end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response(pub Vec<Value>);

/// A word of a response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// An atom, a number, a flag, a section with its brackets, or words of a text.
    Atom(String),
    /// What stands in parentheses.
    List(Vec<Self>),
    /// `NIL`
    Nil,
    /// A quoted string or a literal.
    String(Vec<u8>),
}

/// Why octets are no response.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReadError {
    /// They may become one: more must be heard.
    #[error("the response is not whole")]
    Open,
    /// They never will.
    #[error("that is no response")]
    Form,
}

impl Response {
    /// The response at the beginning of `octets`, and its length.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn read(octets: &[u8]) -> Result<(Self, usize), ReadError> {
        let mut reader = Reader { octets, at: 0 };
        let mut words = Vec::new();
        loop {
            if reader.eat(b"\r\n") {
                return Ok((Self(words), reader.at));
            }
            let texts = words.len() == 2 && is_status(&words[1]) || words.first() == Some(&plus());
            if texts {
                words.push(reader.text()?);
            } else {
                words.push(reader.value(0)?);
            }
            if !reader.eat(b" ") && !reader.at_line_end()? {
                return Err(ReadError::Form);
            }
        }
    }

    /// All responses in `octets`, which must hold nothing else.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn read_all(mut octets: &[u8]) -> Result<Vec<Self>, ReadError> {
        let mut all = Vec::new();
        while !octets.is_empty() {
            let (response, length) = Self::read(octets)?;
            all.push(response);
            octets = &octets[length..];
        }
        Ok(all)
    }

    /// The tag, `*` or `+`.
    #[must_use]
    pub fn tag(&self) -> &str {
        self.word(0)
    }

    /// The word at that place, if it is an atom.
    #[must_use]
    pub fn word(&self, at: usize) -> &str {
        match self.0.get(at) {
            Some(Value::Atom(word)) => word,
            _ => "",
        }
    }

    /// The value of an item of a FETCH response.
    #[must_use]
    pub fn item(&self, name: &str) -> Option<&Value> {
        let Some(Value::List(items)) = self.0.get(3) else {
            return None;
        };
        items.chunks_exact(2).find_map(|pair| match &pair[0] {
            Value::Atom(word) if word.eq_ignore_ascii_case(name) => Some(&pair[1]),
            _ => None,
        })
    }
}

struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn eat(&mut self, text: &[u8]) -> bool {
        let found = self.octets[self.at..].starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    fn peek(&self) -> Result<u8, ReadError> {
        self.octets.get(self.at).copied().ok_or(ReadError::Open)
    }

    fn at_line_end(&self) -> Result<bool, ReadError> {
        match self.octets[self.at..] {
            [] | [b'\r'] => Err(ReadError::Open),
            [b'\r', b'\n', ..] => Ok(true),
            _ => Ok(false),
        }
    }

    /// Everything to the end of the line.
    fn text(&mut self) -> Result<Value, ReadError> {
        let end = memchr::memmem::find(&self.octets[self.at..], b"\r\n").ok_or(ReadError::Open)?;
        let text = String::from_utf8_lossy(&self.octets[self.at..self.at + end]).into_owned();
        self.at += end;
        Ok(Value::Atom(text))
    }

    fn value(&mut self, depth: usize) -> Result<Value, ReadError> {
        match self.peek()? {
            b'(' if depth < DEPTH_MAX => self.list(depth),
            b'"' => self.quoted(),
            b'{' => self.literal(),
            _ => self.atom(),
        }
    }

    /// Lists may stand without a space between them.
    fn list(&mut self, depth: usize) -> Result<Value, ReadError> {
        self.at += 1;
        let mut values = Vec::new();
        loop {
            if self.eat(b")") {
                return Ok(Value::List(values));
            }
            values.push(self.value(depth + 1)?);
            while self.eat(b" ") {}
        }
    }

    fn quoted(&mut self) -> Result<Value, ReadError> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let octet = self.peek()?;
            self.at += 1;
            match octet {
                b'"' => return Ok(Value::String(text)),
                b'\\' => {
                    text.push(self.peek()?);
                    self.at += 1;
                }
                b'\r' | b'\n' => return Err(ReadError::Form),
                _ => text.push(octet),
            }
        }
    }

    fn literal(&mut self) -> Result<Value, ReadError> {
        let rest = &self.octets[self.at..];
        let end = memchr::memmem::find(rest, b"}\r\n").ok_or(ReadError::Open)?;
        let length = std::str::from_utf8(&rest[1..end])
            .ok()
            .and_then(|text| text.parse().ok());
        let length: usize = length.ok_or(ReadError::Form)?;
        let begin = self.at + end + 3;
        let end = begin.checked_add(length).ok_or(ReadError::Form)?;
        let octets = self.octets.get(begin..end).ok_or(ReadError::Open)?;
        self.at = end;
        Ok(Value::String(octets.to_vec()))
    }

    /// An atom; brackets in it hold what they like, spaces and strings.
    fn atom(&mut self) -> Result<Value, ReadError> {
        let begin = self.at;
        let mut brackets = 0_usize;
        loop {
            match self.peek()? {
                b'[' => brackets += 1,
                b']' => brackets = brackets.saturating_sub(1),
                b' ' | b'(' | b')' if brackets == 0 => break,
                b'\r' | b'\n' => break,
                _ => {}
            }
            self.at += 1;
        }
        if begin == self.at {
            return Err(ReadError::Form);
        }
        let text = String::from_utf8_lossy(&self.octets[begin..self.at]).into_owned();
        Ok(if text == "NIL" {
            Value::Nil
        } else {
            Value::Atom(text)
        })
    }
}

fn is_status(word: &Value) -> bool {
    matches!(word, Value::Atom(word) if ["OK", "NO", "BAD", "BYE", "PREAUTH"].contains(&&**word))
}

fn plus() -> Value {
    Value::Atom("+".to_owned())
}

const DEPTH_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn atom(text: &str) -> Value {
        Value::Atom(text.to_owned())
    }

    #[test]
    fn responses_are_words() {
        let octets =
            b"* 1 FETCH (FLAGS (\\Seen) BODY[HEADER.FIELDS (A B)]<0> {3}\r\na)\n X NIL)\r\n";
        let (response, length) = Response::read(octets).unwrap();
        assert_eq!(length, octets.len());
        assert_eq!(
            response.item("flags"),
            Some(&Value::List(vec![atom("\\Seen")]))
        );
        let body = response.item("BODY[HEADER.FIELDS (A B)]<0>");
        assert_eq!(body, Some(&Value::String(b"a)\n".to_vec())));
        assert_eq!(response.item("X"), Some(&Value::Nil));
        let all = Response::read_all(b"+ go on\r\na1 NO [X (y)] it's (not\r\n").unwrap();
        assert_eq!(all[0].0, [atom("+"), atom("go on")]);
        assert_eq!(
            all[1].0,
            [atom("a1"), atom("NO"), atom("[X (y)] it's (not")]
        );
        assert_eq!(
            Response::read(b"* 1 FETCH (X {5}\r\na"),
            Err(ReadError::Open)
        );
        assert_eq!(Response::read(b"* )\r\n"), Err(ReadError::Form));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_octets_make_the_reader_panic(octets: Vec<u8>, text in "[*+ ()\"{}0-9a\r\n\\[\\]]{0,40}") {
            let _ = Response::read_all(&octets);
            let _ = Response::read_all(text.as_bytes());
        }
    }
}
