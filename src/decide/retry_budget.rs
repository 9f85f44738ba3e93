//! How many extra attempts an outage may cause: a share of the requests of the last 10 s.

/// Whether one more extra attempt stays within `permille` thousandths of the window's requests.
///
/// The floor lets failover work where traffic is thin: three requests in ten seconds would never
/// earn a retry.
#[must_use]
pub fn may_retry(requests: u64, retries: u64, permille: u32) -> bool {
    let share = u128::from(requests) * u128::from(permille) / 1_000;
    u128::from(retries) < share.max(u128::from(FLOOR))
}

/// Extra attempts that any window may hold: 3 a second.
const FLOOR: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_a_share_of_the_requests_but_never_less_than_the_floor() {
        for (requests, retries, permille, granted) in [
            (0, 0, 200, true),
            (1, 29, 200, true),
            (1, 30, 200, false),
            (150, 29, 200, true),
            (150, 30, 200, false),
            (155, 30, 200, true),
            (1_000, 199, 200, true),
            (1_000, 200, 200, false),
            (1_000, 29, 0, true),
            (1_000, 30, 0, false),
            (1_000, 999, 1_000, true),
            (u64::MAX, u64::MAX - 1, 1_000, true),
            (u64::MAX, u64::MAX, 1_000, false),
        ] {
            assert_eq!(
                may_retry(requests, retries, permille),
                granted,
                "{retries} retries in {requests} requests at {permille}"
            );
        }
    }
}
