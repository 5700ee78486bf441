//! Measuring by passes that take turns, so that what the machine does meanwhile falls on all of them alike.

use std::{future::Future, pin::Pin};

use crate::clients::Failure;

/// One pass: what an operation took, in nanoseconds.
pub(crate) type Pass = Pin<Box<dyn Future<Output = Result<f64, Failure>> + Send>>;

/// Someone who is measured.
pub(crate) struct Entrant {
    pub(crate) name: String,
    pass: Box<dyn FnMut(usize) -> Pass + Send>,
    taken: Vec<f64>,
}

impl Entrant {
    /// `pass` gets the number of the pass.
    pub(crate) fn new(
        name: impl Into<String>,
        pass: impl FnMut(usize) -> Pass + Send + 'static,
    ) -> Self {
        Self { name: name.into(), pass: Box::new(pass), taken: Vec::new() }
    }

    /// The median of its passes.
    pub(crate) fn median(&self) -> f64 {
        median(self.taken.clone())
    }
}

/// Runs all of them `passes` times, in turn, and each once before, which does not count. Each pass is a task of its own on the runtime.
pub(crate) async fn interleaved(entrants: &mut [Entrant], passes: usize) -> Result<(), Failure> {
    for n in 0..=passes {
        for entrant in &mut *entrants {
            let taken = tokio::spawn((entrant.pass)(n)).await??;
            if n > 0 {
                entrant.taken.push(taken);
            }
        }
    }
    Ok(())
}

/// The middle one of some figures; of two in the middle the greater.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn the_median_does_not_depend_on_order() {
        assert!((median(vec![9.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median(Vec::new()).is_nan());
    }

    #[tokio::test]
    async fn entrants_take_turns_and_the_first_pass_does_not_count() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut entrants: Vec<_> = ["a", "b"]
            .map(|name| {
                let order = Arc::clone(&order);
                Entrant::new(name, move |n| {
                    order.lock().unwrap().push(name);
                    Box::pin(async move { Ok(if n == 0 { 1e9 } else { 7.0 }) })
                })
            })
            .into();
        interleaved(&mut entrants, 2).await.unwrap();
        assert_eq!(*order.lock().unwrap(), ["a", "b", "a", "b", "a", "b"]);
        assert!((entrants[0].median() - 7.0).abs() < f64::EPSILON);
    }
}
