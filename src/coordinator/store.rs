//! The connection to the store over which several instances share their limits and budgets, on a
//! thread of its own because it blocks.
//!
//! It carries out what the coordinator sends, and decides nothing. After a fault it connects again
//! by itself; whatever was under way then is lost, and the coordinator says it again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Script};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::base::secret::Secret;
use crate::base::time::Instant;
use crate::config::shared::{Shared, StoreNode};
use crate::link::queue::{Taken, Taker};
use crate::link::store::{Call, Errand, News, Said, Server};
use crate::sys::redis::{NoExchange, Redis};
use crate::sys::{clock, entropy, names};

/// The store of a fleet.
pub struct Store {
    nodes: Box<[StoreNode]>,
    /// What its certificate is verified with, and for which name in place of the host's.
    tls: Option<(Arc<ClientConfig>, Option<Box<str>>)>,
    connection: Option<Redis>,
    /// The node that is tried next.
    place: usize,
    /// The node of a cluster that has the namespace, once another node has named it.
    moved_to: Option<(Box<str>, u16)>,
    /// When it is tried to connect.
    due: Instant,
    /// The last fault that was logged since there was a connection.
    told: Option<String>,
    scripts: Vec<(&'static str, Script)>,
}

/// Why nothing was carried out; a sentence for the log.
#[derive(Debug, PartialEq, Eq)]
struct Refused(String);

impl Store {
    /// The store that `shared` names; `tls` is what its certificate is verified with.
    #[must_use]
    pub fn new(shared: &Shared, tls: Option<Arc<ClientConfig>>) -> Self {
        let name = shared.tls.server_name.clone();
        Self {
            nodes: shared.nodes.clone(),
            tls: tls.map(|config| (config, name)),
            connection: None,
            place: 0,
            moved_to: None,
            due: Instant::ZERO,
            told: None,
            scripts: Vec::new(),
        }
    }

    /// Carries out errands until no sender is left, and tells the news.
    pub fn run(mut self, errands: &Taker<Errand>, tell: &dyn Fn(News)) {
        loop {
            let wait = match self.connection {
                Some(_) => Duration::MAX,
                None => self.due.since(clock::now()),
            };
            match errands.within(wait.min(LONGEST_WAIT)) {
                Taken::Work(errand) => tell(self.carry_out(&errand)),
                Taken::Nothing => {}
                Taken::Gone => return,
            }
            if self.connection.is_none()
                && clock::now() >= self.due
                && let Some(server) = self.connect()
            {
                tell(News::Connected(Arc::new(server)));
            }
        }
    }

    /// Carries out `calls` for a command, over a connection of its own.
    ///
    /// # Errors
    ///
    /// The store cannot be used; a sentence that says why.
    pub fn ask(&mut self, calls: &[Call]) -> Result<Vec<Said>, String> {
        self.open_for_command()?;
        let first = self.call(calls, clock::now() + COMMAND_MAX);
        let said = match first {
            // Another node of the cluster has the namespace.
            Err(Refused(_)) if self.moved_to.is_some() => {
                self.connection = None;
                self.open_for_command()?;
                self.call(calls, clock::now() + COMMAND_MAX)
            }
            said => said,
        };
        said.map_err(|Refused(fault)| fault)
    }

    /// The keys that begin with `prefix`.
    ///
    /// # Errors
    ///
    /// The store cannot be used; a sentence that says why.
    pub fn keys(&mut self, prefix: &str) -> Result<Vec<String>, String> {
        self.open_for_command()?;
        let (mut keys, mut cursor) = (Vec::new(), String::from("0"));
        loop {
            let mut scan = redis::cmd("SCAN");
            let pattern = format!("{}*", escaped(prefix));
            scan.arg(&cursor)
                .arg("MATCH")
                .arg(pattern)
                .arg("COUNT")
                .arg(1_000);
            let said = self.exchange(&[scan], clock::now() + COMMAND_MAX);
            let mut said = said.map_err(|Refused(fault)| fault)?;
            match said.pop() {
                Some(Said::List(parts)) => match parts.as_slice() {
                    [Said::Text(next), Said::List(found)] => {
                        cursor = next.to_string();
                        keys.extend(found.iter().filter_map(|key| match key {
                            Said::Text(key) => Some(key.to_string()),
                            _ => None,
                        }));
                    }
                    _ => return Err("its answer to SCAN is none".to_owned()),
                },
                other => return Err(format!("it refuses SCAN ({other:?})")),
            }
            if cursor == "0" {
                keys.sort_unstable();
                keys.dedup();
                return Ok(keys);
            }
        }
    }

    fn open_for_command(&mut self) -> Result<(), String> {
        let mut last = String::from("it has no URL");
        for _ in 0..=self.nodes.len() {
            if self.connection.is_some() {
                return Ok(());
            }
            match self.log_in() {
                Ok((connection, _)) => self.connection = Some(connection),
                Err(Refused(fault)) => {
                    last = format!("{}: {fault}", self.shown());
                    self.place = self.place.wrapping_add(1);
                    self.moved_to = None;
                }
            }
        }
        Err(last)
    }

