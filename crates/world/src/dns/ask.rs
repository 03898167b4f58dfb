//! Asks in the background, for actors that do not wait.

use std::{sync::Arc, time::Duration};

use super::{Dns, Found, Missing, Question, Trouble};

/// Asks `dns` and calls `then` with the answer, exactly once and within `limit`, whatever happens
/// to the one who answers.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn ask(
    dns: &Arc<dyn Dns>,
    question: Question,
    limit: Duration,
    then: impl FnOnce(Result<Found, Missing>) + Send + 'static,
) {
    let mut promise = Promise(Some(then));
    let dns = Arc::clone(dns);
    tokio::spawn(async move {
        let answer = tokio::time::timeout(limit, dns.ask(question)).await;
        promise.keep(answer.unwrap_or(Err(Trouble::TimedOut.into())));
    });
}

/// Somebody is told, even if the task panics or ends with the runtime.
struct Promise<F: FnOnce(Result<Found, Missing>)>(Option<F>);

impl<F: FnOnce(Result<Found, Missing>)> Promise<F> {
    fn keep(&mut self, answer: Result<Found, Missing>) {
        if let Some(then) = self.0.take() {
            then(answer);
        }
    }
}

impl<F: FnOnce(Result<Found, Missing>)> Drop for Promise<F> {
    fn drop(&mut self) {
        self.keep(Err(Trouble::Unreachable.into()));
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::dns::{Asking, TableDns};

    #[derive(Debug)]
    struct Falling;

    impl Dns for Falling {
        fn ask(&self, _: Question) -> Asking<'_> {
            Box::pin(async { panic!("fell") })
        }
    }

    async fn answer(dns: Arc<dyn Dns>) -> Result<Found, Missing> {
        let (then, answer) = oneshot::channel();
        let question = Question::Mx("a.test".parse().unwrap());
        ask(&dns, question, Duration::from_secs(1), |answer| {
            let _ = then.send(answer);
        });
        answer.await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_comes_even_if_nobody_gives_one() {
        let trouble = |trouble: Trouble| Err(Missing::Trouble(trouble));
        assert_eq!(
            answer(Arc::new(Falling)).await,
            trouble(Trouble::Unreachable)
        );
        let slow = TableDns::new();
        slow.delay(Duration::from_secs(60));
        assert_eq!(answer(Arc::new(slow)).await, trouble(Trouble::TimedOut));
        let empty = answer(Arc::new(TableDns::new())).await;
        assert!(matches!(empty, Err(Missing::NoName { .. })));
    }
}
