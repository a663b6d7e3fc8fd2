//! A limited resource, such as memory, that clients share. Requests for a share wait in a queue.
//!
//! **Shares.** A holder is an address (an IPv6 /64) and, if signed in, a principal; both limits apply. After each grant,
//! no address holds more than [`OF_SOURCE`] times what is left free. A single greedy address thus ends at two thirds of
//! the whole, and a newcomer always finds the rest; two end at two fifths each. A principal over all its addresses holds
//! at most [`OF_PRINCIPAL`] times what is left free, four fifths of the whole: more than one address may hold, so that
//! stalled transfers at one address do not block the principal elsewhere.
//!
//! **Order.** Requests are served in the order of arrival. A holder that already has its share is skipped. A request of
//! a holder that holds nothing, for which too little is free, blocks those behind it, so that many small requests do
//! not starve a large one.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::PrincipalId;
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Maximum share of a source, as a multiple of what is left free.
const OF_SOURCE: usize = 2;
/// Maximum share of a principal, as a multiple of what is left free.
const OF_PRINCIPAL: usize = 4;
/// Default limit of waiting requests per source; more are refused at once.
const QUEUE: usize = 512;

/// A client's source: its IPv4 address, or the /64 of its IPv6 address, which providers usually assign to one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => {
                Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into()
            }
        })
    }
}

/// Who holds a share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The source of the request; `None` for Gantry itself, and for a balancer that forwards for many clients.
    pub source: Option<Source>,
    /// Who it is, if signed in.
    pub principal: Option<PrincipalId>,
}

impl Holder {
    /// A holder known only by its address.
    pub fn at(address: IpAddr) -> Self {
        Self {
            source: Some(address.into()),
            principal: None,
        }
    }

    fn keys(self) -> impl Iterator<Item = Key> {
        let source = self.source.map(Key::Source);
        source.into_iter().chain(self.principal.map(Key::Principal))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Source(Source),
    Principal(PrincipalId),
}

impl Key {
    /// The maximum share if this much is left free.
    fn share(self, left: usize) -> usize {
        match self {
            Self::Source(_) => OF_SOURCE * left,
            Self::Principal(_) => OF_PRINCIPAL * left,
        }
    }
}

/// How a resource is shared.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The total.
    pub total: usize,
    /// Maximum per holder, whatever is free.
    pub most: usize,
    /// Limit of waiting requests per source; more are refused at once.
    pub queue: usize,
}

impl From<usize> for Terms {
    fn from(total: usize) -> Self {
        Self {
            total,
            most: total,
            queue: QUEUE,
        }
    }
}

/// A shared resource.
#[derive(Debug)]
pub struct Budget {
    terms: Terms,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    held: HashMap<Key, usize>,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    holder: Holder,
    amount: usize,
    granted: oneshot::Sender<Reservation>,
}

enum Verdict {
    Granted,
    /// The holder has its share.
    OverShare,
    /// The holder has nothing, and too little is free.
    Scarce,
}

impl Budget {
    /// A budget with everything free.
    pub fn new(terms: impl Into<Terms>) -> Arc<Self> {
        let terms = terms.into();
        Arc::new(Self {
            terms,
            state: Mutex::new(State {
                free: terms.total,
                held: HashMap::new(),
                waiting: VecDeque::new(),
            }),
        })
    }

    /// The free amount.
    pub fn free(&self) -> usize {
        self.state.lock().free
    }

    /// Maximum for a holder if nobody else holds anything.
    pub fn largest_share(&self) -> usize {
        (self.terms.total * OF_SOURCE / (OF_SOURCE + 1)).min(self.terms.most)
    }

    /// Takes a share if it is free now and nobody is waiting because too little is free. Amounts above
    /// [`Self::largest_share`] are reduced to it.
    pub fn try_take(self: &Arc<Self>, holder: Holder, amount: usize) -> Option<Reservation> {
        let amount = amount.min(self.largest_share());
        let mut state = self.state.lock();
        let most = self.terms.most;
        let granted = !state.is_scarce(most) && state.grant(holder, amount, most);
        drop(state);
        granted.then(|| self.place(holder, amount))
    }

