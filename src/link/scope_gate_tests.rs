//! A scope's words against scripts, and against threads.

use super::*;

const NOW: Instant = Instant::from_millis(1_000);
const TODAY: PeriodTag = PeriodTag(5);

/// Limits in the order of [`ScopeLimit::ALL`]; 0: there is none.
fn limits(most: [u64; 5]) -> ScopeLimits {
    ScopeLimits {
        most: most.map(|most| (most > 0).then_some(most)),
        mode: LimitMode::Refuse,
        origin: Origin::Own,
    }
}

/// A gate whose day has begun.
fn gate(most: [u64; 5], mode: LimitMode) -> ScopeGate {
    let gate = ScopeGate::new(
        ScopeLimits {
            mode,
            ..limits(most)
        },
        DayEnd::default(),
    );
    gate.begin_day(TODAY, most[3].cast_signed(), most[4].cast_signed());
    gate
}

/// What is left of each limit.
fn left(gate: &ScopeGate) -> [u64; 5] {
    let left = gate.left(NOW);
    ScopeLimit::ALL.map(|limit| left.of(limit).map_or(0, |one| one.left))
}

fn refused_by(gate: &ScopeGate, tokens: u64) -> Option<ScopeLimit> {
    gate.take(NOW, tokens).err().map(|refusal| refusal.limit)
}

const ALL: [u64; 5] = [3, 4, 50, 5, 60];

#[test]
fn each_limit_refuses_and_then_nothing_is_taken() {
    for (place, limit) in ScopeLimit::ALL.into_iter().enumerate() {
        let mut most = [9, 9, 900, 9, 900];
        let is_of_tokens = [ScopeLimit::TokensPerMinute, ScopeLimit::TokensPerDay].contains(&limit);
        most[place] = if is_of_tokens { 30 } else { 2 };
        let gate = gate(most, LimitMode::Refuse);
        let first = [15, 15].map(|tokens| gate.take(NOW, tokens).expect("there is room"));
        let before = left(&gate);
        assert_eq!(before[place], 0, "{limit:?}");
        assert_eq!(refused_by(&gate, 15), Some(limit));
        assert_eq!((left(&gate), gate.refused(limit)), (before, 1));
        first.into_iter().for_each(|taken| gate.cancel(taken));
        assert_eq!(left(&gate), most, "all comes back");
        let refused = ScopeLimit::ALL.map(|limit| gate.refused(limit));
        assert_eq!(refused.iter().sum::<u64>(), 1);
    }
}

#[test]
fn only_limits_that_exist_are_touched() {
    let gate = gate([0; 5], LimitMode::Refuse);
    let taken = gate.take(NOW, 1_000).expect("there is no limit");
    assert_eq!(taken, ScopeTaken::default());
    assert_eq!(gate.settle(&taken, 2_000), 0);
    gate.release();
    gate.cancel(taken);
    let words = format!("{:?}", gate.words());
    let fresh = ScopeGate::new(limits([0; 5]), DayEnd::default());
    fresh.begin_day(TODAY, 0, 0);
    assert_eq!(words, format!("{:?}", fresh.words()));
    assert_eq!(gate.left(NOW), ScopeLeft::default());
    let must_be_told = |most| limits(most).must_be_told();
    assert!(!must_be_told([1, 0, 0, 0, 0]) && must_be_told([0, 0, 0, 0, 1]));
}

#[test]
fn what_is_settled_comes_back_to_the_day_and_an_excess_is_taken_from_both() {
    let gate = gate(ALL, LimitMode::Refuse);
    let taken = gate.take(NOW, 20).expect("there is room");
    assert_eq!((taken.requests(), taken.tokens()), (1, 20));
    assert_eq!(
        (taken.request_of(), taken.tokens_of()),
        (Some(TODAY), Some((TODAY, 20)))
    );
    assert_eq!(left(&gate), [2, 3, 30, 4, 40]);
    assert_eq!(gate.settle(&taken, 5), 0);
    gate.release();
    // The coordinator gives back what is unused of the minute.
    assert_eq!(left(&gate), [3, 3, 30, 4, 55]);
    gate.give_back(0, 15);
    let taken = gate.take(NOW, 10).expect("there is room");
    assert_eq!(gate.settle(&taken, 70), 60);
    gate.release();
    assert_eq!(left(&gate), [3, 2, 0, 3, 0]);
    assert_eq!(refused_by(&gate, 0), Some(ScopeLimit::TokensPerMinute));
    gate.give_back(2, 50);
    gate.change_day(TODAY, 0, 20);
    assert_eq!(
        left(&gate),
        [3, 4, 25, 3, 5],
        "what is owed is paid back first"
    );
}

