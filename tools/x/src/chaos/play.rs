//! What happens to the router in a round: acts drawn from the seed, one after another.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use super::books::Books;
use super::dice::Dice;
use super::faults;
use super::judge::Gap;
use super::router::{Router, Said};
use super::scene::Scene;
use crate::clock::{Stopwatch, pause};

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Script,
    Heal,
    Gone,
    GoodFile,
    BadFile,
    Storm,
    Reports,
    Circuit,
    Descriptors,
    FullDisk,
    Clock,
    StoreGone,
    StoreBack,
    Kill,
    Stop,
}

/// How often each.
const ACTS: [(u64, Act); 15] = [
    (50, Act::Script),
    (8, Act::Heal),
    (4, Act::Gone),
    (6, Act::GoodFile),
    (3, Act::BadFile),
    (2, Act::Storm),
    (10, Act::Reports),
    (3, Act::Circuit),
    (2, Act::Descriptors),
    (2, Act::FullDisk),
    (3, Act::Clock),
    (3, Act::StoreGone),
    (5, Act::StoreBack),
    (2, Act::Kill),
    (2, Act::Stop),
];

/// The length of a rate limit's window, and some more.
const MINUTE: Duration = Duration::from_secs(65);

/// What operators ask for.
const REPORTS: [&str; 8] = [
    "metrics",
    "costs",
    "costs/by-caller",
    "costs/timeseries?hours=2&bucket=1m",
    "providers",
    "status",
    "latency",
    "keys",
];

/// The run so far, and what it acts on.
pub(super) struct Play<'a> {
    pub(super) scene: Scene,
    pub(super) router: Router,
    pub(super) books: Books,
    pub(super) clock: Stopwatch,
    /// The router's process, for who measures it.
    pub(super) id: &'a AtomicU32,
    /// How often the router was started.
    pub(super) start: u32,
    /// When it was killed.
    pub(super) gaps: Vec<Gap>,
    /// When it went and came back, and when the store lost its data.
    restarts: Vec<Duration>,
    losses: Vec<Duration>,
    /// Whether its clock was set in this round.
    pub(super) has_stepped: bool,
    /// What was done, in order.
    pub(super) trace: Vec<String>,
    /// What happened that was promised not to.
    pub(super) broken: Vec<String>,
    said: (Sender<Said>, Receiver<Said>),
    /// Whether its descriptors are few now.
    is_tight: bool,
    /// Whether this round has had its kill or stop.
    has_ended: bool,
}

