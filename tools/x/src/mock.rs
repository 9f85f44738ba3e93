//! A mock provider of the demo.

/// The addresses of a mock provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mock {
    pub(crate) name: String,
    pub(crate) address: String,
    /// The address for control requests.
    pub(crate) control: String,
}

/// Reads `mock NAME listening on ADDR (control ADDR)`.
pub(crate) fn mock_address(line: &str) -> Option<Mock> {
    let (name, rest) = line.strip_prefix("mock ")?.split_once(" listening on ")?;
    let (address, rest) = rest.split_once(" (control ")?;
    let control = rest.strip_suffix(')')?;
    Some(Mock {
        name: name.to_owned(),
        address: address.to_owned(),
        control: control.to_owned(),
    })
}
