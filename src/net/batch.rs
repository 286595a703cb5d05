//! Publications that leave in a row for many, put together once for all of them.

use crate::net::topics::{Delivery, Publication};
use crate::proto::Kind;

/// More bytes than these are not put together, nor is more looked for when there are so many: a write
/// for these costs by its bytes.
pub(super) const BATCH_MAX: usize = 64 << 10;

/// The publications of one [`Delivery`], for whoever gets them as they are.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Those that it is of.
    of: Option<(u32, u32)>,
    /// Their frames, one behind the other, if there are several.
    frames: Vec<u8>,
    texts: u64,
    binaries: u64,
}

impl Batch {
    /// Has it be of what is to be delivered, if that is not too much; of the one before it is
    /// already, as a rule.
    #[inline]
    pub(super) fn hold(&mut self, delivery: Delivery, publications: &[Publication]) -> bool {
        self.of == Some(delivery.run()) || self.put_together(delivery, publications)
    }

    #[inline(never)]
    fn put_together(&mut self, delivery: Delivery, publications: &[Publication]) -> bool {
        let publications = delivery.of(publications);
        let messages = publications.iter().map(|publication| &publication.message);
        self.forget();
        if let [_, _, ..] = publications {
            let size: usize = messages.clone().map(|message| message.frame().len()).sum();
            if size > BATCH_MAX {
                return false;
            }
            for message in messages.clone() {
                self.frames.extend_from_slice(message.frame());
            }
        }
        let texts = messages.filter(|message| message.kind() == Kind::Text);
        self.texts = texts.count() as u64;
        self.binaries = publications.len() as u64 - self.texts;
        self.of = Some(delivery.run());
        true
    }

    /// Their frames.
    #[inline]
    pub(super) fn frames<'a>(
        &'a self,
        delivery: Delivery,
        publications: &'a [Publication],
    ) -> &'a [u8] {
        match delivery.of(publications) {
            [alone] => alone.message.frame(),
            _ => &self.frames,
        }
    }

    /// How many of them are text, and how many binary.
    #[inline]
    pub(super) fn kinds(&self) -> (u64, u64) {
        (self.texts, self.binaries)
    }

    /// Has it be of none.
    pub(super) fn forget(&mut self) {
        self.of = None;
        self.frames.clear();
    }
}
