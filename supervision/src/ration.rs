//! So many per second and no more: keeps a storm of crashes out of the log.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use tokio::time::Instant;

/// A ration of `per_second` per second; what is not used up does not carry over.
pub(crate) struct Ration {
    per_second: u32,
    /// High half: the second; low half: how many were taken in it.
    taken: AtomicU64,
}

impl Ration {
    pub(crate) const fn per_second(per_second: u32) -> Self {
        Self {
            per_second,
            taken: AtomicU64::new(0),
        }
    }

    /// Takes one, if this second's ration is not used up.
    pub(crate) fn take(&self) -> bool {
        let second = epoch().elapsed().as_secs() & u64::from(u32::MAX);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                let used = if taken >> 32 == second {
                    taken & u64::from(u32::MAX)
                } else {
                    0
                };
                (used < u64::from(self.per_second)).then_some(second << 32 | (used + 1))
            })
            .is_ok()
    }
}

fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_ration_is_renewed_every_second() {
        let ration = Ration::per_second(2);
        let taken = |ration: &Ration| (0..5).filter(|_| ration.take()).count();
        assert_eq!(taken(&ration), 2);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(taken(&ration), 2);
    }
}
