//! libFuzzer's engine before one target, which `INFERMUX_FUZZ` names.

#![no_main]

use std::sync::LazyLock;

use infermux_fuzz::mutate::Mutator;
use infermux_fuzz::seeds;
use infermux_fuzz::target::Target;
use infermux_fuzz::targets::named;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("INFERMUX_FUZZ").expect("INFERMUX_FUZZ names a target");
    named(&name).expect("a target of this name")
});
static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| seeds::all(*TARGET));

fuzz_target!(|bytes: &[u8]| TARGET.check(bytes));

// Half of the changes are libFuzzer's own, which go by what the program compares; the others know
// lines and JSON.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 2 == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let mut mutator = Mutator::new(u64::from(seed), &SEEDS);
    let mut bytes = data[..size].to_vec();
    mutator.change(&mut bytes);
    let size = bytes.len().min(max_size).min(data.len());
    data[..size].copy_from_slice(&bytes[..size]);
    size
});