    fn carry_out(&mut self, errand: &Errand) -> News {
        let (number, sent) = (errand.number, clock::now());
        let said = self.call(&errand.calls, sent + EXCHANGE_MAX);
        match said {
            Ok(said) => News::Done {
                number,
                said,
                took: clock::now().since(sent),
            },
            Err(Refused(fault)) => {
                self.lose(&fault);
                News::Lost { number }
            }
        }
    }

    /// Sends `calls`, each by the check sum of its script, and by its text where the store does not
    /// have it.
    fn call(&mut self, calls: &[Call], until: Instant) -> Result<Vec<Said>, Refused> {
        let by_sum: Vec<Cmd> = calls.iter().map(|call| self.by_sum(call)).collect();
        let mut said = self.exchange(&by_sum, until)?;
        let unknown: Vec<usize> = (0..said.len())
            .filter(|place| said.get(*place).and_then(code) == Some("NOSCRIPT"))
            .collect();
        if !unknown.is_empty() {
            let calls = unknown.iter().filter_map(|place| calls.get(*place));
            let by_text: Vec<Cmd> = calls
                .map(|call| command("EVAL", call.script, call))
                .collect();
            let again = self.exchange(&by_text, until)?;
            for (place, answer) in unknown.into_iter().zip(again) {
                if let Some(slot) = said.get_mut(place) {
                    *slot = answer;
                }
            }
        }
        for one in &said {
            self.look_for_move(one)?;
        }
        Ok(said)
    }

    fn by_sum(&mut self, call: &Call) -> Cmd {
        let mut known = self.scripts.iter();
        let place = known.position(|(text, _)| std::ptr::eq(*text, call.script));
        let place = place.unwrap_or_else(|| {
            self.scripts.push((call.script, Script::new(call.script)));
            self.scripts.len() - 1
        });
        let sum = self.scripts.get(place).map(|(_, script)| script.get_hash());
        command("EVALSHA", sum.unwrap_or_default(), call)
    }

    fn exchange(&mut self, commands: &[Cmd], until: Instant) -> Result<Vec<Said>, Refused> {
        let Some(connection) = &mut self.connection else {
            return Err(Refused("there is no connection".to_owned()));
        };
        let said = connection.exchange(commands, until);
        said.map_err(|fault| Refused(fault.to_string()))
    }

    /// Where the node that was asked cannot serve, another one is to be asked.
    fn look_for_move(&mut self, said: &Said) -> Result<(), Refused> {
        let (Some(code), Said::Fault(text)) = (code(said), said) else {
            return Ok(());
        };
        if matches!(code, "MOVED" | "ASK") {
            self.moved_to = text.split(' ').nth(2).and_then(|node| {
                let (host, port) = node.rsplit_once(':')?;
                Some((host.into(), port.parse().ok()?))
            });
            return Err(Refused(format!("another node has the namespace: {text}")));
        }
        Err(Refused(format!("the store answers {text}")))
    }

    /// Drops the connection; the next one is tried in a while.
    fn lose(&mut self, fault: &str) {
        let was_connected = self.connection.take().is_some();
        let pause = PAUSE_MIN + Duration::from_millis(entropy::seed() % PAUSE_SPREAD_MILLIS);
        let pause = if was_connected && self.moved_to.is_some() {
            Duration::ZERO
        } else {
            pause
        };
        self.due = clock::now() + pause;
        // An outage of minutes is told once for each of its reasons, not at each attempt.
        if self.told.as_deref() != Some(fault) {
            let store = self.shown();
            tracing::warn!(store, fault, "the shared store cannot be used");
            self.told = Some(fault.to_owned());
        }
    }

    /// Where the next connection goes, for the log.
    fn shown(&self) -> String {
        let (host, port) = match (&self.moved_to, self.node()) {
            (Some((host, port)), _) => (&**host, *port),
            (None, Some(node)) => (&*node.host, node.port),
            (None, None) => ("", 0),
        };
        format!("{host}:{port}")
    }

    fn node(&self) -> Option<&StoreNode> {
        self.nodes.get(self.place % self.nodes.len().max(1))
    }

    /// Connects and logs in; `None`: it is tried again later.
    fn connect(&mut self) -> Option<Server> {
        match self.log_in() {
            Ok((connection, server)) => {
                self.connection = Some(connection);
                self.told = None;
                let (store, run_id) = (self.shown(), &*server.run_id);
                tracing::info!(store, run_id, "connected to the shared store");
                Some(server)
            }
            Err(Refused(fault)) => {
                self.lose(&fault);
                self.place = self.place.wrapping_add(1);
                self.moved_to = None;
                None
            }
        }
    }

