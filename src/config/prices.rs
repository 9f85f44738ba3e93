//! The built-in table of models, their prices above all, and which of its rows applies to a
//! provider's model.

use std::collections::HashMap;

use crate::base::endpoint::Dialect;
use crate::base::money::Price;
use crate::base::tokens::Tokens;
use crate::config::decimal::Decimal;
use crate::config::plan::{ModelPrice, Provider};
use crate::config::vendor::{AZURE_OPENAI, Prices, Vendor};
use crate::decide::pricing::{Rates, Row, Tier};

/// Prices set in the file: by provider name, then by the provider's model name.
pub type Pricing = HashMap<Box<str>, HashMap<Box<str>, ModelPrice>>;

/// List prices: by provider, then by model.
pub struct PriceTable {
    rows: HashMap<&'static str, HashMap<&'static str, Listing>>,
}

/// What the table says of a model.
struct Listing {
    row: Row,
    /// Most tokens of one answer.
    max_output: Option<u64>,
    /// Most tokens of a prompt.
    window: Option<u64>,
}

impl PriceTable {
    /// The table that infermux comes with.
    #[must_use]
    pub fn built_in() -> Self {
        let mut rows: HashMap<&str, HashMap<&str, Listing>> = HashMap::new();
        for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
            // A test reads every line, so that none is left out here.
            if let Some((provider, model, listing)) = read(line) {
                rows.entry(provider).or_default().insert(model, listing);
            }
        }
        Self { rows }
    }

    /// What `model` costs at `provider`; `None`: its price is not known.
    ///
    /// The file's price comes first, then the table's under the provider's name, under the vendor
    /// that its host belongs to, and under its type. An id with a date that none of them has is
    /// looked up once more without its date.
    #[must_use]
    pub fn row_for(&self, provider: &Provider, model: &str, pricing: &Pricing) -> Option<Row> {
        let set = pricing.get(&provider.name);
        let find = |model: &str| {
            let set = set.and_then(|models| models.get(model));
            let set = set.and_then(|price| price.tokens);
            let set = set.map(|(input, output)| Row::flat(input, output));
            set.or_else(|| self.listing(provider, model).map(|listing| listing.row))
        };
        let dated = || find(undated(model)?);
        let free = || (provider.vendor.prices == Prices::Free).then_some(Row::FREE);
        find(model).or_else(dated).or_else(free)
    }

    /// Most tokens that `model` of `provider` gives in one answer; `None`: that is not known. The
    /// row is the one of the table that has the model's price, whether or not the file sets another
    /// price.
    #[must_use]
    pub fn max_output(&self, provider: &Provider, model: &str) -> Option<u64> {
        self.listed(provider, model)?.max_output
    }

    /// Most tokens that `model` of `provider` reads in one request; `None`: that is not known. The
    /// row is the one of [`Self::max_output`].
    #[must_use]
    pub fn window(&self, provider: &Provider, model: &str) -> Option<Tokens> {
        self.listed(provider, model)?.window.map(Tokens::new)
    }

    /// The smallest window in the table.
    #[must_use]
    pub fn least_window(&self) -> Option<Tokens> {
        let listings = self.rows.values().flat_map(HashMap::values);
        let windows = listings.filter_map(|listing| listing.window);
        windows.min().map(Tokens::new)
    }

    fn listed(&self, provider: &Provider, model: &str) -> Option<&Listing> {
        let find = |model: &str| self.listing(provider, model);
        find(model).or_else(|| find(undated(model)?))
    }

    fn listing(&self, provider: &Provider, model: &str) -> Option<&Listing> {
        let listed = |table: &Option<&str>| self.rows.get((*table)?)?.get(model);
        tables(provider).iter().find_map(listed)
    }
}

/// The parts of the table that models of `provider` are looked up in, in this order.
#[must_use]
pub(super) fn tables(provider: &Provider) -> [Option<&str>; 3] {
    [
        Some(&*provider.name),
        vendor(&provider.base.host),
        listed(provider.vendor.prices),
    ]
}

/// Models that `provider` claims and whose price is not known, in the order of the file.
#[must_use]
pub fn unpriced<'p>(table: &PriceTable, provider: &'p Provider, pricing: &Pricing) -> Vec<&'p str> {
    let targets = provider.model_aliases.iter().map(|(_, target)| &**target);
    let mut models: Vec<&str> = Vec::new();
    for model in provider.names().chain(targets) {
        let is_known = models.contains(&model);
        if !is_known && table.row_for(provider, model, pricing).is_none() {
            models.push(model);
        }
    }
    models
}