impl<'a> Play<'a> {
    /// Starts the router.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(super) fn begin(
        scene: Scene,
        books: Books,
        id: &'a AtomicU32,
        clock: Stopwatch,
    ) -> Result<Self, String> {
        let said = std::sync::mpsc::channel();
        let router = Router::start(&scene.launch(), 1, &said.0)?;
        id.store(router.id(), Ordering::Relaxed);
        Ok(Self {
            scene,
            router,
            books,
            clock,
            id,
            start: 1,
            gaps: Vec::new(),
            restarts: Vec::new(),
            losses: Vec::new(),
            has_stepped: false,
            trace: Vec::new(),
            broken: Vec::new(),
            said,
            is_tight: false,
            has_ended: false,
        })
    }

    /// Acts until `end`.
    ///
    /// # Errors
    ///
    /// When the router is not there, or a provider or the store cannot be directed.
    pub(super) fn act_until(&mut self, end: Duration, dice: &mut Dice) -> Result<(), String> {
        (self.has_ended, self.has_stepped) = (false, false);
        while self.clock.elapsed() < end {
            let act = dice.weighted(&ACTS);
            // A draw of its own: what an act draws depends on nothing but the seed and its place.
            let mut own = Dice::new(dice.below(u64::MAX), 1);
            self.act(act, &mut own)?;
            self.hear();
            if let Some(why) = self.router.ended() {
                return Err(why);
            }
            pause(Duration::from_millis(dice.between(50, 500)));
        }
        self.calm()
    }

    fn act(&mut self, act: Act, dice: &mut Dice) -> Result<(), String> {
        let place = usize::try_from(dice.below(self.scene.mocks.len() as u64)).unwrap_or(0);
        match act {
            Act::Script => {
                let script = self.scene.script(place, dice);
                self.note(&format!("provider {place}: {script}"));
                self.scene.direct(place, &script)
            }
            Act::Heal => {
                self.note("all providers are healed");
                self.scene.heal()
            }
            Act::Gone => {
                self.note(&format!("provider {place} is gone"));
                self.scene.direct(place, &faults::gone())
            }
            Act::GoodFile | Act::BadFile | Act::Storm => self.reload(act, dice),
            Act::Reports => self.reports(dice),
            Act::Circuit => {
                let name = self.scene.mocks[place].name.clone();
                let what = *dice.one(&["open", "close", "reset"]);
                self.note(&format!("circuit of {name}: {what}"));
                let path = format!("/_infermux/providers/{name}/circuit/{what}");
                // While descriptors are few, nobody may answer.
                let _ = self.router.ask("POST", &path);
                Ok(())
            }
            Act::Descriptors => {
                let most = self.router.descriptors() + 8;
                self.note(&format!("{most} descriptors"));
                self.is_tight = true;
                self.router.limit_descriptors(most);
                Ok(())
            }
            Act::FullDisk | Act::Clock => self.shake(act, dice),
            Act::StoreGone | Act::StoreBack => self.store(act, dice),
            Act::Kill | Act::Stop => self.end(act, dice),
        }
    }

    fn reload(&mut self, act: Act, dice: &mut Dice) -> Result<(), String> {
        let count = if act == Act::Storm {
            dice.between(10, 40)
        } else {
            1
        };
        self.note(&format!("{act:?}: SIGHUP, {count} times"));
        for _ in 0..count {
            if act == Act::BadFile || act == Act::Storm && dice.chance(20) {
                self.scene.write_bad_config(dice)?;
            } else {
                self.scene.write_config(dice)?;
            }
            self.router.signal("HUP");
        }
        Ok(())
    }

    fn reports(&mut self, dice: &mut Dice) -> Result<(), String> {
        let path = format!("/_infermux/{}", dice.one(&REPORTS));
        match self.router.ask("GET", &path) {
            Ok(answer) if answer.status() == 200 => {}
            _ if self.is_tight => {}
            Ok(answer) => self.broken.push(format!("{path}: {}", answer.status_line)),
            Err(error) => self.broken.push(error),
        }
        Ok(())
    }

    fn shake(&mut self, act: Act, dice: &mut Dice) -> Result<(), String> {
        if act == Act::FullDisk {
            if let Some(disk) = &self.scene.disk {
                disk.fill();
                self.note("the disk is full");
            }
            return Ok(());
        }
        if self.scene.clock.is_none() {
            return Ok(());
        }
        let seconds = *dice.one(&[-3_600, -61, -5, 5, 61, 3_600]);
        self.note(&format!("the clock is off by {seconds} s"));
        self.has_stepped = true;
        self.scene.set_clock(seconds)
    }

    fn store(&mut self, act: Act, dice: &mut Dice) -> Result<(), String> {
        let at = self.clock.elapsed();
        let Some(store) = &mut self.scene.store else {
            return Ok(());
        };
        if act == Act::StoreGone {
            let (what, loses) = *dice.one(&[("killed", true), ("emptied", true), ("cut", false)]);
            if loses {
                self.losses.push(at);
            }
            match what {
                "killed" => store.kill(),
                "emptied" => drop(store.say("FLUSHALL")),
                _ => drop(store.say("CLIENT KILL TYPE normal SKIPME yes")),
            }
            self.note(&format!("the store is {what}"));
            return Ok(());
        }
        if store.say("PING").is_err() {
            store.start_again()?;
            self.note("the store is back, without data");
        }
        Ok(())
    }

    /// Ends the router, with or without a warning, and starts it again.
    fn end(&mut self, act: Act, dice: &mut Dice) -> Result<(), String> {
        if std::mem::replace(&mut self.has_ended, true) {
            return Ok(());
        }
        self.scene.write_config(dice)?;
        if let Some(disk) = &self.scene.disk {
            // What could not be written is not promised to be known.
            disk.empty();
            pause(Duration::from_secs(2));
        }
        self.is_tight = false;
        let from = self.clock.elapsed();
        if act == Act::Kill {
            self.note("SIGKILL");
            self.router.kill();
        } else {
            self.note("SIGTERM");
            if let Err(error) = self.router.stop() {
                self.broken.push(error);
            }
        }
        self.start += 1;
        self.router = Router::start(&self.scene.launch(), self.start, &self.said.0)?;
        self.id.store(self.router.id(), Ordering::Relaxed);
        let to = self.clock.elapsed();
        // The next one serves a little before it is seen to be ready.
        self.restarts.extend([from, to]);
        if act == Act::Kill {
            self.gaps.push(Gap { from, to });
        }
        self.note("it serves again");
        Ok(())
    }

    /// Takes every hindrance away.
    fn calm(&mut self) -> Result<(), String> {
        self.note("calm");
        self.scene.heal()?;
        self.router.limit_descriptors(20_000);
        self.is_tight = false;
        if let Some(disk) = &self.scene.disk {
            disk.empty();
        }
        self.scene.set_clock(0)?;
        self.store(Act::StoreBack, &mut Dice::new(0, 0))?;
        self.scene.write_config(&mut Dice::new(0, 0))?;
        self.router.signal("HUP");
        for mock in &self.scene.mocks {
            let path = format!("/_infermux/providers/{}/circuit/close", mock.name);
            self.router.ask("POST", &path)?;
        }
        Ok(())
    }

    /// When the router forgot what it had sent in the last minute: at each restart, unless the
    /// store knew, which had not lost its data shortly before or meanwhile.
    pub(super) fn forgets(&self) -> Vec<Duration> {
        let is_lost = |restart: &Duration| {
            let near = |loss: &Duration| loss.abs_diff(*restart) < MINUTE;
            self.scene.store.is_none() || self.losses.iter().any(near)
        };
        self.restarts.iter().copied().filter(is_lost).collect()
    }

    /// Takes in what the router has said.
    pub(super) fn hear(&mut self) {
        while let Ok(said) = self.said.1.try_recv() {
            self.books.hear(&said);
        }
    }

    /// Remembers what was done.
    pub(super) fn note(&mut self, what: &str) {
        let at = self.clock.elapsed().as_secs_f64();
        self.trace.push(format!("{at:8.2} s  {what}"));
    }
}

/// Whether the month may have changed within the last two hours, or will within the next two.
pub(super) fn is_month_near() -> bool {
    let month = |offset: &str| {
        let output = Command::new("date")
            .args(["-u", "-d", offset, "+%m"])
            .output();
        output.map(|output| output.stdout).unwrap_or_default()
    };
    month("-2 hours") != month("+2 hours")
}
