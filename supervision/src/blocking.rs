//! Work that keeps a processor busy, off the threads on which actors run.

use std::sync::LazyLock;

use tokio::{sync::Semaphore, task};

use crate::{cause::ExitCause, panic_hook::caught_now};

/// Runs `work` on a thread of its own and waits for it; as many at a time as there are processors.
///
/// For work that would keep other actors waiting: hashing a password takes 50 ms. The work goes on
/// to its end even if the actor that waits for it is killed.
///
/// # Errors
///
/// [`ExitCause::Panic`] if it panicked, [`ExitCause::Cancelled`] if the runtime is shutting down.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ExitCause> {
    static PROCESSORS: LazyLock<Semaphore> = LazyLock::new(|| {
        Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from))
    });
    let permit = PROCESSORS
        .acquire()
        .await
        .map_err(|_| ExitCause::Cancelled)?;
    let done = task::spawn_blocking(move || {
        let _permit = permit;
        caught_now(work)
    });
    match done.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(report)) => Err(ExitCause::Panic(report)),
        Err(_) => Err(ExitCause::Cancelled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_work_is_told_to_whoever_waits() {
        crate::install_panic_hook();
        assert_eq!(blocking(|| 6 * 7).await.unwrap(), 42);
        let cause = blocking(|| -> () { panic!("too hot") }).await.unwrap_err();
        assert_eq!(cause.panic().unwrap().message, "too hot");
    }
}
