//! Why a head is refused.

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFault {
    /// No start line, or a byte that is not allowed where it stands.
    Malformed,
    /// A line that ends in LF alone.
    BareLf,
    /// `HTTP/2.0` or the like in the start line.
    Version,
    /// The head is too long, or has too many fields.
    TooLarge,
    /// The request target is too long.
    TargetTooLong,
    /// No `Host`, more than one, or one that cannot be a host.
    Host,
    /// `Content-Length` repeated, differing, not all digits, or too large a number.
    ContentLength,
    /// `Transfer-Encoding` other than one `chunked`, or on HTTP/1.0.
    TransferEncoding,
    /// Both `Content-Length` and `Transfer-Encoding`.
    LengthAndEncoding,
    /// An `Expect` other than `100-continue`.
    Expectation,
}

impl HeadFault {
    /// What the sender is told.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Malformed => "the request is not valid HTTP/1.1",
            Self::BareLf => "a line ends in LF without CR",
            Self::Version => "only HTTP/1.1 and HTTP/1.0 are spoken here",
            Self::TooLarge => "the request head is over 32 KiB or has over 100 fields",
            Self::TargetTooLong => "the request target is over 8 KiB",
            Self::Host => "exactly one Host header is needed, with a host and at most a port",
            Self::ContentLength => "Content-Length must be one number",
            Self::TransferEncoding => "Transfer-Encoding must be `chunked`, once, on HTTP/1.1",
            Self::LengthAndEncoding => "Content-Length and Transfer-Encoding exclude each other",
            Self::Expectation => "the only expectation that can be met is 100-continue",
        }
    }
}
