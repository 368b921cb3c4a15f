//! JSON that parsers read differently, in genuinely signed headers and claims (SECURITY row T-10).

use countersign::Refusal::{self, Claims, Malformed};

use crate::jwt_forged::forger::Members;
use crate::jwt_forged::site::{Cases, Site};

pub fn cases(site: &Site) -> Cases {
    let mut cases = Cases::default();
    for place in [Place::Header, Place::Claims] {
        documents(site, place, &mut cases);
        members(site, place, &mut cases);
        duplicates(site, place, &mut cases);
    }
    cases
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Header,
    Claims,
}

impl Place {
    fn good(self, site: &Site) -> &Members {
        match self {
            Self::Header => &site.header,
            Self::Claims => &site.claims,
        }
    }

    fn sign(self, site: &Site, document: impl AsRef<[u8]>) -> String {
        match self {
            Self::Header => site.sign(document, site.claims.json()),
            Self::Claims => site.sign(site.header.json(), document),
        }
    }

    const fn refusal(self) -> Refusal {
        match self {
            Self::Header => Malformed,
            Self::Claims => Claims,
        }
    }
}

fn documents(site: &Site, place: Place, cases: &mut Cases) {
    let good = place.good(site).json();
    let text = |text: String| text.into_bytes();
    let quoted = serde_json::Value::from(good.as_str()).to_string();
    let with_bytes = |bytes: &[u8]| {
        let open = good.trim_end_matches('}').as_bytes();
        [open, b",\"x\":\"", bytes, b"\"}"].concat()
    };
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("a BOM", text(format!("\u{feff}{good}"))),
        ("a BOM behind", text(format!("{good}\u{feff}"))),
        (
            "UTF-16",
            good.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ),
        (
            "UTF-16 with a BOM",
            format!("\u{feff}{good}")
                .encode_utf16()
                .flat_map(u16::to_be_bytes)
                .collect(),
        ),
        (
            "UTF-32",
            good.chars()
                .flat_map(|c| u32::from(c).to_be_bytes())
                .collect(),
        ),
        ("a Latin-1 byte", with_bytes(b"\xe9")),
        ("a stray continuation", with_bytes(b"\x80")),
        ("an overlong slash", with_bytes(b"\xc0\xaf")),
        ("a surrogate in UTF-8", with_bytes(b"\xed\xa0\x80")),
        ("beyond Unicode", with_bytes(b"\xf4\x90\x80\x80")),
        ("a cut sequence", with_bytes(b"\xe2\x82")),
        ("a NUL inside", with_bytes(b"\0")),
        ("a list around", text(format!("[{good}]"))),
        ("quotes around", text(quoted)),
        ("text behind", text(format!("{good}x"))),
        ("a NUL behind", text(format!("{good}\0"))),
        ("a brace behind", text(format!("{good}}}"))),
        ("twice", text(format!("{good}{good}"))),
        ("lines", text(format!("{good}\n{good}"))),
        ("a comma behind", text(format!("{good},"))),
        ("a comma in front", text(format!(",{good}"))),
        ("cut", text(good.trim_end_matches('}').to_owned())),
        ("only opened", text("{".to_owned())),
        ("only closed", text("}".to_owned())),
        ("a semicolon", text(format!("{good};"))),
        ("a form feed", text(format!("\u{c}{good}"))),
        ("a vertical tab", text(format!("{good}\u{b}"))),
        ("a no-break space", text(format!("\u{a0}{good}"))),
        ("a line separator", text(format!("{good}\u{2028}"))),
        ("a comment", text(format!("/**/{good}"))),
        ("a comment behind", text(format!("{good}//x"))),
        ("JSONP", text(format!("f({good})"))),
        ("a guard", text(format!(")]}}'\n{good}"))),
        ("null", text("null".to_owned())),
        ("true", text("true".to_owned())),
        ("a number", text("7".to_owned())),
        ("a text", text("\"\"".to_owned())),
        ("a list", text("[]".to_owned())),
        ("a single quote", text(good.replace('"', "'"))),
        ("thousands of brackets", text("[".repeat(3000))),
        ("thousands of braces", text("{\"\":".repeat(800))),
    ];
    for (name, document) in bad {
        cases.refuse(
            place.refusal(),
            format!("{place:?}: {name}"),
            place.sign(site, document),
        );
    }
    let empty = match place {
        Place::Header => Refusal::Algorithm,
        Place::Claims => Claims,
    };
    cases.refuse(
        empty,
        format!("{place:?}: an empty object"),
        place.sign(site, "{}"),
    );
    for (name, document) in [
        ("space in front", format!("\r\n\t {good}")),
        ("space behind", format!("{good} \t\r\n")),
        ("other order", place.good(site).reversed().json()),
    ] {
        cases.accept(format!("{place:?}: {name}"), place.sign(site, document));
    }
}