#[test]
fn a_request_of_more_tokens_than_a_limit_allows_takes_all_of_them() {
    let gate = gate(ALL, LimitMode::Refuse);
    let taken = gate.take(NOW, 1_000).expect("it takes all");
    assert_eq!((taken.tokens(), taken.tokens_of()), (50, Some((TODAY, 60))));
    assert_eq!(left(&gate), [2, 3, 0, 4, 0]);
    assert_eq!(gate.settle(&taken, 55), 5);
    assert_eq!(left(&gate)[4], 5);
}

#[test]
fn what_is_only_counted_is_served_and_owed() {
    let gate = gate([1, 1, 10, 1, 10], LimitMode::Count);
    let taken = [10, 4].map(|tokens| gate.take(NOW, tokens).expect("nothing refuses"));
    assert_eq!(left(&gate), [0; 5]);
    let used = gate.left(NOW).0.map(|one| one.map_or(0, |one| one.used));
    assert_eq!(used, [2, 2, 14, 2, 14]);
    let exceeded = || ScopeLimit::ALL.map(|limit| gate.exceeded(limit));
    assert_eq!(exceeded(), [0; 5], "nothing is sent yet");
    let told = taken.map(|taken| gate.admit(&taken, NOW));
    assert_eq!(told, [None, Some((ScopeLimit::InFlight, 0))]);
    assert_eq!(exceeded(), [1; 5]);
    // One warning a minute, however many requests there are.
    let minute = Duration::from_secs(60);
    let told = [NOW, NOW + minute].map(|now| gate.admit(&taken[1], now));
    assert_eq!(told, [None, Some((ScopeLimit::InFlight, 1))]);
    assert_eq!(exceeded(), [3; 5]);
    assert_eq!(ScopeLimit::ALL.map(|limit| gate.refused(limit)), [0; 5]);
    gate.cancel(taken[0]);
    assert_eq!(left(&gate), [0, 0, 6, 0, 6]);
    gate.cancel(taken[1]);
    assert_eq!(left(&gate), [1, 1, 10, 1, 10]);
    let enforced = gate.with_limits(limits([1, 1, 10, 1, 10]));
    enforced.take(NOW, 10).expect("there is room");
    assert_eq!(refused_by(&enforced, 1), Some(ScopeLimit::InFlight));
}

#[test]
fn requests_of_a_former_day_change_nothing() {
    let gate = gate([0, 0, 0, 3, 30], LimitMode::Refuse);
    let [settled, cancelled] = [(); 2].map(|()| gate.take(NOW, 10).expect("there is room"));
    gate.begin_day(PeriodTag(6), 3, 30);
    gate.change_day(TODAY, 99, 99);
    assert_eq!(gate.settle(&settled, 500), 0);
    gate.cancel(cancelled);
    assert_eq!(left(&gate), [0, 0, 0, 3, 30]);
    let taken = gate.take(NOW, 10).expect("there is room");
    assert_eq!(taken.request_of(), Some(PeriodTag(6)));
}

#[test]
fn says_when_more_is_left() {
    let day_end = DayEnd::default();
    let gate = ScopeGate::new(limits([1, 2, 0, 2, 0]), day_end.clone());
    gate.begin_day(TODAY, 2, 0);
    let at = |seconds: u64| Instant::from_millis(seconds * 1_000);
    day_end.set(at(900));
    let resets = || {
        let left = gate.left(NOW);
        ScopeLimit::ALL.map(|limit| left.of(limit).map_or(0, |one| one.resets.as_secs()))
    };
    assert_eq!(resets(), [1, 1, 0, 1, 0], "all is left");
    gate.take(NOW, 0).expect("there is room");
    // The coordinator does not know of it yet.
    assert_eq!(resets(), [2, 61, 0, 900, 0]);
    gate.set_frees_at(at(41));
    assert_eq!(resets(), [2, 41, 0, 900, 0]);
    // The minute is counted in whole seconds, and nobody waits for longer than a minute.
    gate.set_frees_at(at(62));
    assert_eq!(resets(), [2, 61, 0, 900, 0]);
    let refusal = |gate: &ScopeGate, now| gate.take(now, 0).expect_err("it is full");
    let in_flight = refusal(&gate, NOW);
    assert_eq!(
        (in_flight.limit, in_flight.until),
        (ScopeLimit::InFlight, at(2))
    );
    gate.release();
    gate.take(NOW, 0).expect("there is room");
    gate.release();
    let minute = refusal(&gate, at(70));
    assert_eq!(minute.limit.name(), "requests_per_minute");
    assert_eq!(minute.until, at(70), "it is due");
    gate.give_back(2, 0);
    let day = refusal(&gate, at(70));
    assert_eq!((day.limit.name(), day.until), ("requests_per_day", at(900)));
}

