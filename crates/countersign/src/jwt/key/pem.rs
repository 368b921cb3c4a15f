//! Takes keys out of their PEM encoding (RFC 7468).
//!
//! This is a reader of the project's own so that no copy of a private key is left behind in memory,
//! and so that the errors can name the cure for the many kinds of file that people mistake for a
//! key.

use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::error::ConfigError;

/// The one key of a PEM text.
pub(crate) struct Pem {
    /// The format that the header line names.
    pub(crate) label: Label,
    /// The decoded content. It is wiped when it is dropped.
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// The formats of a key in PEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// `PRIVATE KEY`: PKCS#8, for every algorithm.
    Pkcs8,
    /// `RSA PRIVATE KEY`: PKCS#1.
    RsaPrivate,
    /// `EC PRIVATE KEY`: SEC 1.
    EcPrivate,
    /// `PUBLIC KEY`: SubjectPublicKeyInfo, for every algorithm.
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

    /// Returns `true` for the formats of private keys.
    pub(crate) const fn is_private(self) -> bool {
        matches!(self, Self::Pkcs8 | Self::RsaPrivate | Self::EcPrivate)
    }
}

/// Returns `true` if a text contains a PEM header of any kind.
pub(crate) fn looks_like_pem(text: &str) -> bool {
    text.contains("-----BEGIN ")
}

/// Reads the one key in `text`. Errors name `setting`, the setting that the text was typed into.
///
/// Text outside of PEM blocks is an explanation (RFC 7468 section 5.2) and is ignored. Blocks that
/// come along with keys, such as the parameters of a curve or certificates, are ignored as well if
/// there is a key beside them.
pub(crate) fn read(setting: &'static str, text: &str) -> Result<Pem, ConfigError> {
    let text = in_lines(text);
    let mut lines = text.lines().map(str::trim);
    let (mut found, mut beside) = (None, None);
    while let Some(name) = next_header(&mut lines) {
        let body = body(&mut lines, name)
            .map_err(|problem| ConfigError::new(setting, problem, AS_OPENSSL_WRITES))?;
        match Label::of(name) {
            Ok(_) if found.is_some() => {
                let problem = "contains several keys";
                return Err(ConfigError::new(setting, problem, "use one key"));
            }
            Ok(_) if body.contains(':') => {
                return Err(ConfigError::new(setting, "is an encrypted key", DECRYPT));
            }
            Ok(label) => found = Some((label, body)),
            Err(refused) => beside = beside.or(Some(refused)),
        }
    }

    let Some((label, body)) = found else {
        let (problem, cure) = beside.unwrap_or_else(|| without_block(&text));
        return Err(ConfigError::new(setting, problem, cure));
    };

    let der = BASE64.decode(body.as_bytes());
    let der = der.map_err(|_| {
        let problem = "is not valid base64 between its header and footer";
        ConfigError::new(setting, problem, AS_OPENSSL_WRITES)
    })?;
    Ok(Pem {
        label,
        der: Zeroizing::new(der),
    })
}

const AS_OPENSSL_WRITES: &str = "use one unencrypted PEM block, as written by `openssl genpkey`";
const DECRYPT: &str = "remove the password with `openssl pkey -in KEY -out PLAIN_KEY`";

/// A problem and its cure.
type Refused = (&'static str, &'static str);

impl Label {
    /// Returns the format that a header names, or the reason why its block can't be used.
    fn of(name: &str) -> Result<Self, Refused> {
        if let Some((_, label)) = Self::ALL.into_iter().find(|(known, _)| *known == name) {
            return Ok(label);
        }

        Err(match name {
            "ENCRYPTED PRIVATE KEY" => ("is an encrypted key", DECRYPT),
            "OPENSSH PRIVATE KEY" => (
                "is a key in OpenSSH format",
                "convert it with `ssh-keygen -p -N '' -m PKCS8 -f KEY`",
            ),
            "CERTIFICATE" => (
                "is a certificate, not a key",
                "extract its key with `openssl x509 -pubkey -noout`",
            ),
            "EC PARAMETERS" => (
                "contains only the parameters of a curve",
                "use the key that belongs to them",
            ),
            _ => (
                "contains something other than an unencrypted key",
                AS_OPENSSL_WRITES,
            ),
        })
    }
}

/// Removes a byte order mark, and turns written-out line ends into real ones.
///
/// A variable that holds one line only, as in many `.env` files, has `\n` written out as two
/// characters.
fn in_lines(text: &str) -> Zeroizing<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_written_out = text.contains("\\n") && !text.trim().contains('\n');
    Zeroizing::new(if is_written_out {
        text.replace("\\r", "").replace("\\n", "\n")
    } else {
        text.to_owned()
    })
}

