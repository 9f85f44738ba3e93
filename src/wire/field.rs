//! Names of header fields, as far as their form and their reach are concerned (RFC 9110).

/// Whether `name` can be the name of a field (section 5.6.2).
#[must_use]
pub fn is_name(name: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(is_plain)
}

/// Whether `name`, the name of a field or other text without control characters, is `known`, which
/// is in lower case and has nothing but letters and hyphens.
#[inline]
#[must_use]
pub fn is<const N: usize>(name: &[u8], known: &[u8; N]) -> bool {
    // One bit tells upper from lower case. What else it turns into a hyphen is a control character.
    let differs = |own: &[u8; N]| {
        let pairs = own.iter().zip(known);
        pairs.fold(0, |all, (own, known)| all | ((own | b' ') ^ known))
    };
    <&[u8; N]>::try_from(name).is_ok_and(|own| differs(own) == 0)
}

/// Whether a field is about one connection (section 7.6.1), or is the length, which each sender
/// states anew.
#[must_use]
pub fn is_hop_by_hop(name: &[u8]) -> bool {
    let names: &[&[u8]] = match name.len() {
        2 => &[b"te"],
        7 => &[b"upgrade", b"trailer"],
        10 => &[b"connection", b"keep-alive"],
        14 => &[b"content-length"],
        16 => &[b"proxy-connection"],
        17 => &[b"transfer-encoding"],
        18 => &[b"proxy-authenticate"],
        19 => &[b"proxy-authorization"],
        _ => &[],
    };
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// Whether `value` can be that of `Host`: a host, which may be empty, and at most a port (RFC 9112,
/// section 3.2; RFC 3986, section 3.2.2).
#[must_use]
pub fn is_host(value: &[u8]) -> bool {
    let is_of_name = |byte: &u8| OF_HOST_NAMES[usize::from(*byte)];
    let (is_named, port) = match value.strip_prefix(b"[") {
        Some(rest) => {
            let end = rest.iter().position(|byte| *byte == b']').unwrap_or(0);
            let (address, port) = rest.split_at(end);
            let is_address = address.iter().all(|byte| *byte == b':' || is_of_name(byte));
            (is_address && end > 0, port.get(1..).unwrap_or_default())
        }
        None => {
            // The first byte that no name has must begin the port.
            let end = value.iter().position(|byte| !is_of_name(byte));
            (true, value.split_at(end.unwrap_or(value.len())).1)
        }
    };
    let is_port = |port: &[u8]| port.iter().all(u8::is_ascii_digit);
    is_named && (port.is_empty() || port.strip_prefix(b":").is_some_and(is_port))
}

/// The bytes that the name of a host may have.
const OF_HOST_NAMES: [bool; 256] = {
    let mut is_of_name = [false; 256];
    let mut byte = 0_u8;
    while byte.is_ascii() {
        is_of_name[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-._~!$&'()*+,;=%";
    let mut at = 0;
    while at < others.len() {
        is_of_name[others[at] as usize] = true;
        at += 1;
    }
    is_of_name
};

/// Whether `name` starts with `prefix`, which is in lower case.
#[must_use]
pub fn starts_with(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_separators() {
        for name in ["a", "X-Title", "x_1.b~|"] {
            assert!(is_name(name.as_bytes()), "{name}");
        }
        for name in ["", "a b", "a:", "a\r\n", "é", "(a)"] {
            assert!(!is_name(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_name_is_compared_whatever_its_case() {
        for name in ["retry-after", "Retry-After", "RETRY-AFTER", "rETRY-aFTER"] {
            assert!(is(name.as_bytes(), b"retry-after"), "{name}");
        }
        for name in [
            "",
            "retry-afte",
            "retry-after-",
            "retry_after",
            "retry-aftes",
        ] {
            assert!(!is(name.as_bytes(), b"retry-after"), "{name}");
        }
    }

    #[test]
    fn whatever_can_be_a_name_is_compared_rightly() {
        for byte in (0..=u8::MAX).filter(|byte| is_name(&[*byte])) {
            for known in *b"abcdefghijklmnopqrstuvwxyz-" {
                let (one, other) = ([b'x', byte], [b'x', known]);
                assert_eq!(is(&one, &other), one.eq_ignore_ascii_case(&other), "{byte}");
            }
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_a_port() {
        for host in [
            "",
            "a",
            "a.example",
            "a:80",
            "a:",
            ":80",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:80",
            "[fe80::1%25en0]:8080",
            "my_host",
            "a%2Fb",
            "xn--bcher-kva.example",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "a b",
            "a/b",
            "u@a",
            "a:b",
            "a:80:80",
            "http://a",
            "[::1",
            "[]",
            "[]:80",
            "::1",
            "[::1]80",
            "[::1]:x",
            "a\\b",
            "a?b",
            "a#b",
            "a\"",
            "bücher.example",
            "a,b c",
            "<a>",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn what_is_about_a_connection_is_known_in_any_case() {
        for name in [
            "TE",
            "Upgrade",
            "trailer",
            "Connection",
            "Keep-Alive",
            "content-length",
            "Proxy-Connection",
            "Transfer-Encoding",
            "Proxy-Authenticate",
            "Proxy-Authorization",
        ] {
            assert!(is_hop_by_hop(name.as_bytes()), "{name}");
        }
        for name in ["", "Accept", "Content-Type", "Proxy-Authorizatiom"] {
            assert!(!is_hop_by_hop(name.as_bytes()), "{name}");
        }
    }
}
