//! What may run side by side, since no test here looks at what other maps' pins and threads hold up: the plain calls, the
//! bound, and the checker of histories.

use evanesce_testkit as common;

mod api;
mod bound;
mod checker;