/// Returns the name in the next header line.
fn next_header<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Option<&'a str> {
    lines.find_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
}

/// Returns the text between a header and the footer that matches it.
fn body<'a>(
    lines: &mut impl Iterator<Item = &'a str>,
    name: &str,
) -> Result<Zeroizing<String>, &'static str> {
    let mut body = Zeroizing::new(String::with_capacity(MOST));
    for line in lines {
        if line.starts_with('-') {
            let footer = line
                .strip_prefix("-----END ")
                .and_then(|line| line.strip_suffix("-----"));
            return if footer == Some(name) {
                Ok(body)
            } else {
                Err("has no matching PEM footer")
            };
        }

        if body.len() + line.len() > MOST {
            return Err("is too long for a key");
        }
        body.push_str(line);
    }
    Err("has no matching PEM footer")
}

/// The most characters in a block. A private RSA key of 8192 bits takes 6,300.
///
/// A block has this capacity from the start: a string that grows would leave copies of the key
/// behind.
const MOST: usize = 16 * 1024;

/// Returns the problem and the cure for a text without any PEM block.
fn without_block(text: &str) -> Refused {
    let text = text.trim_start();
    if ["ssh-", "ecdsa-sha2-", "sk-ssh-"]
        .iter()
        .any(|kind| text.starts_with(kind))
    {
        return (
            "is a public key in OpenSSH format",
            "convert it with `ssh-keygen -e -m PKCS8 -f KEY`",
        );
    }

    if text.starts_with('{') {
        return ("is a JSON Web Key", "use the key in PEM format");
    }
    ("does not begin with a PEM header", AS_OPENSSL_WRITES)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How people have their keys.
    #[test]
    fn what_comes_along_with_a_key_is_passed_over() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAEC\nAw==\n-----END PRIVATE KEY-----\n";
        let parameters =
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        let certificate = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n";
        let attributes = "Bag Attributes\n    localKeyID: 54 69\nKey Attributes: <No Attributes>\n";
        for text in [
            key.to_owned(),
            format!("\u{feff}{key}"),
            key.replace('\n', "\r\n"),
            key.replace('\n', "\\n"),
            key.replace('\n', "\\r\\n"),
            key.trim_end().replace('\n', "\\n"),
            format!("{parameters}{key}"),
            format!("{attributes}{key}{attributes}{certificate}"),
            format!("{certificate}{key}"),
            format!(
                "# the key of the login service\n\n  {}\n\n",
                key.replace('\n', "\n  ")
            ),
        ] {
            let pem = read("secret", &text).unwrap();
            assert_eq!(
                (pem.label, pem.der.as_slice()),
                (Label::Pkcs8, &[0, 1, 2, 3][..]),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_is_no_key_is_named() {
        let block = |name: &str, body: &str| {
            format!("-----BEGIN {name}-----\n{body}\n-----END {name}-----\n")
        };
        let encrypted = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAEC";
        for (text, words) in [
            (block("ENCRYPTED PRIVATE KEY", "AAEC"), "encrypted"),
            (block("RSA PRIVATE KEY", encrypted), "encrypted"),
            (block("OPENSSH PRIVATE KEY", "AAEC"), "ssh-keygen -p"),
            (block("CERTIFICATE", "AAEC"), "certificate"),
            (block("EC PARAMETERS", "AAEC"), "parameters"),
            (block("PGP MESSAGE", "AAEC"), "other than"),
            (block("PRIVATE KEY", "AAEC").repeat(2), "several keys"),
            (
                block("PRIVATE KEY", "AAEC") + &block("PUBLIC KEY", "AAEC"),
                "several keys",
            ),
            (
                block("PRIVATE KEY", &"A".repeat(20_000)),
                "too long for a key",
            ),
            (
                "ssh-rsa AAAAB3NzaC1yc2E ada@host".to_owned(),
                "ssh-keygen -e",
            ),
            ("{\"kty\":\"OKP\"}".to_owned(), "JSON Web Key"),
            ("AAECAw==".to_owned(), "PEM header"),
        ] {
            let error = read("secret", &text).err().unwrap().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }

    #[test]
    fn reads_one_key() {
        let good = "-----BEGIN PUBLIC KEY-----\r\nAAEC\r\nAw==\r\n-----END PUBLIC KEY-----\r\n";
        let pem = read("verify_key", good).unwrap();
        assert_eq!(
            (pem.label, pem.der.as_slice()),
            (Label::Public, &[0, 1, 2, 3][..])
        );
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
                read("verify_key", text)
                    .err()
                    .map(|error| error.setting().to_owned())
                    .as_deref(),
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