/// Whether the file's price for `model` may apply to requests to `provider`: an open provider may
/// be asked for any model.
#[must_use]
pub fn may_price(provider: &Provider, model: &str) -> bool {
    let targets = provider.model_aliases.iter().map(|(_, target)| target);
    let names = || provider.models.iter().chain(targets.clone());
    provider.models.is_empty()
        || names().any(|name| **name == *model || undated(name) == Some(model))
}

/// Reads a line of the table.
fn read(line: &'static str) -> Option<(&'static str, &'static str, Listing)> {
    let mut words = line.split(' ');
    let (provider, model) = (words.next()?, words.next()?);
    let (input, output) = (price(words.next()?)?, price(words.next()?)?);
    let (cache_read, cache_write) = (price(words.next()?), price(words.next()?));
    let cache_write = cache_write.unwrap_or(input);
    let rates = Rates {
        input,
        cache_read: cache_read.unwrap_or(input),
        cache_write,
        cache_write_1h: price(words.next()?).unwrap_or(cache_write),
        output,
    };
    let (max_output, window) = (count(words.next()?)?, count(words.next()?)?);
    let tier = match words.next() {
        None => None,
        Some(above) => {
            let (input, output) = (price(words.next()?)?, price(words.next()?)?);
            let cache_read = price(words.next()?);
            let rates = Rates {
                cache_read: cache_read.unwrap_or(input),
                ..Rates::flat(input, output)
            };
            let above = Tokens::new(above.parse().ok()?);
            Some(Tier { above, rates })
        }
    };
    let listing = Listing {
        row: Row { rates, tier },
        max_output,
        window,
    };
    words.next().is_none().then_some((provider, model, listing))
}

/// A count, or the dash of one that is not known; `None`: it is neither.
fn count(text: &str) -> Option<Option<u64>> {
    match text {
        "-" => Some(None),
        count => count.parse().ok().map(Some),
    }
}

/// US dollars per million tokens; `None` for the dash of a price that is not known.
fn price(text: &str) -> Option<Price> {
    let nano_usd = Decimal::parse(text).ok()?.exactly(9)?;
    u64::try_from(nano_usd).ok().map(Price::per_million)
}

/// The part of the table that belongs to the vendor of this host.
fn vendor(host: &str) -> Option<&'static str> {
    let belongs = |domain: &str| {
        let Some(at) = host.len().checked_sub(domain.len()) else {
            return false;
        };
        let Some((before, end)) = host.split_at_checked(at) else {
            return false;
        };
        end.eq_ignore_ascii_case(domain) && (before.is_empty() || before.ends_with('.'))
    };
    let of = VENDORS.iter().find(|(domain, _)| belongs(domain));
    of.map(|(_, table)| *table)
}

/// Whether a provider of this type and with this host is one of OpenAI's own, Azure's included.
#[must_use]
pub fn is_openais_host(of_type: &Vendor, host: &str) -> bool {
    match of_type.dialect {
        Dialect::Chat | Dialect::Responses => {
            matches!(vendor(host), Some("openai" | "azure_openai")) || *of_type == AZURE_OPENAI
        }
        Dialect::Messages => false,
    }
}

/// The part of the table that belongs to a type.
const fn listed(prices: Prices) -> Option<&'static str> {
    match prices {
        Prices::Listed(part) => Some(part),
        Prices::Free => None,
    }
}

/// The id without its date: `-2024-08-06`, `-20240806` or `@20240806`.
pub(super) fn undated(model: &str) -> Option<&str> {
    let date = |shape: &str| {
        let (name, date) = model.split_at_checked(model.len().checked_sub(shape.len())?)?;
        let fits = |(found, wanted): (u8, u8)| match wanted {
            b'0' => found.is_ascii_digit(),
            mark => found == mark,
        };
        let all = date.bytes().zip(shape.bytes()).all(fits);
        (all && !name.is_empty()).then_some(name)
    };
    ["-0000-00-00", "-00000000", "@00000000"]
        .into_iter()
        .find_map(date)
}