#[test]
fn threads_take_no_more_than_there_is_and_leave_what_was_not_used() {
    const TURNS: u64 = 2_000;
    let most = [2, 1_000_000, 1_000_000, 6_000, 1_000_000];
    let gate = gate(most, LimitMode::Refuse);
    let places = AtomicU32::new(0);
    let (taken_days, used_tokens) = (AtomicU64::new(0), AtomicU64::new(0));
    let reported = AtomicI64::new(0);
    let work = || {
        for turn in 0..TURNS {
            let Ok(taken) = gate.take(NOW, 20) else {
                continue;
            };
            let others = places.fetch_add(1, Ordering::SeqCst);
            assert!(others < 2, "{others} others are in flight");
            if turn % 3 == 0 {
                places.fetch_sub(1, Ordering::SeqCst);
                gate.cancel(taken);
                continue;
            }
            let used = turn % 40;
            let excess = gate.settle(&taken, used);
            used_tokens.fetch_add(used, Ordering::Relaxed);
            taken_days.fetch_add(1, Ordering::Relaxed);
            let unused = 20 + excess - used;
            reported.fetch_add(unused.cast_signed(), Ordering::Relaxed);
            places.fetch_sub(1, Ordering::SeqCst);
            gate.release();
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
    gate.give_back(0, reported.load(Ordering::Relaxed));
    let (days, used) = (
        taken_days.load(Ordering::Relaxed),
        used_tokens.load(Ordering::Relaxed),
    );
    let expected = [
        2,
        1_000_000 - days,
        1_000_000 - used,
        6_000 - days,
        1_000_000 - used,
    ];
    assert_eq!(left(&gate), expected);
    assert!(days > 0 && days <= 6_000);
}

#[test]
fn a_day_that_begins_among_takers_is_taken_from_once_for_each_that_was_admitted_in_it() {
    let gate = gate([0, 0, 0, 1_000, 0], LimitMode::Refuse);
    let counts = [const { AtomicU64::new(0) }; 32];
    let is_over = AtomicU32::new(0);
    let work = || {
        while is_over.load(Ordering::Relaxed) == 0 {
            let Ok(taken) = gate.take(NOW, 0) else {
                std::thread::yield_now();
                continue;
            };
            let Some(day) = taken.request_of() else {
                continue;
            };
            counts[usize::from(day.0)].fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let _takers = [scope.spawn(work), scope.spawn(work)];
        for day in 6..32 {
            while left(&gate)[3] > 500 {
                std::thread::yield_now();
            }
            gate.begin_day(PeriodTag(day), 1_000, 0);
        }
        is_over.store(1, Ordering::Relaxed);
    });
    let counts = counts.map(AtomicU64::into_inner);
    assert!(counts.iter().all(|count| *count <= 1_000), "{counts:?}");
    assert_eq!(left(&gate)[3], 1_000 - counts[31]);
}

/// What a look says comes true, and the look itself changes nothing.
#[test]
fn a_look_says_what_would_refuse_and_takes_nothing() {
    for mode in [LimitMode::Refuse, LimitMode::Count] {
        let gate = gate(ALL, mode);
        for tokens in [20, 15, 14, 1, 40, 1_000] {
            let words = format!("{:?}", gate.words());
            let looked = gate.look(NOW, tokens);
            assert_eq!(format!("{:?}", gate.words()), words);
            let taken = gate.take(NOW, tokens);
            assert_eq!(taken.err(), looked, "{mode:?}, {tokens} tokens");
        }
    }
}
