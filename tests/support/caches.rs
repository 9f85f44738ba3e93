//! Eight servers with prompt caches under a skewed load, in one thread from one seed: how many
//! prompt tokens each way of choosing a server reads from caches, and how it spreads the load.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use infermux::testing::base::fingerprint::Fingerprint;
use infermux::testing::base::random::Random;
use infermux::testing::decide::affinity::{Key, Seats};
use infermux::testing::decide::eligible::Eligible;
use infermux::testing::decide::rotation::Rotation;

/// What the simulation found of one way of choosing.
pub(crate) struct Found {
    name: &'static str,
    color: &'static str,
    /// Prompt tokens, by slice of the time: those read from a cache, and all.
    tokens: [(u64, u64); SLICES],
    /// Requests of the server with the most, in hundredths of the mean.
    busiest: u64,
    /// Of the requests during the outage whose session was at another server before, those that
    /// went elsewhere, in thousandths.
    moved: u64,
}

/// A way of choosing a server.
#[derive(Clone, Copy)]
enum Way {
    RoundRobin,
    Prefix,
    Session,
}

const WAYS: [(&str, &str, Way); 3] = [
    ("`round_robin`, no affinity", "#8a8a8a", Way::RoundRobin),
    ("`affinity: {by: prefix}`", "#d97b29", Way::Prefix),
    ("`affinity: {by: session}`", "#2a78c2", Way::Session),
];

const SERVERS: usize = 8;
const SESSIONS: u64 = 10_000;
/// Sessions that begin alike: a program's system prompt and its first question.
const PROGRAMS: u64 = 400;
const REQUESTS: u64 = 120_000;
/// Tokens that a server's cache holds.
const CACHE: u64 = 6_000_000;
/// Stands before the number of a program, which is no session.
const PROGRAM: u64 = 1 << 63;
/// Tokens that a turn adds to its conversation.
const TURN: u64 = 400;
/// Tokens of a system prompt and a first question.
const BEGINNING: u64 = 2_000;
/// Turns after which a conversation begins anew.
const TURNS_MAX: u64 = 40;
/// Requests that are under way at once, over all servers.
const UNDER_WAY: usize = 64;
const SPILL_PERMILLE: u32 = 1_250;
/// Parts of the time that are told apart.
const SLICES: usize = 24;
/// The server that is out of service for the third quarter of the requests.
const GONE: usize = 3;

/// One server's cache: what each conversation, and each beginning, has in it.
#[derive(Default)]
struct Cache {
    /// Tokens, and when it was last asked for.
    held: HashMap<u64, (u64, u64)>,
    by_time: BTreeMap<u64, u64>,
    tokens: u64,
}

impl Cache {
    /// Reads what it has of `tokens` tokens of a prompt, and holds all of them from then on; what
    /// was asked for longest ago makes room.
    fn read(&mut self, name: u64, tokens: u64, time: u64) -> u64 {
        let (had, at) = self
            .held
            .insert(name, (tokens, time))
            .unwrap_or((0, u64::MAX));
        self.by_time.remove(&at);
        self.by_time.insert(time, name);
        self.tokens = self.tokens + tokens - had;
        while self.tokens > CACHE
            && let Some((_, oldest)) = self.by_time.pop_first()
        {
            self.tokens -= self.held.remove(&oldest).map_or(0, |(had, _)| had);
        }
        had.min(tokens)
    }
}

/// The servers, and what they have under way.
struct Servers {
    seats: Seats,
    rotation: Rotation,
    caches: Vec<Cache>,
    in_flight: [u32; SERVERS],
    under_way: Vec<usize>,
    requests: [u64; SERVERS],
}

impl Servers {
    fn new() -> Self {
        let names: Vec<String> = (0..SERVERS).map(|one| format!("gpu-{one}")).collect();
        Self {
            seats: Seats::new(names.iter().map(|name| (name.as_str(), 1))),
            rotation: Rotation::new(&[1; SERVERS]),
            caches: (0..SERVERS).map(|_| Cache::default()).collect(),
            in_flight: [0; SERVERS],
            under_way: Vec::new(),
            requests: [0; SERVERS],
        }
    }

    fn choose(&self, way: Way, (session, now): (u64, u64), eligible: &Eligible) -> usize {
        let key = match way {
            Way::RoundRobin => None,
            Way::Prefix => Some(session % PROGRAMS),
            Way::Session => Some(session),
        };
        let chosen = match key {
            None => self.rotation.pick(now, eligible),
            Some(key) => {
                let key = Key(Fingerprint::of(&key.to_le_bytes()));
                let in_flight = |one: usize| self.in_flight[one];
                self.seats.choose(key, SPILL_PERMILLE, eligible, in_flight)
            }
        };
        chosen.expect("somebody is eligible")
    }

    /// One more request at `server`; where there are enough, one at random ends.
    fn begin(&mut self, server: usize, random: &mut Random) {
        self.requests[server] += 1;
        self.in_flight[server] += 1;
        self.under_way.push(server);
        if self.under_way.len() > UNDER_WAY {
            let ends = random.below(u32::try_from(UNDER_WAY).expect("few"));
            let ended = self.under_way.swap_remove(ends as usize);
            self.in_flight[ended] -= 1;
        }
    }
}

