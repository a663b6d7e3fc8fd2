//! How many statements a request runs: a metric shows it, and tests require of lists a number that does not depend on
//! their length. A transaction on SQLite runs in the writer's task, and its statements are not counted.

use std::cell::Cell;

tokio::task_local! {
    static COUNT: Cell<u64>;
}

/// Runs some work; also returns how many statements it ran itself.
pub async fn counted<F: Future>(work: F) -> (F::Output, u64) {
    let counting = async move {
        let done = work.await;
        (done, COUNT.with(Cell::get))
    };
    COUNT.scope(Cell::new(0), counting).await
}

/// Counts a statement.
pub(crate) fn note() {
    // Nobody may be counting.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_work_runs_is_counted_and_nothing_else() {
        note();
        let (done, statements) = counted(async {
            note();
            tokio::task::yield_now().await;
            note();
            7
        })
        .await;
        assert_eq!((done, statements), (7, 2));
        assert_eq!(counted(async {}).await.1, 0);
    }
}
