//! Text among the bytes received: UTF-8, and known to be ([RFC 6455 §8.1]).
//!
//! It is checked where it is unmasked, and not again when it is delivered. So nothing may write to
//! what was checked, and nothing that was not checked is taken for text: the invariant of the one
//! unsafe function here, which only this file calls.
//!
//! [RFC 6455 §8.1]: https://www.rfc-editor.org/rfc/rfc6455#section-8.1

use std::ops::Range;

use super::{RecvBuffer, Region};
use crate::proto::mask::MaskingKey;
use crate::proto::utf8::{self, InvalidAt};

impl RecvBuffer {
    /// As `take_binary`, of what is to be text; returns it if it is.
    #[inline]
    pub(crate) fn take_text(
        &mut self,
        header: usize,
        n: usize,
        key: Option<MaskingKey>,
    ) -> Option<&str> {
        self.consume(header);
        let range = self.consume(n);
        match key {
            #[allow(unsafe_code)]
            Some(key) if key.unmask_text(&mut self.bytes[range.clone()]) => {
                // SAFETY: all bytes of the range have just been seen to be ASCII.
                Some(unsafe { self.checked_text(Region::Received, range) })
            }
            _ => utf8::check(&self.bytes[range]).ok(),
        }
    }

    /// As `absorb`, of a text, which is checked on the way.
    pub(crate) fn absorb_text(
        &mut self,
        n: usize,
        key: Option<MaskingKey>,
    ) -> Result<(), InvalidAt> {
        let mut left = n;
        while left > 0 {
            let block = left.min(TEXT_BLOCK);
            let piece = self.slide(block);
            let ascii = key.is_some_and(|key| key.unmask_text(&mut self.bytes[piece.clone()]));
            // If something else was absorbed before, `finish_text` finds that out.
            if self.checked == piece.start - self.message.start {
                match ascii {
                    true => self.text.push_ascii(block)?,
                    false => self.text.push(&self.bytes[piece])?,
                }
                self.checked += block;
            }
            left -= block;
        }
        Ok(())
    }

    /// Checks what is inflated and not checked yet, of a text.
    pub(crate) fn check_inflated(&mut self) -> Result<(), InvalidAt> {
        let new = &self.inflated.bytes()[self.checked..];
        self.checked += new.len();
        self.text.push(new)
    }

    /// Ends the message in this region and returns it, if it was checked as text and is complete.
    #[inline]
    pub(crate) fn finish_text(&mut self, region: Region) -> Option<&str> {
        let is_complete = self.text.is_complete();
        let checked = self.checked;
        let message = match region {
            Region::Received => self.finish(),
            Region::Inflated => self.finish_inflated(),
        };
        if checked != message.len() || !is_complete {
            return None;
        }
        // SAFETY: `text` has taken all bytes of the message in order, refused none and ended on
        // a character's end. Nothing wrote to them in between: `absorb`, `unmask`, `take_…` and
        // `spare_mut` write behind the message, as `inflate` does in its region, and moves keep
        // its content.
        #[allow(unsafe_code)]
        Some(unsafe { self.checked_text(region, message) })
    }

    /// The text at a range, without a look at it: a megabyte would otherwise be checked a second
    /// time, which costs as much as all else that happens to it.
    ///
    /// # Safety
    ///
    /// The bytes there have been seen to be UTF-8 since they were last written.
    #[inline]
    #[allow(unsafe_code)]
    unsafe fn checked_text(&self, region: Region, range: Range<usize>) -> &str {
        // SAFETY: the caller's.
        unsafe { std::str::from_utf8_unchecked(self.at_region(region, range)) }
    }
}

/// How much text is unmasked and then checked at a time, so that it is still in the second cache
/// when it is checked: in the first it would be checked no faster, and each check has its set-up.
/// A multiple of the key's size: the key need not turn.
const TEXT_BLOCK: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use crate::proto::buffer::RecvBuffer;
    use crate::proto::buffer::recv::Region;

    #[test]
    fn only_what_was_absorbed_as_text_and_is_complete_is_text() {
        let absorbed = |text: &[u8], binary: &[u8], more: &[u8]| {
            let mut recv = RecvBuffer::new();
            recv.extend(&[text, binary, more].concat());
            recv.absorb_text(text.len(), None).unwrap();
            recv.absorb(binary.len(), None);
            recv.absorb_text(more.len(), None).unwrap();
            recv.finish_text(Region::Received).map(str::to_owned)
        };
        assert_eq!(
            absorbed(b"a\xc3", b"", b"\xa9b").as_deref(),
            Some("a\u{e9}b")
        );
        assert_eq!(absorbed(b"a\xc3", b"", b""), None);
        assert_eq!(absorbed(b"a", b"\xff", b"b"), None);
        assert_eq!(absorbed(b"", b"\xff", b"b"), None);
        assert_eq!(absorbed(b"", b"", b"").as_deref(), Some(""));
    }

    #[test]
    fn what_was_checked_for_one_connection_says_nothing_of_the_next() {
        let mut shared = RecvBuffer::new();
        shared.extend(b"abc");
        shared.absorb_text(3, None).unwrap();
        let held = shared.take_held();
        shared.extend(b"\xff\xff\xff");
        assert!(shared.absorb_text(3, None).is_err());
        shared.finish();
        shared.put_held(&held);
        assert_eq!(shared.finish_text(Region::Received), Some("abc"));
    }
}
