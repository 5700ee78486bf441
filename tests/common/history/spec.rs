//! The sequential map of one key: what each call may find and leave behind.

use super::{Answer, Call, Event, Life, NEVER};

/// A value that is there, expired or not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Entry {
    value: u64,
    /// Zero for one that had passed when the call that set it began: no call can have judged by it.
    deadline: u64,
    /// Whether a renewal set the deadline, which passed before it took effect.
    renewed_late: bool,
}

/// A key at a place of the order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct State {
    entry: Option<Entry>,
    /// The instant at which the last call took effect.
    now: u64,
}

impl State {
    pub(super) const ABSENT: Self = Self { entry: None, now: 0 };

    fn is_visible(self) -> bool {
        self.entry.is_some_and(|entry| self.now < entry.deadline)
    }

    /// At the later instant `now`, if the call has it.
    fn at(self, now: u64, event: &Event) -> Option<Self> {
        let now = self.now.max(now);
        (now <= event.clock.1).then_some(Self { now, ..self })
    }

    /// At the earliest instant of the call at which the key is visible.
    fn visible(self, event: &Event) -> Option<Self> {
        self.at(event.clock.0, event).filter(|first| first.is_visible())
    }

    /// At the earliest instant of the call at which the key is absent or expired.
    fn absent(self, event: &Event) -> Option<Self> {
        let first = self.at(event.clock.0, event)?;
        first.at(first.entry.map_or(0, |entry| entry.deadline), event)
    }

    /// At the earliest instant of the call, if the key was visible then or would have been at the first
    /// instant of the call.
    fn leniently(self, event: &Event) -> Option<Self> {
        let deadline = self.entry?.deadline;
        self.at(event.clock.0, event).filter(|_| event.clock.0 < deadline)
    }

    /// For what ends a visible entry: exactly, but behind a renewal that was late.
    fn to_end(self, event: &Event) -> Option<Self> {
        if self.entry?.renewed_late { self.leniently(event) } else { self.visible(event) }
    }

    /// At the earliest instant at which the key is visible and has `early` or less to live.
    fn due(self, event: &Event, early: u64) -> Option<Self> {
        let deadline = self.entry.map(|entry| entry.deadline).filter(|at| *at != NEVER)?;
        let first = self.at(event.clock.0.max(deadline.saturating_sub(early)), event)?;
        first.is_visible().then_some(first)
    }

    /// With an entry of this value and deadline.
    fn with(self, event: &Event, value: u64, deadline: u64) -> Self {
        let deadline = if deadline <= event.clock.0 { 0 } else { deadline };
        Self { entry: Some(Entry { value, deadline, renewed_late: false }), ..self }
    }

    /// With an entry put by the call; one state for each deadline that it may have.
    fn put(self, event: &Event, value: u64, life: Life) -> Vec<Self> {
        match life {
            Life::Default | Life::Forever | Life::For(NEVER) => {
                vec![self.with(event, value, NEVER)]
            }
            Life::Until(tick) => vec![self.with(event, value, tick)],
            Life::For(0) => vec![self.with(event, value, 0)],
            Life::For(ttl) => {
                let at = |reading: u64| {
                    let then = self.at(reading, event)?;
                    Some(then.with(event, value, reading.saturating_add(ttl)))
                };
                (event.clock.0..=event.clock.1).filter_map(at).collect()
            }
        }
    }

    /// With the entry renewed by the call.
    fn renew(self, event: &Event, life: Life) -> Vec<Self> {
        let Some(Entry { value, .. }) = self.entry else { return Vec::new() };
        let mut renewed = self.put(event, value, life);
        for Self { entry, now } in &mut renewed {
            if let Some(entry) = entry {
                entry.renewed_late = (1..=*now).contains(&entry.deadline);
            }
        }
        renewed
    }

    /// With the deadline at `ttl` from an instant of the call, where that is later.
    fn extend(self, event: &Event, ttl: u64) -> Vec<Self> {
        let old = self.entry.map_or(0, |entry| entry.deadline);
        let longer = self.leniently(event).map_or(Vec::new(), |s| s.renew(event, Life::For(ttl)));
        let is_longer = |s: &Self| s.entry.is_some_and(|entry| entry.deadline > old);
        let mut after: Vec<Self> = longer.into_iter().filter(is_longer).collect();
        // Nothing to be done, by the first reading if by any: then it was visible.
        if event.clock.0.saturating_add(ttl) <= old || ttl == 0 {
            after.extend(self.visible(event));
        }
        after
    }

