//! Tests of the connection to the shared store: log-in, and answers of all kinds.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;
use crate::config::shared;
use crate::link::queue;

fn node_of(url: &str) -> StoreNode {
    shared::node(url).expect("a URL")
}

fn store(node: StoreNode) -> Store {
    Store {
        nodes: Box::new([node]),
        tls: None,
        connection: None,
        place: 0,
        moved_to: None,
        due: Instant::ZERO,
        told: None,
        scripts: Vec::new(),
    }
}

const INFO: &str = "$23\r\nrun_id:abc\r\nmaxmemory:0\r\n$0\r\n\r\n";

/// What is told of an errand with one call, where a server answers each read with the next of
/// `answers`, and then ends.
fn told(answers: &[&str]) -> Vec<News> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (giver, errands) = queue::queue(4);
    let told = std::cell::RefCell::new(Vec::new());
    let giver = std::cell::RefCell::new(Some(giver));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut peer, _) = listener.accept().unwrap();
            for answer in answers {
                let _ = peer.read(&mut [0; 4_096]);
                peer.write_all(answer.as_bytes()).unwrap();
            }
        });
        store(node_of(&format!("redis://127.0.0.1:{port}"))).run(&errands, &|news| {
            let call = Call {
                script: "return 1",
                keys: vec!["k".to_owned()],
                args: Vec::new(),
            };
            match news {
                News::Connected(_) => {
                    let errand = Errand {
                        number: 7,
                        calls: vec![call],
                    };
                    giver.borrow().as_ref().map(|giver| giver.give(errand));
                }
                News::Done { .. } | News::Lost { .. } => drop(giver.take()),
            }
            told.borrow_mut().push(news);
        });
    });
    told.into_inner()
}

fn last_said(answers: &[&str]) -> Option<Vec<Said>> {
    match told(answers).pop() {
        Some(News::Done {
            number: 7, said, ..
        }) => Some(said),
        Some(News::Lost { number: 7 }) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_store_says_is_handed_on() {
    let list = "*3\r\n:1\r\n$2\r\nab\r\n$-1\r\n";
    let expected = Said::List(vec![
        Said::Number(1),
        Said::Text("ab".into()),
        Said::Nothing,
    ]);
    assert_eq!(last_said(&[INFO, list]), Some(vec![expected]));
}

#[test]
fn a_script_that_the_store_does_not_have_is_sent_as_text() {
    let answers = [INFO, "-NOSCRIPT No matching script.\r\n", ":5\r\n"];
    assert_eq!(last_said(&answers), Some(vec![Said::Number(5)]));
}

#[test]
fn whoever_cannot_serve_is_left() {
    for answer in [
        "-READONLY You can't write against a read only replica.\r\n",
        "-LOADING it loads\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "$999999999999\r\n",
        "-ERR Error running script\r\n",
        "",
    ] {
        assert_eq!(last_said(&[INFO, answer]), None, "{answer}");
    }
}

#[test]
fn a_cluster_names_the_node_that_has_the_namespace() {
    let mut store = store(node_of("redis://h"));
    let moved = Said::Fault("MOVED 3999 10.0.0.7:6381".into());
    assert!(store.look_for_move(&moved).is_err());
    assert_eq!(store.moved_to, Some(("10.0.0.7".into(), 6_381)));
    assert!(store.look_for_move(&Said::Number(1)).is_ok());
}

#[test]
fn a_log_in_that_fails_says_why_and_repeats_no_password() {
    let text = |text: &str| Said::Text(text.into());
    let fault = |text: &str| Said::Fault(text.into());
    let (bare, with) = (node_of("redis://h"), node_of("redis://:hunter2@h"));
    for (node, said, expected) in [
        (
            &with,
            vec![fault("ERR unknown command `AUTH`, with args `hunter2`")],
            "the store does not accept the user name or password of shared.url (ERR)",
        ),
        (
            &bare,
            vec![fault("NOAUTH Authentication required.")],
            "the store asks for a password: shared.url has none (NOAUTH Authentication required.)",
        ),
        (
            &bare,
            vec![fault("NOPERM no permissions")],
            "the store's user may not say INFO, EVAL or EVALSHA (NOPERM no permissions)",
        ),
        (
            &bare,
            vec![text("a:b")],
            "the store does not say its run_id",
        ),
    ] {
        assert_eq!(server(node, &said), Err(Refused(expected.to_owned())));
    }
    let said = [
        text("OK"),
        text("# Server\r\nrun_id:abc\r\n"),
        text("maxmemory:5\r\nmaxmemory_policy:allkeys-lru\r\n"),
    ];
    let server = server(&with, &said).unwrap();
    assert_eq!(
        (&*server.run_id, server.evicts.as_deref()),
        ("abc", Some("allkeys-lru"))
    );
}
