//! Publications that leave in a row for many, put together once for all of them.

use crate::net::topics::List;
use crate::proto::{Kind, Prepared};

/// More bytes than these are not put together, nor is more looked for when there are so many: a write
/// for these costs by its bytes.
pub(in crate::net) const BATCH_MAX: usize = 64 << 10;

/// The publications of one [`List`], for whoever gets them as they are.
#[derive(Debug, Default)]
pub(in crate::net) struct Batch {
    /// The list that it is of.
    of: Option<List>,
    /// Its publication, if that is one,
    alone: Option<Prepared>,
    /// or the frames of all, one behind the other.
    frames: Vec<u8>,
    texts: u64,
    binaries: u64,
}

impl Batch {
    /// Whether it is of this list: as a rule, since neighbours mostly are to have the same.
    #[inline]
    pub(in crate::net) fn is_of(&self, list: List) -> bool {
        self.of == Some(list)
    }

    /// Has it be of this list, whose publications these are, if they are not too much.
    #[inline(never)]
    pub(in crate::net) fn put_together<'a>(
        &mut self,
        list: List,
        messages: impl Iterator<Item = &'a Prepared> + Clone,
    ) -> bool {
        self.forget();
        let (mut size, mut count) = (0, 0);
        for message in messages.clone() {
            size += message.frame().len();
            count += 1;
            // One alone is written from where it lies.
            if size > BATCH_MAX && count > 1 {
                return false;
            }
        }
        match (count, messages.clone().next()) {
            (1, Some(alone)) => self.alone = Some(alone.clone()),
            _ => messages
                .clone()
                .for_each(|message| self.frames.extend_from_slice(message.frame())),
        }
        let texts = messages.filter(|message| message.kind() == Kind::Text);
        self.texts = texts.count() as u64;
        self.binaries = count - self.texts;
        self.of = Some(list);
        true
    }

    /// Their frames.
    #[inline]
    pub(in crate::net) fn frames(&self) -> &[u8] {
        match &self.alone {
            Some(alone) => alone.frame(),
            None => &self.frames,
        }
    }

    /// How many of them are text, and how many binary.
    #[inline]
    pub(in crate::net) fn kinds(&self) -> (u64, u64) {
        (self.texts, self.binaries)
    }

    /// Has it be of none.
    pub(in crate::net) fn forget(&mut self) {
        self.of = None;
        self.alone = None;
        self.frames.clear();
    }
}
