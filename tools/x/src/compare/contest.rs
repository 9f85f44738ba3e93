//! One workload: its contenders start together and are loaded in turns.

use super::figures::{Aim, Figure, Figures, median};
use super::load::{self, Extent, Run};
use super::options::Options;
use super::peers::Peer;
use super::system::{Contender, Folders, Provider, SYSTEM_CORE, System};
use super::workloads::{Beside, Contest, Workload};
use super::{memory, syscalls};

/// Seconds of load before each measurement.
const WARM_UP_SECONDS: f64 = 0.4;
/// Requests in the pass that counts system calls.
const COUNTED: u32 = 20_000;

/// The figures of a workload.
pub(crate) struct Measured {
    /// The workload.
    pub(crate) workload: Workload,
    /// The figures of each contender, the base's first.
    pub(crate) entries: Vec<Entry>,
    /// The base's processor time at the end of each round, divided by that at its start.
    pub(crate) drift: Vec<f64>,
    /// Faults that did not end the run.
    pub(crate) notes: Vec<String>,
}

/// One contender's figures.
pub(crate) struct Entry {
    /// The contender's name.
    pub(crate) label: String,
    /// Those of each round.
    pub(crate) rounds: Vec<Figures>,
    /// Figures that are measured once.
    pub(crate) once: Figures,
    /// The last round's latency by share, and its answers over time.
    pub(crate) last: Run,
}

impl Entry {
    fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            rounds: Vec::new(),
            once: Figures::new(),
            last: Run::default(),
        }
    }

    /// The median of a figure over the rounds.
    pub(crate) fn value(&self, figure: Figure) -> Option<f64> {
        let once = self.once.get(&figure).copied();
        let all = self.rounds.iter().filter_map(|f| f.get(&figure).copied());
        once.or_else(|| median(all.collect()))
    }
}

impl Measured {
    /// The median over the rounds of an entry's figure, divided by the base's.
    pub(crate) fn ratio(&self, entry: &Entry, figure: Figure) -> Option<f64> {
        let base = self.entries.first()?;
        if let (Some(own), Some(base)) = (entry.once.get(&figure), base.once.get(&figure)) {
            return Some(own / base);
        }
        let pairs = entry.rounds.iter().zip(&base.rounds);
        let ratios = pairs.filter_map(|(own, base)| Some(own.get(&figure)? / base.get(&figure)?));
        median(ratios.collect())
    }

    /// The contender that the aims are about: infermux, in the last of its forms.
    pub(crate) fn subject(&self) -> Option<&Entry> {
        let is_it = |entry: &&Entry| entry.label.starts_with("infermux");
        self.entries.iter().rfind(is_it)
    }

    /// Whether the subject's figure meets its aim.
    pub(crate) fn is_met(&self, figure: Figure, aim: Aim) -> Option<bool> {
        let entry = self.subject()?;
        aim.is_met(entry.value(figure)?, self.ratio(entry, figure))
    }
}

/// Holds the contest of `workload`.
///
/// # Errors
///
/// A contender does not start or does not answer.
pub(crate) fn hold(
    workload: &Workload,
    peers: &[Peer],
    options: &Options,
    folders: &Folders,
) -> Result<Measured, String> {
    let contenders = contenders(workload, peers, &options.base)?;
    let mut contest = Measured {
        workload: *workload,
        entries: contenders.iter().map(|c| Entry::new(&c.label)).collect(),
        drift: Vec::new(),
        notes: Vec::new(),
    };
    if workload.beside == Beside::Memory {
        for (contender, entry) in contenders.iter().zip(&mut contest.entries) {
            entry.once = memory::measure(contender, folders, workload)?;
        }
        return Ok(contest);
    }
    let mock = Provider::start(folders, workload.script)?;
    let start = |contender: &Contender| System::start(contender, folders, &mock.address);
    let systems = contenders.iter().map(start);
    let mut field = Field {
        folders,
        workload,
        mock: &mock,
        systems: systems.collect::<Result<_, _>>()?,
        contenders: &contenders,
        seconds: options.seconds.max(workload.seconds_min),
    };
    for _ in 0..options.rounds {
        field.round(&mut contest)?;
    }
    if workload.beside == Beside::Syscalls {
        field.count_syscalls(&mut contest);
    }
    Ok(contest)
}

/// The contenders, the base first.
fn contenders(workload: &Workload, peers: &[Peer], base: &str) -> Result<Vec<Contender>, String> {
    let contender = |peer: &Peer, label: &str, more: &[&'static str], cores| Contender {
        label: label.to_owned(),
        peer: peer.clone(),
        words: [workload.words, more].concat(),
        cores,
        load: workload.load,
    };
    let own = peers.iter().find(|peer| peer.name == "infermux");
    let own = own.ok_or("infermux is not among the peers");
    Ok(match workload.contest {
        Contest::Peers => {
            let able = peers.iter().filter(|peer| peer.takes_part(workload.words));
            let (first, others): (Vec<_>, _) = able.partition(|peer| peer.name == base);
            if first.is_empty() {
                return Err(format!("{base} cannot take part in {}", workload.name));
            }
            let all = first.into_iter().chain::<Vec<&Peer>>(others);
            all.map(|peer| contender(peer, &peer.name, &[], SYSTEM_CORE))
                .collect()
        }
        Contest::Shards => vec![
            contender(own?, "infermux", &[], SYSTEM_CORE),
            // The load per shard is the same: events of one turn of a loop are sent together.
            Contender {
                load: &["-c128"],
                ..contender(own?, "infermux, two shards", &["two_shards"], SYSTEM_CORE)
            },
        ],
        Contest::Pinning => vec![
            contender(own?, "infermux", &[], SYSTEM_CORE),
            contender(own?, "infermux, not pinned", &[], "0-1"),
        ],
    })
}

