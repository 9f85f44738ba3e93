//! Providers whose name has many addresses.

use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use infermux_mock::Mock;
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::support::client::{Answer, Client};
use crate::support::router::{Router, Start};
use crate::support::{chat, config_of, eventually, mock, provider};

/// A server at an address of its own: it passes all bytes on to a mock, until it dies.
struct Pod {
    mock: Mock,
    addr: SocketAddr,
    is_dead: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Pod {
    /// A pod at `127.0.0.LAST`, on a port that is free there; 0: on any.
    fn start(last: u8, port: u16) -> Self {
        let mock = mock(json!({"name": "alpha"}));
        let (is_dead, streams) = (Arc::default(), Arc::default());
        let addr = SocketAddr::from(([127, 0, 0, last], port));
        let mut pod = Self {
            mock,
            addr,
            is_dead,
            streams,
        };
        pod.live();
        pod
    }

    /// Listens, from now on until it dies.
    fn live(&mut self) {
        let listener = TcpListener::bind(self.addr).expect("a port");
        self.addr = listener.local_addr().expect("an address");
        let is_dead = Arc::<AtomicBool>::default();
        self.is_dead = Arc::clone(&is_dead);
        let (to, streams) = (self.mock.address(), Arc::clone(&self.streams));
        std::thread::spawn(move || {
            for near in listener.incoming() {
                if is_dead.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(near), Ok(far)) = (near, TcpStream::connect(to)) else {
                    continue;
                };
                let clone = |stream: &TcpStream| stream.try_clone().expect("a socket");
                lock(&streams).extend([clone(&near), clone(&far)]);
                let (near_too, far_too) = (clone(&near), clone(&far));
                std::thread::spawn(move || pass(near_too, far_too));
                std::thread::spawn(move || pass(far, near));
            }
        });
    }

    /// Closes all its connections, and accepts no further ones.
    fn die(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
        for stream in lock(&self.streams).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        eventually("nobody listens", || TcpStream::connect(self.addr).is_err());
    }

    fn requests(&self) -> u64 {
        self.mock.stats().requests
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.is_dead.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file of hosts in which `many.test` has these addresses.
fn hosts(addresses: &[IpAddr]) -> String {
    let lines = addresses.iter().map(|ip| format!("{ip} many.test\n"));
    format!("127.0.0.1 localhost\n{}", lines.collect::<String>())
}

/// What runs a command with the file in `$0` in place of `/etc/hosts`, for it alone: as whoever may
/// be root among his own, or as root.
fn with_hosts(as_root: bool) -> Command {
    let mut command = Command::new("unshare");
    if !as_root {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "sh", "-c"]);
    command.arg("mount --bind \"$0\" /etc/hosts && exec \"$@\"");
    command
}

/// Says that nothing is tested, and fails where `.ci/run` has found that it could be.
fn not_tested() {
    let set = |name| std::env::var(name).is_ok_and(|value| value == "true");
    let told = "not tested: no process may have a file of hosts of its own here";
    assert!(!set("CI") || set("INFERMUX_TEST_WITHOUT_HOSTS"), "{told}");
    eprintln!("{told}");
}

/// A router that knows `many.test` by the file of hosts that is returned, too; `None`: this machine
/// gives no process a file of hosts of its own.
fn router(config: &str, addresses: &[IpAddr]) -> Option<(Router, PathBuf)> {
    let mut start = Start::with(config);
    let file = start.folder().write("hosts", hosts(addresses));
    let is_allowed = |as_root: &bool| {
        let mut command = with_hosts(*as_root);
        command.arg(&file).arg("true").stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let Some(as_root) = [false, true].into_iter().find(is_allowed) else {
        not_tested();
        return None;
    };
    let mut command = with_hosts(as_root);
    command.arg(&file).arg(start.command().get_program());
    command.args(start.command().get_args());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    *start.command() = command;
    Some((start.go(), file))
}

fn config(port: u16, fields: &[&str]) -> String {
    let alpha = mock(json!({"name": "alpha"}));
    let base = format!("base_url: \"http://many.test:{port}/v1\"");
    let fields: Vec<&str> = [&*base].into_iter().chain(fields.iter().copied()).collect();
    config_of(&[provider(&alpha, &fields)], "server: {shards: 1}\n")
}

fn ask(client: &mut Client) -> Answer {
    let answer = client.chat(&chat("x"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

#[test]
fn requests_are_spread_and_a_dead_address_is_left_out_until_it_is_back() {
    let first = Pod::start(2, 0);
    let port = first.addr.port();
    let mut pods = vec![first, Pod::start(3, port), Pod::start(4, port)];
    let all: Vec<IpAddr> = pods.iter().map(|pod| pod.addr.ip()).collect();
    let Some((router, file)) = router(&config(port, &[]), &all) else {
        return;
    };
    let mut client = Client::connect(router.addr());
    (0..30).for_each(|_| drop(ask(&mut client)));
    let counts: Vec<u64> = pods.iter().map(Pod::requests).collect();
    assert!(
        counts.iter().all(|count| (8..=12).contains(count)),
        "{counts:?}"
    );

    // Another one comes, and one dies: no request fails of it.
    pods.push(Pod::start(5, port));
    let more: Vec<IpAddr> = pods.iter().map(|pod| pod.addr.ip()).collect();
    std::fs::write(&file, hosts(&more)).expect("the file of hosts");
    pods[1].die();
    let before = pods[1].requests();
    eventually("the new address is found", || {
        ask(&mut client);
        pods[3].requests() > 5
    });
    assert_eq!(pods[1].requests(), before);
    pods[1].live();
    eventually("the dead one is back", || {
        ask(&mut client);
        pods[1].requests() > before + 5
    });
}

#[test]
fn an_address_that_nobody_answers_at_costs_one_request_its_share() {
    let pod = Pod::start(7, 0);
    let port = pod.addr.port();
    let hole = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 8), port));
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    listener.bind(&hole.into()).expect("a port");
    listener.listen(0).expect("a listener");
    let mut queue = Vec::new();
    loop {
        let one = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        if one
            .connect_timeout(&hole.into(), Duration::from_millis(200))
            .is_err()
        {
            break;
        }
        queue.push(one);
    }
    let config = config(port, &["connect_timeout: 4s"]);
    let Some((router, _)) = router(&config, &[hole.ip(), pod.addr.ip()]) else {
        return;
    };
    let start = Instant::now();
    let mut client = Client::connect(router.addr());
    (0..10).for_each(|_| drop(ask(&mut client)));
    assert_eq!(pod.requests(), 10);
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
}
