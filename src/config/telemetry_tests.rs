//! What the file and the environment say of traces.

use super::*;
use crate::base::trace::TraceId;
use crate::config::{self, Lookup, Options, Strictness};

/// What a file with this `telemetry` comes to beside these variables, and what is warned of.
fn read(telemetry: &str, variables: &[(&str, &str)]) -> (Option<Otlp>, Vec<String>) {
    match load(telemetry, variables, Strictness::Lenient) {
        Ok(loaded) => {
            let warnings = loaded.warnings.iter().map(ToString::to_string);
            (loaded.plan.otlp, warnings.collect())
        }
        Err(faults) => panic!("{faults:?}"),
    }
}

fn load(
    telemetry: &str,
    variables: &[(&str, &str)],
    strict: Strictness,
) -> Result<config::Loaded, Vec<String>> {
    let variable = |name: &str| {
        let found = variables.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let options = Options {
        environment: Environment::Lookup(Lookup {
            variable: &variable,
            file: &|_| Ok(None),
        }),
        strict,
    };
    let text = format!("providers: [{{name: a, type: ollama, models: [m]}}]\n{telemetry}");
    config::load(&text, &options).map_err(|rejected| {
        let faults = rejected.faults().iter();
        faults.map(ToString::to_string).collect()
    })
}

fn url(otlp: &Otlp) -> String {
    let BaseUrl {
        tls,
        authority,
        path,
        query,
        ..
    } = &otlp.endpoint;
    let scheme = if *tls { "https" } else { "http" };
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{authority}{path}{mark}{query}")
}

fn headers(otlp: &Otlp) -> Vec<(&str, &str)> {
    let headers = otlp.headers.iter();
    headers
        .map(|(name, value)| (&**name, value.expose()))
        .collect()
}

const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ONLY: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

#[test]
fn without_an_endpoint_nothing_is_told() {
    assert!(read("", &[]) == (None, Vec::new()));
    // What is set for others does not matter then.
    assert!(read("", &[("OTEL_TRACES_SAMPLER", "x")]) == (None, Vec::new()));
    let (otlp, warnings) = read("telemetry: {otlp: {sample: 0.5}}", &[]);
    assert!(otlp.is_none() && warnings[0].contains("nor is OTEL_EXPORTER_OTLP_ENDPOINT"));
}

#[test]
fn the_path_of_traces_is_added_where_it_is_not_there() {
    for (endpoint, expected) in [
        ("http://h:4318", "http://h:4318/v1/traces"),
        ("http://h:4318/", "http://h:4318/v1/traces"),
        ("https://h/v1/traces", "https://h/v1/traces"),
        ("https://h/api/otel/", "https://h/api/otel/v1/traces"),
        ("https://h/api?a=b", "https://h/api/v1/traces?a=b"),
    ] {
        let file = format!("telemetry: {{otlp: {{endpoint: '{endpoint}'}}}}");
        assert_eq!(url(&read(&file, &[]).0.unwrap()), expected);
    }
    // Of the environment, that for traces alone is taken as it is.
    let otlp = |variables| url(&read("", variables).0.unwrap());
    assert_eq!(otlp(&[(ALL, "http://h:1/x")]), "http://h:1/x/v1/traces");
    assert_eq!(otlp(&[(TRACES_ONLY, "http://h:1/x")]), "http://h:1/x");
    let both = [(ALL, "http://h:1"), (TRACES_ONLY, "http://h:2/t")];
    assert_eq!(otlp(&both), "http://h:2/t");
}

#[test]
fn the_file_goes_before_the_environment() {
    let environment = [
        (ALL, "https://theirs"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=theirs, x = a%20b"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
    ];
    let theirs = read("", &environment).0.unwrap();
    assert_eq!(url(&theirs), "https://theirs/v1/traces");
    assert_eq!(headers(&theirs), [("api-key", "theirs"), ("x", "a b")]);
    assert!(theirs.gzip && theirs.parent == Parent::Child);
    assert_eq!(theirs.timeout, Duration::from_millis(2_500));
    let file = "telemetry: {otlp: {endpoint: 'https://own', sample: 1, parent: link, \
                compression: none, timeout: 1s, headers: {X-Key: own}}}";
    let own = read(file, &environment).0.unwrap();
    assert_eq!(url(&own), "https://own/v1/traces");
    assert_eq!(headers(&own), [("X-Key", "own")]);
    assert!(!own.gzip && own.parent == Parent::Link);
    assert_eq!(own.timeout, Duration::from_secs(1));
    assert!(own.sampler == Sampler::ratio(WHOLE).by_parent());
    // A key of the environment is not sent to a collector that it was not meant for.
    let file = "telemetry: {otlp: {endpoint: 'https://own'}}";
    assert_eq!(headers(&read(file, &environment).0.unwrap()), []);
    let file = "telemetry: {otlp: {headers: {a: b}}}";
    let otlp = read(file, &environment).0.unwrap();
    assert_eq!(
        (headers(&otlp), &*url(&otlp)),
        (vec![("a", "b")], "https://theirs/v1/traces")
    );
}

#[test]
fn variables_for_traces_go_before_those_for_all() {
    let environment = [
        (ALL, "http://h"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=all"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=traces"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "200"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "300"),
    ];
    let otlp = read("", &environment).0.unwrap();
    assert_eq!(headers(&otlp), [("a", "traces")]);
    assert_eq!((otlp.gzip, otlp.timeout.as_millis()), (false, 300));
}

#[test]
fn all_samplers_of_the_specification_are_known() {
    let (low, high) = (TraceId::fresh([1, 1]), TraceId::fresh([1, u64::MAX]));
    for (word, arg, root, parent) in [
        ("always_on", "", [true, true], [true, true]),
        ("always_off", "", [false, false], [false, false]),
        ("traceidratio", "0.25", [true, false], [true, false]),
        ("traceidratio", "", [true, true], [true, true]),
        ("traceidratio", "2", [true, true], [true, true]),
        ("parentbased_always_on", "", [true, true], [false, true]),
        ("parentbased_always_off", "", [false, false], [false, true]),
        (
            "parentbased_traceidratio",
            "0.25",
            [true, false],
            [false, true],
        ),
        // Without any, or one that nobody knows.
        ("", "", [true, true], [false, true]),
        ("jaeger_remote", "", [true, true], [false, true]),
    ] {
        let environment = [
            (ALL, "http://h"),
            ("OTEL_TRACES_SAMPLER", word),
            ("OTEL_TRACES_SAMPLER_ARG", arg),
        ];
        let (otlp, warnings) = read("", &environment);
        let sampler = otlp.unwrap().sampler;
        assert_eq!(
            [low, high].map(|id| sampler.tells(id, None)),
            root,
            "{word}"
        );
        let by_parent = [
            sampler.tells(low, Some(false)),
            sampler.tells(high, Some(true)),
        ];
        let expected = match word {
            "always_on" | "always_off" | "traceidratio" => {
                [low, high].map(|id| sampler.tells(id, None))
            }
            _ => parent,
        };
        assert_eq!(by_parent, expected, "{word}");
        assert_eq!(
            warnings.is_empty(),
            arg != "2" && word != "jaeger_remote",
            "{word}"
        );
    }
}

#[test]
fn a_share_may_be_as_small_as_a_billionth() {
    let sampler = |share: &str| {
        let file = format!("telemetry: {{otlp: {{endpoint: 'http://h', sample: {share}}}}}");
        read(&file, &[]).0.unwrap().sampler
    };
    assert!(sampler("0.0001") == Sampler::ratio(100_000).by_parent());
    assert!(sampler("1e-9") == Sampler::ratio(1).by_parent());
    assert!(sampler("0") == Sampler::ratio(0).by_parent());
}

#[test]
fn the_environment_can_turn_it_off() {
    for off in [
        ("OTEL_SDK_DISABLED", "TRUE"),
        ("OTEL_TRACES_EXPORTER", "none"),
    ] {
        assert!(read("", &[(ALL, "http://h"), off]).0.is_none());
        let (otlp, warnings) = read("telemetry: {otlp: {endpoint: 'http://h'}}", &[off]);
        assert!(
            otlp.is_none() && warnings[0].contains("has no effect"),
            "{warnings:?}"
        );
    }
    for on in [
        ("OTEL_SDK_DISABLED", "false"),
        ("OTEL_TRACES_EXPORTER", "otlp"),
    ] {
        assert!(read("", &[(ALL, "http://h"), on]).0.is_some());
    }
}

#[test]
fn what_is_told_of_the_process_comes_from_the_environment_and_from_infermux() {
    let resource = |variables: &[(&str, &str)]| {
        let all = [&[(ALL, "http://h")], variables].concat();
        let otlp = read("", &all).0.unwrap();
        let told = |key: &str| {
            let mut values = otlp.resource.iter().filter(|(name, _)| &**name == key);
            let value = values.next().map(|(_, value)| value.to_string());
            assert!(values.next().is_none());
            value
        };
        [SERVICE_NAME, "service.version", "a"].map(told)
    };
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    let infermux = Some("infermux".to_owned());
    assert_eq!(resource(&[]), [infermux.clone(), version.clone(), None]);
    let attributes = "service.name=x,a=b%2Cc, a = d%20e ,service.version=7";
    let set = [("OTEL_RESOURCE_ATTRIBUTES", attributes)];
    let told = ["x", "7", "d e"].map(|text| Some(text.to_owned()));
    assert_eq!(resource(&set), told);
    let set = [set[0], ("OTEL_SERVICE_NAME", "y")];
    assert_eq!(resource(&set)[0].as_deref(), Some("y"));
    // A list that is none is as if it were not there.
    let set = [("OTEL_RESOURCE_ATTRIBUTES", "a=b,c")];
    assert_eq!(resource(&set), [infermux, version, None]);
}

#[test]
fn what_cannot_be_used_is_told_without_its_value() {
    for (variable, value) in [
        (TRACES_ONLY, "hunter2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=hunter2%ff"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=hunter2%0a"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "host=hunter2"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "hunter2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "hunter2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "99"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_EXPORTER", "hunter2"),
        ("OTEL_TRACES_SAMPLER", "hunter2"),
        ("OTEL_RESOURCE_ATTRIBUTES", "hunter2"),
    ] {
        let set = [(ALL, "http://h"), (variable, value)];
        let (_, warnings) = read("telemetry: {otlp: {parent: link}}", &set);
        let told = warnings.first().map(String::as_str).unwrap_or_default();
        assert!(
            told.contains(variable) && !told.contains("hunter"),
            "{told}"
        );
    }
}

#[test]
fn what_is_wrong_in_the_file_is_told_with_its_place() {
    for (keys, told) in [
        (
            "endpoint: nowhere",
            "telemetry.otlp.endpoint: `nowhere` is not a URL",
        ),
        (
            "endpoint: 'http://u:hunter2@h'",
            "telemetry.otlp.endpoint: the value has a user name or password",
        ),
        (
            "endpoint: 'http://h', sample: 1.5",
            "telemetry.otlp.sample: 1.5 is not between 0 and 1",
        ),
        (
            "endpoint: 'http://h', parent: both",
            "telemetry.otlp.parent: `both` is not one of",
        ),
        (
            "endpoint: 'http://h', headers: {Content-Type: x}",
            "telemetry.otlp.headers.Content-Type: is stated by infermux",
        ),
        (
            "endpoint: 'http://h', headers: {a: x, A: y}",
            "telemetry.otlp.headers.A: is named twice",
        ),
    ] {
        let file = format!("telemetry: {{otlp: {{{keys}}}}}");
        let faults = load(&file, &[], Strictness::Lenient).err().unwrap();
        assert!(
            faults[0].contains(told) && !faults[0].contains("hunter2"),
            "{faults:?}"
        );
    }
    let (_, warnings) = read(
        "telemetry: {otlp: {endpoint: 'http://collector.example.com', headers: {a: b}}}",
        &[],
    );
    assert!(warnings[0].contains("in the clear"), "{warnings:?}");
}

#[test]
fn a_proxy_of_the_environment_leads_to_the_collector() {
    let proxy = ("HTTPS_PROXY", "http://proxy.test:3128");
    let otlp = read("telemetry: {otlp: {endpoint: 'https://h.test'}}", &[proxy])
        .0
        .unwrap();
    assert_eq!(otlp.proxy.map(|proxy| proxy.port), Some(3128));
    let otlp = read(
        "telemetry: {otlp: {endpoint: 'https://127.0.0.1'}}",
        &[proxy],
    )
    .0
    .unwrap();
    assert!(otlp.proxy.is_none());
}