/// The systems of a workload, running.
struct Field<'a> {
    folders: &'a Folders,
    workload: &'a Workload,
    mock: &'a Provider,
    contenders: &'a [Contender],
    systems: Vec<System>,
    seconds: f64,
}

impl Field<'_> {
    /// Loads every system once, and the base again at the end.
    fn round(&mut self, contest: &mut Measured) -> Result<(), String> {
        let direct = match self.workload.beside {
            Beside::Direct => Some(self.direct()?),
            Beside::Nothing | Beside::Syscalls | Beside::Memory => None,
        };
        let mut runs = Vec::new();
        for index in 0..self.systems.len() {
            runs.push(self.turn(index, direct)?);
        }
        let again = self.turn(0, direct)?;
        if let Some(first) = runs.first_mut() {
            let ends = [&again, first].map(|run| run.figures.get(&Figure::Cpu).copied());
            if let [Some(last), Some(first)] = ends {
                contest.drift.push(last / first);
            }
            for (figure, value) in &mut first.figures {
                let other = again.figures.get(figure).copied().unwrap_or(*value);
                *value = f64::midpoint(*value, other);
            }
        }
        for (entry, run) in contest.entries.iter_mut().zip(runs) {
            if run.errors > 0.0 {
                let note = format!("{}: {} errors", entry.label, run.errors);
                contest.notes.push(note);
            }
            entry.rounds.push(run.figures.clone());
            entry.last = run;
        }
        Ok(())
    }

    fn turn(&mut self, index: usize, direct: Option<f64>) -> Result<Run, String> {
        let Contender {
            label, peer, load, ..
        } = &self.contenders[index];
        let url = self.systems[index].url(self.workload, peer);
        let workload = &Workload {
            load,
            ..*self.workload
        };
        let folders = self.folders;
        let fail = |e: String| format!("{}: {label}: {e}", workload.name);
        if workload.seconds_min == 0.0 {
            let warm_up = (Extent::Seconds(WARM_UP_SECONDS), None);
            load::run(folders, workload, &url, warm_up).map_err(fail)?;
        }
        let measured = (
            Extent::Seconds(self.seconds),
            Some(&self.systems[index].tree),
        );
        let mut run = load::run(folders, workload, &url, measured).map_err(fail)?;
        if !self.systems[index].is_alive() {
            return Err(fail("it has ended".to_owned()));
        }
        if let (Some(direct), Some(p50)) = (direct, run.figures.get(&Figure::P50).copied()) {
            run.figures.insert(Figure::AddedP50, p50 - direct);
        }
        let cpu = run.figures.get(&Figure::Cpu).copied().unwrap_or_default();
        eprintln!("  {label:<22} {cpu:8.2} µs");
        Ok(run)
    }

    /// The provider's own median latency.
    fn direct(&self) -> Result<f64, String> {
        let url = format!("http://{}/v1/chat/completions", self.mock.address);
        let measured = (Extent::Seconds(self.seconds), None);
        let run = load::run(self.folders, self.workload, &url, measured)?;
        let p50 = run.figures.get(&Figure::P50).copied();
        p50.ok_or_else(|| "the provider has no latency".to_owned())
    }

    fn count_syscalls(&self, contest: &mut Measured) {
        let all = self.systems.iter().zip(self.contenders);
        for ((system, contender), entry) in all.zip(&mut contest.entries) {
            let url = system.url(self.workload, &contender.peer);
            let work = || {
                let extent = (Extent::Requests(COUNTED), None);
                load::run(self.folders, self.workload, &url, extent)?;
                Ok(f64::from(COUNTED))
            };
            match syscalls::count(&system.tree, &work) {
                Ok(calls) => {
                    entry.once.insert(Figure::Syscalls, calls);
                }
                Err(note) => contest.notes.push(format!("{}: {note}", entry.label)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::workloads;
    use super::*;

    fn entry(label: &str, cpu: &[f64]) -> Entry {
        let mut entry = Entry::new(label);
        entry.rounds = cpu.iter().map(|&cpu| [(Figure::Cpu, cpu)].into()).collect();
        entry
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_own_ratios() {
        let contest = Measured {
            workload: workloads::ALL[0],
            entries: vec![
                entry("haproxy", &[10.0, 20.0, 10.0]),
                entry("infermux", &[7.0, 16.0, 9.0]),
            ],
            drift: Vec::new(),
            notes: Vec::new(),
        };
        let subject = contest.subject().expect("infermux");
        assert_eq!(contest.ratio(subject, Figure::Cpu), Some(0.8));
        assert_eq!(subject.value(Figure::Cpu), Some(9.0));
        assert_eq!(contest.is_met(Figure::Cpu, Aim::Ratio(0.8)), Some(true));
        assert_eq!(contest.is_met(Figure::P99, Aim::Ratio(0.8)), None);
    }

    #[test]
    fn the_base_comes_first_whatever_the_file_says() {
        let peers = super::super::peers::load(None, &[]).expect("the built-in file");
        let all = contenders(&workloads::ALL[0], &peers, "nginx").expect("contenders");
        let labels: Vec<_> = all.iter().map(|c| c.label.as_str()).collect();
        assert_eq!(labels, ["nginx", "haproxy", "infermux", "floor"]);
    }

    #[test]
    fn a_peer_is_left_out_where_it_cannot_take_part() {
        let peers = super::super::peers::load(None, &[]).expect("the built-in file");
        let tls = workloads::chosen(&["tls".to_owned()]).expect("a workload");
        let all = contenders(&tls[0], &peers, "haproxy").expect("contenders");
        let labels: Vec<_> = all.iter().map(|c| c.label.as_str()).collect();
        assert_eq!(labels, ["haproxy", "infermux", "nginx"]);
    }
}
