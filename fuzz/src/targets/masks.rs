//! Configured keys, wherever a provider quotes them.

use infermux::testing::exchange::masks::OwnMasks;
use infermux::testing::readers::config::{Environment, Options, Strictness, load};
use infermux::testing::readers::exchange::masks::Masks;

use crate::target::Target;

/// Whatever a provider quotes, no key is left in it.
pub(super) const MASKS: Target = Target {
    name: "masks",
    run: masks,
    times: 64,
    folders: &[],
    fronts: &[],
};

const KEYS: [&str; 3] = [
    "sk-0123456789abcdefABCDEF",
    "sk-0123456789abcdefABCDEF-and-more",
    "second-key-of-another-9876543210",
];

thread_local! {
    static OF_PLAN: (Masks, OwnMasks) = of_plan();
}

fn of_plan() -> (Masks, OwnMasks) {
    let providers = KEYS.iter().enumerate().map(|(number, key)| {
        format!("  - {{name: p{number}, type: openai, api_key: \"{key}\", models: [m]}}\n")
    });
    let text = format!("providers:\n{}", providers.collect::<String>());
    let options = Options {
        environment: Environment::Unresolved,
        strict: Strictness::Lenient,
    };
    let Ok(loaded) = load(&text, &options) else {
        panic!("the file is in order");
    };
    let plan = loaded.plan;
    (Masks::of(&plan, None), OwnMasks::of(&plan.providers[0]))
}

fn masks(bytes: &[u8]) {
    OF_PLAN.with(|(masks, own)| {
        let mut text = bytes.to_vec();
        masks.mask(&mut text);
        assert_eq!(text.len(), bytes.len());
        for (before, behind) in bytes.iter().zip(&text) {
            assert!(before == behind || *behind == b'*');
        }
        check(&text, &KEYS);
        let told = String::from_utf8_lossy(bytes);
        check(
            masks
                .for_log(&told, Some(b"caller's own key"), 200)
                .as_bytes(),
            &KEYS,
        );
        for mask in [OwnMasks::mask_value, OwnMasks::mask_answer] {
            let mut text = bytes.to_vec();
            mask(own, &mut text);
            check(&text, &KEYS[..1]);
        }
    });
}

fn check(text: &[u8], keys: &[&str]) {
    for key in keys {
        let is_there = text.windows(key.len()).any(|part| part == key.as_bytes());
        assert!(!is_there, "{key} is left");
    }
}
