//! A message that is its own answer, as an echo's is, made into a frame where it lies.
//!
//! Its header takes the place of the one that it came behind ([RFC 6455 §5.2]), which was longer by
//! the masking key. Nothing is written to but what is free, or was parsed and delivered.
//!
//! [RFC 6455 §5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2

use std::ops::Range;

use crate::proto::buffer::RecvBuffer;
use crate::proto::frame::EncodedHeader;

impl RecvBuffer {
    /// The addresses of the bytes received, so that it can be told of a message that is lent
    /// whether it lies among them, and where.
    #[inline]
    pub(crate) fn addresses(&self) -> Range<usize> {
        let start = self.bytes.as_ptr().addr();
        start..start + self.filled
    }

    /// Where a message lies that was delivered at such an address, and is not lent any more;
    /// `None` if it is none of these bytes.
    #[inline]
    pub(crate) fn delivered(&self, address: usize, len: usize) -> Option<Range<usize>> {
        let start = address.checked_sub(self.bytes.as_ptr().addr())?;
        let end = start.checked_add(len)?;
        (end <= self.parsed).then_some(start..end)
    }

    /// Makes a frame of a payload that was [delivered](Self::delivered): its header takes the place
    /// of the one that it came behind, which was longer by the key. `None` if there is no room.
    #[inline]
    pub(crate) fn frame_in_place(
        &mut self,
        payload: Range<usize>,
        header: &EncodedHeader,
    ) -> Option<&[u8]> {
        let start = payload.start.checked_sub(header.size())?;
        if !self.message.is_empty() {
            // Something is assembled, perhaps there.
            return None;
        }
        self.bytes[start..payload.start].copy_from_slice(header.as_bytes());
        Some(&self.bytes[start..payload.end])
    }
}

#[cfg(test)]
mod tests {
    use crate::proto::buffer::RecvBuffer;
    use crate::proto::frame::{FrameHeader, Opcode};

    #[test]
    fn an_answer_is_made_where_its_message_lies_and_nowhere_else() {
        let answer = |recv: &mut RecvBuffer, len: usize| {
            let message = recv.unmask(len, None);
            let address = recv.at(message.clone()).as_ptr().addr();
            assert!(recv.addresses().contains(&address));
            let at = recv.delivered(address, len);
            assert_eq!(at, Some(message.clone()));
            let header = FrameHeader {
                fin: true,
                rsv1: false,
                opcode: Opcode::Binary,
                mask: None,
                payload_len: len as u64,
            };
            let header = header.encode();
            let frame = recv.frame_in_place(message, &header);
            frame.map(<[u8]>::to_vec)
        };
        let mut recv = RecvBuffer::new();
        recv.extend(b"......abc......defg");
        recv.consume(6);
        assert_eq!(answer(&mut recv, 3).as_deref(), Some(&b"\x82\x03abc"[..]));
        recv.consume(6);
        // What is not parsed was not delivered.
        let ahead = recv.unparsed().as_ptr().addr();
        assert_eq!(recv.delivered(ahead, 4), None);
        assert_eq!(recv.delivered(b"elsewhere".as_ptr().addr(), 4), None);
        assert_eq!(answer(&mut recv, 4).as_deref(), Some(&b"\x82\x04defg"[..]));
        // There is no room for a header in front of this one.
        let mut recv = RecvBuffer::new();
        recv.extend(b"abc");
        let mut recv = recv.take_held();
        assert_eq!(answer(&mut recv, 3), None);
        // What is assembled stays.
        let mut recv = RecvBuffer::new();
        recv.extend(b"......abc......def");
        recv.consume(6);
        recv.absorb(3, None);
        recv.consume(6);
        assert_eq!(answer(&mut recv, 3), None);
        let message = recv.finish();
        assert_eq!(recv.at(message), b"abc");
    }
}
