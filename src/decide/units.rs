//! What requests cost that are not billed by their tokens: by the time of sound, by characters, by
//! pictures, or each.

use crate::base::money::NanoUsd;
use crate::base::tokens::Tokens;

/// What a request asks for, or what its answer has brought, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Milliseconds of sound.
    pub millis: Option<u64>,
    /// Characters of text that is spoken.
    pub characters: Option<u64>,
    /// Pictures.
    pub images: Option<u64>,
    /// The size of each picture.
    pub pixels: Option<u64>,
    /// The quality of each picture.
    pub quality: Quality,
    /// Tokens by kind.
    pub tokens: Option<TokenKinds>,
}

/// Tokens of a request and its answer, by what they stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenKinds {
    /// Text in the request.
    pub text_in: u64,
    /// Sound or pictures in the request.
    pub media_in: u64,
    /// Text in the answer.
    pub text_out: u64,
    /// Sound or pictures in the answer, and what the answer does not tell apart.
    pub media_out: u64,
}

/// The quality of pictures, as far as prices know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quality {
    /// The usual one.
    #[default]
    Standard,
    /// The better one, which costs more.
    Hd,
    /// The least of three.
    Low,
    /// The middle one of three.
    Medium,
    /// The best of three.
    High,
}

impl Quality {
    /// The quality that a request or the table calls so.
    #[must_use]
    pub const fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"standard" => Self::Standard,
            b"hd" => Self::Hd,
            b"low" => Self::Low,
            b"medium" => Self::Medium,
            b"high" => Self::High,
            _ => return None,
        })
    }
}

/// What a model costs that is not billed by its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitPrice {
    /// An hour of sound.
    Hour(NanoUsd),
    /// A million characters.
    Characters(NanoUsd),
    /// Pictures, by quality and size.
    Images(Box<[ImagePrice]>),
    /// Each request, whatever is in it.
    Request(NanoUsd),
    /// Tokens, by kind.
    Tokens(Box<KindPrices>),
}

/// What a million tokens of each kind cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindPrices {
    /// Of text in the request.
    pub text_in: NanoUsd,
    /// Of sound or pictures in the request.
    pub media_in: NanoUsd,
    /// Of text in the answer.
    pub text_out: NanoUsd,
    /// Of sound or pictures in the answer.
    pub media_out: NanoUsd,
    /// What counts before an answer tells its tokens, and where it tells none.
    pub otherwise: Option<UnitPrice>,
}

impl KindPrices {
    fn of(&self, tokens: &TokenKinds) -> NanoUsd {
        let kinds = [
            (self.text_in, tokens.text_in),
            (self.media_in, tokens.media_in),
            (self.text_out, tokens.text_out),
            (self.media_out, tokens.media_out),
        ];
        let costs = kinds.map(|(price, count)| u128::from(price.get()) * u128::from(count));
        let exact = costs.into_iter().fold(0, u128::saturating_add);
        NanoUsd::saturating(exact.saturating_add(500_000) / 1_000_000)
    }
}

/// What a picture costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImagePrice {
    /// The quality that it is for.
    pub quality: Quality,
    /// The largest size that it is for, in pixels.
    pub pixels_max: u64,
    /// The price.
    pub price: NanoUsd,
}

impl Units {
    /// These units, and where they do not say, `asked`.
    #[must_use]
    pub fn or(self, asked: Self) -> Self {
        Self {
            millis: self.millis.or(asked.millis),
            characters: self.characters.or(asked.characters),
            images: self.images.or(asked.images),
            pixels: self.pixels.or(asked.pixels),
            quality: asked.quality,
            tokens: self.tokens,
        }
    }
}

impl UnitPrice {
    /// What `units` cost, rounded half up to a whole nano-dollar; `None`: the units that the price
    /// is for are not known.
    #[must_use]
    pub fn of(&self, units: &Units) -> Option<NanoUsd> {
        match self {
            Self::Hour(price) => Some(share(*price, units.millis?, MILLIS_PER_HOUR)),
            Self::Characters(price) => Some(share(*price, units.characters?, 1_000_000)),
            Self::Images(prices) => {
                let price = image(prices, units);
                Some(share(price, units.images?, 1))
            }
            Self::Request(price) => Some(*price),
            Self::Tokens(prices) => match (&units.tokens, &prices.otherwise) {
                (Some(tokens), _) => Some(prices.of(tokens)),
                (None, Some(otherwise)) => otherwise.of(units),
                (None, None) => None,
            },
        }
    }

    /// What a prompt of text costs, where the price is one of tokens; `None`: it is another one.
    #[must_use]
    pub fn of_prompt(&self, prompt: Tokens) -> Option<NanoUsd> {
        match self {
            Self::Tokens(prices) => Some(prices.of(&TokenKinds {
                text_in: prompt.get(),
                ..TokenKinds::default()
            })),
            Self::Hour(_) | Self::Characters(_) | Self::Images(_) | Self::Request(_) => None,
        }
    }
}