/// Domains, each with the part of the table that belongs to its vendor.
const VENDORS: [(&str, &str); 12] = [
    ("openai.com", "openai"),
    ("anthropic.com", "anthropic"),
    ("openai.azure.com", "azure_openai"),
    ("cognitiveservices.azure.com", "azure_openai"),
    ("services.ai.azure.com", "azure_openai"),
    ("generativelanguage.googleapis.com", "gemini"),
    ("groq.com", "groq"),
    ("mistral.ai", "mistral"),
    ("together.xyz", "together"),
    ("together.ai", "together"),
    ("x.ai", "xai"),
    ("deepseek.com", "deepseek"),
];

const TEXT: &str = include_str!("prices.txt");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::money::NanoUsd;
    use crate::base::tokens::Counts;
    use crate::config::plan::Plan;
    use crate::config::{self, Environment, Options, Strictness};
    use crate::decide::pricing::cost;

    const FILE: &str = "
providers:
  - {name: openai, type: openai, api_key: k}
  - {name: groq, type: openai, api_key: k, base_url: \"http://127.0.0.1:1/v1\"}
  - {name: fast, type: openai, api_key: k, base_url: \"https://api.GROQ.com/openai/v1\"}
  - {name: claude, type: anthropic, api_key: k}
  - {name: az, type: azure_openai, api_key: k, base_url: \"https://x.openai.azure.com\"}
  - {name: home, type: ollama}
  - {name: own, type: openai, api_key: k, base_url: \"http://127.0.0.1:1/v1\"}
pricing:
  openai: {gpt-4o: {input_per_million: 7, output_per_million: 8}}
  home: {llama3.2: {input_per_million: 1, output_per_million: 2}}
  own: {mine: {input_per_million: 0.1, output_per_million: 0.2}}
";

    fn plan() -> Plan {
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        config::load(FILE, &options).ok().unwrap().plan
    }

    fn provider<'p>(plan: &'p Plan, name: &str) -> &'p Provider {
        let mut providers = plan.providers.iter();
        providers.find(|one| &*one.name == name).unwrap()
    }

    /// What a million tokens of input and of output cost, in millionths of a dollar.
    fn check(cases: &[(&str, &str, Option<[u64; 2]>)]) {
        let plan = plan();
        let table = PriceTable::built_in();
        for (name, model, expected) in cases {
            let row = table.row_for(provider(&plan, name), model, &plan.pricing);
            let million = Tokens::new(1_000_000);
            let found = row.map(|row| {
                [row.rates.input, row.rates.output].map(|price| price.of(million).get() / 1_000)
            });
            assert_eq!(found, *expected, "{model} at {name}");
        }
    }

    #[test]
    fn the_file_comes_first_then_name_vendor_and_type() {
        check(&[
            ("openai", "gpt-4o", Some([7_000_000, 8_000_000])),
            ("openai", "gpt-4o-mini", Some([150_000, 600_000])),
            ("own", "gpt-4o", Some([2_500_000, 10_000_000])),
            ("own", "mine", Some([100_000, 200_000])),
            ("own", "else", None),
            ("groq", "llama-3.1-8b-instant", Some([50_000, 80_000])),
            ("fast", "llama-3.1-8b-instant", Some([50_000, 80_000])),
            ("own", "llama-3.1-8b-instant", None),
            ("claude", "claude-opus-4-5", Some([5_000_000, 25_000_000])),
            ("claude", "claude-haiku-3-5", Some([800_000, 4_000_000])),
            ("az", "text-embedding-3-small", Some([22_000, 0])),
            ("home", "llama3.2", Some([1_000_000, 2_000_000])),
            ("home", "anything", Some([0, 0])),
        ]);
    }

    #[test]
    fn a_dated_id_falls_back_to_the_undated_one() {
        check(&[
            ("openai", "gpt-4o-2031-01-31", Some([7_000_000, 8_000_000])),
            ("own", "gpt-4o-20310131", Some([2_500_000, 10_000_000])),
            (
                "claude",
                "claude-opus-4-5@20310131",
                Some([5_000_000, 25_000_000]),
            ),
            // The id with its date has a row of its own, which comes before the row without a date.
            ("openai", "gpt-4o-2024-05-13", Some([5_000_000, 15_000_000])),
            ("openai", "gpt-4o-2024", None),
            ("openai", "-2024-05-13", None),
            ("openai", "é2024-05-13", None),
        ]);
    }

    #[test]
    fn a_window_is_as_long_as_the_table_says() {
        let (plan, table) = (plan(), PriceTable::built_in());
        for (name, model, expected) in [
            ("own", "gpt-4o", Some(128_000)),
            ("openai", "gpt-4o", Some(128_000)),
            ("own", "gpt-4o-2031-01-31", Some(128_000)),
            // Of its window of 400,000 tokens, a prompt may take this part.
            ("own", "gpt-5", Some(272_000)),
            ("az", "gpt-4", Some(8_192)),
            ("claude", "claude-haiku-3-5", Some(200_000)),
            ("own", "text-embedding-3-small", Some(8_191)),
            ("own", "mine", None),
            ("home", "llama3.2", None),
        ] {
            let found = table.window(provider(&plan, name), model);
            assert_eq!(found, expected.map(Tokens::new), "{model} at {name}");
        }
        assert_eq!(table.least_window(), Some(Tokens::new(512)));
    }

    #[test]
    fn an_answer_is_as_long_as_the_table_says() {
        let (plan, table) = (plan(), PriceTable::built_in());
        for (name, model, expected) in [
            ("own", "gpt-4o", Some(16_384)),
            // The file's price says nothing of the length.
            ("openai", "gpt-4o", Some(16_384)),
            ("own", "gpt-4o-2024-08-06", Some(16_384)),
            ("own", "gpt-4o-2024-05-13", Some(4_096)),
            ("own", "gpt-4o-2031-01-31", Some(16_384)),
            ("own", "text-embedding-3-small", None),
            ("own", "mine", None),
            ("home", "llama3.2", None),
        ] {
            let found = table.max_output(provider(&plan, name), model);
            assert_eq!(found, expected, "{model} at {name}");
        }
    }

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = TEXT.lines().filter(|line| !line.starts_with('#'));
        let mut count = 0;
        for line in lines {
            assert!(read(line).is_some(), "{line}");
            count += 1;
        }
        let rows = PriceTable::built_in().rows;
        assert_eq!(rows.values().map(HashMap::len).sum::<usize>(), count);
        let tables = VENDORS.iter().map(|(_, table)| table);
        assert!(tables.into_iter().all(|table| rows.contains_key(table)));
    }

    #[test]
    fn prices_that_are_not_known_are_those_of_the_input() {
        let rows = PriceTable::built_in().rows;
        let (gpt, old) = (&rows["openai"]["gpt-5.5"].row, &rows["openai"]["gpt-4"].row);
        assert_eq!(gpt.rates.cache_write, gpt.rates.input);
        assert_eq!((old.rates.cache_read, old.tier), (old.rates.input, None));
        let (claude, haiku) = (
            &rows["anthropic"]["claude-sonnet-4-5"].row.rates,
            &rows["anthropic"]["claude-haiku-3-5"].row.rates,
        );
        let four = Tokens::new(4);
        assert_eq!(claude.cache_write.of(four).get(), 15_000);
        assert_eq!(claude.cache_write_1h.of(four).get(), 24_000);
        assert_eq!(haiku.cache_write_1h, haiku.cache_write);
        let counts = |input| Counts {
            input: Tokens::new(input),
            cache_read: Tokens::new(1_000),
            ..Counts::default()
        };
        let micro_usd = |nano: u64| NanoUsd::new(nano * 1_000);
        assert_eq!(cost(&counts(271_000), gpt), micro_usd(271_000 * 5 + 500));
        assert_eq!(cost(&counts(271_001), gpt), micro_usd(271_001 * 10 + 1_000));
    }

    #[test]
    fn openais_own_hosts_are_told_from_compatible_ones() {
        let plan = plan();
        for (name, expected) in [
            ("openai", true),
            ("az", true),
            ("groq", false),
            ("own", false),
            ("claude", false),
            ("home", false),
        ] {
            assert_eq!(provider(&plan, name).is_openais_host, expected, "{name}");
        }
    }

    #[test]
    fn a_host_belongs_to_the_vendor_of_its_domain() {
        for (host, table) in [
            ("api.openai.com", Some("openai")),
            ("openai.com", Some("openai")),
            ("notopenai.com", None),
            ("api.openai.com.evil.test", None),
            ("eu.openai.azure.com", Some("azure_openai")),
            ("api.x.ai", Some("xai")),
            ("max.ai", None),
            ("éx.ai", None),
            ("", None),
        ] {
            assert_eq!(vendor(host), table, "{host}");
        }
    }
}
