//! The built-in table of models that are not billed by their tokens.

use std::collections::HashMap;
use std::str::Split;

use crate::base::money::NanoUsd;
use crate::config::decimal::Decimal;
use crate::config::plan::Provider;
use crate::config::prices::{self, Pricing};
use crate::decide::units::{ImagePrice, KindPrices, Quality, UnitPrice};

/// List prices: by provider, then by model.
pub struct UnitTable {
    rows: HashMap<&'static str, HashMap<&'static str, UnitPrice>>,
}

impl UnitTable {
    /// The table that infermux comes with.
    #[must_use]
    pub fn built_in() -> Self {
        let mut rows: HashMap<&str, HashMap<&str, UnitPrice>> = HashMap::new();
        for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
            // A test reads every line, so that none is left out here.
            if let Some((provider, model, price)) = read(line) {
                rows.entry(provider).or_default().insert(model, price);
            }
        }
        Self { rows }
    }

    /// What `model` costs at `provider` besides tokens; `None`: that is not known.
    ///
    /// The file's price comes first, then the table's, as with tokens (see
    /// [`PriceTable::row_for`](prices::PriceTable::row_for)).
    #[must_use]
    pub fn price_of<'p>(
        &'p self,
        provider: &Provider,
        model: &str,
        pricing: &'p Pricing,
    ) -> Option<&'p UnitPrice> {
        let set = pricing.get(&provider.name);
        let find = |model: &str| {
            let set = set.and_then(|models| models.get(model)?.units.as_ref());
            set.or_else(|| {
                let mut tables = prices::tables(provider).into_iter().flatten();
                tables.find_map(|table| self.rows.get(table)?.get(model))
            })
        };
        find(model).or_else(|| find(prices::undated(model)?))
    }
}

/// Reads a line of the table.
fn read(line: &'static str) -> Option<(&'static str, &'static str, UnitPrice)> {
    let mut words = line.split(' ');
    let (provider, model) = (words.next()?, words.next()?);
    let unit = words.next()?;
    let price = if unit == "tokens" {
        UnitPrice::Tokens(Box::new(KindPrices {
            text_in: usd(words.next()?)?,
            media_in: usd(words.next()?)?,
            text_out: usd(words.next()?)?,
            media_out: usd(words.next()?)?,
            otherwise: match words.next() {
                Some(unit) => Some(price(unit, &mut words)?),
                None => None,
            },
        }))
    } else {
        price(unit, &mut words)?
    };
    words.next().is_none().then_some((provider, model, price))
}

/// Reads the price of one `unit`.
fn price(unit: &str, words: &mut Split<'static, char>) -> Option<UnitPrice> {
    Some(match unit {
        "hour" => UnitPrice::Hour(usd(words.next()?)?),
        "million_characters" => UnitPrice::Characters(usd(words.next()?)?),
        "request" => UnitPrice::Request(usd(words.next()?)?),
        "images" => {
            let mut prices = Vec::new();
            while let Some(quality) = words.next() {
                prices.push(ImagePrice {
                    quality: Quality::named(quality.as_bytes())?,
                    pixels_max: match words.next()? {
                        "-" => u64::MAX,
                        pixels => pixels.parse().ok()?,
                    },
                    price: usd(words.next()?)?,
                });
            }
            UnitPrice::Images(prices.into())
        }
        _ => return None,
    })
}

fn usd(text: &str) -> Option<NanoUsd> {
    let nano = Decimal::parse(text).ok()?.exactly(9)?;
    u64::try_from(nano).ok().map(NanoUsd::new)
}

const TEXT: &str = include_str!("unit_prices.txt");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment, Options, Strictness};
    use crate::decide::units::Units;

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = TEXT.lines().filter(|line| !line.starts_with('#'));
        let mut seen = std::collections::HashSet::new();
        for line in lines {
            let (provider, model, price) = read(line).expect(line);
            assert!(seen.insert((provider, model)), "{line}");
            let images = match &price {
                UnitPrice::Tokens(prices) => prices.otherwise.as_ref(),
                other => Some(other),
            };
            if let Some(UnitPrice::Images(prices)) = images {
                // What says nothing of its quality is taken for the last one, where there is no
                // usual quality: then the last must be the dearest.
                let dearest = prices.iter().map(|one| one.price).max();
                assert_eq!(prices.last().map(|one| one.price), dearest, "{line}");
            }
        }
        for bad in [
            "openai",
            "openai m hour",
            "openai m hour x",
            "openai m hour 1 2",
            "openai m day 1",
            "openai m images standard - ",
            "openai m images fine - 1",
            "openai m tokens 1 2 3",
            "openai m tokens 1 2 3 4 5",
            "openai m tokens 1 2 3 4 tokens 1 2 3 4",
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_files_price_comes_before_the_tables() {
        let text = "
providers:
  - {name: openai, type: openai, api_key: k}
  - {name: fast, type: openai, api_key: k, base_url: 'https://api.groq.com/openai/v1'}
  - {name: own, type: openai, base_url: 'http://localhost:1/v1'}
pricing:
  openai: {tts-1: {per_million_characters: 7}, big: {per_image: 0.5}}
  own: {whisper: {per_second: 0.001}, both: {per_second: 1, input_per_million: 1,
    output_per_million: 2}}
";
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        let Ok(loaded) = config::load(text, &options) else {
            panic!("a good file");
        };
        let plan = loaded.plan;
        let table = UnitTable::built_in();
        let units = Units {
            millis: Some(60_000),
            characters: Some(1_000_000),
            images: Some(2),
            ..Units::default()
        };
        for (provider, model, expected) in [
            (0, "whisper-1", Some(6_000_000)),
            (0, "tts-1", Some(7_000_000_000)),
            (0, "tts-1-hd", Some(30_000_000_000)),
            (0, "big", Some(1_000_000_000)),
            (0, "dall-e-3", Some(80_000_000)),
            // No tokens are told: the dearest picture, and the time.
            (0, "gpt-image-1", Some(500_000_000)),
            (0, "gpt-4o-transcribe", Some(6_000_000)),
            (0, "gpt-image-2", None),
            (0, "omni-moderation-latest", Some(0)),
            (0, "gpt-4o", None),
            (1, "whisper-large-v3", Some(1_850_000)),
            (2, "whisper", Some(60_000_000)),
            (2, "whisper-2026-01-01", Some(60_000_000)),
            (2, "both", Some(60_000_000_000)),
            // A server of one's own has the prices of its type.
            (2, "tts-1", Some(15_000_000_000)),
        ] {
            let found = table.price_of(&plan.providers[provider], model, &plan.pricing);
            let cost = found.and_then(|price| price.of(&units)).map(NanoUsd::get);
            assert_eq!(cost, expected, "{provider} {model}");
        }
    }
}