/// All ways under the same load.
pub(crate) fn simulate() -> Vec<Found> {
    WAYS.into_iter().map(run).collect()
}

fn run((name, color, way): (&'static str, &'static str, Way)) -> Found {
    let (mut load, mut ends) = (Random::new(1), Random::new(2));
    let mut servers = Servers::new();
    let (mut turns, mut last) = (HashMap::<u64, u64>::new(), HashMap::<u64, usize>::new());
    let mut tokens = [(0, 0); SLICES];
    let (mut stayed, mut moved) = (0_u64, 0_u64);
    for now in 0..REQUESTS {
        let is_out = (REQUESTS / 2..REQUESTS * 3 / 4).contains(&now);
        let mut eligible = Eligible::first(SERVERS);
        if is_out {
            eligible.remove(GONE);
        }
        let session = skewed(&mut load);
        let before = turns.entry(session).or_default();
        // A conversation that begins anew has its former turns in no cache.
        let (conversation, turn) = (*before / TURNS_MAX, *before % TURNS_MAX + 1);
        *before += 1;
        let server = servers.choose(way, (session, now), &eligible);
        let before = last.insert(session, server);
        if let Some(before) = before.filter(|before| is_out && *before != GONE) {
            stayed += 1;
            moved += u64::from(before != server);
        }
        let own = turn * TURN;
        let cache = &mut servers.caches[server];
        let hit = cache.read(PROGRAM | (session % PROGRAMS), BEGINNING, 2 * now)
            + cache.read(conversation << 32 | session, own, 2 * now + 1);
        let slice = usize::try_from(now * SLICES as u64 / REQUESTS).expect("few");
        tokens[slice].0 += hit;
        tokens[slice].1 += BEGINNING + own;
        servers.begin(server, &mut ends);
    }
    let most = servers.requests.iter().max().expect("servers");
    Found {
        name,
        color,
        tokens,
        busiest: most * 100 * SERVERS as u64 / REQUESTS,
        moved: moved * 1_000 / stayed.max(1),
    }
}

/// A session: a few are asked for often, most seldom. Each power of two of them gets as many
/// requests as the next.
fn skewed(random: &mut Random) -> u64 {
    let octave = random.next_u64() % u64::from(SESSIONS.ilog2() + 1);
    let (start, end) = (1 << octave, (2_u64 << octave).min(SESSIONS));
    start + random.next_u64() % (end - start).max(1)
}

/// The figures, as a table of a page.
pub(crate) fn table(all: &[Found]) -> String {
    let mut table = String::from(
        "| how a server is chosen | prompt tokens from caches | while a server is out \
         | requests of the busiest server, to the mean \
         | sessions that moved though their server stayed |\n|---|---:|---:|---:|---:|\n",
    );
    for one in all {
        let out = &one.tokens[SLICES / 2..SLICES * 3 / 4];
        let _ = writeln!(
            table,
            "| {} | {} | {} | {}.{:02} | {} |",
            one.name,
            percent(share(&one.tokens)),
            percent(share(out)),
            one.busiest / 100,
            one.busiest % 100,
            percent(one.moved),
        );
    }
    table
}

/// In thousandths.
fn share(tokens: &[(u64, u64)]) -> u64 {
    let read: u64 = tokens.iter().map(|(read, _)| read).sum();
    let all: u64 = tokens.iter().map(|(_, all)| all).sum();
    read * 1_000 / all.max(1)
}

fn percent(thousandths: u64) -> String {
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

/// The share of prompt tokens from caches over time, as a picture.
pub(crate) fn plot(all: &[Found]) -> String {
    let x = |slice: usize| 60 + slice * 600 / SLICES;
    let y = |thousandths: u64| 320 - thousandths * 28 / 100;
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 700 400\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"700\" height=\"400\" fill=\"#fff\"/>\n",
    );
    let (start, end) = (x(SLICES / 2), x(SLICES * 3 / 4));
    let _ = writeln!(
        svg,
        "<rect x=\"{start}\" y=\"40\" width=\"{}\" height=\"280\" fill=\"#f3e6e6\"/>\n\
         <text x=\"{}\" y=\"56\">one of eight is out</text>",
        end - start,
        start + 6
    );
    for thousandths in [0, 250, 500, 750, 1_000] {
        let at = y(thousandths);
        let _ = writeln!(
            svg,
            "<path d=\"M60 {at}H660\" stroke=\"#ddd\"/>\n\
             <text x=\"52\" y=\"{}\" text-anchor=\"end\">{} %</text>",
            at + 4,
            thousandths / 10
        );
    }
    svg.push_str("<text x=\"60\" y=\"24\">prompt tokens read from caches, over time</text>\n");
    for (place, one) in all.iter().enumerate() {
        let points = one.tokens.iter().enumerate().map(|(slice, tokens)| {
            let at = y(share(&[*tokens]));
            format!("{},{at}", x(slice) + 300 / SLICES)
        });
        let points: Vec<String> = points.collect();
        let (color, left) = (one.color, 60 + place * 205);
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2.5\"/>\n\
             <path d=\"M{left} 360h18\" stroke=\"{color}\" stroke-width=\"4\"/>\n\
             <text x=\"{}\" y=\"365\">{}</text>",
            points.join(" "),
            left + 24,
            one.name.replace('`', "")
        );
    }
    svg.push_str("</svg>\n");
    svg
}
