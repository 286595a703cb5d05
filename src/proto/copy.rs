//! Copying a payload, wherever it comes from and goes to.
//!
//! A short payload, which often was unmasked a moment before, is copied in the pieces in which it
//! was unmasked: a load of what two stores have written waits until both are in the cache.
//!
//! A long copy becomes one `rep movsb`, which some processors (seen on Zen 4) carry out more than
//! twenty times as slowly when it ends up 1 to 15 bytes behind its source within their pages: each
//! load then seems to need the store before it. Where a payload lies and how long its header is
//! decide that, so it is looked for, and the copy is then made of short ones, for which other
//! instructions are taken.

use crate::proto::mask::{MORE_PIECES_MAX, PIECES_MAX};

/// Copies `from` to `to`.
///
/// # Panics
///
/// If they are not as long as each other.
#[inline(always)]
pub(crate) fn copy(from: &[u8], to: &mut [u8]) {
    if from.len() < PIECES_MAX {
        return copy_pieces(from, to);
    }
    if from.len() < MORE_PIECES_MAX {
        return copy_more_pieces(from, to);
    }
    let behind = to.as_ptr().addr().wrapping_sub(from.as_ptr().addr()) % PAGE;
    if from.len() <= SHORT_COPY || !(1..16).contains(&behind) {
        return to.copy_from_slice(from);
    }
    copy_long(from, to);
}

/// Copies less than 64 bytes by as many pieces as their number has bits.
#[inline(always)]
pub(crate) fn copy_pieces(from: &[u8], to: &mut [u8]) {
    assert_eq!(from.len(), to.len(), "the copy is as long as its source");
    let (from, to) = copy_piece::<32>(from, to);
    let (from, to) = copy_piece::<16>(from, to);
    let (from, to) = copy_piece::<8>(from, to);
    let (from, to) = copy_piece::<4>(from, to);
    if from.is_empty() {
        return;
    }
    let (from, to) = copy_piece::<2>(from, to);
    copy_piece::<1>(from, to);
}

/// Copies 64 to 127 bytes so.
#[inline(never)]
fn copy_more_pieces(from: &[u8], to: &mut [u8]) {
    assert_eq!(from.len(), to.len(), "the copy is as long as its source");
    let (from, to) = copy_piece::<64>(from, to);
    copy_pieces(from, to);
}

/// Copies a piece of `N` bytes if their number has that bit; returns what is left.
#[inline(always)]
fn copy_piece<'a, const N: usize>(from: &'a [u8], to: &'a mut [u8]) -> (&'a [u8], &'a mut [u8]) {
    if from.len() & N == 0 {
        return (from, to);
    }
    let (piece, from) = from.split_at(N);
    let (place, to) = to.split_at_mut(N);
    place.copy_from_slice(piece);
    (from, to)
}

#[cold]
#[inline(never)]
fn copy_long(from: &[u8], to: &mut [u8]) {
    for (from, to) in from.chunks(SHORT_COPY).zip(to.chunks_mut(SHORT_COPY)) {
        to.copy_from_slice(from);
    }
}

const PAGE: usize = 4096;

/// No longer copy is sure to be made without `rep movsb`.
const SHORT_COPY: usize = 512;

#[cfg(test)]
mod tests {
    use super::copy;

    #[test]
    fn a_copy_is_whole_wherever_it_lies() {
        let source: Vec<u8> = (0..=255).cycle().take(3 * 4096).collect();
        let mut room = vec![0; 3 * 4096];
        for behind in [0, 1, 10, 15, 16] {
            for len in (0..140).chain([511, 512, 513, 1_024, 5_000]) {
                let from = &source[..len];
                // Where in the room the destination is as far behind as that.
                let ahead = room.as_ptr().addr().wrapping_sub(from.as_ptr().addr());
                let start = behind_by(behind, ahead);
                room.fill(0xff);
                copy(from, &mut room[start..start + len]);
                assert_eq!(&room[start..start + len], from);
                assert!(room[start + len..].iter().all(|byte| *byte == 0xff));
            }
        }
    }

    /// How far into a region that lies `ahead` of another a place is `behind` modulo a page.
    fn behind_by(behind: usize, ahead: usize) -> usize {
        behind.wrapping_sub(ahead) % 4096
    }
}