/// The price of one picture: the first of its quality that is for its size, else the last of its
/// quality, else the last.
fn image(prices: &[ImagePrice], units: &Units) -> NanoUsd {
    let pixels = units.pixels.unwrap_or(USUAL_PIXELS);
    let of_quality = |one: &&ImagePrice| one.quality == units.quality;
    let mut fitting = prices.iter().filter(of_quality);
    let fits = fitting.find(|one| pixels <= one.pixels_max);
    let last = || prices.iter().rfind(of_quality).or(prices.last());
    fits.or_else(last).map_or(NanoUsd::ZERO, |one| one.price)
}

fn share(price: NanoUsd, count: u64, of: u128) -> NanoUsd {
    let exact = u128::from(price.get()) * u128::from(count);
    NanoUsd::saturating((exact + of / 2) / of)
}

const MILLIS_PER_HOUR: u128 = 3_600_000;
/// The size of a picture where nothing is said of it: 1024 by 1024.
const USUAL_PIXELS: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(nano: u64) -> NanoUsd {
        NanoUsd::new(nano)
    }

    #[test]
    fn each_price_is_for_its_own_units() {
        let units = Units {
            millis: Some(90_500),
            characters: Some(1_234),
            images: Some(3),
            ..Units::default()
        };
        let images = |price| {
            UnitPrice::Images(Box::new([ImagePrice {
                quality: Quality::Standard,
                pixels_max: u64::MAX,
                price: usd(price),
            }]))
        };
        for (price, expected) in [
            (UnitPrice::Hour(usd(360_000_000)), 9_050_000),
            // Half of a nano-dollar is rounded up.
            (UnitPrice::Hour(usd(20)), 1),
            (UnitPrice::Characters(usd(15_000_000_000)), 18_510_000),
            (images(40_000_000), 120_000_000),
            (UnitPrice::Request(usd(7)), 7),
            (UnitPrice::Hour(usd(u64::MAX)), 463_730_649_630_754_006),
        ] {
            let found = price.of(&units);
            assert_eq!(found, Some(usd(expected)), "{price:?}");
        }
        let nothing = Units::default();
        for price in [
            UnitPrice::Hour(usd(1)),
            UnitPrice::Characters(usd(1)),
            images(1),
        ] {
            assert_eq!(price.of(&nothing), None, "{price:?}");
        }
        assert_eq!(UnitPrice::Request(usd(7)).of(&nothing), Some(usd(7)));
    }

    #[test]
    fn tokens_cost_by_kind_and_something_else_counts_where_none_are_told() {
        let prices = |otherwise| {
            UnitPrice::Tokens(Box::new(KindPrices {
                text_in: usd(5_000_000_000),
                media_in: usd(10_000_000_000),
                text_out: usd(20_000_000_000),
                media_out: usd(40_000_000_000),
                otherwise,
            }))
        };
        let told = Units {
            millis: Some(3_600_000),
            tokens: Some(TokenKinds {
                text_in: 10,
                media_in: 194,
                text_out: 3,
                media_out: 1_056,
            }),
            ..Units::default()
        };
        let silent = Units {
            tokens: None,
            ..told
        };
        let hour = Some(UnitPrice::Hour(usd(7)));
        assert_eq!(prices(hour.clone()).of(&told), Some(usd(44_290_000)));
        assert_eq!(prices(hour).of(&silent), Some(usd(7)));
        assert_eq!(prices(None).of(&silent), None);
        let prompt = Tokens::new(3);
        assert_eq!(prices(None).of_prompt(prompt), Some(usd(15_000)));
        assert_eq!(UnitPrice::Hour(usd(7)).of_prompt(prompt), None);
        let most = TokenKinds {
            text_in: u64::MAX,
            media_in: u64::MAX,
            text_out: u64::MAX,
            media_out: u64::MAX,
        };
        let most = Units {
            tokens: Some(most),
            ..told
        };
        assert_eq!(prices(None).of(&most), Some(usd(u64::MAX)));
    }

    #[test]
    fn pictures_cost_by_quality_and_size() {
        let price = |quality, pixels_max, price| ImagePrice {
            quality,
            pixels_max,
            price: usd(price),
        };
        let prices = UnitPrice::Images(Box::new([
            price(Quality::Standard, 1 << 20, 40),
            price(Quality::Standard, u64::MAX, 80),
            price(Quality::Hd, 1 << 20, 81),
            price(Quality::Hd, 2 << 20, 120),
        ]));
        for (quality, pixels, expected) in [
            (Quality::Standard, None, 40),
            (Quality::Standard, Some(1 << 20), 40),
            (Quality::Standard, Some(1792 * 1024), 80),
            (Quality::Hd, None, 81),
            (Quality::Hd, Some(1792 * 1024), 120),
            (Quality::Hd, Some(u64::MAX), 120),
        ] {
            let units = Units {
                images: Some(1),
                pixels,
                quality,
                ..Units::default()
            };
            assert_eq!(prices.of(&units), Some(usd(expected)), "{units:?}");
        }
    }
}