    fn log_in(&self) -> Result<(Redis, Server), Refused> {
        let node = self
            .node()
            .ok_or_else(|| Refused("it has no URL".to_owned()))?;
        let (host, port) = match &self.moved_to {
            // A node that does not know its own host means the one that was asked.
            Some((host, port)) if host.is_empty() => (&node.host, *port),
            Some((host, port)) => (host, *port),
            None => (&node.host, node.port),
        };
        let addresses = names::look_up(host, port)
            .map_err(|fault| Refused(format!("the name {host} is not found: {fault}")))?;
        let mut connection = self.open(node, (host, &addresses))?;
        let until = clock::now() + LOG_IN_MAX;
        let said = connection.exchange(&log_in_commands(node), until);
        let said = said.map_err(|fault| Refused(fault.to_string()))?;
        Ok((connection, server(node, &said)?))
    }

    fn open(
        &self,
        node: &StoreNode,
        (host, addresses): (&str, &[SocketAddr]),
    ) -> Result<Redis, Refused> {
        let tls = self.tls.as_ref().filter(|_| node.tls);
        let tls = tls.map(|(config, name)| {
            let name = name.as_deref().unwrap_or(host).to_owned();
            let name = ServerName::try_from(name)
                .map_err(|fault| Refused(format!("its name cannot be verified: {fault}")))?;
            Ok((Arc::clone(config), name))
        });
        let connection = Redis::connect(addresses, tls.transpose()?, clock::now() + LOG_IN_MAX);
        connection.map_err(|fault: NoExchange| Refused(fault.to_string()))
    }
}

/// What is sent first: who we are, and what the server is.
fn log_in_commands(node: &StoreNode) -> Vec<Cmd> {
    let mut commands = Vec::new();
    if let Some(password) = &node.password {
        let mut auth = redis::cmd("AUTH");
        for part in node
            .user
            .as_deref()
            .into_iter()
            .chain([Secret::expose(password)])
        {
            auth.arg(part);
        }
        commands.push(auth);
    }
    if node.database > 0 {
        let mut select = redis::cmd("SELECT");
        select.arg(node.database);
        commands.push(select);
    }
    for section in ["server", "memory"] {
        let mut info = redis::cmd("INFO");
        info.arg(section);
        commands.push(info);
    }
    commands
}

/// The server, by what it said to [`log_in_commands`].
fn server(node: &StoreNode, said: &[Said]) -> Result<Server, Refused> {
    let mut rest = said;
    if let Some((first, others)) = said.split_first()
        && node.password.is_some()
    {
        // What a server says of a command that it does not know may repeat its arguments.
        if let Some(code) = code(first) {
            let problem = "the store does not accept the user name or password of shared.url";
            return Err(Refused(format!("{problem} ({code})")));
        }
        rest = others;
    }
    if let Some(Said::Fault(fault)) = rest.iter().find(|one| code(one).is_some()) {
        let hint = match code_of(fault) {
            "NOAUTH" => "the store asks for a password: shared.url has none",
            "NOPERM" => "the store's user may not say INFO, EVAL or EVALSHA",
            _ => "the store refuses",
        };
        return Err(Refused(format!("{hint} ({fault})")));
    }
    let lines = rest.iter().filter_map(|one| match one {
        Said::Text(text) => Some(text.lines()),
        Said::Nothing | Said::Number(_) | Said::List(_) | Said::Fault(_) => None,
    });
    let lines: Vec<&str> = lines.flatten().collect();
    let value = |name: &str| {
        let mut pairs = lines
            .iter()
            .filter_map(|line| line.trim_end().split_once(':'));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let run_id = value("run_id").filter(|id| !id.is_empty() && id.len() <= RUN_ID_BYTES_MAX);
    let run_id = run_id.ok_or_else(|| Refused("the store does not say its run_id".to_owned()))?;
    let is_bounded = value("maxmemory").is_some_and(|bytes| bytes != "0");
    let policy = value("maxmemory_policy").filter(|policy| *policy != "noeviction");
    Ok(Server {
        run_id: run_id.into(),
        evicts: policy.filter(|_| is_bounded).map(Into::into),
    })
}

fn command(name: &str, script: &str, call: &Call) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(call.keys.len());
    for part in call.keys.iter().chain(&call.args) {
        command.arg(part);
    }
    command
}

/// `text` as a part of a pattern that means itself.
fn escaped(text: &str) -> String {
    let special = |c| matches!(c, '*' | '?' | '[' | ']' | '\\' | '^');
    let chars = text.chars();
    chars.fold(String::new(), |mut out, c| {
        if special(c) {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

/// The code of a fault.
fn code(said: &Said) -> Option<&str> {
    match said {
        Said::Fault(text) => Some(code_of(text)),
        Said::Nothing | Said::Number(_) | Said::Text(_) | Said::List(_) => None,
    }
}

fn code_of(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// How long an exchange may take.
const EXCHANGE_MAX: Duration = Duration::from_millis(250);
/// How long an exchange of a command may take.
const COMMAND_MAX: Duration = Duration::from_secs(5);
/// How long a connection may take, and the log-in after it.
const LOG_IN_MAX: Duration = Duration::from_secs(1);
/// Shortest pause between two attempts to connect.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// By how much the pause varies, so that the instances of a fleet do not all come at once.
const PAUSE_SPREAD_MILLIS: u64 = 400;
/// A server's id has 40 bytes.
const RUN_ID_BYTES_MAX: usize = 128;
/// A wait without an end, for the channel.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