/// Values of a member that nobody looks at.
fn members(site: &Site, place: Place, cases: &mut Cases) {
    let lists = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}0{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let bad = [
        "",
        "01",
        "-01",
        "+1",
        "1.",
        ".5",
        "-",
        "1e",
        "1e+",
        "1E-",
        "0x10",
        "0b1",
        "1_000",
        "1,0",
        "NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "1e999",
        "-1e999",
        "1e400",
        "nul",
        "nulll",
        "True",
        "FALSE",
        "undefined",
        "None",
        "'x'",
        "`x`",
        "x",
        "\"",
        "\"x",
        "x\"",
        "\"\\x41\"",
        "\"\\'\"",
        "\"\\0\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\U0041\"",
        "\"\\\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\ud800x\"",
        "\"\\ud800\\n\"",
        "\"a\nb\"",
        "\"a\tb\"",
        "\"a\rb\"",
        "\"\u{1f}\"",
        "\"a\" \"b\"",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1",
        "1]",
        "[1}",
        "{1}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{a:1}",
        "{'a':1}",
        "{1:1}",
        "{\"a\" 1}",
        "{\"a\"::1}",
        "{null:1}",
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "[{\"a\":1,\"a\":2}]",
        "{\"b\":{\"a\":1,\"a\":2}}",
        "{\"\":1,\"\":2}",
        "{\"\\u00e9\":1,\"\u{e9}\":2}",
        "{\"\\ud83d\\ude00\":1,\"\u{1f600}\":2}",
        "/**/1",
        "1/**/",
        "1//",
        "#1",
        "[1]]",
        "{}}",
        "1 1",
        "\u{a0}1",
        "1\u{c}",
        "\u{feff}1",
        "\"\\u{41}\"",
        "\u{ff11}",
        "\u{661}",
        "--1",
        "1.0.0",
        "1e1.5",
        "1ee1",
        "- 1",
    ];
    for value in bad {
        let document = place.good(site).with("ignored", value);
        cases.refuse(
            place.refusal(),
            format!("{place:?}: ignored {value:?}"),
            place.sign(site, document.json()),
        );
    }
    for (name, value) in [
        ("32 lists", lists(32)),
        ("400 lists", lists(400)),
        ("32 objects", objects(32)),
    ] {
        let document = place.good(site).with("ignored", value);
        cases.refuse(
            place.refusal(),
            format!("{place:?}: ignored {name}"),
            place.sign(site, document.json()),
        );
    }
    let good = [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-0.0",
        "1.5e3",
        "1E+2",
        "1e-999",
        "123e45",
        "9223372036854775808",
        "18446744073709551616",
        "\"\"",
        "\"\\ud83d\\ude00\"",
        "\"\\uD83D\\uDE00\"",
        "\"\\u0000\"",
        "\"\\/\\b\\f\\n\\r\\t\"",
        "\"\u{7f}\u{2028}\u{10ffff}\"",
        "\"\u{feff}\"",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        " 1 ",
        "[1 , 2]",
        "{\"a\" : 1}",
        "{\"a\":{\"a\":{\"a\":1}}}",
        "{\"a\":1,\"A\":2}",
        "[{\"a\":1},{\"a\":1}]",
        "{\"\u{e9}\":1,\"e\\u0301\":2}",
        "{\"exp\":1,\"alg\":\"none\"}",
    ];
    let nested = [lists(31), objects(31)];
    for value in good.into_iter().chain(nested.iter().map(String::as_str)) {
        let document = place.good(site).with("ignored", value);
        cases.accept(
            format!("{place:?}: ignored {value:?}"),
            place.sign(site, document.json()),
        );
    }
}

/// Every member twice: with its own value, with another, first, last, and in escapes.
fn duplicates(site: &Site, place: Place, cases: &mut Cases) {
    let good = place.good(site);
    for name in good.names() {
        let escaped = name
            .bytes()
            .fold(String::new(), |text, byte| text + &format!("\\u{byte:04x}"));
        let half = format!(
            "{}\\u{:04X}",
            &name[..name.len() - 1],
            name.as_bytes()[name.len() - 1]
        );
        for (spelling, second) in [
            ("plain", &name),
            ("escaped", &escaped),
            ("half escaped", &half),
        ] {
            for value in [good.raw(&name), "null", "{}"] {
                let twice = good.and(second, value);
                let case = format!("{place:?}: {name} twice, {spelling}, {value}");
                cases.refuse(
                    place.refusal(),
                    case.as_str(),
                    place.sign(site, twice.json()),
                );
                cases.refuse(
                    place.refusal(),
                    format!("{case}, first"),
                    place.sign(site, twice.reversed().json()),
                );
            }
        }
        let escaped_once = good.without(&name).with(&escaped, good.raw(&name));
        cases.accept(
            format!("{place:?}: {name} in escapes"),
            place.sign(site, escaped_once.json()),
        );
    }
    let many = (0..40).fold(good.clone(), |members, number| {
        members.and(&format!("m{number}"), "0")
    });
    cases.accept(
        format!("{place:?}: many members"),
        place.sign(site, many.json()),
    );
    let twice = many.and("m20", "1");
    cases.refuse(
        place.refusal(),
        format!("{place:?}: one of many twice"),
        place.sign(site, twice.json()),
    );
    cases.refuse(
        place.refusal(),
        format!("{place:?}: one of many twice, turned"),
        place.sign(site, twice.reversed().json()),
    );
}
