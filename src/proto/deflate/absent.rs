//! No codec: what there is without the feature `deflate`.
//!
//! There is no `Codec` to choose, so none of these can be made, and what would use them is
//! left out by the compiler.

use crate::proto::deflate::params::WindowBits;
use crate::proto::deflate::settings::Deflate;

#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) consumed: usize,
    pub(super) produced: usize,
    pub(super) stop: Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)] // nothing is there to stop
pub(super) enum Stop {
    Lack,
    Final,
    Corrupt,
}

#[derive(Debug)]
pub(super) enum Deflater {}

impl Deflater {
    pub(super) fn new(settings: &Deflate, _: WindowBits) -> Self {
        match settings.codec {}
    }

    pub(super) fn flush(&mut self, _: &[u8], _: &mut [u8]) -> Step {
        match *self {}
    }

    pub(super) fn reset(&mut self) {
        match *self {}
    }
}

#[derive(Debug)]
pub(super) enum Inflater {}

impl Inflater {
    pub(super) fn new(settings: &Deflate) -> Self {
        match settings.codec {}
    }

    pub(super) fn inflate(&mut self, _: &[u8], _: &mut [u8]) -> Step {
        match *self {}
    }

    pub(super) fn inflate_block(&mut self, _: &[u8], _: &mut [u8]) -> Step {
        match *self {}
    }

    pub(super) fn restart(&mut self, _: &[u8]) {
        match *self {}
    }
}
