//! Where Azure OpenAI answers (reference/openai-api.md, section 7).

/// The target of a request, in two parts; where the deployment is the request's model, its name
/// goes between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Up to the deployment's name.
    pub before: String,
    /// Behind it; `None` where the target needs no deployment's name between.
    pub after: Option<String>,
}

/// The Azure resource of a provider, as its configuration has it.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    /// Path of the `base_url`, without a trailing slash.
    pub path: &'a str,
    /// Query of the `base_url`.
    pub query: &'a str,
    /// `azure_deployment`, where there is one for all models.
    pub deployment: Option<&'a str>,
    /// `azure_api_version`.
    pub version: &'a str,
}

/// The target for `endpoint`, which has no leading slash: `chat/completions`, `models`, ….
///
/// A base with `/openai/v1` is the v1 form, which names no deployment and needs no version; a base
/// with `/deployments/` names its deployment itself; any other base is a resource's root.
#[must_use]
pub fn target(resource: &Resource<'_>, endpoint: &str) -> Target {
    let Resource {
        path,
        query,
        deployment,
        version,
    } = *resource;
    if path.contains("/openai/v1") {
        return whole(format!("{path}/{endpoint}{}", queried(query, None)));
    }
    let query = queried(query, Some(version));
    if let Some((resource, _)) = path.split_once("/deployments/") {
        return whole(match endpoint {
            "models" => format!("{resource}/models{query}"),
            _ => format!("{path}/{endpoint}{query}"),
        });
    }
    let root = if path.ends_with("/openai") {
        path.to_owned()
    } else {
        format!("{path}/openai")
    };
    match (endpoint, deployment) {
        ("models", _) => whole(format!("{root}/models{query}")),
        (_, Some(name)) => {
            let mut before = format!("{root}/deployments/");
            percent_encode(name, &mut before);
            whole(format!("{before}/{endpoint}{query}"))
        }
        (_, None) => Target {
            before: format!("{root}/deployments/"),
            after: Some(format!("/{endpoint}{query}")),
        },
    }
}

/// The target for what belongs to the resource and not to a deployment, such as its files.
#[must_use]
pub fn resource_target(resource: &Resource<'_>, endpoint: &str) -> Target {
    let Resource {
        path,
        query,
        version,
        ..
    } = *resource;
    if path.contains("/openai/v1") {
        return v1_target(resource, endpoint);
    }
    let root = path
        .split_once("/deployments/")
        .map_or(path, |(root, _)| root);
    let root = root.strip_suffix("/openai").unwrap_or(root);
    whole(format!(
        "{root}/openai/{endpoint}{}",
        queried(query, Some(version))
    ))
}

/// The target for an endpoint of Responses, which stand only in the v1 form: without a deployment,
/// and without the version that the others need.
#[must_use]
pub fn v1_target(resource: &Resource<'_>, endpoint: &str) -> Target {
    let Resource { path, query, .. } = *resource;
    let query = queried(query, None);
    if path.contains("/openai/v1") {
        return whole(format!("{path}/{endpoint}{query}"));
    }
    let root = path
        .split_once("/deployments/")
        .map_or(path, |(root, _)| root);
    let root = root.strip_suffix("/openai").unwrap_or(root);
    whole(format!("{root}/openai/v1/{endpoint}{query}"))
}

/// Appends `name` as one segment of a path (RFC 3986, section 3.3).
pub fn percent_encode(name: &str, out: &mut String) {
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble & 0xf)]);
            out.extend(['%', digit(byte >> 4), digit(byte)]);
        }
    }
}

fn whole(target: String) -> Target {
    Target {
        before: target,
        after: None,
    }
}

/// The query with its question mark; the version unless the query brings one.
fn queried(query: &str, version: Option<&str>) -> String {
    let has_version = query
        .split('&')
        .any(|pair| pair.starts_with("api-version="));
    match (query, version.filter(|_| !has_version)) {
        ("", None) => String::new(),
        ("", Some(version)) => format!("?api-version={version}"),
        (query, None) => format!("?{query}"),
        (query, Some(version)) => format!("?{query}&api-version={version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, query: &str, deployment: Option<&str>, expected: &str) {
        let resource = Resource {
            path,
            query,
            deployment,
            version: "2024-10-21",
        };
        let Target { before, after } = target(&resource, "chat/completions");
        let shown = after.map_or(before.clone(), |after| format!("{before}<model>{after}"));
        assert_eq!(shown, expected);
    }

    #[test]
    fn each_form_of_base_has_its_target() {
        let version = "?api-version=2024-10-21";
        check(
            "",
            "",
            None,
            &format!("/openai/deployments/<model>/chat/completions{version}"),
        );
        check(
            "/openai",
            "",
            Some("a b"),
            &format!("/openai/deployments/a%20b/chat/completions{version}"),
        );
        check(
            "/x",
            "y=1",
            Some("d"),
            "/x/openai/deployments/d/chat/completions?y=1&api-version=2024-10-21",
        );
        check(
            "/openai/deployments/d",
            "api-version=1",
            None,
            "/openai/deployments/d/chat/completions?api-version=1",
        );
        check("/openai/v1", "", Some("d"), "/openai/v1/chat/completions");
        check(
            "/openai/v1",
            "api-version=preview",
            None,
            "/openai/v1/chat/completions?api-version=preview",
        );
    }

    #[test]
    fn models_are_listed_at_the_resource() {
        for path in ["", "/openai", "/openai/deployments/d"] {
            let resource = Resource {
                path,
                query: "",
                deployment: None,
                version: "1",
            };
            assert_eq!(
                target(&resource, "models").before,
                "/openai/models?api-version=1"
            );
        }
    }
}