    /// The states that the call can leave behind, if it takes effect in this one. What is put by
    /// `Life::Default` lives for `default`.
    pub(super) fn after(self, event: &Event, default: Life) -> Vec<Self> {
        use Answer::{Absent, Left, Refused, Stale, Token, Value, Yes};
        let (call, answer) = (event.call, event.answer);
        let entry = self.entry;
        if let Value(told) | Refused(told) | Token(told) | Stale(told) = answer
            && entry.is_none_or(|entry| entry.value != told)
        {
            return Vec::new();
        }
        let life_of = |life| if life == Life::Default { default } else { life };
        let put = |judged: Option<Self>, value, life| {
            judged.map_or(Vec::new(), |judged| judged.put(event, value, life_of(life)))
        };
        let after = match (call, answer) {
            (
                Call::Get | Call::TryInsert(_) | Call::GetOrInsert(_) | Call::ComputeAbort,
                Value(_),
            )
            | (Call::ContainsKey, Yes) => self.visible(event),
            (Call::GetOrRefresh(early), Value(_)) => self.visible(event).filter(|first| {
                let deadline = entry.map_or(0, |entry| entry.deadline);
                deadline == NEVER || first.now.saturating_add(early) < deadline
            }),
            (Call::GetOrRefresh(early), Token(_) | Stale(_)) => self.due(event, early),
            (Call::Ttl, Left(left)) => self.with_left(event, left),
            (Call::ReplaceIf(_, parity) | Call::RemoveIf(parity), Refused(value)) => {
                self.visible(event).filter(|_| !parity.accepts(value))
            }
            (Call::Update(new) | Call::ReplaceIf(new, _) | Call::ComputePut(new), Value(old))
                if is_accepted(call, old) =>
            {
                let kept =
                    |Entry { deadline, .. }| Entry { value: new, deadline, renewed_late: false };
                self.visible(event).map(|judged| Self { entry: entry.map(kept), ..judged })
            }
            (Call::Remove | Call::RemoveIf(_) | Call::ComputeRemove, Value(old))
                if is_accepted(call, old) =>
            {
                self.to_end(event).map(|judged| Self { entry: None, ..judged })
            }
            (Call::Insert(new, life), Value(_)) => return put(self.leniently(event), new, life),
            (Call::Insert(new, life), Absent) => return put(self.absent(event), new, life),
            (Call::TryInsert(new) | Call::GetOrInsert(new) | Call::ComputePut(new), Yes) => {
                return put(self.absent(event), new, Life::Default);
            }
            (Call::ComputePutFor(new, ttl), Value(_)) => {
                return put(self.leniently(event), new, Life::For(ttl));
            }
            (Call::ComputePutFor(new, ttl), Yes) => {
                return put(self.absent(event), new, Life::For(ttl));
            }
            (Call::SetTtl(_) | Call::SetDeadline(_) | Call::Persist, Yes) => {
                let life = match call {
                    Call::SetTtl(ttl) => Life::For(ttl),
                    Call::SetDeadline(tick) => Life::Until(tick),
                    _ => Life::Forever,
                };
                return self.leniently(event).map_or(Vec::new(), |s| s.renew(event, life));
            }
            (Call::ExtendTtl(ttl), Yes) => return self.extend(event, ttl),
            (Call::Refresh { of, value, life }, Yes) => {
                let met = self.leniently(event).filter(|_| entry.is_some_and(|e| e.value == of));
                return put(met, value, life);
            }
            (Call::Refresh { of, .. }, Absent) if entry.is_some_and(|e| e.value != of) => {
                self.at(event.clock.0, event)
            }
            (Call::ReturnToken(_), Yes) => self.at(event.clock.0, event),
            (
                Call::Get
                | Call::ContainsKey
                | Call::Ttl
                | Call::Update(_)
                | Call::ReplaceIf(..)
                | Call::Remove
                | Call::RemoveIf(_)
                | Call::ComputeRemove
                | Call::ComputeAbort
                | Call::SetTtl(_)
                | Call::SetDeadline(_)
                | Call::ExtendTtl(_)
                | Call::Persist
                | Call::GetOrRefresh(_)
                | Call::Refresh { .. },
                Absent,
            ) => self.absent(event),
            // No answer of this call.
            _ => None,
        };
        after.into_iter().collect()
    }

    /// At the instant at which the entry has so much left to live.
    fn with_left(self, event: &Event, left: u64) -> Option<Self> {
        let (first, deadline) = (self.visible(event)?, self.entry?.deadline);
        if left == NEVER || deadline == NEVER {
            return Some(first).filter(|_| left == deadline);
        }
        let now = deadline.checked_sub(left)?;
        first.at(now, event).filter(|then| then.now == now && then.is_visible())
    }
}

/// Whether a call's condition, if it has one, accepts a value.
fn is_accepted(call: Call, value: u64) -> bool {
    match call {
        Call::ReplaceIf(_, parity) | Call::RemoveIf(parity) => parity.accepts(value),
        _ => true,
    }
}

/// What a call found at its place in an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    Nothing,
    /// An entry that never expires.
    Lasting,
    /// An entry before its deadline.
    InTime,
    /// An entry past its deadline, which had not passed when the call judged: the exceptions.
    Late,
    Expired,
}

impl Found {
    /// What `event` found in `before`, if it took effect at the instant of `after`.
    pub(super) fn of(event: &Event, before: State, after: State) -> Self {
        let is_put = matches!(
            event.call,
            Call::TryInsert(_)
                | Call::GetOrInsert(_)
                | Call::ComputePut(_)
                | Call::ComputePutFor(..)
                | Call::ReturnToken(_)
        );
        match before.entry {
            None => Self::Nothing,
            Some(entry) if entry.deadline == NEVER => Self::Lasting,
            Some(entry) if after.now < entry.deadline => Self::InTime,
            Some(_) if event.answer == Answer::Absent => Self::Expired,
            Some(_) if event.answer == Answer::Yes && is_put => Self::Expired,
            Some(_) => Self::Late,
        }
    }
}
