//! Forms as requests: the model, and what else is read of them.

use proptest::prelude::{any, prop_assert_eq, proptest};

use super::*;
use crate::decide::units::Quality;

const TYPE: &[u8] = b"multipart/form-data; boundary=XX";

fn part(name: &str, content: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; {name}\r\n\r\n{content}\r\n")
}

fn form(parts: &[(&str, &str)]) -> String {
    let parts = parts.iter().map(|(name, content)| part(name, content));
    parts.chain(["--XX--\r\n".to_owned()]).collect()
}

fn read(form: &str, step: usize) -> Result<Reading, Fault> {
    let mut reading = Reading::new(TYPE)?;
    for piece in form.as_bytes().chunks(step) {
        reading.push(piece)?;
    }
    reading.finish()?;
    Ok(reading)
}

const MODEL: (&str, &str) = ("name=\"model\"", "whisper-1");
const FILE: (&str, &str) = ("name=\"file\"; filename=\"a.mp3\"", "RIFF\r\n--X");

#[test]
fn the_model_is_found_and_replaced_where_it_stands() {
    for parts in [
        &[MODEL, FILE][..],
        &[FILE, ("name=\"prompt\"", "hi"), MODEL],
        &[("name=n", "3"), MODEL],
    ] {
        let form = form(parts);
        for step in 1..form.len() {
            let mut reading = read(&form, step).expect("a form");
            assert!(reading.has_model());
            let (ask, read) = reading.asks(Some("other")).expect("a model");
            assert_eq!(
                (&*ask.model, &*ask.model_json),
                ("whisper-1", "\"whisper-1\"")
            );
            let mut out = Vec::new();
            let splice = read.edit(form.as_bytes(), Some("big"));
            splice.write(&mut out);
            assert_eq!(splice.len(), out.len());
            let expected = form.replace("whisper-1", "big");
            assert_eq!(String::from_utf8(out), Ok(expected));
            assert!(read.edit(form.as_bytes(), None).is_unchanged());
        }
    }
}

#[test]
fn the_models_name_in_the_path_serves_a_form_without_one() {
    let form = form(&[FILE]);
    let mut reading = read(&form, 7).expect("a form");
    assert_eq!(reading.asks(None), Err(Fault::Ask(AskFault::NoModel)));
    assert_eq!(
        reading.asks(Some("..")).err(),
        Some(Fault::Ask(AskFault::ModelIsDots))
    );
    let (ask, parts) = reading.asks(Some("dep")).expect("a model");
    assert_eq!(&*ask.model, "dep");
    assert!(!parts.names_model());
    let mut out = Vec::new();
    parts.edit(form.as_bytes(), Some("dep")).write(&mut out);
    let out = String::from_utf8(out).expect("text");
    assert_eq!(out, part("name=\"model\"", "dep") + &form);
    let again = read(&out, 5).and_then(|mut reading| reading.asks(None));
    assert_eq!(&*again.expect("a model").0.model, "dep");
}

#[test]
fn a_model_that_comes_once_it_is_settled_is_refused() {
    let mut reading = Reading::new(TYPE).expect("a boundary");
    reading
        .push(part(FILE.0, FILE.1).as_bytes())
        .expect("a part");
    assert!(reading.asks(Some("dep")).is_ok());
    let late = reading.push(part(MODEL.0, MODEL.1).as_bytes());
    assert_eq!(late, Err(Fault::Ask(AskFault::Twice("model"))));
}

#[test]
fn models_that_readers_could_differ_about_are_refused() {
    let long = "m".repeat(MODEL_NAME_BYTES_MAX + 1);
    for (parts, fault) in [
        (&[MODEL, MODEL][..], AskFault::Twice("model")),
        (
            &[("name=\"Model\"", "x"), MODEL],
            AskFault::OtherCase("model"),
        ),
        (
            &[("name=model; filename=x", "x")],
            AskFault::ModelNotAString,
        ),
        (&[("name=model", "")], AskFault::ModelEmpty),
        (&[("name=model", "a\nb")], AskFault::ModelHasControl),
        (&[("name=model", "..")], AskFault::ModelIsDots),
        (&[("name=model", &long)], AskFault::ModelTooLong),
    ] {
        for step in [1, 1_000] {
            let found = read(&form(parts), step).err();
            assert_eq!(found, Some(Fault::Ask(fault)), "{parts:?}");
        }
    }
}

#[test]
fn units_are_read_besides() {
    let form = form(&[
        MODEL,
        FILE,
        ("name=\"n\"", "2"),
        ("name=\"size\"", "512x512"),
        ("name=\"quality\"", "hd"),
        ("name=\"prompt\"", "12345678"),
    ]);
    let mut reading = read(&form, 3).expect("a form");
    assert_eq!(reading.file_bytes(), FILE.1.len() as u64);
    let units = reading.units(32_000);
    assert_eq!(units.images, Some(2));
    assert_eq!(units.pixels, Some(512 * 512));
    assert_eq!(units.quality, Quality::Hd);
    assert_eq!(units.millis, Some(2_000));
    assert_eq!(reading.asks(None).expect("a model").0.prompt_bytes, 8);
}

proptest! {
    #[test]
    fn nothing_panics_and_no_split_matters(
        bytes in proptest::collection::vec(any::<u8>(), 0..200), step in 1..40_usize,
    ) {
        let read = |step: usize| {
            let mut reading = Reading::new(TYPE)?;
            let form = [part(MODEL.0, "m").into_bytes(), bytes.clone()].concat();
            for piece in form.chunks(step) {
                reading.push(piece)?;
            }
            reading.asks(None).map(|(ask, form)| (ask.model.into_owned(), form))
        };
        prop_assert_eq!(read(step), read(1_000));
    }
}
