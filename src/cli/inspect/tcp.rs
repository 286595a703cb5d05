//! One direction of a TCP connection, put in order (RFC 9293 §3.4).
//!
//! Segments may come in any order, twice, overlapping or not at all. What comes out is the
//! stream, with each gap named once nothing can fill it any more. Of bytes that came twice the
//! first are taken, as receivers do.

use std::collections::BTreeMap;

/// What a segment says about one direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) seq: u32,
    pub(super) syn: bool,
    pub(super) payload: &'a [u8],
    /// The bytes of payload that the capture cut off.
    pub(super) missing: u64,
}

/// A piece of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// This many bytes are not in the capture.
    Gap(u64),
}

/// What was seen beside the stream itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) bytes: u64,
    pub(super) retransmitted: u64,
    pub(super) reordered: u64,
    pub(super) lost: u64,
}

#[derive(Debug, Default)]
pub(super) struct Direction {
    /// The sequence number of the next byte, once one is known.
    next: Option<u32>,
    /// How many bytes lie before it; positions count from the first.
    position: u64,
    /// What came too early, by position, and how much of its end the capture cut off.
    held: BTreeMap<u64, (Vec<u8>, u64)>,
    held_size: usize,
    /// The receiver has this much, though we do not, and how many segments came since it said so.
    acknowledged: Option<(u64, u32)>,
    pub(super) counts: Counts,
}

impl Direction {
    /// Takes a segment; gives what it makes whole.
    pub(super) fn receive(&mut self, segment: Segment<'_>) -> Vec<Piece> {
        if segment.syn {
            self.next.get_or_insert(segment.seq.wrapping_add(1));
        }
        let len = segment.payload.len() as u64 + segment.missing;
        let next = *self.next.get_or_insert(segment.seq);
        if len == 0 {
            return Vec::new();
        }
        // A SYN takes a number of its own before the payload (TCP Fast Open).
        let seq = segment.seq.wrapping_add(u32::from(segment.syn));
        // Numbers wrap; what lies within half of them before the next was there already.
        let distance = i64::from(seq.wrapping_sub(next).cast_signed());
        let start = self.position.checked_add_signed(distance);
        let (start, payload) = match start {
            Some(start) => (start, segment.payload),
            // It begins before all that we know of, as when the capture began late.
            None => {
                let before =
                    usize::try_from(distance.unsigned_abs() - self.position).unwrap_or(usize::MAX);
                let Some(rest) = segment.payload.get(before..) else {
                    return Vec::new();
                };
                (0, rest)
            }
        };
        let end = start + payload.len() as u64 + segment.missing;
        if end <= self.position {
            self.counts.retransmitted += 1;
            return Vec::new();
        }
        if start > self.position {
            self.counts.reordered += 1;
        } else if start < self.position {
            self.counts.retransmitted += 1;
        }
        let known = self
            .held
            .get(&start)
            .map_or(0, |(bytes, missing)| bytes.len() as u64 + missing);
        if end - start > known {
            self.held_size += payload.len();
            if let Some((old, _)) = self
                .held
                .insert(start, (payload.to_owned(), segment.missing))
            {
                self.held_size -= old.len();
            }
        }
        let mut pieces = self.drain();
        // What is held back is bounded; that much reordering is loss.
        while self.held_size > HELD_MAX {
            self.give_up(u64::MAX, &mut pieces);
        }
        pieces
    }

    /// The receiver has all before `ack`: what is not in the capture by now will hardly come.
    pub(super) fn acknowledge(&mut self, ack: u32) -> Vec<Piece> {
        let Some(next) = self.next else {
            return Vec::new();
        };
        let distance = i64::from(ack.wrapping_sub(next).cast_signed());
        let mut pieces = Vec::new();
        match &mut self.acknowledged {
            // A capture may have the acknowledgement a little before the bytes, but not long.
            Some((position, since)) if *position > self.position => {
                *since += 1;
                if *since > PATIENCE {
                    let position = *position;
                    self.acknowledged = None;
                    self.give_up(position, &mut pieces);
                }
            }
            _ if distance > 0 => {
                self.acknowledged = Some((self.position + distance.unsigned_abs(), 0));
            }
            _ => self.acknowledged = None,
        }
        pieces
    }

    /// Nothing more will come: gives what is held, with its gaps.
    pub(super) fn finish(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while !self.held.is_empty() {
            self.give_up(u64::MAX, &mut pieces);
        }
        pieces
    }

    /// Names the gap before the next bytes that are there, or, if none are, up to `position`.
    fn give_up(&mut self, position: u64, pieces: &mut Vec<Piece>) {
        let held = self.held.first_key_value().map(|(start, _)| *start);
        let to = held.unwrap_or(position).min(position);
        if to > self.position && to != u64::MAX {
            self.pass_gap(to - self.position, pieces);
        }
        pieces.extend(self.drain());
    }

    fn pass_gap(&mut self, missing: u64, pieces: &mut Vec<Piece>) {
        self.counts.lost += missing;
        self.pass(missing);
        pieces.push(Piece::Gap(missing));
    }

