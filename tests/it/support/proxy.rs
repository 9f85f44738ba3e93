//! A forward proxy for tests: it opens tunnels and passes requests on, or fails in a way of choice.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a proxy does with a request.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// It leads to the place that it knows, whatever host is asked for.
    Leads,
    /// It sends these bytes, and closes.
    Says(&'static str),
    /// It sends these bytes, and then nothing more.
    SaysAndHangs(&'static str),
}

/// A proxy that runs until it is dropped.
pub struct Proxy {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// A proxy of which every host is at `to`.
    pub fn start(to: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let (stop, heads) = (Arc::<AtomicBool>::default(), Arc::default());
        let (stopped, seen) = (Arc::clone(&stop), Arc::clone(&heads));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), seen) = (stream, Arc::clone(&seen)) else {
                    continue;
                };
                std::thread::spawn(move || serve(stream, to, manner, &seen));
            }
        });
        Self { addr, stop, heads }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The heads of the requests that it was sent, in order.
    pub fn heads(&self) -> Vec<String> {
        lock(&self.heads).clone()
    }

    /// Forgets the heads, and returns them.
    pub fn take_heads(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.heads))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.addr);
    }
}

/// Serves one request, and closes.
fn serve(mut near: TcpStream, to: SocketAddr, manner: Manner, heads: &Mutex<Vec<String>>) {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        let mut part = [0; 4096];
        match near.read(&mut part) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&part[..count]),
            Ok(_) | Err(_) => return,
        }
    };
    let rest = bytes.split_off(end);
    let head = String::from_utf8(bytes).expect("a head in ASCII");
    lock(heads).push(head.clone());
    match manner {
        Manner::Says(bytes) => {
            let _ = near.write_all(bytes.as_bytes());
            let _ = near.shutdown(Shutdown::Write);
            let _ = near.read_to_end(&mut Vec::new());
            return;
        }
        Manner::SaysAndHangs(bytes) => {
            let _ = near.write_all(bytes.as_bytes());
            let _ = near.read_to_end(&mut Vec::new());
            return;
        }
        Manner::Leads => {}
    }
    let mut far = TcpStream::connect(to).expect("the place that it knows");
    if head.starts_with("CONNECT ") {
        let _ = near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
    } else {
        let _ = far.write_all(in_origin_form(&head).as_bytes());
    }
    let _ = far.write_all(&rest);
    both_ways(near, far);
}

/// The head as a server of its own is sent it, once.
fn in_origin_form(head: &str) -> String {
    let (line, fields) = head.split_once("\r\n").expect("a line");
    let (method, url) = line.split_once(" http://").expect("a URL");
    let (_, path) = url.split_once('/').expect("a path");
    let fields = fields.split("\r\n").filter(|line| {
        let line = line.to_ascii_lowercase();
        !line.starts_with("proxy-") && !line.starts_with("connection:")
    });
    let fields: Vec<&str> = fields.collect();
    format!(
        "{method} /{path}\r\nConnection: close\r\n{}",
        fields.join("\r\n")
    )
}

fn both_ways(near: TcpStream, far: TcpStream) {
    let clone = |stream: &TcpStream| stream.try_clone().expect("a socket");
    let (near_too, far_too) = (clone(&near), clone(&far));
    std::thread::spawn(move || pass(near_too, far_too));
    pass(far, near);
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
