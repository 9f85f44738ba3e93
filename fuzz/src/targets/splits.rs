//! How bytes may arrive.

/// Ways to cut `bytes` into reads: whole, in two halves somewhere, in small pieces, and one by one
/// where they are few.
pub(super) fn of(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let seed = seed_of(bytes);
    let at = seed % (bytes.len() + 1);
    let step = 1 + seed / 7 % 61;
    let mut ways = vec![
        vec![bytes],
        vec![&bytes[..at], &bytes[at..]],
        bytes.chunks(step).collect(),
    ];
    if bytes.len() <= FEW {
        ways.push(bytes.chunks(1).collect());
    }
    ways
}

/// A number that the bytes alone decide.
pub(super) fn seed_of(bytes: &[u8]) -> usize {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from(hash >> 33).unwrap_or_default()
}

/// `bytes`, with one byte, whose place they decide, in another's place; and the same with a digit
/// or a letter more there.
pub(super) fn changed(bytes: &[u8]) -> [Vec<u8>; 2] {
    let seed = seed_of(bytes);
    let place = seed % bytes.len().max(1);
    let mut other = bytes.to_vec();
    if let Some(byte) = other.get_mut(place) {
        *byte = b"\"\\,:}10e a"[seed / 11 % 10];
    }
    let mut longer = bytes.to_vec();
    longer.insert(place, b"07a"[seed / 13 % 3]);
    [other, longer]
}

/// Most bytes that are read one by one.
const FEW: usize = 400;

/// What a target's variants are chosen by, and the rest of the input.
pub(super) fn front(bytes: &[u8]) -> (usize, &[u8]) {
    match bytes.split_first() {
        Some((first, rest)) => (usize::from(first.wrapping_sub(b'0')), rest),
        None => (0, bytes),
    }
}