    /// Waits for a share. Amounts above [`Self::largest_share`] are reduced to it.
    ///
    /// # Errors
    /// [`Exhausted`] if it did not become free in time, or too many requests of this source are waiting already.
    pub async fn take(
        self: &Arc<Self>,
        holder: Holder,
        amount: usize,
        patience: Duration,
    ) -> Result<Reservation, Exhausted> {
        if let Some(place) = self.try_take(holder, amount) {
            return Ok(place);
        }
        let mut line = InLine {
            budget: self,
            granted: self.wait(holder, amount.min(self.largest_share()))?,
        };
        match tokio::time::timeout(patience, &mut line.granted).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Exhausted),
        }
    }

    fn wait(
        self: &Arc<Self>,
        holder: Holder,
        amount: usize,
    ) -> Result<oneshot::Receiver<Reservation>, Exhausted> {
        let mut state = self.state.lock();
        state.waiting.retain(|waiting| !waiting.granted.is_closed());
        let same = state
            .waiting
            .iter()
            .filter(|waiting| waiting.holder.source == holder.source);
        if holder.source.is_some() && same.count() >= self.terms.queue {
            return Err(Exhausted);
        }
        let (granted, receiver) = oneshot::channel();
        state.waiting.push_back(Waiting {
            holder,
            amount,
            granted,
        });
        drop(state);
        self.serve();
        Ok(receiver)
    }

    fn place(self: &Arc<Self>, holder: Holder, amount: usize) -> Reservation {
        Reservation {
            budget: self.clone(),
            holder,
            amount,
        }
    }

    fn give_back(self: &Arc<Self>, holder: Holder, amount: usize) {
        let mut state = self.state.lock();
        state.free += amount;
        for key in holder.keys() {
            state.release(key, amount);
        }
        drop(state);
        self.serve();
    }

    /// Grants what is free to waiting requests.
    fn serve(self: &Arc<Self>) {
        let served = self.state.lock().serve(self.terms.most);
        self.hand_out(served);
    }

    /// Outside the lock: a share whose requester has gone is returned at once.
    fn hand_out(self: &Arc<Self>, served: Vec<Waiting>) {
        for waiting in served {
            let place = self.place(waiting.holder, waiting.amount);
            drop(waiting.granted.send(place));
        }
    }
}

/// A place in the queue. Dropping it unserved lets those behind move up.
struct InLine<'b> {
    budget: &'b Arc<Budget>,
    granted: oneshot::Receiver<Reservation>,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if self.granted.is_terminated() {
            return;
        }
        self.granted.close();
        // A grant made just before the timeout is returned.
        drop(self.granted.try_recv());
        self.budget.serve();
    }
}

impl State {
    fn held(&self, key: Key) -> usize {
        self.held.get(&key).copied().unwrap_or(0)
    }

    fn verdict(&self, holder: Holder, amount: usize, cap: usize) -> Verdict {
        let within = |left: usize| {
            let mut keys = holder.keys();
            keys.all(|key| self.held(key) + amount <= key.share(left).min(cap))
        };
        match self.free.checked_sub(amount) {
            Some(left) if within(left) => Verdict::Granted,
            _ if holder.keys().all(|key| self.held(key) == 0) => Verdict::Scarce,
            _ => Verdict::OverShare,
        }
    }

    fn grant(&mut self, holder: Holder, amount: usize, cap: usize) -> bool {
        let granted = matches!(self.verdict(holder, amount, cap), Verdict::Granted);
        if granted {
            self.free -= amount;
            for key in holder.keys() {
                *self.held.entry(key).or_default() += amount;
            }
        }
        granted
    }

    fn release(&mut self, key: Key, amount: usize) {
        if let Some(held) = self.held.get_mut(&key) {
            *held -= amount;
            if *held == 0 {
                self.held.remove(&key);
            }
        }
    }

    /// Whether a request is waiting because too little is free, not because of its own share.
    fn is_scarce(&self, cap: usize) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|waiting| {
            let verdict = self.verdict(waiting.holder, waiting.amount, cap);
            !waiting.granted.is_closed() && !matches!(verdict, Verdict::OverShare)
        })
    }

    /// Removes the requests that can be served now from the queue, and their amounts from what is free.
    fn serve(&mut self, cap: usize) -> Vec<Waiting> {
        let mut served = Vec::new();
        let mut next = 0;
        while let Some(waiting) = self.waiting.get(next) {
            let (holder, amount) = (waiting.holder, waiting.amount);
            if waiting.granted.is_closed() {
                self.waiting.remove(next);
                continue;
            }
            match self.verdict(holder, amount, cap) {
                Verdict::Granted => {
                    self.grant(holder, amount, cap);
                    served.extend(self.waiting.remove(next));
                }
                Verdict::OverShare => next += 1,
                Verdict::Scarce => break,
            }
        }
        served
    }
}

/// The budget did not become free in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much is in use")]
pub struct Exhausted;

/// A share of a budget, returned when dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<Budget>,
    holder: Holder,
    amount: usize,
}

impl Reservation {
    /// Its size.
    pub fn amount(&self) -> usize {
        self.amount
    }

    /// Grows it to at least this size; see [`Budget::take`].
    ///
    /// # Errors
    /// As there; the share stays unchanged.
    pub async fn grow_to(&mut self, amount: usize, patience: Duration) -> Result<(), Exhausted> {
        let amount = amount.min(self.budget.largest_share());
        let Some(more) = amount.checked_sub(self.amount).filter(|more| *more > 0) else {
            return Ok(());
        };
        let mut more = self.budget.take(self.holder, more, patience).await?;
        self.amount += std::mem::take(&mut more.amount);
        Ok(())
    }