    /// Gives what is held and follows without a gap.
    fn drain(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while let Some(entry) = self.held.first_entry()
            && *entry.key() <= self.position
        {
            let (start, (mut bytes, missing)) = entry.remove_entry();
            self.held_size -= bytes.len();
            let known = self.position - start;
            let len = bytes.len() as u64;
            if known < len {
                bytes.drain(..usize::try_from(known).unwrap_or_default());
                self.pass(len - known);
                self.counts.bytes += bytes.len() as u64;
                pieces.push(Piece::Bytes(bytes));
            }
            let cut = (start + len + missing).saturating_sub(self.position);
            if missing > 0 && cut > 0 {
                self.pass_gap(cut, &mut pieces);
            }
        }
        pieces
    }

    fn pass(&mut self, n: u64) {
        self.position += n;
        // Sequence numbers count modulo 2^32.
        let n = u32::try_from(n & u64::from(u32::MAX)).unwrap_or_default();
        self.next = self.next.map(|next| next.wrapping_add(n));
    }
}

/// The bytes that wait for others before them.
const HELD_MAX: usize = 4 << 20;

/// How many segments may pass between an acknowledgement and the bytes that it is for.
const PATIENCE: u32 = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};
    use proptest::sample::Index;

    use super::{Direction, PATIENCE, Piece, Segment};

    fn data(seq: u32, payload: &[u8]) -> Segment<'_> {
        Segment {
            seq,
            syn: false,
            payload,
            missing: 0,
        }
    }

    fn bytes(bytes: &[u8]) -> Piece {
        Piece::Bytes(bytes.to_owned())
    }

    #[test]
    fn order_overlap_and_repetition() {
        let mut direction = Direction::default();
        let syn = Segment {
            syn: true,
            ..data(u32::MAX - 1, b"")
        };
        direction.receive(syn);
        // The numbers wrap within the first segment.
        assert_eq!(direction.receive(data(u32::MAX, b"abc")), [bytes(b"abc")]);
        assert_eq!(direction.receive(data(5, b"gh")), []);
        let both = [bytes(b"deF"), bytes(b"gh")];
        assert_eq!(direction.receive(data(u32::MAX, b"abXdeF")), both);
        assert_eq!(direction.receive(data(5, b"Xhi")), [bytes(b"i")]);
        assert_eq!(direction.receive(data(0, b"bc")), []);
        assert_eq!(direction.counts.bytes, 9);
    }

    #[test]
    fn a_gap_is_named_when_the_receiver_has_what_we_have_not() {
        let mut direction = Direction::default();
        direction.receive(data(100, b"abc"));
        assert_eq!(direction.receive(data(110, b"xyz")), []);
        for _ in 0..=PATIENCE {
            assert_eq!(direction.acknowledge(113), []);
        }
        assert_eq!(direction.acknowledge(113), [Piece::Gap(7), bytes(b"xyz")]);
        assert_eq!(direction.counts.lost, 7);
        assert_eq!(direction.receive(data(103, b"too late")), []);
    }

    #[test]
    fn what_never_comes_is_named_at_the_end() {
        let mut direction = Direction::default();
        direction.receive(data(0, b"a"));
        direction.receive(data(5, b"b"));
        direction.receive(data(9, b"c"));
        let expected = [Piece::Gap(4), bytes(b"b"), Piece::Gap(3), bytes(b"c")];
        assert_eq!(direction.finish(), expected);
    }

    #[test]
    fn what_the_capture_cut_off_is_a_gap() {
        let mut direction = Direction::default();
        let cut = Segment {
            missing: 10,
            ..data(0, b"abc")
        };
        assert_eq!(direction.receive(cut), [bytes(b"abc"), Piece::Gap(10)]);
        assert_eq!(direction.receive(data(13, b"d")), [bytes(b"d")]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut direction = Direction::default();
        direction.receive(data(0, b"a"));
        let mut pieces = Vec::new();
        for n in 0..6000_u32 {
            pieces.extend(direction.receive(data(100 + n * 1000, &[0; 1000])));
        }
        assert!(direction.held_size <= super::HELD_MAX);
        assert_eq!(pieces[0], Piece::Gap(99));
    }

    proptest! {
        #[test]
        fn any_order_gives_the_stream(
            stream in prop::collection::vec(any::<u8>(), 1..400),
            cuts in prop::collection::vec(any::<(Index, Index)>(), 0..30),
            order in any::<prop::sample::Selector>(),
            first: u32,
        ) {
            // The whole in small pieces, and any others, in any order.
            let starts = (0..stream.len()).step_by(7);
            let mut ranges: Vec<_> =
                starts.map(|at| at..(at + 7).min(stream.len())).collect();
            ranges.extend(cuts.iter().map(|(a, b)| {
                let (a, b) = (a.index(stream.len()), b.index(stream.len()));
                a.min(b)..a.max(b) + 1
            }));
            let mut direction = Direction::default();
            direction.receive(Segment { syn: true, ..data(first, b"") });
            let mut out = Vec::new();
            let mut take = |pieces: Vec<Piece>| for piece in pieces {
                match piece {
                    Piece::Bytes(bytes) => out.extend(bytes),
                    Piece::Gap(_) => panic!("nothing is lost"),
                }
            };
            while !ranges.is_empty() {
                let at = order.select(0..ranges.len());
                let range = ranges.swap_remove(at);
                let seq = first.wrapping_add(1 + u32::try_from(range.start).unwrap());
                take(direction.receive(data(seq, &stream[range])));
            }
            take(direction.finish());
            prop_assert_eq!(out, stream);
        }
    }
}
