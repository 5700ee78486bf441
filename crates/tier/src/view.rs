//! What a node of a cluster says of it: the text of `CLUSTER NODES`.

use std::fmt;

use crate::slots::Slots;

/// Where a node listens.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// `host:port`. Without a host, as a node says that does not know its own yet: at the host of `at`.
    pub(crate) fn parse(text: &str, at: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if host.is_empty() || host == "?" { &at.host } else { host };
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The slots that a node has, and the number of the vote or move that gave them to it: of two that claim a slot, the greater has it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Claim {
    pub(crate) epoch: u64,
    pub(crate) slots: Slots,
}

/// A line of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Line {
    pub(crate) address: Address,
    /// Its name in the network, if it says one, with the same port.
    pub(crate) alias: Option<Address>,
    /// It is the node that speaks.
    pub(crate) is_speaker: bool,
    /// It is a primary and is not known to be dead.
    pub(crate) is_primary: bool,
    pub(crate) claim: Claim,
}

impl Line {
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &Address> {
        std::iter::once(&self.address).chain(&self.alias)
    }
}

/// All of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct View(pub(crate) Vec<Line>);

impl View {
    /// What the node at `at` says. `None` if that is something else.
    pub(crate) fn parse(text: &str, at: &Address) -> Option<Self> {
        let lines = text.lines().map(|line| parse_line(line, at)).collect::<Option<Vec<_>>>()?;
        lines.iter().any(|line| line.is_speaker).then_some(Self(lines))
    }

    /// What the speaker claims for itself.
    pub(crate) fn own(&self) -> Option<&Line> {
        self.0.iter().find(|line| line.is_speaker)
    }
}

/// `None` if it is no line.
fn parse_line(line: &str, at: &Address) -> Option<Line> {
    let mut words = line.split(' ');
    let (_id, address, flags) = (words.next()?, words.next()?, words.next()?);
    let (_primary, _ping, _pong) = (words.next()?, words.next()?, words.next()?);
    let (epoch, _state) = (words.next()?.parse().ok()?, words.next()?);
    let has = |flag| flags.split(',').any(|word| word == flag);
    let is_primary = has("master") && !["fail", "noaddr", "handshake"].into_iter().any(has);
    let is_speaker = has("myself");
    // `ip:port@busport,hostname`, and more fields after that.
    let (address, names) = address.split_once(',').unwrap_or((address, ""));
    let address = address.split_once('@').map_or(address, |(address, _)| address);
    let address = Address::parse(address, at)?;
    let host = names.split(',').next().filter(|name| !name.is_empty() && !name.contains('='));
    let alias = host.map(|host| Address { host: host.to_owned(), port: address.port });
    let mut slots = Slots::new();
    // `[slot->-node]` and `[slot-<-node]` are moves under way: the slot is still the old node's.
    for range in words.filter(|word| !word.is_empty() && !word.starts_with('[')) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        slots.add(first.parse().ok()?, last.parse().ok()?);
    }
    if !has("master") {
        slots = Slots::new();
    }
    Some(Line { address, alias, is_speaker, is_primary, claim: Claim { epoch, slots } })
}

#[cfg(all(test, not(evanesce_shuttle)))]
mod tests {
    use super::*;

    fn seed() -> Address {
        Address { host: "seed".into(), port: 1 }
    }

    #[test]
    fn lines_of_all_ages_are_read() {
        let text = "a1 :7000@17000 myself,master - 0 0 3 connected 0-2 5 [93->-b1] [77-<-b1]\n\
                    b1 10.0.0.2:7001 master - 0 1 2 connected 6-7\n\
                    c1 10.0.0.3:7002@17002,c.example master,fail - 0 1 1 disconnected\n\
                    d1 ::1:7003@17003,,tls-port=0,shard-id=1 slave a1 0 1 3 connected\n\
                    e1 :0@0 master,noaddr - 0 1 1 disconnected 9\n";
        let View(lines) = View::parse(text, &seed()).unwrap();
        let addresses: Vec<_> = lines.iter().map(|line| line.address.to_string()).collect();
        assert_eq!(
            addresses,
            ["seed:7000", "10.0.0.2:7001", "10.0.0.3:7002", "::1:7003", "seed:0"]
        );
        let has = |n: usize, slot| lines[n].claim.slots.contains(slot);
        assert!(has(0, 0) && has(0, 2) && has(0, 5) && has(1, 6) && has(1, 7));
        assert!(!has(0, 3) && !has(0, 93) && !has(0, 77));
        let primaries: Vec<_> = lines.iter().map(|line| line.is_primary).collect();
        assert_eq!(primaries, [true, true, false, false, false]);
        assert_eq!(
            (lines[0].claim.epoch, lines[0].is_speaker, lines[1].is_speaker),
            (3, true, false)
        );
        let alias = lines[2].alias.as_ref().map(ToString::to_string);
        assert_eq!((alias.as_deref(), lines[3].alias.as_ref()), (Some("c.example:7002"), None));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in
            ["", "a", "a1 h:1@2 master - 0 0 1 connected 1", "a1 h:1@2 myself,master - 0 0 x c"]
        {
            assert!(View::parse(text, &seed()).is_none(), "{text}");
        }
    }
}