    /// Grows it to at least this size if that is free now and nobody is waiting because too little is free. Unlike
    /// [`Self::grow_to`], a holder never waits for other holders.
    pub fn try_grow_to(&mut self, amount: usize) -> bool {
        let Some(more) = amount.checked_sub(self.amount).filter(|more| *more > 0) else {
            return true;
        };
        let Some(mut more) = self.budget.try_take(self.holder, more) else {
            return false;
        };
        self.amount += std::mem::take(&mut more.amount);
        self.amount >= amount
    }

    /// Transfers it to another holder, regardless of that holder's share.
    pub fn pass_to(&mut self, holder: Holder) {
        let mut state = self.budget.state.lock();
        for key in self.holder.keys() {
            state.release(key, self.amount);
        }
        for key in holder.keys() {
            *state.held.entry(key).or_default() += self.amount;
        }
        self.holder = holder;
    }

    /// The same bytes, which keep the share as long as any part of them is referenced.
    pub fn attach(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Attached {
            bytes,
            _place: self.clone(),
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.budget.give_back(self.holder, self.amount);
        }
    }
}

struct Attached {
    bytes: Bytes,
    _place: Arc<Reservation>,
}

impl AsRef<[u8]> for Attached {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use proptest::prelude::*;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(3_600);

    fn holder(last: u8) -> Holder {
        Holder::at(IpAddr::from([127, 0, 0, last]))
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn take_all(budget: &Arc<Budget>, holder: Holder) -> Vec<Reservation> {
        std::iter::from_fn(|| budget.try_take(holder, 1)).collect()
    }

    #[test]
    fn addresses_of_one_64_are_one_source() {
        let source = |text: &str| Source::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(source("2001:db8:0:1::1"), source("2001:db8:0:1:ffff::2"));
        assert_ne!(source("2001:db8:0:1::1"), source("2001:db8:0:2::1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }

    #[test]
    fn one_holder_gets_two_thirds_and_the_next_ones_still_find_something() {
        let budget = Budget::new(90);
        let first = take_all(&budget, holder(1));
        assert_eq!(first.len(), 60);
        let second = take_all(&budget, holder(2));
        assert_eq!(second.len(), 20);
        assert!(budget.try_take(holder(3), 1).is_some());
        drop((first, second));
        assert_eq!(budget.free(), 90);
        assert!(budget.state.lock().held.is_empty());
    }

    #[test]
    fn a_principal_has_more_than_one_address_and_not_all() {
        let budget = Budget::new(90);
        let at = |last: u8| Holder {
            principal: Some(PrincipalId(7)),
            ..holder(last)
        };
        let places: Vec<_> = (1..=90)
            .filter_map(|last| budget.try_take(at(last), 1))
            .collect();
        assert_eq!(places.len(), 72);
        assert!(budget.try_take(holder(100), 5).is_some());
    }

    #[test]
    fn a_share_may_be_bounded_besides() {
        let budget = Budget::new(Terms {
            most: 7,
            ..90.into()
        });
        let first = take_all(&budget, holder(1));
        assert_eq!(first.len(), 7);
        assert!(budget.try_take(holder(2), 7).is_some());
    }

    #[tokio::test]
    async fn whoever_has_its_share_is_passed_over_by_those_behind() {
        let budget = Budget::new(90);
        let mut held = take_all(&budget, holder(1));
        let mut greedy = pin!(budget.take(holder(1), 1, PATIENCE));
        assert!(poll(greedy.as_mut()).is_pending());
        let second = budget.take(holder(2), 10, PATIENCE).await;
        assert!(second.is_ok());
        drop(second);
        held.pop();
        assert!(poll(greedy.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn whoever_waits_for_its_own_share_keeps_nobody_from_growing() {
        let budget = Budget::new(100);
        let mut small = budget.try_take(holder(2), 1).unwrap();
        let _held = budget.try_take(holder(1), 60).unwrap();
        let mut greedy = pin!(budget.take(holder(1), 30, Duration::from_secs(60)));
        assert!(poll(greedy.as_mut()).is_pending(), "it has its share");
        assert!(small.try_grow_to(10));
        let mut newcomer = pin!(budget.take(holder(3), 50, Duration::from_secs(60)));
        assert!(poll(newcomer.as_mut()).is_pending(), "that is not free");
        assert!(!small.try_grow_to(20), "somebody waits for it");
    }

    #[tokio::test]
    async fn small_places_do_not_starve_a_large_one() {
        let budget = Budget::new(90);
        let mut crowd: VecDeque<Reservation> = (1..=75)
            .map(|last| budget.try_take(holder(last), 1).unwrap())
            .collect();
        let mut large = pin!(budget.take(holder(200), 20, PATIENCE));
        assert!(poll(large.as_mut()).is_pending());
        for last in 100..=150 {
            crowd.pop_front();
            if poll(large.as_mut()).is_ready() {
                return;
            }
            assert!(budget.try_take(holder(last), 1).is_none());
        }
        panic!("the large place was never granted");
    }

    #[tokio::test]
    async fn whoever_gives_up_waiting_leaves_nothing_behind() {
        let budget = Budget::new(3);
        let held = budget.try_take(holder(1), 2).unwrap();
        {
            let mut waiting = pin!(budget.take(holder(2), 2, PATIENCE));
            assert!(poll(waiting.as_mut()).is_pending());
        }
        drop(held);
        assert_eq!(budget.free(), 3);
        assert!(budget.try_take(holder(3), 2).is_some());
    }

    #[tokio::test]
    async fn whoever_leaves_the_line_lets_those_behind_go_on() {
        let budget = Budget::new(9);
        let _held = budget.try_take(holder(1), 5).unwrap();
        let mut behind = pin!(budget.take(holder(3), 1, PATIENCE));
        {
            let mut large = pin!(budget.take(holder(2), 5, PATIENCE));
            assert!(poll(large.as_mut()).is_pending());
            assert!(
                poll(behind.as_mut()).is_pending(),
                "the large one is waited for"
            );
        }
        assert!(poll(behind.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn whoever_has_waited_too_long_lets_those_behind_go_on() {
        let budget = Budget::new(9);
        let _held = budget.try_take(holder(1), 5).unwrap();
        let large = budget.take(holder(2), 5, Duration::from_millis(20));
        let behind = async {
            tokio::task::yield_now().await;
            budget.take(holder(3), 1, Duration::from_secs(10)).await
        };
        let (large, behind) = tokio::join!(large, behind);
        assert_eq!(large.unwrap_err(), Exhausted);
        assert!(behind.is_ok());
    }

    #[tokio::test]
    async fn a_long_line_of_one_source_is_refused() {
        let budget = Budget::new(3);
        let _held = budget.try_take(holder(1), 2);
        let mut line: Vec<_> = (0..QUEUE)
            .map(|_| Box::pin(budget.take(holder(1), 1, PATIENCE)))
            .collect();
        for waiting in &mut line {
            assert!(poll(waiting.as_mut()).is_pending());
        }
        assert_eq!(
            budget.take(holder(1), 1, PATIENCE).await.unwrap_err(),
            Exhausted
        );
    }

    #[test]
    fn a_place_grows_as_far_as_its_holders_share() {
        let budget = Budget::new(90);
        let mut place = budget.try_take(holder(1), 10).unwrap();
        assert!(place.try_grow_to(5), "it is as large");
        assert!(place.try_grow_to(60));
        assert!(!place.try_grow_to(61), "two thirds");
        assert!(!place.try_grow_to(1_000), "more than anybody gets");
        assert_eq!(budget.free(), 30);
        drop(place);
        assert_eq!(budget.free(), 90);
        assert!(budget.state.lock().held.is_empty());
    }

    #[test]
    fn what_is_passed_on_counts_for_the_other() {
        let budget = Budget::new(90);
        let mut place = budget.try_take(holder(1), 50).unwrap();
        place.pass_to(holder(2));
        assert!(budget.try_take(holder(2), 20).is_none());
        assert!(budget.try_take(holder(1), 20).is_some());
        drop(place);
        assert_eq!(budget.free(), 90);
        assert!(budget.state.lock().held.is_empty());
    }

    #[test]
    fn bytes_keep_their_place() {
        let budget = Budget::new(30);
        let place = Arc::new(budget.try_take(holder(1), 10).unwrap());
        let bytes = place.attach(Bytes::from_static(b"0123456789"));
        drop(place);
        let part = bytes.slice(2..4);
        drop(bytes);
        assert_eq!(budget.free(), 20);
        drop(part);
        assert_eq!(budget.free(), 30);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nobody_has_more_than_two_thirds(
            steps in proptest::collection::vec((0u8..4, 0usize..40, any::<bool>()), 1..200)
        ) {
            let budget = Budget::new(99);
            let mut places: Vec<Reservation> = Vec::new();
            for (who, amount, take) in steps {
                if take {
                    places.extend(budget.try_take(holder(who), amount));
                } else if !places.is_empty() {
                    places.remove(amount % places.len());
                }
                let held: usize = places.iter().map(Reservation::amount).sum();
                prop_assert_eq!(held + budget.free(), 99);
                for who in 0..4 {
                    let own = places.iter().filter(|place| place.holder == holder(who));
                    prop_assert!(own.map(Reservation::amount).sum::<usize>() <= 66);
                }
            }
        }
    }
}
