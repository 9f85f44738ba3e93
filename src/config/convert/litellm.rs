//! LiteLLM's `config.yaml` as a file of infermux.

use crate::config::convert::Converted;
use crate::config::convert::deployment::{self, Deployment};
use crate::config::convert::layout::{Layout, Name, Rank, TooMuch};
use crate::config::convert::settings::{After, Fallback, Settings};
use crate::config::convert::source::{Left, Source};
use crate::config::convert::write;
use crate::config::faults::{Fault, printable};
use crate::config::raw::{lines, yaml};

/// Converts the `text` of a `config.yaml`.
///
/// # Errors
///
/// The text is no YAML, or has nothing that a provider could be made of.
pub fn convert(text: &str) -> Result<Converted, Vec<Fault>> {
    let entries = yaml::parse(text).map_err(|fault| vec![fault])?;
    let left = Left::default();
    let root = Source::new("", &entries, &left);
    if root.node("model_list").is_none() {
        let message = "has no `model_list`: it is no configuration of LiteLLM's proxy";
        return Err(vec![Fault::new("", String::from(message))]);
    }
    let credentials = root.blocks("credential_list");
    let deployments: Vec<Deployment> = root
        .blocks("model_list")
        .iter()
        .filter_map(|entry| deployment::read(entry, &credentials))
        .collect();
    let settings = Settings::read(&root);
    root.rest(&ROOT);
    let layout = layout(&deployments, &settings, &left);
    let written = layout.map(|layout| (routes(&layout), write::text(&layout, &settings)));
    let (mut left, literal_keys) = left.into_parts();
    lines::find(text, left.iter_mut());
    left.sort_by_key(|fault| fault.line);
    match written {
        Ok((routes, text)) if !routes.is_empty() => Ok(Converted {
            text,
            left,
            literal_keys,
            routes,
        }),
        Ok(_) => {
            let message = "no entry can be converted";
            left.push(Fault::new("model_list", String::from(message)));
            Err(left)
        }
        Err(TooMuch) => {
            let message = "models and fallbacks come to more providers than a file may have";
            Err(vec![Fault::new("model_list", String::from(message))])
        }
    }
}

/// Each name, and the providers that it leads to.
fn routes(layout: &Layout) -> Vec<(String, Vec<String>)> {
    let route = |name: &Name| {
        let seats = name
            .to
            .iter()
            .filter_map(|place| layout.providers.get(*place));
        (
            name.name.clone(),
            seats.map(|seat| seat.name.clone()).collect(),
        )
    };
    layout.names.iter().map(route).collect()
}

fn layout(deployments: &[Deployment], settings: &Settings, left: &Left) -> Result<Layout, TooMuch> {
    let mut layout = Layout::default();
    for one in deployments {
        layout.add(one)?;
    }
    for (name, to) in &settings.aliases {
        let path = format!("router_settings.model_group_alias.{}", printable(name));
        let named = of_name(deployments, to);
        if named.is_empty() {
            left.note(&path, "names no model of `model_list`");
        }
        for one in named {
            layout.lead(name, one, Rank::First)?;
        }
    }
    for fallback in &settings.fallbacks {
        fall_back(&mut layout, (deployments, settings), fallback, left)?;
    }
    Ok(layout)
}

fn fall_back(
    layout: &mut Layout,
    (deployments, settings): (&[Deployment], &Settings),
    fallback: &Fallback,
    left: &Left,
) -> Result<(), TooMuch> {
    let Fallback { path, of, to, .. } = fallback;
    let has_own = |name: &str| {
        let mut others = settings.fallbacks.iter();
        others.any(|other| other.of.as_deref() == Some(name) && other.after == After::Failures)
    };
    let stands_for = |name: &str, of: &str| {
        let mut aliases = settings.aliases.iter();
        aliases.any(|(alias, to)| alias == name && to == of)
    };
    let known = layout.names.iter().map(|one| one.name.clone());
    let of_all = |name: &String| match of {
        Some(of) => name == of || stands_for(name, of),
        None => !has_own(name) && !to.contains(name),
    };
    let names: Vec<String> = known.filter(of_all).collect();
    if names.is_empty() && of.is_some() {
        left.note(path, "is no model of `model_list`");
    }
    for name in &names {
        for to in to {
            let named = of_name(deployments, to);
            if named.is_empty() {
                left.note(
                    path,
                    format!("names {}, which is no model of `model_list`", printable(to)),
                );
            }
            for one in named {
                layout.lead(name, one, Rank::Later)?;
            }
        }
        let primaries = layout.names.iter().find(|one| one.name == *name);
        if primaries.is_some_and(|one| one.is_ordered() && one.primaries > 1) {
            let message = format!(
                "the providers of {} are asked in the order of the group's list, not in turn: \
                 only the strategy `priority` keeps the others to fall back on behind them",
                printable(name)
            );
            left.note(path, message);
        }
    }
    Ok(())
}

/// The deployments of a name; those of a pattern have no models of their own.
fn of_name<'d>(deployments: &'d [Deployment], name: &str) -> Vec<&'d Deployment> {
    let named = deployments.iter();
    named
        .filter(|one| one.name == name && !one.name.contains(deployment::ANY))
        .collect()
}

const ROOT: [(&str, &str); 3] = [
    (
        "environment_variables",
        "infermux reads variables, and sets none",
    ),
    ("include", "convert the files that it names one by one"),
    ("guardrails", "infermux has no guardrails"),
];
