//! Takes keys out of their PEM wrapping (RFC 7468). It is a reader of our own so that no copy of a private key is left
//! behind in memory.

use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::error::ConfigError;

/// The contents of a PEM text.
pub(crate) struct Pem {
    /// What the text says it holds.
    pub(crate) label: Label,
    /// The DER inside.
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// The kinds of key that a PEM text may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// `PRIVATE KEY`: PKCS#8, any algorithm.
    Pkcs8,
    /// `RSA PRIVATE KEY`: PKCS#1.
    RsaPrivate,
    /// `EC PRIVATE KEY`: SEC 1.
    EcPrivate,
    /// `PUBLIC KEY`: SubjectPublicKeyInfo, any algorithm.
    Public,
    /// `RSA PUBLIC KEY`: PKCS#1.
    RsaPublic,
}

impl Label {
    const ALL: [(&'static str, Self); 5] = [
        ("PRIVATE KEY", Self::Pkcs8),
        ("RSA PRIVATE KEY", Self::RsaPrivate),
        ("EC PRIVATE KEY", Self::EcPrivate),
        ("PUBLIC KEY", Self::Public),
        ("RSA PUBLIC KEY", Self::RsaPublic),
    ];

    pub(crate) const fn is_private(self) -> bool {
        matches!(self, Self::Pkcs8 | Self::RsaPrivate | Self::EcPrivate)
    }
}

/// Whether a text is a PEM text of any kind, or at least meant to be one.
pub(crate) fn looks_like_pem(text: &str) -> bool {
    text.contains("-----BEGIN ")
}

/// Reads the one PEM block of `text`; `setting` is what the user typed it into.
pub(crate) fn read(setting: &'static str, text: &str) -> Result<Pem, ConfigError> {
    let unusable = |problem: &'static str| {
        ConfigError::new(setting, problem, "give one unencrypted PEM block, as `openssl genpkey` writes it")
    };
    let mut lines = text.trim().lines().map(str::trim);
    let begin = lines.next().and_then(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----"));
    let begin = begin.ok_or_else(|| unusable("does not begin with a PEM header"))?;
    let known = Label::ALL.into_iter().find(|(name, _)| *name == begin);
    let (name, label) = known.ok_or_else(|| unusable("holds something other than an unencrypted key"))?;

    let mut body = Zeroizing::new(String::with_capacity(text.len()));
    let mut ended = false;
    for line in lines.by_ref() {
        if line.starts_with('-') {
            ended = line.strip_prefix("-----END ").and_then(|line| line.strip_suffix("-----")) == Some(name);
            break;
        }
        body.push_str(line);
    }
    if !ended {
        return Err(unusable("has no matching PEM footer"));
    }
    if lines.next().is_some() {
        return Err(unusable("has something after its PEM footer"));
    }
    let der = BASE64.decode(body.as_bytes()).map_err(|_| unusable("is not base64 between its header and footer"))?;
    Ok(Pem { label, der: Zeroizing::new(der) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_one_block_and_nothing_else() {
        let good = "-----BEGIN PUBLIC KEY-----\r\nAAEC\r\nAw==\r\n-----END PUBLIC KEY-----\r\n";
        let pem = read("verify_key", good).unwrap();
        assert_eq!((pem.label, pem.der.as_slice()), (Label::Public, &[0, 1, 2, 3][..]));
        let bad = [
            "",
            "AAECAw==",
            "-----BEGIN PUBLIC KEY-----\nAAEC",
            "-----BEGIN PUBLIC KEY-----\nAAEC\n-----END PRIVATE KEY-----",
            "-----BEGIN PUBLIC KEY-----\nA*EC\n-----END PUBLIC KEY-----",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAEC\n-----END ENCRYPTED PRIVATE KEY-----",
            "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----",
            &good.repeat(2),
        ];
        for text in bad {
            assert_eq!(
                read("verify_key", text).err().map(|error| error.setting().to_owned()).as_deref(),
                Some("verify_key")
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(-----BEGIN (PUBLIC|RSA PRIVATE) KEY-----)?[\nA-Za-z0-9+/= -]{0,80}(-----END PUBLIC KEY-----)?.{0,3}") {
            let _ = read("verify_key", &text);
        }
    }
}
