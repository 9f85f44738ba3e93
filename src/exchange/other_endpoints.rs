//! The paths of endpoints beside those for conversations and embeddings.

use crate::base::endpoint::Endpoint;
use crate::exchange::segments;

/// The endpoint at this path, which stands behind `/v1` or nothing.
#[must_use]
pub fn at(path: &str) -> Option<Endpoint> {
    find(&OTHERS, path)
}

/// The endpoint at this path, which begins with its version.
#[must_use]
pub fn versioned(path: &str) -> Option<Endpoint> {
    segments::are(path, "v2/rerank").then_some(Endpoint::RerankV2)
}

/// The endpoint of a deployment, as in Azure, and the part of the path before it.
#[must_use]
pub fn of_deployment(path: &str) -> Option<(Endpoint, &str)> {
    let mut deployed = OTHERS.iter().take(DEPLOYED);
    deployed.find_map(|(endpoint, words)| Some((*endpoint, segments::before(path, words)?)))
}

fn find(table: &[(Endpoint, &str)], path: &str) -> Option<Endpoint> {
    let mut table = table.iter();
    let found = table.find(|(_, words)| segments::are(path, words));
    found.map(|(endpoint, _)| *endpoint)
}

/// The first ones exist below deployments, too.
const DEPLOYED: usize = 5;
const OTHERS: [(Endpoint, &str); 10] = [
    (Endpoint::Transcriptions, "audio/transcriptions"),
    (Endpoint::Translations, "audio/translations"),
    (Endpoint::Speech, "audio/speech"),
    (Endpoint::ImageGenerations, "images/generations"),
    (Endpoint::ImageEdits, "images/edits"),
    (Endpoint::Moderations, "moderations"),
    (Endpoint::Rerank, "rerank"),
    (Endpoint::Score, "score"),
    (Endpoint::Tokenize, "tokenize"),
    (Endpoint::Detokenize, "detokenize"),
];
